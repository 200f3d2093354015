"""A step of a loop over time that several layers share, as typed arithmetic: everything in it that is done node by node.

Products with whole weights of what was known a step before are torch's, all in one; their sums enter here. What the layers' nodes become
follows from their laws, and what goes back from the laws' slopes, by the chain rule from the last layer to the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cgc.derive.derivation import Derivation
from cgc.kernels.code import Value, argument, constant, given, replaced, select
from cgc.kernels.node import COIN, WORDS, E, H, Node
from cgc.program.ir import Contribution, Layer, Opening
from cgc.program.loops import before, in_steps, normalised_in_steps

STRAIGHT = argument("straight")
WORD = "random"
"""What the random words of a step are called, before their numbers."""
Named = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Passage:
    """Part of a step where nodes may be drawn. ``results`` are values and slopes of layers, ``v0``, ``s0`` …, of what those in passages
    before became (``v0`` …); then, where there is a ``node``, the energy of a layer, such as ``e1``, whose draws by this arithmetic take
    long enough to be computed for few nodes alone. Its words begin with number ``first``; ``discrete``: if told so, its slope is the
    expectation's."""

    results: Named
    node: Node | None = None
    first: int = 0
    discrete: bool = False


@dataclass(frozen=True)
class Cell:
    """One step, the same for loops that differ in names alone.

    Layers are numbered in the order of computation, what they are given in the order in which it is listed here. ``driven``: layers with
    a part of the energy that is known before the loop; ``inputs``: the edges' names where each of these parts is a product of ``given``
    and a bias, so that they are one product (else there are none); ``beside``: what else is read from outside, a layer's features with
    their lag. ``multiplied``: layers with products of whole weights; ``sources``: the layers whose last values these products are of,
    ``weights``: by source, the edges' names, a layer each. ``vectors``: weights and biases of single nodes, by layer and edge (None: its
    bias). ``lagged`` layers are read steps later, ``kept`` ones outside.

    Arguments have names: ``x0`` … what is driven, ``b0`` … what is beside, ``p0`` … products, ``u0`` … vectors, ``v0`` … what layers
    became, ``v1_2`` layer 1 two steps before, ``g0`` … the gradients of what they became. So have results: ``v0`` …, ``s0`` … slopes
    that must be kept; going back, ``e0`` … the gradients of ``energies``, ``db0`` … of what is beside, and what is added to gradients
    elsewhere, ``du0`` … and ``dv1_2``. ``drawn`` are the same where nodes may be drawn, with ``words`` random words, and ``passages`` the
    same forward, part by part; None, and no passages, where some cannot be. ``told``: values tell all slopes, those of drawn nodes too,
    unless a gradient is to pass a draw.
    """

    driven: tuple[int, ...]
    given: tuple[str, int] | None = field(compare=False)
    inputs: tuple[str, ...]
    beside: tuple[tuple[str, int], ...] = field(compare=False)
    multiplied: tuple[int, ...]
    sources: tuple[int, ...]
    weights: tuple[tuple[str, ...], ...]
    vectors: tuple[tuple[int, str | None], ...]
    lagged: tuple[int, ...]
    kept: tuple[int, ...]
    energies: tuple[int, ...]
    forward: Named
    backward: Named
    drawn: Named | None
    drawn_backward: Named | None
    words: int
    passages: tuple[Passage, ...]
    told: bool


def cell(layers: Sequence[Layer], laws: Mapping[str, tuple[Derivation, Node]], kept: Sequence[str]) -> Cell | None:
    """The step of layers that share a loop; None where something in it is neither done node by node nor such a product.

    ``laws`` are those of the layers that have arithmetic, ``kept`` the names of layers that are read outside.
    """
    group = tuple(layer.name for layer in layers)
    if any(layer.law not in laws or not _plain(layer, group, layers[0].size) for layer in layers):
        return None
    products = {layer.name: tuple(c.source for c in _products(layer, group)) for layer in layers}
    sources = next((found for found in products.values() if found), ())
    if any(found not in ((), sources) for found in products.values()) or len(set(sources)) < len(sources):
        return None
    builder = _Builder(layers, laws, kept, tuple(group.index(source) for source in sources))
    return builder.cell() if builder.driven or builder.beside else None


def _products(layer: Layer, group: tuple[str, ...]) -> tuple[Contribution, ...]:
    return tuple(c for c in in_steps(layer, group) if c.product.kind == "dense")


def _plain(layer: Layer, group: tuple[str, ...], size: int) -> bool:
    """Whether a layer's energies in a loop are products of the last step, and else sums of its own nodes' terms."""
    if layer.labels is not None or layer.output or layer.size != size or layer.energies != size or normalised_in_steps(layer, group):
        return False
    if not before(layer, group) and (layer.shared is not None or layer.normalised != "no"):
        return False
    for c in in_steps(layer, group):
        if c.dropout is not None or c.block is not None or c.product.inputs != size or c.product.outputs != size:
            return False
        match c.product.kind:
            case "dense":
                if c.source not in group or c.lag != 1 or c.gate is not None or c.product.fixed is not None:
                    return False
            case "elementwise" | "identity":
                if c.opening is not None and (c.opening.nodes != c.opening.opened or c.opening.label is not None):
                    return False
            case _:
                return False
    return True


class _Builder:
    """Writes the arithmetic of one step."""

    def __init__(
        self, layers: Sequence[Layer], laws: Mapping[str, tuple[Derivation, Node]], kept: Sequence[str], sources: tuple[int, ...]
    ) -> None:
        self.layers, self.sources = tuple(layers), sources
        self.group = tuple(layer.name for layer in layers)
        self.laws = [laws[layer.law] for layer in layers]
        self.driven = tuple(k for k, layer in enumerate(layers) if before(layer, self.group))
        self.multiplied = tuple(k for k, layer in enumerate(layers) if _products(layer, self.group))
        self.kept = tuple(k for k, name in enumerate(self.group) if name in kept)
        self.terms = [[c for c in in_steps(layer, self.group) if c.product.kind != "dense"] for layer in layers]
        read = [source for terms in self.terms for c in terms for source in c.sources]
        self.beside = tuple(dict.fromkeys(key for key in read if key[0] not in self.group))
        behind = {self.group.index(name) for name, lag in read if lag and name in self.group} | set(sources)
        self.lagged = tuple(sorted(behind))
        self.energies = (*self.multiplied, *(k for k in self.driven if k not in self.multiplied))
        self.vectors: list[tuple[int, str | None]] = []

    def cell(self) -> Cell:
        """The step."""
        values, slopes = self._forward(drawn=False)
        forward = self._named(values, [s if node.slope_of_value is None else None for s, node in zip(slopes, self._nodes(), strict=True)])
        of_value = [node.slope_of_value for node in self._nodes()]
        backward = self._backward(of_value)
        drawn, drawn_backward = None, None
        passages: tuple[Passage, ...] = ()
        words = sum(node.words for _, node in self.laws)
        if words and all(law.deterministic or node.inferred is not None for law, node in self.laws):
            drawn = self._named(*self._forward(drawn=True))
            drawn_backward = self._backward([None] * len(self.layers))
            passages = self._passages()
        edges = [[c.name for c in _products(self.layers[k], self.group)] for k in self.multiplied]
        return Cell(
            self.driven, *self._inputs(), self.beside, self.multiplied, self.sources, tuple(zip(*edges, strict=True)), tuple(self.vectors),
            self.lagged, self.kept, self.energies, forward, backward, drawn, drawn_backward, words, passages,
            all(law.copies_energy or node.always or (law.deterministic and node.slope_of_value is not None) for law, node in self.laws),
        )  # fmt: skip

    def _inputs(self) -> tuple[tuple[str, int] | None, tuple[str, ...]]:
        """What all parts that are known before the loop are products of, and the edges."""
        known = [(self.layers[k], before(self.layers[k], self.group)) for k in self.driven]
        if not known or any(
            len(edges) != 1 or layer.normalised != "no" or layer.bias is not True or layer.shared for layer, edges in known
        ):
            return None, ()
        edges = [edges[0] for _, edges in known]
        plain = all(c.product.kind == "dense" and c.product.fixed is None and c.gate is None and c.block is None for c in edges)
        sources = {(c.source, c.lag) for c in edges}
        if not plain or len(sources) > 1:
            return None, ()
        return sources.pop(), tuple(c.name for c in edges)

    def _nodes(self) -> list[Node]:
        return [node for _, node in self.laws]

    def _named(self, values: Sequence[Value], slopes: Sequence[Value | None]) -> Named:
        found = [(f"v{k}", value) for k, value in enumerate(values)]
        return (*found, *((f"s{k}", slope) for k, slope in enumerate(slopes) if slope is not None and not self._copies(k)))

    def _copies(self, k: int) -> bool:
        """Whether a layer's nodes are their energies."""
        return self.laws[k][0].copies_energy

    # ---- forward

    def _forward(self, drawn: bool) -> tuple[list[Value], list[Value]]:
        """What layers become, and the slopes there."""
        values: list[Value] = []
        slopes: list[Value] = []
        for k in range(len(self.layers)):
            value, slope = self._become(k, self._energy(k, values), drawn)
            values.append(value)
            slopes.append(slope)
        return values, slopes

    def _become(self, k: int, energy: Value, drawn: bool) -> tuple[Value, Value]:
        """What a layer's nodes become, and the slope there."""
        law, node = self.laws[k]
        if law.copies_energy:
            return energy, constant(1.0)
        places: dict[Value, Value] = {E: energy}
        value, slope = node.expectation, node.slope
        if node.slope_of_value is not None:  # in fewer operations
            (slope,) = replaced((node.slope_of_value,), {H: node.expectation})
        if drawn and node.inferred is not None and node.through is not None:
            places |= {WORDS[w]: given(f"{WORD}{self._first(k) + w}") for w in range(node.words)}
            through = select(COIN, node.through, slope)
            value, slope = node.inferred, select(STRAIGHT > 0, slope, through) if law.discrete else through
        value, slope = replaced((value, slope), places)
        return value, slope

    def _first(self, k: int) -> int:
        """The number of a layer's first random word."""
        return sum(node.words for _, node in self.laws[:k])

    def _passages(self) -> tuple[Passage, ...]:
        found: list[Passage] = []
        values: list[Value] = []
        results: list[tuple[str, Value]] = []
        for k, (law, node) in enumerate(self.laws):
            energy = self._energy(k, values)
            if node.words and not node.always and not law.copies_energy:
                found.append(Passage((*results, (f"e{k}", energy)), node, self._first(k), law.discrete))
                values, results = [argument(f"v{j}") for j in range(k + 1)], []
            else:
                value, slope = self._become(k, energy, drawn=True)
                values.append(value)
                results += [(f"v{k}", value)] + ([] if self._copies(k) else [(f"s{k}", slope)])
        return (*found, *([Passage(tuple(results))] if results else []))

    def _energy(self, k: int, values: Sequence[Value]) -> Value:
        layer = self.layers[k]
        parts = [argument(f"x{self.driven.index(k)}")] if k in self.driven else []
        parts += [argument(f"p{self.multiplied.index(k)}")] if k in self.multiplied else []
        if k not in self.driven and layer.bias is True:
            parts.append(self._vector(k, None))
        elif k not in self.driven and layer.bias is not False:
            parts.append(constant(float(layer.bias)))
        for c in self.terms[k]:
            parts.append(self._weight(k, c) * self._read(c.source, c.lag, values) * self._open(c.opening, values))
        return sum(parts[1:], parts[0]) if parts else constant(0.0)

    def _vector(self, k: int, name: str | None) -> Value:
        if (k, name) not in self.vectors:
            self.vectors.append((k, name))
        return argument(f"u{self.vectors.index((k, name))}")

    def _weight(self, k: int, c: Contribution) -> Value:
        if c.product.fixed is not None or c.product.kind == "identity":
            return constant(float(1 if c.product.fixed is None else c.product.fixed))
        return self._vector(k, c.name)

    def _read(self, source: str, lag: int, values: Sequence[Value] | None) -> Value:
        """What a layer became, as a value or (without values) as an argument, or what is beside."""
        if source not in self.group:
            return argument(f"b{self.beside.index((source, lag))}")
        k = self.group.index(source)
        if lag:
            return argument(f"v{k}_{lag}")
        return argument(f"v{k}") if values is None else values[k]

    def _open(self, gate: Opening | None, values: Sequence[Value] | None) -> Value:
        if gate is None:
            return constant(1.0)
        read = self._read(gate.source, 0, values)
        return constant(gate.shift) - read * -gate.scale if gate.scale < 0 else read * gate.scale + (gate.shift or 0.0)

    # ---- backward

    def _backward(self, of_value: Sequence[Value | None]) -> Named:
        """Gradients, from the last layer to the first: slopes follow from values where that is told, else they were kept."""
        gradient: dict[Value, Value] = {}
        energies: dict[int, Value] = {}

        def add(place: Value, value: Value) -> None:
            if place.name == "argument":
                gradient[place] = gradient[place] + value if place in gradient else value

        for k in range(len(self.layers) - 1, -1, -1):
            own = argument(f"v{k}")
            if k in self.kept or k in self.lagged:
                add(own, argument(f"g{k}"))
            slope = of_value[k]
            factor = argument(f"s{k}") if slope is None else replaced((slope,), {H: own})[0]
            energy = gradient.get(own, constant(0.0)) * (constant(1.0) if self._copies(k) else factor)
            energies[k] = energy
            if k not in self.driven and self.layers[k].bias is True:
                add(self._vector(k, None), energy)
            for c in self.terms[k]:
                weight, value, opened = self._weight(k, c), self._read(c.source, c.lag, None), self._open(c.opening, None)
                add(value, energy * weight * opened)
                add(weight, energy * value * opened)
                if c.opening is not None:
                    change = energy * weight * value
                    scale = c.opening.scale
                    add(self._read(c.opening.source, 0, None), -change if scale == -1 else change * scale)
        found = [(f"e{j}", energies[k]) for j, k in enumerate(self.energies)]
        inside = {f"v{k}" for k in range(len(self.layers))}
        found += [(f"d{place.args[0]}", value) for place, value in gradient.items() if str(place.args[0]) not in inside]
        return tuple(found)
