"""Draws from gamma and beta distributions, as formulas of standard normal and exponential draws, so that their derivatives with respect to
parameters follow as those of all formulas do.

A gamma draw of shape b ≥ 3 is a function of a normal one: log(x/b) = η l(η) + (ε_0(η) + ε_1(η)/b + …)/b with η = n/√b, where
λ = exp(η l(η)) solves η²/2 = λ - 1 - log λ (the uniform expansion of the incomplete gamma function and its inverse; Temme 1992, DLMF 8.12).
Below, x is a draw of a larger shape times powers of uniform numbers: Γ(a) ~ Γ(a + 1) U^(1/a). log x is off by 3e-6 at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mp

from cgc.formula.numeric import constant
from cgc.formula.scalar import Op, Scalar, const
from cgc.kernels.fit import Numbers, coefficients, surface

LEAST = 3
"""From this shape on, a draw is a function of one normal draw."""

FARTHEST = 6.4
"""So far from 0 are normal draws that are made of 32-bit words."""

_DEGREE, _TERMS = 14, 3


Noise = Callable[[str], Scalar]
"""What gives a name to a draw of its own: of an operation without arguments."""


def gamma(drawn: Noise, shape: Scalar) -> Scalar:
    """A standard gamma draw."""
    return Op("exp", (_log_gamma(drawn, shape),))


def beta(drawn: Noise, a: Scalar, b: Scalar) -> Scalar:
    """A beta draw: the share of one gamma draw in two."""
    return Op("sigmoid", (Op("sub", (_log_gamma(drawn, a), _log_gamma(drawn, b))),))


def _log_gamma(drawn: Noise, shape: Scalar) -> Scalar:
    # the draw itself may be too small for a float
    known = constant(shape)
    missing = LEAST if known is None else max(0, math.ceil(LEAST - known))
    result = _log_of_large(drawn, _more(shape, missing))
    for k in range(missing):
        result = Op("sub", (result, Op("div", (drawn("draw_exponential"), _more(shape, k)))))
    return result


def _more(shape: Scalar, k: int) -> Scalar:
    return Op("add", (shape, const(k))) if k else shape


def _log_of_large(drawn: Noise, shape: Scalar) -> Scalar:
    t = Op("div", (const(1), shape))
    eta = Op("mul", (drawn("draw_normal"), Op("sqrt", (t,))))
    main, rest = _numbers()
    along = [_horner(t, [const(c) for c in column]) for column in zip(*rest, strict=True)]
    near = Op("add", (Op("mul", (eta, _horner(eta, [const(c) for c in main]))), Op("mul", (t, _horner(eta, along)))))
    return Op("add", (Op("log", (shape,)), near))


def _horner(x: Scalar, coefficients: list[Scalar]) -> Scalar:
    """Σ c_k x^k."""
    total = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = Op("add", (Op("mul", (total, x)), c))
    return total


COMPOSED: dict[str, Callable[..., Scalar]] = {"draw_gamma": gamma, "draw_beta": beta}
"""By the operation of the scalar tree."""


# --- what the polynomials are found from


def _numbers() -> tuple[tuple[float, ...], Numbers]:
    reach = FARTHEST / LEAST**0.5
    main = coefficients("gamma_draw", lambda eta: _ratio(eta) / eta if eta else mp.one, -reach, reach, _DEGREE)
    rest = surface("gamma_draw_rest", lambda eta, t: (_exact(eta, t) - _ratio(eta)) / t, -reach, reach, _DEGREE, 1 / LEAST, _TERMS)
    return main, rest


def _ratio(eta: Any) -> Any:
    """y with η²/2 = e^y - 1 - y, on the side of η: convex, so that Newton's method comes from one side."""
    if not eta:
        return mp.zero
    y = eta if eta > 0 else -1 - eta * eta / 2
    for _ in range(200):
        step = (mpmath.expm1(y) - y - eta * eta / 2) / mpmath.expm1(y)
        y -= step
        if abs(step) <= abs(y) * mp.eps * 2**20:
            break
    return y


def _exact(eta: Any, t: Any) -> Any:
    """y with P(b, b e^y) = Φ(η √b), b = 1/t."""
    b, z = 1 / t, eta / mpmath.sqrt(t)
    goal = log_share(abs(z))
    y = _ratio(eta)
    for _ in range(100):
        x = b * mpmath.exp(y)
        reached = mpmath.gammainc(b, 0, x, regularized=True) if z < 0 else mpmath.gammainc(b, x, mp.inf, regularized=True)
        density = mpmath.exp(b * (mpmath.log(b) + y) - x - mpmath.loggamma(b))
        step = (mpmath.log(reached) - goal) * reached / density * (1 if z < 0 else -1)
        y -= step
        if abs(step) < mpmath.mpf(10) ** -20:
            break
    return y


def log_share(z: Any) -> Any:
    """log Φ(-z), z > 0."""
    return mpmath.log(mpmath.erfc(z / mpmath.sqrt(2)) / 2)


def define_all() -> None:
    """Find every number of this file."""
    _numbers()
