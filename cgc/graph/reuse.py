"""Transfer: whether statements leave in reused components what they leave in the spec from whose checkpoint these come."""

from __future__ import annotations

from cgc.graph.analysis import Graph, analyze
from cgc.source.diagnostics import Diagnostic, Label, SpecError
from cgc.spec.model import Spec
from cgc.spec.reuse import outermost


def check_reuse(spec: Spec, graph: Graph) -> None:
    """Raises SpecError (CG347) if an edge, or the sharing of a bias, is another in the graph of the spec that is reused."""
    reuse = spec.train.reuse if spec.train else None
    if reuse is None or reuse.spec is None:
        return
    there = {part.name: part for part in analyze(reuse.spec).parts}
    findings = []
    for part in graph.parts:
        if outermost(part.component) not in reuse.components or part.role == "input":
            continue
        other = there[part.name]
        same = [edge.structure for edge in part.edges] == [edge.structure for edge in other.edges] and part.bias == other.bias
        if not same:
            message = f"statements leave in `{part.component}` another structure than in that of {reuse.source}"
            others = (Label(reuse.spec.component(part.component).span, "the other one"),)
            place = spec.component(part.component).span
            findings.append(Diagnostic("CG347", message, place, others=others, help="make the same statements about it in both specs"))
    if findings:
        raise SpecError(*dict.fromkeys(findings))
