"""One pass through the network as a method: inputs, stages, and what came before the first step."""

from __future__ import annotations

from collections.abc import Sequence

from cgc.families.forms import FiniteExponential, Indicators
from cgc.program.ir import Input
from cgc.targets.torch.blocks import Blocks
from cgc.targets.torch.body import Body, with_kept
from cgc.targets.torch.code import Function
from cgc.targets.torch.scalar import number_text
from cgc.targets.torch.scopes import Scope

_APART = ".unflatten(0, (how.draws, -1))"
"""All draws go through the network as rows of one batch, and part at the end."""


def passes(blocks: Blocks) -> list[Function]:
    """The methods ``energies``, perhaps in terms of ``_rows``, and ``past`` where something is read with a lag.

    Notes in ``blocks`` which passages they need.
    """
    writer = _Pass(blocks)
    return [*writer._energies(), *([writer._past()] if writer.scope.stateful else [])]


class _Pass:
    """Writes one pass."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.scope = blocks.scopes.found[""]

    def _energies(self) -> list[Function]:
        blocks, inputs, start = self.blocks, self.blocks.inputs(), "how = how or self.how[self.training]"
        lines, results, kept = self._pass()
        kind = "Outputs" if len(results) > 1 else "Tensor"
        value = f"Outputs({', '.join(results)})" if len(results) > 1 else results[0]
        shape = "(batch, ...)" if len(results) > 1 else blocks.shape(blocks.outputs[0])
        kinds = "or their mean and variance, " if blocks.moments else ""
        doc = f"Energies of every draw, {kinds}{shape.replace('(batch', '(draws, batch')}"
        if blocks.timed:
            signature = f"energies(self, {inputs}, how: Inference | None = None, lengths=None, past: State | None = None)"
            return [Function(signature, (start, *lines, f"return {value}, {kept}"), (f"{doc}, and the last steps.",))]
        signature = f"energies(self, {inputs}, how: Inference | None = None) -> {kind}"
        if not blocks.in_rows():
            return [Function(signature, (start, *lines, f"return {value}"), (f"{doc}.",))]
        names, repeated = blocks.inputs(False), "{0}.expand(how.draws, *{0}.shape).flatten(0, 1)"
        each = (f"{names} = ({repeated.format('each')} for each in ({names}))",) if ", " in names else ()
        apart = f"return self._rows({names if each else repeated.format(names)}, how){_APART}"
        rows = Function(f"_rows(self, {inputs}, how: Inference) -> Tensor", (*lines, f"return {value}"))
        return [Function(signature, (start, *each, apart), (f"{doc}.",)), rows]

    def _pass(self) -> tuple[list[str], list[str], str]:
        """The lines of a pass, the energies of outputs as expressions, and what is kept for a later call."""
        inputs, first = self.blocks.program.inputs, self.blocks.program.inputs[0].name
        lines: list[str] = []
        body = Body(self.blocks, self.scope, {item.name: item.name for item in inputs}, f"{first}.shape[2]")
        for item in inputs:
            lines += self._given(item)
        if self.scope.stateful:
            lines.append(f"past = self.past({first}) if past is None else past")
        if self.scope.valid:
            steps, valid = (f"torch.arange({first}.shape[2], device={first}.device)", "({} < lengths[:, None])")
            valid = f"valid = None if lengths is None else {valid}.expand({first}.shape[:3])"
            fits = len(valid.format(steps)) <= 112  # of 120, indented
            lines += [valid.format(steps)] if fits else [f"steps = {steps}", valid.format("steps")]
        for item in inputs:
            lines += body.keep(item.name)
        lines += body.lines(self.blocks.program.stages)
        lines, kept = with_kept(lines) if self.scope.stateful else (lines, "{}")
        apart = _APART if self.blocks.merged and not self.blocks.in_rows() else ""
        return lines, [body.results[name] + apart for name in self.blocks.program.outputs], kept

    def _past(self) -> Function:
        # the argument has a name of its own: an input may be called `sizes`
        like = self.blocks.like.replace(self.blocks.program.inputs[0].name + ".new_zeros", "x.new_zeros")
        doc = ("What came before the first step: nothing, and that contributes 0.",)
        # like x, as parameters may be sharded here
        zero = f"zero = x.new_zeros(*x.shape[:2], 1, 1, dtype={like}.dtype)"
        return Function("past(self, x: Tensor) -> State", (zero, f"return {_nothing(self.scope)}"), doc).fitted()

    def _given(self, item: Input) -> list[str]:
        """Lines that check an input and bring it to (draws, batch, ..., features)."""
        law, name = self.blocks.law(item.law).law, item.name
        shaped = len(item.nodes) > 1 and (item.labels is None or item.size > 1)
        flat = f".flatten({2 if self.blocks.timed else 1})" if shaped else ""
        merged = self.blocks.merged
        start = name if merged else f"{name}.expand(how.draws, *{name}.shape)"
        lines = [f"{name} = {name}{flat}"] if flat else []
        if self.blocks.in_rows():
            pass  # they come as rows
        elif merged:
            lines.append(f"{name} = {name} if how.draws == 1 else torch.cat([{name}] * how.draws)")
        elif flat or not item.soft:
            lines.append(f"{name} = {start}")
        if isinstance(law, Indicators):
            readers = [c for la in self.blocks.program.layers() for c in la.contributions]
            gates = any(c.opening and c.opening.source == name for c in readers)
            embedded = not gates and all(c.product.kind == "embedding" for c in readers if c.source == name)
            self.blocks.needed.add("labels")
            axes = 1 + self.blocks.timed + (item.size > 1)  # batch, steps, nodes
            lines.append(f"how.check_labels({name}, {law.labels}, {axes})")
            if not embedded:
                self.blocks.needed.add("one_hot")
                lines.append(f"{name} = one_hot({name}, {law.labels}, {item.size}).to({self.blocks.like}.dtype)")
        elif isinstance(law, FiniteExponential) and item.soft:
            self.blocks.needed.add("soft_clamp")
            low, high = sorted(law.support, key=float)
            bounds = f"{number_text(float(low))}, {number_text(float(high))}"
            lines.append(f"{name} = how.soft_clamp({name if flat else start}, {bounds})")
        elif isinstance(law, FiniteExponential):
            states = ", ".join(number_text(float(state)) for state in law.support)
            if sorted(law.support, key=float) == [0, 1]:
                self.blocks.needed.add("require_binary")
                lines.append(f'require_binary({name}, "inputs must be one of ({states})")')
            else:
                self.blocks.needed |= {"states", "require"}
                lines.append(f"how.check_states({name}, {states})")
        if self.blocks.moments and not item.soft:
            self.blocks.needed.add("given")
            lines.append(f"{name} = how.given({name})")
        return lines


def _nothing(scope: Scope) -> str:
    """What a scope keeps, as a dict of zeros, and of dicts for the scopes inside; stacks as one entry."""
    entries = {name: f"zero.expand(-1, -1, {steps}, {features})" for name, (steps, features) in scope.state.items()}
    return _entries(entries | {name: _nothing(inner) for name, inner in scope.inner.items()})


def _entries(entries: dict[str, str]) -> str:
    """A dict as text, with one entry for all copies that are alike."""
    shown: list[str] = []
    names = list(entries)
    while names:
        run = _run(names, entries)
        shown.append(run[1])
        names = names[run[0] :]
    plain = [text for text in shown if not text.startswith("**")]
    several = [text for text in shown if text.startswith("**")]
    if not plain and len(several) == 1:
        return several[0].removeprefix("**")
    return f"{{{', '.join([*plain, *several])}}}"


def _run(names: Sequence[str], entries: dict[str, str]) -> tuple[int, str]:
    """The first entries that differ in a number alone, if they are many: how many, and the text for them."""
    stem, _, number = names[0].rpartition(".")
    count = 1
    while number == "0" and count < len(names) and names[count] == f"{stem}.{count}" and entries[names[count]] == entries[names[0]]:
        count += 1
    if count > 2 or (count > 1 and entries[names[0]].startswith("{")):
        return count, f'**{{f"{stem}.{{k}}": {entries[names[0]]} for k in range({count})}}'
    return 1, f'"{names[0]}": {entries[names[0]]}'
