"""Python code as data: what the templates lay out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from cgc.kernels.plan import CellKernel

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


_SIGNS = ((" | ",), (" & ",), (" < ", " <= ", " > ", " >= ", " == "), (" + ", " - "), (" * ", " / "))


_STATEMENT = re.compile(r"( *)(return |[\w., \[\]\"'()]+? = |)(.*)")


def _fitted(line: str) -> list[str]:
    """A statement of a method over as many lines as ruff gives it, broken at operators or at the arguments of its last call."""
    if len(line) <= WIDTH - 8 or line.endswith(":"):
        return [line]
    line, _, comment = line.partition("  # ")
    found = _STATEMENT.fullmatch(line)
    assert found is not None
    indent, start, value = found.groups()
    above = [f"{indent}# {comment}"] if comment else []
    return [*above, *(indent + part for part in _broken(start, value, "", WIDTH - 8 - len(indent)))]


def _broken(start: str, value: str, end: str, width: int) -> list[str]:
    if len(start + value + end) <= width:
        return [start + value + end]
    arguments = split_arguments(value)
    if len(arguments) > 1:
        inside = [part for argument in arguments for part in _broken("", argument, ",", width - 4)]
        return [f"{start}(", *(f"    {part}" for part in inside), f"){end}"]
    for signs in _SIGNS:
        terms = _operands(value, signs)
        if len(terms) > 1:
            if start:
                return [f"{start}(", *(f"    {part}" for part in _broken("", value, "", width - 4)), f"){end}"]
            return [part for k, term in enumerate(terms) for part in _broken("", term, end if k == len(terms) - 1 else "", width)]
    opened = _last_bracket(value)
    if opened is None:
        return [start + value + end]
    head, inner, tail = start + value[: opened + 1], value[opened + 1 : -1], value[-1] + end
    if len(inner) + 4 <= width:
        return [head, f"    {inner}", tail]
    arguments = split_arguments(inner)
    comma = "," if len(arguments) > 1 else ""
    return [head, *(f"    {part}" for argument in arguments for part in _broken("", argument, comma, width - 4)), tail]


def _operands(text: str, signs: tuple[str, ...]) -> list[str]:
    """What stands between operators that no bracket encloses, each with its operator."""
    found, depth, begin = [], 0, 0
    for k, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and k and text.startswith(signs, k):
            found.append(text[begin:k])
            begin = k + 1
    return [*found, text[begin:]]


def _last_bracket(text: str) -> int | None:
    """Where the bracket opens that the text ends with."""
    if text[-1:] not in (")", "]", "}"):
        return None
    depth = 0
    for k in range(len(text) - 1, -1, -1):
        depth += (text[k] in ")]}") - (text[k] in "([{")
        if depth == 0:
            return k
    return None


@dataclass(frozen=True)
class Function:
    """A function or method: ``signature`` is what stands between ``def`` and the colon; bodies are lines without common indent."""

    signature: str
    body: tuple[str, ...]
    doc: tuple[str, ...] = ()
    decorator: str = ""

    def fitted(self) -> Function:
        """The same with no line of the body longer than ``WIDTH`` in a class."""
        return replace(self, body=tuple(part for line in self.body for part in _fitted(line)))

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
    whose fields are ``settings``. ``moments``: values may be means and variances. ``merged``: values are (rows, nodes),
    or (rows, maps, ...); ``mapped``: so is all that is normalised map by map.
    ``kernels``: by law, the classes that kernels know; ``kernels_of_nodes``: of nodes that do not read themselves;
    ``kernels_of_chains``: they also sum over the states of chains; ``cells``: steps of loops that they compute.
    """

    doc: tuple[str, ...]
    parts: tuple[str, ...]
    settings: tuple[str, ...]
    inference: tuple[str, ...]
    classes: tuple[Class, ...]
    network: Class
    moments: bool = False
    merged: bool = False
    mapped: bool = False
    kernels: tuple[tuple[str, str], ...] = ()
    kernels_of_nodes: bool = False
    kernels_of_chains: bool = False
    cells: tuple[CellKernel, ...] = ()

    @property
    def fused(self) -> bool:
        """Whether there are kernels for some of it."""
        return bool(self.kernels or self.cells) or self.kernels_of_chains

    @property
    def looks(self) -> bool:
        """Whether a kernel may look at what is given: all between two numbers, or one of them."""
        return self.fused and ("soft_clamp" in self.inference or "require_binary" in self.parts)


def wrapped(text: str, width: int = 110) -> tuple[str, ...]:
    """A sentence of documentation as lines of at most ``width`` characters."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return tuple(line.rstrip() for line in lines)
