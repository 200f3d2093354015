"""Weights that edges share because the spec says ``weight: {same_as: …}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from cgc.families.forms import Indicators
from cgc.graph.copies import part_name
from cgc.graph.parts import Part, PartEdge
from cgc.source.diagnostics import Diagnostic
from cgc.spec.model import Component, SameAs, Spec


def same_weights(spec: Spec, parts: Mapping[str, Part]) -> tuple[dict[str, Part], list[Diagnostic]]:
    """The parts with every shared weight called after its owner, and what is wrong (CG406)."""
    owners = {edge.weight: edge for part in parts.values() for edge in part.edges}
    home = {edge.weight: part.component for part in parts.values() for edge in part.edges}
    findings: dict[Diagnostic, None] = {}
    named: dict[str, str] = {}
    for part in parts.values():
        for edge in part.edges:
            if edge.edge.same_as is None or part.base is not None:
                continue
            found = _owner(spec, part, edge.edge.same_as, owners)
            if isinstance(found, str):
                named[edge.weight] = found
            else:
                findings[replace(found, span=edge.edge.span)] = None
    for weight in named:
        seen = [weight]
        while seen[-1] in named:
            if named[seen[-1]] in seen:
                findings[Diagnostic("CG406", "these weights are said to be each other's", owners[weight].edge.span, help="learn one")] = (
                    None
                )
                break
            seen.append(named[seen[-1]])
        else:
            named[weight] = seen[-1]
            findings |= dict.fromkeys(_misfit(owners[weight], owners[seen[-1]], seen[-1]))
            ends = [[_labels(spec, name) for name in (home[w], parts[owners[w].source].component)] for w in (weight, seen[-1])]
            if ends[0] != ends[1]:
                why = f"`{seen[-1]}` joins nodes with other labels"
                message = "edges that share a weight join nodes of the same shapes in the same way"
                findings[Diagnostic("CG406", message, owners[weight].edge.span, why=why)] = None
    changed = {
        name: replace(part, edges=tuple(replace(e, weight=named.get(e.weight, e.weight)) for e in part.edges)) if named else part
        for name, part in parts.items()
    }
    return changed, list(findings)


def _owner(spec: Spec, part: Part, same: SameAs, owners: Mapping[str, PartEdge]) -> str | Diagnostic:
    """The name of the weight: in the same copy of all that both are in; other copies have to be named."""
    component, _, edge = same.edge.rpartition(".")
    owner: Component = spec.component(component)
    numbers = [int(word) for word in same.text.split(".") if word.isdecimal()]
    chosen = dict(part.copies)
    free = [copies for copies in owner.copies if copies.owner not in chosen]
    named = {**chosen, **{copies.owner: 0 for copies in free if copies.times == 1}}
    if numbers:
        if len(numbers) != len(owner.copies):
            return Diagnostic("CG406", f"`{same.text}` does not tell which copy of `{component}` is meant", help=_example(owner, edge))
        named |= dict(zip((copies.owner for copies in owner.copies), numbers, strict=True))
    elif any(copies.times > 1 for copies in free):
        return Diagnostic("CG406", f"`{same.text}` does not tell which copy of `{component}` is meant", help=_example(owner, edge))
    found = f"{part_name(component, named)}.{edge}"
    return found if found in owners else Diagnostic("CG406", f"there is no edge `{found}`", help=_example(owner, edge))


def _example(owner: Component, edge: str) -> str:
    return f"as in `{part_name(owner.name, {copies.owner: 0 for copies in owner.copies})}.{edge}`"


def _misfit(edge: PartEdge, owner: PartEdge, name: str) -> Iterator[Diagnostic]:
    a, b = edge.structure, owner.structure
    if owner.edge.weight is not None or owner.edge.kind in ("identity", "avg_pool"):
        yield Diagnostic("CG406", f"the weight of `{name}` is fixed: there is nothing to share", edge.edge.span, help="write the number")
    elif (a.kind, a.child_index, a.parent_index, a.geometry) != (b.kind, b.child_index, b.parent_index, b.geometry):
        shapes = [" x ".join(str(n) for _, n in (*s.child_index, *s.parent_index)) for s in (b, a)]
        why = f"`{name}` is {b.kind} over {shapes[0]} nodes, and this edge is {a.kind} over {shapes[1]}"
        yield Diagnostic("CG406", "edges that share a weight join nodes of the same shapes in the same way", edge.edge.span, why=why)


def _labels(spec: Spec, component: str) -> int | None:
    law = spec.family(spec.component(component).family).law
    return law.labels if isinstance(law, Indicators) else None


def narrowed(parts: Mapping[str, Part]) -> Iterator[Diagnostic]:
    """Edges of which statements have left something else than of the edge whose weight they have (CG406)."""
    owners = {edge.weight: edge for part in parts.values() for edge in part.edges if edge.edge.same_as is None and edge.gates is None}
    told: dict[int, None] = {}
    for part in parts.values():
        for edge in part.edges:
            owner = owners.get(edge.weight)
            if edge.edge.same_as is None or edge.gates is not None or owner is None or id(edge.edge) in told:
                continue
            a, b = edge.structure, owner.structure
            if (a.kind, a.pairs, a.predicate, a.keys, a.geometry) != (b.kind, b.pairs, b.predicate, b.keys, b.geometry):
                told[id(edge.edge)] = None
                why = f"statements leave {b.kind} of `{edge.weight}`, and {a.kind} of this edge"
                help = "make the same statements about both edges"
                yield Diagnostic("CG406", "edges that share a weight join the same pairs of nodes", edge.edge.span, why=why, help=help)
