"""Functions of one float32 in typed arithmetic, to about two units in the last place, for every argument.

Reductions are exact by construction (powers of two, high and low parts of constants); what is left on a short interval is a polynomial
that ``fit.py`` finds. Where a function decays, its factor that does is split off, so that digits are kept in the tails.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from cgc.kernels.code import Value, argument, constant, define, function, maximum, minimum, operation, select, word
from cgc.kernels.fit import fitted, quotient

_SHIFT = 12582912.0  # 1.5 · 2²³: adding it leaves a whole number in the low bits
_SMALLEST = 2.0**-126
_LOG_ROOT = 0.5 * math.log(2 * math.pi)


def _split(number: Any, bits: int) -> tuple[float, float]:
    """A number as a float32 with few bits, and the rest."""
    high = float(mpmath.ldexp(mpmath.nint(mpmath.ldexp(number, bits)), -bits))
    return high, float(np.float32(number - mpmath.mpf(high)))


_LN2 = _split(mpmath.log(2), 9)
_PI_HALF = _split(mpmath.pi / 2, 7)
_PI_HALF_LOW = _split(mpmath.pi / 2 - mpmath.mpf(_PI_HALF[0]), 18)


def _exponent(n: Value) -> Value:
    """What ``n`` shifts the exponent by: n as an integral word, from n + 1.5 · 2²³."""
    return operation("wsub", operation("bits", n), word(0x4B400000))


def _exp_tail(r: Any) -> Any:
    return (mpmath.expm1(r) - r) / r**2 if r else mpmath.mpf(1) / 2


_exp_polynomial = fitted("exp", _exp_tail, -0.35, 0.35, 4)


@function
def exp(x: Value) -> Value:
    """e^x; 0 from -104 on, infinite from 89 on."""
    return _scaled_exp(x, constant(0.0))


def _scaled_exp(x: Value, low: Value, doublings: int = 0) -> Value:
    """2^doublings e^(x + low), where ``low`` is small beside x."""
    x = minimum(maximum(x, -104.0), 90.0)
    shifted = x * float(np.float32(1 / math.log(2))) + _SHIFT
    n = shifted - _SHIFT
    r = (x - n * _LN2[0]) - n * _LN2[1] + low
    p = 1.0 + (r + r * r * _exp_polynomial(r))
    # two factors, as one would leave the range of exponents
    k = operation("wadd", _exponent(shifted), word(300 + doublings))
    half = operation("wshr", k, 1)
    rest = operation("wsub", k, half)
    return p * _power_of_two(half, 150) * _power_of_two(rest, 150)


def _power_of_two(k: Value, less: int) -> Value:
    """2^(k - less) for a word k."""
    return operation("from_bits", operation("wshl", operation("wadd", k, word(127 - less)), 23))


@function
def expm1(x: Value) -> Value:
    """e^x - 1."""
    small = x + x * x * fitted("expm1", _exp_tail, -0.55, 0.55, 5)(x)
    return select(_abs(x) < 0.5, small, exp(x) - 1.0)


def _log_tail(s: Any) -> Any:
    return (mpmath.atanh(mpmath.sqrt(s)) / mpmath.sqrt(s) - 1) / s if s else mpmath.mpf(1) / 3


def _log_parts(x: Value, exponent_less: Value | float) -> tuple[Value, Value]:
    """The exponent of x, and what the mantissa, from √½ to √2, has more than 1."""
    bits = operation("bits", x)
    k = operation("wshr", operation("wsub", bits, word(0x3F3504F3 - (127 << 23))), 23)
    mantissa = operation("from_bits", operation("wsub", bits, operation("wshl", operation("wsub", k, word(127)), 23)))
    return operation("to_float", k) - exponent_less, mantissa - 1.0


def _log1p_ratio(f: Any) -> Any:
    return mpmath.log1p(f) / f if f else mpmath.mpf(1)


@function
def log_of_normal(x: Value) -> Value:
    """log x of a positive normal number, to six digits."""
    exponent, f = _log_parts(x, 127.0)
    return exponent * float(np.float32(math.log(2))) + f * fitted("log_of_normal", _log1p_ratio, -0.2929, 0.4143, 8)(f)


@function
def log(x: Value) -> Value:
    """log x; -∞ at 0, no number below."""
    tiny = x < _SMALLEST
    exponent, f = _log_parts(select(tiny, x * 2.0**23, x), select(tiny, 150.0, 127.0))
    s = f / (2.0 + f)
    z = s * s
    # log(1 + f) = f - s (f - 2 z P(z)), so that f itself is not rounded
    tail = f - s * (f - 2.0 * z * fitted("log", _log_tail, 0.0, 0.0296, 3)(z))
    result = exponent * _LN2[0] + (tail + exponent * _LN2[1])
    result = select(x < math.inf, result, x)
    return select(x <= 0.0, select(x < 0.0, math.nan, -math.inf), result)


@function
def log1p(x: Value) -> Value:
    """log(1 + x)."""
    u = 1.0 + x
    d = u - 1.0
    # what was lost in 1 + x is made good to first order
    corrected = log(u) * (x / d)
    return select(operation("eq", d, constant(0.0)), x, select(u < math.inf, corrected, u))


def _tanh_ratio(s: Any) -> Any:
    return mpmath.tanh(mpmath.sqrt(s)) / mpmath.sqrt(s) if s else mpmath.mpf(1)


@function
def tanh(x: Value) -> Value:
    """tanh x: x P(x²) / Q(x²), and 1 from 8.3 on."""
    near = minimum(maximum(x, -8.3), 8.3)
    ratio = quotient("tanh", _tanh_ratio, 0.0, 68.89, 5, 3)(near * near)
    return minimum(maximum(near * ratio, -1.0), 1.0)


def with_sign(size: Value, x: Value) -> Value:
    """A size that is not negative, with the sign of x."""
    sign = operation("wand", operation("bits", x), word(0x80000000))
    return operation("from_bits", operation("wor", operation("bits", size), sign))


@function
def sign(x: Value) -> Value:
    """-1, 0 or 1."""
    return select(x > 0.0, 1.0, select(x < 0.0, -1.0, x))


@function
def sigmoid(x: Value) -> Value:
    """1 / (1 + e^-x)."""
    t = exp(-_abs(x))
    share = 1.0 / (1.0 + t)
    return select(x < 0.0, t * share, share)


@function
def logistic_pdf(x: Value) -> Value:
    """σ(x) σ(-x)."""
    t = exp(-_abs(x))
    share = 1.0 / (1.0 + t)
    return t * share * share


@function
def softplus(x: Value) -> Value:
    """log(1 + e^x)."""
    return maximum(x, 0.0) + log1p_small(exp(-_abs(x)))


@function
def log_sigmoid(x: Value) -> Value:
    """log σ(x)."""
    return minimum(x, 0.0) - log1p_small(exp(-_abs(x)))


@function
def log1p_small(t: Value) -> Value:
    """log(1 + t) for 0 ≤ t ≤ 1: twice atanh(t / (2 + t))."""
    s = t / (2.0 + t)
    z = s * s
    return 2.0 * s + 2.0 * s * z * fitted("log1p", _log_tail, 0.0, 0.1112, 5)(z)


@function
def sinh(x: Value) -> Value:
    """sinh x."""
    t = expm1(_abs(x))
    large = select(t < math.inf, 0.5 * (t + t / (t + 1.0)), t)
    # e^x leaves the range before half of it does
    return with_sign(select(_abs(x) < 88.0, large, _half_exp(_abs(x))), x)


@function
def cosh(x: Value) -> Value:
    """cosh x."""
    t = _half_exp(_abs(x))
    return t + 0.25 / t


def _half_exp(x: Value) -> Value:
    """e^x / 2, which is in the range of floats a little longer."""
    return _scaled_exp(x, constant(0.0), -1)


@function
def asinh(x: Value) -> Value:
    """log(x + √(1 + x²))."""
    a = _abs(x)
    s = a * a
    near = log1p(minimum(a, 1e9) + s / (1.0 + operation("sqrt", 1.0 + s)))
    far = log(a) + (_LN2[0] + _LN2[1])
    return with_sign(select(a < 1e4, near, far), x)


def _sin_tail(s: Any) -> Any:
    return (mpmath.sin(mpmath.sqrt(s)) / mpmath.sqrt(s) - 1) / s if s else -mpmath.mpf(1) / 6


def _cos_tail(s: Any) -> Any:
    return ((mpmath.cos(mpmath.sqrt(s)) - 1) / s + mpmath.mpf(1) / 2) / s if s else mpmath.mpf(1) / 24


@function
def sin(x: Value) -> Value:
    """sin x, to the digits that |x| < 10⁵ leaves."""
    return _circular(x, 0)


@function
def cos(x: Value) -> Value:
    """cos x, likewise."""
    return _circular(x, 1)


def _circular(x: Value, quarter: int) -> Value:
    shifted = x * float(np.float32(2 / math.pi)) + _SHIFT
    n = shifted - _SHIFT
    r = ((x - n * _PI_HALF[0]) - n * _PI_HALF_LOW[0]) - n * _PI_HALF_LOW[1]
    s = r * r
    sine = r + r * s * fitted("sin", _sin_tail, 0.0, 0.62, 3)(s)
    cosine = 1.0 - 0.5 * s + s * s * fitted("cos", _cos_tail, 0.0, 0.62, 3)(s)
    k = operation("wadd", _exponent(shifted), word(quarter))
    odd = operation("to_float", operation("wand", k, word(1))) > 0.5
    flipped = operation("wshl", operation("wand", k, word(2)), 30)
    chosen = select(odd, cosine, sine)
    return operation("from_bits", operation("wxor", operation("bits", chosen), flipped))


# --- the normal distribution: what is left of its functions when φ is split off, over t = 1 / (1 + a / 2)


def _over_tail(function: Callable[[Any], Any], power: int) -> Callable[[Any], Any]:
    """``function`` of a = 2 / t - 2, divided by t^power, over u = 2 t - 1; t = 0 is taken from close by."""

    def scaled(u: Any) -> Any:
        t = max((u + 1) / 2, mpmath.mpf("1e-8"))
        return function(2 / t - 2) / t**power

    return scaled


def _ratios(a: Any, orders: int) -> list[Any]:
    """g_k(a) / g_(k-1)(a) from k = 1 on, where g_k(a) = ∫ u^k exp(-a u - u²/2) du."""
    ratio, kept = mpmath.mpf(0), []
    for k in range(400 + orders, 0, -1):
        ratio = k / (a + ratio)
        if k <= orders:
            kept.append(ratio)
    return kept[::-1]


def _tail_moment(a: Any, k: int) -> Any:
    """g_k(a), a ≥ 0."""
    if a < 3:
        values = [mpmath.ncdf(-a) / mpmath.npdf(a)]
        values.append(1 - a * values[0])
        for j in range(2, k + 1):
            values.append(-a * values[-1] + (j - 1) * values[-2])
        return values[k]
    ratio = mpmath.mpf(0)
    for j in range(200, 0, -1):
        ratio = j / (a + ratio)
    value = 1 / (a + ratio)
    for r in _ratios(a, k):
        value *= r
    return value


def _tail(k: int) -> Callable[[Value], Value]:
    """g_k of a ≥ 0 in typed arithmetic."""
    function = _over_tail(lambda a: _tail_moment(a, k), k + 1)

    def tail(a: Value) -> Value:
        define(f"normal_tail_{k}", build, f"∫ u^{k} exp(-a u - u²/2) du over u > 0, a ≥ 0.", ("a",))
        return operation("call", f"normal_tail_{k}", a)

    def build(a: Value) -> Value:
        t = 1.0 / (1.0 + 0.5 * a)
        power = t
        for _ in range(k):
            power = power * t
        return power * fitted(f"normal_tail_{k}", function, -1.0, 1.0, 11 + k)(2.0 * t - 1.0)

    return tail


@function
def norm_pdf(x: Value) -> Value:
    """φ(x); x² is split, as its digits count in the exponent."""
    size = minimum(_abs(x), 20.0)
    high = operation("from_bits", operation("wand", operation("bits", size), word(0xFFFFF000)))
    low = (size - high) * (size + high)
    return _scaled_exp(-0.5 * high * high, -0.5 * low) * float(np.float32(math.exp(-_LOG_ROOT)))


def norm_moment(k: int, z: Value) -> Value:
    """E max(0, z + n)^k under standard normal noise; Φ(z) for k = 0."""
    name = f"norm_moment_{k}"
    define(name, lambda z: _norm_moment(k, z), f"E max(0, z + n)^{k}, n standard normal.", ("z",))
    return operation("call", name, z)


def _norm_moment(k: int, z: Value) -> Value:
    a = _abs(z)
    below = norm_pdf(z) * _tail(k)(a)
    # E (z + n)^k, which both sides together give
    whole: Value = constant(0.0)
    for j in range(0, k + 1, 2):
        term = constant(float(math.comb(k, j) * math.prod(range(1, j, 2))))
        for _ in range(k - j):
            term = term * z
        whole = whole + term
    return select(z < 0.0, below, whole - below if k % 2 == 0 else whole + below)


def norm_excess(k: int, z: Value) -> Value:
    """The k-th cumulant of z + n given that it is positive."""
    name = f"norm_excess_{k}"
    define(name, lambda z: _norm_excess(k, z), f"The cumulant of order {k} of z + n given that it is positive, n standard normal.", ("z",))
    return operation("call", name, z)


def _norm_excess(k: int, z: Value) -> Value:
    def scaled(a: Any) -> Any:
        g = [mpmath.mpf(1)]
        for r in _ratios(a, k) if a > 3 else [_tail_moment(a, j) / _tail_moment(a, j - 1) for j in range(1, k + 1)]:
            g.append(g[-1] * r)
        m = g
        return {1: m[1], 2: m[2] - m[1] ** 2 if k > 1 else 0, 3: m[3] - 3 * m[1] * m[2] + 2 * m[1] ** 3 if k > 2 else 0}[k]

    function = _over_tail(scaled, k)
    t = 1.0 / (1.0 + 0.5 * maximum(-z, 0.0))
    left = t
    for _ in range(k - 1):
        left = left * t
    left = left * fitted(f"norm_excess_{k}", function, -1.0, 1.0, 11 + k)(2.0 * t - 1.0)
    h = norm_pdf(z) / norm_moment(0, z)
    m = z + h
    right = {1: m, 2: 1.0 - h * m, 3: h * (m * (m + h) - 1.0)}[k]
    return select(z < 0.0, left, right)


@function
def log_norm_cdf(z: Value) -> Value:
    """log Φ(z)."""
    return select(z < 0.0, log(_tail(0)(maximum(-z, 0.0))) - 0.5 * z * z - _LOG_ROOT, log1p(-norm_moment(0, -_abs(z))))


@function
def log_mills_above(t: Value) -> Value:
    """log Φ(-t) + t²/2, t ≥ 0."""
    return log(_tail(0)(t)) - _LOG_ROOT


@function
def log_mills(z: Value) -> Value:
    """log Φ(z) + z²/2."""
    near = minimum(z, 1e15)
    left = log(_tail(0)(maximum(-z, 0.0))) - _LOG_ROOT
    return select(z < 0.0, left, log1p(-norm_moment(0, -_abs(z))) + 0.5 * near * near)


def _erf_tail(s: Any) -> Any:
    return mpmath.erf(mpmath.sqrt(s)) / mpmath.sqrt(s) if s else 2 / mpmath.sqrt(mpmath.pi)


@function
def erf(x: Value) -> Value:
    """erf x = 2 Φ(√2 x) - 1."""
    small = x * fitted("erf", _erf_tail, 0.0, 0.8, 6)(x * x)
    far = 1.0 - 2.0 * norm_moment(0, _abs(x) * -float(np.float32(math.sqrt(2))))
    return select(_abs(x) < 0.85, small, with_sign(far, x))


@function
def inverse_expm1(u: Value) -> Value:
    """1 / (e^u - 1)."""
    return 1.0 / expm1(u)


@function
def inverse_sinh2(u: Value) -> Value:
    """1 / (4 sinh²(u/2))."""
    small = exp(-_abs(u))
    d = expm1(-_abs(u))
    return small / d / d


@function
def log1mexp(t: Value) -> Value:
    """log(1 - e^-t), t > 0."""
    return select(t < 0.7, log(-expm1(-minimum(t, 0.7))), log1p(-exp(-maximum(t, 0.7))))


# --- other noises


def _ein_ratio(x: Any) -> Any:
    return mpmath.quad(lambda u: -mpmath.expm1(-x * u) / (x * u) if x * u else 1, [0, 1]) if x else mpmath.mpf(1)


def _e1_ratio(w: Any) -> Any:
    """x e^x E_1(x) at x = 1 / w."""
    return mpmath.mpf(1) if w < mpmath.mpf("1e-6") else mpmath.exp(1 / w) * mpmath.e1(1 / w) / w


_EULER = float(np.float32(mpmath.euler))


def _e1(z: Value) -> Value:
    """E_1(e^z), z ≥ ½."""
    x = exp(minimum(z, 7.0))
    w = 1.0 / x
    return exp(-x) * w * fitted("e1", _e1_ratio, 0.0, 0.61, 8)(w)


def _ein(z: Value) -> Value:
    """Ein(e^z), z ≤ ½."""
    x = exp(z)
    return x * fitted("ein", _ein_ratio, 0.0, 1.65, 7)(x)


@function
def gumbel_ramp(z: Value) -> Value:
    """E max(0, z + n) under standard Gumbel noise."""
    return select(z < 0.5, _ein(minimum(z, 0.5)), z + (_EULER + _e1(maximum(z, 0.5))))


@function
def gumbel_fall(z: Value) -> Value:
    """E max(0, -z - n) under standard Gumbel noise."""
    return select(z < 0.5, (_ein(minimum(z, 0.5)) - _EULER) - z, _e1(maximum(z, 0.5)))


@function
def log_gumbel_upper(n: Value) -> Value:
    """log(1 - exp(-exp(-n)))."""
    u = exp(-minimum(maximum(n, -7.0), 80.0))
    return select(n > 20.0, -n, log1mexp(u))


def _fall_ratio(k: int) -> Callable[[Any], Any]:
    def ratio(t: Any) -> Any:
        return mpmath.hyp1f1(1, k + 2, -t) / (k + 1)

    return ratio


def exponential_fall(k: int, t: Value) -> Value:
    """E max(0, t - n)^k under standard exponential noise."""
    name = f"exponential_fall_{k}"
    define(name, lambda t: _exponential_fall(k, t), f"E max(0, t - n)^{k}, n standard exponential.", ("t",))
    return operation("call", name, t)


def _exponential_fall(k: int, t: Value) -> Value:
    t = maximum(t, 0.0)
    near = minimum(t, k + 1.0)
    small = fitted(f"exponential_fall_{k}", _fall_ratio(k), 0.0, k + 1.0, 9 + k)(near)
    for _ in range(k + 1):
        small = small * near
    return select(t < k + 1.0, small, _fall_far(k, t))


def _fall_far(k: int, t: Value) -> Value:
    total: Value = constant(0.0)
    for j in range(k + 1):
        term = constant(float((-1) ** j * math.comb(k, j) * math.factorial(j)))
        for _ in range(k - j):
            term = term * t
        total = total + term
    return total - float((-1) ** k * math.factorial(k)) * exp(-t)


def _polylog_ratio(k: int) -> Callable[[Any], Any]:
    def ratio(x: Any) -> Any:
        return -mpmath.polylog(k, -x) / x if x > mpmath.mpf("1e-20") else mpmath.mpf(1)

    return ratio


def logistic_moment(k: int, z: Value) -> Value:
    """E max(0, z + n)^k under standard logistic noise."""
    name = f"logistic_moment_{k}"
    define(name, lambda z: _logistic_moment(k, z), f"E max(0, z + n)^{k}, n standard logistic.", ("z",))
    return operation("call", name, z)


def _logistic_moment(k: int, z: Value) -> Value:
    x = exp(-_abs(z))
    tail = float(math.factorial(k)) * x * fitted(f"logistic_moment_{k}", _polylog_ratio(k), 0.0, 1.0, 8)(x)
    whole: Value = constant(0.0)
    for j in range(0, k + 1, 2):
        power = 1 if j == 0 else (2**j - 2) * mpmath.pi**j * abs(mpmath.bernoulli(j))
        term = constant(float(np.float32(math.comb(k, j) * power)))
        for _ in range(k - j):
            term = term * z
        whole = whole + term
    return select(z < 0.0, tail, whole - tail if k % 2 == 0 else whole + tail)


def define_all() -> None:
    """Define every function of this file, of the orders that derivations have."""
    x = argument("x")
    for build in (
        exp, expm1, log, log_of_normal, log1p, tanh, sigmoid, logistic_pdf, softplus, log_sigmoid, sinh, cosh, asinh, sin, cos, erf,
        norm_pdf, log_norm_cdf, log_mills, log_mills_above, inverse_expm1, inverse_sinh2, log1mexp, gumbel_ramp, gumbel_fall,
        log_gumbel_upper,
    ):  # fmt: skip
        build(x)
    for k in range(4):
        norm_moment(k, x)
    for k in range(1, 4):
        for of_order in (norm_excess, exponential_fall, logistic_moment):
            of_order(k, x)


def _abs(x: Value) -> Value:
    return operation("abs", x)
