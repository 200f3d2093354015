"""The one public function of this stage: from a family to its derivation. Routes are chosen by the form of the density alone."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache, partial

from cgc.derive.approximate import approximate
from cgc.derive.beside import side_by_side
from cgc.derive.check import check, defined
from cgc.derive.density import derive_density
from cgc.derive.derivation import Approximation, Derivation, Numeric, Refusal, Step
from cgc.derive.finite import derive_finite, derive_states
from cgc.derive.gated import derive_gated
from cgc.derive.guard import Guarded
from cgc.derive.labels import derive_labels
from cgc.derive.maximum import derive_maximum
from cgc.derive.measure import Truth
from cgc.derive.mixture import derive_mixture
from cgc.derive.mode import most_probable
from cgc.derive.moments import energy_moments
from cgc.derive.noise import derive_noise
from cgc.derive.routes import Route
from cgc.derive.saturate import saturated
from cgc.derive.settle import is_table, settle
from cgc.derive.slope import derivative
from cgc.families.forms import Density, FiniteExponential, Gated, Indicators, Law, MaxOf, Mixture, Noise, Support
from cgc.formula.freeze import freeze
from cgc.formula.scalar import bind


@lru_cache(maxsize=256)
def derive(law: Law, emit: str | None = None, closed: bool = True) -> Derivation:
    """Everything that follows from ``law``; ``emit`` names the activation that shall be computed for its expectation.

    With ``closed`` false (``route: quadrature`` in a spec) numerical rules take the place of closed forms. Raises Refusal.
    """
    route = route_of(law, closed)
    if isinstance(law, Indicators):
        if emit:
            raise Refusal("CG507", "a node with labels has a vector of energies, `emit` replaces functions of one", "emit")
        mean, variance = (Guarded(saturated(moment.candidates[0]), (), 0.0) for moment in (route.mean, route.variance))
        truths, approximation, parts = (), None, [settle(part, route) for _, part in route.parts]
    else:
        settled = (partial(settle, moment, route) for moment in (route.variance, *(part for _, part in route.parts)))
        truths, (mean, approximation), variance, *parts = side_by_side(
            partial(defined, law, route), partial(_expected, route, emit), *settled
        )
    log_likelihood = route.log_likelihood
    for (name, _), part in zip(route.parts, parts, strict=True):
        assert log_likelihood is not None
        log_likelihood = bind(log_likelihood, name, part.scalar)
    variance = replace(variance, scalar=saturated(variance.scalar))
    checked = check(law, mean.scalar, variance.scalar, route, truths)
    numeric = Numeric(route.method, checked.max_difference, checked.at, *route.limits) if route.method else None
    slope = derivative(route.mean.expression)
    steps = [*route.steps, *_guards("expectation", mean), *_guards("variance", variance)]
    for what, moment, found in (("expectation", route.mean, mean), ("variance", route.variance, variance)):
        if moment.exact is not None and is_table(found.scalar) and not is_table(moment.candidates[0]):
            steps.append(Step(f"{what} computed by quadrature: as floats compute it, the formula loses its digits", "Q", "Q"))
    if slope is not None:
        steps.append(Step("derivative", f"E'[X | e] = {slope.text}", rf"\frac{{d}}{{de}}\mathbb{{E}}[X \mid e] = {slope.latex}"))
    if numeric is not None:
        size, at = f"{numeric.error:.2g}", f"e = {numeric.at:g}"
        steps.append(Step(f"measured error of the rule: the largest at {checked.points} energies", f"{size}, at {at}", f"{size}, {at}"))
        if not (math.isinf(numeric.low) and math.isinf(numeric.high)):
            between = f"{numeric.low:g} <= e <= {numeric.high:g}"
            steps.append(Step("energies that the rule holds for; those beyond are taken as these", between, between.replace("<=", r"\le")))
    return Derivation(
        law=law,
        density=route.density,
        steps=tuple(steps),
        expectation=mean.scalar,
        expectation_text=route.mean.text,
        expectation_latex=route.mean.latex,
        variance=variance.scalar,
        variance_text=route.variance.text,
        variance_latex=route.variance.latex,
        derivative_text="" if slope is None else slope.text,
        derivative_latex="" if slope is None else slope.latex,
        computed=saturated(approximation.formula) if approximation else mean.scalar,
        approximation=approximation,
        sampling=route.sampling,
        sampling_text=route.sampling_text,
        log_likelihood=None if log_likelihood is None else saturated(log_likelihood),
        log_likelihood_text=route.log_likelihood_text,
        no_likelihood=route.no_likelihood,
        statistic=None if route.statistic is None else freeze(route.statistic),
        mode=route.mode or most_probable(log_likelihood),
        check=checked,
        numeric=numeric,
        moments=None if isinstance(law, Indicators) else energy_moments(law, route, mean.scalar, variance.scalar),
        names=route.names,
    )


def exact_moments(law: Law) -> tuple[Truth, Truth] | None:
    """Expectation and variance as functions of e to mpmath's precision, each with its slope; None where numerical rules stand for them."""
    route = route_of(law, True)
    return None if route.mean.exact is None or route.variance.exact is None else (route.mean.exact, route.variance.exact)


def route_of(law: Law, closed: bool) -> Route:
    match law:
        case FiniteExponential():
            return derive_finite(law)
        case Indicators():
            return derive_labels(law)
        case Density(support=Support()):
            return derive_density(law, closed)
        case Density():
            return derive_states(law)
        case Gated():
            return derive_gated(law)
        case MaxOf():
            return derive_maximum(law)
        case Mixture():
            return derive_mixture(law, lambda part: derive(part, None, closed))
        case Noise():
            return derive_noise(law, closed)


def _expected(route: Route, emit: str | None) -> tuple[Guarded, Approximation | None]:
    """The expectation, and what shall be computed in its place."""
    mean = settle(route.mean, route)
    mean = replace(mean, scalar=saturated(mean.scalar))
    return mean, approximate(emit, mean.scalar, route.slope, route.limits) if emit else None


def _guards(what: str, found: Guarded) -> list[Step]:
    steps = []
    for series in found.series:
        low, high = (float(end) for end in (series.low, series.high))
        words = f"guarded series of the {what}: a polynomial of degree {series.degree} for {low:.4g} < e < {high:.4g}"
        power = "e^k" if series.centre == 0 else f"(e - {float(series.centre):g})^k"
        steps.append(Step(words, f"Σ c_k {power}", rf"\sum_k c_k {power}"))
    return steps
