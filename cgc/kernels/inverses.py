"""Draws from distributions with a parameter, as inverse distribution functions of one random word: their values, and their derivatives with
respect to the parameter at the same word."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from cgc.kernels import arithmetic
from cgc.kernels.code import Value, define, maximum, minimum, operation, select
from cgc.kernels.random import Source, exponential, fraction, lower, normal, whole

FAR = -2.0
"""Below this mean, the quantile of a positive normal number is found by two steps of Newton's method, from where the Mills ratio does not
change: what is left of the error is 4e-7 of it."""

FLAT = 0.02
"""Tilts that are so small are written as a series: derivatives elsewhere are differences divided by them."""


def _uniform(source: Source) -> tuple[Value, Value]:
    """A number between 0 and 1 and what it lacks of 1, with the digits of whichever is small; it is that whose logarithm
    ``-exponential(source)`` is."""
    return fraction(source), select(lower(source), 1.0 - source.share, source.share)


def _positive_normal(z: Value, u: Value, rest: Value, wait: Value) -> Value:
    # Φ(z - v) = u Φ(z), u = 1 - rest = exp(-wait)
    low, high = u * arithmetic.norm_moment(0, z), rest + u * arithmetic.norm_moment(0, -z)
    size = operation("call", "normal_quantile", minimum(maximum(minimum(low, high), 2.0**-33), 0.5))
    near = z + select(low < high, size, -size)
    # log Φ(z - v) - log Φ(z) = -wait, where terms in z² cancel
    t = maximum(-z, -FAR)
    v = 2.0 * wait / (operation("sqrt", t * t + 2.0 * wait) + t)
    for _ in range(2):
        mills = arithmetic.log_mills_above(t + v)
        off = wait + mills - arithmetic.log_mills_above(t) - v * (0.5 * v + t)
        v = v + off * float(np.float32(math.sqrt(2 * math.pi))) * arithmetic.exp(mills)
    return maximum(select(z < FAR, v, near), 0.0)


def positive_normal(z: Value, source: Source) -> tuple[Value, Value]:
    """z + n given that it is positive, n ~ N(0, 1)."""
    normal(whole(source.side))  # defines its quantile
    names = ("z", "u", "rest", "wait")
    define("positive_normal", _positive_normal, "v with Φ(z - v) = u Φ(z), u = 1 - rest = exp(-wait).", names)
    wait = exponential(source)
    v = operation("call", "positive_normal", z, *_uniform(source), wait)
    return v, -arithmetic.expm1(minimum(v * (0.5 * v - z) - wait, 0.0))


def _tilted(k: Value, u: Value, rest: Value) -> Value:
    # for k > 0
    far = maximum(k, FLAT)
    flat = u * (1.0 + 0.5 * k * rest * (1.0 + k * (rest - u) * float(1 / 3)))
    away = -rest * arithmetic.expm1(-far)
    left = select(away < 0.5, arithmetic.log1p(-away), arithmetic.log(u + rest * arithmetic.exp(-far)))
    return select(k < FLAT, flat, 1.0 + left / far)


def _tilted_slope(k: Value, u: Value, rest: Value, x: Value) -> Value:
    far = maximum(k, FLAT)
    flat = u * rest * (0.5 + k * (rest - u) * float(1 / 3))
    return select(k < FLAT, flat, (u / (u + rest * arithmetic.exp(-far)) - x) / far)


def tilted_uniform(k: Value, source: Source) -> tuple[Value, Value]:
    """A number in [0, 1] with density ∝ exp(k x)."""
    u, rest = _uniform(source)
    define("tilted", _tilted, "x with (e^(k x) - 1)/(e^k - 1) = u = 1 - rest, k > 0.", ("k", "u", "rest"))
    size, falling = operation("abs", k), k < 0.0
    x = operation("call", "tilted", size, u, rest)
    slope = _tilted_slope(size, u, rest, x)
    return select(falling, 1.0 - x, x), slope


INVERSES: dict[str, Callable[[Value, Source], tuple[Value, Value]]] = {
    "draw_truncated_normal": positive_normal, "draw_tilted_uniform": tilted_uniform,
}  # fmt: skip
"""By the operation of the scalar tree."""
