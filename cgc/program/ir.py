"""The program: what is computed, in which order, with which parameters. Nothing here knows torch, sympy or YAML.

It says: sums of products of parents' features (``Contribution``), normalisation, bias, and a node law (``Layer``); layers that run over
all time steps at once (``Map``), layers that need one loop over time (``Scan``), and chains of layers alike (``Repeat``).
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
from cgc.spec.model import DropoutGate, Inference, Init


@dataclass(frozen=True)
class Index:
    """The index names of a mask's predicate and the extents they run over: child's first, then parent's."""

    child: tuple[tuple[str, int], ...]
    parent: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Product:
    """How a parent's features enter a child's energies.

    ``dense`` and ``masked``: weight (outputs, inputs); ``embedding``: weight (labels, outputs), the features are indicators of one label;
    ``elementwise``: weight (outputs,); ``identity``: fixed weight 1; ``convolution``: weight (maps, maps of the parent / groups, *kernel);
    ``local``: weight (maps, *places, maps of the parent / groups, *kernel); ``grouped``: weight (groups, outputs / groups,
    inputs / groups); ``average``: the mean over windows; ``tied``: weight (``classes``,), equal where ``key`` is. ``fixed`` is the weight
    where it is not learned. ``geometry`` tells maps, groups and windows; labels of the parent and energies per node count as maps.
    ``mask`` holds where a coupling survived; over ``repeats`` × (child nodes, parent nodes) for nodes with several features or energies.
    """

    kind: Literal["dense", "masked", "embedding", "elementwise", "identity", "convolution", "local", "grouped", "average", "tied"]
    inputs: int
    outputs: int
    fixed: float | None = None
    init: Init | None = None
    mask: Predicate | None = None
    index: Index | None = None
    geometry: Geometry | None = None
    key: Expression | None = None
    classes: int = 0

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
            case "embedding":
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
class Contribution:
    """One term of an energy: ``product`` of the features of ``source``, ``lag`` steps before, behind ``gate``."""

    name: str
    source: str
    lag: int
    product: Product
    gate: DropoutGate | None = None


@dataclass(frozen=True)
class Layer:
    """One chain component: energies from contributions, then its node law.

    ``normalised`` tells what batch normalisation covers: nothing, the contributions without lag, or the whole energy. ``last``: the
    component exists at the last valid step only. ``free_energies`` per node are computed, ``labels`` of them are shown where a
    reference label is added. ``shared``: which nodes have one bias, and are normalised together (None: each its own).
    ``lines`` join nodes of an output, which then are not independent given their energies.
    """

    name: str
    component: str
    index: int | None
    nodes: tuple[int, ...]
    law: str
    contributions: tuple[Contribution, ...]
    bias: bool | float
    normalised: Literal["no", "inputs", "energy"]
    last: bool
    output: bool
    free_energies: int = 1
    labels: int | None = None
    reference_label: int | None = None
    shared: Classes | None = None
    lines: LineFactors | None = None

    @property
    def size(self) -> int:
        """Number of nodes."""
        count = 1
        for extent in self.nodes:
            count *= extent
        return count

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
class Repeat:
    """Stages alike, each fed by the one before: a stack. Every stage holds one layer, whose ``chained`` edge reads the one before."""

    component: str
    chained: str
    stages: tuple[Map | Scan, ...]


Stage = Map | Scan | Repeat


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
        case Repeat():
            return tuple(layer for inner in stage.stages for layer in layers_of(inner))


def depth(program: Program) -> dict[str, int]:
    """For every component that is read with a lag: how many past steps of it are needed."""
    past: dict[str, int] = {}
    for layer in program.layers():
        for contribution in layer.contributions:
            if contribution.lag:
                past[contribution.source] = max(past.get(contribution.source, 0), contribution.lag)
    return past
