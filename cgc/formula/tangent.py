"""The derivative of a scalar tree as a tree of stable operations, by the chain rule: what ``dual.py`` computes in numbers, written down.

It cannot differentiate draws: random parts are variables by then.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from cgc.formula.partials import PARTIALS
from cgc.formula.scalar import Const, Op, Over, Scalar, Var, const, shared

ZERO, ONE = const(0), const(1)


def tangent(scalar: Scalar, at: str) -> Scalar:
    """d ``scalar`` / d ``at``. On a bound, as in ``max(0, e)``, it is the derivative of what lies on it."""
    return shared(_Chain(at).go(scalar))


class _Chain:
    def __init__(self, at: str) -> None:
        self.at = at
        self.known: dict[Scalar, Scalar] = {}

    def go(self, node: Scalar) -> Scalar:
        if isinstance(node, Const):
            return ZERO
        if isinstance(node, Var):
            return ONE if node.name == self.at else ZERO
        if node not in self.known:
            self.known[node] = self.over(node) if isinstance(node, Over) else self.operation(node)
        return self.known[node]

    def operation(self, op: Op) -> Scalar:
        if op.name == "where":
            condition, taken, other = op.args
            return where(condition, self.go(taken), self.go(other))
        if op.name in ("max", "min"):
            first, second = op.args
            # a bound passes the derivative of what lies on it, as torch.clamp does
            strictly = ("gt", "lt") if isinstance(first, Const) else ("ge", "le")
            return where(Op(strictly[op.name == "min"], (first, second)), self.go(first), self.go(second))
        slopes = [self.go(argument) for argument in op.args]
        if all(slope == ZERO for slope in slopes):
            return ZERO
        partials = PARTIALS[op.name](_TREES, Tree(op), *map(Tree, op.args))
        total = Tree(ZERO)
        for partial, slope in zip(partials, slopes, strict=True):
            if slope != ZERO:
                total = total + _lift(partial) * Tree(slope)
        return total.scalar

    def over(self, over: Over) -> Scalar:
        slopes = tuple(self.go(argument) for argument in over.args)
        if all(slope == ZERO for slope in slopes):
            return ZERO
        if over.name == "sum":
            return Over("sum", over.columns, slopes)

        def mean(a: Tree) -> Tree:
            return a if isinstance(a.scalar, Const) else Tree(Over("mean", over.columns, (over.args[0], a.scalar)))

        # of a weight exp(w) / Σ exp(w), the derivative is that weight times what w has more than the mean
        more = Tree(slopes[0]) - mean(Tree(slopes[0]))
        match over.name:
            case "logsumexp":
                return mean(Tree(slopes[0])).scalar
            case "mean":
                return (self.covariance(over, slopes[0]) + mean(Tree(slopes[1]))).scalar
            case "variance":
                centred = Tree(over.args[1]) - mean(Tree(over.args[1]))
                return mean(more * centred * centred + 2 * centred * Tree(slopes[1])).scalar
        raise ValueError(f"{over.name} has no derivative")

    def covariance(self, over: Over, slope: Scalar) -> Tree:
        constant = isinstance(slope, Const) or isinstance(over.args[1], Const)
        return Tree(ZERO if constant else Over("covariance", over.columns, (over.args[0], slope, over.args[1])))


def where(condition: Scalar, taken: Scalar, other: Scalar) -> Scalar:
    """A choice, unless there is nothing to choose."""
    return taken if taken == other else Op("where", (condition, taken, other))


class Tree:
    """A scalar tree that can be reckoned with. Constants are folded, and what adds 0 or multiplies by 0 or 1 is left out."""

    def __init__(self, scalar: Scalar) -> None:
        self.scalar = scalar

    @property
    def number(self) -> Fraction | None:
        return self.scalar.value if isinstance(self.scalar, Const) else None

    def __add__(self, other: Any) -> Tree:
        return _sum(self, _lift(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Tree:
        return _difference(self, _lift(other))

    def __rsub__(self, other: Any) -> Tree:
        return _difference(_lift(other), self)

    def __mul__(self, other: Any) -> Tree:
        return _product(self, _lift(other))

    def __rmul__(self, other: Any) -> Tree:
        return _product(_lift(other), self)

    def __truediv__(self, other: Any) -> Tree:
        return _quotient(self, _lift(other))

    def __rtruediv__(self, other: Any) -> Tree:
        return _quotient(_lift(other), self)

    def __neg__(self) -> Tree:
        if self.number is not None:
            return Tree(Const(-self.number))
        if isinstance(self.scalar, Op) and self.scalar.name == "neg":
            return Tree(self.scalar.args[0])
        return Tree(Op("neg", (self.scalar,)))


def _lift(given: Any) -> Tree:
    return given if isinstance(given, Tree) else Tree(const(given))


def _sum(a: Tree, b: Tree) -> Tree:
    if a.number is not None and b.number is not None:
        return Tree(Const(a.number + b.number))
    if a.number == 0 or b.number == 0:
        return b if a.number == 0 else a
    if isinstance(b.scalar, Op) and b.scalar.name == "neg":
        return Tree(Op("sub", (a.scalar, b.scalar.args[0])))
    return Tree(Op("add", (a.scalar, b.scalar)))


def _difference(a: Tree, b: Tree) -> Tree:
    if b.number is not None or a.number == 0:
        return a + (-b)
    return Tree(ZERO) if a.scalar == b.scalar else Tree(Op("sub", (a.scalar, b.scalar)))


def _product(a: Tree, b: Tree) -> Tree:
    if a.number is not None and b.number is not None:
        return Tree(Const(a.number * b.number))
    for one, other in ((a, b), (b, a)):
        if one.number == 0:
            return one
        if one.number == 1:
            return other
        if one.number == -1:
            return -other
        if isinstance(one.scalar, Op) and one.scalar.name == "neg":
            return -(Tree(one.scalar.args[0]) * other)
    return Tree(Op("mul", (a.scalar, b.scalar)))


def _quotient(a: Tree, b: Tree) -> Tree:
    if a.number is not None and b.number:
        return Tree(Const(a.number / b.number))
    return a if b.number == 1 or a.number == 0 else Tree(Op("div", (a.scalar, b.scalar)))


class _Trees:
    """Operations on trees."""

    def __call__(self, name: str, *arguments: Any) -> Tree:
        return Tree(Op(name, tuple(_lift(argument).scalar for argument in arguments)))

    def integer(self, number: Tree) -> int:
        assert number.number is not None
        return int(number.number)

    def hazard(self, x: Tree) -> Tree:
        left = self("norm_excess", 1, x) - x
        right = self("norm_pdf", x) / self("norm_cdf", x)
        return Tree(Op("where", (Op("lt", (x.scalar, ZERO)), left.scalar, right.scalar)))


_TREES = _Trees()
