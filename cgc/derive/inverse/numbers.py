"""Numbers that people write, recognised from many digits."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import sympy
from mpmath import mp

DIGITS = 60
AGREES = mp.mpf(10) ** -28


def number_of(number: Any, tolerance: Any = AGREES) -> Any:
    """The number that people would write: a fraction, a short decimal, its root, a multiple of π, a logarithm; else 17 digits."""
    if abs(number) <= tolerance:
        return sympy.Integer(0)
    sign = 1 if number > 0 else -1
    size = abs(number)
    forms: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
        (size, lambda r: r), (size**2, sympy.sqrt), (size / mp.pi, lambda r: r * sympy.pi), (size * mp.pi, lambda r: r / sympy.pi),
        (size**2 * mp.pi, lambda r: sympy.sqrt(r / sympy.pi)), (size**2 / mp.pi, lambda r: sympy.sqrt(r * sympy.pi)),
        ((size / mp.pi) ** 2, lambda r: sympy.sqrt(r) * sympy.pi), ((size * mp.pi) ** 2, lambda r: sympy.sqrt(r) / sympy.pi),
        (mpmath.exp(size) if size < 9 else mp.mpf(0), sympy.log), (mpmath.log(size), sympy.exp),
    )  # fmt: skip
    for at, build in forms:
        found = _rational(at, tolerance * max(1, abs(at)))
        if found is not None and found != 0:
            return sign * build(found)
    return sympy.Rational(mpmath.nstr(number, 17))


def _rational(number: Any, tolerance: Any) -> Any | None:
    """A fraction below 1000/1000 in lowest terms, or a decimal of at most 18 digits."""
    if abs(number) > 10**12 or abs(number) <= tolerance:
        return None
    with mp.workdps(max(mp.dps, DIGITS)):
        near = Fraction(mpmath.nstr(number, 50)).limit_denominator(1000)
        if abs(mp.mpf(near.numerator) / near.denominator - number) <= tolerance:
            return sympy.Rational(near.numerator, near.denominator)
        for places in range(1, 19):
            whole = mpmath.nint(number * 10**places)
            if abs(whole / mp.mpf(10) ** places - number) <= min(tolerance, mp.mpf(10) ** (-places - 8)):
                return sympy.Rational(int(whole), 10**places)
    return None
