"""All families of the list, and some that are in no list: moments against quadrature, draws against the distribution, likelihoods."""

from __future__ import annotations

import math
import re

import mpmath
import numpy as np
import pytest
import torch
from laws import emitted
from mpmath import mp

from cgc.derive.derivation import Derivation, Labels
from cgc.derive.limit import derive_within
from cgc.derived import Derived, draw_feature
from cgc.families.registry import registry
from cgc.formula.numeric import array, value
from cgc.spec.single import read_single

LISTED = {
    "binary": "{kind: binary, values: [-1, 3]}",
    "probit": "{kind: probit, values: [-1, 1]}",
    "gaussian": "{kind: gaussian, std: 0.7}",
    "rectified gaussian": "{kind: rectified_gaussian, std: 0.7}",
    "rectified gaussian, tanh": "{kind: rectified_gaussian, std: tanh(e)}",
    "rectified gaussian, sigma": "{kind: rectified_gaussian, std: sigmoid(e)}",
    "leaky": "{kind: rectified_gaussian, std: 0.5, leak: 0.1}",
    "rectified logistic": "{kind: rectified_logistic}",
    "truncated gaussian": "{kind: truncated_gaussian, std: 0.5}",
    "clipped gaussian": "{kind: clipped_gaussian, interval: [0, 1], std: 0.5}",
    "tilted uniform": "{kind: tilted_uniform, interval: [-1, 1]}",
    "poisson": "{kind: poisson}",
    "exponential": "{kind: gamma}",
    "gamma": "{kind: gamma, shape: 2.5}",
    "beta": "{kind: beta, concentration: 4}",
    "binomial": "{kind: binomial, trials: 5}",
    "negative binomial": "{kind: negative_binomial, successes: 3}",
    "gelu": "{kind: gated, prob: normal_cdf(e)}",
    "silu": "{kind: gated, prob: sigmoid(e)}",
    "mish": "{kind: gated, prob: tanh(softplus(e))}",
    "max of two": "{kind: max_of, means: [e, 0.3], stds: [1, 2]}",
}
OTHERS = {
    "spin with measure": "{kind: exponential_family, support: [-1, 0, 1], base_measure: '1 + x**2'}",
    "laplace rectifier": "{kind: noise, base: laplace, scale: 0.5, value: 'max(0, y)'}",
    "laplace, leaky with shift": "{kind: noise, base: laplace, scale: 2, value: 'max(0.2*y, y - 1)'}",
    "uniform clip": "{kind: noise, base: uniform, scale: 0.8, value: 'min(1, max(-1, y))'}",
    "gumbel rectifier": "{kind: noise, base: gumbel, value: 'max(0, y)'}",
    "gumbel threshold": "{kind: noise, base: gumbel, scale: 0.5, value: 'sign(y)'}",
    "exponential dead zone": "{kind: noise, base: exponential, value: 'max(0, abs(y) - 1)'}",
    "log-normal": "{kind: noise, base: normal, scale: 0.4, value: exp(y)}",
    "sine": "{kind: noise, base: logistic, scale: 0.3, value: sin(2*y)}",
    "bounded exponential": "{kind: noise, base: normal, value: 'min(1, exp(y))'}",
    "cube": "{kind: noise, base: normal, scale: 0.5, value: y**3 - y}",
    "with energy": "{kind: noise, base: normal, value: 'max(0, y) + e/2'}",
    "against energy": "{kind: noise, base: laplace, value: 'max(e, y)'}",
    "tanh of noise": "{kind: noise, base: normal, value: tanh(y)}",
    "quartic": "{kind: density, support: reals, log_density: e*x - x**4}",
    "von Mises": "{kind: density, support: {interval: [-pi, pi]}, log_density: e*cos(x), feature: cos(x)}",
    "conway": "{kind: exponential_family, support: nonnegative_integers, base_measure: 1/factorial(x)**2}",
    "discrete gaussian": "{kind: exponential_family, support: integers, base_measure: exp(-x**2/8)}",
    "weibull-like": "{kind: density, support: nonnegative, log_density: -x**1.5*exp(-e)}",
    "states of one's own": "{kind: density, support: [0, 1, 4], log_density: x*tanh(e) - x**2/9, feature: x + 1}",
    "softened": "{kind: density, support: nonnegative, log_density: -x*(1 + softplus(-e))}",
    "closed gate": "{kind: gated, value: e + 1, prob: sigmoid(e), open: 0}",
    "two gaussians": "{kind: mixture, components: [{weight: sigmoid(e), family: {kind: gaussian, std: 1}}, "
    "{weight: sigmoid(-e), family: {kind: noise, base: laplace, scale: 0.5}}]}",
    "inflated": "{kind: mixture, components: [{weight: 1, family: {kind: poisson}}, "
    "{weight: exp(-e), family: {kind: binomial, trials: 2}}]}",
}
ALL = LISTED | OTHERS


def law(name: str) -> Derivation:
    found = read_single(ALL[name])
    return derive_within(found.law, None)


def many(found: Derivation, most: int) -> int:
    """How many draws: each from a table takes all of its rows."""
    return most if found.numeric is None else 20_000


@pytest.mark.parametrize("name", LISTED)
def test_the_list_is_derived_in_closed_form(name: str) -> None:
    found = law(name)
    assert found.numeric is None and found.check.max_difference <= 1e-10
    assert found.variance_text and found.expectation_latex and found.variance_latex


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_in_the_list_gets_the_same_treatment(name: str) -> None:
    found = law(name)
    if found.numeric is None:
        assert found.check.max_difference <= 1e-10
    else:
        assert (found.numeric.error <= 1e-7 and "quadrature" in found.numeric.rule) or "sum over" in found.numeric.rule
    reasons = " ".join(step.reason for step in found.steps)
    for part in ("expectation", "variance", "sampling rule"):
        assert part in reasons


NUMERIC = {
    "gumbel rectifier",
    "tanh of noise",
    "quartic",
    "von Mises",
    "conway",
    "discrete gaussian",
    "weibull-like",
    "bounded exponential",
}


def test_numerical_rules_stand_only_where_no_closed_form_is_known() -> None:
    assert {name for name in ALL if law(name).numeric is not None} <= NUMERIC


@pytest.mark.every_other
@pytest.mark.parametrize("name", ALL)
def test_draws_have_the_moments(name: str) -> None:
    """10⁶ draws (fewer from tables): mean and variance within 5 standard errors."""
    found, generator = law(name), np.random.default_rng(7)
    for e in (-1.3, 1.9):
        x = draw_feature(found, np.full(many(found, 1_000_000), e), generator)
        mean, variance = (float(np.asarray(array(formula, e=np.float64(e)))) for formula in (found.expectation, found.variance))
        spread = x.var()
        assert abs(x.mean() - mean) <= 5 * math.sqrt(spread / len(x)) + 1e-9, (e, x.mean(), mean)
        fourth = ((x - x.mean()) ** 4).mean()
        assert abs(spread - variance) <= 5 * math.sqrt(max(fourth - spread**2, 0) / len(x)) + 1e-9, (e, spread, variance)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("gelu", "silu", "mish", "closed gate")])
def test_draws_follow_the_likelihood(name: str) -> None:
    """Kolmogorov-Smirnov on the continuous part, χ² on the atoms, both at a level of 1e-6."""
    found, generator, e = law(name), np.random.default_rng(11), 0.7
    if found.log_likelihood is None or found.statistic is not None:
        pytest.skip("no density of what is drawn")
    count = many(found, 400_000)
    x = draw_feature(found, np.full(count, e), generator)
    states, counts = np.unique(x, return_counts=True)
    atoms = states[counts > len(x) / 8000] if found.measure != "density" else np.array([])
    p = np.exp([float(array(found.log_likelihood, x=np.float64(a), e=np.float64(e))) for a in atoms])
    if len(atoms):
        seen = np.array([(x == a).sum() for a in atoms])
        statistic = float((((seen - count * p) ** 2) / (count * p * (1 - p) + 1e-9)).max())
        assert statistic < 30 + 2 * math.log(len(atoms)), (atoms, seen, count * p)
    if found.measure == "states":
        assert p.sum() == pytest.approx(1, abs=1e-3)
        return
    rest = np.sort(x[~np.isin(x, atoms)])
    if len(rest) < 1000:
        return
    grid = np.linspace(rest[0], rest[-1], 40_001)
    middle = (grid[1:] + grid[:-1]) / 2
    with np.errstate(all="ignore"):
        density = np.exp(np.nan_to_num(array(found.log_likelihood, x=middle, e=np.full(middle.shape, e)), nan=-np.inf))
    cdf = np.concatenate([[0.0], np.cumsum(density * np.diff(grid))])
    assert cdf[-1] == pytest.approx(1 - p.sum(), abs=3e-3)
    distance = np.abs(np.interp(rest, grid, cdf / cdf[-1]) - np.arange(1, len(rest) + 1) / len(rest)).max()
    assert distance < 2.7 / math.sqrt(len(rest)) + 2e-4, distance


@pytest.mark.parametrize(
    "name", ["rectified gaussian", "truncated gaussian", "tilted uniform", "gamma", "beta", "max of two", "log-normal"]
)
def test_a_reparameterised_draw_carries_the_gradient(name: str) -> None:
    found = law(name)
    assert not found.discrete
    node = emitted(found)
    torch.manual_seed(3)
    e = torch.full((400_000,), 0.6, dtype=torch.float64, requires_grad=True)
    x = node.sample(e)
    (gradient,) = torch.autograd.grad(x.sum(), e)
    with mp.workdps(30):
        wanted = float(mpmath.diff(lambda t: value(found.expectation, e=t), mp.mpf("0.6")))
    assert abs(gradient.mean().item() - wanted) < 5 * gradient.std().item() / math.sqrt(len(e)) + 1e-6
    assert abs(x.mean().item() - float(array(found.expectation, e=np.float64(0.6)))) < 5 * x.std().item() / math.sqrt(len(e))


@pytest.mark.parametrize("name", ALL)
def test_emitted_draws_and_moments_agree_with_the_formulas(name: str) -> None:
    found = law(name)
    node = emitted(found)
    e = torch.tensor([-2.3, -0.4, 0.7, 2.1], dtype=torch.float64)
    for method, formula in ((node.expectation, found.expectation), (node.variance, found.variance)):
        wanted = torch.as_tensor(np.array(array(formula, e=e.numpy())))
        assert torch.allclose(method(e), wanted, rtol=1e-10, atol=1e-13), (method(e), wanted)
    torch.manual_seed(5)
    wide = e[:, None].expand(4, many(found, 60_000) // 4).contiguous()
    x = node.sample(wide)
    assert x.shape == wide.shape and x.isfinite().all()
    error = (x.mean(1) - method_value(found, e)).abs()
    # what is rare may not have been drawn at all
    spread = torch.maximum(x.std(1), torch.as_tensor(np.array(array(found.variance, e=e.numpy()))).sqrt())
    assert (error <= 6 * spread / math.sqrt(x.shape[1]) + 1e-9).all()


STATES = [
    "binary",
    "probit",
    "poisson",
    "binomial",
    "negative binomial",
    "spin with measure",
    "conway",
    "discrete gaussian",
    "gumbel threshold",
]


@pytest.mark.parametrize("name", STATES)
def test_the_mode_is_the_most_probable_state(name: str) -> None:
    found = law(name)
    node, e = emitted(found), torch.linspace(-3.1, 3.7, 23, dtype=torch.float64)
    drawn = draw_feature(found, np.repeat(e.numpy(), 4000), np.random.default_rng(3))
    states = torch.as_tensor(np.unique(drawn))
    everywhere = node.log_prob(states[:, None].expand(-1, len(e)).contiguous(), e.expand(len(states), -1).contiguous())
    assert torch.equal(node.log_prob(node.mode(e), e), everywhere.max(0).values)


def method_value(found: Derivation, e: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(np.array(array(found.expectation, e=e.numpy())))


@pytest.mark.parametrize("name", ALL)
def test_latex_of_steps_is_latex(name: str) -> None:
    for step in law(name).steps:
        assert step.latex and step.latex.isascii(), step
        plain = re.sub(r"\\(text|operatorname|mathbb|mathcal)\{[^{}]*\}", "", step.latex)
        assert plain.count("{") == plain.count("}") and plain.count(r"\left") == plain.count(r"\right"), step
        # no word outside a command, and no blank that LaTeX would not break at
        assert not re.search(r"(?<![A-Za-z\\])[A-Za-z]{3,}", re.sub(r"\\[A-Za-z]+(\{cases\})?", " ", plain)) and "~" not in plain, step


def test_python_face() -> None:
    import cgc

    found = cgc.derive({"kind": "noise", "base": "laplace", "value": "max(0, y)"})
    assert isinstance(found, Derived) and "Laplace" in found.text() and found.data()["density"]
    assert found.expectation([0.0]) == pytest.approx([0.5]) and found.sample([0.0, 1.0], 5).shape == (5, 2)
    assert found.log_likelihood(0.0, 0.0) == pytest.approx(math.log(0.5))
    inverse = cgc.derive(activation="softplus(e)")
    assert inverse.family["base"] == "logistic"
    with pytest.raises(TypeError):
        cgc.derive()
    labels = cgc.derive("{kind: categorical, labels: 3}")
    assert isinstance(labels.law.sampling, Labels) and labels.sample([[0.0, 9.0, 0.0]], 4).tolist() == [[1.0]] * 4


def test_every_kind_has_an_example_here_or_is_a_form() -> None:
    kinds = {read_single(text).kind for text in ALL.values()}
    assert set(registry()) - kinds <= {"categorical"}
