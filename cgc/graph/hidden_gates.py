"""Gates that are nodes of other components: parents of all that the edge reaches which they open.

They follow from the edges: what statements take out of an edge, they take from its gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cgc.graph.copies import part_name
from cgc.graph.parts import Part, PartEdge, Structure, parent_axes
from cgc.graph.predicate import Index, compare, conjunction
from cgc.spec.model import ComponentGate


def opens(gate: tuple[int, ...], source: tuple[int, ...]) -> bool:
    """Whether nodes of shape ``gate`` can open nodes of shape ``source``: index by index, where an extent of 1 serves all."""
    return set(gate) == {1} or (len(gate) == len(source) and all(a in (1, b) for a, b in zip(gate, source, strict=True)))


def with_hidden_gates(parts: Mapping[str, Part]) -> dict[str, Part]:
    """The parts with the edges that hidden gates add, in place of those that they had before.

    The copies on refining paths get the edges of what they are copies of.
    """
    bare = {name: replace(part, edges=tuple(e for e in part.edges if e.gates is None)) for name, part in parts.items()}
    last = {part.component: part for part in bare.values() if part.base is None}
    found: dict[str, Part] = {}
    for name, part in bare.items():
        edges = part.edges if part.base is None else bare[part.base].edges[: len(part.edges)]
        links = []
        for edge in edges:
            if isinstance(edge.edge.gate, ComponentGate):
                # in the copy that is named, or else in the same copy of all that both are in, or else in the last
                component = edge.edge.gate.component
                gate = bare[part_name(component, {**dict(last[component].copies), **dict(part.copies), **dict(edge.edge.gate.numbers)})]
                structure = _structure(edge, gate.extents)
                links.append(replace(edge, source=gate.name, lag=0, structure=structure, weight="", gates=edge.weight))
        found[name] = replace(part, edges=(*edges, *links))
    return found


def _structure(edge: PartEdge, gate: tuple[int, ...]) -> Structure:
    before = edge.structure
    axes = parent_axes(gate)
    source = tuple(n for _, n in before.parent_index)
    if gate == source or before.kind == "absent":
        return replace(before, parent_index=axes)
    pairs = 1
    for _, n in (*before.child_index, *axes):
        pairs *= n
    if before.kind in ("elementwise", "identity") and len(gate) == len(source):
        equal = [compare("==", Index(j), Index(i)) for (i, _), (j, n) in zip(before.child_index, axes, strict=True) if n > 1]
        if equal:
            count = 1
            for _, n in before.child_index:
                count *= n
            return Structure("masked", count, before.child_index, axes, conjunction(*equal))
    # every one of its nodes opens something that reaches any child, as far as the shapes tell
    return Structure("dense", pairs, before.child_index, axes)
