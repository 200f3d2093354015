"""Activations that people know by name, as functions of the energy e. ``emit:`` asks for one of them, by name, and for nothing else
are they used: which one a density leads to is derived, and how far off the named one is, is measured.

Where torch has a function of the name (``torch.nn.functional``), this is that function with its default parameters; ``gelu_tanh`` is
its ``gelu(e, approximate="tanh")``, ``quick_gelu`` what CLIP and its kin use. Each is written so that it does not overflow in floats.
"""

from __future__ import annotations

import sympy

from cgc.formula.primitives import Expm1, LogSigmoid, NormCdf, Sigmoid, Softplus

_e = sympy.Symbol("e", real=True)
_slope = sympy.Symbol("slope", real=True)

# an exponential branch sees no positive energy, at which it is not taken and would overflow
_FALL = Expm1(sympy.Min(0, _e))
# the two constants at which layers of selu nodes keep mean 0 and variance 1 (Klambauer et al. 2017), as torch writes them
_SELU_SCALE = sympy.Rational("1.0507009873554804934193349852946")
_SELU_ALPHA = sympy.Rational("1.6732632423543772848170429916717")

# ``slope`` stands for the slope of the derived expectation at minus infinity.
ACTIVATIONS: dict[str, sympy.Expr] = {
    "celu": sympy.Max(0, _e) + _FALL,
    "elu": sympy.Max(0, _e) + _FALL,
    "erf": sympy.erf(_e),
    "exp": sympy.exp(_e),
    "gelu": _e * NormCdf(_e),
    # (1 + tanh(u))/2 = σ(2u), which keeps the left tail
    "gelu_tanh": _e * Sigmoid(sympy.sqrt(8 / sympy.pi) * (_e + sympy.Rational("0.044715") * _e**3)),
    "hardsigmoid": sympy.Max(0, sympy.Min(1, _e / 6 + sympy.Rational(1, 2))),
    "hardswish": _e * sympy.Max(0, sympy.Min(1, _e / 6 + sympy.Rational(1, 2))),
    "hardtanh": sympy.Max(-1, sympy.Min(1, _e)),
    "identity": _e,
    "leaky_relu": sympy.Max(_slope * _e, _e),
    "log_sigmoid": LogSigmoid(_e),
    "mish": _e * sympy.tanh(Softplus(_e)),
    "quick_gelu": _e * Sigmoid(sympy.Rational("1.702") * _e),
    "relu": sympy.Max(0, _e),
    "relu6": sympy.Max(0, sympy.Min(6, _e)),
    "selu": _SELU_SCALE * sympy.Max(0, _e) + _SELU_SCALE * _SELU_ALPHA * _FALL,
    "sigmoid": Sigmoid(_e),
    "silu": _e * Sigmoid(_e),
    "softplus": Softplus(_e),
    "softshrink": sympy.Max(0, _e - sympy.Rational(1, 2)) + sympy.Min(0, _e + sympy.Rational(1, 2)),
    "softsign": _e / (1 + sympy.Abs(_e)),
    "tanh": sympy.tanh(_e),
    "tanhshrink": _e - sympy.tanh(_e),
}


def activation(name: str, slope: sympy.Expr) -> sympy.Expr:
    """The activation called ``name``; ``slope`` is used by those that have one. Raises KeyError."""
    return ACTIVATIONS[name].subs(_slope, slope)
