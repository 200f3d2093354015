"""The program: what is computed, in which order, with which parameters. Nothing here knows torch, sympy or YAML.

It says: sums of products of parents' features (``Contribution``), normalisation, bias, and a node law (``Layer``); layers that run over
all time steps at once (``Map``), layers that need one loop over time (``Scan``), stages with a name of their own (``Module``), an energy
that levels add to (``Refine``), and chains of stages alike (``Repeat``).
Values are (batch, size), or (batch, time, size) where there is time: node indices are flat inside, shaped only at the model's border.
It cannot say: control flow that depends on values, tensors without a batch, more than one loop over the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from cgc.derive.derivation import Derivation
from cgc.graph.geometry import Geometry
from cgc.graph.predicate import Expression, Predicate
from cgc.graph.recognise import Classes
from cgc.program.lines import LineFactors
from cgc.spec.model import DropoutGate, Inference, Init, Prior


@dataclass(frozen=True)
class Index:
    """The index names of a mask's predicate and the extents they run over: child's first, then parent's."""

    child: tuple[tuple[str, int], ...]
    parent: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Product:
    """How a parent's features enter a child's energies.

    ``dense`` and ``masked``: weight (outputs, inputs); ``embedding``: weight (labels, outputs), of which a row is looked up by the label;
    ``table``: the same weight, and the features are indicators of the label; ``elementwise``: weight (outputs,);
    ``identity``: fixed weight 1; ``convolution``: weight (maps, maps of the parent / groups, *kernel);
    ``local``: weight (maps, *places, maps of the parent / groups, *kernel); ``grouped``: weight (groups, outputs / groups,
    inputs / groups); ``average``: the mean over windows; ``tied``: weight (``classes``,), equal where ``key`` is. ``fixed`` is the weight
    where it is not learned. ``geometry`` tells maps, groups and windows; labels of the parent and energies per node count as maps.
    ``mask`` holds where a coupling survived; over ``repeats`` × (child nodes, parent nodes) for nodes with several features or energies.
    ``weight_norm``: the weight is g v / |v|, node by node or map by map, and g and v are learned.
    ``prior`` is that of this weight alone.
    """

    kind: Literal["dense", "masked", "embedding", "table", "elementwise", "identity", "convolution", "local", "grouped", "average", "tied"]
    inputs: int
    outputs: int
    fixed: float | None = None
    init: Init | None = None
    mask: Predicate | None = None
    index: Index | None = None
    geometry: Geometry | None = None
    key: Expression | None = None
    classes: int = 0
    weight_norm: bool = False
    prior: Prior | None = None

    @property
    def fan_in(self) -> int:
        """How many features one energy reads."""
        if self.geometry is None:
            return self.inputs
        return self.geometry.fan_in if self.geometry.windows else self.inputs // self.geometry.groups

    @property
    def weight_shape(self) -> tuple[int, ...] | None:
        """Shape of the learned weight, None if there is none."""
        if self.fixed is not None or self.kind in ("identity", "average"):
            return None
        g = self.geometry
        match self.kind:
            case "elementwise":
                return (self.outputs,)
            case "embedding" | "table":
                return (self.inputs, self.outputs)
            case "tied":
                return (self.classes,)
            case "grouped" if g is not None:
                return (g.groups, self.outputs // g.groups, self.inputs // g.groups)
            case "convolution" if g is not None:
                return (g.child_maps, g.parent_maps // g.groups, *g.kernel)
            case "local" if g is not None:
                return (g.child_maps, *(window.child for window in g.windows), g.parent_maps // g.groups, *g.kernel)
            case _:
                return (self.outputs, self.inputs)


@dataclass(frozen=True)
class Opening:
    """A hidden gate: how probable it is that a node of ``source`` has the state that opens an edge, node by node.

    It is ``scale`` times the node's feature, plus ``shift``; of nodes with labels, the feature of one ``label``. ``nodes`` is the shape of
    the gate, ``opened`` that of what it opens: extents of 1 serve all.
    """

    source: str
    nodes: tuple[int, ...]
    opened: tuple[int, ...]
    scale: float = 1.0
    shift: float = 0.0
    label: int | None = None


@dataclass(frozen=True)
class Contribution:
    """One term of an energy: ``product`` of the features of ``source``, ``lag`` steps before, behind ``gate``.

    ``weight`` is the name of its weight in the state dict, ``<weight>.weight``; ``own`` tells whether that is this edge's (or another's).
    ``block``: it adds to the energies from ``block[0]`` up to ``block[1]`` only, those of the nodes that are called so.
    """

    name: str
    source: str
    lag: int
    product: Product
    gate: DropoutGate | Opening | None = None
    weight: str = ""
    own: bool = True
    block: tuple[str, int, int] | None = None

    @property
    def dropout(self) -> DropoutGate | None:
        """The dropout node before it, if there is one."""
        return self.gate if isinstance(self.gate, DropoutGate) else None

    @property
    def opening(self) -> Opening | None:
        """The hidden gate before it, if there is one."""
        return self.gate if isinstance(self.gate, Opening) else None

    @property
    def sources(self) -> tuple[tuple[str, int], ...]:
        """What it reads, each with its lag: the source, and the gate at the time of the child."""
        return ((self.source, self.lag), *([(self.gate.source, 0)] if isinstance(self.gate, Opening) else []))


@dataclass(frozen=True)
class Layer:
    """One chain component: energies from contributions, then its node law.

    ``normalised`` tells what normalisation covers: nothing, the contributions without lag, or the whole energy. ``groups``: each of so
    many groups of nodes that follow each other is normalised by itself (1: layer normalisation; None: each bias's nodes over the batch).
    ``last``: the component exists at the last valid step only. ``target``: the input against which an output is scored.
    ``free_energies`` per node are computed, ``labels`` of them are shown where a reference label is added. ``shared``: which nodes have
    one bias, one scale, and batch statistics in common (None: each its own). ``onto`` names the layer whose energy, before normalisation,
    this one adds to: copies of a refined component follow each other in this way, and its own name is that of the last; ``biased`` is the
    layer that the bias is called after. ``lines`` join nodes of an output, which then are not independent
    given their energies.
    """

    name: str
    component: str
    copies: tuple[tuple[str, int], ...]
    nodes: tuple[int, ...]
    law: str
    contributions: tuple[Contribution, ...]
    bias: bool | float
    normalised: Literal["no", "inputs", "energy"]
    last: bool
    output: bool
    target: str | None = None
    free_energies: int = 1
    labels: int | None = None
    reference_label: int | None = None
    shared: Classes | None = None
    lines: LineFactors | None = None
    groups: int | None = None
    onto: str | None = None
    biased: str = ""

    @property
    def index(self) -> int | None:
        """Its number in the stack that its component is, if it is one."""
        return self.copies[-1][1] if self.copies and self.copies[-1][0] == self.component else None

    @property
    def sources(self) -> tuple[tuple[str, int], ...]:
        """All that it reads, each with its lag."""
        return tuple(source for c in self.contributions for source in c.sources)

    @property
    def size(self) -> int:
        """Number of nodes."""
        count = 1
        for extent in self.nodes:
            count *= extent
        return count

    @property
    def over_batch(self) -> bool:
        """Whether it is normalised over a batch, whose statistics count valid steps only."""
        return self.normalised != "no" and self.groups is None

    @property
    def energies(self) -> int:
        """Number of energies that contributions add up to: one weight row each."""
        return self.size * self.free_energies

    @property
    def biases(self) -> int:
        """Number of biases, and of scales of a normalisation."""
        return self.energies if self.shared is None else self.shared.count * self.free_energies

    @property
    def features(self) -> int:
        """Number of features that children see."""
        return self.size * (self.labels or 1)


@dataclass(frozen=True)
class Input:
    """A given component. ``law`` tells which values are valid; ``soft``: they are expectations (paper, section 2.3)."""

    name: str
    nodes: tuple[int, ...]
    law: str
    soft: bool
    labels: int | None = None

    @property
    def size(self) -> int:
        """Number of nodes."""
        count = 1
        for extent in self.nodes:
            count *= extent
        return count

    @property
    def features(self) -> int:
        """Number of features that children see."""
        return self.size * (self.labels or 1)


@dataclass(frozen=True)
class Map:
    """One layer, computed for all time steps at once."""

    layer: Layer


@dataclass(frozen=True)
class Scan:
    """Layers that depend on each other's (or their own) past: one loop over time, layers in this order within a step."""

    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Argument:
    """What a module is given: the features of ``source``, ``lag`` steps before, under ``name``."""

    name: str
    source: str
    lag: int


@dataclass(frozen=True)
class Module:
    """Stages that nothing else comes between, under a name: a module of the spec, or one of its copies (``index``).

    ``outputs`` are the layers that are read outside; the first is the one that the module's name stands for.
    """

    name: str
    component: str
    index: int | None
    arguments: tuple[Argument, ...]
    stages: tuple[Stage, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Level:
    """One refinement: a copy of the refined layer, and the path that leads from it to what is added to the energy."""

    copy: Layer
    module: Module


@dataclass(frozen=True)
class Refine:
    """A layer whose energy every one of ``levels`` adds to, before its own law applies (paper, section 4.1).

    ``independent``: where nodes are drawn, a copy and what its level adds to have energies that were drawn on their own.
    """

    layer: Layer
    levels: tuple[Level, ...]
    independent: bool = False


@dataclass(frozen=True)
class Repeat:
    """Stages alike, each fed by the one before: a stack. Each is a layer or a module that reads the one before as ``chained``."""

    component: str
    chained: str
    stages: tuple[Map | Scan | Module, ...]


Stage = Map | Scan | Module | Refine | Repeat


@dataclass(frozen=True)
class Program:
    """A network. ``laws`` are the derivations by family name; ``steps`` the usual number of time steps, None without time."""

    name: str
    doc: str
    steps: int | None
    inputs: tuple[Input, ...]
    stages: tuple[Stage, ...]
    outputs: tuple[str, ...]
    laws: tuple[tuple[str, Derivation], ...]
    train: Inference
    eval: Inference

    @cached_property
    def _laws(self) -> dict[str, Derivation]:
        return dict(self.laws)

    @cached_property
    def _layers(self) -> dict[str, Layer]:
        return {layer.name: layer for stage in self.stages for layer in layers_of(stage)}

    @property
    def draws_are_rows(self) -> bool:
        """Whether draws go through the network as rows of the batch: most of torch has one axis of rows; time and moments have another."""
        return self.steps is None and self.eval.method != "moments"

    def law(self, name: str) -> Derivation:
        """The derivation of family ``name``."""
        return self._laws[name]

    def layers(self) -> tuple[Layer, ...]:
        """All layers in the order of computation."""
        return tuple(self._layers.values())

    def layer(self, name: str) -> Layer:
        """The layer called ``name``. Raises KeyError."""
        return self._layers[name]


def layers_of(stage: Stage) -> tuple[Layer, ...]:
    """The layers of one stage, in order."""
    match stage:
        case Map():
            return (stage.layer,)
        case Scan():
            return stage.layers
        case Refine():
            paths = (layer for level in stage.levels for layer in (level.copy, *layers_of(level.module)))
            return (*paths, stage.layer)
        case Module() | Repeat():
            return tuple(layer for inner in stage.stages for layer in layers_of(inner))
