"""Edges from a node with labels that is given: their weights have a row for every label, an embedding table."""

from __future__ import annotations

from typing import Literal

from cgc.families.forms import Indicators
from cgc.graph.analysis import Graph
from cgc.graph.parts import PartEdge
from cgc.spec.model import Component, Spec

Table = Literal["embedding", "table"]


def label_tables(spec: Spec, graph: Graph) -> dict[tuple[str, str], Table]:
    """Which edges have weights with a row for every label of an input's node, by weight and source, and how these are read.

    That is decided by the edge that a weight is called after, so that all which share it agree. Rows are looked up instead of multiplied
    where all readers of the input can.
    """
    edges = [edge for part in graph.parts for edge in part.edges]
    components = {part.name: spec.component(part.component) for part in graph.parts}
    labelled = {name for name, c in components.items() if c.role == "input" and c.size == 1 and labels_of(spec, c) is not None}
    rows = {e.weight for e in edges if e.source in labelled and e.edge.same_as is None and e.gates is None and _is_table(e)}
    multiplied = {e.source for e in edges if e.lag or e.gates is not None or e.weight not in rows or e.source not in labelled}
    return {
        (e.weight, e.source): "table" if e.source in multiplied else "embedding"
        for e in edges
        if e.gates is None and e.weight in rows and _is_table(e)
    }


def _is_table(edge: PartEdge) -> bool:
    return edge.structure.kind == "dense" and edge.edge.weight is None


def labels_of(spec: Spec, component: Component) -> int | None:
    """How many labels each of its nodes has, None if they are no labels."""
    law = spec.family(component.family).law
    return law.labels if isinstance(law, Indicators) else None
