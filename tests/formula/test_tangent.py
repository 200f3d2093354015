"""Derivatives as trees, against derivatives in numbers: of every family's formulas, of every operation, and in how many words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mpmath
import pytest
from mpmath import mp

from cgc.derive.derivation import Derivation
from cgc.derive.limit import derive_within
from cgc.formula.dual import dual
from cgc.formula.numeric import value
from cgc.formula.partials import PARTIALS
from cgc.formula.scalar import ARITY, Const, Op, Over, Scalar, Var, const, dump, shared, walk
from cgc.formula.tangent import tangent
from cgc.spec.single import read_single

sys.path.insert(0, str(Path(__file__).parents[1] / "derive"))
from test_all_families import ALL

E = Var("e")
POINTS = [mpmath.mpf(x) for x in ("-7.3", "-2.1", "-0.4", "0.2", "0.9", "3.7", "11.2")]


def law(text: str) -> Derivation:
    return derive_within(read_single(text).law, None)


def agree(tree: Scalar, points: list[Any], **given: Any) -> None:
    slope = shared(tangent(tree, "e"))  # so that parts that stand in it repeatedly are computed once
    with mp.workdps(40):
        for e in points:
            try:
                y, expected = dual(tree, "e", e=e, **given)
            except (ValueError, ZeroDivisionError):
                continue
            if not mpmath.isfinite(y):
                continue
            found, _ = dual(slope, "", e=e, **given)
            assert mpmath.almosteq(found, expected, 1e-25, 1e-25), (dump(slope), e, found, expected)


LONG = ("tanh of noise", "bounded exponential")  # reductions over long tables: seconds at each point
PARAMETERS = [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in ALL]


@pytest.mark.parametrize("name", PARAMETERS)
def test_expectations_and_likelihoods_of_all_families(name: str) -> None:
    found = law(ALL[name])
    agree(found.computed, POINTS)
    agree(found.variance, POINTS[1:-1])
    if found.log_likelihood is not None:
        agree(found.log_likelihood, POINTS[1:-1], x=mpmath.mpf(1))


ORDERS = {"norm_moment": 2, "norm_excess": 1, "logistic_moment": 2, "exponential_fall": 2, "polygamma": 1}
ARGUMENTS = {
    "log": "exp",
    "sqrt": "exp",
    "lgamma": "exp",
    "log1p": "exp",
    "log1mexp": "exp",
    "inverse_expm1": "exp",
    "exponential_fall": "exp",
}


@pytest.mark.parametrize("name", PARTIALS)
def test_every_operation(name: str) -> None:
    x: Scalar = Op("sin", (Op("mul", (const(2), E)),))
    inner = Op(ARGUMENTS[name], (x,)) if name in ARGUMENTS else x
    match name:
        case "power":
            tree = Op(name, (Op("exp", (x,)), const(2.5)))
        case "polynomial":
            tree = Op(name, (x, const(3), const(-1), const(2), const(0.5)))
        case "log_norm_interval" | "log_logistic_interval":
            tree = Op(name, (x, Op("add", (Op("exp", (x,)), const(1)))))
        case "logsumexp" | "log1p_sum_exp" | "bounded":
            tree = Op(name, (x, E, Op("mul", (x, E))))
        case _ if name in ORDERS or name == "polygamma":
            tree = Op(name, (const(ORDERS[name]), Op("exp", (x,)) if name == "polygamma" else inner))
        case _:
            tree = Op(name, (inner, Op("cosh", (E,)))[: ARITY[name]])
    agree(tree, POINTS[:6])


def test_no_operation_is_left_out() -> None:
    truths = {"lt", "le", "gt", "ge", "eq", "and", "or", "true"}
    chosen = {"max", "min", "where"}
    vectors, constants = {"softmax", "log_softmax"}, {"pi", "euler", "infinity"}
    draws = {name for name in ARITY if name.startswith("draw_")}
    assert set(ARITY) - truths - chosen - vectors - constants - draws == set(PARTIALS)


@pytest.mark.parametrize(("name", "bound", "passed"), [("max", 0, 1), ("min", 0, 1)])
def test_a_bound_passes_the_derivative_of_what_lies_on_it(name: str, bound: int, passed: int) -> None:
    slope = tangent(Op(name, (const(bound), E)), "e")
    assert value(slope, e=mpmath.mpf(bound)) == passed
    assert {int(value(slope, e=mpmath.mpf(x))) for x in (-1, 1)} == {0, 1}


@pytest.mark.parametrize("name", ["sum", "logsumexp", "mean", "variance"])
def test_tables(name: str) -> None:
    k = Var("k")
    columns = (("k", (const(-1), const(0.5), const(3))),)
    weight = Op("sub", (Op("mul", (E, k)), Op("mul", (k, k))))
    feature = Op("sin", (Op("mul", (k, E)),))
    arguments = {"sum": (feature,), "logsumexp": (weight,)}.get(name, (weight, feature))
    agree(Over(name, columns, arguments), POINTS)


def test_no_words_are_wasted() -> None:
    assert dump(tangent(Op("tanh", (E,)), "e")) == "mul(4, logistic_pdf(mul(2, e)))"
    assert dump(tangent(Op("add", (Op("mul", (const(3), E)), const(1))), "e")) == "3"
    assert tangent(Op("mul", (Op("exp", (Var("x"),)), const(2))), "e") == Const(const(0).value)
    slope = tangent(law("{kind: rectified_logistic}").computed, "e")
    assert sum(1 for _ in walk(slope)) < 6
