"""The meaning of lines: an output's joint distribution over all its states, listed one by one, in float64 numpy.

It is the oracle for every way to infer values of an output with lines, so it knows none of them. For small cases only.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cgc.graph.parts import child_axes, parent_axes
from cgc.graph.predicate import evaluate
from cgc.program.ir import Layer
from cgc.program.lines import LineFactors

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Joint:
    """All joint states of an output: numbers of ``states`` (joint, nodes), and the logarithm of each one's weight, (joint,).

    Nodes come step by step where lines run along time.
    """

    states: Array
    log_weights: Array

    @property
    def log_partition(self) -> float:
        """log Z, the logarithm of the sum of the weights."""
        largest = self.log_weights.max()
        return float(largest + np.log(np.exp(self.log_weights - largest).sum()))

    @property
    def probabilities(self) -> Array:
        """P of every joint state, (joint,)."""
        return np.asarray(np.exp(self.log_weights - self.log_partition))

    def marginals(self, count: int) -> Array:
        """P(node = state), (nodes, ``count``)."""
        return np.stack([(self.states == k).T @ self.probabilities for k in range(count)], -1)


def joint(layer: Layer, parameters: Mapping[str, Array], energies: Array) -> Joint:
    """The joint distribution of ``layer`` for one example: P(y | e) = 1/Z prod_i phi(y_i; e_i) prod over lines psi(y_i, y_j).

    ``energies`` are ([labels], *nodes), or (steps, [labels], *nodes) of the valid steps where lines run along time.
    """
    lines = layer.lines
    assert lines is not None
    steps = len(energies) if lines.written.time else 1
    e = energies.reshape(steps, lines.labels or 1, layer.size)
    nodes = [(t, *index) for t in range(steps) for index in np.ndindex(*layer.nodes)]
    phi = np.stack([_phi(lines, e[t, :, k]) for t in range(steps) for k in range(layer.size)])
    states = np.stack(np.unravel_index(np.arange(lines.count ** len(nodes)), (lines.count,) * len(nodes)), -1)
    for k, node in enumerate(nodes):
        phi[k] += _ends(lines, layer, parameters, node, steps)
    total = sum((phi[k][states[:, k]] for k in range(len(nodes))), np.zeros(len(states)))
    for (a, b), psi in _pairs(lines, layer, parameters, nodes):
        total = total + psi[states[:, a], states[:, b]]
    return Joint(states, total)


def _phi(lines: LineFactors, e: Array) -> Array:
    """The logarithm of a node's own factor, state by state."""
    return e.astype(np.float64) if lines.labels is not None else np.array(lines.features) * e[0] + np.array(lines.log_measure)


def _ends(lines: LineFactors, layer: Layer, parameters: Mapping[str, Array], node: tuple[int, ...], steps: int) -> Array:
    """What the potentials at the ends of a chain add at a node."""
    total = np.zeros(lines.count)
    if not lines.written.ends:
        return total
    place, length = (node[0], steps) if lines.written.time else (node[1 + (axis := lines.written.axes[0])], layer.nodes[axis])
    for name, there in (("start", 0), ("end", length - 1)):
        if place == there:
            own = np.asarray(parameters[f"{layer.name}.lines.{name}"], np.float64)
            total = total + (own if lines.labels is not None else own * np.array(lines.features))
    return total


def _pairs(
    lines: LineFactors, layer: Layer, parameters: Mapping[str, Array], nodes: list[tuple[int, ...]]
) -> list[tuple[tuple[int, int], Array]]:
    """Every line, with the logarithm of its factor by the states of its two ends."""
    weight = np.asarray(parameters[f"{layer.name}.lines.weight"], np.float64)
    letters = [name for name, _ in (*child_axes(layer.nodes), *parent_axes(layer.nodes))]
    found: list[tuple[tuple[int, int], Array]] = []
    for a, b in itertools.combinations(range(len(nodes)), 2):
        (t, *one), (s, *other) = nodes[a], nodes[b]
        holds = bool(evaluate(lines.joined, dict(zip(letters, (*one, *other), strict=True))))  # type: ignore[arg-type]
        if s - t != int(lines.written.time) or not holds:
            continue
        match lines.written.kind:
            case "chain":
                own = weight
            case "grid":
                own = weight[[one[axis] != other[axis] for axis in lines.written.axes].index(True)]
            case "dense":
                own = weight[len(found)]
            case "list":
                ends = [{tuple(x), tuple(y)} for x, y in lines.written.pairs]
                own = weight[number := ends.index({tuple(one), tuple(other)})]
                # a weight leads from the node that was written first
                own = own.T if tuple(one) != tuple(lines.written.pairs[number][0]) else own
        found.append(((a, b), own if lines.labels is not None else own * np.outer(lines.features, lines.features)))
    return found
