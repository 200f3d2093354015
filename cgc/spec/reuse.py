"""Transfer: components whose parameters come from a checkpoint of another spec, and whether both specs mean the same by them.

The structure that statements leave in their edges, ``cgc.graph.reuse`` compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from cgc.source.diagnostics import Diagnostic, Label
from cgc.source.tree import Node
from cgc.spec import surface
from cgc.spec.components import Draft
from cgc.spec.model import Component, Reuse, Spec
from cgc.spec.validate import Reader, suggestion


def read_reuse(reader: Reader, train: Node, reuse: surface.Reuse | None, drafts: Mapping[str, Draft]) -> Reuse | None:
    """``train.reuse`` as a record, whose spec is not known yet."""
    if reuse is None:
        return None
    place, node = train.find(("reuse",))
    # a module, and a refined component, is reused with all that is in it
    own = list(dict.fromkeys(name.split(".")[0] for name, draft in drafts.items() if draft.body is None or draft.body.role != "input"))
    for k, name in enumerate(reuse.components):
        if name not in own:
            message = f"the input `{name}` has no parameters" if name in drafts else f"unknown component `{name}`"
            help = suggestion(name, own, "components")
            reader.error("CG307", message, node.find(("components", k))[1].span, help=help)
    components = tuple(dict.fromkeys(reuse.components))
    if reuse.frozen and all(name in components for name in own):
        reader.error("CG347", "nothing is left to learn", place, why="all components are frozen", help="write `frozen: false`")
    return Reuse(components, reuse.source, reuse.frozen, span=node.find(("from",))[1].span)


def disagreements(spec: Spec, other: Spec) -> list[Diagnostic]:
    """What keeps the reused components of ``spec`` from being those of ``other`` (CG347)."""
    assert spec.train is not None and spec.train.reuse is not None
    findings = []
    source = spec.train.reuse.source
    there = {component.name: component for component in other.components if component.role != "input"}
    within = [c.name for c in spec.components if c.name.split(".")[0] in spec.train.reuse.components]
    for name in within:
        component = spec.component(name)
        if name not in there:
            message = f"`{name}` is no component of {source} that has parameters"
            findings.append(Diagnostic("CG347", message, spec.train.reuse.span, help=suggestion(name, list(there), "components")))
            continue
        what = list(dict.fromkeys(_differences(spec, component, other, there[name])))
        if what:
            message = f"`{name}` is not the `{name}` of {source}"
            others = (Label(there[name].span, "the other one"),)
            why = "they differ in " + ", ".join(what)
            findings.append(Diagnostic("CG347", message, component.span, others=others, why=why, help="say the same in both specs"))
    return findings


def _refined(spec: Spec, component: Component) -> object:
    """How a component is refined, but for the places where that is said."""
    found = next((r for r in spec.refinements if r.base == component.name), None)
    return found and (found.times, found.through, replace(found.back, span=component.span, init=None))


def _differences(spec: Spec, here: Component, other: Spec, there: Component) -> Iterator[str]:
    """In what two components differ that have to have the same parameters, in words."""
    for words in ("nodes", "bias"):
        if getattr(here, words) != getattr(there, words):
            yield words
    if not _same_family(spec, here, other, there):
        yield "family"
    if here.copies != there.copies:
        yield "stack"
    one_way, another = (_refined(s, replace(c, span=spec.span)) for s, c in ((spec, here), (other, there)))
    if one_way != another:
        yield "refinement"
    if here.normalize != there.normalize:
        yield "normalisation"
    if (here.lines and replace(here.lines, span=spec.span)) != (there.lines and replace(there.lines, span=spec.span)):
        yield "lines"
    if [edge.name for edge in here.parents] != [edge.name for edge in there.parents]:
        yield "parents"
        return
    for one, two in zip(here.parents, there.parents, strict=True):
        # what does not belong to parameters: where the edge stands, how its weight starts, gates
        bare = [replace(edge, span=spec.span, init=None, gate=None) for edge in (one, two)]
        if bare[0] != bare[1]:
            yield f"the edge from `{one.name}`"
        elif one.parent != here.name and not one.parent.endswith(".refine"):
            parent, others = spec.component(one.parent), other.component(two.parent)
            if parent.nodes != others.nodes or not _same_family(spec, parent, other, others):
                yield f"the nodes of `{one.parent}`"


def _same_family(spec: Spec, here: Component, other: Spec, there: Component) -> bool:
    one, two = spec.family(here.family), other.family(there.family)
    return (one.law, one.emit) == (two.law, two.emit)
