"""Energies as expressions: products of parents' features, gates, normalisation and bias, joined by ``+``.

``Terms`` writes them for values. ``MomentTerms`` writes the same for mean and variance on the leading axis, with the methods of
``Inference`` that know which of the two their arguments are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cgc.kernels.gates import gate_of
from cgc.program.ir import Contribution, Layer, Opening
from cgc.spec.model import DropoutGate
from cgc.targets.torch.grids import around, averaged, averages_whole, places
from cgc.targets.torch.maps import NO_MAPS, Maps, flattened, follow
from cgc.targets.torch.scalar import number_text

Values = Mapping[tuple[str, int], str]
"""Features as expressions: by what they are of, and how many steps before."""


def module(c: Contribution) -> str:
    """The module that holds the weight of an edge."""
    return f"self.{c.name}" if c.block is None else f'self.{c.block[0]}["{c.name}"]'


def shaped(gate: Opening, value: str) -> str:
    """Features of a gate's nodes, with an axis for every index of what it opens where they serve several nodes."""
    size, opened = math.prod(gate.nodes), math.prod(gate.opened)
    if gate.label is not None:
        value = f"{value}[..., {gate.label * size} : {(gate.label + 1) * size}]"
    if size in (1, opened):
        return value
    if set(gate.nodes[1:]) == {1} and gate.nodes[0] == gate.opened[0]:
        return f"{value}.repeat_interleave({opened // size}, -1)"
    return f"{value}.unflatten(-1, {gate.nodes}).expand(*{value}.shape[:-1], {str(gate.opened)[1:-1]}).flatten({-len(gate.nodes)})"


class Terms:
    """Writes the energies of one layer; ``parts`` are the fixed passages (template parts) that they need."""

    moments = False

    def __init__(self, layer: Layer, rows: bool = False, maps: Maps = NO_MAPS, at_once: bool = False) -> None:
        """``rows``: what windows give is (rows, maps, ...); features of the layers in ``maps``, and their energies, are left so.

        ``at_once``: there is a kernel that normalises energies over the batch and infers nodes.
        """
        self.layer = layer
        self.at_once = at_once
        self.normalisations: dict[str, tuple[str, str]] = {}
        self.parts: set[str] = set()
        self.maps = maps
        self.mapped = layer.name in maps
        self.flat = ".flatten(1)" if rows and not self.mapped else ""

    def flattened(self, contributions: Sequence[Contribution], source: str) -> str:
        """What is done to features before contributions to the layer's energies read them."""
        return flattened(self.maps, contributions, self.mapped, source)

    # ---- what differs between values and their moments

    def gated(self, gate: DropoutGate, value: str, factor: str | None) -> str:
        """Features behind a dropout node, whose draw is the ``factor`` if there is one already."""
        if factor is None and gate.share == "step":
            self.parts.add("behind")
            kind, number = gate_of(gate)
            return f'how.behind("{kind}", {value}, {number_text(number)})'
        return f"{value} * {factor or self.gate(gate, value)}"

    def scaled(self, value: str, weight: float) -> str:
        """Features times a fixed number."""
        return f"{number_text(weight)} * {value}"

    def opened(self, value: str, factor: str) -> str:
        """Features behind a hidden gate."""
        return f"{factor} * {value}"

    def factor(self, gate: Opening, value: str) -> str:
        """The probability that a hidden gate is open, from its features; in a product."""
        value = shaped(gate, value)
        if (gate.scale, gate.shift) == (1, 0):
            return value
        scaled = value if gate.scale == 1 else f"-{value}" if gate.scale == -1 else f"{number_text(gate.scale)} * {value}"
        if gate.shift == 0:
            return f"({scaled})"
        ahead = gate.scale < 0 and gate.shift > 0
        first, second = (number_text(gate.shift), scaled[1:]) if ahead else (scaled, number_text(abs(gate.shift)))
        return f"({first} - {second})" if ahead or gate.shift < 0 else f"({first} + {second})"

    def product(self, c: Contribution, value: str) -> str:
        """Features times the weights of an edge."""
        if c.product.kind == "table":
            return f"{value} @ {module(c)}.weight"
        if c.product.kind == "dense" and c.product.fixed is None:
            return f"F.linear({value}, {module(c)}.weight)"
        if c.product.kind != "average":
            return f"{module(c)}({value}){self.flat if c.product.kind == 'convolution' else ''}"
        shaped = c.source in self.maps and not self.flattened([*self.layer.contributions, c], c.source)
        text, part = averaged(c.product, value, shaped)
        self.parts.update([part] if part else [])
        return text if averages_whole(c.product) else f"{text}{self.flat}"

    def linear(self, c: Contribution, value: str) -> str:
        """The same for an edge whose product adds the bias."""
        if c.product.kind in ("convolution", "masked", "tied"):
            return f"{module(c)}({value}, self.bias){self.flat if c.product.kind == 'convolution' else ''}"
        return f"F.linear({value}, {module(c)}.weight, self.bias)"

    def shifted(self, terms: list[str], first: bool = False) -> str:
        """A sum and the bias, which may come first."""
        return " + ".join([*self.bias(), *terms] if first else [*terms, *self.bias()])

    def batch_norm(self, arguments: str) -> str:
        """A normalised sum. ``arguments`` are the sum, its shift, and where it is valid."""
        return f"self.normalize({arguments})"

    def group_norm(self, total: str) -> str:
        """A sum under layer or group normalisation, without its shift."""
        return f"self.normalize({total})"

    def determined(self, law: str, energies: str) -> str:
        """Features of nodes that are functions of their energies."""
        return f"{law}.expectation({energies})"

    # ---- what does not

    def bias(self) -> list[str]:
        """The bias, if there is one."""
        layer = self.layer
        if layer.bias is True:
            return [self.biases()]
        return [] if layer.bias is False or layer.bias == 0 else [number_text(float(layer.bias))]

    def biases(self) -> str:
        """The biases of all energies."""
        shared = self.layer.shared
        if shared is None:
            return "self.bias"
        return "self.bias[self.same]" if shared.block is None else f"self.bias.repeat_interleave({shared.block})"

    def gate(self, gate: DropoutGate, value: str) -> str:
        """The dropout nodes' factor for the features ``value``, at all steps where they are shared."""
        kind, number = gate_of(gate)
        return f"how.{kind}({value}, {number_text(number)}{', shared=True' if gate.share == 'time' else ''})"

    def behind(self, c: Contribution, values: Values, factor: str | None = None) -> str:
        """A parent's features behind the edge's gate, if it has one; ``factor`` is a draw that was made before."""
        value = values[c.source, c.lag]
        match c.gate:
            case DropoutGate() as gate:
                return self.gated(gate, value, factor)
            case Opening() as gate:
                return self.opened(value, self.factor(gate, values[gate.source, 0]))
            case _:
                return value

    def term(self, c: Contribution, values: Values, factor: str | None = None) -> str:
        """One contribution as an expression of the parent's features."""
        value = self.padded(c, self.behind(c, values, factor))
        if c.product.kind != "identity":
            return self.product(c, value)
        scale = 1 if c.product.fixed is None else c.product.fixed
        if scale != 1 and c.gate is not None:
            value = f"({value})"
        return value if scale == 1 else self.scaled(value, scale)

    def padded(self, c: Contribution, value: str) -> str:
        """Features with the margins that windows reach into, where the module does not add them."""
        margins = around(c.product)
        return value if margins is None else f"padded({value}, {margins})"

    def folds(self, c: Contribution) -> bool:
        """Whether the product adds the bias by itself."""
        p, shared = c.product, self.layer.shared
        if p.fixed is not None or self.layer.bias is not True or c.block is not None:
            return False
        if p.kind == "convolution":
            return shared is not None and shared.block == places(p)
        return p.kind in ("dense", "masked", "tied") and shared is None

    def sum(self, contributions: Sequence[Contribution], values: Values, bias: bool) -> str:
        """The sum of contributions, with the bias folded into the first dense product where that is possible."""
        first = contributions[0] if contributions else None
        fold = bias and first is not None and self.folds(first)
        terms = []
        for c in contributions:
            if c.block is None:
                terms.append(self.linear(c, self.padded(c, self.behind(c, values))) if c is first and fold else self.term(c, values))
        terms += self.blocks([c for c in contributions if c.block is not None], values)
        text = self.shifted(terms) if bias and not fold else " + ".join(terms)
        return text.replace("+ -", "- ")

    def blocks(self, contributions: Sequence[Contribution], values: Values) -> list[str]:
        """The sums for groups of nodes, put together to a term for all of them."""
        found: dict[tuple[str, int, int], list[str]] = {}
        for c in contributions:
            assert c.block is not None
            found.setdefault(c.block, []).append(self.term(c, values))
        sums = {(start, stop): " + ".join(terms) for (_, start, stop), terms in found.items()}
        if not sums or follow(list(sums), self.layer.energies):
            return [f"torch.cat([{', '.join(sums.values())}], {1 if self.mapped else -1})"] if sums else []
        return [f"F.pad({text}, ({start}, {self.layer.energies - stop}))" for (start, stop), text in sums.items()]

    def normalised(self, total: str, masked: bool) -> str:
        """A normalised sum, whose shift is the bias."""
        if self.layer.groups is not None:
            return self.shifted([self.group_norm(total)])
        shift = "self.bias" if self.layer.bias is True else "None"
        rest = f"{shift}{', valid' if masked else ''}"
        text = self.batch_norm(f"{total}, {rest}")
        self.normalisations[text] = total, rest
        return text if self.layer.bias is True else self.shifted([text])

    def inferred(self, how: str, law: str, energy: str) -> str:
        """Features of nodes that may be drawn; where the energy is a sum normalised over the batch, that may be done at once."""
        covered = self.covered(energy)
        if covered is None:
            return f"{how}({law}, {energy})"
        self.parts.add("over_batch")
        return f"{how}.over_batch({law}, self.normalize, {', '.join(covered)})"

    def covered(self, energy: str) -> tuple[str, str] | None:
        """What is normalised over the batch, and what else the module is told, where a kernel does that and what follows at once."""
        return self.normalisations.get(energy) if self.at_once else None

    def energy(self, contributions: Sequence[Contribution], values: Values, masked: bool) -> str:
        """The energy from all contributions at once."""
        if self.layer.normalised == "no":
            return self.sum(contributions, values, bias=True)
        if self.layer.normalised == "energy":
            return self.normalised(self.sum(contributions, values, bias=False), masked)
        direct = [c for c in contributions if not c.lag]
        lagged = [c for c in contributions if c.lag]
        total = self.normalised(self.sum(direct, values, bias=False), masked)
        return " + ".join([total, *([self.sum(lagged, values, bias=False)] if lagged else [])])


class MomentTerms(Terms):
    """The same where every value may be a mean and a variance."""

    moments = True

    def gated(self, gate: DropoutGate, value: str, factor: str | None) -> str:
        factor = factor or self.gate(gate, value)
        self.parts.add("gated")
        mean, square = (gate.keep_prob, gate.keep_prob) if gate.kind == "bernoulli" else (1.0, 1 + gate.std**2)
        return f"how.gated({value}, {factor}, {number_text(mean)}, {number_text(square)})"

    def opened(self, value: str, factor: str) -> str:
        self.parts.add("opened")
        return f"how.opened({value}, {factor})"

    def factor(self, gate: Opening, value: str) -> str:
        value = shaped(gate, value)
        if (gate.scale, gate.shift) == (1, 0):
            return value
        self.parts.add("linearly")
        return f"how.linearly({value}, {number_text(gate.scale)}, {number_text(gate.shift)})"

    def scaled(self, value: str, weight: float) -> str:
        self.parts.add("scaled")
        return f"how.scaled({value}, {number_text(weight)})"

    def product(self, c: Contribution, value: str) -> str:
        weight = f"{module(c)}.weight"
        match c.product.kind:
            case "average":
                text, part = averaged(c.product, "x")
                self.parts.update(("averaged", *([part] if part else [])))
                assert c.product.geometry is not None
                return f"how.averaged(lambda x: {text}, {value}, {math.prod(c.product.geometry.kernel)})"
            case "convolution" | "local" | "grouped" | "tied":
                self.parts.add("through")
                return f"how.through({module(c)}, {value})"
            case "embedding":
                method = "lookup"
            case "table":
                method, weight = "linear", f"{weight}.T"
            case "elementwise":
                method = "scaled"
            case "dense" if c.product.fixed is None:
                method = "linear"
            case _:
                method, weight = "linear", f"{weight} * {module(c)}.mask"
        self.parts.add(method)
        return f"how.{method}({value}, {weight})"

    def folds(self, c: Contribution) -> bool:
        return c.product.kind == "dense" and super().folds(c)

    def linear(self, c: Contribution, value: str) -> str:
        self.parts.add("linear")
        return f"how.linear({value}, {module(c)}.weight, self.bias)"

    def shifted(self, terms: list[str], first: bool = False) -> str:
        total = " + ".join(terms)
        if not self.bias():
            return total
        self.parts.add("shift")
        return f"how.shift({total}, {self.bias()[0]})"

    def determined(self, law: str, energies: str) -> str:
        self.parts.add("determined")
        return f"how.determined({law}, {energies})"

    def batch_norm(self, arguments: str) -> str:
        self.parts.add("normalised" if self.layer.shared is None else "normalised_maps")
        return f"how.normalised(self.normalize, {arguments})"

    def group_norm(self, total: str) -> str:
        self.parts.add("group_moments")
        return f"how.group_moments(self.normalize, {self.layer.groups}, {total})"
