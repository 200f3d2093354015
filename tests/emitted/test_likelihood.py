"""What models say about probabilities, against enumeration and integration."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch
from packages import emit

SMALL = """cgc: 1
name: small
families: {bit: {kind: binary, values: [0, 1]}, spin: {kind: binary, values: [-1, 1]}}
components:
  x: {role: input, nodes: 2, family: bit, clamp: soft}
  h: {nodes: 3, family: spin, parents: {x: dense}}
  y: {role: output, nodes: 2, family: spin, parents: {h: dense}}
inference: {eval: {method: sample, samples: 20000}}
"""


def test_samples_and_likelihood_match_enumeration(tmp_path: Path) -> None:
    """P(y | x) = sum over the states of x and h of P(x) P(h | x) P(y | h), within five standard errors."""
    model = emit(tmp_path, SMALL).model()
    weight, bias = model.h.x.weight.detach(), model.h.bias.detach()
    above, shift = model.y.h.weight.detach(), model.y.bias.detach()
    x = torch.tensor([0.3, 0.8], dtype=torch.float64)
    spins = [torch.tensor(s, dtype=torch.float64) for s in itertools.product((-1, 1), repeat=3)]
    bits = [torch.tensor(s, dtype=torch.float64) for s in itertools.product((0, 1), repeat=2)]
    outcomes = [torch.tensor(s, dtype=torch.float64) for s in itertools.product((-1, 1), repeat=2)]
    exact = torch.zeros(4, dtype=torch.float64)
    for b in bits:
        p_x = torch.where(b == 1, x, 1 - x).prod()
        for h in spins:
            p_h = torch.sigmoid(2 * h * (weight @ b + bias)).prod()
            for k, y in enumerate(outcomes):
                exact[k] += p_x * p_h * torch.sigmoid(2 * y * (above @ h + shift)).prod()
    assert abs(exact.sum() - 1) < 1e-12
    torch.manual_seed(0)
    n = 20000
    drawn = model.sample(x[None], n=n)[:, 0]
    for k, y in enumerate(outcomes):
        share = (drawn == y).all(-1).double().mean()
        assert abs(share - exact[k]) < 5 * math.sqrt(exact[k] * (1 - exact[k]) / n)
        # the likelihood is the mean over draws, whose spread is at most that of a coin
        log_p = model.log_prob(x[None], y[None])
        assert log_p.shape == (1,)
        assert abs(log_p.exp() - exact[k]) < 5 * math.sqrt(exact[k] * (1 - exact[k]) / n)
    model.inference("feed_forward")
    total = sum(model.log_prob(x[None], y[None]).exp() for y in outcomes)
    assert abs(total - 1) < 1e-12


OUTPUTS = {
    "categorical": "{kind: categorical, labels: 3, reference_label: 1}",
    "binary": "{kind: binary, values: [-1, 2]}",
    "states": "{kind: exponential_family, support: [-1, 0, 2], base_measure: 1 + x**2}",
    "gaussian": "{kind: gaussian, std: 0.5}",
    "rectified": "{kind: rectified_gaussian, std: 1}",
    "logistic": "{kind: noise, base: logistic, scale: 0.5, value: y}",
}
SINGLE = """cgc: 1
name: single
components:
  x: {role: input, nodes: 2, family: {kind: gaussian, std: 1}}
  y: {role: output, nodes: 1, family: FAMILY, parents: {x: dense}}
"""


@pytest.mark.parametrize("kind", list(OUTPUTS))
def test_likelihoods_are_normalised_and_expectations_are_theirs(tmp_path: Path, kind: str) -> None:
    model = emit(tmp_path, SINGLE.replace("FAMILY", OUTPUTS[kind])).model()
    x = torch.tensor([[0.7, -0.4]], dtype=torch.float64)
    expectation, decoded = model.expectation(x)[0].detach(), model.decode(x)[0]
    if kind == "categorical":
        p = model.log_prob(x.expand(3, 2), torch.arange(3)).exp()
        assert abs(p.sum() - 1) < 1e-12
        torch.testing.assert_close(expectation, p)
        assert decoded == p.argmax()
        return
    atoms = {"binary": [-1.0, 2.0], "states": [-1.0, 0.0, 2.0], "rectified": [0.0]}.get(kind, [])
    grid = torch.linspace(-20, 20, 400_001, dtype=torch.float64)
    step = 1e-4
    states = torch.tensor(atoms, dtype=torch.float64)
    p = model.log_prob(x.expand(len(states), 2), states[:, None]).exp() if atoms else states
    mass, mean = p.sum(), (p * states).sum()
    if kind in ("gaussian", "rectified", "logistic"):
        grid = grid[grid > 0] if kind == "rectified" else grid
        density = model.log_prob(x.expand(len(grid), 2), grid[:, None]).exp()
        mass, mean = mass + density.sum() * step, mean + (density * grid).sum() * step
    assert abs(mass - 1) < 1e-4
    assert abs(mean - expectation) < 1e-3
    if kind in ("binary", "states"):
        assert decoded == states[p.argmax()]
    else:
        assert abs(decoded - expectation) < 1e-12


SEQUENCE = """cgc: 1
name: sequence
time: {steps: 4}
components:
  x: {role: input, nodes: 2, family: {kind: gaussian, std: 1}}
  h: {nodes: 3, family: {kind: binary, values: [-1, 1]}, parents: {x: dense, h: {kind: dense, lag: 1}}}
  tag: {role: output, nodes: [2, 2], family: {kind: categorical, labels: 3}, parents: {h: dense}}
  end: {role: output, at: last, nodes: 2, family: {kind: gaussian, std: 0.5}, parents: {h: dense}}
"""


def test_sequences_and_several_outputs_add_up(tmp_path: Path) -> None:
    model = emit(tmp_path, SEQUENCE).model()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 4, 2, dtype=torch.float64, generator=generator)
    tag = torch.randint(3, (3, 4, 2, 2), generator=generator)
    end = torch.randn(3, 2, dtype=torch.float64, generator=generator)
    for lengths in (None, torch.tensor([4, 1, 3])):
        e = model(x, lengths=lengths)
        assert e.tag.shape == (3, 4, 3, 2, 2) and e.end.shape == (3, 2)
        by_tag = torch.log_softmax(e.tag, 2).gather(2, tag[:, :, None]).sum((2, 3, 4))
        by_end = torch.distributions.Normal(e.end, 0.5).log_prob(end).sum(-1)
        for row, length in enumerate([4, 4, 4] if lengths is None else lengths.tolist()):
            wanted = by_tag[row, :length].sum() + by_end[row]
            torch.testing.assert_close(model.log_prob(x, tag, end, lengths=lengths)[row], wanted, rtol=1e-12, atol=1e-12)
    padded = tag.clone()
    padded[1, 1:] = -100
    lengths = torch.tensor([4, 1, 4])
    torch.testing.assert_close(model.log_prob(x, padded, end, lengths=lengths), model.log_prob(x, tag, end, lengths=lengths))
    torch.testing.assert_close(model.loss(x, tag, end), -model.log_prob(x, tag, end).mean())


def test_the_likelihood_under_sample_is_the_mean_over_draws(tmp_path: Path) -> None:
    text = SEQUENCE + "inference: {eval: {method: sample, samples: 8}}\n"
    model = emit(tmp_path, text).model()
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 4, 2, dtype=torch.float64, generator=generator)
    tag, end = torch.randint(3, (2, 4, 2, 2), generator=generator), torch.zeros(2, 2, dtype=torch.float64)
    torch.manual_seed(3)
    got = model.log_prob(x, tag, end)
    torch.manual_seed(3)
    e, _ = model.energies(x)
    assert e.tag.shape == (8, 2, 4, 3, 2, 2)
    each = torch.log_softmax(e.tag, 3).gather(3, tag[None, :, :, None].expand(8, -1, -1, -1, -1, -1)).flatten(2).sum(2)
    each = each + torch.distributions.Normal(e.end, 0.5).log_prob(end).sum(-1)
    torch.testing.assert_close(got, each.exp().mean(0).log(), rtol=1e-12, atol=1e-12)
    assert each.std(0).min() > 0


@pytest.mark.parametrize("kind", ["binary", "states"])
def test_targets_that_are_no_states_are_refused(tmp_path: Path, kind: str) -> None:
    model = emit(tmp_path, SINGLE.replace("FAMILY", OUTPUTS[kind])).model()
    with pytest.raises(ValueError, match="must"):
        model.log_prob(torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[0.5]], dtype=torch.float64))


@pytest.mark.parametrize("rows", [1, 300])
@pytest.mark.parametrize("bad", [0.5, 2.0, -1.0, math.nan, math.inf, -math.inf, 1 + 2.0**-52, 1 - 2.0**-53, 5e-324])
def test_losses_of_zeros_and_ones_refuse_what_is_neither(tmp_path: Path, rows: int, bad: float) -> None:
    """Of few targets as of many, among good ones, whatever their shape and type."""
    model = emit(tmp_path, SINGLE.replace("FAMILY", "{kind: binary, values: [0, 1]}")).model()
    x, y = torch.zeros(rows, 2, dtype=torch.float64), torch.ones(rows, 1, dtype=torch.float64)
    for good in (y, y[:, 0], y.bool(), y.long(), y.float()):
        assert torch.equal(model.loss(x, good), model.loss(x, y))
    y[-1] = bad
    with pytest.raises(ValueError, match="states must be one of 0, 1"):
        model.loss(x, y)


@pytest.mark.parametrize("label", [-1, 3])
def test_targets_that_are_no_labels_are_refused(tmp_path: Path, label: int) -> None:
    """By torch itself, as in its own losses."""
    model = emit(tmp_path, SINGLE.replace("FAMILY", OUTPUTS["categorical"])).model()
    with pytest.raises((RuntimeError, IndexError), match="out of bounds"):
        model.loss(torch.zeros(1, 2, dtype=torch.float64), torch.tensor([label]))


@pytest.mark.parametrize(
    ("family", "good", "bad"),
    [
        ("{kind: binary, values: [-1, 1]}, clamp: soft", [-1.0, 0.3], [1.01, -1.5, math.nan]),
        ("{kind: binary, values: [-1, 1]}", [-1.0, 1.0], [0.0, math.nan]),
        ("{kind: binary, values: [0, 1]}", [0.0, 1.0], [0.5, -1.0, math.nan, math.inf]),
        ("{kind: exponential_family, support: [0, 1, 3]}", [0.0, 3.0], [2.0]),
        ("{kind: categorical, labels: 3}", [0, 2], [3, -1]),
    ],
)
def test_inputs_that_are_no_values_are_refused(tmp_path: Path, family: str, good: list[float], bad: list[float]) -> None:
    text = SINGLE.replace("nodes: 2, family: {kind: gaussian, std: 1}", f"nodes: 2, family: {family}").replace("FAMILY", OUTPUTS["binary"])
    model = emit(tmp_path, text).model()
    for value in good:
        assert model(
            torch.tensor([[value, value]]) if isinstance(value, int) else torch.full((1, 2), value, dtype=torch.float64)
        ).isfinite()
    for value in bad:
        with pytest.raises(ValueError, match="must"):
            model(torch.tensor([[0, value]]) if isinstance(value, int) else torch.full((1, 2), value, dtype=torch.float64))
