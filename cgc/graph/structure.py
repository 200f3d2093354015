"""Statements → structure: what is left of every edge once the pairs that statements name are taken out of it.

Adjacent nodes are never separated, so a statement ``A ⟂ B | C`` deletes the edges between the nodes it names; in a pairwise factor that
is w = 0. What an edge then is (dense, elementwise, masked, absent) is decided on its actual nodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product

import numpy as np

from cgc.graph import predicate
from cgc.graph.binding import Instance, named_pairs
from cgc.graph.geometry import Axes
from cgc.graph.parts import Part, PartEdge, Structure, child_axes, parent_axes
from cgc.graph.predicate import Expression, Index, Integers, Predicate, Truths, conjunction, negate
from cgc.graph.recognise import Pattern, one_key, recognise, recognise_average, take_apart

MAX_PAIRS = 2**28
MAX_TIED = 2**24
_BLOCK = 2**20


class TooManyPairs(Exception):
    """A mask over more than ``MAX_PAIRS`` pairs would have to be looked at."""


def without(parts: Mapping[str, Part], instances: Sequence[Instance]) -> tuple[dict[str, Part], int]:
    """The parts, by name, that change when the pairs that the instances name are taken out, and how many pairs those are.

    Raises TooManyPairs; ZeroDivisionError if a condition divides by 0.
    """
    changed: dict[str, Part] = {}
    removed = 0
    for (name, place), pairs in named_edges(parts, instances).items():
        part = changed.get(name, parts[name])
        edges = list(part.edges)
        edges[place] = replace(edges[place], structure=_remove(edges[place], pairs))
        removed += part.edges[place].structure.pairs - edges[place].structure.pairs
        changed[name] = replace(part, edges=tuple(edges))
    return changed, removed


def joined_still(parts: Iterable[Part], instance: Instance) -> bool:
    """Whether edges that statements do not take apart join what the instance names: from gates, and those of copies of refined parts.

    Raises TooManyPairs, ZeroDivisionError.
    """
    named = {term.part.name for term in (*instance.left, *instance.right)}
    involved = {part.name: part for part in parts if part.name in named}
    places = named_edges(involved, [instance], following=True)
    for (name, place), pairs in places.items():
        structure = involved[name].edges[place].structure
        if structure.kind != "absent" and any(
            first_pair(conjunction(structure.joined, some), structure.child_index, structure.parent_index) is not None for some in pairs
        ):
            return True
    return False


def named_edges(
    parts: Mapping[str, Part], instances: Sequence[Instance], following: bool = False
) -> dict[tuple[str, int], list[Predicate]]:
    """The edges between what the instances name, by the child's name and the place among its edges, with the pairs that are named.

    What opens an edge goes with its pairs, and copies of a refined part have its edges: these are left out, or (``following``) they alone
    are meant.
    """
    named: dict[tuple[str, int], list[Predicate]] = {}
    for instance in instances:
        for left, right in product(instance.left, instance.right):
            for child, parent in ((left, right), (right, left)):  # statements are symmetric
                for place, edge in enumerate(parts[child.part.name].edges if child.part.name in parts else ()):
                    own = edge.gates is None and child.part.base is None
                    same_time = edge.lag == child.time - parent.time and child.anchor == parent.anchor
                    if own != following and same_time and edge.source == parent.part.name:
                        pairs = in_block(edge, named_pairs(instance, child, parent))
                        named.setdefault((child.part.name, place), []).append(pairs)
    return named


def in_block(edge: PartEdge, pairs: Predicate) -> Predicate:
    """A condition on nodes of the child as one on the nodes of the edge's block, counted from 0."""
    if edge.block is None or not edge.block[0]:
        return pairs
    ((name, _), *_) = edge.structure.child_index
    return predicate.substitute(pairs, {name: predicate.arithmetic("+", Index(name), predicate.Constant(edge.block[0]))})


def first_named(instance: Instance) -> tuple[int, ...] | None:
    """All indices of the first pair of nodes that the instance names; None if it names none.

    Raises TooManyPairs, ZeroDivisionError.
    """
    pairs = [
        first_pair(named_pairs(instance, left, right), child_axes(left.part.extents), parent_axes(right.part.extents))
        for left, right in product(instance.left, instance.right)
    ]
    return next((pair for pair in pairs if pair is not None), None)


def names_one_twice(instance: Instance) -> bool:
    """Whether some pair that the instance names is a node with itself. Raises TooManyPairs, ZeroDivisionError."""
    for left, right in product(instance.left, instance.right):
        if left.part.name == right.part.name and (left.time, left.anchor) == (right.time, right.anchor):
            axes = child_axes(left.part.extents)
            same = {j: Index(i) for (i, _), (j, _) in zip(axes, parent_axes(left.part.extents), strict=True)}
            if first_pair(predicate.substitute(named_pairs(instance, left, right), same), axes, ()) is not None:
                return True
    return False


def _remove(edge: PartEdge, named: Sequence[Predicate]) -> Structure:
    """The structure of an edge without the named pairs."""
    return structured(edge, conjunction(edge.structure.joined, *(negate(pairs) for pairs in named)), edge.structure.keys)


def structured(edge: PartEdge, joined: Predicate, keys: tuple[Expression, ...] | None) -> Structure:
    """What an edge is once only the pairs that satisfy ``joined`` are left, with equal weights where ``keys`` are equal.

    Raises TooManyPairs, ZeroDivisionError.
    """
    before = edge.structure
    children, parents = before.child_index, before.parent_index
    if edge.edge.kind in ("elementwise", "identity") and keys is None:
        same = {j: Index(i) for (i, _), (j, _) in zip(children, parents, strict=True)}
        pairs, _ = _survey(predicate.substitute(joined, same), children, ())
        pattern = Pattern(edge.edge.kind if pairs == math.prod(n for _, n in children) else "masked" if pairs else "absent")
    else:
        joined = conjunction(joined, before.equal_indices) if edge.edge.kind == "elementwise" and before.predicate is None else joined
        pairs, diagonal = _survey(joined, children, parents)
        pattern = recognise(joined, keys, children, parents)
        if pattern.kind == "masked" and take_apart(joined, children, parents).count is None:
            everything = math.prod(n for _, n in children + parents)
            pattern = Pattern("dense" if pairs == everything else "absent" if not pairs else "elementwise" if diagonal else "masked")
    if pairs == before.pairs and keys == before.keys:
        return before
    if pattern.kind == "tied":
        _check_key(joined, keys or (), children, parents)
    weight = fixed_weight(edge)
    if weight is not None:
        pattern = recognise_average(pattern, weight, joined, children, parents)
    predicate_needed = pattern.kind not in ("dense", "elementwise", "identity", "absent")
    return replace(
        before,
        kind=pattern.kind,
        pairs=pairs,
        predicate=joined if predicate_needed else None,
        geometry=pattern.geometry,
        keys=keys,
        causal=pattern.causal,
    )


def fixed_weight(edge: PartEdge) -> float | None:
    """The weight of an edge whose weights are not learned: as written, 1 of an identity, one over the size of a window of a pooling."""
    written = edge.edge
    if written.weight is not None:
        return written.weight
    if written.kind == "avg_pool" and written.filter is not None:
        places = [n for _, n in edge.structure.parent_index]
        kernel = written.filter.kernel or (places[1:] if len(places) > 1 else places)
        return 1 / math.prod(kernel * (max(1, len(places) - 1) if len(kernel) == 1 and written.filter.kernel else 1))
    return 1.0 if written.kind == "identity" else None


def _check_key(joined: Predicate, keys: tuple[Expression, ...], children: Axes, parents: Axes) -> None:
    """Raises TooManyPairs where weights that are shared in a way of their own could not be told apart pair by pair."""
    if math.prod(n for _, n in children + parents) > MAX_TIED:
        raise TooManyPairs
    key, _ = one_key(joined, keys, children, parents)
    if predicate.largest(key, dict(children + parents)) > predicate.LARGEST:
        raise TooManyPairs


@lru_cache(maxsize=256)
def _survey(pairs: Predicate, children: Axes, parents: Axes) -> tuple[int, bool]:
    """How many pairs satisfy the predicate, and whether those are exactly the ones with equal indices, one for every node.

    Pairs are looked at one by one only where the predicate cannot be taken apart; only then the second answer is needed.
    """
    known = take_apart(pairs, children, parents).count
    if known is not None:
        return known, False
    count = 0
    diagonal = [n for _, n in children] == [n for _, n in parents]
    for rows, columns, mask in _blocks(pairs, children, parents):
        count += int(np.count_nonzero(mask))
        diagonal = diagonal and np.array_equal(mask, rows[:, None] == columns)
    return count, diagonal


@lru_cache(maxsize=256)
def first_pair(pairs: Predicate, children: Axes, parents: Axes) -> tuple[int, ...] | None:
    """The indices, child's then parent's, of the first pair that satisfies the predicate."""
    found = take_apart(pairs, children, parents)
    if found.count == 0 or found.first is not None:
        return None if found.first is None else tuple(found.first[name] for name, _ in (*children, *parents))
    first: tuple[int, ...] | None = None
    for rows, columns, mask in _blocks(pairs, children, parents):
        if first is None and mask.any():
            row, column = np.argwhere(mask)[0]
            places = ((rows[row], children), (columns[column], parents))
            first = tuple(int(k) for flat, axes in places if axes for k in np.unravel_index(flat, [n for _, n in axes]))
    return first


def _blocks(pairs: Predicate, children: Axes, parents: Axes) -> Iterator[tuple[Integers, Integers, Truths]]:
    """The truth of the predicate in blocks of bounded size, with the flat numbers of rows (children) and columns (parents)."""
    height, width = (math.prod(n for _, n in axes) for axes in (children, parents))
    if height * width > MAX_PAIRS:
        raise TooManyPairs
    across = min(width, _BLOCK)
    down = max(1, _BLOCK // across)
    for top in range(0, height, down):
        rows = np.arange(top, min(top + down, height))
        for left in range(0, width, across):
            columns = np.arange(left, min(left + across, width))
            indices = {**_unravel(rows[:, None], children), **_unravel(columns, parents)}
            mask = np.broadcast_to(predicate.evaluate(pairs, indices), (len(rows), len(columns)))
            yield rows, columns, mask


def _unravel(flat: Integers, axes: Axes) -> dict[str, Integers]:
    values = np.unravel_index(flat, [n for _, n in axes]) if axes else ()
    return {name: value.astype(np.int64) for (name, _), value in zip(axes, values, strict=True)}
