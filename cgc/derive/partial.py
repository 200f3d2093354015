"""Partial moments: expectations of y^k·exp(a·y) beyond a break point, and of the same (with sines) over the whole line.

These are the rules that give closed forms. Each is an identity of the base's ramps W_k(z) = E max(0, z + n)^k and V_k(z) =
E max(0, -z - n)^k, or an exponential tilt; what no rule covers raises NoClosedForm.
"""

from __future__ import annotations

from typing import Any

import sympy

from cgc.derive.bases import Noise
from cgc.derive.routes import NoClosedForm
from cgc.formula.primitives import LogNormCdf

_U = sympy.Symbol("u", real=True)
_MOST = 400
# the square of a piece of degree 16
_HIGHEST = 32


def whole(base: Noise, function: Any, variable: Any, at: Any, s: Any) -> Any:
    """E function(at + s·n)."""
    n = sympy.Symbol("n", real=True)
    total = sympy.Integer(0)
    for coefficient, power, rate, wave in _terms(function.subs(variable, at + s * n), n):
        if wave is not None:
            total += coefficient * _wave(base, wave, n, power, rate)
        elif rate == 0:
            moment = base.moment(power)
            if moment is None:
                raise NoClosedForm(f"E n^{power} of {base.symbol}")
            total += coefficient * moment
        else:
            found = base.exponential(rate) if power == 0 else None
            if found is None or found[1]:
                raise NoClosedForm(f"an exponential under {base.symbol}")
            total += coefficient * found[0]
    return total


def _wave(base: Noise, wave: Any, n: Any, power: int, rate: Any) -> Any:
    """E sin(A + B·n) or E cos(A + B·n)."""
    angle = sympy.expand(wave.args[0])
    if power or rate != 0 or not angle.is_polynomial(n) or sympy.degree(angle, n) > 1:
        raise NoClosedForm("a wave times something")
    found = base.characteristic(angle.coeff(n, 1))
    if found is None:
        raise NoClosedForm(f"a wave under {base.symbol}")
    shift = angle.coeff(n, 0)
    cosine, sine = found
    if isinstance(wave, sympy.sin):
        return sympy.sin(shift) * cosine + sympy.cos(shift) * sine
    return sympy.cos(shift) * cosine - sympy.sin(shift) * sine


def beyond(base: Noise, function: Any, variable: Any, at: Any, s: Any, z: Any, rising: bool) -> Any:
    """E function(Y)·1[Y > at] (``rising``) or 1[Y < at] for Y = at + s·(z + n)."""
    total = sympy.Integer(0)
    moved = function.subs(variable, at + _U if rising else at - _U)
    for coefficient, power, rate, wave in _terms(moved, _U):
        if wave is not None:
            raise NoClosedForm("a wave beyond a break point")
        if rate == 0:
            ramp = base.ramp(power, z) if rising else base.fall(power, z)
            if ramp is None:
                raise NoClosedForm(f"a ramp to the power {power} under {base.symbol}")
            total += coefficient * s**power * ramp
        elif power == 0 and type(base).__name__ == "Normal":
            # a tilt moves the mean by rate·s²; in one exponent, so that nothing overflows against a vanishing share
            w = z if rising else -z
            total += coefficient * sympy.exp(rate * s * w + rate**2 * s**2 / 2 + LogNormCdf(w + rate * s))
        else:
            raise NoClosedForm(f"an exponential beyond a break point under {base.symbol}")
    return total


def _terms(function: Any, variable: Any) -> list[tuple[Any, int, Any, Any]]:
    """A sum of coefficient · variable^power · exp(rate·variable) · wave."""
    function = function.replace(
        lambda node: node.is_Pow and isinstance(node.base, (sympy.sin, sympy.cos)) and node.exp == 2,
        lambda node: (1 - (-1 if isinstance(node.base, sympy.cos) else 1) * sympy.cos(2 * node.base.args[0])) / 2,
    )
    found: dict[tuple[int, Any, Any], Any] = {}
    terms = sympy.Add.make_args(sympy.expand(function, trig=False))
    if len(terms) > _MOST:
        raise NoClosedForm(f"more than {_MOST} terms")
    for term in terms:
        coefficient, power, rate, wave = sympy.Integer(1), 0, sympy.Integer(0), None
        for factor in sympy.Mul.make_args(term):
            if not factor.has(variable):
                coefficient *= factor
            elif factor == variable:
                power += 1
            elif factor.is_Pow and factor.base == variable and factor.exp.is_Integer and factor.exp > 0:
                power += int(factor.exp)
            elif isinstance(factor, sympy.exp) and factor.args[0].is_polynomial(variable) and sympy.degree(factor.args[0], variable) == 1:
                exponent = sympy.expand(factor.args[0])
                rate += exponent.coeff(variable, 1)
                coefficient *= sympy.exp(exponent.coeff(variable, 0))
            elif isinstance(factor, (sympy.sin, sympy.cos)) and wave is None:
                wave = factor
            else:
                raise NoClosedForm(str(factor.func.__name__))
        if power > _HIGHEST:
            raise NoClosedForm(f"a power above {_HIGHEST}")
        key = (power, rate, wave)
        found[key] = found.get(key, sympy.Integer(0)) + coefficient
    return [(c, *key) for key, c in found.items() if c != 0]
