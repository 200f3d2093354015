"""The statements that a short form of an edge stands for: written in a spec in its place, on a dense edge, they give the same structure."""

from __future__ import annotations

from collections.abc import Iterator

from cgc.graph import predicate
from cgc.graph.analysis import Graph
from cgc.graph.filters import KINDS
from cgc.graph.geometry import Axes
from cgc.graph.parts import Part, PartEdge
from cgc.graph.predicate import Expression, Predicate, Truth, compare, disjunction, negate
from cgc.graph.statement import time_text

_MAPS, _PLACES = ("c", "d"), ("rsq", "uvw")


def stands_for(graph: Graph, name: str) -> tuple[str, ...]:
    """All that the short forms of the edges of the part ``name`` stand for; no independence that its normalisation takes back."""
    part = graph.part(name)
    lines: list[str] = []
    for edge in part.edges:
        mixed = part.normalize is not None and part.normalize.joins(edge.lag)
        lines += [text for text in stated(part, graph.part(edge.source), edge, graph.timed) if not (mixed and " ⟂ " in text)]
    # a gate of two edges is apart once
    return tuple(dict.fromkeys([*lines, *stated_biases(part, graph.timed)]))


def stated(part: Part, source: Part, edge: PartEdge, timed: bool) -> tuple[str, ...]:
    """Independence first, then sharing; nothing for an edge that is dense as written. ``source`` is the edge's parent."""
    if edge.edge.kind == "dense":
        return ()
    grid = edge.edge.kind in KINDS
    geometry = edge.structure.geometry
    names = _axes(part, source, len(geometry.windows) if grid and geometry is not None else 0)
    terms = _term(part, names[0], 0, timed), _term(source, names[1], edge.lag, timed)
    if not grid or geometry is None:
        removed = disjunction(*(compare("!=", predicate.Index(j), predicate.Index(i)) for (i, _), (j, _) in zip(*names, strict=True)))
        return tuple(_independence(terms, removed))
    lines = list(_independence(terms, negate(geometry.joined(*names))))
    if edge.structure.keys is not None:
        lines.append(f"{terms[0]} <- {terms[1]}  by {_texts(geometry.keys(*names))}")
    return tuple(lines)


def stated_biases(part: Part, timed: bool) -> tuple[str, ...]:
    """The sharing of biases that comes with windows."""
    places = [len(edge.structure.geometry.windows) for edge in part.edges if edge.edge.kind in KINDS and edge.structure.geometry]
    if not places or part.bias is None:
        return ()
    (own, _) = _axes(part, part, max(places))
    maps = tuple(predicate.Index(name) for name, _ in own[: len(own) - max(places)])
    return (f"{_term(part, own, 0, timed)}  by {_texts(maps) if maps else '0'}",)


def _independence(terms: tuple[str, str], removed: Predicate) -> Iterator[str]:
    if removed != Truth(False):
        yield f"{terms[0]} ⟂ {terms[1]} | parents  where {predicate.text(removed)}"


def _axes(part: Part, source: Part, places: int) -> tuple[Axes, Axes]:
    """Names for the indices of both: maps and places where there are windows, else plain ones."""
    return _named(part.extents, places, 0), _named(source.extents, places, 1)


def _named(extents: tuple[int, ...], places: int, side: int) -> Axes:
    maps = len(extents) - places
    if places and maps in (0, 1):
        names = [*_MAPS[side][:maps], *_PLACES[side][:places]]
    elif places and maps < 0:
        names = [_MAPS[side]] * len(extents)
    else:
        letter = "ij"[side]
        names = [letter] if len(extents) == 1 else [f"{letter}{k}" for k in range(len(extents))]
    return tuple(zip(names, extents, strict=True))


def _term(part: Part, axes: Axes, lag: int, timed: bool) -> str:
    time = [time_text(-lag)] if timed and not part.constant else []
    return f"{part.name}[{','.join([*(name for name, _ in axes), *time])}]"


def _texts(expressions: tuple[Expression, ...]) -> str:
    return ", ".join(predicate.text(expression) for expression in expressions)
