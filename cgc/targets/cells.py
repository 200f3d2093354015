"""The steps of loops as data for the templates: lines of a language, what is read before them, and where their results go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cgc.kernels.cell import WORD, Named, Passage
from cgc.kernels.code import Value, in_order
from cgc.kernels.node import Node
from cgc.kernels.plan import CellKernel
from cgc.targets.arithmetic import Language, named


@dataclass(frozen=True)
class Half:
    """One way through a step, forward or back. ``reads`` are arrays, ``words`` the numbers of random words; ``added`` are results that are
    added to what is there."""

    name: str
    reads: tuple[str, ...]
    words: tuple[int, ...]
    lines: tuple[str, ...]
    results: tuple[tuple[str, str], ...]

    @property
    def back(self) -> bool:
        """Whether it goes back."""
        return self.name.endswith("backward")

    @property
    def arrays(self) -> tuple[str, ...]:
        """All that it reads and writes, by name."""
        return (*self.reads, *(f"to_{name}" for name, _ in self.results))

    @property
    def added(self) -> tuple[str, ...]:
        """The results that are added to what is there."""
        return tuple(name for name, _ in self.results if name.startswith(("du", "dv")))

    @property
    def slopes(self) -> tuple[int, ...]:
        """The layers whose slopes it keeps."""
        return tuple(int(name[1:]) for name, _ in self.results if name.startswith("s"))


@dataclass(frozen=True)
class PassageSource:
    """Part of a step where nodes may be drawn. ``reads`` are arrays, ``inside`` what became of layers in passages before, ``words`` the
    numbers of random words. ``node`` names the functions of the law of ``layer``, of which the last result is the energy, ``first`` its
    first word."""

    reads: tuple[str, ...]
    inside: tuple[str, ...]
    words: tuple[int, ...]
    lines: tuple[str, ...]
    results: tuple[tuple[str, str], ...]
    node: str
    layer: str
    first: int
    discrete: bool


@dataclass(frozen=True)
class CellSource:
    """One step: ``halves`` are forward and backward, and the same where nodes are drawn, if they can be, with so many random ``words``
    for an element, and the ``passages`` of what is drawn."""

    kernel: CellKernel
    halves: tuple[Half, ...]
    words: int
    passages: tuple[PassageSource, ...]

    @property
    def name(self) -> str:
        """What its functions are called after."""
        return self.kernel.name


def cell_source(kernel: CellKernel, nodes: Mapping[Node, str], language: Language) -> CellSource:
    """A step in a language; ``nodes`` are what the functions of laws are called there."""
    cell = kernel.cell
    parts = {"forward": cell.forward, "backward": cell.backward, "drawn": cell.drawn, "drawn_backward": cell.drawn_backward}
    halves = tuple(_half(name, part, language) for name, part in parts.items() if part is not None)
    passages = tuple(_passage(passage, nodes, language) for passage in cell.passages)
    return CellSource(kernel, halves, cell.words, passages)


def cell_values(kernel: CellKernel) -> Iterator[Value]:
    """All that a step computes."""
    cell = kernel.cell
    for part in (cell.forward, cell.backward, cell.drawn or (), cell.drawn_backward or ()):
        yield from (value for _, value in part)


def _half(name: str, part: Named, language: Language) -> Half:
    values = tuple(value for _, value in part)
    lines, texts = named(language, *values)
    results = tuple((result, text) for (result, _), text in zip(part, texts, strict=True))
    return Half(name, *_leaves(values), lines, results)


def _passage(passage: Passage, nodes: Mapping[Node, str], language: Language) -> PassageSource:
    values = tuple(value for _, value in passage.results)
    leaves, words = _leaves(values)
    inside = tuple(name for name in leaves if re.fullmatch(r"v\d+", name))
    lines, texts = named(language, *values)
    results = tuple((result, text) for (result, _), text in zip(passage.results, texts, strict=True))
    node, layer = (nodes[passage.node], results[-1][0][1:]) if passage.node else ("", "")
    reads = tuple(name for name in leaves if name not in inside)
    return PassageSource(reads, inside, words, lines, results, node, layer, passage.first, passage.discrete)


def _leaves(values: tuple[Value, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The arrays that values read, and the numbers of random words."""
    leaves = [str(value.args[0]) for value in in_order(*values) if value.name in ("argument", "given")]
    words = sorted(int(leaf.removeprefix(WORD)) for leaf in leaves if leaf.startswith(WORD))
    reads = sorted(leaf for leaf in leaves if not leaf.startswith(WORD) and leaf not in ("rate", "straight"))
    return tuple(reads), tuple(words)
