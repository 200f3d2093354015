"""What a scope computes, as lines: stage after stage, loops over time, and what is put aside for a later call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cgc.kernels.plan import CellKernel
from cgc.program.energies import local
from cgc.program.ir import Layer, Map, Module, Refine, Repeat, Scan, Stage, layers_of
from cgc.program.loops import before, in_steps, normalised_in_steps
from cgc.targets.torch.blocks import Blocks
from cgc.targets.torch.layers import drive_needs_inference, finish, needs_inference, step_energy
from cgc.targets.torch.maps import flattened
from cgc.targets.torch.names import distinct
from cgc.targets.torch.reads import reads
from cgc.targets.torch.scopes import Scope, inner_key, loops_alone, refine_reads
from cgc.targets.torch.terms import MomentTerms, Terms


class Body:
    """Writes the lines of one scope. ``names`` are the features known so far, as expressions; ``steps`` is how many steps there are."""

    def __init__(self, blocks: Blocks, scope: Scope, names: Mapping[str, str], steps: str, taken: Sequence[str] = ()) -> None:
        self.blocks, self.scope, self.names, self.steps = blocks, scope, dict(names), steps
        self.taken = {*taken}
        self.results: dict[str, str] = {}

    def lines(self, stages: Sequence[Stage]) -> list[str]:
        """The lines of the stages. Energies of outputs come into ``results``."""
        return [line for stage in stages for line in self._stage(stage)]

    def value(self, source: str, lag: int, last: bool = False) -> str:
        """A parent's features as its child reads them: shifted in time, or at the last valid step."""
        text = self.names[source]
        if lag:
            self.blocks.needed.add("shifted")
            text = f'shifted({text}, past["{self.scope.relative(source)}"], {lag})'
        if last and source not in self.blocks.last:
            self.blocks.needed.add("last")
            text = f"last({text}, lengths)"
        return text

    def keep(self, name: str) -> list[str]:
        """Lines that put a component's last steps aside, if a later call needs them."""
        key = self.scope.relative(name)
        if key not in self.scope.state:
            return []
        self.blocks.needed.add("keep")
        return [f'kept["{key}"] = keep(past["{key}"], {self.names[name]}, lengths)']

    # ---- names

    def variable(self, name: str) -> str:
        """The variable of a layer."""
        if not self.scope.name:
            return self.blocks.variables[name]
        found = self.names.get(name)
        return found if found is not None else distinct(self.scope.relative(name).replace(".", "_"), self.taken, "_")

    def module(self, name: str) -> str:
        """The module of a layer, or of a module, as an expression."""
        first, *rest = self.scope.relative(name).split(".")
        return f"self.{first}" + "".join(f"[{word}]" if word.isdecimal() else f'["{word}"]' for word in rest)

    # ---- stages

    def _stage(self, stage: Stage) -> list[str]:
        match stage:
            case Repeat():
                return self._repeat(stage)
            case Map():
                return self._map(stage.layer)
            case Scan() if loops_alone(stage):
                (layer,) = stage.layers
                return self._assign(layer.name, f"{self.module(layer.name)}({', '.join(self._arguments(layer))})")
            case Scan():
                return self._scan(stage)
            case Module() | Refine():
                return self._inner(stage)

    def _map(self, layer: Layer) -> list[str]:
        last = self.blocks.timed and layer.last
        if self.blocks.inlined(layer):
            values = {
                (read.source, read.lag): self.value(read.source, read.lag, last) + self._flattened(layer, read.source)
                for read in reads(layer.contributions)
            }
            return self._assign(layer.name, self._inline(layer, (), values))
        call = f"{self.module(layer.name)}({', '.join(self._by_name(layer.name, self._arguments(layer)))})"
        if not layer.output:
            return self._assign(layer.name, call)
        if len(self.blocks.outputs) == 1:
            self.results[layer.name] = call
            return []
        variable = self.blocks.variable(f"e_{layer.component}")
        self.results[layer.name] = variable
        return [f"{variable} = {call}"]

    def _inline(self, layer: Layer, group: tuple[str, ...], values: Mapping[tuple[str, int], str]) -> str:
        """A layer without weights as an expression."""
        terms = MomentTerms(layer) if self.blocks.moments else Terms(layer, self.blocks.merged, self.blocks.maps)
        energy = step_energy(terms, group, (), values, False) if group else terms.energy(layer.contributions, values, False)
        how = self._how(layer)
        self.blocks.needed.update(terms.parts, (f"{c.dropout.kind}_gate" for c in layer.contributions if c.dropout))
        if self.blocks.copies_energy(layer):
            return energy
        (line,) = finish(terms, energy, self.blocks.law_call(layer), self.blocks.drawn(layer), how[0] if how else "how")
        self.blocks.needed.update(terms.parts)
        return line.removeprefix("return ")

    def _assign(self, name: str, call: str) -> list[str]:
        self.names[name] = self.variable(name)
        return [f"{self.names[name]} = {call}", *self.keep(name)]

    def _how(self, layer: Layer) -> list[str]:
        if not needs_inference(layer, self.blocks.drawn(layer), self.blocks.moments):
            return []
        if not self.blocks.rated():
            return ["how"]
        self.blocks.needed.add("at")
        return [f'how.at("{layer.component}")']

    def _flattened(self, layer: Layer, source: str) -> str:
        """What is done to features before the layer reads them."""
        return flattened(self.blocks.maps, layer.contributions, layer.name in self.blocks.maps, source)

    def _arguments(self, layer: Layer, flat: str = "") -> list[str]:
        """``flat`` is what is flattened in any case."""
        known = [read for read in reads(layer.contributions) if read.source != layer.name]
        values = [
            self.value(read.source, read.lag, self.blocks.timed and layer.last)
            + (".flatten(1)" if read.source == flat else self._flattened(layer, read.source))
            for read in known
        ]
        reads_itself = any(c.source == layer.name for c in layer.contributions)
        if reads_itself and not known:
            values.append(self.steps)
        values += self._how(layer)
        if reads_itself:
            values.append(f'past["{self.scope.relative(layer.name)}"]')
        if self.blocks.scopes.masks(layer):
            values.append("valid")
        return values

    def _by_name(self, name: str, values: list[str]) -> list[str]:
        """What is no parent, by its name where parents are as many as there are."""
        if name not in self.blocks.summed:
            return values
        return [f"how={v}" if v.startswith("how") else "valid=valid" if v == "valid" else v for v in values]

    def _beside(self, scope: Scope, key: str) -> list[str]:
        """What a scope inside is given beside values."""
        values = ["how"] if scope.how else []
        values += [f"past[{key}]"] if scope.stateful else []
        values += ["valid"] if scope.valid else []
        return [*values, "lengths"] if scope.stateful else values

    def _inner(self, stage: Module | Refine) -> list[str]:
        """A call of a module, or of a refined layer."""
        name = stage.name if isinstance(stage, Module) else stage.layer.name
        given = [(a.source, a.lag) for a in stage.arguments] if isinstance(stage, Module) else refine_reads(stage)
        last = isinstance(stage, Refine) and self.blocks.timed and stage.layer.last
        outputs = stage.outputs if isinstance(stage, Module) else (stage.layer.name,)
        scope = self.blocks.scopes.found[name]
        key = f'"{self.scope.relative(inner_key(stage))}"'
        values = [self.value(source, lag, last) for source, lag in given] + self._beside(scope, key)
        for output in outputs:
            self.names[output] = self._output_variable(name if len(outputs) == 1 else output)
        variables = ", ".join(self.names[output] for output in outputs)
        if scope.stateful:
            variables = f"({variables}), kept[{key}]" if len(outputs) > 1 else f"{variables}, kept[{key}]"
        lines = [f"{variables} = {self.module(name)}({', '.join(self._by_name(name, values))})"]
        return lines + [line for output in outputs for line in self.keep(output)]

    def _output_variable(self, name: str) -> str:
        if not self.scope.name:
            return self.blocks.variables.setdefault(name, distinct(name.replace(".", "_"), set(self.blocks.variables.values()), "_"))
        return self.variable(name)

    def _repeat(self, stage: Repeat) -> list[str]:
        head = stage.stages[0]
        if isinstance(head, Module):
            scope = self.blocks.scopes.found[head.name]
            given = next(a.source for a in head.arguments if a.name == stage.chained)
            last = _output(stage.stages[-1])
        else:
            (layer,) = layers_of(head)
            scope = Scope(layer.name)
            given = next(c.source for c in layer.contributions if c.name == stage.chained)
            last = _output(stage.stages[-1])
        component = local(stage.component)
        variable = component if not self.scope.name else self.names.get(stage.component) or distinct(component, self.taken, "_")
        key = f'f"{self.scope.relative(stage.component)}.{{k}}"'
        if "." in self.scope.relative(stage.component):
            key = f'f"{component}.{{k}}"'
        lines = [f"{variable} = {self.names[given]}"] if self.names[given] != variable else []
        before_, self.names[given] = self.names[given], variable
        if isinstance(head, Module):
            values = [self.value(a.source, a.lag) for a in head.arguments] + self._beside(scope, key)
            stateful, kept = scope.stateful, []
        else:
            own = self.scope.relative(layer.name)
            # all layers of a stack are given what they read in the same shape
            chained = [
                (one, c.source) for part in stage.stages for one in layers_of(part) for c in one.contributions if c.name == stage.chained
            ]
            flat = given if any(self._flattened(one, source) for one, source in chained) else ""
            values = [a.replace(f'past["{own}"]', f"past[{key}]") for a in self._by_name(layer.name, self._arguments(layer, flat))]
            stateful = own in self.scope.state
            kept = [f"    kept[{key}] = keep(past[{key}], {variable}, lengths)"]
        self.names[given] = before_
        call = f"layer({', '.join(values)})"
        container = self.module(stage.component if not self.scope.name else f"{self.scope.name}.{component}")
        if stateful and kept:
            self.blocks.needed.add("keep")
            lines += [f"for k, layer in enumerate({container}):", f"    {variable} = {call}", *kept]
        elif stateful:
            lines += [f"for k, layer in enumerate({container}):", f"    {variable}, kept[{key}] = {call}"]
        else:
            lines += [f"for layer in {container}:", f"    {variable} = {call}"]
        self.names[last] = variable
        if not (stateful and kept):
            lines += self.keep(last)
        return lines

    def _scan(self, stage: Scan) -> list[str]:
        """A loop over time that several components share."""
        group = tuple(layer.name for layer in stage.layers)
        own = {layer.name: self.variable(layer.name) for layer in stage.layers}
        drives = {layer.name: self._drive(layer, group) for layer in stage.layers if before(layer, group)}
        outside = {source for layer in self.blocks.program.layers() if layer.name not in group for source, _ in layer.sources}
        kept = [name for name in group if name in outside or self.scope.relative(name) in self.scope.state]
        beside = dict.fromkeys(
            (read.source, read.lag) for layer in stage.layers for read in reads(in_steps(layer, group)) if read.source not in group
        )
        starts, ends = [], []
        for name in kept:
            key = self.scope.relative(name)
            starts.append(f'{own[name]} = list(past["{key}"].unbind(-2))' if key in self.scope.state else f"{own[name]} = []")
            steps = self.scope.state.get(key, (0, 0))[0]
            ends.append(f"{own[name]} = torch.stack({own[name]}{f'[{steps}:]' if steps else ''}, -2)")
        fused = self.blocks.cell(group, {name: f"{self.scope.relative(name)}." for name in group})
        if fused is None:
            # a step is taken from what is unbound once, as the derivative of every indexed step would be as long as all
            known = {name: self._local(f"{own[name]}_drive") for name in drives}
            lines = [f"{known[name]} = {drive}.unbind(-2)" for name, drive in drives.items()]
            lines += [*starts, f"for t in range({self.steps}):"]
            if any(layer.over_batch and normalised_in_steps(layer, group) for layer in stage.layers):
                lines.append("    now = None if valid is None else valid[..., t]")
            values = {read: f"{self.value(*read)}[..., t, :]" for read in beside}
            lines += self._steps(stage.layers, {name: f"{known[name]}[t]" for name in drives}, own, kept, values)
            lines += ends
        else:
            lines = self._fused_scan(stage.layers, fused, drives, own, kept, (starts, ends))
        for name in kept:
            self.names[name] = own[name]
            lines += self.keep(name)
        return lines

    def _fused_scan(
        self,
        layers: Sequence[Layer],
        fused: CellKernel,
        drives: Mapping[str, str],
        own: Mapping[str, str],
        kept: Sequence[str],
        around: tuple[Sequence[str], Sequence[str]],
    ) -> list[str]:
        """The same where kernels compute the steps. ``around`` are lines before and after the loop."""
        cell = fused.cell
        step = {name: self._local(f"{own[name]}_drive") for name in drives}
        values = {read: self._local(f"{local(read[0])}_t") for read in cell.beside}
        beside, every = [self.value(*read) for read in cell.beside], [*step.values(), *values.values()]
        listed = self._local("drives")
        computed = f"{listed} = [{', '.join([*drives.values(), *beside])}]"
        one = None if cell.given is None else self.value(*cell.given)
        given, tested = (listed, f"{listed}[0]") if one is None else (f"[{', '.join([one, *beside])}]", one)
        results = ", ".join(own[name] for name in kept)
        results = f"({results},)" if len(kept) == 1 else results
        pasts = ", ".join(f'past["{self.scope.relative(layers[k].name)}"]' for k in cell.lagged)
        how = "how.rate, how.straight_through" if any(map(self.blocks.drawn, layers)) else "0.0, False"
        loop = f"for {', '.join(every)} in zip(*(each.unbind(-2) for each in {listed}), strict=True):"
        if len(every) == 1:
            loop = f"for {every[0]} in {listed}[0].unbind(-2):"
        inside = [*around[0], loop, *self._steps(layers, step, own, kept, values), *around[1]]
        return [
            *([computed] if one is None else []),
            f'if kernels and kernels.fits_cell("{fused.name}", {how.split(", ")[0]}, {tested}):',
            f'    {results} = kernels.cell("{fused.name}", self, {given}, [{pasts}], {how})',
            "else:",
            *(f"    {line}" for line in ([] if one is None else [computed])),
            *(f"    {line}" for line in inside),
        ]

    def _local(self, wanted: str) -> str:
        """A variable of the scope's own."""
        return self.blocks.variable(wanted) if not self.scope.name else distinct(wanted, self.taken, "_")

    def _drive(self, layer: Layer, group: tuple[str, ...]) -> str:
        """What of a layer's energy is known before the loop, for all steps."""
        known = before(layer, group)
        values = [self.value(read.source, read.lag) for read in reads(known)]
        values += ["how"] if drive_needs_inference(known, self.blocks.moments) else []
        values += ["valid"] if layer.over_batch and not normalised_in_steps(layer, group) else []
        return f"{self.module(layer.name)}.drive({', '.join(values)})"

    def _steps(
        self,
        layers: Sequence[Layer],
        drives: Mapping[str, str],
        own: Mapping[str, str],
        kept: Sequence[str],
        beside: Mapping[tuple[str, int], str],
    ) -> list[str]:
        """The lines of one step, within its loop. ``drives`` and ``beside`` are what is known at this step, as expressions."""
        group = tuple(layer.name for layer in layers)
        lines = []
        for layer in layers:
            now = dict[tuple[str, int], str]()
            for read in reads(in_steps(layer, group)):
                if read.source in group:
                    done = group.index(read.source) < group.index(layer.name)
                    place = f"[{-1 - read.lag if done else -read.lag}]" if read.source in kept else ""
                    now[read.source, read.lag] = f"{own[read.source]}{place}"
                else:
                    now[read.source, read.lag] = beside[read.source, read.lag]
            if self.blocks.inlined(layer) and layer.name not in drives:
                value = self._inline(layer, group, now)
            else:
                values = [drives[layer.name]] if layer.name in drives else []
                values += [*now.values(), *self._how(layer)]
                values += ["now"] if layer.over_batch and normalised_in_steps(layer, group) else []
                value = f"{self.module(layer.name)}.step({', '.join(values)})"
            lines.append(f"    {own[layer.name]}.append({value})" if layer.name in kept else f"    {own[layer.name]} = {value}")
        return lines


def _output(stage: Map | Scan | Module) -> str:
    """The layer that a stage of a stack hands on."""
    return stage.outputs[0] if isinstance(stage, Module) else layers_of(stage)[0].name


def with_kept(lines: Sequence[str]) -> tuple[list[str], str]:
    """Lines that put values aside without those that can stand in the result, and what is kept as an expression."""
    start = 'kept["'
    kept = [line for line in lines if line.startswith(start)]
    if any("kept[" in line for line in lines if line not in kept):
        first = next(k for k, line in enumerate(lines) if "kept[" in line or line.startswith("for k, "))
        before = re.fullmatch(r"(\w+) = (\w+)", lines[first - 1]) if first else None
        if before is not None:
            return [*lines[: first - 1], f"{before[1]}, kept = {before[2]}, {{}}", *lines[first:]], "kept"
        return [*lines[:first], "kept = {}", *lines[first:]], "kept"
    entries = (line.removeprefix("kept[").replace('"] = ', '": ', 1) for line in kept)
    return [line for line in lines if line not in kept], f"{{{', '.join(entries)}}}"
