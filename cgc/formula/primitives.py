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
        return LogisticPdf(self.args[0])


class LogisticPdf(_Positive):
    """σ(u)σ(-u), the standard logistic density, with a derivative that does not cancel at 0."""

    def fdiff(self, argindex: int = 1) -> Any:
        return -self * Tanh(self.args[0] / 2)


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

    def fdiff(self, argindex: int = 1) -> Any:
        sign = -1 if argindex == 1 else 1
        x = self.args[argindex - 1]
        return sign * sympy.exp(-x * x / 2 - sympy.log(2 * sympy.pi) / 2 - self)


class LogLogisticInterval(_Real):
    """log(σ(b) - σ(a)) of its arguments a < b."""

    def fdiff(self, argindex: int = 1) -> Any:
        sign = -1 if argindex == 1 else 1
        x = self.args[argindex - 1]
        return sign * sympy.exp(LogSigmoid(x) + LogSigmoid(-x) - self)


class Log1pSumExp(_Real):
    """log(1 + Σ exp(x_k)) of its arguments; also where it is next to nothing."""

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.exp(self.args[argindex - 1] - self)


class NormMoment(_Positive):
    """E max(0, z + n)^k of its arguments k > 1 and z, under standard normal noise n."""

    def fdiff(self, argindex: int = 2) -> Any:
        k, z = self.args
        return k * (NormRamp(z) if k == 2 else NormMoment(k - 1, z))


class NormExcess(_Real):
    """The k-th cumulant of z + n given that it is positive, under standard normal noise n; z + φ(z)/Φ(z) for k = 1."""

    def fdiff(self, argindex: int = 2) -> Any:
        k, z = self.args
        return NormExcess(k + 1, z)


class LogisticMoment(_Positive):
    """E max(0, z + n)^k = -k! Li_k(-exp z) of its arguments k > 1 and z, under standard logistic noise n."""

    def fdiff(self, argindex: int = 2) -> Any:
        k, z = self.args
        return k * (Softplus(z) if k == 2 else LogisticMoment(k - 1, z))


class GumbelRamp(_Positive):
    """E max(0, z + n) under standard Gumbel noise n: Ein(exp z), the entire exponential integral."""

    def fdiff(self, argindex: int = 1) -> Any:
        return -Expm1(-sympy.exp(self.args[0]))


class GumbelFall(_Positive):
    """E max(0, -z - n) under standard Gumbel noise n: E_1(exp z)."""

    def fdiff(self, argindex: int = 1) -> Any:
        return -sympy.exp(-sympy.exp(self.args[0]))


class LogGumbelUpper(_Real):
    """log(1 - exp(-exp(-n))), the logarithm of the share of standard Gumbel noise above n."""

    def fdiff(self, argindex: int = 1) -> Any:
        n = self.args[0]
        return -sympy.exp(-n) * InverseExpm1(sympy.exp(-n))


class ExponentialFall(_Real):
    """E max(0, t - n)^k of its arguments k and t, under standard exponential noise n; 0 for t < 0."""

    def fdiff(self, argindex: int = 2) -> Any:
        k, t = self.args
        return k * ExponentialFall(k - 1, t) if k > 0 else sympy.exp(-t)


class InverseExpm1(_Real):
    """1 / (exp(u) - 1)."""

    def fdiff(self, argindex: int = 1) -> Any:
        return -InverseSinh2(self.args[0])


class InverseSinh2(_Positive):
    """1 / (4 sinh²(u/2)) = exp(u) / (exp(u) - 1)²."""

    def fdiff(self, argindex: int = 1) -> Any:
        (u,) = self.args
        return -self * (1 + 2 * InverseExpm1(u))


class Expm1(_Real):
    """exp(x) - 1."""

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.exp(self.args[0])


class Log1p(_Real):
    """log(1 + x)."""

    def fdiff(self, argindex: int = 1) -> Any:
        return 1 / (1 + self.args[0])


class Log1mExp(_Real):
    """log(1 - exp(-t)), t > 0."""

    def fdiff(self, argindex: int = 1) -> Any:
        return InverseExpm1(self.args[0])


class LogMills(_Real):
    """log Φ(z) + z²/2, which has no large terms in the left tail."""

    def fdiff(self, argindex: int = 1) -> Any:
        return NormExcess(sympy.Integer(1), self.args[0])


class Floored(_Real):
    """x, but at least 1e-18, so that floats can divide by its square."""

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.Integer(1)


class Tanh(_Real):
    """tanh(x), with a derivative that keeps its digits in the tails."""

    def fdiff(self, argindex: int = 1) -> Any:
        return 4 * LogisticPdf(2 * self.args[0])
