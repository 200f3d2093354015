"""Named rewrites: each is an identity to 200 digits, and loses no digits as floats compute it."""

from __future__ import annotations

from typing import Any

import mpmath
import pytest
import sympy
from mpmath import mp

from cgc.derive import rewrites
from cgc.derive.measure import energies, error, points, truth_of
from cgc.formula import primitives as p
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value

E = sympy.Symbol("e", real=True)
THIRD, TWO = sympy.Rational(1, 3), sympy.Integer(2)

# name -> before, after
CASES: dict[str, tuple[Any, Any]] = {
    "logistic_to_tanh": (-3 + 6 * p.Sigmoid(2 * E + 1), rewrites.logistic_to_tanh(-3, 3, 2 * E + 1)),
    "complement of sigmoid": (1 - p.Sigmoid(E / 2), rewrites.complement(p.Sigmoid(E / 2))),
    "complement of Phi": (1 - p.NormCdf(E + 1), rewrites.complement(p.NormCdf(E + 1))),
    "complement of tanh": (1 - sympy.tanh(p.Softplus(E)), rewrites.complement(sympy.tanh(p.Softplus(E)))),
    "difference_of_exponentials": (
        sympy.exp(2 * E) * sympy.exp(2 * E**2) - sympy.exp(2 * E) * sympy.exp(E**2),
        rewrites.difference_of_exponentials(sympy.exp(2 * E) * sympy.exp(2 * E**2) - sympy.exp(2 * E) * sympy.exp(E**2)),
    ),
    "log_of_exponentials": (
        sympy.log(sympy.exp(-(E**2)) / (1 + sympy.exp(E))),
        rewrites.log_of_exponentials(sympy.log(sympy.exp(-(E**2)) / (1 + sympy.exp(E)))),
    ),
    "log_of_exponentials, of a sum": (
        sympy.log(2 + 3 * sympy.exp(E) + sympy.exp(-2 * E)),
        rewrites.log_of_exponentials(sympy.log(2 + 3 * sympy.exp(E) + sympy.exp(-2 * E))),
    ),
    "stable_tanh": (E * sympy.tanh(E + 1), rewrites.stable_tanh(E * sympy.tanh(E + 1))),
    "logistic_density": (E * p.Sigmoid(E) * p.Sigmoid(-E), rewrites.logistic_density(E * p.Sigmoid(E) * p.Sigmoid(-E))),
    "logistic_halves": (
        TWO * p.Sigmoid(E) / (TWO * p.Sigmoid(E) + TWO * p.Sigmoid(-E)),
        rewrites.logistic_halves(TWO * p.Sigmoid(E) / (TWO * p.Sigmoid(E) + TWO * p.Sigmoid(-E))),
    ),
    "expm1_of_softplus": (p.InverseExpm1(p.Softplus(3 * E)), rewrites.expm1_of_softplus(p.InverseExpm1(p.Softplus(3 * E)))),
    "expm1_of_softplus, of log sigma": (p.InverseExpm1(-p.LogSigmoid(E)), rewrites.expm1_of_softplus(p.InverseExpm1(-p.LogSigmoid(E)))),
    "gamma_shift": (sympy.loggamma(3 * p.Sigmoid(E)), rewrites.gamma_shift(sympy.loggamma(3 * p.Sigmoid(E)))),
    "log_of_sigmoid": (sympy.log(THIRD * p.Sigmoid(E)), rewrites.log_of_sigmoid(sympy.log(THIRD * p.Sigmoid(E)))),
    "one_minus_exp_log_sigmoid": (
        sympy.log(1 - sympy.exp(p.LogSigmoid(E))),
        rewrites.one_minus_exp_log_sigmoid(sympy.log(1 - sympy.exp(p.LogSigmoid(E)))),
    ),
}


def test_every_rewrite_is_here() -> None:
    public = {
        name for name, member in vars(rewrites).items() if callable(member) and getattr(member, "__module__", "") == rewrites.__name__
    }
    covered = {name.split(",")[0].split(" of ")[0] for name in CASES} | {"binomial_coefficients"}
    assert {name for name in public if not name.startswith("_")} <= covered


@pytest.mark.parametrize("name", CASES)
def test_a_rewrite_changes_something_and_is_an_identity(name: str) -> None:
    before, after = CASES[name]
    assert before != after
    with mp.workdps(260):
        for written in ("-37.3", "-4.1", "-0.7", "0.3", "2.9", "41.7"):
            e = mp.mpf(written)
            a, b = value(freeze(before), e=e), value(freeze(after), e=e)
            assert abs(a - b) <= mp.mpf(10) ** -200 * max(abs(a), mp.mpf(10) ** -30)


@pytest.mark.parametrize("name", CASES)
def test_a_rewrite_loses_no_digits(name: str) -> None:
    before, after = (freeze(form) for form in CASES[name])
    grid = [e for e in energies()[::2] if abs(e) < 3000]
    known = points(truth_of(after), grid)
    assert len(known) > 20
    errors = [(error(before, point), error(after, point)) for point in known]
    assert max(kept for _, kept in errors) <= max(lost for lost, _ in errors) * 1.01 + 1e-6
    for point, (lost, kept) in zip(known, errors, strict=True):
        # what the contract allows is no loss
        assert kept <= max(lost, 1e-5), (float(point.e), lost, kept)


@pytest.mark.parametrize("n, ratio", [(1, 1), (5, 1), (7, sympy.Rational(2, 3)), (40, 3)])
def test_the_binomial_theorem(n: int, ratio: Any) -> None:
    states = tuple(sympy.Integer(k) for k in range(n + 1))
    measures = [sympy.Rational(5, 2) * sympy.binomial(n, k) * sympy.Rational(ratio) ** k for k in range(n + 1)]
    found = rewrites.binomial_coefficients(states, measures)
    assert found is not None and found[0] == n and found[1] == sympy.log(ratio)
    with mp.workdps(230):
        u = mp.mpf("1.7")
        total = mpmath.fsum(value(freeze(m)) * u**k for k, m in enumerate(measures))
        assert abs(total - mp.mpf(5) / 2 * (1 + value(freeze(sympy.Rational(ratio))) * u) ** n) <= mp.mpf(10) ** -200 * total
    measures[-1] += sympy.Rational(1, 10**9)
    assert n == 1 or rewrites.binomial_coefficients(states, measures) is None
    assert rewrites.binomial_coefficients(tuple(s + 1 for s in states), measures) is None
