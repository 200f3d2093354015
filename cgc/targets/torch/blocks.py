"""The classes that a module is built of, one per node law and one per distinct layer, and what is known when they are written."""

from __future__ import annotations

from collections.abc import Iterable

from cgc.derive.derivation import Derivation, Labels
from cgc.program.ir import Layer, Map, Program, Repeat, Scan, Stage, depth
from cgc.program.parameters import learned_size
from cgc.targets.torch.code import Class
from cgc.targets.torch.layers import LayerCode, layer_class
from cgc.targets.torch.lines import lines_module
from cgc.targets.torch.names import class_name, distinct
from cgc.targets.torch.nodes import law_class
from cgc.targets.torch.scalar import number_text

# the order in which fixed passages stand in a file, and inside its class Inference
PARTS = (
    "widened", "tanh", "sigmoid", "logistic_pdf", "normal_pdf", "normal_cdf", "normal_ramp", "normal_ratios", "normal_moment",
    "normal_excess", "logistic_moment", "inverse_expm1", "gumbel", "exponential_fall", "log1p_sum_exp", "log1mexp", "log_normal_cdf",
    "log_mills", "floored", "log_normal_interval",
    "log_logistic_interval", "polynomial", "bounded_exp", "bounded", "truncated_normal", "tilted_uniform", "inverse_table", "elementwise",
    "over_energies", "mixed_likelihood", "softened", "masked", "tied", "grouped", "conv1d", "conv2d", "conv3d", "local", "padded",
    "avg_pool1d", "avg_pool2d", "mean_over", "fixed", "batch_norm", "batch_norm_maps", "chain", "one_hot", "last", "shifted", "keep",
)  # fmt: skip
INFERENCE = (
    "at", "call", "call_features", "moments", "determined", "linear", "scaled", "lookup", "through", "averaged", "shift", "normalised",
    "normalised_maps", "given", "soft_clamp",
    "states", "labels", "bernoulli_gate", "gaussian_gate", "gated",
)  # fmt: skip
_NEEDS = {
    "normal_ramp": ("normal_cdf", "normal_pdf"), "normal_moment": ("normal_cdf", "normal_pdf", "normal_ratios"),
    "normal_excess": ("normal_ratios",), "log_mills": ("normal_ratios", "normal_excess"), "log_normal_interval": ("log_normal_cdf",),
    "log_logistic_interval": ("log1mexp",),
}  # fmt: skip
# of two passages of the same name the first is left out where the second, which can do more, is needed
_INSTEAD = {"batch_norm": "batch_norm_maps", "normalised": "normalised_maps"}
# names that fixed passages define
_PASSAGES = (
    "NormalRamp", "Tanh", "Sigmoid", "LogisticPdf", "NormalMoment", "NormalExcess", "LogisticMoment", "ALTERNATING", "POWERS",
    "InverseSinh2", "InverseExpm1", "GumbelRamp", "GumbelFall", "LogGumbelUpper", "ExponentialFall", "LogNormalCdf", "LogMills", "Log1mExp",
    "BatchNorm", "Elementwise", "Masked", "Tied", "Grouped", "Local", "Conv1d", "Conv2d", "Conv3d", "AvgPool1d", "AvgPool2d",
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
        self.past = depth(program)
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
        components = dict.fromkeys([*(item.name for item in program.inputs), *(layer.component for layer in program.layers())])
        self.taken |= {*components, *(c.name for layer in program.layers() for c in layer.contributions)}
        self.variables = {name: name for name in components}
        for layer in program.layers():
            self.variables[layer.name] = self.variable(layer.name.replace(".", "_")) if layer.index is not None else layer.name
        self.name = distinct(class_name(program.name), self.taken, "Model")
        # what has the dtype and device of the parameters
        self.like = (
            "next(self.parameters())"
            if learned_size(program)
            else f"{program.inputs[0].name}.new_zeros((), dtype=torch.get_default_dtype())"
        )
        self.needed: set[str] = {"moments"} if self.moments else set()
        self.classes: list[Class] = []
        self.law_classes = self._laws()
        self.lines = self._lines()
        self.codes = self._layers()
        self.outputs = [program.layer(name) for name in program.outputs]

    def variable(self, wanted: str) -> str:
        """A name for a local variable, the same for the same wish, that no component has."""
        return self.variables.setdefault(f"local {wanted}", distinct(wanted, set(self.variables.values()), "_"))

    def law(self, name: str) -> Derivation:
        return self.program.law(name)

    def parts(self, order: tuple[str, ...]) -> tuple[str, ...]:
        """The fixed passages of ``order`` that the classes written so far need."""
        needed = {*self.needed, *with_needs(self.needed)}
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
        return any(c.gate for layer in self.program.layers() for c in layer.contributions)

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

    def law_call(self, layer: Layer) -> str:
        """The layer's law as an expression."""
        if exact_lines(layer):
            return f"self.{layer.component}.lines"
        # hidden nodes are flat, those of an output have their shape
        axes = len(layer.nodes) if layer.output else 1
        axis = str(-1 - axes) if isinstance(self.law(layer.law).sampling, Labels) and layer.size > 1 else ""
        return f"{self.law_classes[layer.law]}({axis})"

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
            definition, helpers = law_class(names[law], self.law(law), users, several, self.moments, variances=False)
            self.needed.update(helpers)
            self.classes.append(definition)
        return names

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

    def _layers(self) -> dict[str, LayerCode]:
        codes: dict[str, LayerCode] = {}
        known: dict[str, list[LayerCode]] = {}
        for stage in self.program.stages:
            for layer, group in _grouped(stage):

                def build(name: str, layer: Layer = layer, group: tuple[str, ...] = group) -> LayerCode:
                    law, drawn, doc = self.law_call(layer), self.drawn(layer), self._layer_doc(layer)
                    return layer_class(name, layer, law, drawn, group, self.timed, doc, self.moments, self.lines.get(layer.name, ""))

                again = [build(code.definition.name) for code in known.get(layer.component, [])]
                alike = [code for code, old in zip(again, known.get(layer.component, []), strict=True) if code.definition == old.definition]
                if alike:
                    codes[layer.name] = alike[0]
                    continue
                code = build(distinct(class_name(layer.component), self.taken, "Layer"))
                known.setdefault(layer.component, []).append(code)
                self.needed.update(code.parts)
                self.classes.append(code.definition)
                codes[layer.name] = code
        return codes

    def _layer_doc(self, layer: Layer) -> str:
        time = self.timed and not layer.last
        terms = []
        for c in layer.contributions:
            when = (f"[t-{c.lag}]" if c.lag else "[t]") if time else (f"[T-{c.lag}]" if c.lag else "[T]") if self.timed else ""
            weight = "W" if len(layer.contributions) == 1 else f"W_{c.name}"
            value = f"{'D_' + c.name + ' * ' if c.gate else ''}{c.name}{when}"
            match c.product.kind:
                case "elementwise":
                    term = f"{c.name}.weight * {value}"
                case "identity":
                    term = value if c.product.fixed in (None, 1) else f"{c.product.fixed:g} {value}"
                case "convolution":
                    term = f"{weight} ⋆ {value}"
                case "average":
                    term = f"mean({value})"
                case _:
                    term = f"{weight} {value}"
            terms.append((term, c.lag))
        bias = ["b"] if layer.bias is True else [number_text(float(layer.bias))] if layer.bias else []
        match layer.normalised:
            case "no":
                energy = " + ".join([text for text, _ in terms] + bias)
            case "energy":
                energy = " + ".join([f"BN({' + '.join(text for text, _ in terms)})", *bias])
            case _:
                direct = " + ".join(text for text, lag in terms if not lag)
                energy = " + ".join([f"BN({direct})", *bias, *(text for text, lag in terms if lag)])
        own = f"{layer.component}{'[t]' if time else ''}"
        given = ", ".join(dict.fromkeys(
            f"{c.name}{(f'[t-{c.lag}]' if c.lag else '[t]') if time else ''}" for c in layer.contributions
        ))  # fmt: skip
        given_names = dict.fromkeys(c.name for c in layer.contributions)
        sources = "eq. 2, 8" + (", 13" if any(c.gate for c in layer.contributions) else "")
        if layer.lines is not None:
            return f"Energies of P({layer.component} | {', '.join(given_names)}), whose nodes lines join:  e = {energy}  ({sources})"
        return f"P({own} | {given}) = prod_i P({own}_i | e_i),  e = {energy}  ({sources})"


def exact_lines(layer: Layer) -> bool:
    """Whether the module of a layer's lines answers in place of the node law."""
    return layer.lines is not None and layer.lines.method != "mean_field"


def _grouped(stage: Stage) -> list[tuple[Layer, tuple[str, ...]]]:
    match stage:
        case Map():
            return [(stage.layer, ())]
        case Scan():
            group = tuple(layer.name for layer in stage.layers)
            return [(layer, group) for layer in stage.layers]
        case Repeat():
            return [pair for inner in stage.stages for pair in _grouped(inner)]
