"""The analysed graph as text, the same for the same spec; for ``cgc dump --stage graph`` and for tests."""

from __future__ import annotations

from cgc.graph import predicate
from cgc.graph.analysis import Graph
from cgc.graph.parts import Part, PartEdge


def dump(graph: Graph) -> str:
    """Factorisation, parts with edges and lines, recurrent groups, flags, statements."""
    lines = [graph.factorisation()]
    for part in graph.parts:
        lines.append(_part(part))
        lines += [_edge(edge) for edge in part.edges]
        if part.lines is not None:
            when = " over time" if part.lines.lag else ""
            lines.append(f"  lines{when}: {part.lines.written.kind} where {predicate.text(part.lines.joined)}")
    lines += [f"group {', '.join(group)}" for group in graph.groups if len(group) > 1 or _recurrent(graph.part(group[0]))]
    lines += [f"flag {flag}" for flag in graph.flags or ()]
    lines += [f"statement {verdict}" for verdict in graph.statements]
    return "\n".join(lines) + "\n"


def _part(part: Part) -> str:
    words = [f"part {part.name}:", part.role, " x ".join(str(n) for n in part.extents)]
    return " ".join(words + ["at last"] * (part.at == "last") + ["independent"] * part.independent)


def _edge(edge: PartEdge) -> str:
    structure = edge.structure
    where = "" if structure.predicate is None else f" where {predicate.text(structure.predicate)}"
    lag = f" @ t-{edge.lag}" if edge.lag else ""
    gate = " gated" if edge.edge.gate is not None else ""
    return f"  <- {edge.source}{lag} ({edge.edge.name}): {structure.kind}{where}, {structure.pairs} pairs{gate}"


def _recurrent(part: Part) -> bool:
    return any(edge.source == part.name and edge.structure.kind != "absent" for edge in part.edges)
