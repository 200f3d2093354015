"""What cannot be derived is refused with a reason; whatever else users write is derived and checked. Nothing else ever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from laws import derivation, noise, states
from pydantic import ValidationError

from cgc.derive.derivation import Refusal
from cgc.derive.scale import scale_of
from cgc.families.registry import registry

RECTIFIED = {"kind": "rectified_gaussian", "std": "tanh(e)"}


@pytest.mark.parametrize(
    "fields, code, field",
    [
        ({"kind": "exponential_family", "support": [0, 1], "base_measure": "x"}, "CG501", "base_measure"),
        ({"kind": "exponential_family", "support": [-1, 1, 2], "base_measure": "x"}, "CG501", "base_measure"),
        ({"kind": "exponential_family", "support": [0, 1], "base_measure": "1/x"}, "CG501", "base_measure"),
        ({"kind": "exponential_family", "support": [0, 1], "base_measure": "sin(1)**2 + cos(1)**2 - 1"}, "CG501", "base_measure"),
        ({"kind": "exponential_family", "support": [0, 1, 2], "statistic": "log(x)"}, "CG502", "statistic"),
        ({"kind": "exponential_family", "support": [-1, 1], "statistic": "sqrt(x)"}, "CG502", "statistic"),
        ({"kind": "exponential_family", "support": [1, 2], "statistic": "exp(exp(exp(exp(x))))"}, "CG502", "statistic"),
        ({"kind": "exponential_family", "support": [-1, 1], "statistic": "x**2"}, "CG502", "statistic"),
        ({"kind": "exponential_family", "support": [-1, 0, 1], "statistic": "1"}, "CG502", "statistic"),
        ({"kind": "noise", "base": "normal", "value": "1/y"}, "CG508", "value"),
        ({"kind": "noise", "base": "laplace", "value": "1/(y - 2)**2"}, "CG508", "value"),
        ({"kind": "noise", "base": "normal", "value": "sqrt(y)"}, "CG504", "value"),
        ({"kind": "noise", "base": "gumbel", "value": "log(y)"}, "CG504", "value"),
        ({"kind": "noise", "base": "normal", "value": "min(1e30, y)"}, "CG503", "value"),
        ({**RECTIFIED, "std_min": 0}, "CG504", "std_min"),
        ({**RECTIFIED, "std_min": "e"}, "CG504", "std_min"),
        ({"kind": "gaussian", "std": "1/e"}, "CG505", "std"),
        ({"kind": "gaussian", "std": "1/(e - 0.123456)**2"}, "CG505", "std"),
        ({"kind": "gaussian", "std": "log(e)"}, "CG505", "std"),
        ({"kind": "gaussian", "std": "sqrt(e)"}, "CG505", "std"),
        ({"kind": "gaussian", "std": "exp(exp(e))"}, "CG505", "std"),
        ({"kind": "gaussian", "std": "exp(100)"}, "CG505", "std"),
        ({"kind": "gaussian", "std": 1e-30}, "CG505", "std"),
        ({**RECTIFIED, "emit": "tanh"}, "CG506", "emit"),
        ({**RECTIFIED, "emit": "relu6"}, "CG506", "emit"),
        ({"kind": "gaussian", "std": 1, "emit": "relu"}, "CG506", "emit"),
        ({"kind": "binary", "values": [-1, 1], "emit": "relu"}, "CG506", "emit"),
        ({**RECTIFIED, "leak": 2, "emit": "leaky_relu"}, "CG506", "emit"),
        ({"kind": "categorical", "labels": 3, "emit": "sigmoid"}, "CG507", "emit"),
    ],
)
def test_what_cannot_be_derived_is_refused(fields: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(Refusal) as caught:
        derivation(**fields)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert caught.value.why or code == "CG504" or code == "CG507", caught.value.message


@pytest.mark.parametrize(
    "std, at",
    [("tanh(e)", 0), ("e - 0.3", 0.3), ("(e - 0.3)**2", 0.3), ("abs(e + 2)", -2), ("cos(e) + 1", 3.14159), ("max(0, 1 - e)", 1), ("0", 0)],
)
def test_where_a_std_vanishes(std: str, at: float) -> None:
    found = scale_of(registry()["gaussian"].model_validate({"kind": "gaussian", "std": std}, context={"params": {}}).law()).vanishes_at
    assert found is not None and abs(abs(found) - abs(at)) < 1e-2 + (std.startswith("max"))


@pytest.mark.parametrize(
    "std", ["1", "sigmoid(e)", "softplus(e)", "0.1 + tanh(e)**2", "exp(e)", "sqrt(1 + e**2)", "2 + sin(e)", "1/(1 + e**2)"]
)
def test_where_a_std_stays_positive(std: str) -> None:
    law: Any = registry()["gaussian"].model_validate({"kind": "gaussian", "std": std}, context={"params": {}}).law()
    assert scale_of(law).vanishes_at is None


def test_a_node_with_a_curved_value_has_no_likelihood() -> None:
    law = noise("max(0, y)**2")
    assert law.log_likelihood is None and "degree 2" in law.no_likelihood
    assert noise("3").log_likelihood is not None


# --- anything that users may write


def formulas(name: str, largest: str = "1e30") -> st.SearchStrategy[str]:
    numbers = st.sampled_from(["0", "1", "2", "0.5", "1e-30", largest, "pi", "-3"])
    leaves = st.one_of(st.just(name), st.just(name), numbers)

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        unary = st.sampled_from(["abs", "exp", "log", "max0", "sigmoid", "sign", "sin", "softplus", "sqrt", "tanh", "erf", "normal_cdf"])
        return st.one_of(
            st.builds(lambda a, op, b: f"({a} {op} {b})", inner, st.sampled_from("+-*/"), inner),
            st.builds(lambda f, a: f"max(0, {a})" if f == "max0" else f"{f}({a})", unary, inner),
            st.builds(lambda a, b: f"min({a}, {b})", inner, inner),
            st.builds(lambda a, k: f"({a})**{k}", inner, st.sampled_from(["2", "3", "-1", "0.5", "20"])),
            st.builds(lambda a, b, c: f"Piecewise(({a}, {name} < {c}), ({b}, True))", inner, inner, numbers),
        )

    return st.recursive(leaves, grow, max_leaves=5)


def accepts(kind: str, **fields: Any) -> None:
    """A derivation whose check has passed, or a refusal, or a mistake in the text."""
    try:
        law = derivation(kind, **fields)
    except (Refusal, ValidationError):
        return
    assert law.check.max_difference <= (1e-4 if law.numeric else 1e-10)


QUICK = settings(max_examples=16, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
THOROUGH = settings(max_examples=200, deadline=None, phases=[Phase.explicit, Phase.generate])


@QUICK
@given(formulas("e"))
def test_any_std(text: str) -> None:
    accepts("noise", base="normal", scale=text, value="max(0, y)")


@QUICK
@given(formulas("y"))
def test_any_value(text: str) -> None:
    accepts("noise", base="normal", value=text)


@QUICK
@given(formulas("x"), formulas("x"))
def test_any_statistic_and_base_measure(statistic: str, measure: str) -> None:
    accepts("exponential_family", support=[-1, 0, 1000], statistic=statistic, base_measure=measure)
    accepts("exponential_family", support=[2, 0.5], statistic=statistic, base_measure=measure)


@pytest.mark.slow
@THOROUGH
@given(
    formulas("e", "1e6"), formulas("y", "1e6"), st.sampled_from(["normal", "logistic"]), st.sampled_from([None, "relu", "softplus", "tanh"])
)
# sin(1e30) is another number in floats than in many digits
def test_any_noise(scale: str, value: str, base: str, emit: str | None) -> None:
    accepts("noise", base=base, scale=scale, value=value, emit=emit)


@pytest.mark.slow
@THOROUGH
@given(formulas("x"), formulas("x"), st.sampled_from([[0, 1], [-1, 1, 2], [1e-30, 1e30]]), st.sampled_from([None, "sigmoid", "tanh"]))
def test_any_finite_family(statistic: str, measure: str, support: list[float], emit: str | None) -> None:
    accepts("exponential_family", support=support, statistic=statistic, base_measure=measure, emit=emit)


# --- the same on every run

PROGRAM = """
from cgc.derive.derive import derive
from cgc.families.registry import registry
for kind, fields in ({}):
    family = registry()[kind].model_validate(dict(kind=kind, **fields), context={{"params": {{}}}})
    print(derive(family.law(), family.emit))
"""
QUICKLY = """
    ("rectified_gaussian", dict(std="tanh(e)", leak="0.1", emit="leaky_relu")),
    ("noise", dict(base="logistic", value="min(2, max(-1, y)) + sign(y)")),
    ("exponential_family", dict(support=[-1, 0, 2], statistic="x + tanh(x)", base_measure="exp(x) + 2 + sin(x)")),
    ("categorical", dict(labels=4)),
"""
LONG = """
    ("noise", dict(base="normal", value="Piecewise((1, y < 0 - 1), (y*y, y < 2), (max(3, abs(y) - 1), True))", scale="softplus(e) + 1")),
"""


@pytest.mark.parametrize("families", [QUICKLY, pytest.param(LONG, marks=pytest.mark.slow)], ids=["quick", "long"])
def test_the_same_text_under_every_hash_seed(families: str) -> None:
    program = PROGRAM.format(families)
    runs = [
        subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE)
        for seed in ("0", "4242")
    ]
    printed = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert printed[0] and set(printed) == {printed[0]}


def test_an_order_of_the_support_is_kept_for_draws() -> None:
    law: Any = states(2, -1, 0).sampling
    assert [state.value for state in law.states] == [2, -1, 0]


@pytest.mark.parametrize(
    ("base", "scale", "value", "code"),
    [
        ("logistic", "1", "exp(y)", "CG508"),
        ("logistic", "0.5", "exp(y)", ""),
        ("logistic", "0.5", "exp(2*y)", "CG508"),
        ("logistic", "0.5", "exp(-3*y)", "CG508"),
        ("logistic", "1", "exp(-y**2)", ""),
        ("logistic", "1", "exp(y**2)", "CG508"),
        ("normal", "2", "exp(y)", ""),
        ("normal", "1", "exp(y**2/2)", "CG508"),
        ("normal", "1", "exp(y**2/20)", ""),
        ("normal", "1", "exp(y**3)", "CG508"),
        ("logistic", "2", "min(1, exp(y))", ""),
    ],
)
def test_a_mean_that_does_not_exist(base: str, scale: str, value: str, code: str) -> None:
    """E exp(cY) is finite under logistic noise for |c|·s < 1, E exp(cY²) under normal noise for 2cs² < 1."""
    if not code:
        assert derivation("noise", base=base, scale=scale, value=value).check.max_difference < 1e-6
        return
    with pytest.raises(Refusal) as refusal:
        derivation("noise", base=base, scale=scale, value=value)
    assert refusal.value.code == code and "does not converge" in refusal.value.why
