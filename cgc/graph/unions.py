"""The graph of a template whose nodes are normalised in layers or groups: there a node depends on all that its group reads.

``e_i = g_i (a_i - mean_j a_j) / sd_j a_j + b_i``, j over the group of i: as no a_j can be left out, the parents of i are those of all j.
Weights stay those of the edges as they are: statements take pairs out of edges, and are then held against this graph.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from cgc.graph.binding import Instance
from cgc.graph.factors import conjuncts, independent
from cgc.graph.geometry import Axes
from cgc.graph.parts import Part, PartEdge, Structure, child_axes
from cgc.graph.predicate import (
    Constant,
    Expression,
    Index,
    Predicate,
    Truth,
    Truths,
    arithmetic,
    compare,
    conjunction,
    disjunction,
    evaluate,
)
from cgc.graph.structure import MAX_PAIRS, TooManyPairs, structured, without
from cgc.graph.template import with_gates

_BLOCK = 2**22
"""So many pairs are looked at in one go."""
_MOST = 2**30
"""So many comparisons a condition may need to be told for all pairs."""


def whole_graph(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts with dropout nodes, and with all edges: what separation, queries and independences are about.

    Raises TooManyPairs.
    """
    return tuple(joined(part) for part in with_gates(parts))


def joined(part: Part) -> Part:
    """The part with the edges that its normalisation adds. Raises TooManyPairs."""
    return replace(part, edges=tuple(_union(part, edge) for edge in part.edges))


def mixing(part: Part) -> str:
    """What layer or group normalisation does to the graph, in words."""
    assert part.normalize is not None
    group = "every node" if part.normalize.groups == 1 else "every node of a group"
    what = "all" if part.normalize.groups == 1 else "all of its group"
    where = "parents" if part.normalize.over == "energy" else "parents without lag"
    return f"{part.normalize.kind} normalisation makes {group} of `{part.name}` depend on the {where} of {what}"


def rejoined(instance: Instance, parts: Sequence[Part]) -> Part | None:
    """A part whose normalisation joins what a statement has taken apart."""
    mixed = {part.name: part for part in parts if part.normalize is not None}
    changed = without(mixed, [instance])[0]
    return next((mixed[name] for name, part in changed.items() if part != mixed[name]), None)


def _union(part: Part, edge: PartEdge) -> PartEdge:
    """The edge from all nodes that any node of the same group reads by it."""
    kind = edge.structure.kind
    if part.normalize is None or not part.normalize.joins(edge.lag) or kind == "absent" or (kind == "dense" and edge.block is None):
        return edge
    children, parents, groups = child_axes(part.extents), edge.structure.parent_index, part.normalize.groups
    if edge.block is None and kind in ("elementwise", "identity"):  # all nodes of the parent's same group
        condition = _same_group(Index(children[0][0]), Index(parents[0][0]), part.extents[0], part.extents[0], groups)
    else:
        condition = _any(edge.joined, children, parents, groups)
    written = replace(edge.edge, kind="dense", weight=None, filter=None)
    dense = Structure("dense", math.prod(n for _, n in (*children, *parents)), children, parents)
    whole = replace(edge, edge=written, structure=dense, block=None)
    return replace(whole, structure=structured(whole, condition, None))


def _same_group(own: Expression, other: Expression, extent: int, width: int, groups: int) -> Predicate:
    """Whether two numbers, below ``extent`` and ``width``, lie in the same of so many equal groups."""
    pairs = ((own, extent), (other, width))
    return compare("==", *(Constant(0) if groups == 1 else _quotient(number, size // groups) for number, size in pairs))


def _any(condition: Predicate, children: Axes, parents: Axes, groups: int) -> Predicate:
    """For which pairs (i, j) some (k, j) satisfies the condition, k of the same group as i: groups divide the first axis.

    Conditions that share no index are looked at one by one, each for all values of its indices.
    """
    found = [_any_factor(conjunction(*few), used, children, parents, groups) for used, few in independent(conjuncts(condition))]
    return conjunction(*found)


def _any_factor(condition: Predicate, used: Sequence[str], children: Axes, parents: Axes, groups: int) -> Predicate:
    own, other = (tuple(axis for axis in axes if axis[0] in used) for axes in (children, parents))
    if not own:
        return condition
    groups = groups if children[0] in own else 1
    table = _table(condition, own, other, groups)
    extent, width = children[0][1], table.shape[1]
    if width % groups == 0 and np.array_equal(table, np.kron(np.eye(groups, dtype=bool), np.ones((1, width // groups), bool))):
        return _same_group(Index(children[0][0]), _number(other), extent, width, groups)
    group = Constant(0) if groups == 1 else _quotient(Index(children[0][0]), extent // groups)
    numbered = [(tuple(np.flatnonzero(row).tolist()), k) for k, row in enumerate(table)]
    found: list[Predicate] = []
    runs = 0
    for some, same in groupby(sorted(numbered), key=lambda pair: pair[0]):
        inside, read = list(_runs(group, [k for _, k in same], groups)), list(_runs(_number(other), some, width))
        runs += len(inside) + len(read)
        if runs * math.prod(n for _, n in (*own, *other)) > _MOST:
            raise TooManyPairs
        found.append(conjunction(disjunction(Truth(False), *inside), disjunction(Truth(False), *read)))
    return disjunction(Truth(False), *found)


def _table(condition: Predicate, own: Axes, other: Axes, groups: int) -> Truths:
    """Whether a condition holds for any values of the child's indices in a group: (groups, values of the parent's indices)."""
    (_, extent), *rest = own
    across, width = (math.prod(n for _, n in axes) for axes in ((*rest, *other), other))
    if extent * across > MAX_PAIRS:
        raise TooManyPairs
    found = np.zeros((groups, width), bool)
    step = max(1, _BLOCK // across)
    for start in range(0, extent, step):
        rows = np.arange(start, min(start + step, extent))
        values = np.ix_(rows, *(np.arange(n) for _, n in (*rest, *other)))
        indices = {name: grid for (name, _), grid in zip((*own, *other), values, strict=True)}
        truths = np.broadcast_to(evaluate(condition, indices), [grid.size for grid in values])
        np.logical_or.at(found, rows * groups // extent, truths.reshape(len(rows), -1, width).any(1))
    return found


def _quotient(index: Expression, rows: int) -> Expression:
    return index if rows == 1 else arithmetic("//", index, Constant(rows))


def _number(axes: Sequence[tuple[str, int]]) -> Expression:
    """The flat number of the values of some indices."""
    number: Expression = Constant(0)
    for name, extent in axes:
        index = Index(name)
        number = index if number == Constant(0) else arithmetic("+", arithmetic("*", number, Constant(extent)), index)
    return number


def _runs(value: Expression, numbers: Sequence[int], extent: int) -> Iterator[Predicate]:
    """That ``value``, which lies below ``extent``, is one of some numbers, which ascend."""
    for _, members in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in members]
        low, high = run[0], run[-1]
        if low == high and extent > 1:
            yield compare("==", value, Constant(low))
        else:
            at_least = Truth(True) if low == 0 else compare(">=", value, Constant(low))
            yield conjunction(at_least, Truth(True) if high == extent - 1 else compare("<=", value, Constant(high)))
