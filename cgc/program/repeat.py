"""Pass: the layers of a stack, or the copies of a module, become one ``Repeat`` if all follow each other. A stack of any depth is one loop.

Holds afterwards: within a ``Repeat`` only the chained edge differs in its source, and no other stage reads an inner layer or module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cgc.graph.geometry import Geometry
from cgc.program.ir import Layer, Map, Module, Opening, Product, Program, Refine, Repeat, Scan, Stage, layers_of
from cgc.program.loops import reads_itself_alone

_One = Map | Scan | Module


def repeat_stacks(program: Program) -> Program:
    """The same program with stacks rolled up where that is possible; equal in value and in parameters."""
    return replace(program, stages=_rolled(program.stages, program))


def _rolled(given: tuple[Stage, ...], program: Program) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    waiting = [_inside(stage, program) for stage in given]
    start = 0
    while start < len(waiting):
        run = [waiting[start]]
        while start + len(run) < len(waiting) and _continues(run[-1], waiting[start + len(run)]):
            run.append(waiting[start + len(run)])
        ones = tuple(stage for stage in run if isinstance(stage, (Map, Scan, Module)))
        chained = _chain(ones) if len(run) > 1 and len(ones) == len(run) else None
        if chained is not None and _whole(ones, program) and _closed(ones, program):
            stages.append(Repeat(_component(ones[0]), chained, ones))
        else:
            stages += run
        start += len(run)
    return tuple(stages)


def _inside(stage: Stage, program: Program) -> Stage:
    match stage:
        case Module():
            return replace(stage, stages=_rolled(stage.stages, program))
        case Refine():
            levels = (replace(level, module=replace(level.module, stages=_rolled(level.module.stages, program))) for level in stage.levels)
            return replace(stage, levels=tuple(levels))
        case _:
            return stage


def _component(stage: _One) -> str:
    return stage.component if isinstance(stage, Module) else layers_of(stage)[0].component


def _number(stage: Stage) -> tuple[str, int] | None:
    """The stack that the stage is a copy in, and its number, if it needs nothing but a call: it runs a loop over time on its own."""
    if isinstance(stage, Module):
        return None if stage.index is None else (stage.name.rpartition(".")[0], stage.index)
    layers = layers_of(stage)
    if isinstance(stage, (Refine, Repeat)) or len(layers) != 1 or layers[0].index is None:
        return None
    if isinstance(stage, Scan) and not reads_itself_alone(layers[0], (layers[0].name,)):
        return None
    return layers[0].name.rpartition(".")[0], layers[0].index


def _continues(stage: Stage, after: Stage) -> bool:
    last, following = _number(stage), _number(after)
    return last is not None and following is not None and following == (last[0], last[1] + 1)


def _reads(stage: _One) -> dict[str, tuple[str, int]]:
    """What a stage reads from outside, by the name of the edge or argument, each with its lag."""
    if isinstance(stage, Module):
        return {argument.name: (argument.source, argument.lag) for argument in stage.arguments}
    (layer,) = layers_of(stage)
    found = {}
    for c in layer.contributions:
        if c.source != layer.name:
            found[c.name] = (c.source, c.lag)
        if isinstance(c.gate, Opening):
            found[f"{c.name} gate"] = (c.gate.source, 0)
    return found


def _outputs(stage: _One) -> tuple[str, ...]:
    return stage.outputs if isinstance(stage, Module) else (layers_of(stage)[0].name,)


def _chain(stages: tuple[_One, ...]) -> str | None:
    """The name by which each stage reads the one before, if all else is alike."""
    if len({_shape(stage) for stage in stages}) > 1 or len({type(stage) for stage in stages}) > 1:
        return None
    reads = [_reads(stage) for stage in stages]
    names = [name for name, (source, _) in reads[-1].items() if source in _outputs(stages[-2])]
    if len(names) != 1 or reads[-1][names[0]][1] > 0 or names[0].endswith(" gate"):
        return None
    others = [{name: read for name, read in found.items() if name != names[0]} for found in reads]
    if any(found != others[0] for found in others):
        return None
    for below, found in zip(stages, reads[1:], strict=False):
        if found[names[0]][0] != _outputs(below)[0] or any(source in _outputs(below) for n, (source, _) in found.items() if n != names[0]):
            return None
    return names[0]


def _shape(stage: Stage) -> object:
    """What must agree: everything but the names of copies and the size of what is read."""
    own = {layer.name: f"{k}" for k, layer in enumerate(layers_of(stage))}
    if isinstance(stage, Module):
        own |= {argument.source: argument.name for argument in stage.arguments}
    return _shape_in(stage, own)


def _shape_in(stage: Stage, names: Mapping[str, str]) -> object:
    match stage:
        case Map() | Scan():
            return (type(stage), *(_layer_shape(layer, names) for layer in layers_of(stage)))
        case Module():
            arguments = tuple((a.name, a.lag) for a in stage.arguments)
            return (arguments, tuple(names.get(o, o) for o in stage.outputs), *(_shape_in(inner, names) for inner in stage.stages))
        case Refine():
            levels = tuple((_layer_shape(level.copy, names), _shape_in(level.module, names)) for level in stage.levels)
            return (_layer_shape(stage.layer, names), levels)
        case Repeat():
            return (stage.chained, *(_shape_in(inner, names) for inner in stage.stages))


def _layer_shape(layer: Layer, names: Mapping[str, str]) -> tuple[object, ...]:
    edges = tuple(
        (
            c.name,
            c.lag,
            replace(c.gate, source=names.get(c.gate.source, "")) if isinstance(c.gate, Opening) else c.gate,
            replace(c.product, inputs=0, index=None, geometry=_windows(c.product)),
            names.get(c.source, ""),
            c.block,
            None if c.own else c.weight,
        )
        for c in layer.contributions
    )
    # what is read twice is one argument
    order = list(dict.fromkeys(layer.sources))
    same = tuple(order.index(source) for source in layer.sources)
    return (edges, same, layer.nodes, layer.law, layer.bias, layer.shared, layer.normalised, layer.groups, layer.last)


def _windows(product: Product) -> Geometry | None:
    """The geometry but for the parent's maps, whose number may differ from layer to layer."""
    return product.geometry and replace(product.geometry, parent_maps=0)


def _whole(run: tuple[_One, ...], program: Program) -> bool:
    """Whether the run has all copies of its stack: what is emitted is a loop over these."""
    first = _number(run[0])
    if first is None or first[1] > 0:
        return False
    stack = f"{first[0]}."
    return len(run) == len({layer.name.removeprefix(stack).split(".")[0] for layer in program.layers() if layer.name.startswith(stack)})


def _closed(run: tuple[_One, ...], program: Program) -> bool:
    """Whether nothing outside reads an inner stage."""
    inner = {layer.name for stage in run[:-1] for layer in layers_of(stage)}
    members = inner | {layer.name for layer in layers_of(run[-1])}
    return not any(source in inner for layer in program.layers() if layer.name not in members for source, _ in layer.sources)
