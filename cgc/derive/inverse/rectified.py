"""Nodes with two slopes: the derivative is an affine image of a distribution function."""

from __future__ import annotations

from typing import Any

import sympy

from cgc.derive.derivation import Step
from cgc.derive.inverse.curve import NOTHING, Curve, given_step, place_text, short_text
from cgc.derive.inverse.distribution import Match, Share, extreme_of, first_fall, noise_of
from cgc.derive.inverse.levels import (
    density_of,
    is_smooth,
    known_noise,
    latent_text,
    limits_step,
    mean_of,
    monotone_reason,
    no_base_reason,
)
from cgc.derive.inverse.node import Node, NoNode
from cgc.derive.inverse.numbers import number_of
from cgc.derive.inverse.spelling import as_field
from cgc.derive.routes import step
from cgc.families.forms import E, Y
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value
from cgc.formula.text import latex, text


def two_slopes_node(curve: Curve) -> Node:
    """An activation whose derivative is an affine image of a distribution function: a node with a corner at one latent value."""
    left, right = curve.end_slopes
    if left.number is None or right.number is None:
        missing = left.missing or right.missing
        raise NoNode(f"of its derivative, {missing}")
    low, high = left.number, right.number
    if low == high:
        raise NoNode(f"its derivative has the same limit at both ends, {text(low)}")
    bottom, span = value(freeze(low)), value(freeze(high - low))
    slopes = [curve.slope(e) if d is None else d for e, d in zip(curve.points, curve.slopes, strict=True)]
    share = Share(lambda e: (curve.slope(e) - bottom) / span, curve.points, [(d - bottom) / span for d in slopes])
    _refuse_bending(share, bottom, span)
    slope = sympy.diff(curve.expression, E) if is_smooth(curve.expression) else sympy.Symbol("a'(e)")
    steps = [
        given_step(curve),
        limits_step("limits of its derivative", low, high),
        step(f"the derivative {monotone_reason(curve)}", (slope - low) / (high - low), "", "F(e)"),
    ]
    match = noise_of(share)
    density = density_of(curve, low, high - low, 2)
    if match is None or match.backwards:
        raise NoNode(no_base_reason("rectified" if (low, high) == (0, 1) else "two-slope", match, share, density), exists=True)
    return _corner(curve, match, steps, density, low, high)


def _refuse_bending(share: Share, bottom: Any, span: Any) -> None:
    """A derivative that turns back or leaves its limits. Raises NoNode with the place."""
    found = first_fall(share.values)
    if found is None:
        return
    worst = min(range(len(share.values)), key=lambda k: share.values[k])
    above = max(range(len(share.values)), key=lambda k: share.values[k])
    limits = " and ".join(short_text(limit) for limit in sorted((bottom, bottom + span)))
    for k, sign in ((worst, -1), (above, 1)):
        if share.values[k] < -NOTHING or share.values[k] > 1 + NOTHING:
            e, v = extreme_of(share.of, share.points, k, sign)
            words = f"the derivative is {short_text(bottom + span * v)} at {place_text(e)}, outside its limits {limits}"
            raise NoNode(f"{words}: not a distribution function")
    ends = [extreme_of(share.of, share.points, k, sign) for k, sign in zip(found, (1, -1), strict=True)]
    first, last = (f"{short_text(bottom + span * v)} at {place_text(e)}" for e, v in ends)
    raise NoNode(f"the derivative {'falls' if span > 0 else 'rises'} from {first} to {last}: not a distribution function")


def _corner(curve: Curve, match: Match, steps: list[Step], density: Any, low: Any, high: Any) -> Node:
    place, scale = number_of(match.place), number_of(match.scale)
    steps += known_noise(match, density, place, scale)
    rest = curve.beyond(low)[0]
    if rest.number is None:
        raise NoNode(f"less its asymptote {text(low * E)}, {rest.missing}")
    constant = rest.number if low == 0 else number_of(value(freeze(rest.number)) - value(freeze(low)) * mean_of(match))
    better = sympy.Max if value(freeze(high - low)) > 0 else sympy.Min
    shown = better(sympy.expand(low * Y + constant), sympy.expand(high * Y + constant - (high - low) * place))
    asymptote = low * E + rest.number
    steps += [
        Step("its asymptote at minus infinity", f"a(e) → {text(asymptote)}", rf"a(e) \to {latex(asymptote)}"),
        step("a corner between these slopes: the node", shown, "eq. 10", f"X = value(Y), Y = {latent_text(scale)}, value(y)"),
    ]
    kind = "rectified" if (low, high) == (0, 1) else "two_slopes"
    family = {"kind": "noise", "base": match.base, "scale": as_field(scale), "value": as_field(shown)}
    return Node(kind, (family,), tuple(steps))
