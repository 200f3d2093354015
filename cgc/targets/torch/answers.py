"""What a model answers, from the energies of its passes: forward, expectation, sample, log_prob, loss, decode; and how it infers."""

from __future__ import annotations

from mpmath import mp

from cgc.derive.derivation import Derivation, Draw
from cgc.formula.numeric import value
from cgc.program.ir import Layer
from cgc.targets.torch.blocks import Blocks, exact_lines
from cgc.targets.torch.code import Function
from cgc.targets.torch.nodes import state_draw


def answers(blocks: Blocks) -> list[Function]:
    """The public methods of the model, after ``energies``."""
    writer = _Answers(blocks)
    methods = writer._several() if len(blocks.outputs) > 1 else writer._single()
    return [*methods, writer._inference()]


_HOW = "self.how[self.training]"


class _Answers:
    """Writes the methods for one output, or for several."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    def _single(self) -> list[Function]:
        (layer,) = self.blocks.outputs
        y, x = layer.component, self.blocks.inputs(False)
        target, value = ("", f"{y} = {layer.target}") if layer.target else (f", {y}: Tensor", y)
        lengths, start = self._lengths(annotated=True), "Approximately l" if _mean_field(layer) else "l"
        doc = f"{self._energies()} of {y}, {self.blocks.shape(layer)}: their mean over the draws"
        if self.blocks.timed:
            mean = self._mean("e")
            forward: tuple[str, ...] = (
                f"e, state = self.energies({x}, None, lengths, state)",
                f"return ({mean}, state) if return_state else {mean}",
            )
            doc += "; `state` continues an earlier call"
        else:
            forward = (f"return {self._mean(f'self.energies({x})')}",)
        returns = "" if self.blocks.timed else " -> Tensor"
        all_drawn = ", Inference(1.0, sampled=True, draws=n)"
        energies = f"self({x}{self._lengths()})"
        return [
            Function(f"forward(self, {self.blocks.inputs()}{self._streaming()}){returns}", forward, (doc + ".",)),
            Function(
                f"expectation(self, {self.blocks.inputs()}{lengths}) -> Tensor", (f"return {self._expectation(layer, self._passes())}",)
            ),
            Function(
                f"sample(self, {self.blocks.inputs()}, n: int = 1{lengths}) -> Tensor",
                (f"return {self._sample(layer, self._passes(all_drawn))}",),
                (f"n draws of {y}, every node below drawn as well: (n, batch, ...).",),
            ),
            Function(
                f"log_prob(self, {self.blocks.inputs()}{target}{lengths}) -> Tensor",
                self._log_prob_body(layer),
                (f"{start}og P({value} | {x}), (batch,): of the mean likelihood over the draws.",),
            ),
            Function(
                f"loss(self, {self.blocks.inputs()}{target}{lengths}) -> Tensor",
                self._loss_body(layer),
            ),
            Function(f"decode(self, {self.blocks.inputs()}{lengths}) -> Tensor", (f"return {self._mode(layer, energies)}",)),
        ]

    def _several(self) -> list[Function]:
        """Several outputs: the same methods, over a named tuple."""
        inputs, x, lengths, passed = self.blocks.inputs(), self.blocks.inputs(False), self._lengths(annotated=True), self._lengths()
        scored = [layer.component for layer in self.blocks.outputs if layer.target is None]
        targets = "".join(f", {name}: Tensor" for name in scored)
        names = ", ".join([x, *scored])

        draws = ", ".join(self._sample(layer, f"e.{layer.component}") for layer in self.blocks.outputs)
        expectations = ", ".join(self._expectation(layer, f"e.{layer.component}") for layer in self.blocks.outputs)
        modes = ", ".join(self._mode(layer, f"e.{layer.component}") for layer in self.blocks.outputs)
        over_draws = "their mean over the draws"
        mean = f"Outputs(*({self._mean('part')} for part in e))"
        if self.blocks.timed:
            forward: tuple[str, ...] = (
                f"e, state = self.energies({x}, None, lengths, state)",
                f"e = {mean}",
                "return (e, state) if return_state else e",
            )
        else:
            forward = (f"e = self.energies({x})", f"return {mean}")
        body = [f"e = {self._passes()}"]
        for layer in self.blocks.outputs:
            body += self._log_prob(layer, f"e.{layer.component}", self.blocks.variable(f"log_{layer.component}"))
        logs = [self.blocks.variable(f"log_{layer.component}") for layer in self.blocks.outputs]
        total = " + ".join(logs)
        return [
            Function(f"forward(self, {inputs}{self._streaming()})", forward, (f"{self._energies()} of the outputs: {over_draws}.",)),
            Function(f"expectation(self, {inputs}{lengths}) -> Outputs", (f"e = {self._passes()}", f"return Outputs({expectations})")),
            Function(
                f"sample(self, {inputs}, n: int = 1{lengths}) -> Outputs",
                (f"e = {self._passes(', Inference(1.0, sampled=True, draws=n)')}", f"return Outputs({draws})"),
                ("n draws of the outputs, every node below drawn as well: each (n, batch, ...).",),
            ),
            Function(
                f"log_prob(self, {inputs}{targets}{lengths}) -> Tensor",
                (*body, f"return ({total}).logsumexp(0) - math.log(len({logs[0]}))"),
                ("log P of all outputs together, (batch,): of the mean likelihood over the draws.",),
            ),
            Function(f"loss(self, {inputs}{targets}{lengths}) -> Tensor", (f"return -self.log_prob({names}{passed}).mean()",)),
            Function(f"decode(self, {inputs}{lengths}) -> Outputs", (f"e = self({x}{passed})", f"return Outputs({modes})")),
        ]

    def _inference(self) -> Function:
        gates = ", gates=mode or sampled" if self.blocks.gated() else ""
        rate = "float | dict[str, float]" if self.blocks.rated() else "float"
        signature = f'inference(self, method: str, sample_rate: {rate} = 1.0, gradient="block", samples=32, training=None)'
        start = 'sampled, straight = method == "sample", {"block": False, "straight_through": True}[gradient]'
        draws = "draws=samples if sampled and not mode else 1"
        if self.blocks.moments:
            doc = "Choose `feed_forward`, `pcff`, `sample` or (not in training) `moments`; `training=None` is for both modes."
            return Function(signature, (
                start,
                'rates, moments = {"feed_forward": 0.0, "pcff": sample_rate, "sample": 1.0, "moments": 0.0}, method == "moments"',
                "if method not in rates:",
                "    raise ValueError(f\"{method!r} is none of {', '.join(rates)}\")",
                "if moments and training:",
                '    raise ValueError("moments are for evaluation")',
                "for mode in (False, True) if training is None and not moments else (bool(training),):",
                f"    self.how[mode] = Inference(rates[method], straight, sampled{gates}, {draws}, moments=moments)",
                "return self",
            ), (doc,))  # fmt: skip
        doc = "Choose `feed_forward`, `pcff` or `sample`: for training, for evaluation, or (None) for both."
        return Function(signature, (
            start,
            'rates = {"feed_forward": 0.0, "pcff": sample_rate, "sample": 1.0}',
            "if method not in rates:",
            "    raise ValueError(f\"{method!r} is none of {', '.join(rates)}\")",
            "for mode in (False, True) if training is None else (training,):",
            f"    self.how[mode] = Inference(rates[method], straight, sampled{gates}, {draws})",
            "return self",
        ), (doc,))  # fmt: skip

    def _energies(self) -> str:
        """What ``forward`` gives: where lines join nodes, only a part of their energies."""
        return "Unary energies" if any(layer.lines for layer in self.blocks.outputs) else "Energies"

    def _lengths(self, annotated: bool = False) -> str:
        if not self.blocks.timed:
            return ""
        return ", lengths: Tensor | None = None" if annotated else ", lengths=lengths"

    def _passes(self, how: str = "") -> str:
        """The energies of all draws, as an expression."""
        return f"self.energies({self.blocks.inputs(False)}{how}{self._lengths()}){'[0]' if self.blocks.timed else ''}"

    def _mean(self, energies: str) -> str:
        """Over the draws, as an expression."""
        return f"{_HOW}.mean({energies})" if self.blocks.moments else f"{energies}.mean(0)"

    def _expectation(self, layer: Layer, energies: str) -> str:
        law = self.blocks.law_call(layer)
        energies = self._lined(layer, energies)
        return f"{_HOW}.expectation({law}, {energies})" if self.blocks.moments else f"{law}.expectation({energies}).mean(0)"

    def _sample(self, layer: Layer, energies: str) -> str:
        """A draw of states, as an expression."""
        return f"{self.blocks.law_call(layer)}.{_draw(layer, self.blocks)}({self._lined(layer, energies)})"

    def _lined(self, layer: Layer, energies: str) -> str:
        """What the node law, or the module of exact lines, is asked about: the energies, with what neighbours add under mean field."""
        lengths = ", lengths" if layer.lines and layer.lines.written.time else ""
        return f"self.{layer.component}.lines({energies}{lengths})" if _mean_field(layer) else f"{energies}{lengths}"

    def _log_prob(self, layer: Layer, energies: str, name: str) -> list[str]:
        """log p of one output, per draw and example."""
        scored = layer.target or layer.component
        target, whole = scored, self.blocks.timed and not layer.last
        lines = []
        if not layer.labels:
            target = f"{target}.to({energies}.dtype).reshape({energies}.shape[1:])"
        exact = exact_lines(layer)
        if exact and layer.lines and layer.lines.written.time:
            return [f"{name} = {self.blocks.law_call(layer)}.log_prob({target}, {self._lined(layer, energies)})"]
        if whole:
            axes = "".join(", None" for _ in (layer.nodes if layer.size > 1 or not layer.labels else ()))
            lines += [
                f"{scored} = {target}",
                "if lengths is not None:  # what stands behind the last valid step does not count",
                f"    valid = torch.arange({scored}.shape[1], device=lengths.device) < lengths[:, None]",
                f"    {scored} = {scored}.where(valid[...{axes}], {scored}[:, :1])",
            ]
            target = scored
            if lines[0] == f"{target} = {target}":
                lines = lines[1:]
        law = self.blocks.law_call(layer)
        lined = self._lined(layer, energies)
        score = f"{_HOW}.log_prob({law}, {target}, {energies})" if self.blocks.moments else f"{law}.log_prob({target}, {lined})"
        lines.append(f"{name} = {score}")
        if whole:
            nodes = [f"{name} = {name}.flatten(3).sum(3)"] if not exact and (layer.size > 1 or not layer.labels) else []
            lines += [*nodes, f"{name} = ({name} if lengths is None else {name}.where(valid, 0)).sum(2)"]
        elif exact:
            pass
        elif layer.size > 1 or not layer.labels:
            lines.append(f"{name} = {name}.flatten(2).sum(2)")
        return lines

    def _log_prob_body(self, layer: Layer) -> tuple[str, ...]:
        end = "return log_p[0] if len(log_p) == 1 else log_p.logsumexp(0) - math.log(len(log_p))"
        lines = self._log_prob(layer, self._passes(), "log_p")
        if len(lines) == 1 and lines[0].count(self._passes()) == 1:
            return (*lines, end)
        return (f"e = {self._passes()}", *self._log_prob(layer, "e", "log_p"), end)

    def _loss_body(self, layer: Layer) -> tuple[str, ...]:
        x, scored = self.blocks.inputs(False), layer.target or layer.component
        whole = f"-self.log_prob({x}{'' if layer.target else f', {scored}'}{self._lengths()}).mean()"
        if not self.blocks.in_rows():
            return (f"return {whole}",)
        energies = f"self._rows({x}, {_HOW})"
        several = (f"if {_HOW}.draws > 1:", f"    return {whole}")
        if layer.labels and layer.size == 1:
            return (*several, f"return F.cross_entropy({energies}, {scored})")
        if not layer.labels and _logistic(self.blocks.law(layer.law)):
            seen = () if self.blocks.checked(layer) else (f'require_binary({scored}, "states must be one of 0, 1")',)
            self.blocks.needed.update(("require_binary",) if seen else ())
            # the mean over the batch, which torch has at once for one node
            sizes = ("", "") if layer.size == 1 else (', reduction="sum"', " / e.shape[0]")
            return (
                *several,
                f"e = {energies}",
                f"if {scored}.dtype != e.dtype or {scored}.shape != e.shape:",
                f"    {scored} = {scored}.to(e.dtype).reshape(e.shape)",
                *seen,
                f"return F.binary_cross_entropy_with_logits(e, {scored}{sizes[0]}){sizes[1]}",
            )
        target = scored if layer.labels else f"{scored}.to(e.dtype).reshape(e.shape)"
        one = f"{self.blocks.law_call(layer)}.log_prob({target}, e).sum() / -e.shape[0]"
        return (*several, f"e = {energies}", f"return {one}")

    def _mode(self, layer: Layer, energies: str) -> str:
        """The most probable state, as an expression."""
        energies = self._lined(layer, energies)
        if layer.labels and not exact_lines(layer):
            return f"{energies}.argmax({-1 if layer.size == 1 else -1 - len(layer.nodes)})"
        return f"{self.blocks.law_call(layer)}.mode({energies})"

    def _streaming(self) -> str:
        return ", lengths: Tensor | None = None, state: State | None = None, return_state: bool = False" if self.blocks.timed else ""


def _logistic(law: Derivation) -> bool:
    """Whether the likelihood is that of states 0 and 1 with log odds e, seen to 40 digits: torch has its sum as one operation."""
    states = law.sampling.states if isinstance(law.sampling, Draw) else ()
    if law.log_likelihood is None or {state.value for state in states} != {0, 1}:
        return False
    with mp.workdps(50):
        for e in (mp.mpf(n) / 16 for n in (-171, -37, -8, 3, 21, 90)):
            for x, odds in ((1, e), (0, -e)):
                difference = value(law.log_likelihood, e=e, x=mp.mpf(x)) + mp.log1p(mp.exp(-odds))
                if abs(difference) > mp.mpf(10) ** -40:
                    return False
    return True


def _mean_field(layer: Layer) -> bool:
    return layer.lines is not None and not exact_lines(layer)


def _draw(layer: Layer, blocks: Blocks) -> str:
    if exact_lines(layer):
        return "draw"
    return state_draw(blocks.law(layer.law)) if blocks.drawn(layer) else "expectation"
