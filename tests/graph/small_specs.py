"""Specs for tests, built directly from records: ``spec(part("x", 3, role="input"), part("h", 4, x="dense", h1="dense"), steps=5)``."""

from __future__ import annotations

from dataclasses import replace

from cgc.families.forms import E, Noise
from cgc.graph import analysis
from cgc.graph.analysis import Graph
from cgc.graph.binding import Names, bind
from cgc.graph.report import StatementVerdict
from cgc.graph.sample import TooManyNodes
from cgc.graph.separation import Property
from cgc.graph.statement import parse
from cgc.graph.structure import TooManyPairs, first_named
from cgc.graph.verdict import Overlap
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.text import Source, Span
from cgc.spec.model import Component, Copies, DropoutGate, Edge, Family, Inference, Spec, StatementText


def place(name: str, line: int = 1, length: int = 1) -> Span:
    return Span(Source(name, ""), line, 1, length)


def edge(parent: str, kind: str = "dense", lag: int = 0, gate: DropoutGate | None = None, line: int = 1) -> Edge:
    return Edge(parent, parent, kind, place(f"edge from {parent}", line), lag, gate=gate)  # type: ignore[arg-type]


def part(
    name: str, nodes: int | tuple[int, ...], *edges: Edge, layers: int | None = None, stack_input: str | None = None, **fields: object
) -> Component:
    """A component; without edges an input, else a hidden one. ``layers`` makes it a stack."""
    role = "hidden" if edges else "input"
    shape = nodes if isinstance(nodes, tuple) else (nodes,)
    below = stack_input or next((e.parent for e in edges if not e.lag), None)
    copies = () if layers is None else (Copies(name, layers, below, name),)
    component = Component(name, role, shape, "node", place(name), edges, copies=copies)  # type: ignore[arg-type]
    return replace(component, **fields)  # type: ignore[arg-type]


def spec(*components: Component, steps: int | None = None, independence: tuple[str, ...] = (), sharing: tuple[str, ...] = ()) -> Spec:
    statements, shared = (
        tuple(StatementText(t, Span(Source("statements", ""), k, 1, len(t))) for k, t in enumerate(texts, 1))
        for texts in (independence, sharing)
    )
    family = Family("node", "noise", Noise("normal", E), None, place("family"))
    mode = Inference()
    return Spec("small", "", (), (family,), components, steps, statements, mode, mode, None, ("small.yaml",), "", place("spec"), shared)


def recurrent(layers: int | None = None, nodes: int = 4, inputs: int = 3, independent: bool = False, statement: str = "") -> Spec:
    """An SRN, or with the right statement an IndRNN."""
    x = part("x", inputs, independent=independent)
    h = part("h", nodes, edge("x"), edge("h", lag=1), layers=layers)
    y = part("y", 1, edge("h"), role="output", at="last")
    return spec(x, h, y, steps=8, independence=(statement,) if statement else ())


def findings(error: SpecError) -> list[tuple[str, str]]:
    return [(d.code, d.message) for d in error.diagnostics]


def only(error: SpecError) -> Diagnostic:
    (found,) = error.diagnostics
    return found


def query(graph: Graph, text: str, property: Property = "lwf") -> StatementVerdict:
    """The verdict that a spec would get for a statement that takes nothing out of its graph."""
    parts = graph.whole
    statement = parse(text, Span(Source("query", text), 1, 1, max(1, len(text))))
    instances = bind(statement, Names(parts), graph.timed)
    try:
        if findings := list(analysis.on_both_sides(statement, instances)):
            raise SpecError(*findings)
        verdict = analysis._judge(analysis._Applied(statement, instances, None, first_named(instances[0])), parts, graph.timed, property)[0]
        return replace(verdict, reading=analysis.reading(graph.flags, property))
    except (TooManyPairs, TooManyNodes, Overlap, ZeroDivisionError) as error:
        raise SpecError(analysis.stopped(statement, error)) from error
