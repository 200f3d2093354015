"""Families as users write them: their fields, their mistakes, and that each is a case of a general form."""

from __future__ import annotations

from typing import Any

import pytest
import sympy
from pydantic import ValidationError

from cgc.derive.derive import derive
from cgc.families.base import Family
from cgc.families.forms import FiniteExponential, Indicators, Noise, Y
from cgc.families.registry import registry


def family(params: dict[str, float] | None = None, **fields: Any) -> Family:
    return registry()[fields["kind"]].model_validate(fields, context={"params": params or {}})


@pytest.mark.parametrize("kind", list(registry()))
def test_every_family_has_an_example_that_can_be_derived(kind: str) -> None:
    example = family(kind=kind, **registry()[kind].example())
    law = derive(example.law(), example.emit)
    assert law.check.max_difference < 1e-10 and law.density and law.steps
    assert (registry()[kind].__doc__ or "").strip()


def test_families_are_listed_in_alphabetical_order() -> None:
    kinds = list(registry())
    assert kinds == sorted(kinds) and {"binary", "categorical", "exponential_family", "gaussian", "noise", "rectified_gaussian"} <= set(
        kinds
    )


def test_named_families_are_general_forms() -> None:
    half = sympy.Rational(1, 2)
    assert family(kind="binary", values=[-1, 0.5]).law() == FiniteExponential((sympy.Integer(-1), half))
    assert family(kind="gaussian", std=0.5).law() == Noise("normal", half)
    assert family(kind="rectified_gaussian", std="1/2").law() == Noise("normal", half, sympy.Max(0, Y))
    assert family(kind="rectified_gaussian", std="1/2", leak="0.5").law() == Noise("normal", half, sympy.Max(Y / 2, Y))
    assert family(kind="categorical", labels=3, reference_label=1).law() == Indicators(3, 1)


def test_numbers_are_exact_and_read_params() -> None:
    law: Any = family({"n": 3, "width": 0.1}, kind="noise", base="normal", scale="width + e*n", value="max(0, n*y)").law()
    e = sympy.Symbol("e", real=True)
    assert law.scale == sympy.Rational(1, 10) + 3 * e
    assert family({"n": 3}, kind="categorical", labels="2*n + 1").law() == Indicators(7)


@pytest.mark.parametrize(
    "fields, code",
    [
        ({"kind": "binary", "values": [1, 1]}, "CG305"),
        ({"kind": "binary", "values": [0, "1/0"]}, "CG208"),
        ({"kind": "binary", "values": [0, True]}, "CG305"),
        ({"kind": "binary", "values": [0, float("inf")]}, "CG208"),
        ({"kind": "categorical", "labels": 1}, "CG305"),
        ({"kind": "categorical", "labels": 2.5}, "CG305"),
        ({"kind": "categorical", "labels": 3, "reference_label": 3}, "CG305"),
        ({"kind": "exponential_family", "support": [1]}, "CG305"),
        ({"kind": "exponential_family", "support": [1, 2, 1]}, "CG305"),
        ({"kind": "exponential_family", "support": list(range(65))}, "CG305"),
        ({"kind": "exponential_family", "support": [0, 1], "statistic": "y"}, "CG202"),
        ({"kind": "gaussian", "std": "tahn(e)"}, "CG201"),
        ({"kind": "gaussian", "std": "x"}, "CG202"),
        ({"kind": "gaussian", "std": [1]}, "CG305"),
        ({"kind": "noise", "base": "normal", "value": "max(0, x)"}, "CG202"),
        ({"kind": "rectified_gaussian", "std": 1, "emit": "rellu"}, "CG304"),
        ({"kind": "rectified_gaussian", "std": 1, "leak": "e"}, "CG202"),
        ({"kind": "gaussian"}, "missing"),
        ({"kind": "gaussian", "std": 1, "stdd": 1}, "extra_forbidden"),
        ({"kind": "noise", "base": "cauchy"}, "literal_error"),
    ],
)
def test_mistakes(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        family(**fields)
    assert [error["type"] for error in caught.value.errors()] == [code]
