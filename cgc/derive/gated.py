"""Route 5: X = value(e)·1[B = open]. Expectation and variance by the laws of total expectation and variance."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy

from cgc.derive.derivation import Draw, Refusal, Step
from cgc.derive.measure import truth_of
from cgc.derive.rewrites import complement, logistic_density, stable_tanh
from cgc.derive.routes import Moment, Route, step
from cgc.families.forms import E, Gated
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array
from cgc.formula.scalar import Op
from cgc.formula.text import latex, text


def derive_gated(law: Gated) -> Route:
    """E X = value·P(open). Raises Refusal where ``prob`` is no probability."""
    prob = stable_tanh(law.prob)
    _refuse(prob, text(law.prob))
    closed = complement(prob)
    passes, blocks = (prob, closed) if law.open else (closed, prob)
    value = stable_tanh(law.value)
    mean = value * passes
    variance = logistic_density(value**2 * passes * blocks)
    state = 1 if law.open else 0
    written = f"X = ({text(law.value)})·1[B = {state}], B ~ Bernoulli({text(law.prob)})"
    steps = [
        Step("the node: a value that a gate lets pass", written, rf"X = {latex(law.value)}\cdot 1[B = {state}]", "eq. 12-13"),
        step(f"the gate is open, B = {state}, with probability", passes, "", "p"),
        step("law of total expectation: value·p + 0·(1 - p)", mean, "eq. 9", "E[X | e]"),
        step("rewrite complement: 1 - p without cancellation", blocks, "", "1 - p"),
        step("law of total variance: value²·p·(1 - p)", variance, "", "Var[X | e]"),
        Step(
            "sampling rule: the value, or 0",
            f"X = ({text(law.value)})·B, B ~ Bernoulli({text(passes)})",
            rf"X = \left({latex(law.value)}\right) B, B \sim \operatorname{{Bernoulli}}\left({latex(passes)}\right)",
            "eq. 12",
        ),
    ]
    draw = Op("draw_bernoulli", (freeze(passes),))
    mean_tree, variance_tree = freeze(mean), freeze(variance)
    return Route(
        written, tuple(steps), Moment(text(mean), latex(mean), (mean_tree,), truth_of(mean_tree), mean),
        Moment(text(variance), latex(variance), (variance_tree,), truth_of(variance_tree), variance),
        Draw(draw if value == 1 else Op("mul", (freeze(value), draw)), False), f"{text(law.value)} with probability {text(passes)}, else 0",
        None, "", "its states move with the energy, so they have no density", slope=_slope(mean),
    )  # fmt: skip


def _slope(mean: Any) -> Any:
    """The slope at -∞ of an expectation, where it is a number that people write; else 0."""
    with np.errstate(all="ignore"):
        low, high = (float(array(freeze(mean), e=np.float64(e))) for e in (-1e4, -2e4))
    found = sympy.Rational(str(round((low - high) / 1e4, 9))) if np.isfinite(low - high) else sympy.Integer(0)
    return found if found.q < 1000 else sympy.Integer(0)


def _refuse(prob: Any, written: str) -> None:
    side = np.geomspace(1e-6, 1e4, 300)
    grid = np.concatenate([-side[::-1], [0.0], side])
    with np.errstate(all="ignore"):
        values = np.broadcast_to(array(freeze(prob), e=grid), grid.shape)
    bad = grid[~((values >= 0) & (values <= 1 + 1e-12))]
    if bad.size:
        at = float(bad[np.argmin(np.abs(bad))])
        found = float(np.broadcast_to(array(freeze(prob), e=np.array([at])), (1,))[0])
        raise Refusal(
            "CG504", f"`{written}` is no probability: it is {found:.4g} at e = {at:.4g}", "prob",
            why="a gate opens with a probability between 0 and 1 at every energy",
            help="use sigmoid(e), normal_cdf(e), or tanh(softplus(e))",
        )  # fmt: skip
    if not prob.has(E) and prob.is_number and prob in (0, 1):
        raise Refusal("CG504", "a gate that never changes is none", "prob", why=f"its probability is {written} at every energy")
