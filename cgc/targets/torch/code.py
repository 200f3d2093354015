"""Python code as data: what the templates lay out."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH = 120
"""The longest line of emitted code."""


def split_arguments(text: str) -> list[str]:
    """Arguments at the commas that no bracket encloses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


@dataclass(frozen=True)
class Function:
    """A function or method: ``signature`` is what stands between ``def`` and the colon; bodies are lines without common indent."""

    signature: str
    body: tuple[str, ...]
    doc: tuple[str, ...] = ()
    decorator: str = ""

    @property
    def header(self) -> tuple[str, ...]:
        """From ``def`` to the colon, broken as ruff breaks it where one line is too long for a method."""
        line = f"def {self.signature}:"
        if len(line) <= WIDTH - 4:
            return (line,)
        name, rest = self.signature.split("(", 1)
        arguments, returns = rest.rsplit(")", 1) if ") -> " not in rest else rest.split(") -> ", 1)
        returns = f" -> {returns}" if returns else ""
        if len(arguments) <= WIDTH - 8:
            return (f"def {name}(", f"    {arguments}", f"){returns}:")
        return (f"def {name}(", *(f"    {argument}," for argument in split_arguments(arguments)), f"){returns}:")


@dataclass(frozen=True)
class Class:
    """A class; ``attributes`` are lines of its body before the methods."""

    name: str
    base: str
    doc: tuple[str, ...]
    attributes: tuple[str, ...]
    methods: tuple[Function, ...]


@dataclass(frozen=True)
class Module:
    """One emitted file of classes.

    ``parts`` names the fixed passages (templates) that it needs, in their order; ``inference`` those inside the class Inference,
    whose fields are ``settings``.
    """

    doc: tuple[str, ...]
    parts: tuple[str, ...]
    settings: tuple[str, ...]
    inference: tuple[str, ...]
    classes: tuple[Class, ...]
    network: Class


def wrapped(text: str, width: int = 110) -> tuple[str, ...]:
    """A sentence of documentation as lines of at most ``width`` characters."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return tuple(lines)
