"""Guarded series: where a formula loses its digits on a bounded interval, a polynomial that is found from the formula itself.

A removable singularity such as coth(e) - 1/e at 0, or the zero of a difference, costs digits near one energy only. There the
formula's own values, in many digits, give a polynomial; everywhere else the formula stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import mpmath
from mpmath import mp

from cgc.derive.measure import DIGITS, ENOUGH, Point, Truth, digits_at, error, points
from cgc.formula.scalar import Op, Scalar, Var, bind, const, shared

_E = Var("e")
_NODES = 32
_HIGHEST = 26
_PARTS = 6
# what loses its digits over more than this does not do so because of one energy
_WIDEST = 12
_LARGEST = mp.mpf(10) ** 25


@dataclass(frozen=True)
class Series:
    """A polynomial in e - ``centre`` in place of the formula, for ``low`` < e < ``high``."""

    low: Any
    high: Any
    centre: Any
    degree: int


@dataclass(frozen=True)
class Guarded:
    """A formula with its guards, and the largest error that is left on the grid."""

    scalar: Scalar
    series: tuple[Series, ...]
    error: float


def guarded(scalar: Scalar, truth: Truth, grid: Sequence[Point], errors: Sequence[float], wholly: bool) -> Guarded | None:
    """``scalar`` with a series wherever the points of ``grid`` show, by their ``errors``, that it loses its digits; None where one is
    wanted ``wholly``, and somewhere there is no such series."""
    scalar = shared(scalar)
    result, made, left = scalar, [], 0.0
    for first, last in _runs(grid, errors):
        found = None if first == 0 or last == len(grid) - 1 else _around(first, last, grid, truth)
        if found is None:
            if wholly:
                return None
            left = max(left, *errors[first : last + 1])
            continue
        for series, polynomial in found:
            result = _with(result, series, polynomial)
            made.append(series)
    good = [e for e in errors if e <= ENOUGH]
    return Guarded(result, tuple(made), max([left, *good]))


def _around(first: int, last: int, grid: Sequence[Point], truth: Truth) -> list[tuple[Series, Scalar]] | None:
    if grid[last].e - grid[first].e > _WIDEST:
        return None
    # up to a point farther out than the first good one, if that can be: next to it digits are few still
    wide = _cover(_end(grid[max(first - 2, 0)].e), _end(grid[min(last + 2, len(grid) - 1)].e), truth, 1)
    return wide or _cover(_end(grid[first - 1].e), _end(grid[last + 1].e), truth, _PARTS)


# closer to 0 than this, an absolute error is excused by its size: such points tell nothing
_NOTHING = 1e-18


def _end(e: Any) -> Any:
    """The end of an interval: 0 itself where a point next to it was the first good one."""
    return mp.zero if abs(e) < _NOTHING else e


def _runs(grid: Sequence[Point], errors: Sequence[float]) -> list[tuple[int, int]]:
    """Runs of neighbouring points that are too far off; runs with one good point between them are one."""
    runs: list[list[int]] = []
    for k, e in enumerate(errors):
        if e <= ENOUGH:
            continue
        if runs and all(abs(grid[j].e) < _NOTHING or k - runs[-1][1] == 2 for j in range(runs[-1][1] + 1, k)):
            runs[-1][1] = k
        else:
            runs.append([k, k])
    return [(a, b) for a, b in runs]


def _cover(low: Any, high: Any, truth: Truth, parts: int) -> list[tuple[Series, Scalar]] | None:
    """Polynomials that together cover an interval; split at 0, where scales have corners, or in the middle."""
    if not low < high:
        return None
    fitted = _fit(low, high, truth)
    if fitted is not None and _holds(fitted[0], fitted[1], truth):
        return [fitted]
    if parts < 2:
        return None
    middle = mp.zero if low < 0 < high else (low + high) / 2
    left = _cover(low, middle, truth, parts // 2)
    right = None if left is None else _cover(middle, high, truth, parts // 2)
    return None if left is None or right is None else [*left, *right]


@lru_cache(maxsize=64)  # other candidates ask for the same intervals
def _fit(low: Any, high: Any, truth: Truth) -> tuple[Series, Scalar] | None:
    with mp.workdps(DIGITS):
        centre = mp.zero if low <= 0 <= high else +(low + high) / 2
        radius = max(high - centre, centre - low)
        middle, half = (low + high) / 2, (high - low) / 2
        waves = _waves()
        nodes = [middle + half * wave for wave in waves[1]]
        try:
            values = [truth.value(e) for e in nodes]
            edge = centre + (radius if high > centre else -radius) * mp.mpf(10) ** -30
            with mp.workdps(digits_at(edge)):
                near = truth.value(edge)
        except (ArithmeticError, ValueError, TypeError, mpmath.libmp.NoConvergence):
            return None
        size = max(abs(v) for v in values)
        if not mpmath.isfinite(size) or size == 0:
            return None
        # a zero at the centre becomes a factor, so that the digits beside it are relative to the value
        order = 0
        while order < 4 and abs(near) < size * mp.mpf(10) ** -20:
            values = [v / (e - centre) for v, e in zip(values, nodes, strict=True)]
            near /= edge - centre
            size = max(abs(v) for v in values)
            order += 1
        chebyshev = [
            mpmath.fsum(v * wave for v, wave in zip(values, waves[j], strict=True)) * (2 - (j == 0)) / _NODES for j in range(_NODES)
        ]
        floor = min(abs(v) for v in values)
        if abs(chebyshev[-1]) + abs(chebyshev[-2]) > 1e-20 * size:
            return None  # not smooth here
        # all coefficients first: the low ones have to be right far beyond the precision at which the high ones are cut off
        powers = [c * radius**k for k, c in enumerate(_monomials(chebyshev, middle - centre, half))]
        degree = next(
            (d for d in range(_HIGHEST + 1) if mpmath.fsum(k * abs(c) for k, c in enumerate(powers) if k > d) < 1e-15 * floor), None
        )
        if degree is None:
            return None
        kept = [c if abs(c) > size * mp.mpf(10) ** -19 else mp.zero for c in powers[: degree + 1]]
        # in powers of the plain distance, unless coefficients would outgrow floats
        plain = [c / radius**k for k, c in enumerate(kept)]
        if all(abs(c) < _LARGEST for c in plain):
            return Series(low, high, centre, degree + order), _written(plain, centre, order, mp.one)
    return Series(low, high, centre, degree + order), _written(kept, centre, order, radius)


@cache
def _waves() -> tuple[tuple[Any, ...], ...]:
    """cos(j a_k) at the Chebyshev points cos(a_k)."""
    with mp.workdps(DIGITS):
        angles = [mp.pi * (k + mp.mpf(1) / 2) / _NODES for k in range(_NODES)]
        return tuple(tuple(mpmath.cos(j * a) for a in angles) for j in range(_NODES))


def _monomials(chebyshev: list[Any], shift: Any, half: Any) -> list[Any]:
    """Coefficients in powers of d of Σ c_j T_j((d - shift)/half)."""
    previous, current = [mp.one], [-shift / half, 1 / half]
    total = [chebyshev[0]]
    for j, c in enumerate(chebyshev[1:], 1):
        total = [(total[k] if k < len(total) else mp.zero) + c * t for k, t in enumerate(current)]
        if j + 1 < len(chebyshev):
            twice = [mp.zero, *(2 * t / half for t in current)]
            for k, t in enumerate(current):
                twice[k] -= 2 * t * shift / half
            for k, t in enumerate(previous):
                twice[k] -= t
            previous, current = current, twice
    return total


def _written(coefficients: list[Any], centre: Any, order: int, unit: Any) -> Scalar:
    """Σ c_k (d / unit)^k · d^order for the distance d from the centre."""
    size = max(abs(c) for c in coefficients)
    even = all(abs(c) < size * mp.mpf(10) ** -40 for c in coefficients[1::2])
    distance: Scalar = _E if centre == 0 else Op("sub", (_E, const(float(centre))))
    kept = coefficients[::2] if even and len(coefficients) > 1 else coefficients
    step: Scalar = distance if unit == 1 else Op("mul", (distance, const(float(1 / unit))))
    variable = Op("mul", (step, step)) if even and len(coefficients) > 1 else step
    value: Scalar = Op("polynomial", (variable, *(const(float(c)) for c in kept))) if len(kept) > 1 else const(float(kept[0]))
    for _ in range(order):
        value = Op("mul", (distance, value))
    return value


def _holds(series: Series, polynomial: Scalar, truth: Truth) -> bool:
    shares = ("1e-12", "1e-5", "1e-3", "0.05", "0.21", "0.4", "0.63", "0.81", "0.97")
    ends = {series.low, series.high} - {series.centre}
    grid = [series.centre + (end - series.centre) * mp.mpf(share) for end in sorted(ends) for share in shares]
    with mp.workprec(24):
        grid = [+e for e in grid]
    known = points(truth, grid)
    return len(known) == len(grid) and all(error(polynomial, point) <= ENOUGH for point in known)


def _with(scalar: Scalar, series: Series, polynomial: Scalar) -> Scalar:
    """The polynomial inside the interval, the formula outside; neither sees energies of the other."""
    low, high = const(float(series.low)), const(float(series.high))
    if series.low == -series.high:
        inside: Scalar = Op("lt", (Op("abs", (_E,)), high))
    else:
        inside = Op("and", (Op("gt", (_E, low)), Op("le" if series.high == 0 else "lt", (_E, high))))
        if series.low == 0:
            inside = Op("and", (Op("ge", (_E, const(0))), Op("lt", (_E, high))))
        if series.high == 0:
            inside = Op("and", (Op("gt", (_E, low)), Op("lt", (_E, const(0)))))
    near = Op("min", (high, Op("max", (low, _E))))
    far = Op("where", (inside, high if series.high != 0 else low, _E))
    return Op("where", (inside, bind(polynomial, "e", near), bind(scalar, "e", far)))
