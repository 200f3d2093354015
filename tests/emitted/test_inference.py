"""How values are inferred: feed-forward, partially collapsed, sampled; and what passes a gradient."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from packages import Package, emit

from cgc.compiler import check

SPEC = """cgc: 1
name: net
families:
  spin: {kind: binary, values: [-1, 1]}
  soft: {kind: noise, base: logistic, scale: 1, value: 'max(0, y)'}
  word: {kind: categorical, labels: 3, reference_label: 0}
components:
  x: {role: input, nodes: 3, family: {kind: binary, values: [0, 1]}, clamp: soft}
  h: {nodes: 4, family: FAMILY, parents: {x: dense}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: 3}, parents: {h: dense}}
"""
MANY = 4000


@pytest.fixture(scope="module", params=["spin", "soft", "word"])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Package:
    return emit(tmp_path_factory.mktemp("net"), SPEC.replace("FAMILY", request.param))


def given(rows: int) -> torch.Tensor:
    return torch.tensor([[0.2, 0.9, 0.5]], dtype=torch.float64).expand(rows, 3)


def features(model: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the hidden component shows to its children, and its expectation."""
    how = model.how[model.training]
    values = model.h(x[None], how)
    return values[0], model.h(x[None], type(how)())[0]


def test_rate_0_is_feed_forward_bit_for_bit(package: Package) -> None:
    model = package.model()
    plain = model(given(5))
    assert torch.equal(model.inference("pcff", 0.0)(given(5)), plain)
    assert torch.equal(model.train()(given(5)), plain)


def test_the_share_of_sampled_nodes_is_the_rate(package: Package) -> None:
    """A binomial test at five standard deviations; all features of a node are drawn or none."""
    model = package.model().inference("pcff", 0.4)
    torch.manual_seed(0)
    values, q = features(model, given(MANY))
    drawn = values != q
    if drawn.shape[-1] == 12:
        by_node = drawn.unflatten(-1, (3, 4))
        assert torch.equal(by_node.all(-2), by_node.any(-2)), "one coin per node"
        assert torch.equal(values.unflatten(-1, (3, 4)).sum(-2).round(decimals=12), torch.ones(MANY, 4, dtype=values.dtype))
        drawn = by_node.any(-2)
    count, total = int(drawn.sum()), drawn.numel()
    assert abs(count - 0.4 * total) < 5 * math.sqrt(total * 0.4 * 0.6)


def test_rate_1_draws_from_the_law(package: Package) -> None:
    """Expectation within five standard errors, nothing collapsed, states of the law only."""
    model = package.model().inference("pcff", 1.0)
    torch.manual_seed(1)
    values, q = features(model, given(MANY))
    error = values.std(0) / math.sqrt(MANY)
    assert ((values.mean(0) - q[0]).abs() < 5 * error + 1e-12).all()
    assert (values.std(0) > 0.05).all()
    if values.shape[-1] == 12:
        assert set(values.unique().tolist()) == {0.0, 1.0}
    elif hasattr(package.module, "Spin"):
        assert set(values.unique().tolist()) == {-1.0, 1.0}
    else:
        # the law itself: max(0, e + logistic noise) is 0 with probability sigmoid(-e)
        e = torch.nn.functional.linear(given(1), model.h.x.weight, model.h.bias)[0]
        share, wanted = (values == 0).double().mean(0), torch.sigmoid(-e)
        assert ((share - wanted).abs() < 5 * (wanted * (1 - wanted) / MANY).sqrt()).all()


def gradients(package: Package, method: str, gradient: str, rate: float = 1.0) -> tuple[Any, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Per hidden feature and draw: the value, the expectation, and d value / d bias of its own energies."""
    model = package.model().inference(method, rate, gradient)
    torch.manual_seed(2)
    bias = model.h.bias.detach()
    rows = bias.expand(500, *bias.shape).clone().requires_grad_()
    e = given(1) @ model.h.x.weight.detach().T + rows
    law = next(getattr(package.module, name) for name in ("Spin", "Soft", "Word") if hasattr(package.module, name))
    if law.__name__ == "Word":
        e = torch.nn.functional.pad(e.unflatten(-1, (2, 4)), (0, 0, 1, 0))
        law = law(-2)
    else:
        law = law()
    q = law.expectation(e)
    values = model.how[True](law, e)
    (of_values,) = torch.autograd.grad(values.square().sum() / 2, rows, retain_graph=True, allow_unused=True)
    return law, values.detach(), q.detach(), of_values if of_values is not None else torch.zeros_like(rows)


def test_sampled_discrete_nodes_block_the_gradient_and_collapsed_ones_keep_it(package: Package) -> None:
    law, values, q, gradient = gradients(package, "pcff", "block", 0.5)
    if getattr(law, "axis", None) == -2:
        collapsed = (values == q).all(-2)
        gradient = gradient.unflatten(-1, (2, 4)).abs().sum(-2)
    else:
        collapsed = values == q
    assert 0.3 < collapsed.double().mean() < 0.7
    assert (gradient[collapsed] != 0).all()
    assert ((gradient[~collapsed] == 0).all()) == law.discrete


def test_straight_through_passes_the_derivative_of_the_expectation(package: Package) -> None:
    law, values, _, gradient = gradients(package, "sample", "straight_through")
    if not law.discrete:
        pytest.skip("nothing to straighten")
    model = package.model()
    rows = model.h.bias.detach().expand(500, -1).clone().requires_grad_()
    e = given(1) @ model.h.x.weight.detach().T + rows
    if getattr(law, "axis", None) == -2:
        e = torch.nn.functional.pad(e.unflatten(-1, (2, 4)), (0, 0, 1, 0))
    (wanted,) = torch.autograd.grad((law.expectation(e) * values).sum(), rows)
    torch.testing.assert_close(gradient, wanted, rtol=1e-12, atol=1e-12)


def test_reparameterised_draws_carry_their_own_derivative(tmp_path: Path) -> None:
    """X = max(0, e + n): dX/de is 1 where X > 0, else 0."""
    package = emit(tmp_path, SPEC.replace("FAMILY", "soft"))
    _, values, _, gradient = gradients(package, "sample", "block")
    torch.testing.assert_close(gradient, values, rtol=1e-12, atol=0)
    assert (values > 0).any() and (values == 0).any()


def test_only_components_with_a_rate_are_drawn(tmp_path: Path) -> None:
    text = SPEC.replace("FAMILY", "spin").replace("  y:", "  g: {nodes: 4, family: spin, parents: {h: dense}}\n  y:")
    text = text.replace("{h: dense}}\n  y", "{h: dense}}\n  y").replace("parents: {h: dense}}\n", "parents: {g: dense}}\n")
    text = text.replace("g: {nodes: 4, family: spin, parents: {g: dense}}", "g: {nodes: 4, family: spin, parents: {h: dense}}")
    text += "inference: {train: {method: pcff, sample_rate: {g: 1}, gradient: straight_through}}\n"
    model = emit(tmp_path, text).model().train()
    x = given(50)
    collapsed = model.h(x[None], model.how[True].at("h"))
    assert torch.equal(collapsed, model.h(x[None], model.how[False]))
    assert set(model.g(collapsed, model.how[True].at("g")).unique().tolist()) == {-1.0, 1.0}


def test_softly_clamped_inputs_are_drawn_where_everything_is(package: Package) -> None:
    Inference = package.module.Inference
    x = given(MANY)
    assert torch.equal(Inference(1.0).soft_clamp(x, 0, 1), x)
    torch.manual_seed(3)
    drawn = Inference(1.0, sampled=True).soft_clamp(x, 0, 1)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert ((drawn.mean(0) - x[0]).abs() < 5 * (x[0] * (1 - x[0]) / MANY).sqrt()).all()
    model = package.model()
    assert model.inference("sample").how[False].sampled and not model.inference("pcff", 1.0).how[False].sampled


def test_a_network_that_cannot_learn_is_warned_about(tmp_path: Path) -> None:
    place = tmp_path / "spec.yaml"
    rate_1 = "inference: {train: {method: pcff, sample_rate: 1}}\n"
    place.write_text(SPEC.replace("FAMILY", "spin") + rate_1)
    assert [d.code for d in check(place) if d.severity == "warning"] == ["CG520"]
    place.write_text(SPEC.replace("FAMILY", "soft") + rate_1)
    assert not check(place)


GATED = """cgc: 1
name: gated
time: {steps: 5}
components:
  x: {role: input, nodes: 3, family: {kind: gaussian, std: 1}}
  y: {role: output, nodes: 3, family: {kind: gaussian, std: 1}, bias: false, parents: {x: {kind: identity, gate: GATE}}}
"""


@pytest.mark.parametrize(
    ("gate", "mean", "std"),
    [("{kind: bernoulli, keep_prob: 0.75}", 0.75, math.sqrt(0.75 * 0.25)), ("{kind: gaussian, std: 0.5}", 1.0, 0.5)],
)
@pytest.mark.parametrize("shared", [False, True])
def test_gates(tmp_path: Path, gate: str, mean: float, std: float, shared: bool) -> None:
    """y = gate * x: drawn in training, its mean in evaluation, one for all steps where it is shared."""
    model = emit(tmp_path, GATED.replace("GATE", gate.replace("}", ", share: time}") if shared else gate)).model()
    ones = torch.ones(MANY, 5, 3, dtype=torch.float64)
    assert torch.equal(model(ones), mean * ones)
    torch.manual_seed(4)
    drawn = model.train()(ones)
    assert ((drawn[:, 0] != drawn[:, 1]).any()) != shared
    independent = drawn[:, 0].flatten() if shared else drawn.flatten()
    error = std / math.sqrt(independent.numel())
    assert abs(independent.mean() - mean) < 5 * error
    assert abs(independent.std() - std) < 5 * error
    assert (drawn[..., 0] != drawn[..., 1]).any(), "one node per node of the source"
    assert not torch.equal(model.eval().inference("sample", samples=1)(ones), mean * ones), "a sample draws gates as well"


def test_a_shared_gate_of_a_lagged_edge_is_one_draw(tmp_path: Path) -> None:
    text = """cgc: 1
name: memory
time: {steps: 6}
components:
  x: {role: input, nodes: 2, family: {kind: gaussian, std: 1}}
  h: {nodes: 2, family: {kind: gaussian, std: 0}, bias: false,
      parents: {x: identity, h: {kind: identity, lag: 1, gate: {kind: gaussian, std: 0.5, share: time}}}}
  y: {role: output, nodes: 2, family: {kind: gaussian, std: 1}, bias: false, parents: {h: identity}}
"""
    model = emit(tmp_path, text).model().train()
    x = torch.zeros(3, 6, 2, dtype=torch.float64)
    x[:, 0] = 1
    h = model(x)
    ratios = h[:, 1:] / h[:, :-1]
    torch.testing.assert_close(ratios, ratios[:, :1].expand_as(ratios))
    assert len(ratios[:, 0].unique()) == 6
