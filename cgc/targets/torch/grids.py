"""Products between nodes on grids: torch's convolutions and poolings, and modules for groups and for windows without shared weights."""

from __future__ import annotations

import math

from cgc.graph.geometry import Geometry
from cgc.program.ir import Product
from cgc.targets.torch.scalar import number_text
from cgc.targets.torch.told import told


def made_on_grid(p: Product, inputs: str, edge: str) -> tuple[str, tuple[str, ...]]:
    """The expression that makes the module of a product, and the passages that it needs.

    ``inputs`` is the number of the parent's maps as an expression, ``edge`` the name of the edge.
    """
    g = p.geometry
    assert g is not None
    if p.kind == "grouped":
        made, parts = f"Grouped({g.groups}, {p.inputs}, {p.outputs})", ["grouped"]
    elif p.kind == "local":
        sizes = ", ".join(str(tuple(getattr(w, name) for w in g.windows)) for name in ("kernel", "stride", "dilation"))
        groups = f", groups={g.groups}" if g.groups > 1 else ""
        made, parts = f"Local({_extents(p)}, {inputs}, {g.child_maps}, {sizes}{groups})", ["local"]
    else:
        extents, maps = told(f"extents|{edge}_extents", _extents(p)), told("maps", g.child_maps)
        sizes = ", ".join([extents, inputs, maps, _each([w.kernel for w in g.windows]), *_settings(g)])
        made, parts = f"Conv{len(g.windows)}d({sizes})", [f"conv{len(g.windows)}d"]
    if around(p) is not None:
        parts.append("padded")
    if p.fixed is not None:
        return f"fixed({made}, {number_text(p.fixed)})", (*parts, "fixed")
    return made, tuple(parts)


def averaged(p: Product, value: str, maps: bool = False) -> tuple[str, str | None]:
    """The means over the windows of a pooling as an expression, and the passage that it needs. ``maps``: of (rows, maps, ...)."""
    g, places = p.geometry, averages_whole(p)
    assert g is not None
    if places is not None and maps:
        value = f"({value})" if " " in value else value
        return f"{value}.mean({tuple(range(2, 2 + len(g.windows)))})".replace(",)", ")"), None
    if places is not None:
        return f"mean_over({value}, {places})", "mean_over"
    kernel, stride, padding = (_each(n) for n in ([w.kernel for w in g.windows], [w.stride for w in g.windows], _paddings(g) or []))
    name = f"avg_pool{len(g.windows)}d"
    return f"{name}({value}, {_extents(p)}, {kernel}, {stride}{'' if padding == '0' else f', {padding}'})", name


def around(p: Product) -> str | None:
    """The arguments of ``padded`` for what is read, where the module itself does not pad."""
    g = p.geometry
    if g is None or not _needs_margins(p):
        return None
    margins = [n for w in reversed(g.windows) for n in (w.before, w.after)]
    return f"{tuple(w.parent for w in g.windows)}, {tuple(margins)}" if any(margins) else None


def averages_whole(p: Product) -> int | None:
    """How many places every map has, where the mean is over all of them."""
    g = p.geometry
    whole = g is not None and all(w.kernel == w.parent and w.child == 1 and not w.before for w in g.windows)
    return math.prod(g.kernel) if g is not None and p.kind == "average" and whole else None


def places(p: Product) -> int:
    """How many places every map of the child has."""
    return p.outputs // p.geometry.child_maps if p.geometry is not None else p.outputs


def _needs_margins(p: Product) -> bool:
    return p.kind == "local" or (p.kind == "convolution" and p.geometry is not None and _paddings(p.geometry) is None)


def _paddings(g: Geometry) -> list[int] | None:
    """The padding of every axis, if it is the same on both sides of each."""
    found = [w.padding for w in g.windows]
    return None if None in found else [n for n in found if n is not None]


def _settings(g: Geometry) -> list[str]:
    """The arguments of a convolution that are not torch's defaults."""
    every = (
        ("stride", _each([w.stride for w in g.windows]), "1"),
        ("padding", _each(_paddings(g) or [0]), "0"),
        ("dilation", _each([w.dilation for w in g.windows]), "1"),
        ("groups", str(g.groups), "1"),
    )
    return [f"{name}={value}" for name, value, usual in every if value != usual]


def _extents(p: Product) -> str:
    """The extents that a module sees: with the margins where it does not pad by itself."""
    assert p.geometry is not None
    margins = _needs_margins(p)
    return str(tuple(w.parent + (w.before + w.after) * margins for w in p.geometry.windows))


def _each(numbers: list[int]) -> str:
    """One number where all axes have the same."""
    return str(numbers[0]) if len(set(numbers)) == 1 else str(tuple(numbers))
