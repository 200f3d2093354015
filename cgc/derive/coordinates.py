"""A coordinate t on every support in which densities are smooth and their ends are far away: x = sinh t, a + exp t, or a logistic arc."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import numpy as np
import sympy

from cgc.families.forms import Support

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Coordinate:
    """x(t) and log|x'(t)| for t between ``low`` and ``high``."""

    support: Support
    low: float
    high: float

    def numpy(self, t: Array) -> tuple[Array, Array]:
        """x and log|x'| in float64."""
        a, b = (float(end) for end in (self.support.low, self.support.high))
        with np.errstate(all="ignore"):
            if np.isinf(a) and np.isinf(b):
                return np.sinh(t), np.log(np.cosh(t))
            if np.isinf(b):
                return a + np.exp(t), t
            if np.isinf(a):
                return b - np.exp(-t), -t
            share = 1 / (1 + np.exp(-t))
            return a + (b - a) * share, np.log(b - a) - np.logaddexp(0, -t) - np.logaddexp(0, t)

    def mp(self, t: Any) -> tuple[Any, Any]:
        """x and x' at mpmath's precision."""
        a, b = (_digits(end, mpmath.mp.dps + 5) for end in (self.support.low, self.support.high))
        if a is None and b is None:
            return mpmath.sinh(t), mpmath.cosh(t)
        if b is None:
            return a + mpmath.exp(t), mpmath.exp(t)
        if a is None:
            return b - mpmath.exp(-t), mpmath.exp(-t)
        share = 1 / (1 + mpmath.exp(-t))
        return a + (b - a) * share, (b - a) * share / (1 + mpmath.exp(t))


@cache
def _digits(end: Any, digits: int) -> Any:
    return None if end.is_infinite else mpmath.mpf(sympy.N(end, digits))


def coordinate(support: Support) -> Coordinate:
    """The coordinate of an interval."""
    a, b = support.low.is_infinite, support.high.is_infinite
    if a and b:
        return Coordinate(support, -38.0, 38.0)
    if b:
        return Coordinate(support, -80.0, 40.0)
    if a:
        return Coordinate(support, -40.0, 80.0)
    return Coordinate(support, -36.0, 36.0)
