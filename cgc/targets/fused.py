"""The kernels of a program as data for the templates: functions as lines of a language, and what the loops around them have to know."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from cgc.kernels.arithmetic import exp, log
from cgc.kernels.code import Function, Value, argument, functions, given, operations, word
from cgc.kernels.node import COIN, RATE, WORDS, E, H, Node
from cgc.kernels.plan import CellKernel, Kernels, LawKernel
from cgc.kernels.random import ROUNDS, philox
from cgc.targets.arithmetic import Language, called, defined, statements
from cgc.targets.cells import CellSource, cell_source, cell_values

NO_BOUND = "3e38"
_AT_ONCE = ("softplus", "exp", "expm1", "log1p", "sin", "cos", "sinh", "cosh", "asinh")
"""Functions that emitted torch computes in one operation, and their derivatives too."""

_OF_VALUE = ("tanh", "sigmoid")
"""Functions whose derivatives torch computes from values, as kernels do, while emitted torch keeps the digits that this loses in tails."""

_LIGHT = 100
"""So many operations for an element a GPU has time for, about, while it reads and writes it (56 in float32 on an H200, half as many in
bfloat16)."""


@dataclass(frozen=True)
class Law:
    """One law. ``functions`` are definitions as lines; ``per`` elements share a block of ``4`` random words, of which each has ``words``.

    ``name`` is its class in model.py. ``recurrent``: for nodes that read their own past, ``plain``: for others,
    ``normalised``: some of which are normalised at once. ``of_energy`` and ``redrawn``: there are slopes that are computed from the
    energy, or from what is drawn again. ``least``: its expectation alone is worth a kernel from so many elements on; ``in_torch``: or what
    torch calls it. ``bounds``: between these the expectation is the energy. ``of_arrays``: its functions are given arrays, as they loop
    over tables.
    """

    name: str
    doc: str
    functions: tuple[tuple[str, ...], ...]
    words: int
    of_value: bool
    always: bool
    discrete: bool
    least: int
    in_torch: str
    recurrent: bool
    plain: bool
    normalised: bool
    bounds: tuple[float, float] | None
    of_arrays: bool

    @property
    def per(self) -> int:
        """How many elements one block of random words serves."""
        return 4 // self.words if self.words else 4

    @property
    def of_energy(self) -> bool:
        """Whether slopes of energies are needed: undrawn, or where they are to pass a draw."""
        return not self.of_value or (self.discrete and self.words > 0)

    @property
    def redrawn(self) -> bool:
        """Whether slopes of what was drawn do not follow from its value."""
        return self.words > 0 and not self.always

    @property
    def places(self) -> tuple[str, ...]:
        """Where the words of elements in part ``part`` are."""
        several = (f"part * {self.words} + {k}" if self.per > 1 else str(k) for k in range(self.words))
        return ("part",) if self.words == 1 else tuple(several)

    @property
    def word_arguments(self) -> str:
        """The words of element i in part ``part``, as further arguments."""
        return "".join(f", words[{place}][i]" for place in self.places)

    @property
    def block_arguments(self) -> str:
        """The same where they lie ``apart``."""
        return "".join(f", word[{f'{k} * apart + ' if k else ''}i]" for k in range(self.words))

    @property
    def scanned(self) -> bool:
        """Whether steps of its recurrence are clamps, which can be composed."""
        return self.recurrent and self.of_value and self.bounds is not None

    @property
    def low(self) -> str:
        """The lower bound, or a number that stands for none."""
        return str(self.bounds[0]) if self.bounds and self.bounds[0] > -math.inf else f"-{NO_BOUND}"

    @property
    def high(self) -> str:
        """The upper bound, likewise."""
        return str(self.bounds[1]) if self.bounds and self.bounds[1] < math.inf else NO_BOUND


@dataclass(frozen=True)
class Chain:
    """Sums over chains of so many ``states``, which take ``width`` floats: whole vectors."""

    states: int
    width: int


@dataclass(frozen=True)
class Source:
    """What a file of kernels consists of. ``philox`` are the lines of random.py's rounds, for names that the template gives.

    ``nodes`` are laws that steps draw from. ``coin`` is the function that tells whether an element is drawn, where draws are worth to be
    computed for some elements alone. ``heavy`` are the functions of laws that take longer than to read and write their elements, and
    their operations for each. ``table`` are columns of tables, one after the other, that do not stand in functions.
    ``gates`` are dropout nodes, by distribution and number, with the names of their laws.
    """

    name: str
    rounds: int
    philox: tuple[str, ...]
    functions: tuple[tuple[str, ...], ...]
    laws: tuple[Law, ...]
    chains: tuple[Chain, ...] = ()
    cells: tuple[CellSource, ...] = ()
    nodes: tuple[Law, ...] = ()
    coin: tuple[str, ...] = ()
    heavy: tuple[tuple[str, int], ...] = ()
    table: tuple[float, ...] = ()
    gates: tuple[tuple[str, float, str], ...] = ()

    @property
    def table_lines(self) -> list[str]:
        """The table, as lines of numbers."""
        return textwrap.wrap(", ".join(str(np.float32(x)) for x in self.table) + ",", 110, break_on_hyphens=False)

    @property
    def plain(self) -> bool:
        """Whether there are kernels for nodes on their own."""
        return any(law.plain for law in self.laws)

    @property
    def normalised(self) -> bool:
        """Whether some of these are normalised over a batch at once."""
        return any(law.normalised for law in self.laws)

    @property
    def recurrent(self) -> bool:
        """Whether there are kernels for nodes that read their own past."""
        return any(law.recurrent for law in self.laws)

    @property
    def plain_kept(self) -> bool:
        """Whether some draws of nodes on their own have slopes that must be kept, or drawn again."""
        return any(law.plain and law.redrawn for law in self.laws)

    @property
    def recurrent_kept(self) -> bool:
        """The same of nodes that read their own past."""
        return any(law.recurrent and law.redrawn for law in self.laws)


def source(name: str, kernels: Kernels, classes: dict[str, str], cells: tuple[CellKernel, ...], language: Language) -> Source:
    """The source for ``kernels`` in a language; ``classes`` are the names of laws in model.py, ``cells`` the steps that it calls."""
    tabled = any(law.node.tabled for law in kernels.laws)
    laws = tuple(_law(law, classes[law.name], language, tabled) for law in kernels.laws)
    wanted = [(known, *one) for law, known in zip(kernels.laws, laws, strict=True) for one in _wanted(law.node, known, language)]
    results = [value for _, _, value, _ in wanted]
    results += [exp(argument("x")), log(argument("x"))] if kernels.chains else []
    results += [value for cell in cells for value in cell_values(cell)]
    columns: dict[tuple[float, ...], str] = {}
    lines = tuple(_written(language, function, columns) for function in functions(*results))
    drawn = any(law.words for law in laws) or any(cell.cell.words for cell in cells)
    chains = tuple(Chain(n, (n + 7) // 8 * 8) for n in kernels.chains)
    nodes = {node: f"node{k}" for k, node in enumerate(_drawn_in(cells))}
    steps = tuple(cell_source(cell, nodes, language) for cell in cells)
    inside = tuple(_law(LawKernel(shown, shown, node, False, False), shown, language) for node, shown in nodes.items())
    coin = defined(language, "coin", COIN, (RATE, WORDS[0])) if any(law.redrawn for law in (*laws, *inside)) else ()
    counts = [(f"{known.name}_{what}", operations(value)) for known, what, value, _ in wanted if known.plain]
    table = tuple(number for column in columns for number in column) if language.chunked is None else ()
    gates = tuple((*law.gate, classes[law.name]) for law in kernels.laws if law.gate is not None)
    heavy = tuple((function, count) for function, count in counts if count > _LIGHT)
    return Source(name, ROUNDS, _philox(language) if drawn else (), lines, laws, chains, steps, inside, coin, heavy, table, gates)


def _drawn_in(cells: tuple[CellKernel, ...]) -> Iterable[Node]:
    """The laws from which steps draw."""
    return dict.fromkeys(passage.node for cell in cells for passage in cell.cell.passages if passage.node is not None)


def _written(language: Language, function: Function, columns: dict[tuple[float, ...], str]) -> tuple[str, ...]:
    """The definition of a function; ``columns`` are those of tables that the file has so far, and where they are."""
    if not function.passes:
        return called(language, function)
    return language.looped(language, function, columns)


def _law(law: LawKernel, name: str, language: Language, tabled: bool = False) -> Law:
    node = law.node
    chunked = language.chunked if node.tabled else None
    kinds = (node.words, node.slope_of_value is not None, node.always, node.discrete, *_least(node), law.recurrent, law.plain)
    found = Law(name, law.density, (), *kinds, law.normalised, node.bounds, chunked is not None)
    wanted = [(f"{name}_{what}", value, arguments) for what, value, arguments in _wanted(node, found, language)]
    if chunked is not None:
        return replace(found, functions=tuple(chunked(language, *one) for one in wanted))
    return replace(found, functions=tuple(defined(language, *one, tabled and language.chunked is None) for one in wanted))


def _wanted(node: Node, law: Law, language: Language) -> Iterable[tuple[str, Value, tuple[Value, ...]]]:
    """The functions that kernels of a law call: a name, the value, the arguments."""
    drawn = (E, RATE, *WORDS[: node.words])
    yield "expectation", node.expectation, (E,)
    if law.of_energy:
        yield "slope", node.slope, (E,)
    if node.slope_of_value is not None:
        yield "slope_of_value", node.slope_of_value, (H,)
    if node.drawn is not None and node.through is not None and law.redrawn and language.packs:
        yield "drawn", node.drawn, drawn
        yield "through", node.through, drawn
        return
    if node.inferred is not None:
        yield "inferred", node.inferred, drawn
    if node.drawn_slope is not None and law.redrawn:
        yield "drawn_slope", node.drawn_slope, drawn


def _least(node: Node) -> tuple[int, str]:
    """Beside emitted torch, which does without a call of ours, but one operation after the other; what it does in one is as fast there. And
    what torch calls what it computes as well as a kernel does, in less time."""
    if not functions(node.expectation):
        return 2**62, ""
    if node.tabled:
        return 0, ""
    name = node.expectation.args[0] if node.expectation.name == "call" and node.expectation.inputs == (E,) else ""
    if name in _OF_VALUE and node.slope_of_value is not None:
        return 0, str(name)
    return (2**16 if name in _AT_ONCE else 2**13), ""


def _philox(language: Language) -> tuple[str, ...]:
    counter, key = tuple(given(name) for name in ("c0", "c1", "later")), (given("k0"), given("k1"))
    return statements(language, *philox((counter[0], counter[1], counter[2], word(0)), key))
