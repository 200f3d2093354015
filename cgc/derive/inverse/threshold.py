"""Threshold nodes: affine images of distribution functions, and lines added to them."""

from __future__ import annotations

from typing import Any

import sympy

from cgc.derive.derivation import Step
from cgc.derive.inverse.curve import Curve, given_step
from cgc.derive.inverse.distribution import Match, Share, noise_of
from cgc.derive.inverse.levels import (
    density_of,
    known_noise,
    latent_text,
    levels_of,
    limits_step,
    mean_of,
    monotone_reason,
    no_base_reason,
    refuse_falling,
)
from cgc.derive.inverse.linear import linear_pieces
from cgc.derive.inverse.node import Node, NoNode
from cgc.derive.inverse.numbers import number_of
from cgc.derive.inverse.spelling import as_field, as_flow, sentence, spelling_of
from cgc.derive.routes import step
from cgc.families.forms import E, Y
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value
from cgc.formula.text import text


def threshold_node(curve: Curve) -> Node:
    """line·e + an affine image of a distribution function: a node with a jump at one latent value."""
    line, low, high = levels_of(curve)
    bottom, span, slope = value(freeze(low)), value(freeze(high - low)), value(freeze(line))
    share = Share(
        lambda e: (curve.value(e) - slope * e - bottom) / span, curve.points,
        [(v - slope * e - bottom) / span for e, v in zip(curve.points, curve.values, strict=True)],
    )  # fmt: skip
    refuse_falling(curve, share, line, high - low)
    written = (curve.expression - line * E - low) / (high - low)
    steps = [
        given_step(curve),
        limits_step("limits" if line == 0 else f"limits of a(e) - {text(line * E)}", low, high),
        step(f"it {monotone_reason(curve)}", written, "", "F(e)"),
    ]
    match = noise_of(share)
    density = density_of(curve, line, high - low, 1)
    if match is None or match.backwards:
        return _gate_of_share(curve, steps, no_base_reason("threshold", match, share, density), line, low, high)
    return _jump(curve, match, steps, density, line, low, high)


def _jump(curve: Curve, match: Match, steps: list[Step], density: Any, line: Any, low: Any, high: Any) -> Node:
    place, scale = number_of(match.place), number_of(match.scale)
    steps += known_noise(match, density, place, scale)
    if match.base == "logistic" and line == 0 and place == 0 and _two_states(low, high, scale):
        odds = E * (high - low)
        steps.append(step("its log-odds are linear in e, as those of two states with p(x | e) ∝ exp(e·x)", odds, "eq. 3", "log F/(1 - F)"))
        return Node("binary", ({"kind": "binary", "values": [as_field(low), as_field(high)]},), tuple(steps), _without_noise(curve))
    shift = number_of(value(freeze(line)) * mean_of(match)) if line != 0 else sympy.Integer(0)
    jump = sympy.Piecewise((high - shift, sympy.Gt(Y, place)), (low - shift, True), evaluate=False)
    shown = line * Y + jump
    steps.append(step("the node", shown, "", f"X = value(Y), Y = {latent_text(scale)}, value(y)"))
    family = {"kind": "noise", "base": match.base, "scale": as_field(scale), "value": as_field(shown)}
    return Node("threshold", (family,), tuple(steps), _without_noise(curve))


def _two_states(low: Any, high: Any, scale: Any) -> bool:
    """Whether p ∝ exp(e·x) on the two states has this scale; its states are plain numbers."""
    return bool(low.is_Rational and high.is_Rational and high > low and sympy.expand(scale * (high - low)) == 1)


def _without_noise(curve: Curve) -> tuple[str, ...]:
    """A ramp is also what it is, without noise."""
    parts = linear_pieces(curve)
    if parts is None:
        return ()
    block = as_flow({"kind": "noise", "base": "normal", "scale": 0, "value": spelling_of(curve.expression.subs(E, Y))})
    return (f"The node without noise has this expectation as well: {block}.",)


def _gate_of_share(curve: Curve, steps: list[Step], reason: str, line: Any, low: Any, high: Any) -> Node:
    """A threshold node under a noise that is no base: 1[Y > 0] is 1 with probability F, whatever the noise."""
    if line != 0 or (low != 0 and high != 0):
        raise NoNode(reason, exists=True)
    level = high if low == 0 else low
    prob = spelling_of(curve.expression / level)
    if prob is None:
        raise NoNode(reason, exists=True)
    share = curve.expression / level
    steps.append(step(f"its states are 0 and {text(level)}; whatever the noise, the second has the probability", share, "eq. 9", "p(e)"))
    return Node("threshold", ({"kind": "gated", "value": as_field(level), "prob": prob},), tuple(steps), (sentence(reason),))
