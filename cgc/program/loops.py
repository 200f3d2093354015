"""What of a layer waits for its loop over time, and what is known before the loop starts.

``group`` are the names of the layers that share the loop: those of a ``Scan``, none where there is no loop.
"""

from __future__ import annotations

from collections.abc import Iterable

from cgc.program.ir import Contribution, Layer, Map, Module, Refine, Repeat, Scan, Stage


def inside(layer: Layer, group: tuple[str, ...]) -> tuple[Contribution, ...]:
    """The contributions that come from the loop."""
    return tuple(c for c in layer.contributions if any(source in group for source, _ in c.sources))


def outside(layer: Layer, group: tuple[str, ...]) -> tuple[Contribution, ...]:
    """The contributions that do not."""
    waits = inside(layer, group)
    return tuple(c for c in layer.contributions if c not in waits)


def normalised_in_steps(layer: Layer, group: tuple[str, ...]) -> bool:
    """Whether normalisation must wait for values of the loop, so that its statistics are those of one step."""
    waits = inside(layer, group)
    return (layer.normalised == "energy" and bool(waits)) or (layer.normalised == "inputs" and any(c.lag == 0 for c in waits))


def loop_around(name: str, stages: Iterable[Stage]) -> tuple[str, ...]:
    """The layers that share a loop with the layer ``name``; none if there is no such loop."""
    for stage in stages:
        match stage:
            case Scan() if name in (group := tuple(layer.name for layer in stage.layers)):
                return group
            case Module() | Repeat():
                found = loop_around(name, stage.stages)
            case Refine():
                found = loop_around(name, (level.module for level in stage.levels))
            case Map() | Scan():
                found = ()
        if found:
            return found
    return ()


def in_steps(layer: Layer, group: tuple[str, ...]) -> tuple[Contribution, ...]:
    """The contributions that are added step by step. Where normalisation waits, what it does not cover waits with it."""
    waits = inside(layer, group)
    if layer.normalised == "inputs" and normalised_in_steps(layer, group):
        return (*waits, *(c for c in outside(layer, group) if c.lag))
    return waits


def before(layer: Layer, group: tuple[str, ...]) -> tuple[Contribution, ...]:
    """The contributions that are summed over all steps before the loop starts."""
    later = in_steps(layer, group)
    return tuple(c for c in layer.contributions if c not in later)


def reads_itself_alone(layer: Layer, group: tuple[str, ...]) -> bool:
    """Whether the loop is nothing but the layer's own past, added after all else: then the layer runs it on its own."""
    return group == (layer.name,) and not normalised_in_steps(layer, group)
