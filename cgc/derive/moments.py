"""Mean and variance of a node whose energy is not known but N(m, v): E E[X | e], and E Var[X | e] + Var E[X | e].

Closed forms where there are any: polynomials, exponentials and waves under a Gaussian, Gaussian noise of constant scale (variances
add), a two-state node (the logistic function as a scaled Gaussian integral), e·Φ(e). Elsewhere Gauss-Hermite quadrature over e.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import sympy

from cgc.derive.bases import BASES
from cgc.derive.partial import whole
from cgc.derive.quadrature import column
from cgc.derive.rewrites import logistic_to_tanh
from cgc.derive.routes import NoClosedForm, Route
from cgc.families.forms import E, FiniteExponential, Gated, Law, Noise
from cgc.formula.freeze import freeze
from cgc.formula.primitives import NormCdf, NormPdf, Sigmoid
from cgc.formula.scalar import Const, Op, Over, Scalar, Var, bind, const, walk

M = sympy.Symbol("m", real=True)
V = sympy.Symbol("v", nonnegative=True)
_NODES = 24


def energy_moments(law: Law, route: Route, mean: Scalar, variance: Scalar) -> tuple[Scalar, Scalar]:
    """Mean and variance of T(X) as trees in m and v."""
    if route.under_gaussian is not None:
        return route.under_gaussian
    found = _two_states(law, route) or _gelu(law) or _analytic(route)
    return found if found is not None else _hermite(mean, variance)


def _analytic(route: Route) -> tuple[Scalar, Scalar] | None:
    mean, variance = route.mean.expression, route.variance.expression
    if mean is None or variance is None:
        return None
    s = sympy.sqrt(V)
    try:
        first = whole(BASES["normal"], mean, E, M, s)
        second = whole(BASES["normal"], sympy.expand(mean**2), E, M, s)
        inner = whole(BASES["normal"], variance, E, M, s)
    except (NoClosedForm, sympy.PolynomialError):
        return None
    spread = sympy.expand(second - sympy.expand(first**2))
    return freeze(first), freeze(sympy.expand(inner) + sympy.factor_terms(spread))


def _two_states(law: Law, route: Route) -> tuple[Scalar, Scalar] | None:
    """σ(u) under N(m, v) as σ(u / √(1 + πv/8)), by the Gaussian integral that is closest to σ."""
    if not isinstance(law, FiniteExponential) or len(law.support) != 2 or route.log_odds is None:
        return None
    low, high, log_odds = route.log_odds
    slope = sympy.diff(log_odds, E)
    flat = log_odds.subs(E, M) / sympy.sqrt(1 + sympy.pi * slope**2 * V / 8)
    mean = logistic_to_tanh(low, high, flat)
    return freeze(mean), freeze((high - low) ** 2 * Sigmoid(flat) * Sigmoid(-flat))


def _gelu(law: Law) -> tuple[Scalar, Scalar] | None:
    """E e·Φ(e) = mΦ(m/r) + (v/r)φ(m/r), r = √(1 + v), and E e²Φ(e) by Stein's lemma."""
    if not isinstance(law, Gated) or law.value != E or law.prob != NormCdf(E) or not law.open:
        return None
    r = sympy.sqrt(1 + V)
    cdf, pdf = NormCdf(M / r), NormPdf(M / r)
    mean = M * cdf + V / r * pdf
    second = M * mean + V * (cdf + M / r**3 * pdf)
    return freeze(mean), Op("max", (const(0), Op("sub", (freeze(second), Op("power", (freeze(mean), const(2)))))))


@cache
def _hermite_rule() -> tuple[tuple[Const, ...], tuple[Const, ...]]:
    points, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return column(points), column(weights / weights.sum())


def _hermite(mean: Scalar, variance: Scalar) -> tuple[Scalar, Scalar]:
    points, weights = _hermite_rule()
    if any(isinstance(node, Over) for node in (*walk(mean), *walk(variance))):
        # a table for every node of the rule: every other one has to do
        coarse, shares = np.polynomial.hermite_e.hermegauss(9)
        points, weights = column(coarse), column(shares / shares.sum())
    energy = Op("add", (Var("m"), Op("mul", (Op("sqrt", (Var("v"),)), Var("node")))))
    columns = (("node", points), ("share", weights))
    first = Over("sum", columns, (Op("mul", (Var("share"), bind(mean, "e", energy))),))
    away = Op("sub", (bind(mean, "e", energy), Var("first")))
    inner = Op("add", (bind(variance, "e", energy), Op("mul", (away, away))))
    second = bind(Over("sum", columns, (Op("mul", (Var("share"), inner)),)), "first", first)
    return first, second


def total_noise(mean: Any, variance: Any, std: Any) -> tuple[Scalar, Scalar]:
    """Gaussian noise of the scale s around e ~ N(m, v) is Gaussian noise of the scale √(s² + v) around m."""
    scale = Op("sqrt", (Op("add", (freeze(std**2), Var("v"))),))
    first, second = (bind(bind(tree, "s", scale), "e", Var("m")) for tree in (freeze(mean), freeze(variance)))
    return first, second


def constant_noise(law: Law) -> bool:
    """Whether a noise form has Gaussian noise of a constant scale and a value that is a function of y alone."""
    return isinstance(law, Noise) and law.base == "normal" and law.scale.is_number and law.scale_min is None and not law.value.has(E)
