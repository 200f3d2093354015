"""Transfer: components whose parameters come from a checkpoint of another spec, and whether both specs mean the same by them.

A module, or a component that is refined, stands for all that is inside it. The structure that statements leave in their edges,
``cgc.graph.reuse`` compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from cgc.source.diagnostics import Diagnostic, Label
from cgc.source.text import Span
from cgc.source.tree import Node
from cgc.spec import surface
from cgc.spec.components import Draft
from cgc.spec.model import Component, DropoutGate, Edge, Reuse, Spec
from cgc.spec.validate import Reader, suggestion


def read_reuse(reader: Reader, train: Node, reuse: surface.Reuse | None, drafts: Mapping[str, Draft]) -> Reuse | None:
    """``train.reuse`` as a record, whose spec is not known yet."""
    if reuse is None:
        return None
    place, node = train.find(("reuse",))
    own = list(dict.fromkeys(outermost(name) for name, draft in drafts.items() if draft.body is None or draft.body.role != "input"))
    for k, name in enumerate(reuse.components):
        if name not in own:
            message = f"the input `{name}` has no parameters" if name in drafts else f"unknown component `{name}`"
            help = suggestion(name, own, "components")
            reader.error("CG307", message, node.find(("components", k))[1].span, help=help)
    if reuse.frozen and all(name in reuse.components for name in own):
        reader.error("CG347", "nothing is left to learn", place, why="all components are frozen", help="write `frozen: false`")
    return Reuse(tuple(dict.fromkeys(reuse.components)), reuse.source, reuse.frozen, span=node.find(("from",))[1].span)


def outermost(name: str) -> str:
    """The component or module of the spec itself that a whole name leads into: ``cell`` for ``cell.i``."""
    return name.split(".")[0]


def disagreements(spec: Spec, other: Spec) -> list[Diagnostic]:
    """What keeps the reused components of ``spec`` from being those of ``other`` (CG347)."""
    assert spec.train is not None and spec.train.reuse is not None
    findings = []
    source = spec.train.reuse.source
    for name in spec.train.reuse.components:
        here, there = (_inside(one, name) for one in (spec, other))
        if not there:
            known = list(dict.fromkeys(outermost(c.name) for c in other.components if c.role != "input"))
            message = f"`{name}` is no component of {source} that has parameters"
            findings.append(Diagnostic("CG347", message, spec.train.reuse.span, help=suggestion(name, known, "components")))
        elif list(here) != list(there):
            message, why = f"`{name}` is not the `{name}` of {source}", f"that consists of {', '.join(there)}"
            place, others = next(iter(here.values())).span, (Label(next(iter(there.values())).span, "the other one"),)
            findings.append(Diagnostic("CG347", message, place, others=others, why=why, help="say the same in both specs"))
        else:
            pairs = zip(here.values(), there.values(), strict=True)
            found = [finding for one, two in pairs for finding in _compared(spec, one, other, two, source)]
            # what all components of a module share is said of the first
            findings += {finding.why: finding for finding in reversed(found)}.values()
    return findings


def _inside(spec: Spec, name: str) -> dict[str, Component]:
    """The components with parameters that ``name`` stands for."""
    return {c.name: c for c in spec.components if outermost(c.name) == name and c.role != "input"}


def _compared(spec: Spec, here: Component, other: Spec, there: Component, source: str) -> Iterator[Diagnostic]:
    what = list(dict.fromkeys(_differences(spec, here, other, there)))
    if what:
        message, why = f"`{here.name}` is not the `{here.name}` of {source}", "they differ in " + ", ".join(what)
        others = (Label(there.span, "the other one"),)
        yield Diagnostic("CG347", message, here.span, others=others, why=why, help="say the same in both specs")


def _differences(spec: Spec, here: Component, other: Spec, there: Component) -> Iterator[str]:
    """In what two components differ that have to have the same parameters, in words."""
    for words in ("nodes", "blocks", "bias"):
        if getattr(here, words) != getattr(there, words):
            yield words
    if not _same_family(spec, here, other, there):
        yield "family"
    if here.copies != there.copies:
        yield "stack or refinement"
    if here.normalize != there.normalize:
        yield "normalisation"
    if (here.lines and replace(here.lines, span=spec.span)) != (there.lines and replace(there.lines, span=spec.span)):
        yield "lines"
    outside = {component.name for component in spec.components if outermost(component.name) != outermost(here.name)}
    one, two = _edges(spec, here), _edges(other, there)
    if [edge.name for edge in one] != [edge.name for edge in two]:
        yield "parents"
        return
    for edge, another in zip(one, two, strict=True):
        if _bare(edge, spec.span) != _bare(another, spec.span):
            yield f"the edge from `{edge.name}`"
        elif edge.parent in outside:
            parent, others = spec.component(edge.parent), other.component(another.parent)
            if parent.nodes != others.nodes or not _same_family(spec, parent, other, others):
                yield f"the nodes of `{edge.parent}`"


def _edges(spec: Spec, component: Component) -> list[Edge]:
    """Those from parents, and those with which refining paths end."""
    return [*component.parents, *(refinement.back for refinement in spec.refinements if refinement.base == component.name)]


def _same_family(spec: Spec, here: Component, other: Spec, there: Component) -> bool:
    one, two = spec.family(here.family), other.family(there.family)
    return (one.law, one.emit) == (two.law, two.emit)


def _bare(edge: Edge, span: Span) -> Edge:
    """The edge without what does not belong to its parameters: its place, how its weight starts, and dropout nodes."""
    return replace(edge, span=span, init=None, gate=None if isinstance(edge.gate, DropoutGate) else edge.gate)
