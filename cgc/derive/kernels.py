"""Integrals and sums that have a closed form: exp(log-density) as a sum of known functions of x with coefficients in e.

Each rule reads the coefficients of x, x², log x, log(1 - x), log Γ(x + r) and gives the log-partition, the moments of features that it
knows, and how to draw. It is the integral that is recognised, never the family.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from cgc.derive import rewrites
from cgc.families.forms import NONNEGATIVE, NONNEGATIVE_INTEGERS, REALS, Density, E, Support, X
from cgc.formula import primitives as p
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array
from cgc.formula.scalar import Op, Scalar

_INVERTED = "the inverse distribution function of a uniform number"
# the integrals and sums that rules know, as text and as LaTeX
_INTEGRALS = {
    "complete the square": (
        "∫ exp(b x - x²/(2v)) dx = √(2πv) exp(b²v/2)",
        r"\int \exp\left(b x - \tfrac{x^2}{2v}\right) dx = \sqrt{2\pi v}\,\exp\left(\tfrac{b^2 v}{2}\right)",
    ),
    "truncated Gaussian integral": (
        "∫ φ((x - μ)/s)/s dx over x > a = Φ((μ - a)/s)",
        r"\int_a^\infty \tfrac1s\varphi\left(\tfrac{x-\mu}{s}\right) dx = \Phi\left(\tfrac{\mu-a}{s}\right)",
    ),
    "exponential over an interval": (
        "∫ exp(r x) dx from a to b = (exp(r b) - exp(r a))/r",
        r"\int_a^b \exp(r x)\,dx = \tfrac1r\left(\exp(r b) - \exp(r a)\right)",
    ),
    "Euler's integral": (
        "∫ x^(k-1) exp(-r x) dx = Γ(k)/r^k",
        r"\int_0^\infty x^{k-1}\exp(-r x)\,dx = \Gamma(k)\,r^{-k}",
    ),
    "Euler's beta integral": (
        "∫ x^(a-1) (1-x)^(b-1) dx from 0 to 1 = Γ(a)Γ(b)/Γ(a+b)",
        r"\int_0^1 x^{a-1}(1-x)^{b-1}\,dx = \frac{\Gamma(a)\Gamma(b)}{\Gamma(a+b)}",
    ),
    "exponential series": (
        "Σ λ^x/x! = exp(λ)",
        r"\sum_x \frac{\lambda^x}{x!} = \exp(\lambda)",
    ),
    "binomial series": (
        "Σ Γ(x + r)/(Γ(r) x!) q^x = (1 - q)^(-r)",
        r"\sum_x \frac{\Gamma(x+r)}{\Gamma(r)\,x!}\,q^x = (1-q)^{-r}",
    ),
}


@dataclass(frozen=True)
class Kernel:
    """What a rule found: ``name`` says which integral, ``log_partition``, ``mean`` and ``variance`` (of the feature) are in e.

    ``drawn`` says in words how ``draw`` draws x. ``log_density`` is the normalised log-density. ``energy_terms`` is it without its
    log-partition, where that needs care of its own; ``log_tree`` the order in which it is added up, where that matters. ``level`` is the
    number x at which x and x + 1 have the same probability, for whole numbers whose probabilities rise up to it.
    """

    name: str
    log_partition: Any
    mean: Any
    variance: Any
    draw: Scalar
    drawn: str
    pathwise: bool
    log_density: Any
    energy_terms: Any = None
    log_tree: Scalar | None = None
    level: Any = None

    @property
    def integral(self) -> str:
        """The integral in one line of text."""
        return _INTEGRALS[self.name][0]

    @property
    def integral_latex(self) -> str:
        """The same as LaTeX."""
        return _INTEGRALS[self.name][1]


def recognise(law: Density) -> Kernel | None:
    """The rule for a density on infinitely many points, or None. The rules are tried in a fixed order."""
    assert isinstance(law.support, Support)
    coefficients = separate(law.log_density)
    if coefficients is None:
        return None
    for rule in (_gaussian, _truncated, _tilted, _gamma, _beta, _poisson, _negative_binomial):
        found = rule(law.support, coefficients, law.feature)
        if found is not None:
            return found
    return None


def separate(log_density: Any) -> dict[Any, Any] | None:
    """The log-density as Σ coefficient(e)·function(x); None if it is no such sum. Functions of x stand in sympy's order."""
    if log_density.has(sympy.Piecewise, sympy.Abs, sympy.Max, sympy.Min) and log_density.has(X):
        mixed = [part for part in log_density.atoms(sympy.Piecewise, sympy.Abs, sympy.Max, sympy.Min) if part.has(X)]
        if mixed:
            return None
    # on these supports the arguments of logarithms of products are positive factor by factor
    positive = sympy.Symbol("x", positive=True)
    expanded = sympy.expand(sympy.expand_log(sympy.expand(log_density.subs(X, positive)), force=True)).subs(positive, X)
    found: dict[Any, Any] = {}
    for term in sympy.Add.make_args(expanded):
        coefficient, function = term.as_independent(X, as_Add=False)
        if function.has(E):
            return None
        found[function] = found.get(function, sympy.Integer(0)) + coefficient
    return {function: found[function] for function in sorted(found, key=sympy.default_sort_key) if found[function] != 0}


def _only(coefficients: dict[Any, Any], *functions: Any) -> tuple[Any, ...] | None:
    """The coefficients of these functions, if there are no others but a constant."""
    if any(function not in functions and function != 1 for function in coefficients):
        return None
    return tuple(coefficients.get(function, sympy.Integer(0)) for function in functions)


def _sign(expression: Any) -> int:
    """1 or -1 where an expression in e has that sign at every energy, else 0."""
    if expression.is_positive:
        return 1
    if expression.is_negative:
        return -1
    side = np.geomspace(1e-6, 80, 200)
    grid = np.concatenate([-side[::-1], [0.0], side])
    with np.errstate(all="ignore"):
        values = np.broadcast_to(array(freeze(expression), e=grid), grid.shape)
    if (values > 0).all():
        return 1
    return -1 if (values < 0).all() else 0


def _gaussian(support: Support, coefficients: dict[Any, Any], feature: Any) -> Kernel | None:
    found = _only(coefficients, X, X**2)
    if found is None or support != REALS or feature != X or _sign(found[1]) >= 0:
        return None
    linear, square = found
    variance = sympy.expand(-1 / (2 * square))
    mean = linear * variance
    s = sympy.sqrt(variance)
    log_density = -((X - mean) ** 2) / (2 * variance) - sympy.log(2 * sympy.pi * variance) / 2
    log_partition = mean**2 / (2 * variance) + sympy.log(2 * sympy.pi * variance) / 2
    draw = Op("add", (freeze(mean), Op("mul", (freeze(s), Op("draw_normal", ())))))
    return Kernel("complete the square", log_partition, mean, variance, draw,
                  "mean + std·n, n ~ N(0, 1)", True, log_density)  # fmt: skip


def _truncated(support: Support, coefficients: dict[Any, Any], feature: Any) -> Kernel | None:
    found = _only(coefficients, X, X**2)
    if found is None or feature != X or support.whole or support.low.is_infinite or not support.high.is_infinite or _sign(found[1]) >= 0:
        return None
    linear, square = found
    variance = sympy.expand(-1 / (2 * square))
    centre, s, low = sympy.expand(linear * variance), sympy.sqrt(variance), support.low
    z = (centre - low) / s
    normal = -((X - centre) ** 2) / (2 * variance) - sympy.log(2 * sympy.pi * variance) / 2
    log_partition = centre**2 / (2 * variance) + sympy.log(2 * sympy.pi * variance) / 2 + p.LogNormCdf(z)
    # far left, x²/2 and log Φ(z) cancel: put together there are no large terms
    tail = -((X - low) ** 2) / (2 * variance) + (X - low) * z / s - sympy.log(2 * sympy.pi * variance) / 2
    one, two = sympy.Integer(1), sympy.Integer(2)
    draw = Op("mul", (freeze(s), Op("draw_truncated_normal", (freeze(z),))))
    draw = draw if low == 0 else Op("add", (draw, freeze(low)))
    return Kernel(
        "truncated Gaussian integral", log_partition,
        low + s * p.NormExcess(one, z), variance * p.NormExcess(two, z), draw, _INVERTED, True,
        sympy.Piecewise(
            (tail - p.LogMills(sympy.Min(0, z)), z < 0),
            (normal - p.LogNormCdf(sympy.Max(0, z)), True), evaluate=False,
        ),
    )  # fmt: skip


def _tilted(support: Support, coefficients: dict[Any, Any], feature: Any) -> Kernel | None:
    found = _only(coefficients, X)
    if found is None or feature != X or support.whole or support.low.is_infinite or support.high.is_infinite or not found[0].has(E):
        return None
    (rate,), low, high = found, support.low, support.high
    width = high - low
    u = sympy.expand(rate * width)
    # from the end that the energy favours, so that exp never overflows; at 0 a removable singularity
    log_partition = sympy.Max(low * rate, high * rate) + sympy.log(-p.Expm1(-sympy.Abs(u)) / sympy.Abs(rate))
    mean = high - 1 / rate + width * p.InverseExpm1(u)
    variance = 1 / rate**2 - width**2 * p.InverseSinh2(u)
    draw = Op("draw_tilted_uniform", (freeze(u),))
    draw = draw if width == 1 else Op("mul", (freeze(width), draw))
    draw = draw if low == 0 else Op("add", (freeze(low), draw))
    return Kernel(
        "exponential over an interval", log_partition, mean, variance, draw,
        _INVERTED, True, rate * X - log_partition,
        rate * X,
    )  # fmt: skip


def _gamma(support: Support, coefficients: dict[Any, Any], feature: Any) -> Kernel | None:
    found = _only(coefficients, X, sympy.log(X))
    if found is None or support != NONNEGATIVE or feature not in (X, sympy.log(X)):
        return None
    shape, rate = sympy.expand(found[1] + 1), -found[0]
    if _sign(shape) <= 0 or _sign(rate) <= 0:
        return None
    log_rate = sympy.expand_log(sympy.log(rate), force=True)
    log_gamma = sympy.Integer(0) if shape == 1 else sympy.loggamma(shape)
    log_partition = log_gamma - shape * log_rate
    if feature == X:
        mean, variance = shape / rate, shape / rate**2
    else:
        mean, variance = sympy.polygamma(0, shape) - log_rate, sympy.polygamma(1, shape)
    noise = Op("draw_exponential", ()) if shape == 1 else Op("draw_gamma", (freeze(shape),))
    draw = Op("mul", (freeze(1 / rate), noise))
    drawn = "standard exponential noise over the rate" if shape == 1 else "a standard gamma draw over the rate (implicit gradient)"
    log_density = (shape - 1) * sympy.log(X) - rate * X - log_partition
    return Kernel("Euler's integral", log_partition, mean, variance, draw, drawn, True, log_density)


def _beta(support: Support, coefficients: dict[Any, Any], feature: Any) -> Kernel | None:
    found = _only(coefficients, sympy.log(X), sympy.log(1 - X))
    if found is None or support != Support(sympy.Integer(0), sympy.Integer(1)) or feature != X:
        return None
    a, b = (rewrites.logistic_halves(sympy.expand(c + 1)) for c in found)
    if _sign(a) <= 0 or _sign(b) <= 0:
        return None
    total = rewrites.logistic_halves(a + b)
    log_partition = rewrites.gamma_shift(sympy.loggamma(a) + sympy.loggamma(b)) - sympy.loggamma(total)
    mean = a / total
    variance = rewrites.logistic_density(a * b / total**2 / (total + 1))
    draw = Op("draw_beta", (freeze(a), freeze(b)))
    return Kernel(
        "Euler's beta integral", log_partition, mean, variance, draw,
        "a beta draw (implicit gradient)", True, (a - 1) * sympy.log(X) + (b - 1) * p.Log1p(-X) - log_partition,
    )  # fmt: skip


def _poisson(support: Support, coefficients: dict[Any, Any], feature: Any) -> Kernel | None:
    factorial = sympy.loggamma(X + 1)
    found = _only(coefficients, X, factorial)
    if found is None or support != NONNEGATIVE_INTEGERS or found[1] != -1 or feature != X:
        return None
    rate = sympy.exp(found[0])
    return Kernel(
        "exponential series", rate, rate, rate, Op("draw_poisson", (freeze(rate),)), "a Poisson draw", False,
        found[0] * X - rate - factorial, level=rate - 1,
    )  # fmt: skip


def _negative_binomial(support: Support, coefficients: dict[Any, Any], feature: Any) -> Kernel | None:
    if support != NONNEGATIVE_INTEGERS or feature != X:
        return None
    log_ratio, r = coefficients.get(X), sympy.Integer(1)
    if log_ratio is None or _sign(log_ratio) >= 0:
        return None
    rest = {function: c for function, c in coefficients.items() if function not in (X, sympy.S.One)}
    if rest:
        upper = [function for function, c in rest.items() if c == 1 and isinstance(function, sympy.loggamma)]
        if len(rest) != 2 or rest.get(sympy.loggamma(X + 1)) != -1 or len(upper) != 1:
            return None
        r = sympy.expand(upper[0].args[0] - X)
        if not (r.is_number and r > 0):
            return None
    odds = rewrites.expm1_of_softplus(p.InverseExpm1(-log_ratio))
    # q/(1-q) = exp(u) says that 1 + q/(1-q) has no cancellation either
    log_rest = rewrites.one_minus_exp_log_sigmoid(sympy.log(1 - sympy.exp(log_ratio)))
    if log_rest.has(sympy.exp):
        log_rest = sympy.log(-p.Expm1(log_ratio))
    constant = sympy.Integer(0) if r == 1 else sympy.loggamma(r)
    normaliser = constant - r * log_rest
    own = sympy.Integer(0) if not rest else sympy.loggamma(X + r) - sympy.loggamma(X + 1)
    rate: Scalar = freeze(odds)
    noise = Op("draw_exponential", ()) if r == 1 else Op("draw_gamma", (freeze(r),))
    return Kernel(
        "binomial series", normaliser, r * odds, r * odds * (1 + odds),
        Op("draw_poisson", (Op("mul", (rate, noise)),)), "a Poisson draw whose rate is a gamma draw", False,
        own + log_ratio * X - normaliser,
        # coefficients by themselves first: what they are added to may be small
        log_tree=Op("add", (freeze(own - constant), freeze(log_ratio * X + r * log_rest))),
        # q (x + r) = x + 1
        level=(r - 1) * odds - 1,
    )  # fmt: skip
