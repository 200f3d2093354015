"""The kernels of a program as data for the templates: functions as lines of C, and what the loops around them have to know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cgc.kernels.arithmetic import exp, log
from cgc.kernels.code import Value, argument, functions, given
from cgc.kernels.node import RATE, WORDS, E, H
from cgc.kernels.plan import Kernels, LawKernel
from cgc.kernels.random import ROUNDS, philox
from cgc.targets.c.expressions import called, defined, in_words


@dataclass(frozen=True)
class Law:
    """One law. ``functions`` are definitions as lines; ``per`` elements share a block of ``4`` random words, of which each has ``words``.

    ``key`` is its class in model.py. ``costly``: its expectation calls functions.
    """

    name: str
    key: str
    doc: str
    functions: tuple[tuple[str, ...], ...]
    words: int
    of_value: bool
    always: bool
    discrete: bool
    costly: bool
    recurrent: bool

    @property
    def per(self) -> int:
        """How many elements one block of random words serves."""
        return 4 // self.words if self.words else 4

    @property
    def word_arguments(self) -> str:
        """The words of element i in part ``part``, as further arguments."""
        places = ["part" if self.words == 1 else f"part * {self.words} + {k}" if self.per > 1 else str(k) for k in range(self.words)]
        return "".join(f", words[{place}][i]" for place in places)


@dataclass(frozen=True)
class Chain:
    """Sums over chains of so many ``states``, which take ``width`` floats: whole vectors."""

    states: int
    width: int


@dataclass(frozen=True)
class Source:
    """What ``cpu.c`` consists of."""

    name: str
    rounds: int
    philox: tuple[str, ...]
    functions: tuple[tuple[str, ...], ...]
    laws: tuple[Law, ...]
    chains: tuple[Chain, ...] = ()


def source(name: str, kernels: Kernels, classes: dict[str, str]) -> Source:
    """The C source for ``kernels``; ``classes`` are the names of laws in model.py."""
    laws = tuple(_law(law, classes[law.name]) for law in kernels.laws)
    results = [value for law in kernels.laws for value in _values(law)]
    results += [exp(argument("x")), log(argument("x"))] if kernels.chains else []
    lines = tuple(called(function) for function in functions(*results))
    drawn = any(law.words for law in laws)
    return Source(name, ROUNDS, _philox() if drawn else (), lines, laws, tuple(Chain(n, (n + 7) // 8 * 8) for n in kernels.chains))


def _values(law: LawKernel) -> Iterable[Value]:
    node = law.node
    return (v for v in (node.expectation, node.slope, node.slope_of_value, node.inferred, node.drawn_slope) if v is not None)


def _law(law: LawKernel, key: str) -> Law:
    name, node = key, law.node
    written = [defined(f"{name}_expectation", node.expectation, (E,)), defined(f"{name}_slope", node.slope, (E,))]
    if node.slope_of_value is not None:
        written.append(defined(f"{name}_slope_of_value", node.slope_of_value, (H,)))
    if node.inferred is not None and node.drawn_slope is not None:
        arguments = (E, RATE, *WORDS[: node.words])
        written += [defined(f"{name}_inferred", node.inferred, arguments), defined(f"{name}_drawn_slope", node.drawn_slope, arguments)]
    of_value = node.slope_of_value is not None
    return Law(
        name,
        key,
        law.density,
        tuple(written),
        node.words,
        of_value,
        node.always,
        node.discrete,
        bool(functions(node.expectation)),
        law.recurrent,
    )


def _philox() -> tuple[str, ...]:
    counter, key = tuple(given(name) for name in ("c0", "c1", "later")), (given("k0"), given("k1"))
    zero = given("c3")
    return in_words(philox((counter[0], counter[1], counter[2], zero), key), [f"words[{k}][i]" for k in range(4)])
