"""``cgc inspect --json``: the same facts as data."""

from __future__ import annotations

import math
from typing import Any

from cgc.compiler import Model, Reading
from cgc.derive.derivation import Derivation, Numeric
from cgc.graph.stated import stands_for
from cgc.program.ir import Layer
from cgc.program.lines import LineFactors
from cgc.program.parameters import learned_size, parameters
from cgc.report.factors import factors, within
from cgc.report.priors import prior_lines
from cgc.source.render import as_data as diagnostics_data
from cgc.spec.model import Train


def as_data(known: Reading, component: str | None = None) -> dict[str, Any]:
    """Mappings, lists, text and numbers only; what needs a program is left out where there is none."""
    graph = known.graph
    laws = {part.component: known.spec.component(part.component) for part in graph.parts if within(component, part.component)}
    data: dict[str, Any] = {
        "name": known.spec.name,
        "params": dict(known.spec.params),
        "joint": graph.factorisation(),
        "joint_latex": graph.factorisation(latex=True),
        "factors": [found.data() for found in factors(known.spec, graph, component)],
        "flags": None if graph.flags is None else [str(flag) for flag in graph.flags],
        "statements": [str(statement) for statement in graph.statements],
    }
    if not isinstance(known, Model):
        data["laws"] = {name: law_data(known.derivations.of(one)) for name, one in laws.items()}
        return data | {"diagnostics": diagnostics_data(known.diagnostics)}
    return data | _compiled(known, component)


def _compiled(model: Model, component: str | None) -> dict[str, Any]:
    layers = [layer for layer in model.program.layers() if within(component, layer.component)]
    return {
        "learned_parameters": learned_size(model.program),
        "layers": [_layer(layer, list(stands_for(model.graph, layer.name)), model.spec.train) for layer in layers],
        "laws": {name: law_data(law) for name, law in model.program.laws if any(layer.law == name for layer in layers)},
        "state_dict": {p.key: list(p.shape) for p in parameters(model.program) if component is None or p.key.split(".")[0] == component},
        "diagnostics": diagnostics_data(model.diagnostics),
    }


def _layer(layer: Layer, short_forms: list[str], train: Train | None) -> dict[str, Any]:
    return {
        "name": layer.name,
        "nodes": list(layer.nodes),
        "family": layer.law,
        "output": layer.output,
        "normalised": layer.normalised,
        "groups": layer.groups,
        "weight_norm": [c.name for c in layer.contributions if c.product.weight_norm],
        "parents": [
            {"name": c.name, "source": c.source, "lag": c.lag, "kind": c.product.kind, "shape": [c.product.outputs, c.product.inputs]}
            for c in layer.contributions
        ],
        "priors": list(prior_lines(layer, train)),
        "stands_for": short_forms,
    } | ({"lines": _lines(layer.lines)} if layer.lines is not None else {})


def _lines(lines: LineFactors) -> dict[str, Any]:
    """Where lines run, and how values are inferred."""
    written = lines.written
    along: Any = "time" if written.time else list(written.axes)
    where = {"pairs": [[list(a), list(b)] for a, b in written.pairs]} if written.kind == "list" else {"along": along}
    steps = {"steps": written.steps, "damping": written.damping} if lines.method == "mean_field" else {}
    exact = lines.method != "mean_field"
    return {"kind": written.kind, **where, "ends": written.ends, "method": lines.method, **steps, "exact": exact}


def _numeric(rule: Numeric) -> dict[str, Any]:
    """A rule that stands in for a closed form, with its measured error and the energies that it holds for (None: all)."""
    low, high = (end if math.isfinite(end) else None for end in (rule.low, rule.high))
    return {"rule": rule.rule, "max_relative_error": rule.error, "at": rule.at, "low": low, "high": high}


def law_data(law: Derivation) -> dict[str, Any]:
    """One derivation."""
    near = law.approximation
    return {
        "density": law.density,
        "expectation": law.expectation_text,
        "expectation_latex": law.expectation_latex,
        "variance": law.variance_text,
        "variance_latex": law.variance_latex,
        "derivative": law.derivative_text or None,
        "derivative_latex": law.derivative_latex or None,
        "computed": None
        if near is None
        else {
            "name": near.name,
            "formula": near.text,
            "max_error": near.max_error,
            "at": [e if math.isfinite(e) else str(e) for e in near.at],
        },
        "sampling": law.sampling_text,
        "reparameterised": not law.discrete,
        "log_likelihood": law.log_likelihood_text or None,
        "no_likelihood": law.no_likelihood or None,
        "checked": {"against": law.check.against, "points": law.check.points, "max_relative_difference": law.check.max_difference},
        "numeric": None if law.numeric is None else _numeric(law.numeric),
        "steps": [{"reason": s.reason, "formula": s.text, "latex": s.latex, "source": s.source} for s in law.steps],
    }
