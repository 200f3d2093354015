"""Values of scalar trees: with mpmath (any precision, the judge of every derivation) and with float64 numpy (fast; the interpreter)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
from mpmath import mp

from cgc.formula import special
from cgc.formula.scalar import Const, Op, Over, Scalar, Var, hoisted, random


def _mp_softplus(x: Any) -> Any:
    return max(x, mp.zero) + mpmath.log1p(_mp_exp(-abs(x)))


def _mp_npdf(x: Any) -> Any:
    return mp.zero if abs(x) > 10**5 else mpmath.npdf(x)


def _mp_ncdf(x: Any) -> Any:
    return mp.zero if x < -(10**5) else mp.one if x > 10**5 else mpmath.ncdf(x)


def _mp_log_ncdf(x: Any) -> Any:
    if x < -(10**5):
        return -x * x / 2 - mpmath.log(-x) - mpmath.log(2 * mp.pi) / 2 + mpmath.log1p(-1 / (x * x))
    return mpmath.log(mpmath.erfc(-x / mpmath.sqrt(2)) / 2)


def _mp_sigmoid(x: Any) -> Any:
    return 1 / (1 + _mp_exp(-x))


def _mp_interval(cdf: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def interval(a: Any, b: Any) -> Any:
        return mpmath.log(cdf(b) - cdf(a)) if a + b < 0 else mpmath.log(cdf(-a) - cdf(-b))

    return interval


def _mp_logsumexp(*terms: Any) -> Any:
    top = max(terms)
    return top + mpmath.log(mpmath.fsum(mpmath.exp(term - top) for term in terms))


def _mp_log1p_sum_exp(*terms: Any) -> Any:
    top = max(mp.zero, *terms)
    if top == 0:
        return mpmath.log1p(mpmath.fsum(mpmath.exp(term) for term in terms))
    return _mp_logsumexp(mp.zero, *terms)


def _mp_exp(x: Any) -> Any:
    # nothing that a float could hold; mpmath would try
    return mp.zero if x < -(10**9) else mp.inf if x > 10**9 else mpmath.exp(x)


def _mp_expm1(x: Any) -> Any:
    return mpmath.expm1(x) if abs(x) < 1 else _mp_exp(x) - 1


def _mp_sinh(x: Any) -> Any:
    return mpmath.sinh(x) if abs(x) < 1 else (_mp_exp(x) - _mp_exp(-x)) / 2


def _mp_cosh(x: Any) -> Any:
    return (_mp_exp(x) + _mp_exp(-x)) / 2


_MP: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b, "neg": lambda a: -a,
    "power": lambda a, b: a**b, "sqrt": mpmath.sqrt, "exp": _mp_exp, "log": mpmath.log, "abs": abs, "sign": mpmath.sign,
    "sin": mpmath.sin, "cos": mpmath.cos, "tanh": mpmath.tanh, "erf": mpmath.erf, "max": max, "min": min, "pi": lambda: +mp.pi,
    "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "eq": lambda a, b: a == b,
    "and": lambda a, b: a and b, "or": lambda a, b: a or b, "true": lambda: True, "infinity": lambda: mp.inf,
    "logistic_pdf": lambda u: _mp_sigmoid(u) * _mp_sigmoid(-u), "sigmoid": _mp_sigmoid, "log_sigmoid": lambda x: -_mp_softplus(-x),
    "softplus": _mp_softplus, "norm_pdf": _mp_npdf,
    "norm_cdf": _mp_ncdf, "log_norm_cdf": _mp_log_ncdf, "logsumexp": _mp_logsumexp, "log1p_sum_exp": _mp_log1p_sum_exp,
    "norm_ramp": lambda z: special.mp_norm_moment(1, z), "norm_moment": special.mp_norm_moment, "norm_excess": special.mp_norm_excess,
    "logistic_moment": special.mp_logistic_moment, "inverse_expm1": lambda u: 1 / _mp_expm1(u),
    "inverse_sinh2": special.mp_inverse_sinh2, "gumbel_ramp": special.mp_gumbel_ramp, "gumbel_fall": special.mp_gumbel_fall,
    "log_gumbel_upper": special.mp_log_gumbel_upper, "exponential_fall": special.mp_exponential_fall, "lgamma": mpmath.loggamma,
    "polygamma": lambda n, x: mpmath.psi(int(n), x), "polynomial": special.mp_polynomial, "expm1": _mp_expm1, "log1p": mpmath.log1p,
    "sinh": _mp_sinh, "cosh": _mp_cosh, "asinh": mpmath.asinh, "euler": lambda: +mp.euler, "round": mpmath.nint,
    "bounded": lambda x, *exponents: x, "bounded_exp": _mp_exp, "floored": lambda x: max(x, mp.mpf(10) ** -18),
    "log1mexp": special.mp_log1mexp, "log_mills": special.mp_log_mills,
    "log_norm_interval": _mp_interval(mpmath.ncdf), "log_logistic_interval": _mp_interval(_mp_sigmoid),
}  # fmt: skip


def value(scalar: Scalar, /, **variables: Any) -> Any:
    """The value at mpmath's current precision. A case that ``where`` does not take is not evaluated."""
    if isinstance(scalar, Const):
        return mpmath.mpf(scalar.value.numerator) / scalar.value.denominator
    if isinstance(scalar, Var):
        return variables[scalar.name]
    if isinstance(scalar, Over):
        return _over(scalar, variables)
    if scalar.name == "where":
        condition, taken, other = scalar.args
        return value(taken if value(condition, **variables) else other, **variables)
    return _MP[scalar.name](*(value(argument, **variables) for argument in scalar.args))


def _over(scalar: Over, variables: dict[str, Any]) -> Any:
    scalar, outside = hoisted(scalar)
    variables = {**variables, **{name: value(node, **variables) for name, node in outside}}
    names = [name for name, _ in scalar.columns]
    rows = [[value(cell) for cell in row] for row in zip(*(column for _, column in scalar.columns), strict=True)]
    table = [[value(argument, **{**variables, **dict(zip(names, row, strict=True))}) for argument in scalar.args] for row in rows]
    if scalar.name == "sum":
        return mpmath.fsum(a for (a,) in table)
    top = max(row[0] for row in table)
    total = mpmath.fsum(mpmath.exp(row[0] - top) for row in table)
    if scalar.name == "logsumexp":
        return top + mpmath.log(total)
    # of a variance both features are the same
    first, last = (mpmath.fsum(mpmath.exp(row[0] - top) * row[k] for row in table) / total for k in (1, -1))
    if scalar.name == "mean":
        return first
    return mpmath.fsum(mpmath.exp(row[0] - top) * (row[1] - first) * (row[-1] - last) for row in table) / total


Array = np.ndarray[Any, np.dtype[np.float64]]

_LARGEST = np.finfo(np.float64).max
_erf = np.vectorize(math.erf, otypes=[np.float64])


def _np_softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _np_sigmoid(x: Array) -> Array:
    return np.exp(-_np_softplus(-np.asarray(x)))


def _np_interval(cdf: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    def interval(a: Array, b: Array) -> Array:
        return np.log(np.where(a + b < 0, cdf(b) - cdf(a), cdf(-a) - cdf(-b)))

    return interval


def _np_log1p_sum_exp(*terms: Array) -> Array:
    top = np.maximum(np.maximum.reduce(np.broadcast_arrays(*terms)), 0.0)
    return np.asarray(top + np.log1p(np.expm1(-top) + sum(np.exp(term - top) for term in terms)))


_NP: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "power": np.power, "sqrt": np.sqrt,
    "exp": np.exp, "log": np.log, "abs": np.abs, "sign": np.sign, "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "erf": _erf,
    "max": np.maximum, "min": np.minimum, "pi": lambda: np.float64(math.pi), "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "eq": np.equal, "and": np.logical_and, "or": np.logical_or, "true": lambda: np.True_,
    "infinity": lambda: np.inf, "where": np.where, "logistic_pdf": lambda u: _np_sigmoid(u) * _np_sigmoid(-u), "sigmoid": _np_sigmoid,
    "log_sigmoid": lambda x: -_np_softplus(-x),
    "softplus": _np_softplus, "norm_pdf": special.npdf, "norm_cdf": special.ndtr, "log_norm_cdf": special.log_ndtr,
    "norm_ramp": lambda z: special.norm_moment(1, z), "logsumexp": lambda *terms: np.logaddexp.reduce(np.broadcast_arrays(*terms)),
    "log1p_sum_exp": _np_log1p_sum_exp,
    "log_norm_interval": _np_interval(special.ndtr), "log_logistic_interval": _np_interval(_np_sigmoid),
    "norm_moment": special.norm_moment, "norm_excess": special.norm_excess, "logistic_moment": special.logistic_moment,
    "inverse_expm1": lambda u: 1 / np.expm1(u), "inverse_sinh2": special.inverse_sinh2, "gumbel_ramp": special.gumbel_ramp,
    "gumbel_fall": special.gumbel_fall, "log_gumbel_upper": special.log_gumbel_upper, "exponential_fall": special.exponential_fall,
    "lgamma": special.lgamma, "polygamma": special.polygamma, "polynomial": special.polynomial, "expm1": np.expm1, "log1p": np.log1p,
    "sinh": np.sinh, "cosh": np.cosh, "asinh": np.arcsinh, "euler": lambda: np.float64(np.euler_gamma), "round": np.round,
    "floored": lambda x: np.maximum(x, 1e-18), "log1mexp": special.log1mexp, "log_mills": special.log_mills,
    "bounded": lambda x, *exponents: np.clip(x, -_LARGEST, _LARGEST), "bounded_exp": lambda x: np.minimum(np.exp(x), _LARGEST),
}  # fmt: skip


def array(scalar: Scalar, /, **variables: Array | np.float64) -> Any:
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
    if isinstance(scalar, Over):
        return _array_over(scalar, variables)
    arguments = [array(argument, **variables) for argument in scalar.args]
    if scalar.name in ("softmax", "log_softmax"):
        shifted = arguments[0] - np.max(arguments[0], axis=-1, keepdims=True)
        log_p = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
        return np.exp(log_p) if scalar.name == "softmax" else log_p
    with np.errstate(all="ignore"):
        return _NP[scalar.name](*arguments)


def _array_over(scalar: Over, variables: dict[str, Any]) -> Any:
    scalar, outside = hoisted(scalar)
    variables = {**variables, **{name: array(node, **variables) for name, node in outside}}
    columns = {name: np.array([_cell(cell) for cell in column]) for name, column in scalar.columns}
    wide = {name: np.asarray(given)[..., None] for name, given in variables.items()}
    shape = np.broadcast_shapes(*(np.shape(given) for given in wide.values()), (len(next(iter(columns.values()))),))
    w, *rest = (np.broadcast_to(array(argument, **{**wide, **columns}), shape) for argument in scalar.args)
    if scalar.name == "sum":
        return w.sum(-1)
    if scalar.name == "heaviest":
        return np.take_along_axis(rest[0], w.argmax(-1)[..., None], -1)[..., 0]
    top = w.max(-1, keepdims=True)
    total = np.exp(w - top).sum(-1)
    if scalar.name == "logsumexp":
        return top[..., 0] + np.log(total)
    p = np.exp(w - top) / total[..., None]
    if scalar.name == "mean":
        return (p * rest[0]).sum(-1)
    # of a variance both are the same
    a, b = (part - np.take_along_axis(part, w.argmax(-1)[..., None], -1) for part in (rest[0], rest[-1]))
    return (p * a * b).sum(-1) - (p * a).sum(-1) * (p * b).sum(-1)


@lru_cache(maxsize=65536)
def _cell(scalar: Scalar) -> float:
    found = float(scalar.value) if isinstance(scalar, Const) else constant(scalar)
    assert found is not None
    return found


def constant(scalar: Scalar) -> float | None:
    """The float nearest to a tree without variables, or None if it has some."""
    if _has_variable(scalar) or random(scalar):
        return None
    with mp.workdps(30):
        return float(value(scalar))


def _has_variable(scalar: Scalar) -> bool:
    return isinstance(scalar, (Var, Over)) or (isinstance(scalar, Op) and any(_has_variable(argument) for argument in scalar.args))


def draw(scalar: Scalar, generator: np.random.Generator, /, **variables: Array) -> Array:
    """One draw of a formula with random parts for every element of the variables, in float64."""
    shape = np.broadcast_shapes(*(np.shape(given) for given in variables.values()))

    def go(node: Scalar) -> Any:
        if isinstance(node, Over) and node.name in ("pick", "inverse"):
            return _drawn_row(node, generator, variables, shape)
        if not isinstance(node, Op) or not random(node):
            return np.broadcast_to(array(node, **variables), shape)
        if node.name.startswith("draw_"):
            return _DRAWS[node.name](generator, shape, *(go(argument) for argument in node.args))
        with np.errstate(all="ignore"):
            return _NP[node.name](*(go(argument) for argument in node.args))

    result: Array = np.asarray(go(scalar))
    return result


def _drawn_row(scalar: Over, generator: np.random.Generator, variables: dict[str, Array], shape: tuple[int, ...]) -> Array:
    columns = {name: np.array([_cell(cell) for cell in column]) for name, column in scalar.columns}
    wide = {name: np.asarray(given)[..., None] for name, given in variables.items()}
    rows = (*shape, len(next(iter(columns.values()))))
    w, a = (np.broadcast_to(array(argument, **{**wide, **columns}), rows) for argument in scalar.args)
    share = np.exp(w - w.max(-1, keepdims=True))
    collected = np.cumsum(share, -1) / share.sum(-1, keepdims=True)
    u = generator.uniform(size=(*shape, 1))
    row = np.minimum((collected < u).sum(-1, keepdims=True), rows[-1] - 1)
    if scalar.name == "pick":
        return np.take_along_axis(a, row, -1)[..., 0]
    # between the middles of neighbouring rows, a share is spread evenly
    edges = np.concatenate([a[..., :1], (a[..., 1:] + a[..., :-1]) / 2, a[..., -1:]], -1)
    before = np.take_along_axis(np.concatenate([np.zeros_like(collected[..., :1]), collected], -1), row, -1)
    inside = (u - before) / np.maximum(np.take_along_axis(collected, row, -1) - before, 1e-300)
    low, high = np.take_along_axis(edges, row, -1), np.take_along_axis(edges, row + 1, -1)
    drawn: Array = (low + (high - low) * np.clip(inside, 0, 1))[..., 0]
    return drawn


def _truncated_normal(generator: np.random.Generator, shape: tuple[int, ...], z: Array) -> Array:
    """z + n given that it is positive: log Φ(z - v) = log u + log Φ(z), by Newton's method."""
    log_u = np.log(generator.uniform(size=shape))
    goal = log_u + special.log_ndtr(z)
    t = np.maximum(-z, 0.0)
    v = np.where(z < 0, -2 * log_u / (t + np.sqrt(t * t - 2 * log_u)), np.maximum(z, 0.0))
    for _ in range(12):
        reached = special.log_ndtr(z - v)
        slope = np.exp(special.npdf_log(z - v) - reached)
        before, v = v, np.maximum(v + (reached - goal) / np.maximum(slope, 1e-300), 0.0)
        if np.all(np.abs(v - before) <= 1e-13 * (1 + v)):
            break
    return v


def _tilted_uniform(generator: np.random.Generator, shape: tuple[int, ...], k: Array) -> Array:
    """On [0, 1] with density ∝ exp(k x)."""
    u = generator.uniform(size=shape)
    size = np.maximum(np.abs(k), 1e-6)
    x = 1 + np.log(u + (1 - u) * np.exp(-size)) / size
    return np.where(np.abs(k) < 1e-6, u, np.where(k > 0, x, 1 - x))


_DRAWS: dict[str, Callable[..., Any]] = {
    "draw_normal": lambda g, shape: g.standard_normal(shape),
    "draw_logistic": lambda g, shape: g.logistic(size=shape),
    "draw_laplace": lambda g, shape: g.laplace(size=shape),
    "draw_uniform": lambda g, shape: g.uniform(-1, 1, shape),
    "draw_gumbel": lambda g, shape: g.gumbel(size=shape),
    "draw_exponential": lambda g, shape: g.standard_exponential(shape),
    "draw_bernoulli": lambda g, shape, p: (g.uniform(size=shape) < p).astype(np.float64),
    "draw_gamma": lambda g, shape, a: g.standard_gamma(a, shape),
    "draw_beta": lambda g, shape, a, b: g.beta(a, b, shape),
    "draw_poisson": lambda g, shape, rate: g.poisson(np.minimum(rate, 1e15), shape).astype(np.float64),
    "draw_binomial": lambda g, shape, n, p: g.binomial(n.astype(np.int64), p, shape).astype(np.float64),
    "draw_truncated_normal": _truncated_normal,
    "draw_tilted_uniform": _tilted_uniform,
}
