"""Numerical rules as formulas: Gauss quadrature over the pieces of a noise form, and tables of weighted points for densities."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy

from cgc.derive.bases import Noise
from cgc.derive.pieces import Piece
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array
from cgc.formula.scalar import Const, Op, Over, Scalar, Var, bind, const

_FEWEST = 48
_MOST = 384
_N = sympy.Symbol("n", real=True)
Array = np.ndarray[Any, np.dtype[np.float64]]


@cache
def gauss(nodes: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Points and weights of Gauss-Legendre quadrature on [0, 1]."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return tuple((points + 1) / 2), tuple(weights / 2)


def column(values: Any) -> tuple[Const, ...]:
    """Floats as constants that read back exactly."""
    return tuple(const(float(value)) for value in values)


@dataclass(frozen=True)
class NoiseRule:
    """Expectations over Y = at + s·n by quadrature, piece by piece of a function of y. ``at`` and ``s`` are trees in e."""

    base: Noise
    parts: tuple[Piece, ...]
    at: Scalar
    s: Scalar
    nodes: int = _FEWEST

    def expectation(self) -> Scalar:
        """E value(Y)."""
        return self._total(lambda part: None if part.polynomial == 0 else freeze(part.polynomial))

    def variance(self, mean: Scalar) -> Scalar:
        """E (value(Y) - mean)²: nothing in it is negative, so no digits cancel."""

        def square(part: Piece) -> Scalar:
            # the mean is a function of e, not of the latent value
            away = Op("sub", (freeze(part.polynomial), Var("mean")))
            return Op("mul", (away, away))

        return bind(self._total(square), "mean", mean)

    def _total(self, integrand: Callable[[Piece], Scalar | None]) -> Scalar:
        total: Scalar | None = None
        low, high = (const(end) for end in self.base.reach)
        segments = [low, *(const(Fraction(int(b))) for b in self.base.breaks), high]
        for formula, group in _alike(_refined(self.parts), integrand):
            for start, stop in itertools.pairwise(segments):
                term = self._panel(formula, group, start, stop)
                total = term if total is None else Op("add", (total, term))
        return total or const(0)

    def _panel(self, integrand: Scalar, group: list[Piece], start: Const, stop: Const) -> Scalar:
        """The integral between two noises over one piece, or over several whose ends are columns of the table then."""
        several = len(group) > 1
        points, weights = (list(values) for values in gauss(self.nodes))
        columns = [("u", column(points * len(group))), ("w", column(weights * len(group)))]
        if several:
            columns += [
                (name, column(float(getattr(piece, side)) for piece in group for _ in points))
                for name, side in (("a", "low"), ("b", "high"))
            ]
        low = self._end(Var("a") if several else _finite(group[0].low), start, stop, start)
        high = self._end(Var("b") if several else _finite(group[0].high), start, stop, stop)
        # in v = asinh(n) tails are as easy as the middle
        first, last = Op("asinh", (low,)), Op("asinh", (high,))
        width = Op("sub", (last, first))
        v = Op("add", (first, Op("mul", (width, Var("u")))))
        n = Op("sinh", (v,))
        y = Op("add", (self.at, Op("mul", (self.s, n))))
        density = Op("exp", (freeze(self.base.log_density(_N)),))
        weight = Op("mul", (Op("mul", (Var("w"), Op("cosh", (v,)))), bind(density, "n", n)))
        inside = Op("mul", (weight, bind(integrand, "y", y)))
        if several:
            return Over("sum", tuple(columns), (Op("mul", (width, inside)),))
        return Op("mul", (width, Over("sum", tuple(columns), (inside,))))

    def _end(self, end: Scalar | None, start: Const, stop: Const, outer: Const) -> Scalar:
        if end is None:
            return outer
        z = Op("div", (Op("sub", (end, self.at)), self.s))
        return Op("min", (stop, Op("max", (start, z))))


def _finite(end: Any) -> Scalar | None:
    return None if end.is_infinite else freeze(end)


def _alike(parts: list[Piece], integrand: Callable[[Piece], Scalar | None]) -> list[tuple[Scalar, list[Piece]]]:
    """Pieces by what is integrated on them: one table serves all that lie between two numbers and have the same."""
    groups: dict[tuple[Scalar, Piece | None], list[Piece]] = {}
    for part in parts:
        formula = integrand(part)
        if formula is not None:
            endless = part.low.is_infinite or part.high.is_infinite
            groups.setdefault((formula, part if endless else None), []).append(part)
    return [(formula, group) for (formula, _), group in groups.items()]


_CUTS = tuple(sympy.Rational(*cut) for cut in ((-6, 1), (-3, 2), (3, 2), (6, 1)))


def _refined(parts: tuple[Piece, ...]) -> list[Piece]:
    """Pieces that are no polynomials are split around y = 0 too, where people's functions vary."""
    result: list[Piece] = []
    for part in parts:
        ends = [part.low, *(cut for cut in _CUTS if part.degree < 0 and part.low < cut < part.high), part.high]
        result += [Piece(low, high, part.polynomial) for low, high in itertools.pairwise(ends)]
    return result


def settled(rule: NoiseRule) -> NoiseRule:
    """The rule with the fewest nodes for which twice as many change no expectation, or with the most that are allowed."""
    energies = np.array([-17.3, -6.1, -2.6, -1.0, -0.3, 0.1, 0.7, 2.1, 5.2, 17.9])

    def means(rule: NoiseRule) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(np.broadcast_to(array(rule.expectation(), e=energies), energies.shape))

    found = means(rule)
    while rule.nodes < _MOST:
        finer = replace(rule, nodes=2 * rule.nodes)
        next_found = means(finer)
        if np.all(np.abs(next_found - found) <= 1e-13 * (1 + np.abs(next_found))):
            return rule
        rule, found = finer, next_found
    return rule
