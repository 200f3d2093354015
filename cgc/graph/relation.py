"""What a condition says of one index of the child and one of the parent: how many pairs, and in which pattern.

Small extents are tabulated. Larger ones are never enumerated pair by pair: a condition on ``j - s * i`` alone is tabulated over that
difference, ``f(i) == g(j)`` by the values of f and g.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cgc.graph import predicate
from cgc.graph.geometry import Window
from cgc.graph.predicate import Arithmetic, Comparison, Constant, Expression, Function, Index, Integers, Junction, Minus, Predicate, Truths

SMALL = 2**22
"""So many pairs are tabulated."""
LONGEST = 2**26
"""So many values of one index are."""


class Relation(Protocol):
    """Which pairs (i, j) are joined, i < ``child`` and j < ``parent``."""

    @property
    def child(self) -> int:
        """Extent of i."""

    @property
    def parent(self) -> int:
        """Extent of j."""

    def count(self) -> int:
        """How many pairs."""

    def first(self) -> tuple[int, int]:
        """The first pair, by i and then by j; there must be one."""

    def diagonal(self) -> bool:
        """Whether these are the pairs i = j, for every i and j."""

    def blocks(self) -> int | None:
        """In how many equal blocks along the diagonal they lie that are full, if they do."""

    def prefixes(self) -> bool:
        """Whether every i has the first few j, and a later i no fewer."""

    def window(self) -> Window | None:
        """The window that a child reads, if these are windows."""


def relation(condition: Predicate, child: tuple[str, int], parent: tuple[str, int]) -> Relation | None:
    """The relation that a condition on these two indices stands for; None if the extents are too large to say.

    Raises ZeroDivisionError.
    """
    (i, rows), (j, columns) = child, parent
    if rows * columns <= SMALL:
        indices = {i: np.arange(rows)[:, None], j: np.arange(columns)}
        return Table(np.broadcast_to(predicate.evaluate(condition, indices), (rows, columns)))
    if max(rows, columns) > LONGEST:
        return None
    stride = common_stride([condition], i, j)
    if stride is not None and rows * stride <= LONGEST:
        return _difference(condition, child, parent, stride)
    if isinstance(condition, Comparison) and condition.relation in ("==", "!="):
        for one, other in ((condition.left, condition.right), (condition.right, condition.left)):
            if set(predicate.names(one)) == {i} and set(predicate.names(other)) == {j}:
                f, g = predicate.value_of(one, {i: np.arange(rows)}), predicate.value_of(other, {j: np.arange(columns)})
                return Levels(f, g, condition.relation == "==")
    return None


@dataclass(frozen=True)
class Table:
    """Truth values (child, parent)."""

    truths: Truths

    @property
    def child(self) -> int:
        return int(self.truths.shape[0])

    @property
    def parent(self) -> int:
        return int(self.truths.shape[1])

    def count(self) -> int:
        return int(np.count_nonzero(self.truths))

    def first(self) -> tuple[int, int]:
        i, j = divmod(int(np.argmax(self.truths)), self.parent)
        return i, j

    def diagonal(self) -> bool:
        return self.child == self.parent and np.array_equal(self.truths, np.eye(self.child, dtype=bool))

    def blocks(self) -> int | None:
        width = int(np.argmin(self.truths[0])) if not self.truths[0].all() else self.parent
        if width == 0 or self.parent % width or self.child % (groups := self.parent // width):
            return None
        block = np.ones((self.child // groups, width), bool)
        return groups if np.array_equal(self.truths, np.kron(np.eye(groups, dtype=bool), block)) else None

    def prefixes(self) -> bool:
        lengths = self.truths.sum(1)
        return not (~self.truths[:, :-1] & self.truths[:, 1:]).any() and bool((np.diff(lengths) >= 0).all())

    def window(self) -> Window | None:
        some = np.asarray(self.truths.any(1))
        pairs = np.flatnonzero(np.logical_and(some[:-1], some[1:]))
        first, last = self.truths.argmax(1), self.parent - 1 - self.truths[:, ::-1].argmax(1)
        steps = np.concatenate([edge[pairs + 1] - edge[pairs] for edge in (first, last)])
        strides = [int(s) for s in np.unique(steps) if s > 0] or [1]
        for stride in strides:
            offsets = np.arange(self.parent) - stride * np.arange(self.child)[:, None]
            kept = np.unique(offsets[self.truths])
            found = _window(self.child, self.parent, stride, kept)
            if found is not None and np.array_equal(np.isin(offsets, kept), self.truths):
                return found
        return None


@dataclass(frozen=True)
class Difference:
    """Pairs that depend on ``j - stride * i`` alone: which of the differences ``values`` are joined, and how many pairs have each."""

    child: int
    parent: int
    stride: int
    kept: Integers
    pairs: Integers

    def count(self) -> int:
        return int(self.pairs.sum())

    def first(self) -> tuple[int, int]:
        rows = np.maximum(0, -(self.kept // self.stride))
        return min((int(i), int(value + self.stride * i)) for i, value in zip(rows, self.kept, strict=True))

    def diagonal(self) -> bool:
        return self.child == self.parent and self.stride == 1 and np.array_equal(self.kept, [0])

    def blocks(self) -> int | None:
        if self.count() == self.child * self.parent:
            return 1
        # stride 1 joins blocks of one node each, stride s blocks of one child and s parents
        whole = self.child * self.stride == self.parent and np.array_equal(self.kept, np.arange(self.stride))
        return self.child if whole else None

    def prefixes(self) -> bool:
        least = -self.stride * (self.child - 1)
        return bool(len(self.kept)) and np.array_equal(self.kept, np.arange(least, least + len(self.kept)))

    def window(self) -> Window | None:
        return _window(self.child, self.parent, self.stride, self.kept)


@dataclass(frozen=True)
class Levels:
    """Pairs with f(i) == g(j), or all others; the values of f and g."""

    f: Integers
    g: Integers
    equal: bool

    @property
    def child(self) -> int:
        return len(self.f)

    @property
    def parent(self) -> int:
        return len(self.g)

    def count(self) -> int:
        levels, counts = np.unique(self.f, return_counts=True)
        others = dict(zip(*(values.tolist() for values in np.unique(self.g, return_counts=True)), strict=True))
        same: int = sum(count * others.get(level, 0) for level, count in zip(levels.tolist(), counts.tolist(), strict=True))
        return same if self.equal else self.child * self.parent - same

    def first(self) -> tuple[int, int]:
        if self.equal:
            i = int(np.argmax(np.isin(self.f, self.g)))
            return i, int(np.argmax(self.g == self.f[i]))
        i = 0 if (self.g != self.f[0]).any() else int(np.argmax(self.f != self.f[0]))
        return i, int(np.argmax(self.g != self.f[i]))

    def diagonal(self) -> bool:
        return self.equal and np.array_equal(self.f, self.g) and len(np.unique(self.f)) == len(self.f)

    def blocks(self) -> int | None:
        if not self.equal:
            return None
        starts = [np.flatnonzero(np.diff(values, prepend=values[0] - 1)) for values in (self.f, self.g)]
        groups = len(starts[0])
        levels = self.f[starts[0]]
        even = all(len(values) % groups == 0 and np.array_equal(s, np.arange(groups) * (len(values) // groups))
                   for values, s in zip((self.f, self.g), starts, strict=True))  # fmt: skip
        return groups if even and np.array_equal(levels, self.g[starts[1]]) and len(np.unique(levels)) == groups else None

    def prefixes(self) -> bool:
        return False

    def window(self) -> Window | None:
        return None


def _difference(condition: Predicate, child: tuple[str, int], parent: tuple[str, int], stride: int) -> Difference:
    (i, rows), (j, columns) = child, parent
    values = np.arange(-stride * (rows - 1), columns)
    first = np.maximum(0, -(values // stride))
    last = np.minimum(rows - 1, (columns - 1 - values) // stride)
    truths = np.broadcast_to(predicate.evaluate(condition, {i: first, j: values + stride * first}), values.shape)
    kept = truths & (first <= last)
    return Difference(rows, columns, stride, values[kept], (last - first + 1)[kept])


def _window(child: int, parent: int, stride: int, offsets: Integers) -> Window | None:
    """The window that reads at these offsets, if they are evenly spaced."""
    if not len(offsets):
        return None
    steps = np.unique(np.diff(offsets))
    if len(steps) > 1:
        return None
    return Window(child, parent, len(offsets), stride, int(steps[0]) if len(steps) else 1, -int(offsets[0]))


def common_stride(nodes: Sequence[Expression | Predicate], i: str, j: str) -> int | None:
    """s > 0 such that all of ``nodes`` are functions of j - s * i, if the text shows it."""
    found = {ratio for node in nodes for ratio in _ratios(node, i, j)}
    ratio = found.pop() if len(found) == 1 else None
    return ratio if ratio is not None and ratio > 0 else None


def _ratios(node: Expression | Predicate, i: str, j: str) -> set[int | None]:
    """-a / b for every largest linear part a * i + b * j; None stands for one that is no function of a difference."""
    match node:
        case Comparison(_, left, right):
            linear = affine(Arithmetic("-", left, right))
            return {_ratio(linear, i, j)} - {0} if linear is not None else _ratios(left, i, j) | _ratios(right, i, j)
        case Junction(_, parts):
            return {ratio for part in parts for ratio in _ratios(part, i, j)}
        case Constant() | Index() | Minus() | Arithmetic() | Function() if (linear := affine(node)) is not None:
            return {_ratio(linear, i, j)} - {0}
        case Arithmetic(_, left, right):
            return _ratios(left, i, j) | _ratios(right, i, j)
        case Minus(operand):
            return _ratios(operand, i, j)
        case Function(_, arguments):
            return {ratio for argument in arguments for ratio in _ratios(argument, i, j)}
        case _:
            return set()


def _ratio(linear: dict[str, int], i: str, j: str) -> int | None:
    """0 for a constant."""
    a, b = linear.get(i, 0), linear.get(j, 0)
    if a == b == 0:
        return 0
    return -a // b if a and b and -a % b == 0 else None


def affine(expression: Expression) -> dict[str, int] | None:
    """The coefficients of a linear expression, the constant's under the name ``1``; None for what is not linear by its form."""
    match expression:
        case Constant(value):
            return {"1": value}
        case Index(name):
            return {name: 1}
        case Minus(operand):
            inner = affine(operand)
            return None if inner is None else {name: -value for name, value in inner.items()}
        case Arithmetic("+" | "-" as sign, left, right):
            a, b = affine(left), affine(right)
            if a is None or b is None:
                return None
            factor = 1 if sign == "+" else -1
            return {name: a.get(name, 0) + factor * b.get(name, 0) for name in dict.fromkeys([*a, *b])}
        case Arithmetic("*", left, right):
            a, b = affine(left), affine(right)
            for one, other in ((a, b), (b, a)):
                if one is not None and other is not None and set(one) <= {"1"}:
                    return {name: one.get("1", 0) * value for name, value in other.items()}
    return None
