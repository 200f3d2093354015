"""A condition on many indices as a product of conditions that share none: ``abs(r - u) <= 1 and abs(s - v) <= 1`` is two relations.

That makes questions about grids of any size small: how many pairs are joined, and in which pattern along which axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from cgc.graph import predicate
from cgc.graph.geometry import Axes
from cgc.graph.predicate import Comparison, Expression, Function, Junction, Predicate, Truth, Truths, compare, conjunction, negate
from cgc.graph.relation import LONGEST, SMALL, Relation, Table, relation

Item = TypeVar("Item", bound=Predicate | Expression)


@dataclass(frozen=True)
class Factors:
    """A condition, taken apart.

    ``relations`` are by the numbers of a child's and a parent's axis, both counted from the last (-1). ``count`` is the number of pairs
    that satisfy the condition; None where it cannot be told without looking at every pair. ``complete``: there is nothing in the
    condition but these relations. ``first`` are the values of indices at the first pair, if there is one and it is known.
    """

    relations: dict[tuple[int, int], Relation]
    count: int | None
    complete: bool
    first: dict[str, int] | None


def factors(condition: Predicate, children: Axes, parents: Axes) -> Factors:
    """The factors of a condition; of one that is no product, what its negation tells. Raises ZeroDivisionError."""
    found = _product_of(condition, children, parents)
    if found.count is not None:
        return found
    outside = _product_of(negate(condition), children, parents)
    if outside.count is None:
        return found
    count = math.prod(extent for _, extent in (*children, *parents)) - outside.count
    return Factors({}, count, False, _first_of_any(condition, children, parents) if count else None)


def _first_of_any(condition: Predicate, children: Axes, parents: Axes) -> dict[str, int] | None:
    """The first pair of a condition of which each part is a product; None if that cannot be told."""
    found = [_product_of(negate(part), children, parents) for part in conjuncts(negate(condition))]
    if any(one.count is None for one in found):
        return None
    order = [name for name, _ in (*children, *parents)]
    return min((one.first for one in found if one.first is not None), key=lambda first: [first[name] for name in order])


def _product_of(condition: Predicate, children: Axes, parents: Axes) -> Factors:
    extents = dict((*children, *parents))
    relations: dict[tuple[int, int], Relation] = {}
    count: int | None = math.prod(extents.values())
    complete = True
    first = dict.fromkeys(extents, 0)
    for names, parts in independent(conjuncts(condition)):
        one = _factor(conjunction(*parts), names, children, parents)
        relations |= one.relations
        complete = complete and one.complete
        among = math.prod(extents[name] for name in names)
        count = None if count is None or one.count is None else count // among * one.count
        first |= one.first or {}
    return Factors(relations, count, complete, first if count else None)


def conjuncts(condition: Predicate) -> list[Predicate]:
    """Conditions that all hold iff this one does, each as small as its form shows."""
    match condition:
        case Junction("and", parts):
            return [piece for part in parts for piece in conjuncts(part)]
        case Comparison("<" | "<=" as sign, Function("max", values), right):
            return [compare(sign, value, right) for value in values]
        case Comparison(">" | ">=" as sign, Function("min", values), right):
            return [compare(sign, value, right) for value in values]
        case Comparison("<" | "<=" as sign, left, Function("min", values)):
            return [compare(sign, left, value) for value in values]
        case Comparison(">" | ">=" as sign, left, Function("max", values)):
            return [compare(sign, left, value) for value in values]
        case _:
            return [condition]


def independent(items: Iterable[Item]) -> list[tuple[tuple[str, ...], list[Item]]]:
    """Groups of items that share no index with each other, and the indices of each, in the order in which they come."""
    groups: list[tuple[tuple[str, ...], list[Item]]] = []
    for item in items:
        names = predicate.names(item)
        near = [group for group in groups if not set(group[0]).isdisjoint(names)]
        # what names no index is a constant, and stands alone
        merged = tuple(dict.fromkeys([name for group in near for name in group[0]] + list(names)))
        place = groups.index(near[0]) if near else len(groups)
        groups = [group for group in groups if group not in near]
        groups.insert(place, (merged, [other for group in near for other in group[1]] + [item]))
    return groups


def _factor(condition: Predicate, names: tuple[str, ...], children: Axes, parents: Axes) -> Factors:
    """One factor; its ``count`` and ``first`` are those of its own indices."""
    if isinstance(condition, Truth):
        return Factors({}, int(condition.value), condition.value, {})
    own = [(axis - len(children), pair) for axis, pair in enumerate(children) if pair[0] in names]
    other = [(axis - len(parents), pair) for axis, pair in enumerate(parents) if pair[0] in names]
    axes = [pair for _, pair in (*own, *other)]
    if len(own) == len(other) == 1:
        found = relation(condition, *axes)
        if found is None:
            return Factors({}, None, False, None)
        count = found.count()
        at = found.first() if count else (0, 0)
        return Factors({(own[0][0], other[0][0]): found}, count, True, dict(zip((axes[0][0], axes[1][0]), at, strict=True)))
    if math.prod(extent for _, extent in axes) > (SMALL if len(axes) > 1 else LONGEST):
        return Factors({}, None, False, None)
    table = tabulate(condition, axes)
    split = _product([axis for axis, _ in own], [axis for axis, _ in other], table)
    place = np.unravel_index(int(np.argmax(table)), table.shape)
    first = {name: int(k) for (name, _), k in zip(axes, place, strict=True)}
    return Factors(split or {}, int(np.count_nonzero(table)), split is not None, first)


def tabulate(condition: Predicate, axes: Sequence[tuple[str, int]]) -> Truths:
    """The condition at all values of these indices, an axis for each. Raises ZeroDivisionError."""
    grids = np.ix_(*(np.arange(extent) for _, extent in axes))
    indices = {name: grid for (name, _), grid in zip(axes, grids, strict=True)}
    return np.array(np.broadcast_to(predicate.evaluate(condition, indices), [extent for _, extent in axes]))


def _product(own: list[int], other: list[int], table: Truths) -> dict[tuple[int, int], Relation] | None:
    """The table as a product of relations between axes at equal places from the end, if it is one."""
    if sorted(own) != sorted(other):
        return None
    count = len(own)
    found: dict[tuple[int, int], Relation] = {}
    whole = np.ones_like(table)
    for k in range(count):
        away = tuple(axis for axis in range(2 * count) if axis not in (k, count + k))
        shadow = np.asarray(table.any(axis=away, keepdims=True))
        whole &= shadow
        found[own[k], other[k]] = Table(shadow.reshape(table.shape[k], table.shape[count + k]))
    return found if np.array_equal(whole, table) else None
