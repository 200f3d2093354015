"""Python code as data: what the templates lay out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    """A function or method: ``signature`` is what stands between ``def`` and the colon; bodies are lines without common indent."""

    signature: str
    body: tuple[str, ...]
    doc: tuple[str, ...] = ()


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
