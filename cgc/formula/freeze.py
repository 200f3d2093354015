"""sympy expression → typed scalar tree. The one place where sympy ends."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from typing import Any

import sympy
from sympy.core.relational import Relational

from cgc.formula import primitives as p
from cgc.formula.scalar import Const, Op, Scalar, Var, const
from cgc.source.diagnostics import InternalCompilerError

_FUNCTIONS: dict[Any, str] = {
    sympy.exp: "exp", sympy.log: "log", sympy.Abs: "abs", sympy.sign: "sign", sympy.sin: "sin", sympy.cos: "cos", sympy.tanh: "tanh",
    sympy.erf: "erf", p.Sigmoid: "sigmoid", p.LogisticPdf: "logistic_pdf", p.LogSigmoid: "log_sigmoid", p.Softplus: "softplus",
    p.NormPdf: "norm_pdf",
    p.NormCdf: "norm_cdf", p.LogNormCdf: "log_norm_cdf", p.NormRamp: "norm_ramp", p.LogSumExp: "logsumexp",
    p.LogNormInterval: "log_norm_interval", p.LogLogisticInterval: "log_logistic_interval", p.Log1pSumExp: "log1p_sum_exp",
    p.NormMoment: "norm_moment", p.NormExcess: "norm_excess", p.LogisticMoment: "logistic_moment", p.GumbelRamp: "gumbel_ramp",
    p.GumbelFall: "gumbel_fall", p.LogGumbelUpper: "log_gumbel_upper", p.ExponentialFall: "exponential_fall",
    p.InverseExpm1: "inverse_expm1", p.InverseSinh2: "inverse_sinh2", p.Expm1: "expm1", p.Log1p: "log1p", p.Tanh: "tanh",
    p.Log1mExp: "log1mexp", p.LogMills: "log_mills", p.Floored: "floored",
    sympy.loggamma: "lgamma", sympy.polygamma: "polygamma", sympy.sinh: "sinh", sympy.cosh: "cosh", sympy.asinh: "asinh",
    sympy.StrictLessThan: "lt", sympy.LessThan: "le", sympy.StrictGreaterThan: "gt", sympy.GreaterThan: "ge", sympy.Equality: "eq",
}  # fmt: skip
_FOLDS: dict[Any, str] = {sympy.Max: "max", sympy.Min: "min", sympy.And: "and", sympy.Or: "or"}


def freeze(expression: Any) -> Scalar:
    """The tree of a sympy expression. Terms and factors come in sympy's printing order, which is the same on every run."""
    if expression.is_Rational:
        return Const(Fraction(int(expression.p), int(expression.q)))
    if expression.is_Symbol:
        return Var(expression.name)
    if expression is sympy.pi:
        return Op("pi", ())
    if expression is sympy.EulerGamma:
        return Op("euler", ())
    if expression is sympy.E:
        return Op("exp", (const(1),))
    if expression is sympy.true:
        return Op("true", ())
    if expression is sympy.oo:
        return Op("infinity", ())
    if expression is -sympy.oo:
        return Op("neg", (Op("infinity", ()),))
    if expression.is_Add:
        return _sum(expression)
    if expression.is_Mul:
        return _product(expression)
    if expression.is_Pow:
        return _power(expression)
    if isinstance(expression, sympy.Piecewise):
        *cases, (last, _) = expression.args
        return reduce(lambda rest, case: Op("where", (freeze(case[1]), freeze(case[0]), rest)), reversed(cases), freeze(last))
    kind = type(expression)
    if kind in _FOLDS:
        first, *rest = (freeze(argument) for argument in sorted(expression.args, key=sympy.default_sort_key))
        return reduce(lambda left, right: Op(_FOLDS[kind], (left, right)), rest, first)
    if kind in _FUNCTIONS:
        arguments = tuple(freeze(argument) for argument in expression.args)
        return Op(_FUNCTIONS[kind], arguments)
    if isinstance(expression, Relational):
        raise InternalCompilerError("freeze", f"no comparison {kind.__name__}")
    raise InternalCompilerError("freeze", f"no operation for {kind.__name__}")


def _sum(expression: Any) -> Scalar:
    terms = expression.as_ordered_terms()
    # a leading minus reads badly: begin with a positive term if there is one
    terms.sort(key=lambda term: term.could_extract_minus_sign())
    total = freeze(terms[0])
    for term in terms[1:]:
        negative = term.could_extract_minus_sign()
        total = Op("sub" if negative else "add", (total, freeze(-term if negative else term)))
    return total


def _product(expression: Any) -> Scalar:
    numerator: Scalar | None = None
    denominator: Scalar | None = None
    if expression.args[0].is_Rational and expression.args[0] < 0:
        return Op("neg", (freeze(-expression),))
    for factor in _quotients(expression.as_ordered_factors()):
        if isinstance(factor, Op):
            numerator = _times(numerator, factor)
        elif factor.is_Rational and factor.p == 1 and factor.q != 1:
            denominator = _times(denominator, const(int(factor.q)))
        elif factor.is_Pow and factor.exp.is_Rational and factor.exp < 0:
            denominator = _times(denominator, freeze(1 / factor))
        else:
            numerator = _times(numerator, freeze(factor))
    if denominator is None:
        assert numerator is not None
        return numerator
    return Op("div", (numerator or const(1), denominator))


def _quotients(factors: list[Any]) -> list[Any]:
    """The factors, with every aᵏ·b⁻ᵏ as (a/b)ᵏ: bᵏ may leave the range of floats where a/b does not."""
    result = list(factors)
    for below in [f for f in factors if f.is_Pow and f.exp.is_Integer and f.exp < -1 and not f.base.is_number]:
        above = next((f for f in result if not isinstance(f, Op) and f.is_Pow and f.exp == -below.exp), None)
        if above is not None:
            result[result.index(above)] = Op("power", (Op("div", (freeze(above.base), freeze(below.base))), freeze(above.exp)))
            result.remove(below)
    return result


def _times(left: Scalar | None, right: Scalar) -> Scalar:
    return right if left is None else Op("mul", (left, right))


def _power(expression: Any) -> Scalar:
    base, exponent = expression.base, expression.exp
    if base is sympy.E:
        return Op("exp", (freeze(exponent),))
    if exponent.is_Rational and exponent < 0:
        return Op("div", (const(1), freeze(base**-exponent)))
    if exponent == sympy.Rational(1, 2):
        return Op("sqrt", (freeze(base),))
    return Op("power", (freeze(base), freeze(exponent)))
