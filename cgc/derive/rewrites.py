"""Named rewrites: identities that turn a formula into one that keeps its digits or reads better. One function each, with the identity.

``tests/derive/test_rewrites.py`` checks every one of them in 200 digits, and that no digits are lost.
"""

from __future__ import annotations

from typing import Any

import sympy

from cgc.formula.primitives import Expm1, InverseExpm1, LogisticPdf, LogSigmoid, LogSumExp, NormCdf, Sigmoid, Softplus, Tanh


def logistic_to_tanh(low: Any, high: Any, log_odds: Any) -> Any:
    """low + (high - low)·σ(w) = high·tanh(w/2) where low = -high."""
    if sympy.expand(low + high) == 0:
        return high * Tanh(sympy.expand(log_odds / 2))
    return low + (high - low) * Sigmoid(log_odds)


def binomial_coefficients(states: tuple[Any, ...], measures: list[Any]) -> tuple[int, Any] | None:
    """The n and log r for which the measures on 0 … n are c·C(n, x)·r^x, so that Σ = c (1 + r u)^n; None if they are not."""
    n = len(states) - 1
    if tuple(states) != tuple(sympy.Integer(k) for k in range(n + 1)):
        return None
    ratio = measures[1] / (measures[0] * n)
    if any(sympy.expand(measures[0] * sympy.binomial(n, k) * ratio**k - m) != 0 for k, m in enumerate(measures)):
        return None
    return n, sympy.log(ratio)


def complement(probability: Any) -> Any:
    """1 - p in a form that keeps its digits where p is near 1: 1 - σ(u) = σ(-u), 1 - Φ(u) = Φ(-u), 1 - tanh(u) = 2σ(-2u)."""
    for kind in (Sigmoid, NormCdf):
        if isinstance(probability, kind):
            return kind(-probability.args[0])
    if isinstance(probability, (Tanh, sympy.tanh)):
        return 2 * Sigmoid(-2 * probability.args[0])
    return 1 - probability


def logistic_density(expression: Any) -> Any:
    """σ(u)·σ(-u) as one function, whose derivative does not cancel at 0."""

    def join(product: Any) -> Any:
        factors = list(product.args)
        for factor in product.args:
            if isinstance(factor, Sigmoid) and factor in factors and Sigmoid(-factor.args[0]) in factors:
                factors.remove(factor)
                factors.remove(Sigmoid(-factor.args[0]))
                factors.append(LogisticPdf(factor.args[0]))
        return sympy.Mul(*factors)

    return expression.replace(lambda node: node.is_Mul, join)


def log_of_exponentials(expression: Any) -> Any:
    """log(f·exp(u)) = log f + u, log(1/f) = -log f, log(1 + exp u) = softplus(u), log Σ c exp(u) = logsumexp(log c + u)."""
    return expression.replace(sympy.log, _log)


def _log(inside: Any) -> Any:
    total, rest = sympy.Integer(0), sympy.Integer(1)
    for factor in sympy.Mul.make_args(inside):
        base, power = factor.as_base_exp() if not isinstance(factor, sympy.exp) else (factor, sympy.Integer(1))
        log = _log_of_positive(base)
        if log is None:
            rest *= factor
        else:
            total += power * log
    return total + (sympy.log(rest, evaluate=False) if rest != 1 else 0)


def _log_of_positive(base: Any) -> Any | None:
    """log of an exponential, or of a sum of such with positive coefficients; None for anything else."""
    if isinstance(base, sympy.exp):
        return base.args[0]
    if not base.is_Add or not base.has(sympy.exp):
        return None
    terms = []
    for term in base.args:
        coefficient, exponential = term.as_independent(sympy.exp, as_Add=False)
        if not (coefficient.is_number and coefficient.is_positive and (exponential == 1 or isinstance(exponential, sympy.exp))):
            return None
        terms.append(sympy.log(coefficient) + (exponential.args[0] if exponential != 1 else 0))
    if len(terms) == 2 and 0 in terms:
        return Softplus(next(term for term in terms if term != 0))
    return LogSumExp(*terms)


def stable_tanh(expression: Any) -> Any:
    """sympy's tanh as ours, whose derivative is 4σ(2u)σ(-2u) in place of 1 - tanh(u)²."""
    return expression.replace(sympy.tanh, Tanh)


def logistic_halves(expression: Any) -> Any:
    """c·σ(u) + c·σ(-u) = c in every sum."""

    def collect(total: Any) -> Any:
        terms = list(total.args)
        for term in total.args:
            factor, half = _sigmoid_term(term)
            if half is None or term not in terms:
                continue
            other = factor * Sigmoid(-half.args[0])
            if other in terms and other != term:
                terms.remove(term)
                terms.remove(other)
                terms.append(factor)
        return sympy.Add(*terms)

    return expression.replace(lambda node: node.is_Add, collect)


def _sigmoid_term(term: Any) -> tuple[Any, Any]:
    factors = sympy.Mul.make_args(term)
    halves = [factor for factor in factors if isinstance(factor, Sigmoid)]
    if len(halves) != 1:
        return term, None
    return sympy.Mul(*(factor for factor in factors if factor is not halves[0])), halves[0]


def expm1_of_softplus(expression: Any) -> Any:
    """1/(exp(softplus(u)) - 1) = exp(-u), also with -log σ(-u) for softplus(u)."""

    def collapse(inner: Any) -> Any:
        if isinstance(inner, Softplus):
            return sympy.exp(-inner.args[0])
        if isinstance(-inner, LogSigmoid):
            return sympy.exp((-inner).args[0])
        return InverseExpm1(inner)

    return expression.replace(InverseExpm1, collapse)


def gamma_shift(expression: Any) -> Any:
    """log Γ(c·σ(u)) = log Γ(1 + c·σ(u)) - log c - log σ(u), which holds also where σ(u) is too small for a float."""

    def shift(argument: Any) -> Any:
        factor, half = _sigmoid_term(argument)
        if half is None or not factor.is_number:
            return sympy.loggamma(argument)
        return sympy.loggamma(1 + argument) - sympy.log(factor) - LogSigmoid(half.args[0])

    return expression.replace(sympy.loggamma, shift)


def log_of_sigmoid(expression: Any) -> Any:
    """log(c·σ(u)) = log c + log σ(u)."""

    def split(argument: Any) -> Any:
        factor, half = _sigmoid_term(argument)
        if half is None or not factor.is_positive:
            return sympy.log(argument)
        return sympy.log(factor) + LogSigmoid(half.args[0])

    return expression.replace(sympy.log, split)


def difference_of_exponentials(expression: Any) -> Any:
    """c exp(u) - c exp(v) = c exp(v) (exp(u - v) - 1), of which nothing cancels."""
    if not (isinstance(expression, sympy.Add) and len(expression.args) == 2):
        return expression
    (c, u), (d, v) = (_exponential(term) for term in expression.args)
    if sympy.expand(c + d) != 0:
        return expression
    if c.could_extract_minus_sign():
        c, u, v = d, v, u
    return c * sympy.exp(v) * Expm1(sympy.expand(u - v))


def _exponential(term: Any) -> tuple[Any, Any]:
    """A factor, and the exponent of the exponentials beside it."""
    factors = sympy.Mul.make_args(term)
    powers = [factor for factor in factors if isinstance(factor, sympy.exp)]
    rest = sympy.Mul(*(factor for factor in factors if factor not in powers))
    return rest, sympy.Add(*(factor.args[0] for factor in powers))


def one_minus_exp_log_sigmoid(expression: Any) -> Any:
    """log(1 - exp(log σ(u))) = log σ(-u)."""

    def collapse(inner: Any) -> Any:
        rest = 1 - inner
        if isinstance(rest, sympy.exp) and isinstance(rest.args[0], LogSigmoid):
            return LogSigmoid(-rest.args[0].args[0])
        return sympy.log(inner)

    return expression.replace(sympy.log, collapse)
