"""Short forms of edges between grids, ``conv1d``, ``conv2d`` and ``avg_pool``: the geometry they stand for, or why they do not fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cgc.graph.geometry import Geometry, Window
from cgc.graph.parts import Structure, child_axes, parent_axes
from cgc.spec.model import Edge, Filter

KINDS = ("conv1d", "conv2d", "avg_pool")


@dataclass(frozen=True)
class Misfit:
    """Why nodes of these shapes cannot be joined so, and what would fit."""

    reason: str
    help: str


def filtered(edge: Edge, child: tuple[int, ...], parent: tuple[int, ...]) -> Structure | Misfit:
    """The structure of an edge of one of these kinds between nodes of these shapes."""
    assert edge.filter is not None
    geometry = _pool(edge, edge.filter, child, parent) if edge.kind == "avg_pool" else _convolution(edge, edge.filter, child, parent)
    if isinstance(geometry, Misfit):
        return geometry
    children, parents = child_axes(child), parent_axes(parent)
    pooled = edge.kind == "avg_pool"
    # the fixed weight of a pooling is the same everywhere: there is nothing to share
    keys = None if pooled else geometry.keys(children, parents)
    return Structure(
        "average" if pooled else "convolution", geometry.pairs, children, parents, geometry.joined(children, parents), geometry, keys
    )


def _axes_of_places(edge: Edge, parent: tuple[int, ...]) -> int:
    """Along how many of a parent's axes there are windows."""
    match edge.kind:
        case "conv1d":
            return 1
        case "conv2d":
            return 2
        case _:
            kernel = edge.filter.kernel if edge.filter else None
            return len(kernel) if kernel is not None and len(kernel) > 1 else max(1, len(parent) - 1)


def _convolution(edge: Edge, filter: Filter, child: tuple[int, ...], parent: tuple[int, ...]) -> Geometry | Misfit:
    axes = _axes_of_places(edge, parent)
    for whose, shape in (("the parent", parent), ("the child", child)):
        if len(shape) not in (axes, axes + 1):
            places = "[maps, places]" if axes == 1 else "[maps, rows, columns]"
            return Misfit(f"{whose} has {_shape(shape)} nodes", f"give it {places} as `nodes`, or leave out the maps")
    maps = math.prod(child[:-axes]), math.prod(parent[:-axes])
    if maps[0] % filter.groups or maps[1] % filter.groups:
        return Misfit(f"{maps[1]} and {maps[0]} maps cannot be divided into {filter.groups} groups", "choose a divisor of both")
    windows = _placed(filter, child[-axes:], parent[-axes:])
    return windows if isinstance(windows, Misfit) else Geometry(*maps, filter.groups, windows)


def _pool(edge: Edge, filter: Filter, child: tuple[int, ...], parent: tuple[int, ...]) -> Geometry | Misfit:
    axes = _axes_of_places(edge, parent)
    if len(parent) not in (axes, axes + 1):
        return Misfit(f"the parent has {_shape(parent)} nodes", f"windows along {axes} axes need [maps, places] as `nodes`")
    maps, places = parent[:-axes], parent[-axes:]
    if filter.kernel is None:
        filter = Filter(places, (1,) * axes, (0,) * axes, (1,) * axes)
    filter = Filter(_each(filter.kernel or (), axes), _each(filter.stride, axes), _each(filter.padding, axes), (1,) * axes)
    if child == (maps or (1,)):
        child = (*maps, *(1,) * axes)
    if child[: len(maps)] != maps or len(child) != len(parent):
        wanted = _expected(filter, places)
        fits = maps if maps and wanted == (1,) * axes else (*maps, *wanted)
        return Misfit("pooling keeps the maps", f"the child would have {_shape(fits)} nodes")
    windows = _placed(filter, child[-axes:], places)
    return windows if isinstance(windows, Misfit) else Geometry(math.prod(maps), math.prod(maps), math.prod(maps), windows)


def _placed(filter: Filter, child: tuple[int, ...], parent: tuple[int, ...]) -> tuple[Window, ...] | Misfit:
    assert filter.kernel is not None
    expected = _expected(filter, parent)
    if min(expected) < 1:
        return Misfit("a window is larger than the parent with its padding", "choose a smaller kernel_size, or more padding")
    if expected != child:
        return Misfit(f"there are {_shape(expected)} places for a window", f"the child must have {_shape(expected)} nodes on these axes")
    each = zip(child, parent, filter.kernel, filter.stride, filter.dilation, filter.padding, strict=True)
    # the steps of a window of one are nothing
    return tuple(Window(n, m, k, s, d if k > 1 else 1, p) for n, m, k, s, d, p in each)


def _expected(filter: Filter, parent: tuple[int, ...]) -> tuple[int, ...]:
    assert filter.kernel is not None
    each = zip(parent, filter.kernel, filter.stride, filter.padding, filter.dilation, strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in each)


def _each(numbers: tuple[int, ...], axes: int) -> tuple[int, ...]:
    return numbers * (axes if len(numbers) == 1 else 1)


def _shape(extents: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in extents)
