"""Values of scalar trees: with mpmath (any precision, the judge of every derivation) and with float64 numpy (fast; the interpreter)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from mpmath import mp

from cgc.formula.scalar import Const, Op, Scalar, Var


def _mp_ramp(z: Any) -> Any:
    # zΦ(z) cancels φ(z) in the left tail: twice the digits, and those that cancel
    with mp.workprec(2 * mp.prec + 20 + int(min(4 * mpmath.log(1 + abs(z), 2), 4000))):
        value = z * mpmath.ncdf(z) + mpmath.npdf(z)
    return +value


def _mp_softplus(x: Any) -> Any:
    return max(x, mp.zero) + mpmath.log1p(mpmath.exp(-abs(x)))


def _mp_log_ncdf(x: Any) -> Any:
    return mpmath.log(mpmath.erfc(-x / mpmath.sqrt(2)) / 2)


def _mp_sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def _mp_interval(cdf: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def interval(a: Any, b: Any) -> Any:
        return mpmath.log(cdf(b) - cdf(a)) if a + b < 0 else mpmath.log(cdf(-a) - cdf(-b))

    return interval


def _mp_logsumexp(*terms: Any) -> Any:
    top = max(terms)
    return top + mpmath.log(mpmath.fsum(mpmath.exp(term - top) for term in terms))


_MP: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b, "neg": lambda a: -a,
    "power": lambda a, b: a**b, "sqrt": mpmath.sqrt, "exp": mpmath.exp, "log": mpmath.log, "abs": abs, "sign": mpmath.sign,
    "sin": mpmath.sin, "cos": mpmath.cos, "tanh": mpmath.tanh, "erf": mpmath.erf, "max": max, "min": min, "pi": lambda: +mp.pi,
    "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "eq": lambda a, b: a == b,
    "and": lambda a, b: a and b, "or": lambda a, b: a or b, "true": lambda: True, "infinity": lambda: mp.inf,
    "sigmoid": _mp_sigmoid, "log_sigmoid": lambda x: -_mp_softplus(-x), "softplus": _mp_softplus, "norm_pdf": mpmath.npdf,
    "norm_cdf": mpmath.ncdf, "log_norm_cdf": _mp_log_ncdf, "norm_ramp": _mp_ramp, "logsumexp": _mp_logsumexp,
    "log_norm_interval": _mp_interval(mpmath.ncdf), "log_logistic_interval": _mp_interval(_mp_sigmoid),
}  # fmt: skip


def value(scalar: Scalar, **variables: Any) -> Any:
    """The value at mpmath's current precision. A case that ``where`` does not take is not evaluated."""
    if isinstance(scalar, Const):
        return mpmath.mpf(scalar.value.numerator) / scalar.value.denominator
    if isinstance(scalar, Var):
        return variables[scalar.name]
    if scalar.name == "where":
        condition, taken, other = scalar.args
        return value(taken if value(condition, **variables) else other, **variables)
    return _MP[scalar.name](*(value(argument, **variables) for argument in scalar.args))


Array = np.ndarray[Any, np.dtype[np.float64]]

_erfc = np.vectorize(math.erfc, otypes=[np.float64])
_erf = np.vectorize(math.erf, otypes=[np.float64])


def _np_ncdf(x: Array) -> Array:
    half: Array = 0.5 * _erfc(-np.asarray(x) / math.sqrt(2))
    return half


def _np_npdf(x: Array) -> Array:
    return np.exp(-0.5 * np.square(x)) / math.sqrt(2 * math.pi)


def _np_log_ncdf(x: Array) -> Array:
    x = np.asarray(x, dtype=np.float64)
    tail = np.minimum(x, -20.0)
    series = -1 / tail**2 + 3 / tail**4 - 15 / tail**6 + 105 / tail**8
    far = -0.5 * tail**2 - np.log(-tail) - 0.5 * math.log(2 * math.pi) + np.log1p(series)
    return np.where(x > -20, np.log(_np_ncdf(np.maximum(x, -20.0))), far)


def _np_softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _np_sigmoid(x: Array) -> Array:
    return np.exp(-_np_softplus(-np.asarray(x)))


def _np_interval(cdf: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    def interval(a: Array, b: Array) -> Array:
        return np.log(np.where(a + b < 0, cdf(b) - cdf(a), cdf(-a) - cdf(-b)))

    return interval


_NP: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "power": np.power, "sqrt": np.sqrt,
    "exp": np.exp, "log": np.log, "abs": np.abs, "sign": np.sign, "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "erf": _erf,
    "max": np.maximum, "min": np.minimum, "pi": lambda: np.float64(math.pi), "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "eq": np.equal, "and": np.logical_and, "or": np.logical_or, "true": lambda: np.True_,
    "infinity": lambda: np.inf, "where": np.where, "sigmoid": _np_sigmoid, "log_sigmoid": lambda x: -_np_softplus(-x),
    "softplus": _np_softplus, "norm_pdf": _np_npdf, "norm_cdf": _np_ncdf, "log_norm_cdf": _np_log_ncdf,
    "norm_ramp": lambda z: z * _np_ncdf(z) + _np_npdf(z), "logsumexp": lambda *terms: np.logaddexp.reduce(np.broadcast_arrays(*terms)),
    "log_norm_interval": _np_interval(_np_ncdf), "log_logistic_interval": _np_interval(_np_sigmoid),
}  # fmt: skip


def array(scalar: Scalar, **variables: Array | np.float64) -> Any:
    """The value in float64, elementwise over arrays. ``softmax`` and ``log_softmax`` act on the last axis.

    The right tails of differences lose relative (not absolute) accuracy; :func:`value` does not.
    """
    if isinstance(scalar, Const):
        try:
            return np.float64(scalar.value.numerator / scalar.value.denominator)
        except OverflowError:
            return np.float64(math.inf if scalar.value > 0 else -math.inf)
    if isinstance(scalar, Var):
        return variables[scalar.name]
    arguments = [array(argument, **variables) for argument in scalar.args]
    if scalar.name in ("softmax", "log_softmax"):
        shifted = arguments[0] - np.max(arguments[0], axis=-1, keepdims=True)
        log_p = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
        return np.exp(log_p) if scalar.name == "softmax" else log_p
    with np.errstate(all="ignore"):
        return _NP[scalar.name](*arguments)


def constant(scalar: Scalar) -> float | None:
    """The float nearest to a tree without variables, or None if it has some."""
    if _has_variable(scalar):
        return None
    with mp.workdps(30):
        return float(value(scalar))


def _has_variable(scalar: Scalar) -> bool:
    return isinstance(scalar, Var) or (isinstance(scalar, Op) and any(_has_variable(argument) for argument in scalar.args))
