"""The classes that a module is built of, one per node law and one per distinct block, and what is known when they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from cgc.derive.derivation import Derivation, Labels
from cgc.families.forms import FiniteExponential
from cgc.kernels.plan import CellKernel, fused_loop, normalises, plan
from cgc.program.energies import local
from cgc.program.ir import Layer, Module, Program, Refine, Repeat, Scan, Stage, layers_of
from cgc.program.loops import reads_itself_alone
from cgc.program.parameters import learned_size
from cgc.targets.torch.code import Class
from cgc.targets.torch.layers import needs_inference
from cgc.targets.torch.lines import lines_module
from cgc.targets.torch.maps import kept_as_maps
from cgc.targets.torch.names import class_name, distinct
from cgc.targets.torch.nodes import law_class
from cgc.targets.torch.scopes import Scopes, loops_alone

# the order in which fixed passages stand in a file, and inside its class Inference
PARTS = (
    "require", "require_binary", "widened", "tanh_sigmoid", "tanh", "sigmoid",
    "logistic_pdf", "normal_pdf", "normal_cdf", "normal_ramp", "normal_ratios", "normal_moment",
    "normal_excess", "logistic_moment", "inverse_expm1", "gumbel", "exponential_fall", "log1p_sum_exp", "log1mexp", "log_normal_cdf",
    "log_mills", "floored", "log_normal_interval",
    "log_logistic_interval", "polynomial", "bounded_exp", "bounded", "truncated_normal", "tilted_uniform", "inverse_table", "elementwise",
    "over_energies", "mixed_likelihood", "softened", "masked", "tied", "grouped", "conv1d", "conv2d", "conv3d", "local", "padded",
    "avg_pool1d", "avg_pool2d", "mean_over", "fixed", "batch_norm", "batch_norm_maps", "group_norm", "chain", "chain_tables", "one_hot",
    "last", "shifted", "keep",
)  # fmt: skip
INFERENCE = (
    "at", "call", "call_features", "over_batch", "moments", "determined", "linear", "scaled", "lookup", "through", "averaged", "shift",
    "normalised", "normalised_maps", "group_moments", "given", "soft_clamp",
    "states", "labels", "bernoulli_gate", "gaussian_gate", "behind", "gated", "opened", "linearly",
)  # fmt: skip
_NEEDS = {
    "normal_ramp": ("normal_cdf", "normal_pdf"), "normal_moment": ("normal_cdf", "normal_pdf", "normal_ratios"),
    "normal_excess": ("normal_ratios",), "log_mills": ("normal_ratios", "normal_excess"), "log_normal_interval": ("log_normal_cdf",),
    "log_logistic_interval": ("log1mexp",),
}  # fmt: skip
# of two passages of the same name the first is left out where the second, which can do more, is needed
_INSTEAD = {"batch_norm": "batch_norm_maps", "normalised": "normalised_maps", "chain": "chain_tables"}
# names that fixed passages define
_PASSAGES = (
    "NormalRamp", "Tanh", "Sigmoid", "LogisticPdf", "NormalMoment", "NormalExcess", "LogisticMoment", "ALTERNATING", "POWERS",
    "InverseSinh2", "InverseExpm1", "GumbelRamp", "GumbelFall", "LogGumbelUpper", "ExponentialFall", "LogNormalCdf", "LogMills", "Log1mExp",
    "require", "require_binary", "BatchNorm", "GroupNorm", "Elementwise", "Masked", "Tied", "Grouped", "Local", "Conv1d", "Conv2d",
    "Conv3d", "Bounded",
)  # fmt: skip


def with_needs(parts: Iterable[str]) -> tuple[str, ...]:
    """``parts`` and what they build on, in the order in which they stand in a file."""
    needed = set(parts)
    needed |= {more for part in needed for more in _NEEDS.get(part, ())}
    return tuple(part for part in PARTS if part in needed)


class Blocks:
    """Laws and layers of one program as classes, in the order in which they stand; which fixed passages and names they need."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.timed = program.steps is not None
        self.moments = program.eval.method == "moments"
        self.merged = program.draws_are_rows
        self.maps = kept_as_maps(program)
        self.last = {layer.name for layer in program.layers() if layer.last}
        self.taken = {
            "Model",
            "Inference",
            "Tensor",
            "BatchNorm",
            "Elementwise",
            "Masked",
            "Tied",
            "Grouped",
            "Local",
            "Outputs",
            "State",
            "NamedTuple",
            *_PASSAGES,
        }
        self.taken |= {"F", "nn", "torch", "math"}
        self.taken |= {"Chain"} if any(layer.lines is not None for layer in program.layers()) else set()
        words = (word for layer in program.layers() for word in layer.component.split("."))
        components = dict.fromkeys([*(item.name for item in program.inputs), *words])
        self.taken |= {*components, *(c.name for layer in program.layers() for c in layer.contributions)}
        self.variables = {name: name for name in components}
        for layer in program.layers():
            plain = layer.name == layer.component and "." not in layer.name
            self.variables[layer.name] = layer.name if plain else self.variable(layer.name.replace(".", "_"))
        self.name = distinct(class_name(program.name), self.taken, "Model")
        # what has the dtype and device of the parameters
        self.like = (
            "next(self.parameters())"
            if learned_size(program)
            else f"{program.inputs[0].name}.new_zeros((), dtype=torch.get_default_dtype())"
        )
        self.needed: set[str] = {"moments"} if self.moments else set()
        self.classes: list[Class] = []
        self._called = set(_called(program.stages))
        self.law_classes = self._laws()
        self.kernels = plan(program)
        self.cells: list[CellKernel] = []
        self.lines = self._lines()
        self.codes: dict[str, str] = {}  # how each layer and module is made
        self.summed: set[str] = set()  # those that are given their edges
        self.scopes = Scopes(program, [la.name for la in program.layers() if needs_inference(la, self.drawn(la), self.moments)])
        self.outputs = [program.layer(name) for name in program.outputs]

    def variable(self, wanted: str) -> str:
        """A name for a local variable, the same for the same wish, that no component has."""
        return self.variables.setdefault(f"local {wanted}", distinct(wanted, set(self.variables.values()), "_"))

    def law(self, name: str) -> Derivation:
        return self.program.law(name)

    def parts(self, order: tuple[str, ...]) -> tuple[str, ...]:
        """The fixed passages of ``order`` that the classes written so far need."""
        needed = {*self.needed, *with_needs(self.needed)}
        if {"tanh", "sigmoid"} <= needed:  # one class for both
            needed = (needed - {"tanh", "sigmoid"}) | {"tanh_sigmoid"}
        return tuple(part for part in order if part in needed and _INSTEAD.get(part) not in needed)

    def settings(self) -> tuple[str, ...]:
        """The fields of the class Inference."""
        rate = "rate: float | dict[str, float] = 0.0" if self.rated() else "rate: float = 0.0"
        gates = ("gates: bool = True  # dropout nodes are drawn",) if self.gated() else ()
        fields = (rate, "straight_through: bool = False", "sampled: bool = False  # the input is drawn too", *gates, "draws: int = 1")
        return (*fields, "moments: bool = False  # in place of draws: mean and variance") if self.moments else fields

    def rated(self) -> bool:
        return bool(self.program.train.sample_rates or self.program.eval.sample_rates)

    def gated(self) -> bool:
        return any(c.dropout for layer in self.program.layers() for c in layer.contributions)

    def inputs(self, annotated: bool = True) -> str:
        return ", ".join(f"{item.name}: Tensor" if annotated else item.name for item in self.program.inputs)

    def shape(self, layer: Layer) -> str:
        sizes = ["batch"]
        if self.timed and not layer.last:
            sizes.append("time")
        sizes += [str(layer.labels)] if layer.labels else []
        sizes += [str(extent) for extent in layer.nodes] if layer.size > 1 or not layer.labels else []
        return f"({', '.join(sizes)})"

    def drawn(self, layer: Layer) -> bool:
        return not self.law(layer.law).deterministic

    def in_rows(self) -> bool:
        """Whether the loss is that of energies as they come, rows of one batch."""
        return self.merged and len(self.outputs) == 1 and self.outputs[0].lines is None

    def inlined(self, layer: Layer) -> bool:
        """Whether the layer is computed where it is read, without a class: nothing in it is learned, or needs a module."""
        plain = layer.bias is not True and layer.normalised == "no" and layer.labels is None and not layer.output
        if not plain or layer.name in self._called:
            return False
        return all(c.product.kind in ("identity", "average") for c in layer.contributions)

    def normalises(self, layer: Layer) -> bool:
        """Whether a kernel normalises the layer's energies where its nodes are inferred."""
        return normalises(layer, self.program) and any(law.name == layer.law and law.normalised for law in self.kernels.laws)

    def copies_energy(self, layer: Layer) -> bool:
        """Whether the expectation is the energy itself."""
        return self.law(layer.law).copies_energy

    def law_call(self, layer: Layer) -> str:
        """The layer's law as an expression; none where hidden nodes are their energies."""
        if exact_lines(layer):
            return f"self.{layer.component}.lines"
        if self.copies_energy(layer) and not layer.output:
            return ""
        # hidden nodes are flat, those of an output have their shape
        axes = len(layer.nodes) if layer.output else 1
        axis = str(-1 - axes) if isinstance(self.law(layer.law).sampling, Labels) and layer.size > 1 else ""
        return f"{self.law_classes[layer.law]}({axis})"

    def fused_loop(self, layer: Layer, group: tuple[str, ...]) -> CellKernel | bool:
        """Whether a kernel runs the layer's own loop over time; or the kernel of its steps."""
        if not self.moments and self.law_call(layer) != "" and fused_loop(layer, group, self.law(layer.law)):
            return True
        return (reads_itself_alone(layer, group) and self.cell(group, {layer.name: ""})) or False

    def cell(self, group: tuple[str, ...], prefixes: Mapping[str, str]) -> CellKernel | None:
        """The kernel of a loop's steps, if there is one. ``prefixes`` are how names of a layer's parameters begin where the loop stands."""
        found = dict(self.kernels.cells).get(group)
        if found is None:
            return None
        starts = [prefixes[group[k]] for k in found.multiplied]
        weights = tuple(tuple(f"{start}{edge}.weight" for start, edge in zip(starts, edges, strict=True)) for edges in found.weights)
        vectors = tuple(f"{prefixes[group[k]]}{'bias' if edge is None else f'{edge}.weight'}" for k, edge in found.vectors)
        starts = [prefixes[group[k]] for k in found.driven]
        inputs = [tuple(f"{start}{edge}.weight" for start, edge in zip(starts, found.inputs, strict=True))] if found.inputs else []
        inputs += [tuple(f"{start}bias" for start in starts)] if found.inputs else []
        made = CellKernel("", found, tuple(local(name) for name in group), tuple(inputs), weights, vectors)
        known = [cell for cell in self.cells if replace(cell, name="") == made]
        if not known:
            known = [replace(made, name=distinct("cell", {cell.name for cell in self.cells}, ""))]
            self.cells += known
        # what is read outside has other names in other loops
        return replace(known[0], cell=found)

    def _laws(self) -> dict[str, str]:
        layers = self.program.layers()
        hidden = [self.law(layer.law) for layer in layers if not layer.output]
        several = any(law.statistic is not None or isinstance(law.sampling, Labels) for law in hidden)
        self.needed.add("call_features" if several else "call")
        names: dict[str, str] = {}
        for law in dict.fromkeys(layer.law for layer in layers):
            users = [layer for layer in layers if layer.law == law and not exact_lines(layer)]
            if not users:
                continue
            names[law] = distinct(class_name(law), self.taken, "Node")
            # nothing is left to say of nodes that are their energies
            if all(self.copies_energy(layer) and not layer.output for layer in users):
                continue
            checked = all(self.checked(layer) for layer in users if layer.output)
            definition, helpers = law_class(names[law], self.law(law), users, several, self.moments, False, checked)
            self.needed.update(helpers)
            self.classes.append(definition)
        return names

    def checked(self, layer: Layer) -> bool:
        """Whether an output is scored against an input whose states were seen to be the law's."""
        known = {item.name: item for item in self.program.inputs}.get(layer.target or "")
        if known is None or known.soft:
            return False
        law, own = self.law(known.law).law, self.law(layer.law).law
        return isinstance(law, FiniteExponential) and isinstance(own, FiniteExponential) and law.support == own.support

    def _lines(self) -> dict[str, str]:
        """By the names of layers with lines, how the module of these is made."""
        made = {}
        for layer in self.program.layers():
            if layer.lines is not None:
                name = distinct(class_name(layer.component) + "Lines", self.taken, "_")
                code = lines_module(name, layer, f"{self.law_classes.get(layer.law)}()")
                made[layer.name] = code.made
                self.needed.update(code.parts)
                self.classes += [code.definition] if code.definition is not None else []
        return made


def exact_lines(layer: Layer) -> bool:
    """Whether the module of a layer's lines answers in place of the node law."""
    return layer.lines is not None and layer.lines.method != "mean_field"


def _called(stages: Sequence[Stage]) -> Iterator[str]:
    """Layers that are called in any case: those of stacks that are one loop, and those with a loop of their own."""
    for stage in stages:
        match stage:
            case Repeat():
                yield from (layers_of(one)[0].name for one in stage.stages if not isinstance(one, Module))
                yield from (name for one in stage.stages if isinstance(one, Module) for name in _called(one.stages))
            case Scan() if loops_alone(stage):
                yield stage.layers[0].name
            case Module():
                yield from _called(stage.stages)
            case Refine():
                yield stage.layer.name
                for level in stage.levels:
                    yield level.copy.name
                    yield from _called(level.module.stages)
