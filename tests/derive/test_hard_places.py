"""Places where emitted formulas go wrong easily: energies on a break point, tails of float32, supports of mixtures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from laws import emitted

import cgc
from cgc.derive.derivation import Derivation
from cgc.derived import Derived
from cgc.source.diagnostics import SpecError


def derived(text: str) -> Derived:
    found = cgc.derive(text)
    assert isinstance(found, Derived)
    return found


def law(text: str) -> Derivation:
    return derived(text).law


@pytest.mark.parametrize(
    "base", ["normal", "laplace", "gumbel", *(pytest.param(b, marks=pytest.mark.slow) for b in ("logistic", "uniform", "exponential"))]
)
@pytest.mark.parametrize("value", ["max(0, y)", "max(y/10, y)", "min(1, max(0, y))", "max(-1, min(abs(y), 2))", "max(0, y)**2"])
def test_gradients_on_break_points_are_those_beside_them(base: str, value: str) -> None:
    node = emitted(law(f"{{kind: noise, base: {base}, value: '{value}'}}"))
    places = [0.0, 1.0, -1.0, 2.0]
    for method in (node.expectation, node.variance):
        slopes = []
        for shift in (-1e-7, 0.0, 1e-7):
            e = torch.tensor([place + shift for place in places], dtype=torch.float64, requires_grad=True)
            (slope,) = torch.autograd.grad(method(e).sum(), e)
            slopes.append(slope)
        below, at, above = slopes
        # an exponential noise begins at e, where the slope may jump
        smooth = (below - above).abs() < 1e-3
        assert smooth.sum() >= 3
        assert torch.allclose(at[smooth], ((below + above) / 2)[smooth], rtol=0, atol=1e-5), (value, below, at, above)


def test_the_likelihood_has_its_gradient_on_a_break_point() -> None:
    node = emitted(law("{kind: noise, base: laplace, value: 'max(0, y)'}"))
    e = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(node.log_prob(torch.zeros_like(e), e).sum(), e)
    assert slope.item() == pytest.approx(-1)  # P(Y < 0) = exp(-e)/2 beside and 1 - exp(e)/2


@pytest.mark.parametrize("scale, value", [("0.1", "sign(y)"), ("1", "Piecewise((0, y < 1), (5, True))"), ("0.01", "max(0, y)")])
def test_far_from_a_jump_gradients_are_finite(scale: str, value: str) -> None:
    node = emitted(law(f"{{kind: noise, base: exponential, scale: {scale}, value: '{value}'}}"))
    for dtype in (torch.float32, torch.float64):
        e = torch.tensor([-900.0, -20, -1, 0.5, 5, 9, 12, 90, 1000], dtype=dtype, requires_grad=True)
        for method in (node.expectation, node.variance):
            (slope,) = torch.autograd.grad(method(e).sum(), e)
            assert slope.isfinite().all()


@pytest.mark.parametrize(
    "one, other",
    [
        ("{kind: poisson}", "{kind: binary, values: [0, 1]}"),
        ("{kind: binary, values: [-1, 1]}", "{kind: binary, values: [0, 1]}"),
        ("{kind: binomial, trials: 3}", "{kind: binary, values: [-1, 1]}"),
    ],
)
def test_probabilities_of_a_mixture_of_states_sum_to_one(one: str, other: str) -> None:
    found = derived(f"{{kind: mixture, components: [{{weight: 0.3, family: {one}}}, {{weight: 0.7, family: {other}}}]}}")
    states = np.arange(-3.0, 60)
    for e in (-1.1, 0.0, 0.4, 1.9):
        assert np.exp(found.log_likelihood(states, e)).sum() == pytest.approx(1, abs=1e-12)
        seen = found.sample(np.full(200_000, e), 1)[0]
        for state in (-1.0, 0.0, 1.0, 2.0):
            p = math.exp(found.log_likelihood(state, e))
            assert abs((seen == state).mean() - p) < 6 * math.sqrt(p * (1 - p) / seen.size) + 1e-9
        x = torch.tensor(states)
        assert emitted(found.law).log_prob(x, torch.full_like(x, e)).exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_a_state_that_is_none_has_no_probability() -> None:
    assert derived("{kind: binary, values: [0, 1]}").log_likelihood([0, 0.5, 2], 0.3)[1:].tolist() == [-math.inf, -math.inf]


@pytest.mark.parametrize(
    "family",
    [
        "{kind: exponential_family, support: nonnegative, base_measure: 'x*exp(-x**2)'}",
        "{kind: exponential_family, support: nonnegative_integers, base_measure: 'exp(-x**2)*(1+x)'}",
        "{kind: exponential_family, support: reals, base_measure: '1/(1+exp(x**2))'}",
        "{kind: exponential_family, support: reals, base_measure: '1/(2*exp(x**2)+3*exp(-x))'}",
        "{kind: exponential_family, support: [-100, 0.01, 100]}",
        "{kind: exponential_family, support: [-1000, 3, 2000]}",
        "{kind: noise, base: exponential, scale: 100, value: 'max(0, y)*max(0, 1 - y)'}",
        "{kind: noise, base: exponential, scale: 1+e**2, value: 'Piecewise((y**2, y < 1), (2 - y, y < 3), (0, True))'}",
    ],
)
def test_float32_is_near_float64(family: str) -> None:
    found = law(family)
    node = emitted(found)
    # a sum over a table has the digits of its terms
    tables = 0.0 if found.numeric is None else 2e-7
    e = torch.tensor([-30.0, -20, -7.3, -5, -1.1, -1e-3, 0, 1e-6, 1e-3, 0.4, 0.7, 5, 12, 20, 29], dtype=torch.float32)
    for method in (node.expectation, node.variance):
        single, double = method(e).double(), method(e.double())
        # a rounding of e moves both
        a, b = method(e.double() * (1 + 2**-23)), method(e.double() * (1 - 2**-23))
        scale = double.abs() + (a - b).abs() * 2**22
        assert ((single - double).abs() <= 2e-5 * scale + tables + 1e-30).all(), (e, single, double)


def test_a_table_says_how_far_it_reaches() -> None:
    text = derived("{kind: exponential_family, support: reals, base_measure: exp(-x**4)}").text(steps=False)
    assert "for energies from -30 to 30; energies beyond are taken as these" in text


def test_an_unknown_activation_is_a_finding() -> None:
    with pytest.raises(SpecError, match="unknown activation `Softplus`"):
        cgc.derive("{kind: rectified_gaussian, std: 1}", emit="Softplus")
