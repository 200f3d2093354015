"""Pass: neighbouring layers of a stack become one ``Repeat``. Afterwards a stack of any depth is one loop in the program.

Holds afterwards: within a ``Repeat`` only the chained edge differs in its source, and no other stage reads an inner layer.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from cgc.graph.geometry import Geometry
from cgc.program.ir import Layer, Map, Product, Program, Repeat, Scan, Stage, layers_of
from cgc.program.loops import reads_itself_alone


def repeat_stacks(program: Program) -> Program:
    """The same program with stacks rolled up where that is possible; equal in value and in parameters."""
    stages: list[Stage] = []
    waiting = list(program.stages)
    while waiting:
        stage = waiting.pop(0)
        run = [stage]
        while waiting and _continues(run, waiting[0]):
            run.append(waiting.pop(0))
        chained = _chain(run)
        if len(run) > 1 and chained is not None and _closed(run, program):
            component = layers_of(stage)[0].component
            stages.append(Repeat(component, chained, tuple(s for s in run if isinstance(s, (Map, Scan)))))
        else:
            stages += run
    return replace(program, stages=tuple(stages))


def _single(stage: Stage) -> Layer | None:
    """The layer of a stack that makes up the stage, if it needs nothing but a call: it runs a loop over time on its own."""
    layers = layers_of(stage)
    if len(layers) != 1 or layers[0].index is None:
        return None
    return layers[0] if isinstance(stage, Map) or reads_itself_alone(layers[0], (layers[0].name,)) else None


def _continues(run: list[Stage], after: Stage) -> bool:
    last, following = _single(run[-1]), _single(after)
    return last is not None and following is not None and last.component == following.component and following.index == (last.index or 0) + 1


def _chain(run: list[Stage]) -> str | None:
    """The name of the edge by which each layer reads the one before, if all else is alike."""
    layers = [layer for stage in run for layer in layers_of(stage)]
    shapes = {_shape(layer) for layer in layers}
    if len(shapes) > 1 or len({type(stage) for stage in run}) > 1:
        return None
    names = [c.name for c in layers[-1].contributions if len(layers) > 1 and c.source == layers[-2].name]
    if len(names) != 1:
        return None
    if len({tuple(c.source for c in layer.contributions if c.name != names[0] and c.source != layer.name) for layer in layers}) > 1:
        return None
    for below, layer in itertools.pairwise(layers):
        if any((c.source == below.name) != (c.name == names[0]) for c in layer.contributions):
            return None
    return names[0]


def _shape(layer: Layer) -> tuple[object, ...]:
    """What must agree: everything but names and the size of what is read."""
    edges = tuple(
        (c.name, c.lag, c.gate, replace(c.product, inputs=0, index=None, geometry=_windows(c.product)), c.source == layer.name)
        for c in layer.contributions
    )
    return (edges, layer.nodes, layer.law, layer.bias, layer.shared, layer.normalised, layer.groups, layer.last)


def _windows(product: Product) -> Geometry | None:
    """The geometry but for the parent's maps, whose number may differ from layer to layer."""
    return product.geometry and replace(product.geometry, parent_maps=0)


def _closed(run: list[Stage], program: Program) -> bool:
    """Whether nothing outside reads an inner layer, and all layers share what else they read."""
    layers = [layer for stage in run for layer in layers_of(stage)]
    inner = {layer.name for layer in layers[:-1]}
    members = {layer.name for layer in layers}
    outside = [c for layer in program.layers() if layer.name not in members for c in layer.contributions]
    return not any(c.source in inner for c in outside)
