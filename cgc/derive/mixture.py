"""Route 7: a finite mixture whose weights depend on the energy. Total expectation, total variance.

Var = Σ p Var + Σ p p' (E - E')², in which nothing can cancel.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy

from cgc.derive.derivation import Derivation, Draw, Refusal, Step
from cgc.derive.measure import Truth, truth_of
from cgc.derive.rewrites import log_of_sigmoid, logistic_halves, stable_tanh
from cgc.derive.routes import Moment, Route, step
from cgc.families.forms import FiniteExponential, Law, Mixture
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array
from cgc.formula.scalar import Op, Scalar, Var, bind
from cgc.formula.text import latex, text


def derive_mixture(law: Mixture, derive: Callable[[Law], Derivation]) -> Route:
    """Everything about a mixture from what ``derive`` finds for its parts. Raises Refusal."""
    weights = [stable_tanh(weight) for weight in law.weights]
    _refuse(weights)
    parts = [derive(part) for part in law.laws]
    if any(part.statistic is not None for part in parts):
        raise Refusal("CG504", "the parts of a mixture show x itself, not a feature of it", "components")
    total = logistic_halves(sympy.Add(*weights))
    shares = [weight / total for weight in weights]
    trees = [freeze(share) for share in shares]
    means, variances = [part.expectation for part in parts], [part.variance for part in parts]
    mean = _sum([_times(p, m) for p, m in zip(trees, means, strict=True)])
    between = [
        Op("mul", (_times(trees[j], trees[k]), Op("power", (Op("sub", (means[j], means[k])), freeze(sympy.Integer(2))))))
        for j, k in itertools.combinations(range(len(parts)), 2)
    ]
    variance = _sum([*(_times(p, v) for p, v in zip(trees, variances, strict=True)), *between])
    written = "X ~ " + " + ".join(f"{text(share)}·[{part.density}]" for share, part in zip(shares, parts, strict=True))
    mean_text = " + ".join(f"({text(share)})·({part.expectation_text})" for share, part in zip(shares, parts, strict=True))
    mean_latex = " + ".join(
        rf"\left({latex(share)}\right)\left({part.expectation_latex}\right)" for share, part in zip(shares, parts, strict=True)
    )
    within = " + ".join(f"({text(share)})·({part.variance_text})" for share, part in zip(shares, parts, strict=True))
    variance_text = f"{within} + Σ_(j<k) p_j p_k (E_j - E_k)^2"
    steps = [Step("the node: a mixture", written, rf"X \sim \sum_k p_k\,p_k(x \mid e), k = 1, \dots, {len(parts)}", "eq. 7")]
    for k, (share, part) in enumerate(zip(shares, parts, strict=True)):
        steps.append(step(f"part {k}: {part.density}; its share", share, "", f"p_{k}"))
        steps.append(Step(f"part {k}: expectation and variance", f"E_{k} = {part.expectation_text}; Var_{k} = {part.variance_text}",
                          rf"E_{{{k}}} = {part.expectation_latex}, V_{{{k}}} = {part.variance_latex}"))  # fmt: skip
    steps += [
        Step("law of total expectation", f"E[X | e] = {mean_text}", rf"\mathbb{{E}}[X \mid e] = {mean_latex}", "eq. 9"),
        Step(
            "law of total variance",
            f"Var[X | e] = {variance_text}",
            r"\operatorname{Var}[X \mid e] = \sum_k p_k V_k + \sum_{j<k} p_j p_k (E_j - E_k)^2",
        ),
        Step("sampling rule", "draw a part by its share, then from it", r"k \sim p, X \sim p_k(x \mid e)"),
    ]
    log_likelihood, missing = _likelihood([freeze(log_of_sigmoid(sympy.log(share))) for share in shares], parts)
    numeric = [part.numeric for part in parts if part.numeric is not None]
    exact = None if numeric else truth_of(mean)
    spread: Truth | None = None if numeric else truth_of(variance)
    return Route(
        written, tuple(steps), Moment(mean_text, mean_latex, (mean,), exact),
        Moment(variance_text, r"\operatorname{Var}", (variance,), spread),
        _draw(trees, parts), "draw a part by its share, then from it", log_likelihood,
        "" if log_likelihood is None else "log Σ_k p_k p_k(x | e)", missing,
        method="; ".join(dict.fromkeys(rule.rule for rule in numeric)),
        limits=(max([-np.inf, *(rule.low for rule in numeric)]), min([np.inf, *(rule.high for rule in numeric)])),
    )  # fmt: skip


def _times(a: Scalar, b: Scalar) -> Scalar:
    return Op("mul", (a, b))


def _sum(terms: Sequence[Scalar]) -> Scalar:
    total = terms[0]
    for term in terms[1:]:
        total = Op("add", (total, term))
    return total


def _refuse(weights: list[Any]) -> None:
    side = np.geomspace(1e-6, 80, 200)
    grid = np.concatenate([-side[::-1], [0.0], side])
    for weight in weights:
        with np.errstate(all="ignore"):
            values = np.broadcast_to(array(freeze(weight), e=grid), grid.shape)
        bad = grid[~((values >= 0) & np.isfinite(values))]
        if bad.size:
            at = float(bad[np.argmin(np.abs(bad))])
            raise Refusal("CG504", f"the weight `{text(weight)}` is no positive number at e = {at:.4g}", "components")
    if all(weight.is_number and weight == 0 for weight in weights):
        raise Refusal("CG504", "all weights of the mixture are 0", "components")


def _likelihood(log_shares: list[Scalar], parts: list[Derivation]) -> tuple[Scalar | None, str]:
    for k, part in enumerate(parts):
        if part.log_likelihood is None:
            return None, f"part {k} has none: {part.no_likelihood}"
    kinds = {part.measure for part in parts}
    if len(kinds) > 1 or "mixed" in kinds:
        return None, "its parts mix probabilities of single states with densities"
    logs = [Op("add", (log_share, _on_states(part))) for log_share, part in zip(log_shares, parts, strict=True)]
    return (logs[0] if len(logs) == 1 else Op("logsumexp", tuple(logs))), ""


def _draw(shares: list[Scalar], parts: list[Derivation]) -> Draw:
    """Part by part: this one with its share of what is left, else one of the rest."""
    values: list[Scalar] = []
    given: list[tuple[str, Scalar]] = []
    for k, part in enumerate(parts):
        assert isinstance(part.sampling, Draw)
        value, own = part.sampling.value, list(part.sampling.given)
        # variables of different parts have different names
        for j, (name, drawn) in enumerate(own):
            given.append((f"{name}{k}", drawn))
            value = bind(value, name, Var(f"{name}{k}"))
            own[j + 1 :] = [(later, bind(rest, name, Var(f"{name}{k}"))) for later, rest in own[j + 1 :]]
        values.append(value)
    result, left = values[-1], shares[-1]
    for share, drawn in zip(reversed(shares[:-1]), reversed(values[:-1]), strict=True):
        left = Op("add", (share, left))
        coin = Op("draw_bernoulli", (Op("min", (freeze(sympy.Integer(1)), Op("div", (share, left)))),))
        result = Op("where", (Op("eq", (coin, freeze(sympy.Integer(1)))), drawn, result))
    return Draw(result, False, given=tuple(given))


def _on_states(part: Derivation) -> Scalar:
    """A log-likelihood that is minus infinity where a part has no state; that of two states is written for these alone."""
    assert part.log_likelihood is not None
    if not isinstance(part.law, FiniteExponential):
        return part.log_likelihood
    result: Scalar = Op("neg", (Op("infinity", ()),))
    for state in part.law.support:
        result = Op("where", (Op("eq", (Var("x"), freeze(state))), part.log_likelihood, result))
    return result
