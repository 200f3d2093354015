"""Draws with a parameter, against inverse distribution functions in mpmath: values and derivatives, at words from end to end."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp

from cgc.kernels.code import argument, given
from cgc.kernels.interpret import evaluate
from cgc.kernels.inverses import positive_normal, tilted_uniform
from cgc.kernels.random import whole

PARAMETERS = [-1e4, -40.0, -7.0, -2.5, -1.9, -0.3, -0.019, -1e-3, 0.0, 0.015, 0.021, 0.8, 3.0, 6.0, 40.0]
WORDS = [0, 1, 77, 2**16, 2**28 + 5, 2**30, 2**31 - 1, 2**31, 2**31 + 3, 2**31 + 2**20, 2**32 - 2**29, 2**32 - 1]


def share(w: int) -> Any:
    """The uniform number that a word stands for: near 0 with the highest bit, else near 1."""
    q = (mpmath.mpf(w & 0x7FFFFFFF) + mpmath.mpf("0.5")) / 2**32
    return q if w >> 31 else 1 - q


def positive(z: Any, u: Any) -> Any:
    """v with Φ(z - v) = u Φ(z), by bisection."""

    def log_cdf(a: Any) -> Any:
        return mpmath.log(mpmath.erfc(-a / mpmath.sqrt(2)) / 2)

    goal, low, high = mpmath.log(u) + log_cdf(z), mpmath.mpf(0), max(z, 0) + 60 / (1 + max(-z, 0))
    for _ in range(90):
        middle = (low + high) / 2
        low, high = (middle, high) if log_cdf(z - middle) > goal else (low, middle)
    return low


def tilted(k: Any, u: Any) -> Any:
    """x with (e^(kx) - 1)/(e^k - 1) = u, and from the other end where densities fall."""
    if k == 0:
        return u
    return mpmath.log1p(u * mpmath.expm1(k)) / k if k > 0 else 1 - tilted(-k, u)


@pytest.mark.parametrize(("build", "exact"), [(positive_normal, positive), (tilted_uniform, tilted)])
def test_inverses_have_their_digits(build: Any, exact: Any) -> None:
    value, slope = build(argument("p"), whole(given("w")))
    p, w = (grid.ravel() for grid in np.meshgrid(np.float32(PARAMETERS), np.uint32(WORDS)))
    found, slopes = evaluate((value, slope), {"p": p, "w": w})
    with mp.workdps(60):
        step = mpmath.mpf(10) ** -12
        for x, d, one, word in zip(found, slopes, p, w, strict=True):
            at, u = mpmath.mpf(float(one)), share(int(word))
            expected = exact(at, u)
            # far out, where a positive normal is once in a million times, digits are lost, and what is further out than words tell
            size = max(1, abs(at)) if at > 0 else 1 / max(1, abs(at) / 2) if build is positive_normal else 1
            rare = build is positive_normal and at >= -2 and abs(expected - at) > 4.7
            assert abs(x - expected) <= (0.6 if rare else 3e-6) * size, (one, word, x, mpmath.nstr(expected, 9))
            there = (exact(at + step, u) - exact(at - step, u)) / (2 * step) if at or build is positive_normal else u * (1 - u) / 2
            assert abs(d - there) <= (0.6 if rare else 3e-5), (one, word, d, mpmath.nstr(there, 9))
