"""One pass through the network as a method: inputs, stages, loops over time, and what came before the first step."""

from __future__ import annotations

from cgc.families.forms import FiniteExponential, Indicators
from cgc.program.ir import Input, Layer, Map, Repeat, Scan, Stage, layers_of
from cgc.program.loops import before, in_steps, normalised_in_steps, reads_itself_alone
from cgc.targets.torch.blocks import Blocks
from cgc.targets.torch.code import Function
from cgc.targets.torch.layers import drive_needs_inference, needs_inference
from cgc.targets.torch.scalar import number_text


def passes(blocks: Blocks) -> list[Function]:
    """The methods ``energies`` and, where something is read with a lag, ``past``. Notes in ``blocks`` which passages they need."""
    writer = _Pass(blocks)
    return [writer._energies(), *([writer._past()] if blocks.past else [])]


class _Pass:
    """Writes one pass."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    def _energies(self) -> Function:
        inputs, first = self.blocks.program.inputs, self.blocks.program.inputs[0].name
        body: list[str] = ["how = how or self.how[self.training]"]
        names = {item.name: item.name for item in inputs}
        for item in inputs:
            body += self._given(item)
        if self.blocks.timed and self.blocks.past:
            body += [f"past = self.past({first}) if past is None else past", "kept = {}"]
        if self._masks():
            body.append(f"steps = torch.arange({first}.shape[2], device={first}.device)")
            body.append(f"valid = None if lengths is None else (steps < lengths[:, None]).expand({first}.shape[:3])")
        for item in inputs:
            body += self._keep(item.name, item.name)
        results: list[str] = []
        for stage in self.blocks.program.stages:
            body += self._stage(stage, names, results)
        several = len(results) > 1
        value, kind = (f"Outputs({', '.join(results)})", "Outputs") if several else (results[0], "Tensor")
        doc = f"Energies of every draw, {'or their mean and variance, ' if self.blocks.moments else ''}" + (
            "(draws, batch, ...)." if several else self.blocks.shape(self.blocks.outputs[0]).replace("(batch", "(draws, batch") + "."
        )
        if not self.blocks.timed:
            return Function(
                f"energies(self, {self.blocks.inputs()}, how: Inference | None = None) -> {kind}", (*body, f"return {value}"), (doc,)
            )
        signature = f"energies(self, {self.blocks.inputs()}, how: Inference | None = None, lengths=None, past: State | None = None)"
        return Function(
            signature, (*body, f"return {value}, {'kept' if self.blocks.past else '{}'}"), (doc[:-1] + ", and the last steps.",)
        )

    def _past(self) -> Function:
        # the argument has a name of its own: an input may be called `sizes`
        like = self.blocks.like.replace(self.blocks.program.inputs[0].name + ".new_zeros", "x.new_zeros")
        sizes = {item.name: item.features for item in self.blocks.program.inputs} | {
            la.name: la.features for la in self.blocks.program.layers()
        }
        entries = ", ".join(f'"{name}": ({steps}, {sizes[name]})' for name, steps in self.blocks.past.items())
        body = (
            f"sizes = {{{entries}}}",
            f"like = {like}",
            "return {name: like.new_zeros(*x.shape[:2], *size) for name, size in sizes.items()}",
        )
        return Function("past(self, x: Tensor) -> State", body, ("What came before the first step: nothing, and that contributes 0.",))

    def _given(self, item: Input) -> list[str]:
        """Lines that check an input and bring it to (draws, batch, ..., features)."""
        law, name = self.blocks.law(item.law).law, item.name
        shaped = len(item.nodes) > 1 and (item.labels is None or item.size > 1)
        flat = f".flatten({2 if self.blocks.timed else 1})" if shaped else ""
        lines = [f"{name} = {name}{flat}.expand(how.draws, *{name}{flat}.shape)"] if not flat else [
            f"{name} = {name}{flat}", f"{name} = {name}.expand(how.draws, *{name}.shape)"]  # fmt: skip
        if isinstance(law, Indicators):
            embedded = all(
                c.product.kind == "embedding" for la in self.blocks.program.layers() for c in la.contributions if c.source == name
            )
            self.blocks.needed.add("labels")
            lines.append(f"how.check_labels({name}, {law.labels})")
            if not embedded:
                self.blocks.needed.add("one_hot")
                lines.append(f"{name} = one_hot({name}, {law.labels}, {item.size}).to({self.blocks.like}.dtype)")
        elif isinstance(law, FiniteExponential) and item.soft:
            self.blocks.needed.add("soft_clamp")
            low, high = sorted(law.support, key=float)
            bounds = f"{number_text(float(low))}, {number_text(float(high))}"
            if flat:
                lines.append(f"{name} = how.soft_clamp({name}, {bounds})")
            else:
                lines = [f"{name} = how.soft_clamp({name}.expand(how.draws, *{name}.shape), {bounds})"]
        elif isinstance(law, FiniteExponential):
            self.blocks.needed.add("states")
            states = ", ".join(number_text(float(state)) for state in law.support)
            lines.append(f"how.check_states({name}, {states})")
        if self.blocks.moments and not item.soft:
            self.blocks.needed.add("given")
            lines.append(f"{name} = how.given({name})")
        return lines

    def _masks(self) -> bool:
        return self.blocks.timed and any(layer.over_batch and not layer.last for layer in self.blocks.program.layers())

    def _keep(self, name: str, variable: str) -> list[str]:
        """Lines that put a component's last steps aside, if a later call needs them."""
        if name not in self.blocks.past:
            return []
        self.blocks.needed.add("keep")
        return [f'kept["{name}"] = keep(past["{name}"], {variable}, lengths)']

    def _stage(self, stage: Stage, names: dict[str, str], results: list[str]) -> list[str]:
        match stage:
            case Repeat():
                return self._repeat(stage, names)
            case Map():
                layer = stage.layer
                call = f"{self._module(layer)}({', '.join(self._arguments(layer, names))})"
                if layer.output:
                    variable = layer.component if len(self.blocks.outputs) == 1 else self.blocks.variable(f"e_{layer.component}")
                    results.append(call if len(self.blocks.outputs) == 1 else variable)
                    return [] if len(self.blocks.outputs) == 1 else [f"{variable} = {call}"]
                return self._assign(layer, call, names)
            case Scan() if reads_itself_alone(stage.layers[0], (stage.layers[0].name,)) and len(stage.layers) == 1:
                layer = stage.layers[0]
                call = f"{self._module(layer)}({', '.join(self._arguments(layer, names))})"
                return self._assign(layer, call, names)
            case Scan():
                return self._scan(stage, names)

    def _assign(self, layer: Layer, call: str, names: dict[str, str]) -> list[str]:
        variable = names[layer.name] = self.blocks.variables[layer.name]
        return [f"{variable} = {call}", *self._keep(layer.name, variable)]

    def _module(self, layer: Layer) -> str:
        return f"self.{layer.component}" if layer.index is None else f"self.{layer.component}[{layer.index}]"

    def _value(self, source: str, lag: int, last: bool, names: dict[str, str]) -> str:
        """A parent's features as its child reads them: shifted in time, or at the last valid step."""
        text = names[source]
        if lag:
            self.blocks.needed.add("shifted")
            text = f'shifted({text}, past["{source}"], {lag})'
        if last and source not in self.blocks.last:
            self.blocks.needed.add("last")
            text = f"last({text}, lengths)"
        return text

    def _how(self, layer: Layer) -> list[str]:
        if not needs_inference(layer, self.blocks.drawn(layer), self.blocks.moments):
            return []
        if not self.blocks.rated():
            return ["how"]
        self.blocks.needed.add("at")
        return [f'how.at("{layer.component}")']

    def _arguments(self, layer: Layer, names: dict[str, str]) -> list[str]:
        known = [c for c in layer.contributions if c.source != layer.name]
        values = [self._value(c.source, c.lag, self.blocks.timed and layer.last, names) for c in known]
        reads_itself = len(known) < len(layer.contributions)
        if reads_itself and not known:
            values.append(f"{self.blocks.program.inputs[0].name}.shape[2]")
        values += self._how(layer)
        if reads_itself:
            values.append(f'past["{layer.name}"]')
        if self.blocks.timed and layer.over_batch and not layer.last:
            values.append("valid")
        return values

    def _repeat(self, stage: Repeat, names: dict[str, str]) -> list[str]:
        layers = [layer for inner in stage.stages for layer in layers_of(inner)]
        head = layers[0]
        chained = next(c for c in head.contributions if c.name == stage.chained)
        variable = stage.component
        lines = [f"{variable} = {names[chained.source]}"] if names[chained.source] != variable else []
        inner_names = dict(names) | {chained.source: variable}
        stateful = head.name in self.blocks.past
        arguments = self._arguments(head, inner_names)
        if stateful:
            arguments = [a.replace(f'past["{head.name}"]', f'past[f"{stage.component}.{{k}}"]') for a in arguments]
            self.blocks.needed.add("keep")
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
        own = {layer.name: self.blocks.variables[layer.name] for layer in stage.layers}
        drives: dict[str, str] = {}
        for layer in stage.layers:
            known = before(layer, group)
            if not known:
                continue
            values = [self._value(c.source, c.lag, False, names) for c in known]
            values += ["how"] if drive_needs_inference(known, self.blocks.moments) else []
            values += ["valid"] if layer.over_batch and not normalised_in_steps(layer, group) else []
            drives[layer.name] = self.blocks.variable(f"{own[layer.name]}_drive")
            lines.append(f"{drives[layer.name]} = {self._module(layer)}.drive({', '.join(values)})")
        for name in group:
            start = f'list(past["{name}"].unbind(-2))' if name in self.blocks.past else "[]"
            lines.append(f"{own[name]} = {start}")
        lines.append(f"for t in range({self.blocks.program.inputs[0].name}.shape[2]):")
        if any(layer.over_batch and normalised_in_steps(layer, group) for layer in stage.layers):
            lines.append("    now = None if valid is None else valid[..., t]")
        for layer in stage.layers:
            values = [f"{drives[layer.name]}[..., t, :]"] if layer.name in drives else []
            for c in in_steps(layer, group):
                if c.source in group:
                    values.append(f"{own[c.source]}[{-1 - c.lag if _done(c.source, layer.name, group) else -c.lag}]")
                else:
                    values.append(f"{self._value(c.source, c.lag, False, names)}[..., t, :]")
            values += self._how(layer)
            values += ["now"] if layer.over_batch and normalised_in_steps(layer, group) else []
            lines.append(f"    {own[layer.name]}.append({self._module(layer)}.step({', '.join(values)}))")
        for name in group:
            begin = f"[{self.blocks.past[name]}:]" if name in self.blocks.past else ""
            lines.append(f"{own[name]} = torch.stack({own[name]}{begin}, -2)")
            names[name] = own[name]
            lines += self._keep(name, own[name])
        return lines


def _done(source: str, reader: str, group: tuple[str, ...]) -> bool:
    """Whether ``source`` has its value of this step when ``reader`` is computed."""
    return group.index(source) < group.index(reader)
