"""Lines of an output in the program: which factors they are, with which weights, and how values are inferred.

A line is a factor exp(V[x, x']), or exp(w T(x) T(x')) for nodes with one number (paper, section 2.2: a non-bipartite CRF as last layer).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cgc.families.forms import FiniteExponential, Indicators, Law, X
from cgc.formula.parse import approximate
from cgc.graph.parts import Part
from cgc.graph.predicate import Predicate
from cgc.source.diagnostics import Diagnostic
from cgc.spec.model import Component, Lines, Spec

MOST_STATES = 2**16
"""So many joint states of an output are listed, one by one."""


@dataclass(frozen=True)
class LineFactors:
    """The lines of one layer.

    ``method``: ``chain`` (exact, by dynamic programming), ``listed`` (exact, over all joint states) or ``mean_field``. ``weights`` have
    one entry for each axis of a grid and for each pair of nodes of ``dense`` (smaller index first, in their order) and ``list`` (as
    written); a chain has one weight. ``joined`` says which pairs a line joins; with ``written.time`` nodes with their copies at the next
    step. A node has either ``labels``, or ``states``: numbers, with their ``features`` T(x) and the logarithms of their base measure.
    """

    written: Lines
    method: Literal["chain", "listed", "mean_field"]
    joined: Predicate
    weights: int | None
    labels: int | None
    states: tuple[float, ...] = ()
    features: tuple[float, ...] = ()
    log_measure: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        """Number of states of a node."""
        return self.labels or len(self.states)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weight: ([weights], labels, labels), from the first node to the second; or (weights,) for nodes with numbers."""
        if self.labels is not None:
            return (*(() if self.weights is None else (self.weights,)), self.labels, self.labels)
        return (self.weights or 1,)

    @property
    def end_shape(self) -> tuple[int, ...] | None:
        """Shape of the potential at either end, None if there is none."""
        return (self.labels or 1,) if self.written.ends else None


def line_factors(part: Part, component: Component, law: Law) -> LineFactors | None:
    """The lines of a part as factors; None if it has none."""
    if part.lines is None:
        return None
    lines, joined = part.lines.written, part.lines.joined
    method: Literal["chain", "listed", "mean_field"] = "chain" if lines.kind == "chain" else "listed"
    method = "mean_field" if lines.inference == "mean_field" else method
    if isinstance(law, Indicators):
        return LineFactors(lines, method, joined, _weights(lines, component), law.labels)
    assert isinstance(law, FiniteExponential)
    states = tuple(float(state) for state in law.support)
    features = tuple(approximate(law.statistic.subs(X, state)) for state in law.support)
    measures = tuple(_log(law.base_measure.subs(X, state)) for state in law.support)
    return LineFactors(lines, method, joined, _weights(lines, component), None, states, features, measures)


def _log(measure: object) -> float:
    """Of a positive number; that of a ratio of large integers too."""
    numerator, denominator = getattr(measure, "p", None), getattr(measure, "q", None)
    if isinstance(numerator, int) and isinstance(denominator, int):
        return math.log(numerator) - math.log(denominator)
    return math.log(approximate(measure))


def _weights(lines: Lines, component: Component) -> int | None:
    match lines.kind:
        case "chain":
            return None
        case "grid":
            return len(lines.axes)
        case "list":
            return len(lines.pairs)
        case "dense":
            together = math.prod(component.nodes[axis] for axis in lines.axes)
            return component.size * (together - 1) // 2


def line_limits(spec: Spec, part: Part) -> list[Diagnostic]:
    """What of a part's lines this version cannot compile (CG390, CG610, CG611); empty if nothing."""
    component = spec.component(part.component)
    lines = component.lines
    if lines is None:
        return []
    if component.role != "output":
        message = f"`{component.name}` is hidden and has lines, which are analysed, but compiled for outputs only"
        return [Diagnostic("CG390", message, lines.span, help="`cgc inspect` prints what is known of it")]
    findings = []
    if spec.eval_inference.method == "moments":
        why = "lines take energies as numbers, and moments give their means and variances"
        message = f"`{component.name}` has lines, which do not go with `moments`"
        findings.append(Diagnostic("CG611", message, lines.span, why=why, help="use `method: sample` with `samples`, or `feed_forward`"))
    found = line_factors(part, component, spec.family(component.family).law)
    if found is not None and found.method == "listed" and component.size * math.log2(found.count) > math.log2(MOST_STATES):
        message = f"exact inference of `{component.name}` is out of reach: its lines make no chain"
        joint = f"{component.size:,} nodes with {found.count} states each have more than {MOST_STATES:,} joint states"
        help = "write `inference: mean_field` in `lines`, which is approximate"
        findings.append(Diagnostic("CG610", message, lines.span, why=joint, help=help))
    return findings
