"""Draws of whole numbers, as inverse distribution functions of one random word: Poisson, and so many trials of a binomial one at a time.

Few are counted: how many partial sums of the distribution are below the word's uniform number. A Poisson draw of a large mean λ follows
from the word's normal number z instead, as the whole part of s with Q(s, λ) = Φ(z): s = λ r(ζ) + ε_0(ζ) + ε_1(ζ)/λ + …, ζ = z/√λ, where r
solves ζ²/2 = 1 - r + r log r (Temme's uniform expansion once more). s is off by 1e-5 at most, 4e-5 where it is drawn once in a billion
times.
"""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
from mpmath import mp

from cgc.kernels import arithmetic
from cgc.kernels.code import Value, define, maximum, minimum, operation, power, select
from cgc.kernels.fit import Numbers, coefficients, horner, surface
from cgc.kernels.gamma import log_share
from cgc.kernels.random import Source, fraction, normal

LARGE = 24.0
"""From this mean on, Poisson draws follow from normal ones."""

BLOCK = 96
"""So many trials are counted with one word: in floats, 2^-96 is not far from the smallest, nor is a count more than a sum of few terms."""

_MOST = 58  # a larger number is drawn once in a billion times with the mean ``LARGE``
_FARTHEST = 6.0
_NOTHING = float(np.float32(1e-37))  # terms that are too small for normal floats take processors long
_WHOLE = 2.0**23


def _floor(x: Value) -> Value:
    # floats from 2^23 on are whole
    nearest = (x + _WHOLE) - _WHOLE
    return select(x < _WHOLE, select(x < nearest, nearest - 1.0, nearest), x)


def _poisson_small(mean: Value, u: Value) -> Value:
    term = collected = arithmetic.exp(-mean)
    count = select(u < collected, 0.0, 1.0)
    for k in range(1, _MOST):
        term = term * (mean * float(np.float32(1 / k))) + _NOTHING
        collected = collected + term
        count = count + select(u < collected, 0.0, 1.0)
    return count


def _poisson_large(mean: Value, z: Value) -> Value:
    z = minimum(maximum(z, -_FARTHEST), _FARTHEST)
    root = operation("sqrt", mean)
    zeta, t = z / root, 1.0 / mean
    main, rest = _numbers()
    along = [horner(t, column) for column in zip(*rest, strict=True)]
    return maximum(_floor(mean + (root * z + (z * z * horner(zeta, main) + horner(zeta, along)))), 0.0)


def poisson(mean: Value, source: Source) -> Value:
    """A Poisson draw; from 10^9 on, as torch, of that mean."""
    define("poisson_small", _poisson_small, "The least k with P(N ≤ k) > u, N Poisson with a mean below 24.", ("mean", "u"))
    define("poisson_large", _poisson_large, "The same for a larger mean and u = Φ(z).", ("mean", "z"))
    few = minimum(mean, LARGE)
    small = operation("call", "poisson_small", few, fraction(source))
    large = operation("call", "poisson_large", maximum(minimum(mean, 1e9), LARGE), normal(source))
    return select(mean < LARGE, small, large)


def binomial(trials: int, p: Value, source: Source) -> Value:
    """How many of ``trials``, up to ``BLOCK``, succeed with probability p."""

    def count(p: Value, u: Value) -> Value:
        # of the rarer outcome, so that the first term is no less than 2^-trials
        rare = minimum(p, 1.0 - p)
        term = collected = power(1.0 - rare, trials)
        odds = rare / (1.0 - rare)
        found = select(u < collected, 0.0, 1.0)
        # more than that are half of them and six standard deviations
        for k in range(1, min(trials, trials // 2 + math.ceil(3.2 * math.sqrt(trials)))):
            term = term * (odds * float(np.float32((trials - k + 1) / k))) + _NOTHING
            collected = collected + term
            found = found + select(u < collected, 0.0, 1.0)
        return select(p > 0.5, float(trials) - found, found)

    name = f"binomial_{trials}"
    define(name, count, f"How many of {trials} trials succeed: from the rarer outcome's side the least k with P(N ≤ k) > u.", ("p", "u"))
    return operation("call", name, p, fraction(source))


# --- what the polynomials are found from


def _numbers() -> tuple[tuple[float, ...], Numbers]:
    reach = _FARTHEST / LARGE**0.5
    main = coefficients("poisson_draw", lambda x: (_ratio(x) - 1 - x) / x**2 if x else mp.one / 6, -reach, reach, 10)
    rest = surface("poisson_draw_rest", lambda x, t: _exact(x, t) - _ratio(x) / t, -reach, reach, 8, 1 / LARGE, 3)
    return main, rest


def _ratio(x: Any) -> Any:
    """r with x²/2 = 1 - r + r log r, on the side of x, by Newton's method."""
    if not x:
        return mp.one
    r = max(1 + x + x * x / 6, mp.mpf("0.02"))
    for _ in range(100):
        step = (1 - r + r * mpmath.log(r) - x * x / 2) / mpmath.log(r)
        r = r - step if r > step else r / 2
        if abs(step) < mpmath.mpf(10) ** -24:
            break
    return r


def _exact(x: Any, t: Any) -> Any:
    """s with Q(s, λ) = Φ(x √λ), λ = 1/t."""
    mean, z = 1 / t, x / mpmath.sqrt(t)
    goal = log_share(abs(z))

    def off(s: Any) -> Any:
        reached = mpmath.gammainc(s, mean, mp.inf, regularized=True) if z < 0 else mpmath.gammainc(s, 0, mean, regularized=True)
        return mpmath.log(reached) - goal

    start = mean * _ratio(x)
    return mpmath.findroot(off, (start, start + mp.mpf("0.3")), solver="secant", tol=1e-24, verify=False)


def define_all() -> None:
    """Find every number of this file."""
    _numbers()
