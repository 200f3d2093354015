"""What a spec says once it is resolved: frozen records, numbers instead of expressions, every name bound.

``surface.py`` holds what users may write; ``resolve.py`` leads from there to here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from cgc.families.forms import Law
from cgc.source.text import Span

Number = int | float


@dataclass(frozen=True)
class Init:
    """Start values of a weight: ``uniform`` (low, high), ``normal`` (mean, std) or ``constant`` (value, in ``low``)."""

    kind: Literal["uniform", "normal", "constant"]
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    std: float = 0.0


@dataclass(frozen=True)
class Prior:
    """What is assumed of weights: ``gaussian``, N(0, 1 / precision); ``laplace`` (scale); ``uniform`` (low, high)."""

    kind: Literal["gaussian", "laplace", "uniform"]
    precision: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 0.0

    @property
    def numbers(self) -> tuple[float, ...]:
        """Those of its kind."""
        return {"gaussian": (self.precision,), "laplace": (self.scale,), "uniform": (self.low, self.high)}[self.kind]


Numbers = tuple[tuple[str, int], ...]
"""Copies that are named outright: the owner of the copies, and the number."""


@dataclass(frozen=True)
class DropoutGate:
    """A noise node D between a parent and its child (paper, eq. 12-13): Bernoulli(keep_prob) or Normal(1, std^2).

    ``share`` is ``step`` (one node per source and time step) or ``time`` (one per source).
    """

    kind: Literal["bernoulli", "gaussian"]
    keep_prob: float = 1.0
    std: float = 0.0
    share: Literal["step", "time"] = "step"


@dataclass(frozen=True)
class ComponentGate:
    """The ternary factor with a node of ``component``: the parent counts where that node has the value ``open`` (eq. 12-13, hidden)."""

    component: str
    open: float
    numbers: Numbers = ()


Gate = DropoutGate | ComponentGate


@dataclass(frozen=True)
class SameAs:
    """The weight of another edge: ``edge`` is its component's whole name and its own, ``text`` how that was written."""

    edge: str
    text: str


@dataclass(frozen=True)
class Copies:
    """``times`` copies of whatever has a name that starts with ``owner``: a stack, or the levels of a refinement.

    From the second copy on, the component ``output`` of the one below takes the place of the component ``input`` (in its copies
    ``numbers``).
    """

    owner: str
    times: int
    input: str | None = None
    output: str = ""
    numbers: Numbers = ()


@dataclass(frozen=True)
class Block:
    """Nodes ``start`` to ``stop`` on the first index, which have parents of their own."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Filter:
    """The windows of a convolution or of a pooling, axis by axis; ``kernel`` is None for windows over everything."""

    kernel: tuple[int, ...] | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1


@dataclass(frozen=True)
class Edge:
    """One bundle of pairwise factors from the component ``parent`` (its whole name; in its copies ``numbers``) ``lag`` steps before.

    ``name`` is the edge's part of the state-dict key: the parent's name as written, or the name given. ``block`` names the nodes of the
    child that it leads to (None: all). ``prior`` overrides that of ``train`` for its weights.
    """

    parent: str
    name: str
    kind: Literal["dense", "elementwise", "identity", "conv1d", "conv2d", "avg_pool"]
    span: Span
    lag: int = 0
    weight: float | None = None
    init: Init | None = None
    gate: Gate | None = None
    filter: Filter | None = None
    block: str | None = None
    same_as: SameAs | None = None
    prior: Prior | None = None
    numbers: Numbers = ()


@dataclass(frozen=True)
class Normalisation:
    """A reparametrisation of nodes (paper, section 3).

    ``batch``, ``layer`` and ``group`` act on the sum of the contributions without lag, or on the whole energy (``over = "energy"``);
    ``groups`` are equal parts of the nodes' first axis. ``weight`` acts on the weights of each edge, and ``over`` says nothing.
    """

    kind: Literal["batch", "layer", "group", "weight"]
    over: Literal["inputs", "energy"] = "inputs"
    groups: int = 1

    def joins(self, lag: int) -> bool:
        """Whether it makes a node depend on all that the nodes of its group read at this lag, within a sample."""
        return self.kind in ("layer", "group") and (self.over == "energy" or lag == 0)


@dataclass(frozen=True)
class Lines:
    """Lines between the nodes of a component: where they run, and how its values are to be inferred.

    ``chain`` and ``grid`` join neighbours along each of ``axes``, ``dense`` joins nodes that differ in ``axes`` alone, ``list`` joins
    ``pairs`` (of node indices). With ``time``, a chain joins the copies of every node from each step to the next. ``ends``: a chain
    has potentials at its ends. ``steps`` and ``damping`` are those of ``mean_field``.
    """

    kind: Literal["chain", "grid", "dense", "list"]
    span: Span
    axes: tuple[int, ...] = ()
    time: bool = False
    pairs: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()
    ends: bool = False
    inference: Literal["exact", "mean_field"] = "exact"
    steps: int = 10
    damping: float = 0.5


@dataclass(frozen=True)
class Family:
    """A family as declared: ``name`` is what components say (for an inline family, the component's name).

    ``law`` is the density in one of the general forms; ``emit`` names the approximation asked for; ``doc`` describes the fields in
    one line. ``fields`` are spans of the fields as written, by field name. ``closed`` is false where numerical rules were asked for.
    """

    name: str
    kind: str
    law: Law
    emit: str | None
    span: Span
    fields: tuple[tuple[str, Span], ...] = ()
    closed: bool = True

    def place(self, name: str) -> Span:
        """The span of field ``name``, or of the whole family if it was not written."""
        return dict(self.fields).get(name, self.span)


@dataclass(frozen=True)
class Component:
    """A chain component of ``nodes`` nodes that follow one family, or several alike.

    ``name`` is its whole name, ``cell.i`` inside a module. ``copies`` are the stacks and refinements that it belongs to, outermost first.
    ``independent`` lifts the assumption that an input's nodes are linked. ``bias`` is True (free), False (none) or a fixed number.
    """

    name: str
    role: Literal["input", "hidden", "output"]
    nodes: tuple[int, ...]
    family: str
    span: Span
    parents: tuple[Edge, ...] = ()
    bias: bool | float = True
    clamp: Literal["hard", "soft"] = "hard"
    at: Literal["all", "last"] = "all"
    target: str | None = None
    copies: tuple[Copies, ...] = ()
    normalize: Normalisation | None = None
    independent: bool = False
    lines: Lines | None = None
    nodes_span: Span | None = None
    blocks: tuple[Block, ...] = ()

    @property
    def size(self) -> int:
        """Number of nodes."""
        count = 1
        for extent in self.nodes:
            count *= extent
        return count

    @property
    def normalised(self) -> Literal["no", "inputs", "energy"]:
        """Which part of the energy is normalised: nothing, the contributions without lag, or all of it."""
        return "no" if self.normalize is None or self.normalize.kind == "weight" else self.normalize.over


@dataclass(frozen=True)
class Refinement:
    """``base`` refined ``times`` times (section 4.1): a copy of it, the components ``through`` in order, and the edge ``back``.

    The copies are called ``<base>.refine``, and the components of the path ``<base>.refine.<name>``. ``independent``: where nodes are
    drawn, every copy is drawn anew for whatever reads it.
    """

    base: str
    times: int
    through: tuple[str, ...]
    back: Edge
    span: Span
    independent: bool = False


@dataclass(frozen=True)
class ModuleName:
    """The whole name of a module, and that of the component it stands for outside."""

    name: str
    output: str
    span: Span


@dataclass(frozen=True)
class StatementText:
    """One independence or sharing statement as written, not yet parsed (``cgc.graph`` does that)."""

    text: str
    span: Span


@dataclass(frozen=True)
class Inference:
    """How values are inferred: in training (eq. 14) and in evaluation; ``pcff`` is for training alone, ``moments`` for evaluation.

    ``sample_rates`` overrides ``sample_rate`` per component. ``gradient`` is what passes a sampled discrete node.
    """

    method: Literal["feed_forward", "pcff", "sample", "moments"] = "feed_forward"
    sample_rate: float = 0.0
    sample_rates: tuple[tuple[str, float], ...] = ()
    gradient: Literal["block", "straight_through"] = "block"
    samples: int = 32
    span: Span | None = None


@dataclass(frozen=True)
class Data:
    """Where training data come from. ``layout`` is the spec's ``as``.

    Images: a ``threshold`` makes pixels two-valued, ``flip_prob`` exchanges the two at random, ``standardize`` makes mean 0 and variance 1
    per channel, training images are moved by up to ``shift_pixels`` and, with ``mirror``, half of them mirrored. Label k becomes
    ``relabel[k]``; with ``predict = "image"`` the image before flips is the target in its place. Generated data: ``sequences`` of them,
    the ``tags`` with ``min_steps`` to ``max_steps`` steps. ``seed`` is that of flips and of what is generated.
    """

    name: Literal["digits", "mnist", "cifar10", "npz", "adding", "tags"]
    layout: Literal["vector", "image", "row_sequence", "pixel_sequence"] = "vector"
    validation: float | None = None
    threshold: float | None = None
    permute_seed: int | None = None
    standardize: bool = False
    shift_pixels: int = 0
    mirror: bool = False
    flip_prob: float | None = None
    predict: Literal["label", "image"] = "label"
    relabel: tuple[int, ...] | None = None
    sequences: int = 0
    tokens: int = 0
    tags: int = 0
    min_steps: int = 0
    max_steps: int = 0
    seed: int = 0
    span: Span | None = None


@dataclass(frozen=True)
class Optimizer:
    """``sgd`` (momentum) or ``adam``; weight decay comes from a prior."""

    kind: Literal["sgd", "adam"]
    learning_rate: float
    momentum: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """``plateau``: multiply by ``factor`` after ``patience_epochs`` without a better validation loss; ``steps``: at ``at_epochs``."""

    kind: Literal["plateau", "steps"]
    factor: float
    patience_epochs: int = 0
    at_epochs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reuse:
    """``components`` take their parameters from a checkpoint of ``spec``, which stands in the file ``source``."""

    components: tuple[str, ...]
    source: str
    frozen: bool
    spec: Spec | None = None
    span: Span | None = None


@dataclass(frozen=True)
class Train:
    """The training that ``train.py`` runs when nothing else is said on its command line: for ``epochs``, or for ``updates``."""

    data: Data
    optimizer: Optimizer
    epochs: int | None
    batch_size: int
    updates: int | None = None
    seed: int = 0
    schedule: Schedule | None = None
    early_stop_patience_epochs: int | None = None
    gradient_clip_norm: float | None = None
    prior: Prior | None = None
    reuse: Reuse | None = None
    span: Span | None = None


@dataclass(frozen=True)
class Spec:
    """A resolved spec. Tuples keep the order in which things were written.

    ``steps`` is the number of time steps (None without time). ``files`` are the names of the spec and of what it extends, outermost
    first. ``modules`` are the whole names of modules, each with that of its output. ``resolved`` is the merged YAML text
    with parameters as given, from which the same ``Spec`` results.
    """

    name: str
    doc: str
    params: tuple[tuple[str, Number], ...]
    families: tuple[Family, ...]
    components: tuple[Component, ...]
    steps: int | None
    independence: tuple[StatementText, ...]
    train_inference: Inference
    eval_inference: Inference
    train: Train | None
    files: tuple[str, ...]
    resolved: str
    span: Span
    sharing: tuple[StatementText, ...] = ()
    refinements: tuple[Refinement, ...] = ()
    modules: tuple[ModuleName, ...] = ()

    @cached_property
    def _components(self) -> dict[str, Component]:
        return {component.name: component for component in self.components}

    @cached_property
    def _families(self) -> dict[str, Family]:
        return {family.name: family for family in self.families}

    def component(self, name: str) -> Component:
        """The component called ``name``. Raises KeyError."""
        return self._components[name]

    def family(self, name: str) -> Family:
        """The family called ``name``. Raises KeyError."""
        return self._families[name]
