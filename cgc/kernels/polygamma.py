"""Derivatives of the logarithm of the gamma function, at positive numbers: by recurrence to where Stirling's series has its digits
(DLMF 5.5, 5.11, 5.15)."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from cgc.kernels import arithmetic
from cgc.kernels.code import Value, constant, define, operation, power

_STEPS = 6
_BERNOULLI = (Fraction(1, 6), Fraction(-1, 30), Fraction(1, 42), Fraction(-1, 30))


def polygamma(order: int, x: Value) -> Value:
    """The derivative of that order of the digamma function, x > 0."""
    name = f"polygamma_{order}"
    define(name, lambda x: _polygamma(order, x), f"Derivative {order} of the digamma function, x > 0.")
    return operation("call", name, x)


def _polygamma(order: int, x: Value) -> Value:
    sign = 1.0 if order % 2 else -1.0
    steps = [power(1.0 / (x + float(k)), order + 1) for k in range(_STEPS)]
    # the smallest first
    near = steps[-1]
    for step in reversed(steps[:-1]):
        near = near + step
    y = x + float(_STEPS)
    inverse = 1.0 / y
    square = inverse * inverse
    series: Value = constant(0.0)
    for k in reversed(range(1, len(_BERNOULLI) + 1)):
        factor = _BERNOULLI[k - 1] * Fraction(math.factorial(2 * k + order - 1), math.factorial(2 * k))
        series = (series + float(np.float32(factor))) * square
    far = power(inverse, order) * (math.factorial(max(order, 1) - 1) + math.factorial(order) * 0.5 * inverse + series)
    if order == 0:
        # log y in the place of y⁰/0
        far = 0.5 * inverse + series - arithmetic.log(y)
    return sign * (float(math.factorial(order)) * near + far)
