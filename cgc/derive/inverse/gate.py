"""Gates: e times a probability."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy
from mpmath import mp

from cgc.derive.derivation import Step
from cgc.derive.inverse.curve import ERRORS, NOTHING, Curve, given_step, is_finite, place_text, short_text
from cgc.derive.inverse.distribution import extreme_of
from cgc.derive.inverse.node import Node, NoNode
from cgc.derive.inverse.spelling import as_field, spelling_of
from cgc.derive.routes import step
from cgc.families.forms import E
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value
from cgc.formula.text import text


def gate_node(curve: Curve) -> Node:
    """e times a probability."""
    at_zero = curve.value(mp.zero)
    if abs(at_zero) > NOTHING:
        raise NoNode(f"at e = 0 it is {short_text(at_zero)}, not 0")
    (low_at, low), (high_at, high), turns = _range_of_ratio(curve)
    size = max(-low, high)
    if low < -NOTHING and high > NOTHING:
        raise NoNode(f"a(e)/e is {short_text(low)} at {place_text(low_at)} but {short_text(high)} at {place_text(high_at)}: of no one sign")
    if size > 1000:
        place = low_at if -low > high else high_at
        raise NoNode(f"a(e)/e is {short_text(max(low, high, key=abs))} at {place_text(place)}: not in proportion to a probability")
    factor = _factor(curve, size) * (1 if high > NOTHING else -1)
    prob = _ratio(curve.expression, factor)
    spelled = spelling_of(prob)
    if spelled is None or _value_at_zero(prob) is None:
        raise NoNode(f"a(e)/e lies between {short_text(low)} and {short_text(high)}, but its formula has no value at e = 0")
    shown = [f"{short_text(v / value(freeze(factor)))} at {place_text(e)}" for e, v in ((low_at, low), (high_at, high))]
    steps = (
        given_step(curve),
        step("it vanishes at e = 0; over a multiple of e it is", prob, "", f"p(e) = a(e)/({text(factor * E)})".replace("/(e)", "/e")),
        Step(
            f"p is a probability {curve.searched}, and at {turns} turns between them, found by golden section to 12 digits",
            f"extremes of p: {shown[0]}, {shown[1]}", r"0 \le p(e) \le 1",
        ),
        step("the node: a gate that lets this pass with probability p", factor * E, "eq. 12", "X = value(e)·1[B = 1], value(e)"),
    )  # fmt: skip
    return Node("gate", ({"kind": "gated", "value": as_field(factor * E), "prob": spelled},), steps)


def _range_of_ratio(curve: Curve) -> tuple[tuple[Any, Any], tuple[Any, Any], int]:
    """Least and largest a(e)/e with their places, and how many turns between energies of the grid were searched."""
    points = [e for e in curve.points if abs(e) > mp.mpf(10) ** -15]

    def ratio(e: Any) -> Any:
        return curve.value(e) / e if e else curve.slope(e)

    values = [ratio(e) for e in points]
    turns = [
        k for k in range(1, len(values) - 1)
        if abs(values[k + 1] - values[k]) > NOTHING and (values[k] - values[k - 1]) * (values[k + 1] - values[k]) < 0
    ]  # fmt: skip
    found = list(zip(values, points, strict=True))
    turns = turns[:24]
    for k in turns:
        sign = 1 if values[k] > values[k - 1] else -1
        e, v = extreme_of(ratio, points, k, sign)
        found.append((v, e))
    (low, low_at), (high, high_at) = min(found, key=lambda pair: pair[0]), max(found, key=lambda pair: pair[0])
    return (low_at, low), (high_at, high), len(turns)


def _factor(curve: Curve, size: Any) -> Any:
    """The number that passes the gate times e: the slope far out where that is the largest ratio, else a whole one above it."""
    for end in curve.end_slopes:
        if end.number is not None and -NOTHING <= abs(value(freeze(end.number))) - size <= mp.mpf(10) ** -3 * size:
            return abs(end.number)
    return sympy.Integer(int(mpmath.ceil(size - NOTHING)))


def _ratio(expression: Any, factor: Any) -> Any:
    """a(e)/(factor·e), term by term and case by case."""
    if isinstance(expression, sympy.Piecewise):
        return sympy.Piecewise(*((_ratio(v, factor), c) for v, c in expression.args), evaluate=False)
    plain = expression / (factor * E)
    if not expression.is_Add or _value_at_zero(plain) is not None:
        return plain
    return sympy.Add(*(term / (factor * E) for term in expression.args))


def _value_at_zero(expression: Any) -> Any:
    try:
        return is_finite(value(freeze(expression), e=mp.zero))
    except ERRORS:
        return None
