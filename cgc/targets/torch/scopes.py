"""Scopes of the emitted code: the model, its modules and refined layers. What of the past each keeps, and which arguments it needs.

The state of a scope is a dict: the last steps of what is read with a lag there, and the states of the scopes inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cgc.program.ir import Contribution, Layer, Level, Map, Module, Program, Refine, Repeat, Scan, Stage
from cgc.program.loops import reads_itself_alone


@dataclass(frozen=True)
class Scope:
    """``name`` is that of the module or refined layer ("" for the model); ``state`` maps what is kept to (steps, features).

    ``inner`` are the scopes inside that have a state of their own; names are relative to the scope.
    """

    name: str
    stages: tuple[Stage, ...] = ()
    state: dict[str, tuple[int, int]] = field(default_factory=dict)
    inner: dict[str, Scope] = field(default_factory=dict)
    how: bool = False
    valid: bool = False

    def relative(self, name: str) -> str:
        """A name as it is inside."""
        return name.removeprefix(f"{self.name}.") if self.name else name

    @property
    def stateful(self) -> bool:
        """Whether anything of the past is kept."""
        return bool(self.state or self.inner)


class Scopes:
    """All scopes of a program by name. ``drawn`` and ``moments`` tell what needs to know how values are inferred."""

    def __init__(self, program: Program, needs_inference: Sequence[str]) -> None:
        self.program = program
        self.needs_inference = set(needs_inference)
        self.features = {item.name: item.features for item in program.inputs} | {la.name: la.features for la in program.layers()}
        self.timed = program.steps is not None
        self.found: dict[str, Scope] = {}
        self._scope("", program.stages)

    def _scope(self, name: str, stages: tuple[Stage, ...], also: Sequence[Layer] = (), more: Sequence[tuple[str, int]] = ()) -> Scope:
        """``also`` are layers that the scope computes besides its stages, ``more`` what else is read there."""
        scope = Scope(name, stages)
        read = list(more)
        needs, masked = False, False
        for layer in also:
            needs, masked = needs or layer.name in self.needs_inference, masked or self.masks(layer)
        for stage in one_by_one(stages):
            match stage:
                case Map() | Scan():
                    layers = (stage.layer,) if isinstance(stage, Map) else stage.layers
                    for layer in layers:
                        read += layer.sources
                        needs, masked = needs or layer.name in self.needs_inference, masked or self.masks(layer)
                case Module():
                    read += [(argument.source, argument.lag) for argument in stage.arguments]
                    child = self._scope(stage.name, stage.stages)
                    needs, masked = needs or child.how, masked or child.valid
                    if child.stateful:
                        scope.inner[scope.relative(stage.name)] = child
                case Refine():
                    read += [(source, lag) for source, lag in refine_reads(stage)]
                    child = self._refine(stage)
                    needs, masked = needs or child.how, masked or child.valid
                    if child.stateful:
                        scope.inner[scope.relative(inner_key(stage))] = child
        for source, lag in read:
            if lag:
                key = scope.relative(source)
                scope.state[key] = max(scope.state.get(key, (0, 0)), (lag, self.features[source]))
        self.found[name] = found = Scope(name, stages, scope.state, scope.inner, needs, masked)
        return found

    def _refine(self, stage: Refine) -> Scope:
        inner: dict[str, Scope] = {}
        own = Scope(stage.layer.name)
        needs, masked = stage.layer.name in self.needs_inference, self.masks(stage.layer)
        for level in stage.levels:
            # the way back, with its dropout nodes, is one of the next copy's contributions
            child = self._scope(level.module.name, level.module.stages, (level.copy, _following(stage, level)))
            needs, masked = needs or child.how, masked or child.valid
            if child.stateful:
                inner[own.relative(level.module.name)] = child
        self.found[stage.layer.name] = found = Scope(stage.layer.name, (), {}, inner, needs, masked)
        return found

    def masks(self, layer: Layer) -> bool:
        """Whether statistics of the layer leave out what lies behind the last valid step."""
        return self.timed and layer.over_batch and not layer.last


def inner_key(stage: Module | Refine) -> str:
    """What the state inside a module or a refined layer is kept as; a refined layer's own last steps have its name."""
    return stage.name if isinstance(stage, Module) else f"{stage.layer.name}.refine"


def refine_reads(stage: Refine) -> tuple[tuple[str, int], ...]:
    """What a refined layer reads from outside: what its first copy does, and what paths read besides."""
    found = dict.fromkeys(source for c in base_of(stage) for source in c.sources)
    for level in stage.levels:
        found |= dict.fromkeys((a.source, a.lag) for a in level.module.arguments if a.source != level.copy.name)
    return tuple(found)


def base_of(stage: Refine) -> tuple[Contribution, ...]:
    """The contributions that all copies of a refined layer share."""
    return stage.levels[0].copy.contributions


def back_of(stage: Refine, level: Level) -> Contribution:
    """What a level adds to the energy: a contribution of the copy after it."""
    return next(c for c in _following(stage, level).contributions if c.weight == f"{level.module.name}.back")


def _following(stage: Refine, level: Level) -> Layer:
    return [*(other.copy for other in stage.levels), stage.layer][stage.levels.index(level) + 1]


def loops_alone(stage: Scan) -> bool:
    """Whether the loop is one layer's own."""
    return reads_itself_alone(stage.layers[0], tuple(layer.name for layer in stage.layers))


def one_by_one(stages: Sequence[Stage]) -> Iterator[Map | Scan | Module | Refine]:
    """The stages, those of stacks on their own."""
    for stage in stages:
        if isinstance(stage, Repeat):
            yield from stage.stages
        else:
            yield stage
