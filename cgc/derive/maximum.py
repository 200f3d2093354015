"""Route 6: the larger of two independent Gaussians (Clark 1961): max(Y₁, Y₂) = Y₂ + max(0, Y₁ - Y₂), a rectified Gaussian on top of one.

Var by Stein's lemma: Cov(Y₂, max(0, D)) = Cov(Y₂, D)·P(D > 0). Both from the side of the larger mean, so that no digits cancel.
"""

from __future__ import annotations

from typing import Any

import sympy

from cgc.derive.derivation import Draw, Refusal, Step
from cgc.derive.measure import truth_of
from cgc.derive.routes import Moment, Route, step
from cgc.derive.scale import scale_of
from cgc.families.forms import MaxOf, Noise, X
from cgc.formula.freeze import freeze
from cgc.formula.primitives import LogMills, LogNormCdf, LogSumExp, NormCdf, NormMoment, NormPdf, NormRamp
from cgc.formula.scalar import Op, Scalar
from cgc.formula.text import latex, text

_FLOOR = sympy.Rational(1, 10**18)
_THETA = sympy.Symbol("θ", positive=True)
_ALPHA = sympy.Symbol("α", real=True)


def derive_maximum(law: MaxOf) -> Route:
    """Expectation, variance, sampling rule and log-likelihood of max(Y₁, Y₂). Raises Refusal."""
    (m1, m2), scales = law.means, [scale_of(Noise("normal", std)) for std in law.stds]
    s1, s2 = (scale.formula for scale in scales)
    if s1 == 0 and s2 == 0:
        raise Refusal(
            "CG504", "both standard deviations are 0, so that nothing is random", "stds",
            help="use `{kind: noise, base: normal, scale: 0, value: …}` for a deterministic node",
        )  # fmt: skip
    theta = sympy.sqrt(s1**2 + s2**2)
    far = theta if theta.is_number else sympy.Max(theta, _FLOOR)
    alpha = (m1 - m2) / far
    written = m1 * NormCdf(_ALPHA) + m2 * NormCdf(-_ALPHA) + _THETA * NormPdf(_ALPHA)

    def side(low: Any, z: Any) -> Any:
        """E from the larger mean, z <= 0."""
        return low + theta * NormRamp(sympy.Min(0, z))

    def spread(s: Any, z: Any) -> Any:
        w = sympy.Min(0, z)
        return s**2 * (1 - 2 * NormCdf(w)) + theta**2 * (NormMoment(sympy.Integer(2), w) - NormRamp(w) ** 2)

    swap = m1 < m2
    cases = sympy.Piecewise((side(m2, alpha), swap), (side(m1, -alpha), True), evaluate=False)
    variance = sympy.Piecewise((spread(s2, alpha), swap), (spread(s1, -alpha), True), evaluate=False)
    name = f"X = max(Y1, Y2), Y1 ~ N({text(m1)}, {text(s1)}^2), Y2 ~ N({text(m2)}, {text(s2)}^2)"
    second = sympy.Symbol("E")
    clark = (m1**2 + s1**2) * NormCdf(_ALPHA) + (m2**2 + s2**2) * NormCdf(-_ALPHA) + (m1 + m2) * _THETA * NormPdf(_ALPHA) - second**2
    steps = [
        Step("the node: the larger of two independent Gaussians", name, r"X = \max(Y_1, Y_2)", "eq. 7"),
        step("their difference Y1 - Y2 is Gaussian with standard deviation", theta, "", "θ"),
        step("standardised", (m1 - m2) / _THETA, "", "α"),
        step("max(Y1, Y2) = Y2 + max(0, Y1 - Y2), a rectified Gaussian", m2 + _THETA * NormRamp(_ALPHA), "eq. 10", "E[X | e]"),
        step("put together", written, "eq. 9", "E[X | e]"),
        step("variance: E X² - (E X)²", clark, "", "Var[X | e]"),
        step("in stable primitives, from the larger mean", variance, "", "Var[X | e]"),
    ]
    mean_trees = (freeze(m2 + theta * NormRamp(alpha)), freeze(cases))
    log_likelihood: Any = None
    missing = ""
    if any(scale.vanishes_at is not None for scale in scales):
        missing = "a standard deviation vanishes"
    else:
        n1, n2 = (X - m1) / s1, (X - m2) / s2
        log_likelihood = LogSumExp(_log_phi(n1) - sympy.log(s1) + LogNormCdf(n2), _log_phi(n2) - sympy.log(s2) + LogNormCdf(n1))
        steps.append(step("log-likelihood: one is x and the other below", log_likelihood, "", "log p(x | e)"))
        common = -(sympy.Min(0, n1) ** 2) / 2 - sympy.Min(0, n2) ** 2 / 2 - sympy.log(2 * sympy.pi) / 2
        stable = common + LogSumExp(_below(n2, n1) - sympy.log(s1), _below(n1, n2) - sympy.log(s2))
    steps.append(Step("sampling rule", "draw both, take the larger", r"\max(\mu_1 + s_1 n_1, \mu_2 + s_2 n_2)"))
    draw = Op("max", tuple(_gaussian(m, s) for m, s in ((m1, s1), (m2, s2))))
    shown = written.subs({_THETA: theta, _ALPHA: (m1 - m2) / theta}) if theta.is_number else written
    variance_tree = freeze(variance)
    return Route(
        name, tuple(steps), Moment(text(shown), latex(shown), mean_trees, truth_of(freeze(cases)), m2 + theta * NormRamp(alpha)),
        Moment(text(clark), latex(clark), (variance_tree,), truth_of(variance_tree)),
        Draw(draw, True), "draw both, take the larger", None if log_likelihood is None else freeze(stable),
        "" if log_likelihood is None else text(log_likelihood), missing, slope=_slope(law),
    )  # fmt: skip


def _slope(law: MaxOf) -> Any:
    slopes = [sympy.diff(mean, sympy.Symbol("e", real=True)) for mean in law.means]
    return min(slopes) if all(slope.is_number for slope in slopes) else sympy.Integer(0)


def _below(n: Any, other: Any) -> Any:
    """log Φ(n) φ(other), less -min(0, n)²/2 - min(0, other)²/2 and the constant: what is left is small where both are far below."""
    zero, below = sympy.Integer(0), sympy.Min(0, n)
    log_cdf = sympy.Piecewise((LogMills(below), n < zero), (LogNormCdf(sympy.Max(0, n)), True), evaluate=False)
    return log_cdf - sympy.Max(0, other) ** 2 / 2


def _log_phi(n: Any) -> Any:
    return -(n**2) / 2 - sympy.log(2 * sympy.pi) / 2


def _gaussian(mean: Any, std: Any) -> Scalar:
    noise: Scalar = Op("draw_normal", ())
    noise = noise if std == 1 else Op("mul", (freeze(std), noise))
    return noise if mean == 0 else Op("add", (freeze(mean), noise))
