"""Exponentials: the mean of an exponential variable, or of a log-normal one."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy
from mpmath import mp

from cgc.derive.inverse.curve import NOTHING, Curve, given_step, place_text, short_text
from cgc.derive.inverse.node import Node, NoNode
from cgc.derive.inverse.numbers import number_of
from cgc.derive.inverse.spelling import as_field, as_flow
from cgc.derive.routes import step
from cgc.families.forms import E, X, Y
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value
from cgc.formula.text import text


def exponential_node(curve: Curve) -> Node:
    """A·exp(c·e) + b: the mean of an exponential variable, or of a log-normal one."""
    rate, base = _rate(curve)
    c, b = number_of(rate), base
    size = number_of(curve.value(mp.zero) - value(freeze(b)))
    shown = [
        given_step(curve), step("less its limit at one end", curve.expression - b, "", "h(e)"),
        step("it is an exponential: h'(e)/h(e) is the same at all energies", c, "", "c"),
    ]  # fmt: skip
    families: list[dict[str, object]] = []
    # a factor that is a plain power of exp(1) goes into the exponent
    shift = number_of(mpmath.log(abs(value(freeze(size)))))
    shift = shift if shift.is_Rational and shift.q <= 1000 else sympy.Integer(0)
    factor = size if shift == 0 else sympy.sign(size)
    if b == 0 and factor == 1:
        log_density = -X * sympy.exp(-(c * E + shift))
        families.append({"kind": "density", "support": "nonnegative", "log_density": as_field(log_density), "feature": "x"})
    # E exp(n) = exp(1/2) for standard normal noise n
    log_normal = factor * sympy.exp(c * Y + shift - sympy.Rational(1, 2)) + b
    families.append({"kind": "noise", "base": "normal", "scale": as_field(1 / abs(c)), "value": as_field(log_normal)})
    notes = (f"A log-normal node has this expectation as well: {as_flow(families[1])}.",) if len(families) == 2 else ()
    return Node("exponential", tuple(families), tuple(shown), notes)


def _rate(curve: Curve) -> tuple[Any, Any]:
    """c and b of A·exp(c·e) + b."""
    reason = "it has a limit at neither end"
    for end in curve.ends:
        if end.number is None:
            continue
        base = value(freeze(end.number))
        near = [k for k, e in enumerate(curve.points) if abs(e) <= 20]
        signs = {mpmath.sign(curve.values[k] - base) if abs(curve.values[k] - base) > NOTHING else 0 for k in near}
        if len(signs) > 1 or 0 in signs or any(curve.slopes[k] is None for k in near):
            reason = f"it {'crosses' if len(signs - {0}) > 1 else 'reaches'} its limit {text(end.number)}, which an exponential never does"
            continue
        rates = [(curve.slopes[k] / (curve.values[k] - base), curve.points[k]) for k in near]
        (least, low), (most, high) = min(rates, key=lambda pair: pair[0]), max(rates, key=lambda pair: pair[0])
        if most - least <= mp.mpf(10) ** -25 * abs(most):
            return most, end.number
        reason = (
            f"less its limit {text(end.number)}, its logarithm has the slope {short_text(least)} at {place_text(low)} "
            f"and {short_text(most)} at {place_text(high)}"
        )
    raise NoNode(reason)
