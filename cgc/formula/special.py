"""Special functions that the stable primitives stand for: in mpmath, to the precision that is set, and in float64 numpy.

Each keeps its digits in the tails. What a primitive means is said in ``primitives.py``.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any

import mpmath
import numpy as np
from mpmath import mp

Array = np.ndarray[Any, np.dtype[np.float64]]

_ROOT = math.sqrt(0.5)
_HALF_LOG = 0.5 * math.log(2 * math.pi)


def _more(bits: float) -> Any:
    """Room for digits that cancel."""
    return mp.workprec(2 * mp.prec + 30 + int(min(max(bits, 0), 40_000)))


def _size(z: Any) -> float:
    return float(mpmath.log(1 + abs(z), 2))


# --- mpmath


def mp_norm_moment(k: Any, z: Any) -> Any:
    """E max(0, z + n)^k under standard normal noise."""
    k = int(k)
    if z < -(10**5):  # exp(-z²/2) is nothing that a float could hold
        return mp.zero
    # each order costs the digits of z twice, where z is far below 0
    with mp.workprec(mp.prec + 30 + int(2 * max(k, 2) * _size(z))):
        return _norm_moments(max(k, 2), mp.mpf(z), mp.prec)[k]


@lru_cache(maxsize=64)
def _norm_moments(k: int, z: Any, precision: int) -> list[Any]:
    # integration by parts: W_k = z W_(k-1) + (k-1) W_(k-2)
    cdf, pdf = (mp.one, mp.zero) if z > 10**5 else (mpmath.ncdf(z), mpmath.npdf(z))
    values = [cdf, z * cdf + pdf]
    for order in range(2, k + 1):
        values.append(z * values[-1] + (order - 1) * values[-2])
    return values


def mp_norm_excess(k: Any, z: Any) -> Any:
    """The k-th cumulant of z + n given that it is positive, k = 1, 2, 3, 4."""
    if z < -(10**12):
        return mpmath.factorial(int(k) - 1) / (-z) ** int(k)
    with _more(8 * _size(z)):
        moments = _norm_moments(int(k), mp.mpf(z), mp.prec)
        return _cumulant(int(k), [m / moments[0] for m in moments])


def _cumulant(k: int, m: list[Any]) -> Any:
    if k == 1:
        return m[1]
    if k == 2:
        return m[2] - m[1] ** 2
    if k == 3:
        return m[3] - 3 * m[1] * m[2] + 2 * m[1] ** 3
    return m[4] - 4 * m[1] * m[3] - 3 * m[2] ** 2 + 12 * m[1] ** 2 * m[2] - 6 * m[1] ** 4


def mp_logistic_moment(k: Any, z: Any) -> Any:
    """E max(0, z + n)^k under standard logistic noise: -k! Li_k(-exp z)."""
    k = int(k)
    if z > 0:
        with _more(k * _size(z)):
            whole = mpmath.fsum(mpmath.binomial(k, j) * _logistic_power(j) * mp.mpf(z) ** (k - j) for j in range(0, k + 1, 2))
            return whole - (-1) ** k * mp_logistic_moment(k, -z)
    total, x = mp.zero, mpmath.exp(z)
    for weight in reversed(_alternating(k, mp.prec)):
        total = (total + weight) * x
    return total


@cache
def _alternating(k: int, precision: int) -> tuple[Any, ...]:
    """Coefficients of exp z, exp 2z, ...: an alternating series of totally monotone terms, accelerated (Cohen, Rodriguez Villegas, Zagier
    2000)."""
    with mp.workprec(precision):
        terms = int(precision * 0.4) + 5
        d = (3 + mpmath.sqrt(8)) ** terms
        d = (d + 1 / d) / 2
        b, c, found = mp.mpf(-1), -d, []
        for n in range(terms):
            c = b - c
            found.append(mpmath.factorial(k) * c / (mp.mpf(n + 1) ** k * d))
            b = b * (n + terms) * (n - terms) / ((n + mp.mpf(1) / 2) * (n + 1))
        return tuple(found)


def _logistic_power(j: int) -> Any:
    return mp.one if j == 0 else (2**j - 2) * mp.pi**j * abs(mpmath.bernoulli(j))


def mp_gumbel_ramp(z: Any) -> Any:
    """E max(0, z + n) under standard Gumbel noise: the entire exponential integral of exp(z)."""
    if z > 700:  # exp(-exp(z)) is nothing
        return z + mp.euler
    x = mpmath.exp(z)
    if x < 1:
        total = term = x
        n = 1
        while abs(term) > abs(total) * mp.eps / 16:
            n += 1
            term = -term * x * (n - 1) / mp.mpf(n) ** 2
            total += term
        return total
    return mpmath.e1(x) + mpmath.log(x) + mp.euler


def mp_gumbel_fall(z: Any) -> Any:
    """E max(0, -z - n) under standard Gumbel noise: E_1(exp z)."""
    if z > 40:
        return mp.zero
    x = mpmath.exp(z)
    return mpmath.e1(x) if x >= 1 else mp_gumbel_ramp(z) - z - mp.euler


def mp_log_gumbel_upper(n: Any) -> Any:
    """log(1 - exp(-exp(-n)))."""
    if n < -700:
        return mp.zero
    u = mpmath.exp(-n)
    return mpmath.log(-mpmath.expm1(-u)) if u < 1 else mpmath.log1p(-mpmath.exp(-u))


def mp_exponential_fall(k: Any, t: Any) -> Any:
    """E max(0, t - n)^k under standard exponential noise."""
    k = int(k)
    if t <= 0:
        return mp.zero
    if t < k + 2:
        total = term = mp.mpf(t) ** (k + 1) / (k + 1)
        j = 0
        while abs(term) > abs(total) * mp.eps / 16:
            j += 1
            term = -term * t / (k + 1 + j)
            total += term
        return total
    whole = mpmath.fsum(mpmath.binomial(k, j) * mpmath.factorial(j) * (-1) ** j * mp.mpf(t) ** (k - j) for j in range(k + 1))
    return whole - (-1) ** k * mpmath.factorial(k) * mpmath.exp(-t)


def mp_log1mexp(t: Any) -> Any:
    """log(1 - exp(-t)), t > 0."""
    if t <= 0:
        return -mp.inf
    return mpmath.log(-mpmath.expm1(-t)) if t < 1 else mpmath.log1p(-mpmath.exp(-t) if t < 10**9 else mp.zero)


def mp_log_mills(z: Any) -> Any:
    """log Φ(z) + z²/2."""
    if z < -(10**5):
        return -mpmath.log(-z) - mpmath.log(2 * mp.pi) / 2 + mpmath.log1p(-1 / (z * z))
    with _more(2 * _size(z)):
        return mpmath.log(mpmath.ncdf(z)) + z * z / 2


def mp_inverse_sinh2(u: Any) -> Any:
    """1 / (4 sinh²(u/2))."""
    small = mpmath.exp(-abs(u))
    return small / mpmath.expm1(-abs(u)) ** 2


def mp_polynomial(x: Any, *coefficients: Any) -> Any:
    """Σ c_k x^k."""
    total = mp.zero
    for c in reversed(coefficients):
        total = total * x + c
    return total


# --- numpy

_erfc = np.vectorize(math.erfc, otypes=[np.float64])
_lgamma = np.vectorize(lambda x: math.inf if x <= 0 and x == math.floor(x) else math.lgamma(x), otypes=[np.float64])


def ndtr(x: Array) -> Array:
    """Φ(x)."""
    half: Array = 0.5 * _erfc(-np.asarray(x) * _ROOT)
    return half


def npdf(x: Array) -> Array:
    """φ(x)."""
    return np.exp(-0.5 * np.square(x) - _HALF_LOG)


def log_ndtr(x: Array) -> Array:
    """log Φ(x)."""
    x = np.asarray(x, dtype=np.float64)
    left = np.minimum(x, -1.0)
    right = np.maximum(x, -1.0)
    return np.where(x < -1, npdf_log(left) + np.log(mills(-left)), np.log1p(-ndtr(-right)))


def npdf_log(x: Array) -> Array:
    """log φ(x)."""
    return -0.5 * np.square(x) - _HALF_LOG


def mills(t: Array) -> Array:
    """Φ(-t)/φ(t) for t > 0."""
    t = np.asarray(t, dtype=np.float64)
    near = np.minimum(t, 4.0)
    far = np.maximum(t, 4.0)
    tail = np.zeros_like(far)
    for k in range(60, 0, -1):
        tail = k / (far + tail)
    return np.where(t < 4, ndtr(-near) / npdf(near), 1 / (far + tail))


def _ratios(t: Array, orders: int) -> list[Array]:
    """r_k = g_k / g_(k-1) with g_k = ∫ u^k exp(-tu - u²/2) du, by the continued fraction r_k = k / (t + r_(k+1))."""
    ratio = np.zeros_like(t)
    kept: list[Array] = []
    for k in range(300 + orders, 0, -1):
        ratio = k / (t + ratio)
        if k <= orders:
            kept.append(ratio)
    return kept[::-1]


def norm_moment(k: Any, z: Array) -> Array:
    """E max(0, z + n)^k, n standard normal."""
    order = int(k)
    z = np.asarray(z, dtype=np.float64)
    near = np.maximum(z, -1.5)
    values = [ndtr(near), near * ndtr(near) + npdf(near)]
    for j in range(2, order + 1):
        values.append(near * values[-1] + (j - 1) * values[-2])
    t = np.maximum(-z, 1.5)
    tail = npdf(t) * mills(t)
    for ratio in _ratios(t, order):
        tail = tail * ratio
    return np.where(z > -1.5, values[order], tail)


def norm_excess(k: Any, z: Array) -> Array:
    """The k-th cumulant of z + n given that it is positive, k = 1, 2, 3."""
    order = int(k)
    z = np.asarray(z, dtype=np.float64)
    near = np.maximum(z, -1.5)
    h = np.exp(npdf_log(near) - log_ndtr(near))
    m = near + h
    plain = [m, 1 - h * m, h * (m * (m + h) - 1)]
    t = np.maximum(-z, 1.5)
    ratios = _ratios(t, order)
    moments = [np.ones_like(t)]
    for ratio in ratios:
        moments.append(moments[-1] * ratio)
    far: Array = _cumulant(order, moments)
    return np.where(z > -1.5, plain[order - 1], far)


@cache
def alternating_weights(terms: int = 24) -> tuple[float, ...]:
    """Weights that sum an alternating series of totally monotone terms to float64 (Cohen, Rodriguez Villegas, Zagier 2000)."""
    with mp.workdps(40):
        d = (3 + mpmath.sqrt(8)) ** terms
        d = (d + 1 / d) / 2
        b, c, weights = mp.mpf(-1), -d, []
        for n in range(terms):
            c = b - c
            weights.append(float(c / d))
            b = b * (n + terms) * (n - terms) / ((n + mp.mpf(1) / 2) * (n + 1))
    return tuple(weights)


def logistic_moment(k: Any, z: Array) -> Array:
    """E max(0, z + n)^k, n standard logistic."""
    order = int(k)
    z = np.asarray(z, dtype=np.float64)
    x = np.exp(-np.abs(z))
    tail = np.zeros_like(x)
    for n, weight in reversed(list(enumerate(alternating_weights(), 1))):
        tail = (tail + weight / n**order) * x
    tail = math.factorial(order) * tail
    right = np.maximum(z, 0.0)
    whole = sum(math.comb(order, j) * float(_logistic_power(j)) * right ** (order - j) for j in range(0, order + 1, 2))
    return np.where(z > 0, whole - (-1) ** order * tail, tail)


def gumbel_ramp(z: Array) -> Array:
    """E max(0, z + n), n standard Gumbel."""
    z = np.asarray(z, dtype=np.float64)
    right = np.maximum(z, 0.0)
    return np.where(z < 0.5, _ein(np.exp(np.minimum(z, 0.5))), right + np.euler_gamma + _e1(np.exp(np.clip(z, 0.5, 7.0))))


def gumbel_fall(z: Array) -> Array:
    """E max(0, -z - n), n standard Gumbel."""
    z = np.asarray(z, dtype=np.float64)
    left = np.minimum(z, 0.5)
    return np.where(z < 0.5, _ein(np.exp(left)) - left - np.euler_gamma, _e1(np.exp(np.clip(z, 0.5, 7.0))))


def _ein(x: Array) -> Array:
    total, term = x, x
    for n in range(2, 30):
        term = -term * x * (n - 1) / n**2
        total = total + term
    return total


def _e1(x: Array) -> Array:
    """E_1 for x > 1.6, by its continued fraction."""
    tail = np.zeros_like(x)
    for k in range(60, 0, -1):
        tail = k / (1 + k / (x + tail))
    return np.exp(-x) / (x + tail)


def log_gumbel_upper(n: Array) -> Array:
    """log(1 - exp(-exp(-n)))."""
    n = np.asarray(n, dtype=np.float64)
    u = np.exp(-np.clip(n, -7.0, 40.0))
    near = np.where(u < 1, np.log(-np.expm1(-np.minimum(u, 1.0))), np.log1p(-np.exp(-np.maximum(u, 1.0))))
    return np.where(n > 40, -n, near)


def exponential_fall(k: Any, t: Array) -> Array:
    """E max(0, t - n)^k, n standard exponential."""
    order = int(k)
    t = np.maximum(np.asarray(t, dtype=np.float64), 0.0)
    small = np.minimum(t, order + 1.0)
    term = small ** (order + 1) / (order + 1)
    total = term
    for j in range(1, 40):
        term = -term * small / (order + 1 + j)
        total = total + term
    whole = sum(math.comb(order, j) * math.factorial(j) * (-1) ** j * t ** (order - j) for j in range(order + 1))
    return np.where(t < order + 1, total, whole - (-1) ** order * math.factorial(order) * np.exp(-t))


def log1mexp(t: Array) -> Array:
    """log(1 - exp(-t)), t > 0."""
    t = np.asarray(t, dtype=np.float64)
    return np.where(t < 0.7, np.log(-np.expm1(-np.minimum(t, 0.7))), np.log1p(-np.exp(-np.maximum(t, 0.7))))


def log_mills(z: Array) -> Array:
    """log Φ(z) + z²/2, z < 30."""
    z = np.asarray(z, dtype=np.float64)
    near = np.maximum(z, -1.0)
    return np.where(z < -1, np.log(mills(-np.minimum(z, -1.0))) - _HALF_LOG, log_ndtr(near) + 0.5 * near * near)


def inverse_sinh2(u: Array) -> Array:
    """1 / (4 sinh²(u/2))."""
    size = np.abs(u)
    return np.exp(-size) / np.square(np.expm1(-size))


def lgamma(x: Array) -> Array:
    """log |Γ(x)|; infinite at 0 and at whole numbers below."""
    result: Array = _lgamma(x)
    return result


def polygamma(n: Any, x: Array) -> Array:
    """ψ⁽ⁿ⁾(x), x > 0: recurrence to x > 12, then Stirling's series."""
    order = int(n)
    x = np.asarray(x, dtype=np.float64)
    shift = np.zeros_like(x)
    sign = (-1.0) ** (order + 1) * math.factorial(order)
    for _ in range(14):
        shift = shift + np.where(x < 14, sign * x ** -(order + 1.0), 0.0)
        x = np.where(x < 14, x + 1, x)
    bernoulli = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6]
    if order == 0:
        series = np.log(x) - 0.5 / x - sum(b / (2 * j) * x ** (-2.0 * j) for j, b in enumerate(bernoulli, 1))
        return series + shift
    lead = math.factorial(order - 1) * x**-order + math.factorial(order) / (2 * x ** (order + 1.0))
    rest = sum(b * math.factorial(2 * j + order - 1) / math.factorial(2 * j) * x ** -(2.0 * j + order) for j, b in enumerate(bernoulli, 1))
    return (-1.0) ** (order + 1) * (lead + rest) + shift


def polynomial(x: Array, *coefficients: Any) -> Array:
    """Σ c_k x^k."""
    total: Any = 0.0
    for c in reversed(coefficients):
        total = total * x + c
    return np.asarray(total)
