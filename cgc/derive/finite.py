"""Route 1: an exponential family on finitely many numbers. Expectation by a finite sum over the states."""

from __future__ import annotations

from typing import Any

import sympy

from cgc.derive.derivation import Const, Refusal, States, TwoStates
from cgc.derive.routes import Route, step
from cgc.families.forms import E, FiniteExponential, X
from cgc.formula.freeze import freeze
from cgc.formula.primitives import LogSigmoid, LogSumExp, Sigmoid
from cgc.formula.text import text


def derive_finite(law: FiniteExponential) -> Route:
    """E[T(X) | e] = Σ T(x) p(x | e). Raises Refusal if the base measure is no measure."""
    features = [sympy.expand(law.statistic.subs(X, state)) for state in law.support]
    measures = [law.base_measure.subs(X, state) for state in law.support]
    for state, measure in zip(law.support, measures, strict=True):
        if not (measure.is_finite and measure.is_real and measure > 0):
            raise Refusal(
                "CG501", f"the base measure is {measure} at x = {state}", "base_measure",
                why="a density needs a positive weight on every state of its support",
            )  # fmt: skip
    for state, feature in zip(law.support, features, strict=True):
        if not (feature.is_finite and feature.is_real):
            raise Refusal("CG502", f"the statistic is not finite at x = {state}", "statistic")
    weights = [sympy.exp(feature * E + sympy.log(measure)) for feature, measure in zip(features, measures, strict=True)]
    partition = sympy.Add(*weights)
    mean = sympy.Add(*(f * w for f, w in zip(features, weights, strict=True))) / partition
    density = law.base_measure * sympy.exp(E * law.statistic)
    steps = [
        step(f"density on the states {', '.join(map(str, law.support))}", density, "eq. 2, 7", "p(x | e)·Z(e)"),
        step("partition function: the sum over the states", partition, "eq. 2", "Z(e)"),
        step("expectation of the feature: the finite sum of T(x) p(x | e)", mean, "eq. 4, 9", "E[T(X) | e]"),
    ]
    finish = _two_states if len(features) == 2 else _many_states
    return finish(law, features, measures, steps)


def _two_states(law: FiniteExponential, features: list[Any], measures: list[Any], steps: list[Any]) -> Route:
    (a, b), (low, high) = law.support, features
    log_odds = sympy.expand((high - low) * E) + sympy.log(measures[1] / measures[0])
    probability = Sigmoid(log_odds)
    mean = low + (high - low) * probability
    steps.append(step("divide by the larger term: the log-odds decide", probability, "eq. 3", f"P(X = {b} | e)"))
    steps.append(step("the sum over two states", mean, "eq. 6", "E[T(X) | e]"))
    stable = logistic_to_tanh(mean)
    if stable != mean:
        steps.append(step("rewrite: 2σ(2u) - 1 = tanh(u)", stable, "eq. 6", "E[T(X) | e]"))
    # eq. (3): the sign of x's distance from the middle picks the state
    log_likelihood = LogSigmoid((2 * X - a - b) * sympy.expand(log_odds / (b - a)))
    steps.append(step("log-likelihood", log_likelihood, "eq. 3", "log p(x | e)"))
    sampling = TwoStates(_const(a), _const(b), freeze(probability))
    return Route(
        _density(law), tuple(steps), stable, stable, sampling, f"{b} with probability P(X = {b} | e), else {a}", log_likelihood,
        statistic=None if law.statistic == X else law.statistic,
    )  # fmt: skip


def _many_states(law: FiniteExponential, features: list[Any], measures: list[Any], steps: list[Any]) -> Route:
    logs = [sympy.expand(feature * E) + sympy.log(measure) for feature, measure in zip(features, measures, strict=True)]
    log_partition = LogSumExp(*logs)
    stable = sympy.Add(*(f * sympy.exp(log - log_partition) for f, log in zip(features, logs, strict=True)))
    steps.append(step("log-partition, in a form that cannot overflow", log_partition, "eq. 2", "log Z(e)"))
    steps.append(step("expectation with p(x | e) = exp(log weight - log Z)", stable, "eq. 9", "E[T(X) | e]"))
    cases = [(log - log_partition, sympy.Eq(X, state)) for state, log in zip(law.support, logs, strict=True)]
    log_likelihood = sympy.Piecewise(*cases, (-sympy.oo, True), evaluate=False)
    steps.append(step("log-likelihood", log_likelihood, "eq. 2", "log p(x | e)"))
    sampling = States(tuple(_const(state) for state in law.support), tuple(freeze(log) for log in logs))
    return Route(
        _density(law), tuple(steps), stable, stable, sampling, "a state with probability proportional to its weight", log_likelihood,
        statistic=None if law.statistic == X else law.statistic, names=((log_partition, "log_z"),),
    )  # fmt: skip


def _density(law: FiniteExponential) -> str:
    weight = text(law.base_measure * sympy.exp(E * law.statistic))
    return f"p(x | e) ∝ {weight}, x in {{{', '.join(text(state) for state in law.support)}}}"


def logistic_to_tanh(expression: Any) -> Any:
    """The rewrite a + b·σ(w) = (b/2)·tanh(w/2) where a = -b/2; any other expression comes back as it is."""
    (sigmoid,) = sorted(expression.atoms(Sigmoid), key=sympy.default_sort_key)
    scale = expression.coeff(sigmoid)
    shift = sympy.expand(expression - scale * sigmoid)
    if scale.has(E) or shift != -scale / 2:
        return expression
    return scale / 2 * sympy.tanh(sympy.expand(sigmoid.args[0] / 2))


def _const(value: Any) -> Const:
    frozen = freeze(value)
    assert isinstance(frozen, Const)
    return frozen
