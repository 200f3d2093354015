"""The whole program as a module of classes: node laws, layers, and the model that joins them."""

from __future__ import annotations

from cgc.derive.derivation import Derivation, Labels
from cgc.families.forms import FiniteExponential, Indicators
from cgc.program.ir import Input, Layer, Map, Program, Repeat, Scan, Stage, depth, layers_of
from cgc.spec.model import Inference
from cgc.targets.torch.code import Class, Function, Module, wrapped
from cgc.targets.torch.layers import LayerCode, drive_arguments, layer_class, step_arguments, stepwise_normalisation
from cgc.targets.torch.names import class_name, distinct
from cgc.targets.torch.nodes import node_class
from cgc.targets.torch.scalar import number_text

# the order in which fixed passages stand in a file
PARTS = (
    "normal_pdf", "normal_cdf", "normal_ramp", "log_normal_interval", "log_logistic_interval", "node", "soft_clamp", "states",
    "labels", "bernoulli_gate", "gaussian_gate", "elementwise", "masked", "batch_norm", "last", "shifted", "keep", "network",
)  # fmt: skip
_NEEDS = {"normal_ramp": ("normal_cdf", "normal_pdf"), "log_normal_interval": ("normal_cdf",)}


def network(program: Program, factorisation: str, doc: tuple[str, ...]) -> Module:
    """The module of ``program``. ``factorisation`` is the joint distribution as text, ``doc`` the file's first lines."""
    writer = _Writer(program, factorisation)
    return Module(doc, writer.parts(), tuple(writer.classes), writer.model())


class _Writer:
    """Collects classes while it goes over the program once."""

    def __init__(self, program: Program, factorisation: str) -> None:
        self.program = program
        self.factorisation = factorisation
        self.timed = program.steps is not None
        self.past = depth(program)
        self.taken = {"Model", "Node", "Stochastic", "Tensor", "BatchNorm", "Elementwise", "Masked", "SoftClamp", "States", "Labels"}
        self.taken |= {"BernoulliGate", "GaussianGate", "Outputs", "Network", "F", "nn", "torch", "math"}
        self.name = distinct(class_name(program.name), self.taken, "Model")
        self.needed: set[str] = {"node", "network"}
        self.classes: list[Class] = []
        self.law_classes = self._laws()
        self.codes = self._layers()
        self.given = {item.name: self._given(item) for item in program.inputs}
        self.outputs = [program.layer(name) for name in program.outputs]

    def law(self, name: str) -> Derivation:
        return self.program.law(name)

    def parts(self) -> tuple[str, ...]:
        needed = self.needed | {more for part in self.needed for more in _NEEDS.get(part, ())}
        return tuple(part for part in PARTS if part in needed)

    # ---- node laws and layers

    def _laws(self) -> dict[str, str]:
        layers = self.program.layers()
        names: dict[str, str] = {}
        for law in dict.fromkeys(layer.law for layer in layers):
            users = [layer for layer in layers if layer.law == law]
            name = distinct(class_name(law), self.taken, "Node")
            many = any(layer.size > 1 for layer in users)
            definition, helpers = node_class(name, self.law(law), many, any(layer.output for layer in users))
            self.needed.update(helpers)
            self.classes.append(definition)
            names[law] = name
        return names

    def _layers(self) -> dict[str, LayerCode]:
        codes: dict[str, LayerCode] = {}
        shared: dict[str, tuple[str, list[LayerCode]]] = {}
        for stage in self.program.stages:
            for layer, group in _grouped(stage):
                many_labels = isinstance(self.law(layer.law).sampling, Labels) and layer.size > 1
                doc = self._layer_doc(layer)
                wanted = class_name(layer.component)
                for name, known in (shared.get(layer.component, ("", []))[1] and [shared[layer.component]]) or []:
                    again = layer_class(known[0].definition.name, layer, self.law_classes[layer.law], "-2" * many_labels, group, self.timed, doc)
                    if again.definition == known[0].definition:
                        codes[layer.name] = again
                if layer.name in codes:
                    continue
                name = distinct(wanted, self.taken, "Layer")
                code = layer_class(name, layer, self.law_classes[layer.law], "-2" * many_labels, group, self.timed, doc)
                shared[layer.component] = (name, [code])
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

    def _given(self, item: Input) -> str:
        """The module that checks (and under `sample` draws) an input, as a constructor; empty if any number is valid."""
        law = self.law(item.law).law
        if isinstance(law, Indicators):
            embedded = all(c.product.kind == "embedding" for la in self.program.layers() for c in la.contributions if c.source == item.name)
            self.needed.add("labels")
            return f"Labels({law.labels}, {item.size}, one_hot={not embedded})"
        if isinstance(law, FiniteExponential):
            states = [number_text(float(state)) for state in law.support]
            if item.soft:
                self.needed.add("soft_clamp")
                low, high = sorted(law.support, key=float)
                return f"SoftClamp({number_text(float(low))}, {number_text(float(high))})"
            self.needed.add("states")
            return f"States({', '.join(states)})"
        return ""

    # ---- the model

    def model(self) -> Class:
        single = len(self.outputs) == 1
        methods = [self._init(), self._energies(), self._draws(), *(self._single() if single else self._several())]
        doc = wrapped(self.factorisation)
        return Class(self.name, "Network", doc, (), tuple(methods))

    def _init(self) -> Function:
        body = ["super().__init__()"]
        body += [f"self.{name} = {given}" for name, given in self.given.items() if given]
        stacks: dict[str, list[str]] = {}
        for layer in self.program.layers():
            code = self.codes[layer.name]
            built = f"{code.definition.name}({code.arguments})"
            if layer.index is None:
                body.append(f"self.{layer.component} = {built}")
            else:
                stacks.setdefault(layer.component, []).append(built)
        for component, built in stacks.items():
            body.append(f"self.{component} = nn.ModuleList({_list(built)})")
        body += [_chosen(self.program.train, "training=True"), _chosen(self.program.eval, "training=False")]
        return Function("__init__(self) -> None", tuple(body))

    def _inputs(self, annotated: bool = True) -> str:
        return ", ".join(f"{item.name}: Tensor" if annotated else item.name for item in self.program.inputs)

    def _energies(self) -> Function:
        inputs, first = self.program.inputs, self.program.inputs[0].name
        body: list[str] = []
        if self.timed:
            if self.past:
                body.append(f"past = self.past({first}) if past is None else past")
                body.append("kept = {}")
            if self._masks():
                body.append(f"valid = None if lengths is None else torch.arange({first}.shape[1], device={first}.device) < lengths[:, None]")
        names = {item.name: item.name for item in inputs}
        for item in inputs:
            axis = 2 if self.timed else 1
            flat = f".flatten({axis})" if len(item.nodes) > 1 else ""
            if self.given[item.name]:
                body.append(f"{item.name} = self.{item.name}({item.name}{flat})")
            elif flat:
                body.append(f"{item.name} = {item.name}{flat}")
            if item.name in self.past:
                body.append(f'kept["{item.name}"] = keep(past["{item.name}"], {item.name})')
                self.needed.add("keep")
        results: list[str] = []
        for stage in self.program.stages:
            body += self._stage(stage, names, results)
        value = results[0] if len(results) == 1 else f"Outputs({', '.join(results)})"
        kind = "Tensor" if len(self.outputs) == 1 else "Outputs"
        if not self.timed:
            body.append(f"return {value}")
            return Function(f"energies(self, {self._inputs()}) -> {kind}", tuple(body), ("One pass: the energies of the output.",))
        body.append(f"return {value}, {'kept' if self.past else '{}'}")
        signature = f"energies(self, {self._inputs()}, lengths: Tensor | None = None, past: State | None = None) -> tuple[{kind}, State]"
        return Function(signature, tuple(body), ("One pass: the energies of the output, and the last values that a next pass needs.",))

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
                    variable = layer.component if len(self.outputs) == 1 else f"e_{layer.component}"
                    results.append(call if len(self.outputs) == 1 else variable)
                    return [] if len(self.outputs) == 1 else [f"{variable} = {call}"]
                return self._assign(layer, call, names)
            case Scan() if len(stage.layers) == 1 and not self._stepped(stage.layers[0], stage):
                layer = stage.layers[0]
                call = f"{self._module(layer)}({', '.join(self._arguments(layer, names))})"
                return self._assign(layer, call, names)
            case Scan():
                return self._scan(stage, names)

    def _assign(self, layer: Layer, call: str, names: dict[str, str]) -> list[str]:
        variable = layer.name.replace(".", "_")
        names[layer.name] = variable
        lines = [f"{variable} = {call}"]
        if layer.name in self.past:
            self.needed.add("keep")
            lines.append(f'kept["{layer.name}"] = keep(past["{layer.name}"], {variable})')
        return lines

    def _module(self, layer: Layer) -> str:
        return f"self.{layer.component}" if layer.index is None else f"self.{layer.component}[{layer.index}]"

    def _stepped(self, layer: Layer, stage: Scan) -> bool:
        return any(method.signature.startswith("step(") for method in self.codes[layer.name].definition.methods)

    def _value(self, source: str, lag: int, last: bool, names: dict[str, str]) -> str:
        """A parent's features as its child reads them: shifted in time, or at the last valid step."""
        layers = {layer.name: layer for layer in self.program.layers()}
        text = names[source]
        if lag:
            self.needed.add("shifted")
            text = f'shifted({text}, past["{source}"], {lag})'
        if last and not (source in layers and layers[source].last):
            self.needed.add("last")
            text = f"last({text}, lengths)"
        return text

    def _arguments(self, layer: Layer, names: dict[str, str]) -> list[str]:
        known = [c for c in layer.contributions if c.source != layer.name]
        values = [self._value(c.source, c.lag, self.timed and layer.last, names) for c in known]
        reads_itself = len(known) < len(layer.contributions)
        if reads_itself:
            if not known:
                values.append(f"{self.program.inputs[0].name}.shape[1]")
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
            lines.append(f'    kept[f"{stage.component}.{{k}}"] = keep(past[f"{stage.component}.{{k}}"], {variable})')
        else:
            lines.append(f"for layer in self.{stage.component}:")
            lines.append(f"    {variable} = layer({', '.join(arguments)})")
        names[layers[-1].name] = variable
        return lines

    def _scan(self, stage: Scan, names: dict[str, str]) -> list[str]:
        """A loop over time that several components share."""
        group = tuple(layer.name for layer in stage.layers)
        lines = []
        variable = {layer.name: layer.name.replace(".", "_") for layer in stage.layers}
        like = self.program.inputs[0].name
        for layer in stage.layers:
            known = drive_arguments(layer, group)
            masked = layer.normalised != "no" and not stepwise_normalisation(layer, group)
            values = [self._value(c.source, c.lag, False, names) for c in known] or [like]
            values += ["valid"] if masked and known else []
            lines.append(f"{variable[layer.name]}_drive = {self._module(layer)}.drive({', '.join(values)})")
        reach = {name: self.past.get(name, 0) for name in group}
        for name in group:
            start = f'list(past["{name}"].unbind(1))' if reach[name] else "[]"
            lines.append(f"{variable[name]} = {start}")
        lines.append(f"for t in range({like}.shape[1]):")
        for layer in stage.layers:
            values = [f"{variable[layer.name]}_drive[:, t]"]
            for c in step_arguments(layer, group):
                if c.source in group:
                    values.append(f"{variable[c.source]}[{-1 - c.lag if _done(c.source, layer.name, group) else -c.lag}]")
                else:
                    values.append(f"{self._value(c.source, c.lag, False, names)}[:, t]")
            lines.append(f"    {variable[layer.name]}.append({self._module(layer)}.step({', '.join(values)}))")
        for name in group:
            own = variable[name]
            begin = f"[{reach[name]}:]" if reach[name] else ""
            lines.append(f"{own} = torch.stack({own}{begin}, 1)")
            names[name] = own
            if name in self.past:
                self.needed.add("keep")
                lines.append(f'kept["{name}"] = keep(past["{name}"], {own})')
        return lines

    # ---- what follows from the energies

    def _shape(self, layer: Layer) -> str:
        sizes = ["batch"]
        if self.timed and not layer.last:
            sizes.append("time")
        sizes += [str(layer.labels)] if layer.labels else []
        sizes += [str(extent) for extent in layer.nodes] if layer.size > 1 or not layer.labels else []
        return f"({', '.join(sizes)})"

    def _draws(self) -> Function:
        items = [item.name for item in self.program.inputs]
        first = items[0]
        repeated = ", ".join(f"{name}.expand(n, *{name}.shape).flatten(0, 1)" for name in items)
        body = ["n = self.draw_count[self.training]"]
        if self.timed:
            body.append("lengths = None if lengths is None else lengths.repeat(n)")
            body.append(f"e, state = self.energies({repeated}, lengths, state)")
            split = f"e.unflatten(0, (n, len({first})))"
            if len(self.outputs) > 1:
                split = f"Outputs(*(part.unflatten(0, (n, len({first}))) for part in e))"
            body.append(f"return {split}, state")
            kind = "Tensor" if len(self.outputs) == 1 else "Outputs"
            signature = f"draws(self, {self._inputs()}, lengths: Tensor | None = None, state: State | None = None) -> tuple[{kind}, State]"
        else:
            if len(self.outputs) > 1:
                body.append(f"e = self.energies({repeated})")
                body.append(f"return Outputs(*(part.unflatten(0, (n, len({first}))) for part in e))")
            else:
                body.append(f"return self.energies({repeated}).unflatten(0, (n, len({first})))")
            signature = f"draws(self, {self._inputs()}) -> {'Tensor' if len(self.outputs) == 1 else 'Outputs'}"
        return Function(signature, tuple(body), ("The energies of every draw, (draws, batch, ...); one, unless evaluation samples.",))

    def _call(self, name: str = "draws") -> str:
        return f"self.{name}({self._inputs(False)}{', lengths' if self.timed else ''})"

    def _extra(self) -> str:
        return ", lengths: Tensor | None = None" if self.timed else ""

    def _target(self, layer: Layer, energies: str) -> str:
        """The observed value, in the shape of a likelihood over all draws."""
        name = layer.component
        if layer.labels:
            return f"{name}.expand(len({energies}), *{name}.shape)"
        return f"{name}.to({energies}.dtype).reshape({energies}.shape[1:]).expand_as({energies})"

    def _log_terms(self, layer: Layer, energies: str) -> list[str]:
        node = f"self.{layer.component}.node"
        text = f"{node}.log_prob({self._target(layer, energies)}, {energies})"
        lines = [f"log_p = {text}"]
        if self.timed and not layer.last:
            first = self.program.inputs[0].name
            lines += [
                "if lengths is not None:",
                f"    valid = torch.arange({first}.shape[1], device={first}.device) < lengths[:, None]",
                f"    log_p = log_p.reshape(*{energies}.shape[:3], -1).where(valid[..., None], 0)",
            ]
        lines.append(f"log_p = log_p.reshape(*{energies}.shape[:2], -1).sum(2)")
        return lines

    def _single(self) -> list[Function]:
        (layer,) = self.outputs
        y, node = layer.component, f"self.{layer.component}.node"
        first = self.program.inputs[0].name
        methods = []
        shape = self._shape(layer)
        if self.timed:
            streaming = ", lengths: Tensor | None = None, state: State | None = None, return_state: bool = False"
            methods.append(
                Function(
                    f"forward(self, {self._inputs()}{streaming})",
                    (
                        f"e, state = self.draws({self._inputs(False)}, lengths, state)",
                        "return (e.mean(0), state) if return_state else e.mean(0)",
                    ),
                    (f"Energies of {y}, {shape}: their mean over the draws. `state` continues an earlier call.",),
                )
            )
            draws = f"{self._call()}[0]"
        else:
            methods.append(
                Function(f"forward(self, {self._inputs()}) -> Tensor", ("return " + self._call() + ".mean(0)",),
                         (f"Energies of {y}, {shape}: their mean over the draws.",))
            )  # fmt: skip
            draws = self._call()
        extra = self._extra()
        methods.append(
            Function(f"expectation(self, {self._inputs()}{extra}) -> Tensor", (f"return {node}.expectation({draws}).mean(0)",),
                     (f"E[T({y}) | {self._inputs(False)}], the mean over the draws.",))
        )  # fmt: skip
        energies = f"self.energies({self._repeated()}{', None if lengths is None else lengths.repeat(n)' if self.timed else ''})"
        methods.append(
            Function(
                f"sample(self, {self._inputs()}, n: int = 1{extra}) -> Tensor",
                (
                    "chosen = dict(self.chosen)",
                    "try:",
                    '    self.inference("sample")',
                    f"    e = {energies}{'[0]' if self.timed else ''}",
                    f"    return {node}.sample(e).unflatten(0, (n, len({first})))",
                    "finally:",
                    "    for training, settings in chosen.items():",
                    "        self.inference(*settings, training=training)",
                ),
                (f"n joint draws of every node given {self._inputs(False)}: those of {y}, (n, batch, ...).",),
            )
        )
        methods.append(
            Function(
                f"log_prob(self, {self._inputs()}, {y}: Tensor{extra}) -> Tensor",
                (f"e = {draws}", *self._log_terms(layer, "e"), "return log_p.logsumexp(0) - math.log(len(e))"),
                (f"log P({y} | {self._inputs(False)}), (batch,): of the mean likelihood over the draws.",),
            )
        )
        methods.append(
            Function(
                f"loss(self, {self._inputs()}, {y}: Tensor{extra}) -> Tensor",
                (f"return -self.log_prob({self._inputs(False)}, {y}{', lengths' if self.timed else ''}).mean()",),
                (f"Mean of -log P({y} | {self._inputs(False)}) over the batch.",),
            )
        )
        methods.append(
            Function(
                f"decode(self, {self._inputs()}{extra}) -> Tensor",
                (f"return {node}.mode(self({self._inputs(False)}{', lengths' if self.timed else ''}))",),
                (f"The most probable {y}.",),
            )
        )
        if self.past:
            methods.insert(0, self._past())
        return methods

    def _repeated(self) -> str:
        return ", ".join(f"{item.name}.expand(n, *{item.name}.shape).flatten(0, 1)" for item in self.program.inputs)

    def _past(self) -> Function:
        first = self.program.inputs[0].name
        layers = {layer.name: layer for layer in self.program.layers()}
        sizes = {item.name: item.features for item in self.program.inputs} | {name: layer.features for name, layer in layers.items()}
        entries = [f'"{name}": ({steps}, {sizes[name]})' for name, steps in self.past.items()]
        body = (
            f"sizes = {_mapping(entries)}",
            f"like = next(self.parameters())",
            f"return {{name: like.new_zeros(len({first}), *size) for name, size in sizes.items()}}",
        )
        return Function(
            f"past(self, {first}: Tensor) -> State", body,
            ("What came before the first step: nothing, and that contributes 0. Component -> (batch, steps, features).",),
        )  # fmt: skip

    def _several(self) -> list[Function]:
        """Several outputs: the same methods, over a named tuple."""
        inputs, bare, extra = self._inputs(), self._inputs(False), self._extra()
        first = self.program.inputs[0].name
        targets = ", ".join(f"{layer.component}: Tensor" for layer in self.outputs)
        names = ", ".join(layer.component for layer in self.outputs)
        passed = ", lengths" if self.timed else ""
        draws = self._call() + ("[0]" if self.timed else "")

        def each(method: str, energies: str, after: str = "") -> str:
            return ", ".join(f"self.{la.component}.node.{method}({energies}.{la.component}){after}" for la in self.outputs)

        methods = [self._past()] if self.past else []
        if self.timed:
            methods.append(
                Function(
                    f"forward(self, {inputs}, lengths: Tensor | None = None, state: State | None = None, return_state: bool = False)",
                    (
                        f"draws, state = self.draws({bare}, lengths, state)",
                        "e = Outputs(*(part.mean(0) for part in draws))",
                        "return (e, state) if return_state else e",
                    ),
                    ("Energies of the outputs: their mean over the draws. `state` continues an earlier call.",),
                )
            )
        else:
            methods.append(
                Function(f"forward(self, {inputs}) -> Outputs", (f"return Outputs(*(part.mean(0) for part in {draws}))",),
                         ("Energies of the outputs: their mean over the draws.",))
            )  # fmt: skip
        methods.append(
            Function(f"expectation(self, {inputs}{extra}) -> Outputs", (f"e = {draws}", f"return Outputs({each('expectation', 'e', '.mean(0)')})"))
        )
        energies = f"self.energies({self._repeated()}{', None if lengths is None else lengths.repeat(n)' if self.timed else ''})"
        methods.append(
            Function(
                f"sample(self, {inputs}, n: int = 1{extra}) -> Outputs",
                (
                    "chosen = dict(self.chosen)",
                    "try:",
                    '    self.inference("sample")',
                    f"    e = {energies}{'[0]' if self.timed else ''}",
                    f"    draws = Outputs({each('sample', 'e')})",
                    f"    return Outputs(*(part.unflatten(0, (n, len({first}))) for part in draws))",
                    "finally:",
                    "    for training, settings in chosen.items():",
                    "        self.inference(*settings, training=training)",
                ),
                ("n joint draws of every node: those of the outputs, each (n, batch, ...).",),
            )
        )
        body = [f"e = {draws}", "total = 0.0"]
        for layer in self.outputs:
            body += [*self._log_terms(layer, f"e.{layer.component}"), "total = total + log_p"]
        body.append("return total.logsumexp(0) - math.log(len(e[0]))")
        methods.append(
            Function(f"log_prob(self, {inputs}, {targets}{extra}) -> Tensor", tuple(body), ("log P of all outputs together, (batch,).",))
        )
        methods.append(
            Function(f"loss(self, {inputs}, {targets}{extra}) -> Tensor", (f"return -self.log_prob({bare}, {names}{passed}).mean()",))
        )
        methods.append(
            Function(f"decode(self, {inputs}{extra}) -> Outputs", (f"e = self({bare}{passed})", f"return Outputs({each('mode', 'e')})"))
        )
        return methods


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


def _chosen(inference: Inference, mode: str) -> str:
    match inference.method:
        case "feed_forward":
            return f'self.inference("feed_forward", {mode})'
        case "sample":
            samples = f"samples={inference.samples}, " if mode.endswith("False") else ""
            gradient = f'gradient="{inference.gradient}", ' if mode.endswith("True") else ""
            return f'self.inference("sample", {gradient}{samples}{mode})'
        case "pcff":
            rate = number_text(inference.sample_rate)
            if inference.sample_rates:
                rate = "{" + ", ".join(f'"{name}": {number_text(value)}' for name, value in inference.sample_rates) + "}"
            return f'self.inference("pcff", {rate}, "{inference.gradient}", {mode})'


def _list(items: list[str]) -> str:
    if len(items) > 2 and len(set(items[1:])) == 1:
        return f"[{items[0]}, *({items[1]} for _ in range({len(items) - 1}))]"
    if len(items) > 2 and len(set(items)) == 1:
        return f"[{items[0]} for _ in range({len(items)})]"
    return f"[{', '.join(items)}]"


def _mapping(entries: list[str]) -> str:
    return "{" + ", ".join(entries) + "}"


