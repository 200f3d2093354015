"""log p(x | e) of a noise form: probabilities of the atoms, densities of the invertible pieces, by change of variables."""

from __future__ import annotations

import itertools
from typing import Any

import sympy

from cgc.derive.bases import Noise as Base
from cgc.derive.pieces import Piece, inside
from cgc.families.forms import E, X, Y
from cgc.formula.primitives import LogSumExp


def likelihood(base: Base, parts: tuple[Piece, ...], s: Any, at: Any, guarded: bool = True) -> tuple[Any | None, str]:
    """The log-likelihood in x and e, or None and the reason why there is none. ``s`` is the scale, Y = ``at`` + s·n.

    ``guarded`` keeps what a case does not take from overflowing; people read it without.
    """
    if len(parts) > 1 and any(part.polynomial.has(E) for part in parts):
        return None, "its pieces move with the energy"
    atoms: dict[Any, list[Any]] = {}
    branches: list[tuple[Any, Any, Any]] = []
    for part in parts:
        low = -sympy.oo if part.low is -sympy.oo else (part.low - at) / s
        high = sympy.oo if part.high is sympy.oo else (part.high - at) / s
        if part.degree == 0:
            atoms.setdefault(part.polynomial, []).append(_log_probability(base, low, high))
            continue
        found = _inverse(part)
        if found is None:
            return None, f"a piece of degree {part.degree} is not inverted" if part.degree > 0 else "a piece is not inverted"
        inverse, log_slope, ends = found
        middle = _off_atoms(parts, part.polynomial.subs(Y, at if part.degree >= 0 else inside(part)))
        density = base.log_density((inverse - at) / s) - sympy.log(s) - log_slope
        density = density.subs(X, middle) if guarded else density
        branches.append((*ends, _supported(base, (inverse - at) / s, density)))
    cases = [(_either(logs), sympy.Eq(X, state)) for state, logs in atoms.items()]
    bounds = sorted({end for low, high, _ in branches for end in (low, high)}, key=float)
    continuous: list[tuple[Any, Any, Any]] = []
    for low, high in itertools.pairwise(bounds):
        logs = [density for a, b, density in branches if a <= low and high <= b]
        if logs:
            _append(continuous, low, high, _either(logs))
    merged = [(log, _between_bounds(low, high)) for low, high, log in continuous]
    if not cases and len(merged) == 1 and merged[0][1] is sympy.true:
        return merged[0][0], ""
    return sympy.Piecewise(*cases, *merged, (-sympy.oo, True), evaluate=False), ""


def _inverse(part: Piece) -> tuple[Any, Any, tuple[Any, Any]] | None:
    """y as a function of x on a piece, log|value'(y)| as a function of x, and the ends of x; None where none is known."""
    function = part.polynomial
    if part.degree == 1:
        slope, shift = function.coeff(Y, 1), function.coeff(Y, 0)
        values = [_limit(function, end) for end in (part.low, part.high)] if not function.has(E) else [-sympy.oo, sympy.oo]
        return (X - shift) / slope, sympy.log(sympy.Abs(slope)), (min(values, key=float), max(values, key=float))
    rest, shift = function.as_independent(Y, as_Add=True)[::-1]
    factor, power = rest.as_independent(Y, as_Add=False)
    if not isinstance(power, sympy.exp) or function.has(E):
        return None
    exponent = sympy.expand(power.args[0])
    if not exponent.is_polynomial(Y) or sympy.degree(exponent, Y) != 1:
        return None
    rate, start = exponent.coeff(Y, 1), exponent.coeff(Y, 0)
    values = sorted((_limit(function, end) for end in (part.low, part.high)), key=float)
    # where x has no inverse it is out of bounds: any number will do
    ratio = sympy.Max((X - shift) / factor, sympy.Rational(1, 10**37))
    inverse = (sympy.log(ratio) - start) / rate
    return inverse, sympy.log(sympy.Abs(rate)) + sympy.log(sympy.Abs(factor)) + sympy.log(ratio), (values[0], values[1])


def _limit(function: Any, end: Any) -> Any:
    if not end.is_infinite:
        return function.subs(Y, end)
    found = sympy.limit(function, Y, end)
    return sympy.S.Zero if found == 0 else found


def _supported(base: Base, n: Any, density: Any) -> Any:
    """The log-density where the noise lives, minus infinity elsewhere."""
    bounds = [n >= base.low] if not base.low.is_infinite else []
    bounds += [n <= base.high] if not base.high.is_infinite else []
    return sympy.Piecewise((density, sympy.And(*bounds)), (-sympy.oo, True), evaluate=False) if bounds else density


def _off_atoms(parts: tuple[Piece, ...], middle: Any) -> Any:
    """x, but the middle of the density where x is an atom: the case not taken must not overflow, or its gradient is not 0 but undefined."""
    atoms = sorted({part.polynomial for part in parts if part.degree == 0}, key=sympy.default_sort_key)
    return sympy.Piecewise((middle, sympy.Or(*(sympy.Eq(X, atom) for atom in atoms))), (X, True), evaluate=False) if atoms else X


def _append(intervals: list[tuple[Any, Any, Any]], low: Any, high: Any, log: Any) -> None:
    """Add an interval with its log-density, joined to the last one where they touch and agree."""
    if intervals and intervals[-1][1] == low and sympy.expand(intervals[-1][2] - log) == 0:
        low = intervals.pop()[0]
    intervals.append((low, high, log))


def _between_bounds(low: Any, high: Any) -> Any:
    conditions = [] if low is -sympy.oo else [sympy.Ge(X, low)]
    if high is not sympy.oo:
        conditions.append(sympy.Lt(X, high))
    return sympy.And(*conditions)


def _log_probability(base: Base, low: Any, high: Any) -> Any:
    if low is -sympy.oo and high is sympy.oo:
        return sympy.Integer(0)
    if low is -sympy.oo:
        return base.log_cdf(high)
    return base.log_upper(low) if high is sympy.oo else base.log_interval(low, high)


def _either(logs: list[Any]) -> Any:
    return logs[0] if len(logs) == 1 else LogSumExp(*logs)
