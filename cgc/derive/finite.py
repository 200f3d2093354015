"""Route 1: finitely many states. Expectation and variance by a finite sum over them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sympy

from cgc.derive.derivation import Draw, Refusal, Step
from cgc.derive.measure import truth_of
from cgc.derive.rewrites import binomial_coefficients, logistic_to_tanh
from cgc.derive.routes import Moment, Route, step
from cgc.families.forms import Density, E, FiniteExponential, X
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array
from cgc.formula.parse import approximate
from cgc.formula.primitives import LogisticPdf, LogSigmoid, LogSumExp, Sigmoid, Softplus
from cgc.formula.scalar import Const, Op, Over, Scalar, Var, walk
from cgc.formula.text import latex, prose, text

# beyond this, energies times features keep no digit that tells states apart
_LARGEST = 1e12
# the probabilities of so many states are measured one by one
_FEW = 6


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
    logs = [sympy.expand(feature * E) + sympy.log(measure) for feature, measure in zip(features, measures, strict=True)]
    density = law.base_measure * sympy.exp(E * law.statistic)
    first = step(f"density on the states {', '.join(map(text, law.support))}", density, "eq. 2, 7", "p(x | e)·Z(e)", r"p(x \mid e) Z(e)")
    written = f"p(x | e) ∝ {text(density)}, x in {{{', '.join(text(state) for state in law.support)}}}"
    return _Finite(law.support, features, logs, law.statistic, written, [first], measures).route()


def derive_states(law: Density) -> Route:
    """The same for a density of the user's own on a list of states."""
    assert isinstance(law.support, tuple)
    features = [_at(law.feature, state) for state in law.support]
    for state, feature in zip(law.support, features, strict=True):
        if not abs(approximate(feature)) <= _LARGEST:
            raise Refusal("CG502", f"the feature is {_shown(feature)} at x = {text(state)}", "feature", why="a feature is a finite number")
    logs = [law.log_density.subs(X, state) for state in law.support]
    for state, log in zip(law.support, logs, strict=True):
        with np.errstate(all="ignore"):
            sizes = np.broadcast_to(array(freeze(log), e=np.linspace(-30, 30, 601)), (601,))
        if not np.isfinite(sizes).all():
            raise Refusal(
                "CG504", f"the log-density has no finite value at x = {text(state)}", "log_density",
                why="every state of the support needs a positive weight at every energy",
            )  # fmt: skip
    if len({approximate(feature) for feature in features}) == 1:
        raise Refusal("CG502", f"the feature is {_shown(features[0])} at every state", "feature", why="it tells no states apart")
    written = f"p(x | e) ∝ exp({text(law.log_density)}), x in {{{', '.join(text(state) for state in law.support)}}}"
    first = step("log-density on the states, up to a constant", law.log_density, "eq. 7", "log p(x | e) + log Z(e)")
    return _Finite(law.support, features, logs, law.feature, written, [first], None, law.log_density).route()


class _Finite:
    """Weights exp(logs[k]) on states, with a feature each."""

    def __init__(
        self, support: tuple[Any, ...], features: list[Any], logs: list[Any], statistic: Any, density: str, steps: list[Step],
        measures: list[Any] | None, log_density: Any = None,
    ) -> None:  # fmt: skip
        self.log_density = log_density
        self.support, self.features, self.logs, self.measures = support, features, logs, measures
        self.statistic, self.density, self.steps = statistic, density, steps

    def route(self) -> Route:
        weights = [sympy.exp(log) for log in self.logs]
        partition = sympy.Add(*weights)
        mean = sympy.Add(*(f * w for f, w in zip(self.features, weights, strict=True))) / partition
        self.steps.append(step("normalisation: the sum over the states", partition, "eq. 2", "Z(e)"))
        name = "E[X | e]" if self.statistic == X else "E[T(X) | e]"
        self.steps.append(step("expectation of the feature: the finite sum of T(x) p(x | e)", mean, "eq. 4, 9", name))
        if len(self.features) == 2:
            return self._two()
        counts = None if self.measures is None or self.statistic != X else binomial_coefficients(self.support, self.measures)
        return self._many() if counts is None else self._binomial(*counts)

    def _finish(self, mean: Any, variance: Any, draw: Scalar, drawn: str, log_likelihood: Any, mode: Scalar, **more: Any) -> Route:
        name = "Var[X | e]" if self.statistic == X else "Var[T(X) | e]"
        self.steps.append(step("variance", variance, "", name))
        self.steps.append(step("log-likelihood", log_likelihood, "eq. 3" if len(self.support) == 2 else "eq. 2", "log p(x | e)"))
        self.steps.append(Step("sampling rule", f"X = {drawn}", f"X = {prose(drawn)}"))
        states = tuple(_const(state) for state in self.support)
        mean_tree, variance_tree = freeze(mean), freeze(variance)
        return Route(
            self.density, tuple(self.steps),
            more.pop("mean_moment", None) or Moment(text(mean), latex(mean), (mean_tree,), truth_of(mean_tree), mean),
            more.pop("variance_moment", None) or Moment(
                text(variance), latex(variance), (variance_tree,), truth_of(variance_tree), variance
            ),
            Draw(draw, False, states), drawn, more.pop("log_tree", None) or freeze(log_likelihood), text(log_likelihood),
            statistic=None if self.statistic == X else self.statistic, mode=mode, **more,
        )  # fmt: skip

    def _two(self) -> Route:
        # the state with the larger feature comes second: σ then has no cancellation in its tail
        first = sorted((0, 1), key=lambda k: approximate(self.features[k]))
        a, b = (self.support[k] for k in first)
        low, high = (self.features[k] for k in first)
        logs = [self.logs[k] for k in first]
        log_odds = sympy.expand(logs[1] - logs[0]) if self.measures is None else (
            sympy.expand((high - low) * E) + sympy.log(self.measures[first[1]] / self.measures[first[0]])
        )  # fmt: skip
        probability = Sigmoid(log_odds)
        name = "E[X | e]" if self.statistic == X else "E[T(X) | e]"
        mean = low + (high - low) * probability
        self.steps.append(step("divide by the larger term: the log-odds decide", probability, "eq. 3", f"P(X = {text(b)} | e)"))
        self.steps.append(step("the sum over two states", mean, "eq. 6", name))
        stable = logistic_to_tanh(low, high, log_odds)
        if stable != mean:
            self.steps.append(step("rewrite logistic_to_tanh: 2σ(2u) - 1 = tanh(u)", stable, "eq. 6", name))
        variance = (high - low) ** 2 * LogisticPdf(log_odds)
        # eq. (3): the sign of x's distance from the middle picks the state
        log_likelihood = LogSigmoid((2 * X - a - b) * sympy.expand(log_odds / (b - a)))
        coin = Op("draw_bernoulli", (freeze(probability),))
        span = Op("mul", (_const(b - a), coin)) if b - a != 1 else coin
        draw = span if a == 0 else Op("add", (span, _const(a))) if a > 0 else Op("sub", (span, _const(-a)))
        mode = Op("where", (Op("ge", (freeze(log_odds), _const(sympy.Integer(0)))), _const(b), _const(a)))
        drawn = f"{text(b)} with probability P(X = {text(b)} | e), else {text(a)}"
        return self._finish(stable, variance, draw, drawn, log_likelihood, mode, log_odds=(low, high, log_odds))

    def _binomial(self, trials: int, log_ratio: Any) -> Route:
        probability = Sigmoid(E + log_ratio)
        log_z = trials * Softplus(E + log_ratio)
        self.steps.append(step("rewrite binomial_theorem: Σ C(n, x) u^x = (1 + u)^n", log_z, "", "log Z(e)"))
        mean = trials * probability
        self.steps.append(step("expectation: the log-partition's derivative", mean, "eq. 9", "E[X | e]"))
        variance = trials * LogisticPdf(E + log_ratio)
        choose = sympy.loggamma(trials + 1) - sympy.loggamma(X + 1) - sympy.loggamma(trials + 1 - X)
        log_likelihood = choose + X * LogSigmoid(E + log_ratio) + (trials - X) * LogSigmoid(-E - log_ratio)
        # the binomial coefficient by itself first: what it is added to may be small
        scores = X * LogSigmoid(E + log_ratio) + (trials - X) * LogSigmoid(-E - log_ratio)
        log_tree = Op("add", (freeze(choose), freeze(scores)))
        draw = Op("draw_binomial", (_const(sympy.Integer(trials)), freeze(probability)))
        mode = self._table("heaviest", "x")
        return self._finish(
            mean,
            variance,
            draw,
            f"the number of successes in {trials} trials of probability {text(probability)}",
            log_likelihood,
            mode,
            log_tree=log_tree,
        )

    def _many(self) -> Route:
        log_partition = LogSumExp(*self.logs)
        mean = sympy.Add(*(f * sympy.exp(log - log_partition) for f, log in zip(self.features, self.logs, strict=True)))
        name = "E[X | e]" if self.statistic == X else "E[T(X) | e]"
        self.steps.append(step("log-partition, in a form that cannot overflow", log_partition, "eq. 2", "log Z(e)"))
        self.steps.append(step("expectation with p(x | e) = exp(log weight - log Z)", mean, "eq. 9", name))
        square = sympy.Symbol("E")
        variance = sympy.Add(*((f - square) ** 2 * sympy.exp(log - log_partition) for f, log in zip(self.features, self.logs, strict=True)))
        cases = [(log - log_partition, sympy.Eq(X, state)) for state, log in zip(self.support, self.logs, strict=True)]
        log_likelihood = sympy.Piecewise(*cases, (-sympy.oo, True), evaluate=False)
        # no state against the sum of all: against the others, so that a probability near 1 keeps its digits
        last: Scalar = Op("neg", (Op("infinity", ()),))
        parts = []
        for k in reversed(range(len(self.support))):
            others = [freeze(sympy.expand(log - self.logs[k])) for j, log in enumerate(self.logs) if j != k]
            case: Scalar = Op("neg", (Op("log1p_sum_exp", tuple(others)),))
            if len(self.support) <= _FEW:
                parts.append((f"log_p_{k}", Moment("", "", (case,), truth_of(case))))
                case = Var(f"log_p_{k}")
            last = Op("where", (Op("eq", (Var("x"), _const(self.support[k]))), case, last))
        table_mean, table_variance = self._table("mean", "t"), self._table("variance", "t")
        return self._finish(
            mean, variance, self._table("pick", "x"), "a state with probability proportional to its weight", log_likelihood,
            self._table("heaviest", "x"), log_tree=last, parts=tuple(parts),
            mean_moment=Moment(text(mean), latex(mean), (table_mean,), truth_of(table_mean), mean),
            variance_moment=Moment(text(variance), latex(variance), (table_variance,), truth_of(table_variance)),
        )  # fmt: skip

    def _table(self, name: str, shown: str) -> Over:
        """A reduction over the states, with columns x (state), t (feature) and what the weights need."""
        columns: list[tuple[str, tuple[Scalar, ...]]] = []
        if self.measures is not None:
            # an offset of all features changes no probability, but costs digits
            centre = sorted(self.features, key=approximate)[len(self.features) // 2]
            slopes = [feature - centre for feature in self.features]
            weight: Scalar = Op("mul", (Var("e"), Var("k")))
            columns.append(("k", tuple(map(freeze, slopes))))
            if any(measure != self.measures[0] for measure in self.measures):
                weight = Op("add", (weight, Var("h")))
                columns.append(("h", tuple(freeze(sympy.log(measure)) for measure in self.measures)))
        else:
            assert self.log_density is not None
            weight = freeze(self.log_density)
            columns.append(("x", tuple(map(freeze, self.support))))
        values = self.support if shown == "x" else self.features
        if not any(name == shown for name, _ in columns):
            columns.append((shown, tuple(map(freeze, values))))
        return Over(name, tuple(columns), (weight, Var(shown)))


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
