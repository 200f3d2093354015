"""Linear nodes, and piecewise linear ones without noise."""

from __future__ import annotations

import itertools
from typing import Any

import sympy
from mpmath import mp

from cgc.derive.derivation import Step
from cgc.derive.inverse.curve import NOTHING, Curve, given_step, place_text, short_text
from cgc.derive.inverse.node import Node, NoNode
from cgc.derive.inverse.numbers import number_of
from cgc.derive.inverse.spelling import as_field
from cgc.derive.pieces import NoPieces, pieces
from cgc.derive.routes import step
from cgc.families.forms import E, Y
from cgc.formula.text import latex, text


def linear_node(curve: Curve) -> Node:
    """a·e + b: a Gaussian node, around whose energy the noise is even."""
    slopes = [(d, e) for e, d in zip(curve.points, curve.slopes, strict=True) if d is not None]
    (least, low), (most, high) = min(slopes, key=lambda pair: pair[0]), max(slopes, key=lambda pair: pair[0])
    if most - least > NOTHING:
        raise NoNode(f"its slope is {short_text(least)} at {place_text(low)} and {short_text(most)} at {place_text(high)}")
    start = curve.value(mp.zero)
    jump = next((e for e, v in zip(curve.points, curve.values, strict=True) if abs(v - start - most * e) > NOTHING * (1 + abs(v))), None)
    if jump is not None:
        raise NoNode(f"it jumps between e = 0 and e = {short_text(jump)}")
    a, b = number_of(most), number_of(start)
    steps = (given_step(curve), step(f"its slope is the same {curve.searched}", a, "", "a'(e)"))
    if (a, b) == (1, 0):
        return Node("linear", ({"kind": "gaussian", "std": 1},), steps, ("Any std has this expectation.",))
    family = {"kind": "noise", "base": "normal", "scale": 1, "value": as_field(a * Y + b)}
    return Node("linear", (family,), steps, ("Any noise with mean 0 has this expectation, at any scale.",))


def certain_node(curve: Curve) -> Node:
    """A piecewise linear function with corners: noise would round them."""
    parts = linear_pieces(curve)
    if parts is None:
        raise NoNode("it is not piecewise linear")
    if _ramp(parts):
        raise NoNode("a ramp between two constants is a threshold under uniform noise")
    shown = curve.expression.subs(E, Y)
    if len(parts) == 2 and _continuous(parts):
        better = sympy.Max if parts[1].polynomial.coeff(Y, 1) > parts[0].polynomial.coeff(Y, 1) else sympy.Min
        plain = better(*(part.polynomial for part in parts))
        shown = shown if sympy.count_ops(shown) <= sympy.count_ops(plain) else plain
    corners = ", ".join(text(part.high) for part in parts[:-1])
    drawn = ", ".join(latex(part.high) for part in parts[:-1])
    steps = (
        given_step(curve),
        Step("it is piecewise linear, with corners or jumps at", f"e = {corners}", f"e = {drawn}"),
        Step("noise would round a corner, so there is none: Y = e", "scale = 0", r"s = 0"),
        step("the node", shown, "", "X = value(Y), value(y)"),
    )
    note = "This is the limit of nodes with noise: a scale above 0 rounds the corners."
    return Node("deterministic", ({"kind": "noise", "base": "normal", "scale": 0, "value": as_field(shown)},), steps, (note,))


def linear_pieces(curve: Curve) -> Any | None:
    """The pieces of a piecewise linear function; None for any other."""
    bent = (sympy.Abs, sympy.sign, sympy.Piecewise)
    if any(isinstance(node, sympy.Function) and not isinstance(node, bent) for node in sympy.preorder_traversal(curve.expression)):
        return None
    try:
        parts = pieces(curve.expression.subs(E, Y))
    except NoPieces:
        return None
    return parts if len(parts) > 1 and all(0 <= part.degree <= 1 for part in parts) else None


def _continuous(parts: Any) -> bool:
    return all(sympy.expand((a.polynomial - b.polynomial).subs(Y, a.high)) == 0 for a, b in itertools.pairwise(parts))


def _ramp(parts: Any) -> bool:
    return [part.degree for part in parts] == [0, 1, 0] and _continuous(parts)
