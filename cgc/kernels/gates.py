"""Dropout nodes as node laws (paper, eq. 12-13): what a parent's features, in place of an energy, become behind them. The slope is the
draw."""

from __future__ import annotations

from cgc.kernels.code import constant, select
from cgc.kernels.expand import Words
from cgc.kernels.node import RATE, WORDS, E, Node
from cgc.kernels.random import normal
from cgc.program.ir import Layer
from cgc.spec.model import DropoutGate

Gate = tuple[str, float]
"""Which distribution, and its number: the probability of 1, or the standard deviation about 1."""


def gate_of(gate: DropoutGate) -> Gate:
    """What distinguishes the kernels of gates."""
    return gate.kind, gate.keep_prob if gate.kind == "bernoulli" else gate.std


def gates(layer: Layer) -> tuple[Gate, ...]:
    """Those of a layer that are drawn anew wherever they are asked for: at the last step alone, one for all steps is such."""
    found = (c.dropout for c in layer.contributions)
    return tuple(gate_of(gate) for gate in found if gate is not None and (gate.share == "step" or layer.last))


def gate_node(gate: Gate) -> Node:
    """Features times a draw of the gate."""
    kind, number = gate
    words = Words(WORDS, RATE)
    binary = kind == "bernoulli"
    drawn = select(words.below(constant(number)), 1.0, 0.0) if binary else 1.0 + number * normal(words.noise())
    mean = constant(number if binary else 1.0)
    return Node(E * mean, mean, None, False, E * drawn, drawn, words.used, False, None)


def in_words(gate: Gate) -> str:
    """What features become."""
    return ("x D, D ~ Bernoulli({:g})" if gate[0] == "bernoulli" else "x D, D ~ N(1, {:g}^2)").format(gate[1])


def gate_name(gate: Gate) -> str:
    """The name of its kernels: no class of a law has an underscore."""
    return f"{gate[0]}_{gate[1]!r}".replace(".", "_").replace("-", "_")
