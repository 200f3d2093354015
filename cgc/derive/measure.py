"""How many digits a formula keeps as floats compute it: emulated with 24 bits and the range of float32, against many digits.

mpmath computes the same on every machine, so what is decided by a measurement depends on the formula alone. An error counts
relative to |f| + |e f'|, the size of f and of what a rounding of e does to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mpmath
from mpmath import mp

from cgc.formula.dual import dual
from cgc.formula.scalar import Scalar, shared

# one text, to be read as the list that it is
_WRITTEN = """
1e-30 1e-20 1e-14 1e-10 1e-7 1e-5 1e-4 1e-3 0.003 0.01 0.03 0.06 0.1 0.17 0.3 0.5 0.75 1 1.3 1.7 2.2 3 4 5.5 7 9 12 16 22 30 45 70 87
100 200 500 1000 3000 9000
"""
DIGITS = 60
# less than half of what the accuracy contract allows in float32
ENOUGH = 4e-6
_TINY = mp.mpf(10) ** -30


@dataclass(frozen=True)
class Truth:
    """An exact formula of e. Where ``scale``, if there is one, vanishes with its slope, ``certain`` takes its place."""

    formula: Scalar
    scale: Scalar | None = None
    certain: Scalar | None = None

    def __call__(self, e: Any) -> tuple[Any, Any]:
        """Value and slope at mpmath's current precision."""
        return dual(self._at(e), "e", e=e)

    def value(self, e: Any) -> Any:
        """The value alone, for about half of the work."""
        return dual(self._at(e), "", e=e)[0]

    def _at(self, e: Any) -> Scalar:
        if self.scale is None or self.certain is None or dual(self.scale, "", e=e)[0] != 0:
            return self.formula
        return self.certain if dual(self.scale, "e", e=e)[1] == 0 else self.formula


@dataclass(frozen=True)
class Point:
    """An energy with the true value and slope of a formula there."""

    e: Any
    value: Any
    slope: Any
    truth: Truth

    @cached_property
    def curve(self) -> Any:
        """The second derivative, needed only where a slope is off by more than its own size excuses."""
        with mp.workdps(digits_at(self.e)):
            step = abs(self.e) * mp.mpf(10) ** -20
            return (self.truth(self.e + step)[1] - self.truth(self.e - step)[1]) / (2 * step) if self.e else mp.zero


def truth_of(scalar: Scalar) -> Truth:
    """Value and slope of an exact formula, as a function of e."""
    return Truth(shared(scalar))


def energies(breaks: Sequence[Any] = ()) -> list[Any]:
    """Where formulas are measured: both sides of 0 from 1e-30 to 9e3, and around break points."""
    with mp.workdps(40):
        side = [mp.mpf(written) for written in _WRITTEN.split()]
        around = [mp.mpf(b) + d for b in breaks if b for d in (-1, -mp.mpf("0.1"), -mp.mpf("1e-3"), 0, mp.mpf("1e-3"), mp.mpf("0.1"), 1)]
    with mp.workprec(24):  # numbers that both kinds of floats hold
        return sorted({+e for e in (*(-s for s in side), *side, *around)})


def digits_at(e: Any) -> int:
    """Digits for the truth at an energy: next to 0, a removable singularity costs several times those of e."""
    return DIGITS + (int(-4 * mpmath.log10(abs(e))) if 0 < abs(e) < 1e-5 else 0)


def points(truth: Truth, grid: Sequence[Any]) -> list[Point]:
    """The true values on a grid; energies at which the formula has no value are left out."""
    found = []
    for e in grid:
        with mp.workdps(digits_at(e)):
            try:
                value, slope = truth(e)
            except (ArithmeticError, ValueError, TypeError, mpmath.libmp.NoConvergence):
                continue
            if all(isinstance(number, mpmath.mpf) and mpmath.isfinite(number) for number in (value, slope)):
                found.append(Point(e, value, slope, truth))
    return found


# what processors round correctly; of other functions libraries give a neighbour
_CORRECT = frozenset(
    ("add", "sub", "mul", "div", "neg", "abs", "sign", "sqrt", "power", "floored", "bounded", "polynomial", "round", "pi", "euler", "const")
)
_ULP = mp.mpf(2) ** -23


def _as_float(number: Any, operation: str) -> Any:
    """A result of 24 bits as float32 would have it: out of range infinite or 0, and functions off by up to one unit in the last place,
    by an amount that their value alone decides."""
    if not isinstance(number, mpmath.mpf):
        return mp.nan
    size = abs(number)
    if size > 3.4e38:
        return mp.inf if number > 0 else -mp.inf
    if size < 1e-45:
        return mp.zero
    if operation in _CORRECT:
        return number
    # Knuth's multiplicative hashing of the digits
    spread = (number.man * 2654435761 >> 7) % 65536
    return number * (1 + (mp.mpf(spread) / 32768 - 1) * _ULP)


def error(scalar: Scalar, point: Point) -> float:
    """The larger of the errors of value and of slope, as float32 would compute them. What float32 cannot hold is no error."""
    try:
        with mp.workprec(24):
            value, slope = dual(scalar, "e", _as_float, e=point.e)
    except (ArithmeticError, ValueError, TypeError, mpmath.libmp.NoConvergence):
        return float("inf")
    first = _relative(value, point.value, abs(point.value) + abs(point.e * point.slope))
    second = _relative(slope, point.slope, abs(point.slope))
    if ENOUGH < second < float("inf") or (second == float("inf") and mpmath.isfinite(slope)):
        with contextlib.suppress(ArithmeticError, ValueError, mpmath.libmp.NoConvergence):
            second = _relative(slope, point.slope, abs(point.slope) + abs(point.e * point.curve))
    return max(first, second)


def _relative(got: Any, wanted: Any, scale: Any) -> float:
    if abs(wanted) > 1e37:
        return 0.0
    if not mpmath.isfinite(got):
        return float("inf")
    difference = abs(got - wanted)
    return 0.0 if difference <= _TINY else float(difference / scale) if scale else float("inf")
