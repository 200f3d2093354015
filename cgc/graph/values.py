"""Which index values of every part's axes are kept in a sample, and whether nothing is lost by the others.

Two sorts of axes are told apart. Along some, edges and lines join all pairs or those with equal indices only: any exchange of values leaves
the graph as it is. There, the values that are named and a few others stand for all: a walk that uses more of them can be led through these.
Along the rest (windows, blocks, orders, chains) every value counts, and all are kept. If that makes too many nodes, some values are left
out after all: what is found open then is open, but what is not found may be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from cgc.graph import predicate
from cgc.graph.parts import Part, PartEdge
from cgc.graph.recognise import take_apart

Axis = tuple[str, int]
"""The name of a part, and the number of one of its axes."""
_FEW = {1: 10, 2: 5}
"""Axes of up to so many values are kept whole, by the number of axes; beyond two axes, ``_FEWEST``."""
_FEWEST = 4
_MOST = {1: 24, 2: 7}
"""How many values of a longer axis are kept beside the constants themselves; beyond two axes, ``_FEWEST`` + 1."""
MAX_PAIRS = 50_000_000
"""So many pairs of kept nodes are looked at for edges."""


@dataclass(frozen=True)
class Kept:
    """The indices of each part's nodes that are kept; ``complete`` says that verdicts on them are verdicts on the whole graph."""

    indices: Mapping[str, list[tuple[int, ...]]]
    complete: bool


def index_values(extents: tuple[int, ...], constants: Iterable[int]) -> tuple[tuple[int, ...], ...]:
    """Values of each axis, ascending: the first few, the last two, and those next to every constant c, to 2c, and to sums, differences
    and products of two constants."""
    axes = len(extents)
    few, most = _FEW.get(axes, _FEWEST), _MOST.get(axes, _FEWEST + 1)
    named = sorted(set(constants))
    pairs = [v for a, b in combinations(named, 2) for v in (a + b, b - a, a * b)]
    near = [v + d for v in (*named, *(2 * c for c in named), *pairs) for d in (0, -1, 1)]
    kept = []
    for extent in extents:
        if extent <= few:
            kept.append(tuple(range(extent)))
            continue
        wanted = dict.fromkeys(v for v in (*range(few // 2 + 1), extent - 1, extent - 2, *near) if 0 <= v < extent)
        kept.append(tuple(sorted({*list(wanted)[:most], *(c for c in named if c < extent)})))
    return tuple(kept)


def kept_values(parts: Sequence[Part], constants: Iterable[int], ordered: Iterable[Axis], most: int) -> Kept:
    """The values for parts that are closed under parents, of which ``most`` nodes may be kept at a time step.

    ``constants`` are values that are named; along the axes ``ordered`` a statement tells more of values than which are equal.
    """
    named = sorted(set(constants))
    values = {part.name: list(index_values(part.extents, named)) for part in parts}
    extents = {(part.name, axis): extent for part in parts for axis, extent in enumerate(part.extents)}
    listed = {(part.name, axis): {end[axis] for pair in part.lines.written.pairs for end in pair}
              for part in parts if part.lines for axis in range(len(part.extents))}  # fmt: skip
    equal, every = _axes(parts)
    every += [axis for axis in ordered if axis in extents]
    whole: dict[Axis, None] = {}
    for group in _joined(extents, equal):
        together: set[int] = set()
        for name, axis in group:
            together |= {*values[name][axis], *listed.get((name, axis), ())}
        if any(axis in every for axis in group):
            whole |= dict.fromkeys(group)
        for name, axis in group:
            values[name][axis] = tuple(sorted(v for v in together if v < extents[name, axis]))
    counts = {axis: extent if axis in whole else len(values[axis[0]][axis[1]]) for axis, extent in extents.items()}
    sizes = {part.name: math.prod(counts[part.name, axis] for axis in range(len(part.extents))) for part in parts}
    pairs = sum(sizes[part.name] * sizes[edge.source] for part in parts for edge in _present(part))
    complete = sum(sizes.values()) <= most and pairs <= MAX_PAIRS
    for name, axis in whole if complete else ():
        values[name][axis] = tuple(range(extents[name, axis]))
    return Kept({name: list(product(*axes)) for name, axes in values.items()}, complete)


def _axes(parts: Sequence[Part]) -> tuple[list[tuple[Axis, Axis]], list[Axis]]:
    """Pairs of axes whose values are the same things, and axes along which every value counts."""
    equal: list[tuple[Axis, Axis]] = []
    every: list[Axis] = []
    for part in parts:
        for edge in _present(part):
            structure = edge.structure
            rank, other = len(structure.child_index), len(structure.parent_index)
            if edge.block is not None:
                every += [(part.name, 0), *((edge.source, axis) for axis in range(other) if structure.kind != "dense")]
                every += [(part.name, axis) for axis in range(1, rank) if structure.kind != "dense"]
                continue
            if structure.predicate is None:
                if structure.kind != "dense":
                    equal += [((part.name, axis), (edge.source, axis)) for axis in range(rank)]
                continue
            found = take_apart(structure.predicate, structure.child_index, structure.parent_index)
            same = [(a, b) for (a, b), relation in found.relations.items() if relation.diagonal()] if found.complete else []
            own, others = ([rank + a for a, _ in same], [other + b for _, b in same])
            equal += [((part.name, a), (edge.source, b)) for a, b in zip(own, others, strict=True)]
            used = predicate.names(structure.predicate)
            every += [(part.name, k) for k, (name, _) in enumerate(structure.child_index) if name in used and k not in own]
            every += [(edge.source, k) for k, (name, _) in enumerate(structure.parent_index) if name in used and k not in others]
        if part.lines is not None and part.lines.written.kind in ("chain", "grid"):
            every += [(part.name, axis) for axis in part.lines.written.axes]
    return equal, every


def _present(part: Part) -> Iterator[PartEdge]:
    return (edge for edge in part.edges if edge.structure.kind != "absent")


def _joined(axes: Iterable[Axis], equal: Iterable[tuple[Axis, Axis]]) -> list[list[Axis]]:
    """The axes in groups of those that are equal."""
    group = {axis: [axis] for axis in axes}
    for a, b in equal:
        if group[a] is not group[b]:
            group[a] += group[b]
            for axis in group[b]:
                group[axis] = group[a]
    return list({id(members): members for members in group.values()}.values())
