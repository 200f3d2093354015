"""Named approximations: that the stated error is the largest of all energies, and where; the closest activation; fitted numbers.

What is compared with is written down here, in numpy and mpmath, and shares nothing with the formulas of cgc.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from laws import derivation, noise
from pydantic import ValidationError

from cgc.derive.approximate import approximate, tops
from cgc.derive.closest import closest, fit
from cgc.derive.derivation import Approximation, Refusal
from cgc.formula.activations import ACTIVATIONS, activation
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array, value
from cgc.formula.primitives import Softplus

Function = Callable[[Any], Any]

# 200,000 points: the bulk evenly, then farther and farther out
FINE = np.unique(np.concatenate([np.linspace(-30, 30, 150_001), np.sinh(np.linspace(-9.9, 9.9, 50_001))]))
STEP = "Piecewise((1, y > 0), (0, True))"

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def cdf(x: Any) -> Any:
    return 0.5 * _erfc(-np.asarray(x) / math.sqrt(2))


def pdf(x: Any) -> Any:
    return np.exp(-0.5 * np.square(x)) / math.sqrt(2 * math.pi)


def ramp(e: Any, s: Any) -> Any:
    """E max(0, e + s·n)."""
    return e * cdf(e / s) + s * pdf(e / s)


def sigma(x: Any) -> Any:
    return np.exp(-np.logaddexp(0, -np.asarray(x)))


def softplus(x: Any) -> Any:
    return np.logaddexp(0, x)


def clipped(e: Any, s: float, low: float, high: float) -> Any:
    return low + ramp(e - low, s) - ramp(e - high, s)


def tanh_std(e: Any) -> Any:
    return ramp(e, np.maximum(np.abs(np.tanh(e)), 1e-200))


def laplace_ramp(e: Any, s: float) -> Any:
    return np.maximum(0, e) + s * np.exp(-np.abs(e) / s) / 2


def uniform_ramp(e: Any, s: float) -> Any:
    return np.where(np.abs(e) < s, (e + s) ** 2 / (4 * s), np.maximum(0, e))


def exponential_ramp(e: Any, s: float) -> Any:
    return np.where(e < 0, s * np.exp(np.minimum(e, 0) / s), e + s)


def dead_zone(e: Any) -> Any:
    return ramp(e - 0.5, 0.3) - ramp(-e - 0.5, 0.3)


def three_states(e: Any) -> Any:
    """E of -1, 0, 1."""
    small = np.exp(-np.abs(e))
    return np.sign(e) * (1 - small**2) / (1 + small + small**2)


def langevin(e: Any) -> Any:
    """coth(e) - 1/e."""
    safe = np.where(np.abs(e) < 1e-3, 1.0, e)
    return np.where(np.abs(e) < 1e-3, np.asarray(e) / 3, 1 / np.tanh(safe) - 1 / safe)


def truncated(e: Any, s: float) -> Any:
    """The mean of N(e, s²) given that it is positive."""
    z = np.maximum(e / s, -25.0)
    t = -np.minimum(e / s, -20.0)
    return np.where(e / s > -22, e + s * pdf(z) / cdf(z), s * (1 / t - 2 / t**3 + 10 / t**5 - 74 / t**7))


NAMED: dict[str, Function] = {
    "celu": lambda e: np.where(e > 0, e, np.expm1(np.minimum(e, 0))),
    "elu": lambda e: np.where(e > 0, e, np.expm1(np.minimum(e, 0))),
    "erf": lambda e: 1 - _erfc(e),
    "exp": np.exp,
    "gelu": lambda e: e * cdf(e),
    "gelu_tanh": lambda e: 0.5 * e * (1 + np.tanh(math.sqrt(2 / math.pi) * (e + 0.044715 * e**3))),
    "hardsigmoid": lambda e: np.clip(e + 3, 0, 6) / 6,
    "hardswish": lambda e: e * np.clip(e + 3, 0, 6) / 6,
    "hardtanh": lambda e: np.clip(e, -1, 1),
    "identity": lambda e: e,
    "leaky_relu": lambda e: np.where(e > 0, e, 0.1 * e),
    "log_sigmoid": lambda e: -softplus(-e),
    "mish": lambda e: e * np.tanh(softplus(e)),
    "quick_gelu": lambda e: e * sigma(1.702 * e),
    "relu": lambda e: np.maximum(0, e),
    "relu6": lambda e: np.clip(e, 0, 6),
    "selu": lambda e: 1.0507009873554805 * np.where(e > 0, e, 1.6732632423543772 * np.expm1(np.minimum(e, 0))),
    "sigmoid": sigma,
    "silu": lambda e: e * sigma(e),
    "softplus": softplus,
    "softshrink": lambda e: np.sign(e) * np.maximum(0, np.abs(e) - 0.5),
    "softsign": lambda e: e / (1 + np.abs(e)),
    "tanh": np.tanh,
    "tanhshrink": lambda e: e - np.tanh(e),
}


def test_activations_are_what_their_names_say() -> None:
    assert list(ACTIVATIONS) == sorted(NAMED) == sorted(ACTIVATIONS)
    e = np.concatenate([np.linspace(-60, 60, 4001), [-1e4, 1e4]])
    for name, wanted in NAMED.items():
        tree = freeze(activation(name, sympy.Rational(1, 10)))
        with np.errstate(over="ignore"):
            expected = wanted(e)
            np.testing.assert_allclose(array(tree, e=e), expected, rtol=1e-12, atol=1e-12, err_msg=name)
        with mpmath.workdps(30):
            exactly = [float(min(value(tree, e=mpmath.mpf(x)), mpmath.mpf(1e300))) for x in e[::400]]
        np.testing.assert_allclose(exactly, np.minimum(expected[::400], 1e300), rtol=1e-12, atol=1e-12, err_msg=name)


def approximation(kind: str, emit: str, **fields: Any) -> Approximation:
    near = derivation(kind, emit=emit, **fields).approximation
    assert near is not None
    return near


# --- numbers that are known


@pytest.mark.parametrize(
    "kind, fields, emit, error, places",
    [
        ("rectified_gaussian", {"std": "1.7760918497256316"}, "softplus", 0.0154109521720, (-2.81227447307, 0, 2.81227447307)),
        ("rectified_gaussian", {"std": "tanh(e)"}, "relu", 0.0370580604, (-0.7474682886, 0.7474682886)),
        ("rectified_gaussian", {"std": "sigmoid(e)"}, "relu", 0.1994711402, (0,)),
        ("rectified_gaussian", {"std": "sqrt(sigmoid(e))"}, "relu", 0.2820947918, (0,)),
        ("rectified_gaussian", {"std": "tanh(e)", "leak": 0.01}, "leaky_relu", 0.99 * 0.0370580604, (-0.7474682886, 0.7474682886)),
        ("rectified_gaussian", {"std": "tanh(e)", "leak": 0.1}, "leaky_relu", 0.9 * 0.0370580604, (-0.7474682886, 0.7474682886)),
        ("rectified_gaussian", {"std": "tanh(e)", "leak": 0.2}, "leaky_relu", 0.8 * 0.0370580604, (-0.7474682886, 0.7474682886)),
        ("noise", {"base": "normal", "scale": "1.701745", "value": STEP}, "sigmoid", 0.0094573177, (-0.97179386, 0.97179386)),
        ("noise", {"base": "normal", "scale": "0.1", "value": "min(1, max(-1, y))"}, "hardtanh", 0.1 / math.sqrt(2 * math.pi), (-1, 1)),
        ("rectified_gaussian", {"std": 1}, "gelu", 1 / math.sqrt(2 * math.pi), (0,)),
    ],
)
def test_known_errors(kind: str, fields: dict[str, Any], emit: str, error: float, places: tuple[float, ...]) -> None:
    near = approximation(kind, emit, **fields)
    assert near.max_error == pytest.approx(error, abs=1e-10)
    assert near.at == pytest.approx(places, abs=1e-8)


@pytest.mark.parametrize("factor, error", [("0.25", 3.1e-7), ("0.5", 0.00125), ("2", 0.234)])
def test_a_smaller_std_is_nearer_to_relu(factor: str, error: float) -> None:
    near = approximation("rectified_gaussian", "relu", std=f"{factor}*tanh(e)")
    assert near.max_error == pytest.approx(error, rel=0.02)
    measured = np.abs(ramp(near.at[1], float(factor) * math.tanh(near.at[1])) - near.at[1])
    assert near.max_error == pytest.approx(float(measured), rel=1e-8)


def test_a_rectified_logistic_is_softplus() -> None:
    near = approximation("noise", "softplus", base="logistic", value="max(0, y)")
    assert (near.max_error, near.at) == (0.0, (0.0,))


# --- every stated error against a fine grid

NORMAL: dict[str, Any] = {"kind": "noise", "base": "normal"}
LAPLACE, LOGISTIC, UNIFORM = ({"kind": "noise", "base": base} for base in ("laplace", "logistic", "uniform"))
GUMBEL, EXPONENTIAL = ({"kind": "noise", "base": base} for base in ("gumbel", "exponential"))
RECT: dict[str, Any] = {"kind": "rectified_gaussian"}
RAMP = "max(0, y)"

PAIRS: dict[str, tuple[dict[str, Any], Function, str]] = {
    "probit": ({**NORMAL, "value": STEP}, cdf, "hardsigmoid"),
    "probit, two-sided": ({**NORMAL, "value": "sign(y)"}, lambda e: 1 - _erfc(e / math.sqrt(2)), "erf"),
    "narrow rectifier": ({**RECT, "std": 0.7}, lambda e: ramp(e, 0.7), "gelu"),
    "wide rectifier": ({**RECT, "std": 3}, lambda e: ramp(e, 3.0), "silu"),
    "modulated": ({**RECT, "std": "tanh(e)"}, tanh_std, "quick_gelu"),
    "logistic rectifier": ({**LOGISTIC, "value": RAMP}, softplus, "mish"),
    "approached": ({**LOGISTIC, "value": RAMP}, softplus, "elu"),
    "clipped": ({**NORMAL, "value": "min(1, max(-1, y))", "scale": 0.5}, lambda e: clipped(e, 0.5, -1, 1), "tanh"),
    "off centre": ({**NORMAL, "value": "min(2, max(-1, y))", "scale": 0.8}, lambda e: clipped(e, 0.8, -1, 2), "softsign"),
    "laplace threshold": ({**LAPLACE, "value": "sign(y)"}, lambda e: -np.sign(e) * np.expm1(-np.abs(e)), "softsign"),
    "gumbel threshold": ({**GUMBEL, "value": STEP}, lambda e: -np.expm1(-np.exp(np.minimum(e, 5))), "sigmoid"),
    "uniform rectifier": ({**UNIFORM, "value": RAMP, "scale": 2}, lambda e: uniform_ramp(e, 2), "softplus"),
    "exponential rectifier": ({**EXPONENTIAL, "value": RAMP}, lambda e: exponential_ramp(e, 1), "softplus"),
    "dead zone": ({**NORMAL, "value": "max(0, y - 0.5) + min(0, y + 0.5)", "scale": 0.3}, dead_zone, "softshrink"),
    "wave": ({**NORMAL, "value": "sin(y)"}, lambda e: math.exp(-0.5) * np.sin(e), "softsign"),
    "three states": ({"kind": "exponential_family", "support": [-1, 0, 1]}, three_states, "tanh"),
    "two states": ({"kind": "binary", "values": [0, 1]}, sigma, "tanh"),
    "logistic threshold": ({**LOGISTIC, "value": STEP, "scale": 0.5}, lambda e: sigma(2 * e), "hardtanh"),
    "swish": ({"kind": "gated", "value": "e", "prob": "sigmoid(e)"}, lambda e: e * sigma(e), "hardswish"),
    "tilted uniform": ({"kind": "tilted_uniform", "interval": [-1, 1]}, langevin, "hardtanh"),
}


@pytest.mark.every_other
@pytest.mark.parametrize("name", PAIRS)
def test_no_energy_of_a_fine_grid_has_a_larger_error(name: str) -> None:
    family, exact, emit = PAIRS[name]
    near = approximation(emit=emit, **family)

    def error(e: Any) -> Any:
        return np.abs(exact(np.asarray(e, dtype=np.float64)) - NAMED[emit](np.asarray(e, dtype=np.float64)))

    largest = float(error(FINE).max())
    # values at 1e4 are rounded to 1e-12
    assert largest <= near.max_error * (1 + 1e-9) + 4e-12
    if all(math.isfinite(e) for e in near.at):
        assert near.max_error <= largest * (1 + 1e-5)
    for e in near.at:
        if math.isfinite(e):
            assert float(error(e)) == pytest.approx(near.max_error, abs=1e-10), e
        else:  # 1/e is still 1e-4 there
            assert float(error(np.copysign(np.linspace(9_000, 9_010, 2_000), e)).max()) == pytest.approx(near.max_error, abs=2e-4), e
    # and no other place of the grid comes near
    high = FINE[error(FINE) >= near.max_error * (1 - 1e-10)]
    finite = [e for e in near.at if math.isfinite(e)]
    apart = [e for e in high if all(abs(e - place) > 1e-2 for place in finite) and abs(e) < 20]
    assert not apart or not all(math.isfinite(e) for e in near.at) or len(near.at) == 8, apart[:3]


def test_an_error_that_is_only_approached_has_an_infinite_place() -> None:
    near = noise("max(0, y)", base="logistic", emit="elu").approximation
    assert near is not None and (near.max_error, near.at) == (1.0, (-math.inf,))
    both = noise("y", emit="tanhshrink").approximation
    assert both is not None and (both.max_error, both.at) == (1.0, (-math.inf, math.inf))


def test_a_constant_error_is_attained_where_it_begins() -> None:
    flat = noise("min(1, max(0, y))", scale="0", emit="hardtanh").approximation
    assert flat is not None and (flat.max_error, flat.at) == (1.0, (-1.0,))
    step = noise("min(1, max(0, y))", scale="0", emit="relu6").approximation
    assert step is not None and (step.max_error, step.at) == (5.0, (6.0,))


@pytest.mark.parametrize("scale", ["1e-9", "1e-3", "1", "1e6"])
def test_errors_are_found_at_every_scale(scale: str) -> None:
    relu = noise("max(0, y)", scale=scale, emit="relu").approximation
    assert relu is not None and relu.at == (0.0,)
    assert relu.max_error == pytest.approx(float(scale) / math.sqrt(2 * math.pi), rel=1e-14)


def test_a_narrow_top_beside_a_break_point_is_found() -> None:
    """The step at 1 is 1e-6 wide: beside it the error of tanh is 1 - tanh(1), and that of a sigmoid 1 - σ(1)."""
    step = "Piecewise((1, y > 1), (0, True))"
    for emit, wanted in (("tanh", math.tanh(1)), ("sigmoid", 1 / (1 + math.exp(-1)))):
        near = noise(step, scale="1e-6", emit=emit).approximation
        assert near is not None
        if emit == "sigmoid":
            assert near.max_error == pytest.approx(wanted, abs=1e-5) and abs(near.at[0] - 1) < 1e-5
        else:
            assert near.max_error == pytest.approx(1, abs=1e-12) and near.at == (-math.inf,)


E = sympy.Symbol("e", real=True)


@pytest.mark.parametrize(
    "exact, error, places",
    [
        (sympy.Piecewise((0, E < 2), (1, True)), 1, [2]),  # attained from 2 on
        (sympy.Piecewise((0, E <= 2), (1, E <= 3), (0, True)), 1, [2, 3]),  # approached beside 2
        (sympy.Piecewise((1, E < -5), (0, True)), 1, [-5]),  # up to -5, not at it
        (sympy.sign(E - sympy.Rational(1, 3)), 1, [sympy.Rational(1, 3)]),
        (sympy.exp(-sympy.Abs(E - 7)), 1, [7]),
        (sympy.exp(-((E - 7) ** 2) * 10**10), 1, [7]),
        (1 / (1 + sympy.exp(-E)), 1, [sympy.oo]),
        (E**2 / (1 + E**2), 1, [-sympy.oo, sympy.oo]),
        (sympy.sin(E) * (1 - sympy.exp(-sympy.Abs(E))), 1, None),
        (sympy.Rational(1, 10**6) * sympy.exp(-(E**2)), sympy.Rational(1, 10**6), [0]),
    ],
)
def test_tops_of_functions_with_jumps_corners_and_limits(exact: Any, error: Any, places: list[Any] | None) -> None:
    found = tops(freeze(exact), freeze(sympy.Integer(0)))
    assert float(max(top.size for top in found)) == pytest.approx(float(error), rel=1e-12)
    if places is not None:
        measured = [top.place for top in found]
        ends = [float(place) for place in places]
        # a function that jumps and stays may be as high on both sides of its jump
        assert measured == pytest.approx(ends, abs=1e-9)


def test_a_rule_that_holds_for_some_energies_is_compared_there() -> None:
    """Beyond, a table's energies are cut off; that is no error of the activation."""
    table = freeze(Softplus(sympy.Min(30, sympy.Max(-30, E))))
    near = approximate("softplus", table, 0, (-30.0, 30.0))
    assert (near.max_error, near.at) == (0.0, (0.0,))
    ramp = approximate("elu", table, 0, (-30.0, 30.0))
    assert ramp.max_error == pytest.approx(1, abs=1e-12) and ramp.at == (-30.0,)
    with pytest.raises(Refusal):
        approximate("softplus", table, 0)


def test_equal_tops_of_a_periodic_error_are_told_as_far_as_they_are_near() -> None:
    found = tops(freeze(sympy.exp(-sympy.Rational(1, 2)) * sympy.sin(E)), freeze(sympy.sin(E)))
    assert [float(top.size) for top in found] == pytest.approx([1 - math.exp(-0.5)] * 8, rel=1e-14)
    assert [top.place for top in found] == pytest.approx([math.pi * (k + 0.5) for k in range(-4, 4)], abs=1e-9)


@pytest.mark.parametrize("wave", [sympy.sin(E), sympy.sin(E**2), sympy.cos(3 * E) + sympy.Rational(1, 10) * sympy.cos(6 * E)])
def test_waves_that_come_near_a_limit(wave: Any) -> None:
    """e/(1 + |e|) reaches ±1 slowly: the largest errors are out of every grid's reach."""
    found = tops(freeze(wave), freeze(activation("softsign", sympy.Integer(0))))
    largest = float(np.abs(array(freeze(wave), e=np.linspace(0, 50, 500_001))).max()) + 1
    assert float(max(top.size for top in found)) == pytest.approx(largest, abs=1e-7)
    assert any(math.isinf(top.place) for top in found)


# --- without bound


@pytest.mark.parametrize(
    "kind, fields, emit, end",
    [
        ("rectified_gaussian", {"std": 1}, "tanh", "towards infinity"),
        ("rectified_gaussian", {"std": 1}, "identity", "towards minus infinity"),
        ("rectified_gaussian", {"std": "tanh(e)"}, "selu", "towards infinity"),
        ("rectified_gaussian", {"std": "tanh(e)"}, "log_sigmoid", "towards minus infinity"),
        ("rectified_gaussian", {"std": "tanh(e)", "leak": 0.1}, "elu", "towards minus infinity"),
        ("noise", {"base": "normal", "value": "abs(y)"}, "relu", "towards minus infinity"),
        ("noise", {"base": "normal", "value": STEP}, "exp", "towards infinity"),
        ("noise", {"base": "normal", "value": "y**2"}, "relu", "towards"),
        ("binary", {"values": [0, 1]}, "softplus", "towards infinity"),
        ("gated", {"value": "e", "prob": "sigmoid(e)"}, "tanhshrink", "towards minus infinity"),
        ("poisson", {}, "softplus", "towards infinity"),
        ("noise", {"base": "normal", "scale": "0", "value": "log(1 + abs(y))"}, "tanh", "towards"),
    ],
)
def test_an_error_without_bound_is_refused(kind: str, fields: dict[str, Any], emit: str, end: str) -> None:
    with pytest.raises(Refusal) as caught:
        derivation(kind, emit=emit, **fields)
    assert caught.value.code == "CG506" and caught.value.field == "emit"
    assert end in caught.value.why and caught.value.why.endswith("it grows")


# --- the closest activation


@pytest.mark.parametrize(
    "kind, fields, first",
    [
        ("rectified_gaussian", {"std": "tanh(e)"}, ["relu", "quick_gelu", "gelu", "gelu_tanh", "silu", "mish"]),
        ("rectified_gaussian", {"std": "tanh(e)", "leak": 0.1}, ["leaky_relu"]),
        ("noise", {"base": "logistic", "value": "max(0, y)"}, ["softplus"]),
        ("gated", {"value": "e", "prob": "normal_cdf(e)"}, ["gelu", "gelu_tanh", "quick_gelu"]),
        ("binary", {"values": [-1, 1]}, ["tanh", "erf", "hardtanh"]),
        ("noise", {"base": "normal", "value": "sign(y)", "scale": 0.8}, ["tanh"]),
        ("poisson", {}, ["exp"]),
        ("gaussian", {"std": 1}, ["identity"]),
    ],
)
def test_the_closest_activations(kind: str, fields: dict[str, Any], first: list[str]) -> None:
    expectation = derivation(kind, **fields).expectation
    ranks = closest(expectation)
    assert [rank.name for rank in ranks[: len(first)]] == first
    bounded = [rank for rank in ranks if rank.approximation is not None]
    assert list(ranks[: len(bounded)]) == bounded and all(rank.reason for rank in ranks[len(bounded) :])
    order = [(rank.approximation.max_error, rank.name) for rank in bounded if rank.approximation is not None]
    assert order == sorted(order)
    assert [rank.name for rank in ranks[len(bounded) :]] == sorted(rank.name for rank in ranks[len(bounded) :])
    left_out = set() if fields.get("leak") or kind == "gaussian" else {"leaky_relu"}
    assert {rank.name for rank in ranks} == set(ACTIVATIONS) - left_out
    slope = sympy.Rational(str(fields.get("leak", int(kind == "gaussian"))))
    assert all(rank.approximation == approximate(rank.name, expectation, slope) for rank in bounded)


# --- fitted numbers

Curve = Callable[[Any, float], Any]

FITS: list[tuple[dict[str, Any], str, str, Curve, float, float]] = [
    (RECT, "std", "softplus", ramp, 1.7760918497256316, 0.0154109521720),
    ({**NORMAL, "value": STEP}, "scale", "sigmoid", lambda e, s: cdf(e / s), 1.7017449253380, 0.0094573091764),
    ({**NORMAL, "value": "sign(y)"}, "scale", "tanh", lambda e, s: 2 * cdf(e / s) - 1, 0.8508724626690, 0.0189146183527),
    ({**LAPLACE, "value": RAMP}, "scale", "softplus", laplace_ramp, 1.3375928722918, 0.0243507444141),
    ({**UNIFORM, "value": RAMP}, "scale", "softplus", uniform_ramp, 3.0047175458542, 0.0580322059036),
    ({**EXPONENTIAL, "value": RAMP}, "scale", "softplus", exponential_ramp, 0.3812603142119, 0.3812603142119),
    ({**NORMAL, "value": "min(1, max(-1, y))"}, "scale", "tanh", lambda e, s: clipped(e, s, -1, 1), 0.5993083552680, 0.0287643661216),
    ({"kind": "gated", "value": "e", "prob": "sigmoid(c*e)"}, "c", "gelu", lambda e, c: e * sigma(c * e), 1.7729339656168, 0.0139222454728),
    ({**RECT, "std": "0.5 + (c - 1)**2"}, "c", "relu", lambda e, c: ramp(e, 0.5 + (c - 1) ** 2), 1.0, 0.1994711402007),
    ({"kind": "truncated_gaussian"}, "std", "softplus", truncated, 0.8108540181411, 0.1470034216099),
]


COARSE = np.unique(np.concatenate([np.linspace(-30, 30, 60_001), np.sinh(np.linspace(-9.9, 9.9, 4_001))]))


@pytest.mark.every_other
@pytest.mark.parametrize("family, field, to, exact, best, error", FITS, ids=[f"{f[0]['kind']} {f[1]} {k}" for k, f in enumerate(FITS)])
def test_a_fitted_number_is_the_best(family: dict[str, Any], field: str, to: str, exact: Curve, best: float, error: float) -> None:
    found = fit(family, field, to)
    assert found.value == pytest.approx(best, rel=1e-12) and found.max_error == pytest.approx(error, abs=1e-12)

    def largest(number: float) -> float:
        return float(np.abs(exact(COARSE, number) - NAMED[to](COARSE)).max())

    here = largest(found.value)
    assert here == pytest.approx(found.max_error, rel=1e-6)
    # moved either way, the largest error grows
    for change in (1e-4, 1e-2, 0.2):
        for moved in (found.value * (1 + change), found.value * (1 - change)):
            assert largest(moved) > found.max_error * (1 - 1e-7)
            assert largest(moved) > found.max_error or change < 1e-3
    for place, sign in found.at:
        e = place if math.isfinite(place) else math.copysign(5_000, place)
        difference = float(exact(np.asarray(e), found.value) - NAMED[to](np.asarray(e)))
        assert difference == pytest.approx(sign * found.max_error, rel=1e-6)
    assert found.steps[-1].startswith(f"{field} = {found.value!r}: off by at most ")


def test_the_papers_constant() -> None:
    """Equioscillation: the error is largest at 0 and at two opposite energies, with alternating sign."""
    found = fit(RECT, "std", "softplus")
    assert abs(found.value - 1.7760918497256316) <= 1e-12
    assert found.max_error == pytest.approx(0.0154109521720, abs=1e-13)
    assert [sign for _, sign in found.at] == [-1, 1, -1]
    assert [place for place, _ in found.at] == pytest.approx([-2.81227447307, 0, 2.81227447307], abs=1e-11)
    with mpmath.workdps(30):
        s, e = mpmath.mpf(found.value), mpmath.mpf(found.at[2][0])
        away = e * mpmath.ncdf(e / s) + s * mpmath.npdf(e / s) - mpmath.log1p(mpmath.exp(e))
        middle = s * mpmath.npdf(0) - mpmath.log(2)
        assert abs(away + middle) < 1e-15
        # the error is stationary there
        assert abs(mpmath.ncdf(e / s) - 1 / (1 + mpmath.exp(-e))) < 1e-12


def test_the_tilted_uniform_node_is_a_tanh_of_a_quarter_of_the_energy() -> None:
    """X on [-1, 1] with a density ∝ exp(c·x·e): E = coth(ce) - 1/(ce), nearest to tanh(e) for 1/c = .2449."""
    family = {"kind": "density", "support": {"interval": [-1, 1]}, "log_density": "c*x*e"}
    found = fit(family, "c", "tanh")
    assert 1 / found.value == pytest.approx(0.2449, abs=5e-5) and found.max_error == pytest.approx(0.0871, abs=5e-5)
    for moved in (found.value * 1.01, found.value / 1.01):
        assert np.abs(langevin(moved * COARSE) - np.tanh(COARSE)).max() > found.max_error


def test_what_the_family_says_about_the_number_does_not_matter() -> None:
    family = {**NORMAL, "value": "sign(y)"}
    assert fit({**family, "scale": 3, "emit": "relu"}, "scale", "tanh") == fit(family, "scale", "tanh")
    named = {**family, "scale": "c"}
    assert fit({**named, "c": 1}, "c", "tanh").value == fit(named, "c", "tanh").value == fit(family, "scale", "tanh").value


def test_a_number_that_makes_the_error_vanish() -> None:
    found = fit({"kind": "noise", "base": "logistic", "value": "sign(y)"}, "scale", "tanh")
    assert (found.value, found.max_error, found.at) == (0.5, 0.0, ())
    other = fit({"kind": "noise", "base": "logistic", "value": "max(0, b*y)/b"}, "scale", "softplus", {"b": 2})
    assert (other.value, other.max_error) == (1.0, 0.0)


@pytest.mark.parametrize(
    "family, field, to, code, words",
    [
        (RECT, "std", "tanh", "CG506", "whatever `std` is"),
        (RECT, "std", "relu", "CG506", "is the best"),
        (RECT, "std", "elu", "CG506", "is the best"),
        ({**NORMAL, "value": STEP}, "scale", "tanh", "CG506", "is the best"),
        ({"kind": "gaussian"}, "std", "identity", "CG504", "no influence"),
        ({"kind": "noise", "base": "normal", "value": "y"}, "base", "relu", "CG504", "does not take numbers"),
        ({**RECT, "std": 1}, "slope", "relu", "CG504", "is no number of this family"),
        ({**RECT, "std": 1}, "kind", "relu", "CG504", "is no number of a family"),
        ({"kind": "categorical"}, "labels", "relu", "CG507", "labels"),
        ({"kind": "categorical", "labels": 3}, "c", "relu", "CG507", "labels"),
    ],
)
def test_what_cannot_be_fitted(family: dict[str, Any], field: str, to: str, code: str, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        fit(family, field, to)
    assert (caught.value.code, caught.value.field) == (code, field) and words in caught.value.message


def test_a_family_that_is_wrong_otherwise_is_told_so() -> None:
    with pytest.raises(ValidationError, match="base"):
        fit({"kind": "noise", "base": "cauchy", "value": "y"}, "scale", "relu")
    with pytest.raises(KeyError):
        fit({"kind": "gauss"}, "std", "relu")
    with pytest.raises(KeyError):
        fit(RECT, "std", "swoosh")


# --- the same on every run

PROGRAM = """
from cgc.derive.closest import closest, fit
from cgc.derive.derive import derive
from cgc.families.registry import registry
law = registry()["noise"].model_validate(dict(kind="noise", base="logistic", value="sign(y)"), context={"params": {}}).law()
print(closest(derive(law).expectation))
print(fit(dict(kind="rectified_gaussian"), "std", "softplus"))
"""


def test_the_same_text_under_every_hash_seed() -> None:
    runs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM], env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE)
        for seed in ("1", "4242")
    ]
    printed = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0] and printed[0] and set(printed) == {printed[0]}
