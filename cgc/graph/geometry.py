"""The geometry of edges between nodes on grids: windows along axes and groups of maps, and the conditions that say the same.

A window is what torch calls kernel, stride, padding and dilation along one axis; its convolution is a cross-correlation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cgc.graph import predicate
from cgc.graph.predicate import Constant, Expression, Index, Predicate, Relation, compare, conjunction

Axes = tuple[tuple[str, int], ...]
"""Names and extents of indices."""

_ALWAYS = predicate.Truth(True)


@dataclass(frozen=True)
class Window:
    """Along one axis, child r reads the parents u = stride * r + dilation * m - before, m = 0 … kernel - 1, as far as they exist.

    ``child`` and ``parent`` are the extents: r < child, u < parent.
    """

    child: int
    parent: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0

    @property
    def span(self) -> int:
        """From the first parent that a child reads to the last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def after(self) -> int:
        """What must follow the parents, as ``before`` precedes them, for the last window to end there; negative: so many are cut."""
        return self.stride * (self.child - 1) + self.span - self.parent - self.before

    @property
    def pairs(self) -> int:
        """How many pairs (child, parent) it joins."""
        count = 0
        for cell in range(self.kernel):
            shift = self.before - self.dilation * cell
            first, last = max(0, -(-shift // self.stride)), min(self.child - 1, (self.parent - 1 + shift) // self.stride)
            count += max(0, last - first + 1)
        return count

    @property
    def padding(self) -> int | None:
        """The padding on both sides that gives just these windows, if there is one."""
        places = (self.parent + 2 * self.before - self.span) // self.stride + 1
        return self.before if self.before >= 0 and places == self.child else None

    def joined(self, child: Expression, parent: Expression) -> Predicate:
        """Which child reads which parent; what holds everywhere is left out."""
        low, high = -self.before, -self.before + self.dilation * (self.kernel - 1)
        offset = self.offset(child, parent)
        least, most = -self.stride * (self.child - 1), self.parent - 1
        if self.kernel == 1:
            return _ALWAYS if least == most == low else compare("==", parent, _plus(_times(self.stride, child), low))
        lower: list[tuple[Relation, int]] = [(">=", low)] if low > least else []
        upper: list[tuple[Relation, int]] = [("<=", high)] if high < most else []
        bounds = lower + upper
        if len(bounds) == 2 and low == -high:
            near = compare("<=", predicate.function("abs", offset), Constant(high))
        else:
            near = conjunction(*(compare(relation, offset, Constant(bound)) for relation, bound in bounds))
        if self.dilation == 1:
            return near
        step = predicate.arithmetic("%", _plus(offset, self.before % self.dilation), Constant(self.dilation))
        return conjunction(near, compare("==", step, Constant(0)))

    def offset(self, child: Expression, parent: Expression) -> Expression:
        """u - stride * r: equal where a shared weight is."""
        return predicate.arithmetic("-", parent, _times(self.stride, child))


@dataclass(frozen=True)
class Geometry:
    """Nodes with indices (maps, *places): ``groups`` of the maps, and a window along each axis of places.

    ``child_maps`` and ``parent_maps`` are counts; map c of the child reads the maps d of the parent in the same group. No windows:
    nothing but groups.
    """

    child_maps: int
    parent_maps: int
    groups: int = 1
    windows: tuple[Window, ...] = ()

    @property
    def kernel(self) -> tuple[int, ...]:
        """The extent of the windows."""
        return tuple(window.kernel for window in self.windows)

    @property
    def fan_in(self) -> int:
        """How many parents a child reads where no window leaves the grid."""
        return self.parent_maps // self.groups * math.prod(self.kernel)

    @property
    def pairs(self) -> int:
        """How many pairs of nodes are joined."""
        return self.child_maps * (self.parent_maps // self.groups) * math.prod(window.pairs for window in self.windows)

    def joined(self, children: Axes, parents: Axes) -> Predicate:
        """Which pairs are joined, for nodes with at most one axis of maps on either side, then places."""
        windows = [window.joined(i, j) for window, (i, j) in zip(self.windows, self._places(children, parents), strict=True)]
        return conjunction(self._same_group(children, parents), *windows)

    def _maps(self, children: Axes, parents: Axes) -> tuple[Axes, Axes]:
        """The axes of maps. A child with one place for every map may have no axes of places."""
        count = len(self.windows)
        single = len(children) <= count and self.child_maps == math.prod(n for _, n in children)
        return children if single else children[: len(children) - count], parents[: len(parents) - count]

    def keys(self, children: Axes, parents: Axes) -> tuple[Expression, ...]:
        """What pairs with equal weights have in common: both maps, and the offset along every axis."""
        maps = [Index(name) for axes in self._maps(children, parents) for name, _ in axes]
        offsets = [window.offset(i, j) for window, (i, j) in zip(self.windows, self._places(children, parents), strict=True)]
        return (*maps, *offsets)

    def _places(self, children: Axes, parents: Axes) -> list[tuple[Expression, Expression]]:
        """The indices along each window; a child with a single place may have no index for it."""
        count = len(self.windows)
        single = len(self._maps(children, parents)[0]) == len(children)
        own: list[Expression] = [Constant(0)] * count if single else [Index(name) for name, _ in _last(children, count)]
        return list(zip(own, (Index(name) for name, _ in _last(parents, count)), strict=True))

    def _same_group(self, children: Axes, parents: Axes) -> Predicate:
        maps = self._maps(children, parents)
        if self.groups == 1 or not (maps[0] and maps[1]):
            return _ALWAYS
        sizes = self.child_maps // self.groups, self.parent_maps // self.groups
        (child, _), (parent, _) = maps[0][0], maps[1][0]
        return compare("==", *(_over(Index(name), size) for name, size in zip((child, parent), sizes, strict=True)))


def _last(axes: Axes, count: int) -> Axes:
    return axes[len(axes) - count :]


def _over(index: Expression, size: int) -> Expression:
    return index if size == 1 else predicate.arithmetic("//", index, Constant(size))


def _times(factor: int, index: Expression) -> Expression:
    return index if factor == 1 else predicate.arithmetic("*", Constant(factor), index)


def _plus(expression: Expression, number: int) -> Expression:
    if number == 0:
        return expression
    return predicate.arithmetic("+" if number > 0 else "-", expression, Constant(abs(number)))
