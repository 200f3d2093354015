"""The whole program as a module of classes: node laws, layers, and the model that joins them."""

from __future__ import annotations

from cgc.derive.derivation import Derivation, Labels
from cgc.families.forms import FiniteExponential, Indicators
from cgc.program.ir import Input, Layer, Map, Program, Repeat, Scan, Stage, depth, layers_of
from cgc.program.loops import before, in_steps, normalised_in_steps, reads_itself_alone
from cgc.program.parameters import learned_size
from cgc.spec.model import Inference
from cgc.targets.torch.code import Class, Function, Module, wrapped
from cgc.targets.torch.layers import LayerCode, layer_class, needs_inference
from cgc.targets.torch.names import class_name, distinct
from cgc.targets.torch.nodes import law_class, state_draw
from cgc.targets.torch.scalar import number_text

# the order in which fixed passages stand in a file, and inside its class Inference
PARTS = (
    "normal_pdf", "normal_cdf", "normal_ramp", "log_normal_interval", "log_logistic_interval", "elementwise", "masked", "batch_norm",
    "one_hot", "last", "shifted", "keep",
)  # fmt: skip
INFERENCE = ("at", "call", "call_features", "soft_clamp", "states", "labels", "bernoulli_gate", "gaussian_gate")
_NEEDS = {"normal_ramp": ("normal_cdf", "normal_pdf"), "log_normal_interval": ("normal_cdf",)}


def network(program: Program, factorisation: str, doc: tuple[str, ...]) -> Module:
    """The module of ``program``. ``factorisation`` is the joint distribution as text, ``doc`` the file's first lines."""
    writer = _Writer(program, factorisation)
    model = writer.model()
    return Module(doc, writer.parts(PARTS), writer.settings(), writer.parts(INFERENCE), tuple(writer.classes), model)


class _Writer:
    """Collects classes while it goes over the program once."""

    def __init__(self, program: Program, factorisation: str) -> None:
        self.program = program
        self.factorisation = factorisation
        self.timed = program.steps is not None
        self.past = depth(program)
        self.last = {layer.name for layer in program.layers() if layer.last}
        self.taken = {"Model", "Inference", "Tensor", "BatchNorm", "Elementwise", "Masked", "Outputs", "State", "NamedTuple", "NormalRamp"}
        self.taken |= {"F", "nn", "torch", "math"}
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
        self.needed: set[str] = set()
        self.classes: list[Class] = []
        self.law_classes = self._laws()
        self.codes = self._layers()
        self.outputs = [program.layer(name) for name in program.outputs]

    def variable(self, wanted: str) -> str:
        """A name for a local variable, the same for the same wish, that no component has."""
        return self.variables.setdefault(f"local {wanted}", distinct(wanted, set(self.variables.values()), "_"))

    def law(self, name: str) -> Derivation:
        return self.program.law(name)

    def parts(self, order: tuple[str, ...]) -> tuple[str, ...]:
        """The fixed passages of ``order`` that the classes written so far need."""
        needed = self.needed | {more for part in self.needed for more in _NEEDS.get(part, ())}
        return tuple(part for part in order if part in needed)

    # ---- node laws and layers

    def settings(self) -> tuple[str, ...]:
        """The fields of the class Inference."""
        rate = "rate: float | dict[str, float] = 0.0" if self._rated() else "rate: float = 0.0"
        gates = ("gates: bool = True  # dropout nodes are drawn",) if self._gated() else ()
        return (rate, "straight_through: bool = False", "sampled: bool = False  # the input is drawn too", *gates, "draws: int = 1")

    def _rated(self) -> bool:
        return bool(self.program.train.sample_rates or self.program.eval.sample_rates)

    def _gated(self) -> bool:
        return any(c.gate for layer in self.program.layers() for c in layer.contributions)

    def _laws(self) -> dict[str, str]:
        layers = self.program.layers()
        hidden = [self.law(layer.law) for layer in layers if not layer.output]
        several = any(law.statistic is not None or isinstance(law.sampling, Labels) for law in hidden)
        self.needed.add("call_features" if several else "call")
        names: dict[str, str] = {}
        for law in dict.fromkeys(layer.law for layer in layers):
            users = [layer for layer in layers if layer.law == law]
            names[law] = distinct(class_name(law), self.taken, "Node")
            definition, helpers = law_class(names[law], self.law(law), users, several)
            self.needed.update(helpers)
            self.classes.append(definition)
        return names

    def _law_call(self, layer: Layer) -> str:
        """The layer's law as an expression."""
        # hidden nodes are flat, those of an output have their shape
        axes = len(layer.nodes) if layer.output else 1
        axis = str(-1 - axes) if isinstance(self.law(layer.law).sampling, Labels) and layer.size > 1 else ""
        return f"{self.law_classes[layer.law]}({axis})"

    def _drawn(self, layer: Layer) -> bool:
        return not self.law(layer.law).deterministic

    def _layers(self) -> dict[str, LayerCode]:
        codes: dict[str, LayerCode] = {}
        known: dict[str, list[LayerCode]] = {}
        for stage in self.program.stages:
            for layer, group in _grouped(stage):

                def build(name: str, layer: Layer = layer, group: tuple[str, ...] = group) -> LayerCode:
                    return layer_class(name, layer, self._law_call(layer), self._drawn(layer), group, self.timed, self._layer_doc(layer))

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
            weight = {"elementwise": f"{c.name}.weight * ", "identity": "" if c.product.fixed in (None, 1) else f"{c.product.fixed:g} "}
            gate = f"D_{c.name} * " if c.gate else ""
            source = c.name
            factor = weight.get(c.product.kind, "W " if len(layer.contributions) == 1 else f"W_{c.name} ")
            terms.append((f"{factor}{gate}{source}{when}", c.lag))
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
        sources = "eq. 2, 8" + (", 13" if any(c.gate for c in layer.contributions) else "")
        return f"P({own} | {given}) = prod_i P({own}_i | e_i),  e = {energy}  ({sources})"

    # ---- inputs

    def _given(self, item: Input) -> list[str]:
        """Lines that check an input and bring it to (draws, batch, ..., features)."""
        law, name = self.law(item.law).law, item.name
        shaped = len(item.nodes) > 1 and (item.labels is None or item.size > 1)
        flat = f".flatten({2 if self.timed else 1})" if shaped else ""
        lines = [f"{name} = {name}{flat}.expand(how.draws, *{name}{flat}.shape)"] if not flat else [
            f"{name} = {name}{flat}", f"{name} = {name}.expand(how.draws, *{name}.shape)"]  # fmt: skip
        if isinstance(law, Indicators):
            embedded = all(c.product.kind == "embedding" for la in self.program.layers() for c in la.contributions if c.source == name)
            self.needed.add("labels")
            lines.append(f"how.check_labels({name}, {law.labels})")
            if not embedded:
                self.needed.add("one_hot")
                lines.append(f"{name} = one_hot({name}, {law.labels}, {item.size}).to({self.like}.dtype)")
        elif isinstance(law, FiniteExponential) and item.soft:
            self.needed.add("soft_clamp")
            low, high = sorted(law.support, key=float)
            bounds = f"{number_text(float(low))}, {number_text(float(high))}"
            if flat:
                lines.append(f"{name} = how.soft_clamp({name}, {bounds})")
            else:
                lines = [f"{name} = how.soft_clamp({name}.expand(how.draws, *{name}.shape), {bounds})"]
        elif isinstance(law, FiniteExponential):
            self.needed.add("states")
            states = ", ".join(number_text(float(state)) for state in law.support)
            lines.append(f"how.check_states({name}, {states})")
        return lines

    # ---- the model

    def model(self) -> Class:
        several = len(self.outputs) > 1
        methods = [self._init(), self._energies()]
        methods += [self._past()] if self.past else []
        methods += self._several() if several else self._single()
        methods.append(self._inference())
        return Class(self.name, "nn.Module", wrapped(self.factorisation), (), tuple(methods))

    def _init(self) -> Function:
        body = ["super().__init__()"]
        built: dict[str, list[str]] = {}
        for layer in self.program.layers():
            code = self.codes[layer.name]
            built.setdefault(layer.component, []).append(f"{code.definition.name}({code.arguments})")
        stacked = {layer.component for layer in self.program.layers() if layer.index is not None}
        for component, calls in built.items():
            body.append(f"self.{component} = {f'nn.ModuleList({_list(calls)})' if component in stacked else calls[0]}")
        quiet = "gates=False" if self._gated() else ""
        body.append(f"self.how = [Inference({quiet}), Inference()]  # in evaluation, in training")
        train, evaluation = _chosen(self.program.train, training=True), _chosen(self.program.eval, training=False)
        for arguments, mode in ((train, "True"), (evaluation, "False")):
            if arguments != '"feed_forward"':
                body.append(f"self.inference({arguments}, training={mode})")
        return Function("__init__(self) -> None", tuple(body))

    def _inputs(self, annotated: bool = True) -> str:
        return ", ".join(f"{item.name}: Tensor" if annotated else item.name for item in self.program.inputs)

    def _energies(self) -> Function:
        inputs, first = self.program.inputs, self.program.inputs[0].name
        body: list[str] = ["how = how or self.how[self.training]"]
        names = {item.name: item.name for item in inputs}
        for item in inputs:
            body += self._given(item)
        if self.timed and self.past:
            body += [f"past = self.past({first}) if past is None else past", "kept = {}"]
        if self._masks():
            body.append(f"steps = torch.arange({first}.shape[2], device={first}.device)")
            body.append(f"valid = None if lengths is None else (steps < lengths[:, None]).expand({first}.shape[:3])")
        for item in inputs:
            body += self._keep(item.name, item.name)
        results: list[str] = []
        for stage in self.program.stages:
            body += self._stage(stage, names, results)
        several = len(results) > 1
        value, kind = (f"Outputs({', '.join(results)})", "Outputs") if several else (results[0], "Tensor")
        doc = "Energies of every draw, " + (
            "(draws, batch, ...)." if several else self._shape(self.outputs[0]).replace("(batch", "(draws, batch") + "."
        )
        if not self.timed:
            return Function(f"energies(self, {self._inputs()}, how: Inference | None = None) -> {kind}", (*body, f"return {value}"), (doc,))
        signature = f"energies(self, {self._inputs()}, how: Inference | None = None, lengths=None, past: State | None = None)"
        return Function(signature, (*body, f"return {value}, {'kept' if self.past else '{}'}"), (doc[:-1] + ", and the last steps.",))

    def _masks(self) -> bool:
        return self.timed and any(layer.normalised != "no" and not layer.last for layer in self.program.layers())

    def _stage(self, stage: Stage, names: dict[str, str], results: list[str]) -> list[str]:
        match stage:
            case Repeat():
                return self._repeat(stage, names)
            case Map():
                layer = stage.layer
                call = f"{self._module(layer)}({', '.join(self._arguments(layer, names))})"
                if layer.output:
                    variable = layer.component if len(self.outputs) == 1 else self.variable(f"e_{layer.component}")
                    results.append(call if len(self.outputs) == 1 else variable)
                    return [] if len(self.outputs) == 1 else [f"{variable} = {call}"]
                return self._assign(layer, call, names)
            case Scan() if reads_itself_alone(stage.layers[0], (stage.layers[0].name,)) and len(stage.layers) == 1:
                layer = stage.layers[0]
                call = f"{self._module(layer)}({', '.join(self._arguments(layer, names))})"
                return self._assign(layer, call, names)
            case Scan():
                return self._scan(stage, names)

    def _assign(self, layer: Layer, call: str, names: dict[str, str]) -> list[str]:
        variable = names[layer.name] = self.variables[layer.name]
        return [f"{variable} = {call}", *self._keep(layer.name, variable)]

    def _keep(self, name: str, variable: str) -> list[str]:
        """Lines that put a component's last steps aside, if a later call needs them."""
        if name not in self.past:
            return []
        self.needed.add("keep")
        return [f'kept["{name}"] = keep(past["{name}"], {variable}, lengths)']

    def _module(self, layer: Layer) -> str:
        return f"self.{layer.component}" if layer.index is None else f"self.{layer.component}[{layer.index}]"

    def _value(self, source: str, lag: int, last: bool, names: dict[str, str]) -> str:
        """A parent's features as its child reads them: shifted in time, or at the last valid step."""
        text = names[source]
        if lag:
            self.needed.add("shifted")
            text = f'shifted({text}, past["{source}"], {lag})'
        if last and source not in self.last:
            self.needed.add("last")
            text = f"last({text}, lengths)"
        return text

    def _how(self, layer: Layer) -> list[str]:
        if not needs_inference(layer, self._drawn(layer)):
            return []
        if not self._rated():
            return ["how"]
        self.needed.add("at")
        return [f'how.at("{layer.component}")']

    def _arguments(self, layer: Layer, names: dict[str, str]) -> list[str]:
        known = [c for c in layer.contributions if c.source != layer.name]
        values = [self._value(c.source, c.lag, self.timed and layer.last, names) for c in known]
        reads_itself = len(known) < len(layer.contributions)
        if reads_itself and not known:
            values.append(f"{self.program.inputs[0].name}.shape[2]")
        values += self._how(layer)
        if reads_itself:
            values.append(f'past["{layer.name}"]')
        if self.timed and layer.normalised != "no" and not layer.last:
            values.append("valid")
        return values

    def _repeat(self, stage: Repeat, names: dict[str, str]) -> list[str]:
        layers = [layer for inner in stage.stages for layer in layers_of(inner)]
        head = layers[0]
        chained = next(c for c in head.contributions if c.name == stage.chained)
        variable = stage.component
        lines = [f"{variable} = {names[chained.source]}"] if names[chained.source] != variable else []
        inner_names = dict(names) | {chained.source: variable}
        stateful = head.name in self.past
        arguments = self._arguments(head, inner_names)
        if stateful:
            arguments = [a.replace(f'past["{head.name}"]', f'past[f"{stage.component}.{{k}}"]') for a in arguments]
            self.needed.add("keep")
            lines.append(f"for k, layer in enumerate(self.{stage.component}):")
            lines.append(f"    {variable} = layer({', '.join(arguments)})")
            lines.append(f'    kept[f"{stage.component}.{{k}}"] = keep(past[f"{stage.component}.{{k}}"], {variable}, lengths)')
        else:
            lines.append(f"for layer in self.{stage.component}:")
            lines.append(f"    {variable} = layer({', '.join(arguments)})")
            lines += self._keep(layers[-1].name, variable)
        names[layers[-1].name] = variable
        return lines

    def _scan(self, stage: Scan, names: dict[str, str]) -> list[str]:
        """A loop over time that several components share."""
        group = tuple(layer.name for layer in stage.layers)
        lines = []
        own = {layer.name: self.variables[layer.name] for layer in stage.layers}
        drives: dict[str, str] = {}
        for layer in stage.layers:
            known = before(layer, group)
            if not known:
                continue
            values = [self._value(c.source, c.lag, False, names) for c in known]
            values += ["how"] if any(c.gate for c in known) else []
            values += ["valid"] if layer.normalised != "no" and not normalised_in_steps(layer, group) else []
            drives[layer.name] = self.variable(f"{own[layer.name]}_drive")
            lines.append(f"{drives[layer.name]} = {self._module(layer)}.drive({', '.join(values)})")
        for name in group:
            start = f'list(past["{name}"].unbind(-2))' if name in self.past else "[]"
            lines.append(f"{own[name]} = {start}")
        lines.append(f"for t in range({self.program.inputs[0].name}.shape[2]):")
        if any(normalised_in_steps(layer, group) for layer in stage.layers):
            lines.append("    now = None if valid is None else valid[..., t]")
        for layer in stage.layers:
            values = [f"{drives[layer.name]}[..., t, :]"] if layer.name in drives else []
            for c in in_steps(layer, group):
                if c.source in group:
                    values.append(f"{own[c.source]}[{-1 - c.lag if _done(c.source, layer.name, group) else -c.lag}]")
                else:
                    values.append(f"{self._value(c.source, c.lag, False, names)}[..., t, :]")
            values += self._how(layer)
            values += ["now"] if normalised_in_steps(layer, group) else []
            lines.append(f"    {own[layer.name]}.append({self._module(layer)}.step({', '.join(values)}))")
        for name in group:
            begin = f"[{self.past[name]} :]" if name in self.past else ""
            lines.append(f"{own[name]} = torch.stack({own[name]}{begin}, -2)")
            names[name] = own[name]
            lines += self._keep(name, own[name])
        return lines

    # ---- what follows from the energies

    def _shape(self, layer: Layer) -> str:
        sizes = ["batch"]
        if self.timed and not layer.last:
            sizes.append("time")
        sizes += [str(layer.labels)] if layer.labels else []
        sizes += [str(extent) for extent in layer.nodes] if layer.size > 1 or not layer.labels else []
        return f"({', '.join(sizes)})"

    def _inference(self) -> Function:
        gates = ", gates=mode or sampled" if self._gated() else ""
        rate = "float | dict[str, float]" if self._rated() else "float"
        body = (
            'sampled, straight = method == "sample", {"block": False, "straight_through": True}[gradient]',
            'rate = {"feed_forward": 0.0, "pcff": sample_rate, "sample": 1.0}[method]',
            "for mode in (False, True) if training is None else (training,):",
            "    draws = samples if sampled and not mode else 1",
            f"    self.how[mode] = Inference(rate, straight, sampled{gates}, draws=draws)",
            "return self",
        )
        signature = f'inference(self, method: str, sample_rate: {rate} = 1.0, gradient="block", samples=32, training=None)'
        return Function(signature, body, ("Choose `feed_forward`, `pcff` or `sample`: for training, for evaluation, or (None) for both.",))

    def _lengths(self, annotated: bool = False) -> str:
        if not self.timed:
            return ""
        return ", lengths: Tensor | None = None" if annotated else ", lengths=lengths"

    def _passes(self, how: str = "") -> str:
        """The energies of all draws, as an expression."""
        return f"self.energies({self._inputs(False)}{how}{self._lengths()}){'[0]' if self.timed else ''}"

    def _log_prob(self, layer: Layer, energies: str, name: str) -> list[str]:
        """log p of one output, per draw and example."""
        target, whole = layer.component, self.timed and not layer.last
        lines = []
        if not layer.labels:
            target = f"{target}.to({energies}.dtype).reshape({energies}.shape[1:])"
        if whole:
            axes = "".join(", None" for _ in (layer.nodes if layer.size > 1 or not layer.labels else ()))
            lines += [
                f"{layer.component} = {target}",
                "if lengths is not None:  # what stands behind the last valid step does not count",
                f"    valid = torch.arange({layer.component}.shape[1], device=lengths.device) < lengths[:, None]",
                f"    {layer.component} = {layer.component}.where(valid[...{axes}], {layer.component}[:, :1])",
            ]
            target = layer.component
            if lines[0] == f"{target} = {target}":
                lines = lines[1:]
        lines.append(f"{name} = {self._law_call(layer)}.log_prob({target}, {energies})")
        if whole:
            lines += [
                f"{name} = {name}.reshape(*{energies}.shape[:3], -1).sum(3)",
                f"{name} = ({name} if lengths is None else {name}.where(valid, 0)).sum(2)",
            ]
        elif layer.size > 1 or not layer.labels:
            lines.append(f"{name} = {name}.flatten(2).sum(2)")
        return lines

    def _log_prob_body(self, layer: Layer) -> tuple[str, ...]:
        lines = self._log_prob(layer, "e", "log_p")
        end = "return log_p.logsumexp(0) - math.log(len(log_p))"
        if len(lines) == 1:
            return (lines[0].removesuffix("e)") + self._passes() + ")", end)
        return (f"e = {self._passes()}", *lines, end)

    def _mode(self, layer: Layer, energies: str) -> str:
        """The most probable state, as an expression."""
        if layer.labels:
            return f"{energies}.argmax({-1 if layer.size == 1 else -1 - len(layer.nodes)})"
        return f"{self._law_call(layer)}.mode({energies})"

    def _streaming(self) -> str:
        return ", lengths: Tensor | None = None, state: State | None = None, return_state: bool = False" if self.timed else ""

    def _single(self) -> list[Function]:
        (layer,) = self.outputs
        y, law, x = layer.component, self._law_call(layer), self._inputs(False)
        lengths = self._lengths(annotated=True)
        doc = f"Energies of {y}, {self._shape(layer)}: their mean over the draws"
        if self.timed:
            forward: tuple[str, ...] = (
                f"e, state = self.energies({x}, None, lengths, state)",
                "return (e.mean(0), state) if return_state else e.mean(0)",
            )
            doc += "; `state` continues an earlier call"
        else:
            forward = (f"return self.energies({x}).mean(0)",)
        returns = "" if self.timed else " -> Tensor"
        all_drawn = ", Inference(1.0, sampled=True, draws=n)"
        draw = state_draw(self.law(layer.law)) if self._drawn(layer) else "expectation"
        energies = f"self({x}{self._lengths()})"
        return [
            Function(f"forward(self, {self._inputs()}{self._streaming()}){returns}", forward, (doc + ".",)),
            Function(f"expectation(self, {self._inputs()}{lengths}) -> Tensor", (f"return {law}.expectation({self._passes()}).mean(0)",)),
            Function(
                f"sample(self, {self._inputs()}, n: int = 1{lengths}) -> Tensor",
                (f"return {law}.{draw}({self._passes(all_drawn)})",),
                (f"n draws of {y}, every node below drawn as well: (n, batch, ...).",),
            ),
            Function(
                f"log_prob(self, {self._inputs()}, {y}: Tensor{lengths}) -> Tensor",
                self._log_prob_body(layer),
                (f"log P({y} | {x}), (batch,): of the mean likelihood over the draws.",),
            ),
            Function(
                f"loss(self, {self._inputs()}, {y}: Tensor{lengths}) -> Tensor",
                (f"return -self.log_prob({x}, {y}{self._lengths()}).mean()",),
            ),
            Function(f"decode(self, {self._inputs()}{lengths}) -> Tensor", (f"return {self._mode(layer, energies)}",)),
        ]

    def _several(self) -> list[Function]:
        """Several outputs: the same methods, over a named tuple."""
        inputs, x, lengths, passed = self._inputs(), self._inputs(False), self._lengths(annotated=True), self._lengths()
        targets = ", ".join(f"{layer.component}: Tensor" for layer in self.outputs)
        names = ", ".join(layer.component for layer in self.outputs)

        def each(method: str, after: str = "") -> str:
            calls = [f"{self._law_call(la)}.{_method(method, la, self)}(e.{la.component}){after}" for la in self.outputs]
            return f"return Outputs({', '.join(calls)})"

        modes = ", ".join(self._mode(layer, f"e.{layer.component}") for layer in self.outputs)
        mean = "Outputs(*(part.mean(0) for part in e))"
        if self.timed:
            forward: tuple[str, ...] = (
                f"e, state = self.energies({x}, None, lengths, state)",
                f"e = {mean}",
                "return (e, state) if return_state else e",
            )
        else:
            forward = (f"e = self.energies({x})", f"return {mean}")
        body = [f"e = {self._passes()}"]
        for layer in self.outputs:
            body += self._log_prob(layer, f"e.{layer.component}", self.variable(f"log_{layer.component}"))
        total = " + ".join(self.variable(f"log_{layer.component}") for layer in self.outputs)
        return [
            Function(f"forward(self, {inputs}{self._streaming()})", forward, ("Energies of the outputs: their mean over the draws.",)),
            Function(f"expectation(self, {inputs}{lengths}) -> Outputs", (f"e = {self._passes()}", each("expectation", ".mean(0)"))),
            Function(
                f"sample(self, {inputs}, n: int = 1{lengths}) -> Outputs",
                (f"e = {self._passes(', Inference(1.0, sampled=True, draws=n)')}", each("draw")),
                ("n draws of the outputs, every node below drawn as well: each (n, batch, ...).",),
            ),
            Function(
                f"log_prob(self, {inputs}, {targets}{lengths}) -> Tensor",
                (*body, f"return ({total}).logsumexp(0) - math.log(len(e[0]))"),
                ("log P of all outputs together, (batch,): of the mean likelihood over the draws.",),
            ),
            Function(f"loss(self, {inputs}, {targets}{lengths}) -> Tensor", (f"return -self.log_prob({x}, {names}{passed}).mean()",)),
            Function(f"decode(self, {inputs}{lengths}) -> Outputs", (f"e = self({x}{passed})", f"return Outputs({modes})")),
        ]

    def _past(self) -> Function:
        # the argument has a name of its own: an input may be called `sizes`
        like = self.like.replace(self.program.inputs[0].name + ".new_zeros", "x.new_zeros")
        sizes = {item.name: item.features for item in self.program.inputs} | {la.name: la.features for la in self.program.layers()}
        entries = ", ".join(f'"{name}": ({steps}, {sizes[name]})' for name, steps in self.past.items())
        body = (
            f"sizes = {{{entries}}}",
            f"like = {like}",
            "return {name: like.new_zeros(*x.shape[:2], *size) for name, size in sizes.items()}",
        )
        return Function("past(self, x: Tensor) -> State", body, ("What came before the first step: nothing, and that contributes 0.",))


def _method(method: str, layer: Layer, writer: _Writer) -> str:
    if method != "draw":
        return method
    return state_draw(writer.law(layer.law)) if writer._drawn(layer) else "expectation"


def _grouped(stage: Stage) -> list[tuple[Layer, tuple[str, ...]]]:
    match stage:
        case Map():
            return [(stage.layer, ())]
        case Scan():
            group = tuple(layer.name for layer in stage.layers)
            return [(layer, group) for layer in stage.layers]
        case Repeat():
            return [pair for inner in stage.stages for pair in _grouped(inner)]


def _done(source: str, reader: str, group: tuple[str, ...]) -> bool:
    """Whether ``source`` has its value of this step when ``reader`` is computed."""
    return group.index(source) < group.index(reader)


def _chosen(inference: Inference, training: bool) -> str:
    """The arguments of ``Model.inference``."""
    match inference.method:
        case "feed_forward":
            return '"feed_forward"'
        case "sample" if training:
            return f'"sample", gradient="{inference.gradient}"'
        case "sample":
            return f'"sample", samples={inference.samples}'
        case "pcff":
            rate = number_text(inference.sample_rate)
            if inference.sample_rates:
                rate = "{" + ", ".join(f'"{name}": {number_text(value)}' for name, value in inference.sample_rates) + "}"
            return f'"pcff", {rate}, "{inference.gradient}"'


def _list(items: list[str]) -> str:
    if len(items) > 2 and len(set(items[1:])) == 1:
        return f"[{items[0]}, *({items[1]} for _ in range({len(items) - 1}))]"
    if len(items) > 2 and len(set(items)) == 1:
        return f"[{items[0]} for _ in range({len(items)})]"
    return f"[{', '.join(items)}]"
