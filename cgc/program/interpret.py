"""The meaning of a program: a plain interpreter in float64 numpy, term by term as the definitions read.

It is the oracle that targets are tested against, so it shares no code with any and takes no shortcut: one matrix per edge, one step of
a loop after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cgc.families.forms import FiniteExponential, Indicators
from cgc.formula.numeric import array
from cgc.graph.parts import child_axes
from cgc.graph.predicate import evaluate, value_of
from cgc.program.ir import Contribution, Layer, Map, Opening, Product, Program, Refine, Scan, Stage

Array = np.ndarray[Any, Any]

EPSILON = 1e-5
"""What normalisation adds to a variance."""
MOMENTUM = 0.1
"""The share of a new batch in the running mean and variance."""


@dataclass(frozen=True)
class Values:
    """What a layer computes: ``energies`` (batch, [time], [labels], *nodes), ``features`` (batch, [time], features)."""

    energies: Array
    features: Array


@dataclass(frozen=True)
class Moments:
    """What is known of a layer whose nodes are random: means and variances of energies and of features, shaped as ``Values``."""

    mean: Values
    variance: Values


@dataclass(frozen=True)
class Interpretation:
    """The values of every layer, and the buffers (running means and variances) as they are afterwards."""

    layers: dict[str, Values]
    buffers: dict[str, Array]


def interpret(
    program: Program,
    parameters: Mapping[str, Array],
    inputs: Mapping[str, Array],
    training: bool = False,
    lengths: Array | None = None,
    gates: Mapping[tuple[str, str], Array] | None = None,
) -> Interpretation:
    """Feed-forward inference: every node at its expectation, every gate at its mean.

    ``parameters`` is the state dict, ``inputs`` has (batch, [time], *nodes) values or labels for each input, the axis of a single node
    with labels left out. ``training`` normalises by the batch instead of by the running statistics. ``lengths`` (batch,) says how many
    steps are valid. ``gates`` replaces the mean of a gate, by names of layer and edge, with factors that broadcast against the source's
    features. Of a layer with lines the features are as if it had none; ``cgc.program.joint`` says what they really are.
    Raises KeyError for a missing parameter or input.
    """
    run = _Run(program, parameters, inputs, training, lengths, gates or {})
    for stage in program.stages:
        run.stage(stage)
    layers = {layer.name: run.values(layer) for layer in program.layers()}
    return Interpretation(layers, run.buffers)


def interpret_moments(
    program: Program, parameters: Mapping[str, Array], inputs: Mapping[str, Array], lengths: Array | None = None
) -> dict[str, Moments]:
    """Mean and variance of every layer in evaluation, each energy taken as N(mean, variance) and its terms as independent.

    Inputs are given, so that their variance is 0, but for two-state inputs that are given as expectations. Arguments as of ``interpret``.
    """
    run = _MomentRun(program, parameters, inputs, lengths)
    for stage in program.stages:
        run.stage(stage)
    return {layer.name: run.moments(layer) for layer in program.layers()}


class _Run:
    """Features and energies by name, always (batch, steps, size): one step where there is no time or only the last one."""

    def __init__(
        self,
        program: Program,
        parameters: Mapping[str, Array],
        inputs: Mapping[str, Array],
        training: bool,
        lengths: Array | None,
        gates: Mapping[tuple[str, str], Array],
    ) -> None:
        self.program, self.parameters, self.training, self.gates = program, parameters, training, gates
        self.once = {layer.name for layer in program.layers() if layer.last}
        self.features: dict[str, Array] = {}
        self.energies: dict[str, Array] = {}
        self.totals: dict[str, Array] = {}
        self.buffers = {key: np.array(value, np.float64) for key, value in parameters.items() if ".running_" in key}
        for item in program.inputs:
            given = np.asarray(inputs[item.name])
            steps = 1 if program.steps is None else given.shape[1]
            values = given.reshape(len(given), steps, item.size)
            if item.labels is not None:
                values = (values[:, :, None, :] == np.arange(item.labels)[:, None]).reshape(len(given), steps, item.features)
            self.features[item.name] = values.astype(np.float64)
        self.batch, self.steps = len(given), steps
        self.lengths = np.full(self.batch, steps) if lengths is None else np.asarray(lengths)

    def stage(self, stage: Stage) -> None:
        """Compute the layers of a stage."""
        match stage:
            case Map(layer):
                self.store(layer, self.energy(layer, list(range(1 if layer.last else self.steps))))
            case Scan(layers):
                self.scan(layers)
            case Refine(layer, levels):
                for level in levels:
                    self.stage(Map(level.copy))
                    self.stage(level.module)
                self.stage(Map(layer))
            case _:
                for inner in stage.stages:
                    self.stage(inner)

    def scan(self, layers: tuple[Layer, ...]) -> None:
        """One step after the other; only what is normalised over all steps is computed before."""
        group = {layer.name for layer in layers}
        before = {}
        for layer in layers:
            self.features[layer.name] = np.zeros((self.batch, self.steps, layer.features))
            self.energies[layer.name] = np.zeros((self.batch, self.steps, layer.energies))
            if not any(source in group for c in _normalised(layer) for source, _ in c.sources):
                before[layer.name] = self.normalised(layer, list(range(self.steps)))
        for t in range(self.steps):
            for layer in layers:
                known = before[layer.name][:, [t]] if layer.name in before else self.normalised(layer, [t])
                e = known + self.sum(layer, _plain(layer), [t])
                self.energies[layer.name][:, t] = e[:, 0]
                self.features[layer.name][:, t] = self.expectation(layer, e)[:, 0]

    def energy(self, layer: Layer, steps: list[int]) -> Array:
        return self.normalised(layer, steps) + self.sum(layer, _plain(layer), steps)

    def store(self, layer: Layer, e: Array) -> None:
        self.energies[layer.name] = e
        if layer.normalised == "no":
            self.totals[layer.name] = e
        self.features[layer.name] = self.expectation(layer, e)

    # ---- energies

    def normalised(self, layer: Layer, steps: list[int]) -> Array:
        """The part of the energy under normalisation, scaled; and the bias."""
        total = np.zeros((self.batch, len(steps), layer.energies))
        if layer.normalised == "no":
            return np.asarray(total + self.onto(layer) + self.bias(layer), np.float64)
        total = self.totals[layer.name] = self.sum(layer, _normalised(layer), steps) + self.onto(layer)
        total = self.batch_norm(layer, total, steps) if layer.groups is None else self.group_norm(layer, total)
        return np.asarray(total + self.bias(layer), np.float64)

    def onto(self, layer: Layer) -> Array | float:
        """The energy of the copy that a refined layer adds to."""
        return 0.0 if layer.onto is None else self.totals[layer.onto]

    def group_norm(self, layer: Layer, a: Array) -> Array:
        """Each group of energies less its mean, over its standard deviation, scaled."""
        scale = _spread(layer, self.parameters[f"{layer.name}.normalize.weight"])
        each = np.array_split(a, layer.groups or 1, -1)
        each = [(g - g.mean(-1, keepdims=True)) / np.sqrt(g.var(-1, keepdims=True) + EPSILON) for g in each]
        return np.asarray(scale * np.concatenate(each, -1), np.float64)

    def bias(self, layer: Layer) -> Array:
        """The bias of every energy."""
        return _spread(layer, self.parameters[f"{layer.biased}.bias"]) if layer.bias is True else np.asarray(layer.bias, np.float64)

    def batch_norm(self, layer: Layer, a: Array, steps: list[int]) -> Array:
        name = f"{layer.name}.normalize"
        mean, variance = self.buffers[f"{name}.running_mean"], self.buffers[f"{name}.running_var"]
        valid = np.ones((self.batch, 1), bool) if layer.last else np.array(steps)[None, :] < self.lengths[:, None]
        rows = a[np.broadcast_to(valid, a.shape[:2])]
        # nodes that share a bias share their statistics
        samples = [rows[:, _spread(layer, np.arange(layer.biases)) == k].reshape(-1) for k in range(layer.biases)]
        # of a single value there is no variance
        if self.training and len(samples[0]) > 1:
            new = np.array([s.mean() for s in samples]), np.array([s.var(ddof=1) for s in samples])
            self.buffers[f"{name}.running_mean"] = (1 - MOMENTUM) * mean + MOMENTUM * new[0]
            self.buffers[f"{name}.running_var"] = (1 - MOMENTUM) * variance + MOMENTUM * new[1]
            mean, variance = new[0], np.array([s.var() for s in samples])
        mean, variance, scale = (_spread(layer, v) for v in (mean, variance, self.parameters[f"{name}.weight"]))
        return np.asarray(scale * (a - mean) / np.sqrt(variance + EPSILON), np.float64)

    def sum(self, layer: Layer, contributions: tuple[Contribution, ...], steps: list[int]) -> Array:
        total = np.zeros((self.batch, len(steps), layer.energies))
        for c in contributions:
            value = np.stack([self.read(layer, c, t) for t in steps], 1)
            total += value @ self.matrix(layer, c).T
        return total

    def read(self, layer: Layer, c: Contribution, t: int) -> Array:
        """The features of a parent for the layer's step ``t``, behind the gate; 0 before the first step."""
        source = self.features[c.source]
        if c.dropout is not None:
            mean = c.dropout.keep_prob if c.dropout.kind == "bernoulli" else 1.0
            source = source * self.gates.get((layer.name, c.name), np.float64(mean))
        value = self.at_step(source, layer, c.source, c.lag, t)
        return value if c.opening is None else value * self.open(layer, c.opening, t)

    def open(self, layer: Layer, gate: Opening, t: int) -> Array:
        """The probability that each node of what a hidden gate opens counts."""
        return _opened(gate, self.at_step(self.features[gate.source], layer, gate.source, 0, t))

    def at_step(self, source: Array, layer: Layer, name: str, lag: int, t: int) -> Array:
        """``source`` (batch, steps, size), the values of ``name``, at the step that the layer's step ``t`` reads; 0 before the first."""
        if name in self.once:
            return np.asarray(source[:, 0])
        when = (self.lengths - 1 if layer.last else np.full(self.batch, t)) - lag
        return np.asarray(source[np.arange(self.batch), np.maximum(when, 0)] * (when >= 0)[:, None])

    def matrix(self, layer: Layer, c: Contribution) -> Array:
        """The coupling as a full matrix (energies, parent's features)."""
        if c.block is None:
            return self.block(layer, c)
        full = np.zeros((layer.energies, c.product.inputs))
        full[c.block[1] : c.block[2]] = self.block(layer, c)
        return full

    def block(self, layer: Layer, c: Contribution) -> Array:
        """The same for the energies of the nodes that the contribution adds to."""
        p = c.product
        learned = None if p.weight_shape is None else self.weight(c.weight, p)
        fixed = 1.0 if p.fixed is None else p.fixed
        match p.kind:
            case "identity":
                return fixed * np.eye(p.outputs)
            case "elementwise":
                assert learned is not None
                return np.diag(learned)
            case "embedding" | "table":
                assert learned is not None
                return learned.T
            case "tied":
                assert learned is not None
                return _tied(p, learned)
            case "grouped" | "convolution" | "local" | "average":
                weight = np.full(replace(p, fixed=None).weight_shape or (1,), fixed) if learned is None else learned
                return _on_grid(p, weight)
            case _:
                full = np.full((p.outputs, p.inputs), fixed) if learned is None else learned
                return full * _mask(p)

    def weight(self, name: str, p: Product) -> Array:
        """The learned weight."""
        if not p.weight_norm:
            return np.asarray(self.parameters[f"{name}.weight"], np.float64)
        length, v = (np.asarray(self.parameters[f"{name}.parametrizations.weight.original{k}"], np.float64) for k in range(2))
        # of a table of labels, a node's weights are a column
        axes = 0 if p.kind in ("embedding", "table") else tuple(range(1, v.ndim))
        return np.asarray(length * v / np.sqrt((v**2).sum(axes, keepdims=True)), np.float64)

    # ---- node laws

    def expectation(self, layer: Layer, e: Array) -> Array:
        return self.by_label(layer, np.asarray(array(self.program.law(layer.law).computed, e=self.nodes(layer, e))))

    def nodes(self, layer: Layer, e: Array) -> Array:
        """Energies node by node: (..., size), with labels (..., size, labels), the reference label's 0 among them."""
        if layer.labels is None:
            return e
        e = e.reshape(*e.shape[:-1], layer.free_energies, layer.size).swapaxes(-1, -2)
        law = self.program.law(layer.law).law
        reference = law.reference_label if isinstance(law, Indicators) else None
        return e if reference is None else np.insert(e, reference, 0.0, axis=-1)

    def by_label(self, layer: Layer, values: Array) -> Array:
        """Back to one axis, label by label."""
        return values if layer.labels is None else values.swapaxes(-1, -2).reshape(*values.shape[:-2], layer.features)

    def values(self, layer: Layer) -> Values:
        """What the layer computed, shaped as at the model's border."""
        return self.shaped(layer, self.energies[layer.name], self.features[layer.name])

    def shaped(self, layer: Layer, energies: Array, features: Array) -> Values:
        """Energies (batch, steps, energies) and features as at the model's border."""
        e = self.nodes(layer, energies)
        if layer.labels is not None:
            e = e.swapaxes(-1, -2)
        nodes = () if layer.labels is not None and layer.size == 1 else layer.nodes
        labels = () if layer.labels is None else (layer.labels,)
        timed = self.program.steps is not None and not layer.last
        leading = e.shape[:2] if timed else e.shape[:1]
        return Values(e.reshape(*leading, *labels, *nodes), features.reshape(*leading, layer.features))


class _MomentRun(_Run):
    """One step of one layer after the other, with a variance beside every value; ``energies`` and ``features`` are means."""

    def __init__(self, program: Program, parameters: Mapping[str, Array], inputs: Mapping[str, Array], lengths: Array | None) -> None:
        super().__init__(program, parameters, inputs, False, lengths, {})
        self.variances = {name: np.zeros_like(mean) for name, mean in self.features.items()}
        self.energy_variances: dict[str, Array] = {}
        self.added: dict[str, tuple[Array, Array]] = {}
        for item in program.inputs:
            law = program.law(item.law).law
            if item.soft and isinstance(law, FiniteExponential):
                low, high = sorted(float(state) for state in law.support)
                q = self.features[item.name]
                self.variances[item.name] = (q - low) * (high - q)
        for layer in program.layers():
            steps = 1 if layer.last else self.steps
            for of_energies, of_features in ((self.energies, self.features), (self.energy_variances, self.variances)):
                of_energies[layer.name] = np.zeros((self.batch, steps, layer.energies))
                of_features[layer.name] = np.zeros((self.batch, steps, layer.features))

    def stage(self, stage: Stage) -> None:
        match stage:
            case Map(layer):
                for t in range(1 if layer.last else self.steps):
                    self.step(layer, t)
            case Scan(layers):
                for t in range(self.steps):
                    for layer in layers:
                        self.step(layer, t)
            case Refine(layer, levels):
                for level in levels:
                    self.stage(Map(level.copy))
                    self.stage(level.module)
                self.stage(Map(layer))
            case _:
                for inner in stage.stages:
                    self.stage(inner)

    def step(self, layer: Layer, t: int) -> None:
        """Energies of step ``t`` as N(m, v), and the moments of the nodes that follow them."""
        m, v = self.total(layer, _normalised(layer), t)
        if layer.onto is not None:
            m, v = m + self.added[layer.onto][0][:, t], v + self.added[layer.onto][1][:, t]
        self.added.setdefault(layer.name, (np.zeros_like(self.energies[layer.name]), np.zeros_like(self.energies[layer.name])))
        self.added[layer.name][0][:, t], self.added[layer.name][1][:, t] = m, v
        if layer.groups is not None:
            m, v = self.group_moments(layer, m, v)
        elif layer.normalised != "no":
            name = f"{layer.name}.normalize"
            buffers = (self.parameters[f"{name}.weight"], self.buffers[f"{name}.running_mean"], self.buffers[f"{name}.running_var"])
            scale, mean, variance = (_spread(layer, v) for v in buffers)
            scale = scale / np.sqrt(variance + EPSILON)
            m, v = scale * (m - mean), scale**2 * v
        plain = self.total(layer, _plain(layer), t)
        m, v = m + plain[0] + self.bias(layer), v + plain[1]
        if layer.normalised == "no":
            self.added[layer.name][0][:, t], self.added[layer.name][1][:, t] = m, v
        self.energies[layer.name][:, t], self.energy_variances[layer.name][:, t] = m, v
        self.features[layer.name][:, t], self.variances[layer.name][:, t] = self.law(layer, m, v)

    def group_moments(self, layer: Layer, m: Array, v: Array) -> tuple[Array, Array]:
        """Of a less its group's mean, exactly; over the root of the expectation of the group's variance."""
        scale = _spread(layer, self.parameters[f"{layer.name}.normalize.weight"])
        means, variances = [], []
        for mean, variance in zip(*(np.array_split(value, layer.groups or 1, -1) for value in (m, v)), strict=True):
            n = mean.shape[-1]
            # independent energies: the part of each in its own mean is 1/n
            expected = mean.var(-1, keepdims=True) + (1 - 1 / n) * variance.mean(-1, keepdims=True) + EPSILON
            means.append((mean - mean.mean(-1, keepdims=True)) / np.sqrt(expected))
            variances.append(((1 - 2 / n) * variance + variance.mean(-1, keepdims=True) / n) / expected)
        return scale * np.concatenate(means, -1), scale**2 * np.concatenate(variances, -1)

    def total(self, layer: Layer, contributions: tuple[Contribution, ...], t: int) -> tuple[Array, Array]:
        """Mean and variance of a sum of contributions."""
        mean, variance = np.zeros((self.batch, layer.energies)), np.zeros((self.batch, layer.energies))
        for c in contributions:
            m, v = (self.at_step(values[c.source], layer, c.source, c.lag, t) for values in (self.features, self.variances))
            # D X with independent D and X: E D E X, and E D^2 E X^2 - (E D E X)^2
            if c.dropout is not None:
                first, second = (c.dropout.keep_prob, c.dropout.keep_prob) if c.dropout.kind == "bernoulli" else (1.0, 1 + c.dropout.std**2)
                m, v = first * m, second * (v + m**2) - (first * m) ** 2
            if c.opening is not None:
                p = self.open(layer, c.opening, t)
                spread = _opened(
                    replace(c.opening, scale=c.opening.scale**2, shift=0.0),
                    self.at_step(self.variances[c.opening.source], layer, c.opening.source, 0, t),
                )
                m, v = p * m, (spread + p**2) * (v + m**2) - (p * m) ** 2
            weight = self.matrix(layer, c)
            mean, variance = mean + m @ weight.T, variance + v @ (weight**2).T
        return mean, variance

    def law(self, layer: Layer, m: Array, v: Array) -> tuple[Array, Array]:
        """Mean and variance of the features of nodes whose energies are N(m, v)."""
        law = self.program.law(layer.law)
        m, v = self.nodes(layer, m), self.nodes(layer, v)
        if law.moments is None:
            # labels, each energy on its own: softmax as if the logistic function were a Gaussian integral, indicators as coins
            scaled = np.exp(m / np.sqrt(1 + np.pi * v / 8))
            p = scaled / scaled.sum(-1, keepdims=True)
            return self.by_label(layer, p), self.by_label(layer, p * (1 - p))
        mean, variance = (np.asarray(array(tree, m=m, v=v)) for tree in law.moments)
        return mean, variance

    def moments(self, layer: Layer) -> Moments:
        """What the layer computed, shaped as at the model's border."""
        return Moments(self.values(layer), self.shaped(layer, self.energy_variances[layer.name], self.variances[layer.name]))


def _opened(gate: Opening, values: Array) -> Array:
    """Features of a gate's nodes as factors for the nodes that it opens: where an extent is 1, for all along it."""
    size = int(np.prod(gate.nodes))
    values = values if gate.label is None else values[..., gate.label * size : (gate.label + 1) * size]
    shape = gate.nodes if len(gate.nodes) == len(gate.opened) else (1,) * len(gate.opened)
    factors = (gate.scale * values + gate.shift).reshape(*values.shape[:-1], *shape)
    return np.asarray(np.broadcast_to(factors, (*values.shape[:-1], *gate.opened)).reshape(*values.shape[:-1], -1))


def _normalised(layer: Layer) -> tuple[Contribution, ...]:
    """The contributions that normalisation covers."""
    match layer.normalised:
        case "no":
            return ()
        case "inputs":
            return tuple(c for c in layer.contributions if not c.lag)
        case "energy":
            return layer.contributions


def _plain(layer: Layer) -> tuple[Contribution, ...]:
    """All others."""
    covered = _normalised(layer)
    return tuple(c for c in layer.contributions if c not in covered)


def _spread(layer: Layer, values: Array) -> Array:
    """What nodes share, for every energy."""
    shared = layer.shared
    if shared is None:
        return values
    if shared.block is not None:
        return np.repeat(values, shared.block)
    assert shared.key is not None
    grids = np.ix_(*(np.arange(extent) for extent in layer.nodes))
    indices = {name: grid for (name, _), grid in zip(child_axes(layer.nodes), grids, strict=True)}
    key = np.broadcast_to(value_of(shared.key, indices), layer.nodes)
    return values[np.unique(key, return_inverse=True)[1].reshape(-1)]


def _tied(p: Product, weight: Array) -> Array:
    """Equal weights where the key is equal, in the order of its values."""
    assert p.key is not None and p.index is not None
    axes = (*p.index.child, *p.index.parent)
    grids = np.ix_(*(np.arange(extent) for _, extent in axes))
    key = np.broadcast_to(value_of(p.key, {name: grid for (name, _), grid in zip(axes, grids, strict=True)}), [n for _, n in axes])
    mask = _mask(p)
    full = np.zeros(mask.shape)
    full[mask > 0] = weight[np.unique(key.reshape(mask.shape)[mask > 0], return_inverse=True)[1]]
    return full


def _on_grid(p: Product, weight: Array) -> Array:
    """The full matrix, window by window and map by map."""
    g = p.geometry
    assert g is not None
    if not g.windows:
        full = np.zeros((g.groups, p.outputs // g.groups, g.groups, p.inputs // g.groups))
        for k in range(g.groups):
            full[k, :, k] = weight[k]
        return full.reshape(p.outputs, p.inputs)
    places, extents = [w.child for w in g.windows], [w.parent for w in g.windows]
    full = np.zeros((g.child_maps, *places, g.parent_maps, *extents))
    maps = g.child_maps // g.groups, g.parent_maps // g.groups
    for place in np.ndindex(*places):
        for cell in np.ndindex(*g.kernel):
            at = [w.stride * r + w.dilation * m - w.before for w, r, m in zip(g.windows, place, cell, strict=True)]
            if not all(0 <= u < n for u, n in zip(at, extents, strict=True)):
                continue
            for c, d in np.ndindex(g.child_maps, maps[1]):
                value = 1 / np.prod(g.kernel)
                if p.kind != "average":
                    value = weight[(c, d, *cell)] if p.kind == "convolution" else weight[(c, *place, d, *cell)]
                full[(c, *place, c // maps[0] * maps[1] + d, *at)] = value
    return full.reshape(p.outputs, p.inputs)


def _mask(p: Product) -> Array:
    """Which entries of a weight count, as 0 and 1: the predicate at every pair of nodes, the same for all labels."""
    if p.mask is None or p.index is None:
        return np.ones((p.outputs, p.inputs))
    axes = (*p.index.child, *p.index.parent)
    grids = np.ix_(*(np.arange(extent) for _, extent in axes))
    holds = np.broadcast_to(evaluate(p.mask, {name: grid for (name, _), grid in zip(axes, grids, strict=True)}), [n for _, n in axes])
    children = int(np.prod([extent for _, extent in p.index.child]))
    pairs = holds.reshape(children, -1).astype(np.float64)
    return np.tile(pairs, (p.outputs // pairs.shape[0], p.inputs // pairs.shape[1]))
