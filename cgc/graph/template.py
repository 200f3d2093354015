"""The template of a spec: its parts, their edges and lines as written, with stacks expanded; shapes and acyclicity are checked here.

Whether it unrolls to a chain graph at every length, ``time.py`` decides on the parts; lines between inputs change nothing about it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import cast

from cgc.graph.chain_graph import NotAChainGraph
from cgc.graph.copies import Chosen, choices, parent_of, part_name
from cgc.graph.filters import KINDS, Misfit, filtered
from cgc.graph.hidden_gates import opens, with_hidden_gates
from cgc.graph.lines import part_lines
from cgc.graph.parts import Part, PartEdge, Structure, child_axes, parent_axes
from cgc.graph.predicate import Index, Truth
from cgc.graph.recognise import Classes, Pattern, classes, recognise_average
from cgc.graph.same import same_weights
from cgc.graph.statement import time_text
from cgc.graph.time import Template
from cgc.source.diagnostics import Diagnostic, Label, SpecError
from cgc.spec.model import Component, ComponentGate, DropoutGate, Edge, Spec


def template(spec: Spec) -> tuple[Part, ...]:
    """The parts in a topological order of the edges without lag (ties in the order of the spec).

    Raises SpecError: CG400 for a cycle, CG401 for an edge between parts whose shapes do not match, CG403 for a parent that exists at
    the last step only, CG405 for a refining path that does not lead back, CG406 for a shared weight that is not one.
    """
    parts = {part.name: part for component in spec.components for part in _parts(spec, component)}
    wrong = list(_parent_errors(spec, parts))
    if wrong:
        parts = with_hidden_gates(parts)
        raise SpecError(*_order(parts, spec.steps is not None)[1], *wrong)
    parts, unshared = same_weights(spec, parts)
    order, cycles = _order(with_hidden_gates(parts), spec.steps is not None)
    if unshared or cycles:
        raise SpecError(*cycles, *unshared)
    return order


def with_gates(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts with the dropout nodes on their edges (paper, eq. 12-13) as further parts, called ``<part>.<edge>.gate``.

    There is one node per node of the edge's source, at the source's time (or one for all times); it is a parent of all that the source
    reaches by this edge. Copies of a refined part share the edge, and with it the node.
    """
    by_name = {part.name: part for part in parts}
    gates: dict[str, Part] = {}
    children: list[Part] = []
    for part in parts:
        edges = list(part.edges)
        for edge in part.edges:
            if isinstance(edge.edge.gate, DropoutGate) and edge.gates is None:
                name = f"{edge.weight}.gate"
                constant = edge.edge.gate.share == "time"
                generic = f"{part.component}{name.removeprefix(part.base or part.name)}"
                gate = Part(name, generic, part.copies, "gate", by_name[edge.source].extents, constant=constant)
                # the copies on a refining path come first, and are told by their level
                gates.setdefault(name, gate if part.base is None else replace(gate, copies=by_name[part.base].copies))
                edges.append(replace(edge, source=name))
        children.append(replace(part, edges=tuple(edges)))
    return (*gates.values(), *children)


def _parts(spec: Spec, component: Component) -> Iterator[Part]:
    refinement = next((r for r in spec.refinements if r.base == component.name), None)
    for chosen in choices(component.copies):
        name = part_name(component.name, chosen)
        edges = tuple(_edge(spec, component, edge, chosen, name) for edge in component.parents)
        part = Part(
            name,
            component.name,
            tuple(chosen.items()),
            component.role,
            component.nodes,
            edges,
            component.at,
            component.independent,
            bias=_bias(component, edges),
            lines=part_lines(component.lines, component.nodes) if component.lines else None,
            normalize=component.normalize,
        )
        if refinement is None:
            yield part
            continue
        # Every level adds a path that leads back, and reads a copy with all that has been added before.
        owner = f"{component.name}.refine"
        for level in range(refinement.times):
            here = {**chosen, owner: level}
            copy = part_name(owner, here)
            yield replace(part, name=copy, copies=tuple(here.items()), edges=edges, base=name)
            last = spec.component(refinement.through[-1])
            source = part_name(last.name, here)
            structure = _structure(refinement.back, component.nodes, last.nodes)
            edges = (*edges, PartEdge(source, 0, refinement.back, structure, f"{copy}.back"))
        yield replace(part, edges=edges)


def _bias(component: Component, edges: Sequence[PartEdge]) -> Classes | None:
    """Nodes that windows of their parents make alike share a bias: one for every map."""
    places = [len(edge.structure.geometry.windows) for edge in edges if edge.structure.geometry is not None]
    axes = child_axes(component.nodes)
    if not places or len(axes) < max(places):
        return None
    found = classes(tuple(Index(name) for name, _ in axes[: len(axes) - max(places)]), axes)
    return None if found is None or found.count == component.size else found


def _edge(spec: Spec, component: Component, edge: Edge, chosen: Chosen, name: str) -> PartEdge:
    source, parent = parent_of(spec, component, chosen, edge)
    block = next((block for block in component.blocks if block.name == edge.block), None)
    weight = f"{name}.{edge.name}" if block is None else f"{name}.{block.name}.{edge.name}"
    if block is None:
        return PartEdge(source, edge.lag, edge, _structure(edge, component.nodes, parent.nodes), weight)
    nodes = (block.stop - block.start, *component.nodes[1:])
    return PartEdge(source, edge.lag, edge, _structure(edge, nodes, parent.nodes), weight, (block.start, block.stop))


def _structure(edge: Edge, child: tuple[int, ...], parent: tuple[int, ...]) -> Structure:
    """The structure of an edge as written; what does not fit (``_parent_errors`` tells) is dense."""
    if edge.kind in ("dense", "elementwise", "identity"):
        pairs = math.prod(child) * (math.prod(parent) if edge.kind == "dense" else 1)
        written = Structure(edge.kind, pairs, child_axes(child), parent_axes(parent))
        if edge.kind != "dense" or edge.weight is None:
            return written
        pattern = recognise_average(Pattern("dense"), edge.weight, Truth(True), written.child_index, written.parent_index)
        return replace(written, kind=pattern.kind, geometry=pattern.geometry, predicate=Truth(True) if pattern.geometry else None)
    found = filtered(edge, child, parent)
    return Structure("dense", 0, child_axes(child), parent_axes(parent)) if isinstance(found, Misfit) else found


def _parent_errors(spec: Spec, parts: dict[str, Part]) -> Iterator[Diagnostic]:
    seen: dict[tuple[int, str], None] = {}
    for part in parts.values():
        for link in part.edges:
            edge, source = link.edge, parts[link.source]
            child, parent = spec.component(part.component), spec.component(source.component)
            if (id(edge), parent.name) in seen:
                continue
            extents = tuple(n for _, n in link.structure.child_index)
            labels = tuple(Label(c.nodes_span or c.span, f"`{c.name}` has {_shape(c.nodes)} nodes") for c in (parent, child))
            misfit = filtered(edge, extents, source.extents) if edge.kind in KINDS else None
            equal = edge.kind not in ("elementwise", "identity") or source.extents == extents
            if edge.name == "back" and link.weight.endswith(".refine." + link.weight.split(".")[-2] + ".back"):
                if isinstance(misfit, Misfit) or not equal:
                    seen[id(edge), parent.name] = None
                    message = f"the refining path does not return to the nodes of `{child.name}`"
                    why = "the copy must have the shape and the family of what it refines (section 4.1)"
                    reason = misfit.reason if isinstance(misfit, Misfit) else "the nodes have different shapes"
                    yield Diagnostic("CG405", message, edge.span, reason, labels, why=why, help=_way_back(edge, child, misfit))
            elif isinstance(misfit, Misfit):
                seen[id(edge), parent.name] = None
                message = f"`{edge.kind}` does not fit between `{parent.name}` and `{child.name}`: {misfit.reason}"
                yield Diagnostic("CG401", message, edge.span, others=labels, help=misfit.help)
            elif not equal:
                seen[id(edge), parent.name] = None
                yield Diagnostic(
                    "CG401",
                    f"an edge of kind `{edge.kind}` joins `{parent.name}` and `{child.name}`, which have different shapes",
                    edge.span,
                    "joins nodes with equal indices",
                    labels,
                    help="use a dense edge, or give both the same nodes",
                )
            if isinstance(edge.gate, ComponentGate) and (id(edge), edge.gate.component) not in seen:
                seen[id(edge), edge.gate.component] = None
                gate = spec.component(edge.gate.component)
                if not opens(gate.nodes, parent.nodes):
                    message = f"the gate `{gate.name}` has other nodes than `{parent.name}`, which it opens"
                    labels = tuple(Label(c.nodes_span or c.span, f"`{c.name}` has {_shape(c.nodes)} nodes") for c in (gate, parent))
                    help = f"give it {_shape(parent.nodes)} nodes, or 1 in place of any of these numbers"
                    yield Diagnostic("CG401", message, edge.span, others=labels, help=help)
            late = spec.component(edge.gate.component) if isinstance(edge.gate, ComponentGate) else None
            if late is not None and late.at == "last" and part.at == "all" and (id(edge), "at") not in seen:
                seen[id(edge), "at"] = None
                message = f"the gate `{late.name}` exists at the last step only, and `{child.name}` at every step"
                others = (Label(late.span, f"`{late.name}` is `at: last`"),)
                yield Diagnostic("CG403", message, edge.span, others=others, help=f"give `{child.name}` `at: last` too")
            if source.at == "last" and part.at == "all":
                yield Diagnostic(
                    "CG403",
                    f"`{parent.name}` exists at the last step only, and its child `{child.name}` at every step",
                    edge.span,
                    others=(Label(parent.span, f"`{parent.name}` is `at: last`"),),
                    help=f"give `{child.name}` `at: last` too",
                )


def _way_back(edge: Edge, child: Component, misfit: Structure | Misfit | None) -> str:
    """What may lead a refining path back to the nodes of ``child``."""
    filter = edge.filter
    if filter is not None and filter.kernel is not None and set(filter.stride) == {1} and all(k % 2 for k in filter.kernel):
        paddings = tuple(d * (k - 1) // 2 for k, d in zip(filter.kernel, filter.dilation, strict=True))
        if paddings != filter.padding:
            return f"use `padding: {paddings[0] if len(set(paddings)) == 1 else list(paddings)}` where the path keeps its places"
        if isinstance(misfit, Misfit) and edge.kind != "avg_pool":
            return misfit.help
    return f"let the path end with {_shape(child.nodes)} nodes"


def _shape(extents: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in extents)


def _order(parts: dict[str, Part], timed: bool) -> tuple[tuple[Part, ...], list[Diagnostic]]:
    """The parts in topological order; or a Diagnostic for each of some cycles without a common edge that together break all cycles."""
    arrows = {(link.source, part.name, link.lag): link.edge for part in parts.values() for link in part.edges}
    along_time = [part.name for part in parts.values() if part.lines and part.lines.lag]
    cycles: list[Diagnostic] = []
    while True:
        try:
            order = Template(parts, arrows, along_time=along_time).step.components
        except NotAChainGraph as found:
            # a step that is no arrow is a line, which leads back in time
            cycle = cast(tuple[tuple[str, int], ...], found.cycle)
            steps = [(a, b, t - s, s, arrows.get((a, b, t - s))) for (a, s), (b, t) in pairwise(cycle)]
            cycles.append(_cycle_error(steps, timed))
            for a, b, later, _, _ in steps:
                arrows.pop((a, b, later), None)
        else:
            return tuple(parts[name] for (name,) in order), cycles


def _cycle_error(steps: list[tuple[str, str, int, int, Edge | None]], timed: bool) -> Diagnostic:
    """``steps`` are tail, head, how many time steps later, the tail's time, and the edge, which is None for a line."""
    over_time = any(later for _, _, later, _, _ in steps)

    def at(name: str, time: int) -> str:
        return f"{name}[{time_text(time)}]" if over_time else name

    (first, *others) = [
        Label(edge.span, f"`{at(a, time)}` → `{at(b, time + later)}`") for a, b, later, time, edge in steps if edge is not None
    ]
    drawn = "".join(f" {'→' if edge else '—'} {at(b, time + later)}" for _, b, later, time, edge in steps)
    why = "a chain graph has no cycle of arrows within a time step"
    help = "remove one of these parents" + ", or give it a lag" * timed
    if over_time:
        why = "lines along time make one chain component of all times, to which no directed path of any lag may return"
        help = "remove one of these parents, or the lines"
    message = f"the parents form a cycle: {at(steps[0][0], steps[0][3])}{drawn}"
    return Diagnostic("CG400", message, first.span, first.text, tuple(others), why=why, help=help)
