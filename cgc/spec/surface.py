"""What users may write, as pydantic models: the shape of every section, its words and its bounds.

What refers to other parts of a spec is checked in ``components.py`` and ``training.py``. A number may be an expression over params.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.annotated_handlers import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from cgc.formula.fields import Integer, Real, mistake

MAX_NODES = 10**9
_NUMBER = {"type": ["number", "string"], "description": "a number or an expression"}


class Surface(BaseModel):
    """A section with known fields only."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
    )


@dataclass(frozen=True)
class Short:
    """The short form of a mapping: a word or number stands for ``{field: value}``; without ``words`` it is a number."""

    field: str
    words: tuple[str, ...] = ()

    def expand(self, value: Any) -> Any:
        plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        return {self.field: value} if plain else value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(self.words)} if self.words else dict(_NUMBER), handler(core)]}


@dataclass(frozen=True)
class OneOrMore:
    """A list of which the only item may be written without the list."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(lambda value: value if isinstance(value, list) else [value], handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        return {"anyOf": [schema["items"], schema]}


def between(
    low: float | None = None, high: float | None = None, *, above: float | None = None, below: float | None = None
) -> AfterValidator:
    """Bounds on a number: ``low`` and ``high`` belong to the range, ``above`` and ``below`` do not."""

    def check(value: float) -> float:
        outside = (
            (low is not None and value < low)
            or (high is not None and value > high)
            or (above is not None and value <= above)
            or (below is not None and value >= below)
        )
        if outside:
            raise mistake("CG306", f"{value:g} is out of range", help=f"it must be {words}")
        return value

    parts = [
        f"{word} {bound:,}"
        for word, bound in (("above", above), ("at least", low), ("below", below), ("at most", high))
        if bound is not None
    ]
    words = " and ".join(parts)
    return AfterValidator(check)


def _some(most: int) -> AfterValidator:
    """A list with at least one value and at most ``most``. (pydantic's own bounds also count values that are wrong.)"""

    def check(values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not 1 <= len(values) <= most:
            raise mistake("CG305", f"expected 1 to {most} values, found {len(values)}")
        return values

    return AfterValidator(check)


Count = Annotated[Integer, between(1, MAX_NODES)]
Seed = Annotated[Integer, between(0, 2**63 - 1)]
Positive = Annotated[Real, between(above=0)]
NotNegative = Annotated[Real, between(0)]
Probability = Annotated[Real, between(0, 1)]


def _or_bool(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return value if isinstance(value, bool) else float(handler(value))


BoolOrNumber = Annotated[Real, WrapValidator(_or_bool), WithJsonSchema({"type": ["boolean", "number", "string"]})]


class Param(Surface):
    """A number that ``-p name=value`` sets. ``default``, ``min`` and ``max`` may be expressions over the params above."""

    default: Real
    min: Real | None = None
    max: Real | None = None
    doc: StrictStr = ""


class Time(Surface):
    """The number of time steps to train on; a model runs at any length."""

    steps: Annotated[Integer, between(1, 10**6)]


class UniformInit(Surface):
    """Weights drawn from [low, high)."""

    kind: Literal["uniform"]
    low: Real
    high: Real


class NormalInit(Surface):
    """Weights drawn from N(mean, std²)."""

    kind: Literal["normal"]
    mean: Real = 0.0
    std: NotNegative


class ConstantInit(Surface):
    """Weights that start at one value."""

    kind: Literal["constant"]
    value: Real


InitField = Annotated[UniformInit | NormalInit | ConstantInit, Field(discriminator="kind")]


class GaussianPrior(Surface):
    """A normal prior on weights with this precision: weight decay."""

    kind: Literal["gaussian"]
    precision: NotNegative


class LaplacePrior(Surface):
    """A prior on weights proportional to exp(-|w| / scale): an L1 penalty."""

    kind: Literal["laplace"]
    scale: Positive


class UniformPrior(Surface):
    """Weights lie in [low, high], to which they are projected after every update."""

    kind: Literal["uniform"]
    low: Real
    high: Real


PriorField = Annotated[GaussianPrior | LaplacePrior | UniformPrior, Field(discriminator="kind")]


class BernoulliGate(Surface):
    """The dropout node of eq. (12): kept with probability ``keep_prob``; 1 removes it."""

    kind: Literal["bernoulli"]
    keep_prob: Annotated[Real, between(above=0, high=1)]
    share: Literal["step", "time"] = "step"


class GaussianGate(Surface):
    """The dropout node of eq. (13): N(1, std²); 0 removes it."""

    kind: Literal["gaussian"]
    std: NotNegative
    share: Literal["step", "time"] = "step"


class ComponentGate(Surface):
    """The ternary factor with a node of another component: the parent counts where that node has the value ``open``."""

    kind: Literal["component"] = "component"
    component: StrictStr
    open: Real


def _implied(value: Any) -> Any:
    """A gate that names a component needs no ``kind``."""
    return {"kind": "component", **value} if isinstance(value, dict) and "component" in value else value


GateField = Annotated[BernoulliGate | GaussianGate | ComponentGate, Field(discriminator="kind"), BeforeValidator(_implied)]


class Weight(Surface):
    """A fixed weight, or that of another edge, named ``<component>.<edge>``."""

    value: Real | None = None
    same_as: StrictStr | None = None


WeightField = Annotated[Weight, Short("value")]


class _Edge(Surface):
    name: StrictStr | None = None
    lag: Annotated[Integer, between(0, 10**6)] = 0
    gate: GateField | None = None


class Dense(_Edge):
    """Every parent node with every node."""

    kind: Literal["dense"]
    weight: WeightField | None = None
    init: InitField | None = None
    prior: PriorField | None = None


class Elementwise(_Edge):
    """Every parent node with the node of the same index."""

    kind: Literal["elementwise"]
    weight: WeightField | None = None
    init: InitField | None = None
    prior: PriorField | None = None


class Identity(_Edge):
    """As ``elementwise``, with the fixed weight 1."""

    kind: Literal["identity"]


Extent = Annotated[Integer, between(1, 10**6)]
Extents = Annotated[tuple[Extent, ...], _some(3), OneOrMore()]
Margins = Annotated[tuple[Annotated[Integer, between(0, 10**6)], ...], _some(3), OneOrMore()]


class _Convolution(_Edge):
    """Nodes that read windows of maps, with weights shared over all places. Numbers are for every axis, or one for each."""

    kernel_size: Extents
    stride: Extents = (1,)
    padding: Margins = (0,)
    dilation: Extents = (1,)
    groups: Extent = 1
    weight: WeightField | None = None
    init: InitField | None = None
    prior: PriorField | None = None


class Conv1d(_Convolution):
    """A convolution along the last axis; an axis before it counts maps."""

    kind: Literal["conv1d"]


class Conv2d(_Convolution):
    """A convolution along the last two axes; an axis before them counts maps."""

    kind: Literal["conv2d"]


class AveragePool(_Edge):
    """The mean over windows, map by map; ``all`` is one window over everything. Padding counts."""

    kind: Literal["avg_pool"]
    kernel_size: Literal["all"] | Extents
    stride: Extents | None = None
    padding: Margins = (0,)


EdgeField = Annotated[
    Dense | Elementwise | Identity | Conv1d | Conv2d | AveragePool,
    Field(discriminator="kind"),
    Short("kind", ("dense", "elementwise", "identity")),
]


class BatchNormalisation(Surface):
    """Batch normalisation: of the contributions without lag or, with ``over: energy``, of everything."""

    kind: Literal["batch"]
    over: Literal["inputs", "energy"] = "inputs"


class LayerNormalisation(Surface):
    """Layer normalisation, over all nodes of a step; ``over`` as for batch normalisation."""

    kind: Literal["layer"]
    over: Literal["inputs", "energy"] = "inputs"


class GroupNormalisation(Surface):
    """Group normalisation, over each of so many equal ``groups`` of the nodes' first axis; ``over`` as for batch normalisation."""

    kind: Literal["group"]
    groups: Annotated[Integer, between(1, MAX_NODES)]
    over: Literal["inputs", "energy"] = "inputs"


class WeightNormalisation(Surface):
    """Weight normalisation: the weights of a node along each edge are a direction and a length."""

    kind: Literal["weight"]


NormalisationField = Annotated[
    BatchNormalisation | LayerNormalisation | GroupNormalisation | WeightNormalisation,
    Field(discriminator="kind"),
    Short("kind", ("batch", "layer", "weight")),
]


def _or_time(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return () if value == "time" else handler(value)


def _two(ends: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(ends) != 2:
        raise mistake("CG305", f"a line has two ends, not {len(ends)}")
    return ends


_AXES = {"type": ["array", "integer", "string"], "items": {"type": "integer"}, "description": "`time`, or axes of `nodes`"}
# no axes at all: along time
Along = Annotated[tuple[Integer, ...], _some(8), OneOrMore(), WrapValidator(_or_time), WithJsonSchema(_AXES)]
Pair = Annotated[tuple[Annotated[tuple[Integer, ...], OneOrMore()], ...], AfterValidator(_two)]


class ExactInference(Surface):
    """Sums over all states."""

    kind: Literal["exact"]


class MeanField(Surface):
    """``steps`` parallel updates; each keeps a part ``damping`` of the old value."""

    kind: Literal["mean_field"]
    steps: Annotated[Integer, between(1, 10_000)] = 10
    damping: Annotated[Real, between(0, below=1)] = 0.5


LinesInference = Annotated[ExactInference | MeanField, Field(discriminator="kind"), Short("kind", ("exact", "mean_field"))]


class ChainLines(Surface):
    """Lines between neighbours along one axis of the nodes, or along time; ``ends`` adds a potential at either end."""

    kind: Literal["chain"]
    along: Along | None = None
    ends: StrictBool = False
    inference: LinesInference = ExactInference(kind="exact")


class GridLines(Surface):
    """Lines between neighbours along each of several axes: the last two, if nothing else is said."""

    kind: Literal["grid"]
    along: Along | None = None
    inference: LinesInference = ExactInference(kind="exact")


class DenseLines(Surface):
    """Lines between all nodes of a step that differ in the axes ``along`` alone: in any, if nothing else is said."""

    kind: Literal["dense"]
    along: Along | None = None
    inference: LinesInference = ExactInference(kind="exact")


class ListLines(Surface):
    """Lines between the listed pairs of nodes."""

    kind: Literal["list"]
    pairs: Annotated[tuple[Pair, ...], _some(10_000)]
    inference: LinesInference = ExactInference(kind="exact")


LinesField = Annotated[
    ChainLines | GridLines | DenseLines | ListLines, Field(discriminator="kind"), Short("kind", ("chain", "grid", "dense"))
]


class Stack(Surface):
    """``times`` layers; from the second on, the layer below takes the place of the parent ``input``."""

    times: Annotated[Integer, between(1, 10_000)]
    input: StrictStr | None = None


Extended = Annotated[tuple[Count, ...], _some(8), OneOrMore()]


class BlockBody(Surface):
    """Some of a component's nodes, with parents of their own, which are read apart."""

    nodes: Extended
    parents: Any = None


class ComponentBody(Surface):
    """A component; its family and its parents are read on their own."""

    role: Literal["input", "hidden", "output"] = "hidden"
    nodes: Extended
    bias: BoolOrNumber = True
    clamp: Literal["hard", "soft"] = "hard"
    at: Literal["all", "last"] = "all"
    target: StrictStr | None = None
    stack: Annotated[Stack, Short("times")] | None = None
    normalize: NormalisationField | None = None
    independent: StrictBool = False
    lines: LinesField | None = None
    family: Any = None
    parents: Any = None


class BlockedBody(ComponentBody):
    """A component whose nodes are those of its ``blocks``, one after the other on the first index."""

    nodes: Extended | None = None  # type: ignore[assignment]
    blocks: Annotated[dict[str, BlockBody], Field(min_length=1)]


class ModuleBody(Surface):
    """Components that are known outside by one of them, ``output``; the others are read on their own."""

    output: StrictStr
    stack: Annotated[Stack, Short("times")] | None = None
    components: Any = None


class RefinementBody(Surface):
    """What refines a component, ``times`` in a row (section 4.1); the components of ``through`` are read on their own.

    Where nodes are drawn, all that reads a copy sees the same draw, or with ``independent_copies`` each a draw of its own.
    """

    times: Annotated[Integer, between(1, 10_000)]
    sample: Literal["shared", "independent_copies"] = "shared"
    through: Any = None
    back: EdgeField


class TrainInference(Surface):
    """How values are inferred in training (eq. 14); ``sample_rate`` is one number or one per component."""

    method: Literal["feed_forward", "pcff", "sample"] = "feed_forward"
    sample_rate: Annotated[dict[str, Probability], Short("")] | None = None
    gradient: Literal["block", "straight_through"] | None = None


class EvalInference(Surface):
    """How values are inferred in evaluation."""

    method: Literal["feed_forward", "moments", "sample"] = "feed_forward"
    samples: Annotated[Integer, between(1, 10**6)] | None = None


class Inference(Surface):
    """``train`` and ``eval``."""

    train: TrainInference = TrainInference()
    eval: EvalInference = EvalInference()


class Augment(Surface):
    """Training images are moved by up to ``shift_pixels`` along either axis, and half of them mirrored; drawn for each epoch and image."""

    shift_pixels: Annotated[Integer, between(0, 1000)] = 0
    mirror: StrictBool = False


class Data(Surface):
    """Where the examples come from, and in which layout. Which fields belong to which data, ``data.py`` says."""

    name: Literal["digits", "mnist", "cifar10", "npz", "adding", "tags"]
    layout: Literal["vector", "image", "row_sequence", "pixel_sequence"] = Field(default="vector", alias="as")
    validation: Annotated[Real, between(above=0, below=1)] | None = None
    threshold: Annotated[Real, between(above=0, below=1)] | None = None
    permute_seed: Seed | None = None
    standardize: StrictBool = False
    augment: Augment | None = None
    flip_prob: Annotated[Real, between(above=0, below=1)] | None = None
    predict: Literal["label", "image"] = "label"
    relabel: Annotated[tuple[Annotated[Integer, between(-1000, 1000)], ...], _some(1000)] | None = None
    sequences: Annotated[Integer, between(8, 10**7)] | None = None
    tokens: Annotated[Integer, between(2, 10**6)] | None = None
    tags: Annotated[Integer, between(2, 10**6)] | None = None
    min_steps: Annotated[Integer, between(1, 10**6)] | None = None
    max_steps: Annotated[Integer, between(1, 10**6)] | None = None
    seed: Seed = 0


class Sgd(Surface):
    """Stochastic gradient descent."""

    kind: Literal["sgd"]
    learning_rate: Positive
    momentum: Annotated[Real, between(0, below=1)] = 0.0


class Adam(Surface):
    """Adam with torch's default moments."""

    kind: Literal["adam"]
    learning_rate: Positive


class PlateauSchedule(Surface):
    """Multiplies the learning rate by ``factor`` after ``patience_epochs`` without a better validation loss."""

    kind: Literal["plateau"]
    factor: Annotated[Real, between(above=0, below=1)]
    patience_epochs: Annotated[Integer, between(0)]


class StepSchedule(Surface):
    """Multiplies the learning rate by ``factor`` at each of ``at_epochs``."""

    kind: Literal["steps"]
    factor: Positive
    at_epochs: Annotated[tuple[Count, ...], _some(1000)]


class EarlyStop(Surface):
    """Ends after ``patience_epochs`` without a better validation loss."""

    patience_epochs: Count


class Reuse(Surface):
    """Components whose parameters come from a checkpoint of another spec; ``frozen`` ones do not change any more (section 3)."""

    components: Annotated[tuple[StrictStr, ...], _some(1000)]
    source: StrictStr = Field(alias="from")
    frozen: StrictBool = False


class Train(Surface):
    """What ``train.py`` does when its command line says nothing else; it ends after ``epochs`` or after ``updates``."""

    data: Data
    optimizer: Annotated[Sgd | Adam, Field(discriminator="kind")]
    schedule: Annotated[PlateauSchedule | StepSchedule, Field(discriminator="kind")] | None = None
    early_stop: EarlyStop | None = None
    gradient_clip_norm: Positive | None = None
    epochs: Count | None = None
    updates: Count | None = None
    batch_size: Count
    seed: Seed = 0
    prior: PriorField | None = None
    reuse: Reuse | None = None


# ``schema.py`` puts the families of the registry in this place
FAMILY_SCHEMA = {"title": "Family"}
FamilyField = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string"}, FAMILY_SCHEMA]})]


Parents = Annotated[dict[str, EdgeField | list[EdgeField]], Field(default_factory=dict)]


class Block(BlockBody):
    """Some of a component's nodes, with parents of their own."""

    parents: Parents


class Component(ComponentBody):
    """A chain component: nodes, what they follow, and what they depend on."""

    family: FamilyField
    parents: Parents


class BlockedComponent(Component):
    """A chain component whose nodes are those of its ``blocks``, one after the other on the first index."""

    nodes: Extended | None = None  # type: ignore[assignment]
    blocks: dict[str, Block]


AnyComponent = Component | BlockedComponent


class Module(ModuleBody):
    """Components that are known outside by one of them."""

    components: dict[str, AnyComponent | Module]


class Refinement(RefinementBody):
    """What refines a component (section 4.1): from a copy of it through further components and back."""

    through: dict[str, AnyComponent]


class Document(Surface):
    """A chain graph and how to train it."""

    # sections are validated one by one (``resolve.py``), so that a mistake in one hides none in another

    cgc: Literal[1]
    name: Annotated[StrictStr, Field(pattern="^[a-z][a-z0-9_]*$", max_length=64)]
    doc: StrictStr = ""
    extends: StrictStr | None = None
    params: dict[str, Annotated[Param, Short("default")]] = Field(default_factory=dict)
    families: dict[str, FamilyField] = Field(default_factory=dict)
    time: Time | None = None
    components: dict[str, AnyComponent | Module]
    refine: dict[str, Refinement] = Field(default_factory=dict)
    independence: tuple[StrictStr, ...] = ()
    sharing: tuple[StrictStr, ...] = ()
    inference: Inference = Inference()
    train: Train | None = None
