"""Stable primitives: functions that sympy leaves alone, each with a derivative written in stable primitives again.

An expression is written in these *before* it is differentiated or printed, because what sympy would print instead
(``log(1 + exp(e))``, ``1 + erf``) overflows or loses all digits in the tails.
"""

from __future__ import annotations

from typing import Any

import sympy
from mpmath import mp
from sympy import Function

from cgc.formula.numeric import value


class _Real(Function):  # type: ignore[misc]
    """Real for real arguments."""

    is_real = True

    def _eval_evalf(self, prec: int) -> Any:
        """The value of a constant, by which sympy orders the arguments of max and min."""
        from cgc.formula.freeze import freeze  # which imports this module

        if self.free_symbols or self.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I):
            return None
        with mp.workprec(prec + 10):
            return sympy.Float(value(freeze(self)), precision=prec)


class _Positive(_Real):
    """Positive for real arguments."""

    is_positive = True


class Sigmoid(_Positive):
    """σ(x) = 1 / (1 + exp(-x)), the distribution function of the standard logistic."""

    def fdiff(self, argindex: int = 1) -> Any:
        (x,) = self.args
        return Sigmoid(x) * Sigmoid(-x)


class LogSigmoid(_Real):
    """log σ(x) = -softplus(-x)."""

    def fdiff(self, argindex: int = 1) -> Any:
        return Sigmoid(-self.args[0])


class Softplus(_Positive):
    """log(1 + exp(x)) = ∫σ, the expected ramp under standard logistic noise."""

    def fdiff(self, argindex: int = 1) -> Any:
        return Sigmoid(self.args[0])


class NormPdf(_Positive):
    """φ(x) = exp(-x²/2) / √(2π)."""

    def fdiff(self, argindex: int = 1) -> Any:
        (x,) = self.args
        return -x * NormPdf(x)


class NormCdf(_Positive):
    """Φ(x) = ½ erfc(-x/√2)."""

    def fdiff(self, argindex: int = 1) -> Any:
        return NormPdf(self.args[0])


class LogNormCdf(_Real):
    """log Φ(x)."""

    def fdiff(self, argindex: int = 1) -> Any:
        (x,) = self.args
        return sympy.exp(-x * x / 2 - sympy.log(2 * sympy.pi) / 2 - LogNormCdf(x))


class NormRamp(_Positive):
    """xΦ(x) + φ(x) = ∫Φ, the expected ramp E max(0, x + n) under standard normal noise n."""

    def fdiff(self, argindex: int = 1) -> Any:
        return NormCdf(self.args[0])


class LogSumExp(_Real):
    """log Σ exp(x_k) of its arguments."""

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.exp(self.args[argindex - 1] - self)


class LogNormInterval(_Real):
    """log(Φ(b) - Φ(a)) of its arguments a < b."""


class LogLogisticInterval(_Real):
    """log(σ(b) - σ(a)) of its arguments a < b."""
