"""Lines of an output as a module: exact inference on chains and over listed states, and mean field.

Exact modules answer in place of the node law (``log_partition``, ``log_prob``, ``expectation``, ``draw``, ``mode``). Mean field is a
function from energies to energies, after which the node law answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cgc.graph.predicate import Truth
from cgc.program.ir import Index, Layer, Product
from cgc.program.lines import LineFactors
from cgc.targets.torch.code import Class, Function, wrapped
from cgc.targets.torch.layers import mask_lines
from cgc.targets.torch.scalar import column, number_text


@dataclass(frozen=True)
class LinesCode:
    """The class of a layer's lines (None where a fixed passage will do), the expression that makes the module, and passages it needs."""

    definition: Class | None
    made: str
    parts: tuple[str, ...]


def lines_module(name: str, layer: Layer, law: str) -> LinesCode:
    """The module of the lines of ``layer``; its class is called ``name`` if it needs one. ``law`` makes the node law, labels last."""
    lines = layer.lines
    assert lines is not None
    shape = ", ".join(str(n) for n in lines.weight_shape)
    if lines.method == "chain":
        made = f"{shape}{', ends=True' * lines.written.ends}"
        writer = _Chain(layer, lines)
        if lines.labels is not None and lines.written.time and not writer.axes:
            return LinesCode(None, f"Chain({made})", ("chain",))
        return LinesCode(writer.definition(name), f"{name}({made})", ("chain_tables", *_checks(lines)))
    listed = lines.method == "listed"
    definition = _Listed(layer, lines).definition(name) if listed else _MeanField(layer, lines).mean_field(name, law)
    return LinesCode(definition, f"{name}()", _checks(lines))


def _checks(lines: LineFactors) -> tuple[str, ...]:
    """The passage that refuses what is no state, where states are numbers."""
    return ("require",) if lines.labels is None else ()


def _moved(source: tuple[int, ...], target: tuple[int, ...]) -> str:
    """A call that moves axes; none if they stay."""
    if source == target:
        return ""
    if (source, target) == ((-1, -2), (-2, -1)):
        return ".mT"
    shown = (source[0], target[0]) if len(source) == 1 else (source, target)
    return f".movedim({shown[0]}, {shown[1]})"


def _then(value: str, call: str) -> str:
    """``value``, and what is done with it."""
    return f"({value}){call}" if call else value


def _summed(axes: tuple[int, ...]) -> str:
    return "" if not axes else f".sum({axes[0] if len(axes) == 1 else axes})"


class _Lines:
    """What the modules have in common: how states are numbered, and where their axes are."""

    def __init__(self, layer: Layer, lines: LineFactors) -> None:
        self.layer, self.lines, self.written = layer, lines, lines.written
        self.numbers = lines.labels is None
        # the axes of the nodes at the model's border; a single node with labels has none
        self.axes = len(layer.nodes) if self.numbers or layer.size > 1 else 0
        self.features = "states" if lines.features == lines.states else "features"

    def columns(self) -> tuple[str, ...]:
        """States, and what else is known of each, as class attributes."""
        if not self.numbers:
            return ()
        found = column("states", self.lines.states)
        if self.features == "features":
            found += column("features", self.lines.features)
        if any(self.lines.log_measure):
            found += column("log_measure", self.lines.log_measure)
        return tuple(found)

    def column(self, name: str) -> str:
        return f"e.new_tensor(self.{name})"

    def number(self) -> list[Function]:
        """The method that finds the numbers of states."""
        if not self.numbers:
            return []
        states = ", ".join(number_text(state) for state in self.lines.states)
        shown = states if len(states) <= 60 else "those of the family"
        body = (
            "found = y[..., None] == y.new_tensor(self.states)",
            f'require(found.any(-1), "states must be one of {shown}")',
            "return found.int().argmax(-1)",
        )
        return [Function("number(self, y: Tensor) -> Tensor", body, ("States by their numbers.",))]

    def energy(self) -> str:
        """The exponent of the joint distribution, but for ends."""
        if not self.numbers:
            return "sum_t e_t[y_t] + sum over lines s - t of V[y_s, y_t]"
        measure = " + log m(y_t)" if any(self.lines.log_measure) else ""
        own, other = self.feature("y_t"), self.feature("y_s")
        node = f"(e_t {own}{measure})" if measure else f"e_t {own}"
        return f"sum_t {node} + sum over lines s - t of w {other} {own}"

    def feature(self, state: str) -> str:
        """What other nodes see of a state, in formulas."""
        return f"T({state})" if self.features == "features" else state


class _Chain(_Lines):
    """A chain whose energies are laid out otherwise than the passage ``chain`` has them, or whose states are numbers."""

    def definition(self, name: str) -> Class:
        self.timed = self.written.time
        self.extra, self.passed = (", lengths: Tensor | None = None", ", lengths") if self.timed else ("", "")
        others = tuple(range(self.axes)) if self.timed else tuple(range(1 - self.axes, 0))
        total = _summed(others)
        methods = [self.tables(), *self.number()]
        if total:
            call = f"return super().log_partition(e{self.passed}){total}"
            methods.append(Function(f"log_partition(self, e: Tensor{self.extra}) -> Tensor", (call,)))
        methods += [self.log_prob(total), self.expectation(), *(self.states(method) for method in ("draw", "mode"))]
        along = "time" if self.timed else f"axis {self.written.axes[0]} of the nodes" if self.axes > 1 else "the nodes"
        doc = f"The same along {along}: P(y | e) = exp({self.energy()}{self.ends()}) / Z"
        doc += ", where nodes at other indices make chains of their own." if self.layer.size > 1 and others else "."
        return Class(name, "Chain", wrapped(doc), self.columns(), tuple(method.fitted() for method in methods))

    def ends(self) -> str:
        """The potentials at the ends, in the exponent."""
        if not self.written.ends:
            return ""
        if not self.numbers:
            return " + a[y_0] + z[y_T]"
        return f" + a {self.feature('y_0')} + z {self.feature('y_T')}"

    def laid(self, labels: bool) -> tuple[str, str]:
        """Calls that lay a tensor out as (..., batch, steps, [states]), and back; ``labels``: it has an axis for these."""
        if self.timed:
            nodes, front = tuple(range(-self.axes, 0)), tuple(range(self.axes))
            return _moved(nodes, front), _moved(front, nodes)
        axis = self.written.axes[0] - self.axes
        here, there = ((axis, -1 - self.axes), (-2, -1)) if labels else ((axis,), (-1,))
        return _moved(here, there), _moved(there, here)

    def tables(self) -> Function:
        lay = self.laid(not self.numbers)[0]
        signature = "tables(self, e: Tensor) -> tuple[Tensor, ...]"
        if not self.numbers:
            return Function(signature, (f"return e{lay}, self.weight, self.start, self.end",))
        measure = f" + {self.column('log_measure')}" if any(self.lines.log_measure) else ""
        ends = "self.start * x, self.end * x" if self.written.ends else "None, None"
        body = (
            f"x = {self.column(self.features)}",
            f"return e{lay}[..., None] * x{measure}, self.weight * x[:, None] * x, {ends}",
        )
        return Function(signature, body)

    def log_prob(self, total: str) -> Function:
        lay = self.laid(False)[0]
        lines = []
        y = "y"
        if self.numbers and self.timed:
            axes = ", None" * self.axes
            lines = [
                "if lengths is not None:  # what stands behind the last valid step does not count",
                "    valid = torch.arange(y.shape[1], device=y.device) < lengths[:, None]",
                f"    y = y.where(valid[...{axes}], self.states[0])",
            ]
        if self.numbers:
            y = "self.number(y)"
        if self.timed:
            y = f"{y}[None]"
        lines.append(f"return super().log_prob({y}{lay}, e{self.passed}){total}")
        return Function(f"log_prob(self, y: Tensor, e: Tensor{self.extra}) -> Tensor", tuple(lines))

    def expectation(self) -> Function:
        value, back = f"super().expectation(e{self.passed})", self.laid(not self.numbers)[1]
        value = _then(f"{value} @ {self.column(self.features)}", back) if self.numbers else f"{value}{back}"
        return Function(f"expectation(self, e: Tensor{self.extra}) -> Tensor", (f"return {value}",))

    def states(self, method: str) -> Function:
        value = f"super().{method}(e{self.passed})"
        value = f"{self.column('states')}[{value}]" if self.numbers else value
        return Function(f"{method}(self, e: Tensor{self.extra}) -> Tensor", (f"return {value}{self.laid(False)[1]}",))


class _MeanField(_Lines):
    """Parallel, damped updates; and what the lines add to energies, which needs no more than the features of the nodes."""

    def __init__(self, layer: Layer, lines: LineFactors) -> None:
        super().__init__(layer, lines)
        # inside, labels come last
        self.label_axis = 0 if self.numbers else 1
        moved = not self.numbers and self.axes > 0
        self.to_last, self.from_last = (_moved((-1 - self.axes,), (-1,)), _moved((-1,), (-1 - self.axes,))) if moved else ("", "")
        self.timed = self.written.time
        self.masked = ", lengths: Tensor | None = None" if self.timed else ""

    def mean_field(self, name: str, law: str) -> Class:
        steps, damping = self.written.steps, self.written.damping
        kept = f"{number_text(damping)} * m + {number_text(round(1 - damping, 15))} * " if damping else ""
        passed = ", lengths" if self.timed else ""
        body = [
            *([f"e = e{self.to_last}"] if self.to_last else []),
            *self.with_ends(),
            "m = torch.zeros_like(e)",
            f"for _ in range({steps}):",
            f"    m = {kept}self.messages({law}.expectation(e + m){passed})",
            f"return {_then('e + m', self.from_last)}",
        ]
        doc = "Energies with what the neighbours add, from expectations that the node law itself gives."
        forward = Function(f"forward(self, e: Tensor{self.masked}) -> Tensor", tuple(body), (doc,))
        energy = self.energy() + (" + ends" if self.written.ends else "")
        update = f"{steps} parallel update{'s' * (steps > 1)}" + f", of which each keeps {damping:g} of m" * bool(damping)
        about = f"P(y | e) = exp({energy}) / Z, by mean field: approximately q(y) = prod_t P(y_t | e_t + m_t), where m_t "
        about += f"is what the expectations of the neighbours add to e_t. {update}."
        return self.class_of(name, about, [forward, self.messages()])

    def class_of(self, name: str, doc: str, methods: list[Function], attributes: tuple[str, ...] = ()) -> Class:
        attributes = (*attributes, *self.pair_columns())
        init = Function("__init__(self) -> None", tuple(self.init()))
        return Class(name, "nn.Module", wrapped(doc), attributes, tuple(method.fitted() for method in (init, *methods)))

    def init(self) -> list[str]:
        shape = ", ".join(str(n) for n in self.lines.weight_shape)
        meaning = {"chain": "from a node to the next", "grid": "for each axis, from a node to the next"}
        about = meaning.get(self.written.kind, "for each line")
        body = ["super().__init__()", f"self.weight = nn.Parameter(torch.zeros({shape}))  # {about}"]
        body += [f"self.{end} = nn.Parameter(torch.zeros({self.lines.end_shape[0]}))" for end in ("start", "end") if self.lines.end_shape]
        if self.written.kind == "list":
            body.append('self.register_buffer("pairs", torch.tensor([self.left, self.right]), persistent=False)')
        elif self.written.kind == "dense":
            body += self.all_pairs()
        return body

    def pair_columns(self) -> tuple[str, ...]:
        """The ends of listed lines, as flat numbers of nodes."""
        if self.written.kind != "list":
            return ()
        strides = [math.prod(self.layer.nodes[axis + 1 :]) for axis in range(len(self.layer.nodes))]
        flat = [[sum(k * n for k, n in zip(node, strides, strict=True)) for node in pair] for pair in self.written.pairs]
        sides = (("left", [pair[0] for pair in flat]), ("right", [pair[1] for pair in flat]))
        return tuple(line for name, side in sides for line in column(name, side))

    def all_pairs(self) -> list[str]:
        """Lines that make the pairs of nodes that differ in the axes of the lines alone."""
        size, extents = self.layer.size, self.layer.nodes
        last = 'self.register_buffer("pairs", {}, persistent=False)  # nodes that lines join'
        if all(extent == 1 or axis in self.written.axes for axis, extent in enumerate(extents)):
            return [last.format(f"torch.triu_indices({size}, {size}, 1)")]
        names = [tuple((f"{letter}{axis}", n) for axis, n in enumerate(extents)) for letter in "ij"]
        product = Product("masked", size, size, mask=self.lines.joined or Truth(True), index=Index(*names))
        return [*mask_lines(product)[0], last.format("mask.triu(1).nonzero().T.contiguous()")]

    def with_ends(self) -> list[str]:
        """Lines that add the potentials at the ends to the energies."""
        if not self.written.ends:
            return []
        axis = self.along()[0]
        behind = ", None" * (-axis - 1)
        last = f"e.shape[{axis}] - 1"
        if self.timed:
            last = f"{last} if lengths is None else lengths[:, None{behind}] - 1"
        return [
            f"step = torch.arange(e.shape[{axis}], device=e.device){f'[:{behind}]' if behind else ''}",
            f"last = {last}",
            "e = e + self.start * (step == 0) + self.end * (step == last)",
        ]

    def along(self) -> tuple[int, ...]:
        """The axes that lines run along, counted from the end."""
        if self.timed:
            return (-1 - self.axes - self.label_axis,)
        return tuple(axis - self.axes - self.label_axis for axis in self.written.axes)

    def messages(self) -> Function:
        """What neighbours add to energies."""
        match self.written.kind:
            case "chain" | "grid":
                body = self.neighbours()
            case "dense":
                body = self.matrix()
            case "list":
                body = self.gathered()
        doc = "What the neighbours of every node add to its energy, given their features."
        return Function(f"messages(self, x: Tensor{self.masked}) -> Tensor", tuple(body), (doc,))

    def neighbours(self) -> list[str]:
        axes, grid = self.along(), self.written.kind == "grid"
        axis, weight = ("axis", "w") if grid else (str(axes[0]), "self.weight")
        to, back = (f"before @ {weight}", f"after @ {weight}.T") if not self.numbers else (f"{weight} * before", f"{weight} * after")
        each = [
            f"n = x.shape[{axis}] - 1",
            f"before, after = x.narrow({axis}, 0, n), x.narrow({axis}, 1, n)",
        ]
        if self.timed:
            each += [
                "if lengths is not None:",
                f"    valid = (torch.arange(1, n + 1, device=x.device) < lengths[:, None])[...{', None' * (-axes[0] - 1)}]",
                "    before, after = before * valid, after * valid",
            ]
        each += [f"m.narrow({axis}, 1, n).add_({to})", f"m.narrow({axis}, 0, n).add_({back})"]
        loop = [f"for w, axis in zip(self.weight, {axes}, strict=True):"] if grid else []
        return ["m = torch.zeros_like(x)", *loop, *("    " * grid + line for line in each), "return m"]

    def flat(self) -> tuple[str, str]:
        """Calls that put all nodes on one axis, and back."""
        if self.axes == 1:
            return "", ""
        if self.numbers:
            return f".flatten({-self.axes})", f".unflatten(-1, {self.layer.nodes})"
        return f".flatten({-1 - self.axes}, -2)", f".unflatten(-2, {self.layer.nodes})"

    def matrix(self) -> list[str]:
        size, (flat, back) = self.layer.size, self.flat()
        shape = ", ".join(str(n) for n in (size, size, *self.lines.weight_shape[1:]))
        w = f"w = self.weight.new_zeros({shape}).index_put(tuple(self.pairs), self.weight)"
        if self.numbers:
            return [w, f"return {_then(f'x{flat} @ (w + w.T)', back)}"]
        return [w, f'return torch.einsum("...ia,ijab->...jb", x{flat}, w + w.transpose(0, 1).mT){back}']

    def gathered(self) -> list[str]:
        flat, back = self.flat()
        lines = ["left, right = self.pairs", *([f"x = x{flat}"] if flat else [])]
        if self.numbers:
            lines.append("w = self.weight.to(x.dtype)")
            to, other, axis = "w * x[..., left]", "w * x[..., right]", -1
        else:
            to, other = (
                f'torch.einsum("...pa,{weights}->...pb", x[..., {side}, :], self.weight)'
                for weights, side in (("pab", "left"), ("pba", "right"))
            )
            axis = -2
        lines += [f"m = torch.zeros_like(x).index_add({axis}, right, {to})", f"m = m.index_add({axis}, left, {other})"]
        return [*lines, f"return m{back}"]


class _Listed(_MeanField):
    """All joint states, one by one."""

    def definition(self, name: str) -> Class:
        count = self.lines.count**self.layer.size
        doc = f"P(y | e) = exp({self.energy()}) / Z, exactly: all {count:,} joint states are listed."
        methods = [*self.number(), self.messages(), self.table(), self.log_partition(), self.log_prob(), self.expectation()]
        methods += [self.states(method) for method in ("draw", "mode")]
        return self.class_of(name, doc, methods, self.columns())

    def shown(self, k: str) -> str:
        """Features of states by their numbers."""
        return f"{self.column(self.features)}[{k}]" if self.numbers else f"F.one_hot({k}, {self.lines.labels}).to(e.dtype)"

    def measured(self, name: str, k: str) -> list[str]:
        """What the base measure adds to ``name``."""
        added = f"{name} = {name} + {self.column('log_measure')}[{k}].flatten({-self.axes}).sum(-1)"
        return [added] if any(self.lines.log_measure) else []

    def table(self) -> Function:
        size, nodes = self.layer.size, self.layer.nodes
        shaped = f".unflatten(-1, {nodes})" if self.axes > 1 else ""
        body = (
            f"k = torch.cartesian_prod(*[torch.arange({self.lines.count}, device=e.device)] * {size}){shaped}",
            f"x = {self.shown('k')}",
            f"own = e{self.to_last}{self.flat_energy()} @ x.flatten(1).T",
            *self.measured("own", "k"),
            "return k, x, own + (x * self.messages(x)).flatten(1).sum(1) / 2",
        )
        doc = ("All states of the nodes together: their numbers, their features, and the logarithms of their weights.",)
        return Function("table(self, e: Tensor) -> tuple[Tensor, Tensor, Tensor]", body, doc)

    def flat_energy(self) -> str:
        axes = self.axes + self.label_axis
        return f".flatten({-axes})" if axes > 1 else ""

    def log_partition(self) -> Function:
        return Function("log_partition(self, e: Tensor) -> Tensor", ("return self.table(e)[2].logsumexp(-1)",))

    def log_prob(self) -> Function:
        numbered = ["y = self.number(y)"] if self.numbers else []
        axes = self.axes + self.label_axis
        body = (
            *numbered,
            f"x = {self.shown('y')}",
            f"score = (x * (e{self.to_last} + self.messages(x) / 2)).flatten({-axes}).sum(-1)",
            *self.measured("score", "y"),
            "return score - self.log_partition(e)",
        )
        return Function("log_prob(self, y: Tensor, e: Tensor) -> Tensor", body)

    def expectation(self) -> Function:
        body = ("_, x, log_p = self.table(e)", "p = torch.softmax(log_p, -1)")
        shape = self.layer.nodes if self.numbers else (*self.layer.nodes, self.lines.labels)
        shaped = f".unflatten(-1, {shape}){self.from_last}" if len(shape) > 1 else ""
        return Function("expectation(self, e: Tensor) -> Tensor", (*body, f"return {_then('p @ x.flatten(1)', shaped)}"))

    def states(self, method: str) -> Function:
        chosen = "torch.distributions.Categorical(logits=log_p).sample()" if method == "draw" else "log_p.argmax(-1)"
        value = f"k[{chosen}]"
        value = f"{self.column('states')}[{value}]" if self.numbers else value
        return Function(f"{method}(self, e: Tensor) -> Tensor", ("k, _, log_p = self.table(e)", f"return {value}"))
