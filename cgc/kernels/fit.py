"""Polynomials that stand in for functions in float32: found from the functions themselves, in mpmath, when they are first needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
from mpmath import mp

from cgc.kernels.code import Value, constant


@lru_cache(maxsize=256)
def coefficients(function: Callable[[Any], Any], low: float, high: float, degree: int) -> tuple[float, ...]:
    """The Chebyshev approximation on [low, high], rounded to float32, constant term first."""
    with mp.workdps(30):
        found = mpmath.chebyfit(function, [mp.mpf(low), mp.mpf(high)], degree + 1)
    return tuple(float(np.float32(c)) for c in reversed(found))


def fitted(function: Callable[[Any], Any], low: float, high: float, degree: int) -> Callable[[Value], Value]:
    """The polynomial of that degree which is nearly ``function`` on [low, high]."""
    return lambda x: horner(x, coefficients(function, low, high, degree))


def horner(x: Value, numbers: tuple[float, ...]) -> Value:
    """Σ c_k x^k."""
    total = constant(numbers[-1])
    for c in reversed(numbers[:-1]):
        total = total * x + c
    return total
