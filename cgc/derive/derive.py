"""The one public function of this stage: from a family to its derivation. Routes are chosen by the form of the density alone."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy

from cgc.derive.approximate import approximate
from cgc.derive.check import check
from cgc.derive.derivation import Derivation, Refusal
from cgc.derive.finite import derive_finite
from cgc.derive.labels import LogSoftmax, Softmax, derive_labels
from cgc.derive.noise import derive_noise
from cgc.derive.routes import Route
from cgc.families.forms import FiniteExponential, Indicators, Law
from cgc.formula.freeze import freeze
from cgc.formula.scalar import Op, Scalar, Var, bind
from cgc.formula.text import latex, text


@lru_cache(maxsize=256)
def derive(law: Law, emit: str | None) -> Derivation:
    """Everything that follows from ``law``; ``emit`` names the activation that shall be computed for its expectation.

    Cached by content: a density that was seen before is free. Raises Refusal.
    """
    route = _route(law)
    expectation = _frozen(route, route.stable)
    if emit and isinstance(law, Indicators):
        raise Refusal("CG507", "a node with labels has a vector of energies, `emit` replaces functions of one", "emit")
    approximation = approximate(emit, expectation, route.slope) if emit else None
    return Derivation(
        law=law,
        density=route.density,
        steps=route.steps,
        expectation=expectation,
        expectation_text=text(route.expectation),
        expectation_latex=latex(route.expectation),
        computed=approximation.formula if approximation else expectation,
        approximation=approximation,
        sampling=route.sampling,
        sampling_text=route.sampling_text,
        log_likelihood=None if route.log_likelihood is None else _frozen(route, route.log_likelihood),
        log_likelihood_text="" if route.log_likelihood is None else text(route.log_likelihood),
        no_likelihood=route.no_likelihood,
        statistic=None if route.statistic is None else freeze(route.statistic),
        check=check(law, expectation),
        names=_names(route),
    )


def _route(law: Law) -> Route:
    if isinstance(law, FiniteExponential):
        return derive_finite(law)
    if isinstance(law, Indicators):
        return derive_labels(law)
    return derive_noise(law)


def _frozen(route: Route, expression: Any) -> Scalar:
    # the vector primitives of the label route stand for the whole vector of energies
    for kind, name in ((Softmax, "softmax"), (LogSoftmax, "log_softmax")):
        if isinstance(expression, kind):
            return Op(name, (Var("e"),))
    frozen = freeze(expression)
    return frozen if route.scale is None else bind(frozen, "s", freeze(route.scale))


def _names(route: Route) -> tuple[tuple[Scalar, str], ...]:
    """What deserves a line of its own in printed code: the scale, the log-partition, each case of a likelihood."""
    named = [(freeze(part), name) for part, name in route.names]
    if route.scale is not None and not route.scale.is_number:
        named.append((freeze(route.scale), "s"))
    if isinstance(route.log_likelihood, sympy.Piecewise):
        cases = [(_frozen(route, value), condition) for value, condition in route.log_likelihood.args if value != -sympy.oo]
        atoms = [value for value, condition in cases if isinstance(condition, sympy.Equality)]
        densities = [value for value, condition in cases if not isinstance(condition, sympy.Equality)]
        for group, name in ((atoms, "log_atom"), (densities, "log_density")):
            named += [(value, name if len(group) == 1 else f"{name}_{k}") for k, value in enumerate(group)]
    return tuple(named)
