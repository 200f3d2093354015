"""Route 1: an exponential family on finitely many numbers. Expectation by a finite sum over the states."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sympy

from cgc.derive.derivation import Refusal, States, TwoStates
from cgc.derive.routes import Route, step
from cgc.families.forms import E, FiniteExponential, X
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array
from cgc.formula.parse import approximate
from cgc.formula.primitives import LogSigmoid, LogSumExp, Sigmoid
from cgc.formula.scalar import Const, Op, walk
from cgc.formula.text import text

# beyond this, energies times features keep no digit that tells states apart
_LARGEST = 1e12


def derive_finite(law: FiniteExponential) -> Route:
    """E[T(X) | e] = Σ T(x) p(x | e). Raises Refusal if the base measure is no measure, or the statistic tells no states apart."""
    features = [_at(law.statistic, state) for state in law.support]
    measures = [_at(law.base_measure, state) for state in law.support]
    for state, measure in zip(law.support, measures, strict=True):
        # its logarithm joins the energy
        if not abs(approximate(sympy.log(measure))) <= _LARGEST:
            raise Refusal(
                "CG501", f"the base measure is {_shown(measure)} at x = {text(state)}", "base_measure",
                why="a density needs a positive weight on every state of its support",
            )  # fmt: skip
    for state, feature in zip(law.support, features, strict=True):
        if not abs(approximate(feature)) <= _LARGEST:
            raise Refusal(
                "CG502", f"the statistic is {_shown(feature)} at x = {text(state)}", "statistic",
                why=f"a feature is a finite number, of size at most {_LARGEST:g}",
            )  # fmt: skip
    features = [sympy.expand(feature) for feature in features]
    if len({approximate(feature) for feature in features}) == 1:
        raise Refusal(
            "CG502", f"the statistic is {_shown(features[0])} at every state", "statistic",
            why="it tells no states apart, so the energy has no influence", help="use a statistic that varies with x",
        )  # fmt: skip
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
    # the state with the larger feature is the one whose probability rises with e: σ then has no cancellation in its tail
    first = sorted((0, 1), key=lambda k: approximate(features[k]))
    a, b = (law.support[k] for k in first)
    low, high = (features[k] for k in first)
    measures = [measures[k] for k in first]
    log_odds = sympy.expand((high - low) * E) + sympy.log(measures[1] / measures[0])
    probability = Sigmoid(log_odds)
    mean = low + (high - low) * probability
    steps.append(step("divide by the larger term: the log-odds decide", probability, "eq. 3", f"P(X = {b} | e)"))
    steps.append(step("the sum over two states", mean, "eq. 6", "E[T(X) | e]"))
    stable = logistic_to_tanh(low, high, log_odds)
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


def logistic_to_tanh(low: Any, high: Any, log_odds: Any) -> Any:
    """low + (high - low)·σ(w), which is high·tanh(w/2) where low = -high."""
    if sympy.expand(low + high) == 0:
        return high * sympy.tanh(sympy.expand(log_odds / 2))
    return low + (high - low) * Sigmoid(log_odds)


def _at(expression: Any, state: Any) -> Any:
    """``expression`` at x = ``state``; nan where it has no value, or where sympy would need all of memory to write down an exponential."""
    for part in walk(freeze(expression)):
        if isinstance(part, Op) and part.name == "exp":
            with np.errstate(all="ignore"):
                if array(part, x=np.float64(state)) == np.inf:
                    return sympy.nan
    try:
        return expression.subs(X, state)
    except (TypeError, ValueError):  # max and min refuse to compare what is infinite or imaginary
        return sympy.nan


def _shown(number: Any) -> str:
    """A short text for a number that may be none."""
    if math.isnan(approximate(number)):
        return "undefined"
    return text(number) if number.is_Rational and abs(number) < _LARGEST else f"{approximate(number):g}"


def _const(value: Any) -> Const:
    frozen = freeze(value)
    assert isinstance(frozen, Const)
    return frozen
