"""Formulas that outgrow floats, such as exp(e): they are computed up to the dtype's largest number, with a gradient of 0 beyond."""

from __future__ import annotations

import numpy as np

from cgc.formula.numeric import array
from cgc.formula.scalar import Op, Over, Scalar, variables, walk

_FAR = (-1e4, -100.0, 100.0, 1e4)
# where float32 ends
_LARGEST = 88.0


def saturated(scalar: Scalar) -> Scalar:
    """``scalar`` with bounded exponentials where an argument can be too large, and then a bounded result."""
    if isinstance(scalar, Op) and scalar.name == "where":
        # what is too large in one case says nothing about the other
        condition, taken, other = scalar.args
        return Op("where", (condition, saturated(taken), saturated(other)))
    exponents: dict[Scalar, None] = {}
    result = _bounded(scalar, exponents)
    floored = any(isinstance(node, Op) and node.name == "floored" for node in walk(scalar))
    return Op("bounded", (result, *exponents)) if exponents or floored else scalar


def _bounded(scalar: Scalar, exponents: dict[Scalar, None]) -> Scalar:
    if not isinstance(scalar, Op):
        return scalar
    arguments = tuple(_bounded(argument, exponents) for argument in scalar.args)
    if scalar.name == "exp" and _overflows(scalar.args[0]):
        exponents[arguments[0]] = None
        return Op("bounded_exp", arguments)
    return Op(scalar.name, arguments)


def _overflows(exponent: Scalar) -> bool:
    names = variables(exponent)
    if not names or isinstance(exponent, Over):
        return False
    with np.errstate(all="ignore"):
        grid = {name: np.array(_FAR if name == "e" else (1.0,) * len(_FAR)) for name in names}
        found = np.broadcast_to(array(exponent, **grid), (len(_FAR),))
    return bool((found > _LARGEST).any())
