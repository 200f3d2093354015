"""What an edge is, told from which pairs it joins and which of their weights are equal: dense, one weight per node, groups, windows.

Nothing is looked up: the condition is taken apart (``factors.py``), and each pattern is a question about its relations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from cgc.graph import predicate
from cgc.graph.factors import Factors, conjuncts, factors, independent, tabulate
from cgc.graph.geometry import Axes, Geometry, Window
from cgc.graph.predicate import Comparison, Constant, Expression, Integers, Junction, Predicate, Truth, conjunction
from cgc.graph.relation import SMALL, Relation, affine, common_stride

MOST_WINDOWS = 3

Kind = Literal["dense", "masked", "elementwise", "identity", "grouped", "local", "convolution", "average", "tied", "absent"]
"""What ``cgc.graph.parts.Structure`` says an edge may be."""


@dataclass(frozen=True)
class Pattern:
    """What was recognised. ``causal``: every node reads the parents up to some place, a later node no fewer; it is a kind of mask."""

    kind: Kind
    geometry: Geometry | None = None
    causal: bool = False


@lru_cache(maxsize=1024)
def take_apart(condition: Predicate, children: Axes, parents: Axes) -> Factors:
    """``factors``, remembered."""
    return factors(condition, children, parents)


@lru_cache(maxsize=1024)
def recognise(condition: Predicate, keys: tuple[Expression, ...] | None, children: Axes, parents: Axes) -> Pattern:
    """The pattern of the pairs that satisfy ``condition``, whose weights are equal where all ``keys`` are (None: every weight is free).

    Kinds: ``absent``, ``dense``, ``elementwise``, ``grouped``, ``local`` (windows with a weight of their own everywhere),
    ``convolution`` (windows with shared weights), ``tied`` (shared in another way), ``masked``. Raises ZeroDivisionError.
    """
    found = take_apart(condition, children, parents)
    if found.count == 0:
        return Pattern("absent")
    if keys is not None:
        for count in range(1, min(MOST_WINDOWS, len(children), len(parents)) + 1):
            geometry = _windows(found, children, parents, count, keys)
            if geometry is not None and _same_classes(condition, keys, geometry, children, parents):
                return Pattern("convolution", _widened(found, children, parents, geometry, keys))
        if not _all_free(condition, keys, children, parents):
            return Pattern("tied")
    if found.count == math.prod(n for _, n in (*children, *parents)):
        return Pattern("dense")
    if found.complete and _diagonal(found, children, parents):
        return Pattern("elementwise")
    groups = _windows(found, children, parents, 0, None)
    if groups is not None and groups.groups > 1:
        return Pattern("grouped", groups)
    if len(children) == len(parents) == 1 and all(r.prefixes() for r in found.relations.values()) and found.complete:
        return Pattern("masked", causal=True)
    for count in range(1, min(MOST_WINDOWS, len(children), len(parents)) + 1):
        geometry = _windows(found, children, parents, count, None)
        # a weight for every cell of every window must be fewer than one for every pair
        if geometry is not None and math.prod(geometry.kernel) < math.prod(window.parent for window in geometry.windows):
            return Pattern("local", geometry)
    return Pattern("masked")


def _widened(found: Factors, children: Axes, parents: Axes, geometry: Geometry, keys: tuple[Expression, ...]) -> Geometry:
    """The windows with those along further axes on which a child has one place: its maps could as well be places, and are if more axes
    come before."""
    for count in range(len(geometry.windows) + 1, min(MOST_WINDOWS, len(children) - 1, len(parents) - 1) + 1):
        further = _windows(found, children, parents, count, keys)
        if children[-count][1] > 1 or parents[-count][1] == 1 or further is None:
            break
        geometry = further
    return geometry


def recognise_average(pattern: Pattern, weight: float, condition: Predicate, children: Axes, parents: Axes) -> Pattern:
    """The pattern of an edge with this fixed weight everywhere: ``average`` where every map's windows have so many nodes as to be means."""
    found = take_apart(condition, children, parents)
    for count in range(1, min(MOST_WINDOWS - 1, len(children), len(parents)) + 1):
        geometry = _windows(found, children, parents, count, None)
        if geometry is not None and _is_mean(geometry, weight) and None not in [window.padding for window in geometry.windows]:
            return Pattern("average", geometry)
    maps = math.prod(n for _, n in children)
    alone = pattern.geometry.groups if pattern.kind == "grouped" and pattern.geometry is not None else 1
    if pattern.kind in ("grouped", "dense") and maps == alone:
        places = math.prod(n for _, n in parents) // maps
        whole = Geometry(maps, maps, maps, (Window(1, places, places),))
        return Pattern("average", whole) if _is_mean(whole, weight) else pattern
    return pattern


def _is_mean(geometry: Geometry, weight: float) -> bool:
    alone = geometry.groups == geometry.child_maps == geometry.parent_maps
    return alone and math.prod(geometry.kernel) > 1 and math.isclose(weight * math.prod(geometry.kernel), 1, rel_tol=1e-12)


def _diagonal(found: Factors, children: Axes, parents: Axes) -> bool:
    """Whether the joined pairs are those with equal indices."""
    if [n for _, n in children] != [n for _, n in parents]:
        return False
    single = {-k for k, (_, extent) in enumerate(reversed(children), 1) if extent == 1}
    axes = {a for a, b in found.relations if a == b} | single
    return len(axes) == len(children) and all(a == b and r.diagonal() for (a, b), r in found.relations.items())


def _windows(found: Factors, children: Axes, parents: Axes, count: int, keys: tuple[Expression, ...] | None) -> Geometry | None:
    """Windows on the last ``count`` axes and groups of maps on those before. An axis without a condition has a window only by its keys."""
    if not found.complete:
        return None
    windows: list[Window] = []
    for axis in range(-count, 0):
        (i, rows), (j, columns) = children[axis], parents[axis]
        between = found.relations.get((axis, axis))
        if between is not None:
            window = between.window()
        elif rows == columns == 1:
            window = Window(1, 1, 1)
        else:
            window = None if keys is None else _everything(keys, (i, rows), (j, columns))
        if window is None:
            return None
        windows.append(window)
    rest = {(a + count, b + count): r for (a, b), r in found.relations.items() if not (a == b and a >= -count)}
    maps = children[: len(children) - count], parents[: len(parents) - count]
    groups = _groups(rest, *maps)
    if groups is None:
        return None
    return Geometry(math.prod(n for _, n in maps[0]), math.prod(n for _, n in maps[1]), groups, tuple(windows))


def _everything(keys: tuple[Expression, ...], child: tuple[str, int], parent: tuple[str, int]) -> Window | None:
    """The window over an axis on which every pair is joined, with the stride at which weights recur."""
    (i, rows), (j, columns) = child, parent
    strides = [s for key in keys if {i, j} & set(predicate.names(key)) and (s := common_stride([key], i, j)) is not None]
    stride = strides[0] if strides else 1
    low = -stride * (rows - 1)
    return Window(rows, columns, columns - low, stride, 1, -low)


def _groups(relations: dict[tuple[int, int], Relation], children: Axes, parents: Axes) -> int | None:
    """The number of equal blocks along the diagonal, maps counted over all axes; None if the joined pairs are no such blocks."""
    left = {(a + len(children), b + len(parents)): r for (a, b), r in relations.items()}
    groups = 1
    for axis in range(min(len(children), len(parents))):
        between = left.pop((axis, axis), None)
        if between is None:
            if children[axis][1] == parents[axis][1] == 1:
                continue
            break
        blocks = between.blocks()
        if blocks is None:
            return None
        groups *= blocks
        # only blocks of one node each can be divided further by the axes that follow
        if not between.diagonal():
            break
    return None if left else groups


# --- Ties.


def _all_free(condition: Predicate, keys: tuple[Expression, ...], children: Axes, parents: Axes) -> bool:
    """Whether no two joined pairs have the same keys, so that nothing is shared."""
    maps = Geometry(math.prod(n for _, n in children), math.prod(n for _, n in parents))
    return _same_classes(condition, keys, maps, children, parents)


def _same_classes(condition: Predicate, keys: tuple[Expression, ...], geometry: Geometry, children: Axes, parents: Axes) -> bool:
    """Whether joined pairs have equal keys just where both maps and all offsets of ``geometry`` are equal.

    Both are products over indices that have nothing to do with each other, so that it is enough to compare factor by factor.
    """
    extents = dict((*children, *parents))
    wanted = geometry.keys(children, parents)
    items = [*conjuncts(condition), *keys, *wanted]
    for names, parts in independent(items):
        own: list[Expression] = [key for key in keys if key in parts]
        targets: list[Expression] = [target for target in wanted if target in parts]
        if _by_form(own, targets, extents):
            continue
        axes = [(name, extents[name]) for name in extents if name in names]
        if math.prod(n for _, n in axes) > SMALL:
            return False
        joined = tabulate(conjunction(*(part for part in parts if isinstance(part, (Truth, Comparison, Junction)))), axes)
        first, second = (_labels(expressions, axes)[joined] for expressions in (own, targets))
        together = len(np.unique(np.stack([first, second]), axis=1).T)
        if not len(np.unique(first)) == len(np.unique(second)) == together:
            return False
    return True


def _by_form(keys: list[Expression], targets: list[Expression], extents: dict[str, int]) -> bool:
    """Whether every key is a target, but for sign and a constant, and every target a key, but for indices with a single value."""
    forms = [_form(key, extents) for key in keys]
    wanted = [_form(target, extents) for target in targets]
    return None not in forms and None not in wanted and set(forms) - {()} == set(wanted) - {()}


def _form(expression: Expression, extents: dict[str, int]) -> tuple[tuple[str, int], ...] | None:
    """A linear expression without its constant and its sign."""
    linear = affine(expression)
    if linear is None:
        return None
    parts = sorted((name, value) for name, value in linear.items() if name != "1" and value and extents[name] > 1)
    sign = -1 if parts and parts[0][1] < 0 else 1
    return tuple((name, sign * value) for name, value in parts)


def _labels(expressions: list[Expression], axes: list[tuple[str, int]]) -> Integers:
    """A number for every combination of values of the expressions, at all values of the indices."""
    shape = [extent for _, extent in axes]
    labels = np.zeros(shape, np.int64)
    for expression in expressions:
        numbers = np.unique(_values(expression, axes), return_inverse=True)[1].reshape(shape)
        labels = np.unique(labels * (int(numbers.max()) + 1) + numbers, return_inverse=True)[1].reshape(shape)
    return labels


def one_key(condition: Predicate, keys: tuple[Expression, ...], children: Axes, parents: Axes) -> tuple[Expression, int]:
    """A single key that is equal where all ``keys`` are, and how many values it has among the pairs that satisfy ``condition``.

    All pairs are looked at.
    """
    axes = [*children, *parents]
    extents = dict(axes)
    key: Expression | None = None
    for further in keys:
        own = [(name, extents[name]) for name in predicate.names(further)]
        values = _values(further, own)
        digits = int(values.max() - values.min()) + 1
        if digits == 1 and len(keys) > 1:
            continue
        shifted = key and predicate.arithmetic("*", key, Constant(digits))
        key = further if shifted is None else predicate.arithmetic("+", shifted, further)
    key = key if key is not None else Constant(0)
    return key, len(np.unique(_values(key, axes)[tabulate(condition, axes)]))


def _values(expression: Expression, axes: list[tuple[str, int]]) -> Integers:
    """The expression at all values of these indices."""
    shape = [extent for _, extent in axes]
    grids = np.ix_(*(np.arange(extent) for extent in shape))
    values = predicate.value_of(expression, {name: grid for (name, _), grid in zip(axes, grids, strict=True)})
    return np.asarray(np.broadcast_to(values, shape))


# --- What nodes of one component share: biases.


@dataclass(frozen=True)
class Classes:
    """Nodes with equal biases: ``count`` classes, each of ``block`` nodes in a row; where they are not, equal where ``key`` is."""

    count: int
    block: int | None
    key: Expression | None = None


def classes(keys: tuple[Expression, ...], axes: Axes) -> Classes | None:
    """The classes of the nodes with these indices; None if there are too many nodes to say. Raises ZeroDivisionError."""
    size = math.prod(n for _, n in axes)
    extents = dict(axes)
    forms = [_form(key, extents) for key in keys]
    for leading in range(len(axes) + 1):
        maps = {((name, 1),) for name, extent in axes[:leading] if extent > 1}
        if None not in forms and set(forms) - {()} == maps:
            count = math.prod(n for _, n in axes[:leading])
            return Classes(count, size // count)
    if size > SMALL:
        return None
    labels = _labels(list(keys), list(axes)).reshape(-1)
    count = len(np.unique(labels))
    first = labels.reshape(count, -1)[:, :1] if size % count == 0 else None
    even = first is not None and bool((labels.reshape(count, -1) == first).all())
    return Classes(count, size // count) if even else Classes(count, None, one_key(Truth(True), keys, axes, ())[0])
