"""Which features keep the shape (rows, maps, *extents) that convolutions give, and who reads them so: nothing is reshaped in between."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from cgc.graph.geometry import Geometry
from cgc.program.ir import Contribution, Layer, Map, Module, Program, Refine, Repeat, Stage
from cgc.targets.torch.grids import around, averages_whole
from cgc.targets.torch.scopes import back_of, base_of

Shape = tuple[int, ...]
"""Maps, and extents."""
Maps = Mapping[str, Shape]
"""By the names of layers, the shape of features that keep it."""
NO_MAPS: Maps = MappingProxyType({})


def kept_as_maps(program: Program) -> Maps:
    """The hidden layers whose features keep that shape, and the shape. There are none where rows have more than one axis."""
    found: dict[str, Shape] = {}
    if program.draws_are_rows:
        for names, layer, contributions in _energies(program.stages):
            shape = _shape(layer, contributions, found)
            found |= dict.fromkeys(names, shape) if shape is not None else {}
    return found


def flattened(maps: Maps, contributions: Sequence[Contribution], mapped: bool, source: str) -> str:
    """What is done to the features of ``source`` before contributions to energies, which are ``mapped`` or not, read them."""
    return "" if source not in maps or all(_takes(c, mapped, source, maps[source]) for c in contributions) else ".flatten(1)"


def _energies(stages: Sequence[Stage]) -> Iterator[tuple[list[str], Layer, tuple[Contribution, ...]]]:
    """Layers with common energies by name, the one that has their bias, and all that adds to them; in the order of computation."""
    for stage in stages:
        match stage:
            case Map(layer):
                yield [layer.name], layer, layer.contributions
            case Module() | Repeat():
                yield from _energies(stage.stages)
            case Refine(layer, levels):
                added = tuple(back_of(stage, level) for level in levels)
                if not layer.output:
                    owner = levels[0].copy if layer.normalised == "no" else layer
                    yield [*(level.copy.name for level in levels), layer.name], owner, (*base_of(stage), *added)
                for level in levels:
                    yield from _energies(level.module.stages)


def _shape(layer: Layer, contributions: Sequence[Contribution], known: Maps) -> Shape | None:
    """The shape of energies, if nothing is added to them that has another."""
    if layer.output or layer.labels is not None or layer.groups is not None:
        return None
    blocks = dict.fromkeys(c.block for c in contributions if c.block is not None)
    if blocks and not follow([(start, stop) for _, start, stop in blocks], layer.energies):
        return None
    shapes = [_given(c, known) for c in contributions]
    extents = shapes[0][1:] if shapes and shapes[0] is not None else ()
    if not extents or any(shape is None or shape[1:] != extents for shape in shapes):
        return None
    # biases and statistics are those of maps; what no convolution adds is flat
    per_map = layer.shared is not None and layer.shared.block == math.prod(extents)
    free = layer.normalised == "no" and layer.bias is not True
    fits = free or (per_map and (layer.normalised != "no" or _adds_bias(contributions[0])))
    return (layer.energies // math.prod(extents), *extents) if fits else None


def _adds_bias(c: Contribution) -> bool:
    """Whether a contribution is a convolution that adds the bias of its maps."""
    return c.product.kind == "convolution" and c.product.fixed is None and c.block is None


def _given(c: Contribution, known: Maps) -> Shape | None:
    """The shape of a contribution, None if it is flat."""
    geometry = c.product.geometry
    if c.lag or (c.opening is not None and c.product.kind != "convolution"):
        return None
    if c.product.kind == "convolution" or (c.product.kind == "average" and averages_whole(c.product) is None):
        return None if geometry is None else (geometry.child_maps, *(window.child for window in geometry.windows))
    return known.get(c.source) if c.product.kind == "identity" else None


def _takes(c: Contribution, mapped: bool, source: str, shape: Shape) -> bool:
    """Whether a contribution can read the features of ``source`` in their shape, if it reads them at all."""
    if c.opening is not None:
        return source not in (c.source, c.opening.source)
    if c.source != source:
        return True
    if c.product.kind == "identity":
        return mapped
    return c.product.kind in ("convolution", "average") and around(c.product) is None and _read(c.product.geometry) == shape


def _read(geometry: Geometry | None) -> Shape:
    return () if geometry is None else (geometry.parent_maps, *(window.parent for window in geometry.windows))


def follow(ranges: Sequence[tuple[int, int]], size: int) -> bool:
    """Whether ranges follow each other from 0 to a size."""
    ends = [0, *(stop for _, stop in ranges)]
    return [start for start, _ in ranges] == ends[:-1] and ends[-1] == size
