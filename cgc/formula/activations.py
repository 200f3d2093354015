"""Activations that people know by name, as functions of the energy e. ``emit:`` asks for one of them, by name, and for nothing else
are they used: which one a density leads to is derived, and how far off the named one is, is measured."""

from __future__ import annotations

import sympy

from cgc.formula.primitives import NormCdf, Sigmoid, Softplus

_e = sympy.Symbol("e", real=True)
_slope = sympy.Symbol("slope", real=True)

# ``slope`` stands for the slope of the derived expectation at minus infinity.
ACTIVATIONS: dict[str, sympy.Expr] = {
    "gelu": _e * NormCdf(_e),
    "hardtanh": sympy.Max(-1, sympy.Min(1, _e)),
    "identity": _e,
    "leaky_relu": sympy.Max(_slope * _e, _e),
    "relu": sympy.Max(0, _e),
    "relu6": sympy.Max(0, sympy.Min(6, _e)),
    "sigmoid": Sigmoid(_e),
    "silu": _e * Sigmoid(_e),
    "softplus": Softplus(_e),
    "tanh": sympy.tanh(_e),
}


def activation(name: str, slope: sympy.Expr) -> sympy.Expr:
    """The activation called ``name``; ``slope`` is used by those that have one. Raises KeyError."""
    return ACTIVATIONS[name].subs(_slope, slope)
