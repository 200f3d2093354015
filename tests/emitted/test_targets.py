"""Outputs that are scored against an input, and what ``train.py`` measures: each number against a count by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hand_made import component, make_spec
from packages import SPECS, emit
from test_data_sets import script, spec
from torch import Tensor

from cgc.emit.training import training_context
from cgc.spec.model import Component, Data, Optimizer, Train

MANY = """cgc: 1
name: many
families: {bit: {kind: binary, values: [0, 1]}, linear: {kind: gaussian, std: 0.5}}
time: {steps: 5}
components:
  x: {role: input, nodes: [2, 3], family: bit}
  w: {role: input, nodes: 1, family: {kind: categorical, labels: 7}}
  h: {nodes: 4, family: bit, parents: {x: {kind: dense, lag: 1}, w: {kind: dense, lag: 1}}}
  y: {role: output, target: x, nodes: [2, 3], family: bit, parents: {h: dense}}
  v: {role: output, target: w, nodes: 1, family: {kind: categorical, labels: 7}, parents: {h: dense}}
  u: {role: output, nodes: 2, family: linear, parents: {h: dense}}
"""


def test_the_next_step_of_the_inputs(tmp_path: Path) -> None:
    """One output of each kind: the likelihood is that of inputs at the same step, which the energies have not seen."""
    model = emit(tmp_path, MANY).model()
    draw = torch.Generator().manual_seed(1)
    x = torch.randint(2, (3, 4, 2, 3), generator=draw).double()
    w, u = torch.randint(7, (3, 4), generator=draw), torch.rand(3, 4, 2, generator=draw, dtype=torch.float64)
    lengths = torch.tensor([4, 1, 3])
    e = model(x, w, lengths=lengths)
    bits = (x * e.y - torch.nn.functional.softplus(e.y)).flatten(2).sum(2)
    labels = torch.log_softmax(e.v, 2).gather(2, w[..., None])[..., 0]
    values = torch.distributions.Normal(e.u, 0.5).log_prob(u).sum(2)
    valid = torch.arange(4) < lengths[:, None]
    wanted = ((bits + labels + values) * valid).sum(1)
    torch.testing.assert_close(model.log_prob(x, w, u, lengths), wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model.loss(x, w, u, lengths), -wanted.mean(), rtol=1e-12, atol=1e-12)
    # values of a step enter its score, not its energies
    other = x.clone()
    other[0, 3] = 1 - other[0, 3]
    torch.testing.assert_close(model(other, w).y, model(x, w).y, rtol=0, atol=0)
    assert model.log_prob(other, w, u)[0] != model.log_prob(x, w, u)[0]


def test_causal_is_a_distribution(tmp_path: Path) -> None:
    """Each pixel given those before it: the probabilities of all images add up to 1."""
    model = emit(tmp_path, SPECS / "causal.yaml", {"pixels": 7}, (("train", "null"),)).model()
    images = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 7)
    log_p = model.log_prob(images)
    torch.testing.assert_close(log_p.exp().sum(), torch.ones((), dtype=torch.float64), rtol=1e-10, atol=0)
    assert log_p.std() > 0.1


@pytest.mark.parametrize("family", ["real", "labels"])
def test_targets_of_every_family_are_checked(tmp_path: Path, family: str) -> None:
    kinds = {"real": "{kind: gaussian, std: 1}", "labels": "{kind: categorical, labels: 3}"}
    text = f"""cgc: 1
name: small
components:
  x: {{role: input, nodes: 2, family: {kinds[family]}}}
  h: {{nodes: 4, family: {{kind: binary, values: [-1, 1]}}, parents: {{x: dense}}}}
  y: {{role: output, target: x, nodes: 2, family: {kinds[family]}, parents: {{h: dense}}}}
"""
    model = emit(tmp_path, text).model()
    x = torch.tensor([[0, 2], [1, 1]]) if family == "labels" else torch.tensor([[0.5, -2], [1, 1]], dtype=torch.float64)
    e = model(x)
    wanted = torch.log_softmax(e, 1).gather(1, x[:, None])[:, 0] if family == "labels" else torch.distributions.Normal(e, 1).log_prob(x)
    torch.testing.assert_close(model.log_prob(x), wanted.sum(1), rtol=1e-12, atol=1e-12)


# what is measured


class Answers:
    """A model whose answers are a fixed table: what is asked for with the first number of an example."""

    training = True

    def __init__(self, answers: Tensor) -> None:
        self.answers = answers

    def eval(self) -> None:
        pass

    def loss(self, x: Tensor, *_: Tensor) -> Tensor:
        return x.flatten(1)[:, 0].double().mean()

    def decode(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.answers[x.flatten(1)[:, 0].long()]

    expectation = decode


def measured(output: Component, answers: Tensor, y: Tensor, lengths: Tensor | None = None, steps: int | None = None) -> dict[str, float]:
    data = Data("npz")
    given = component("x", "input", (1,), "real")
    module = script(make_spec(train=Train(data, Optimizer("adam", 1.0), 1, 8), input=given, output=output, steps=steps))
    x = torch.arange(len(y)).float().reshape(-1, *([1] * (1 + (steps is not None))))
    found: dict[str, float] = module.evaluate(Answers(answers), (x, y, *([] if lengths is None else [lengths])), 3)
    assert found.pop("loss") == pytest.approx((len(y) - 1) / 2)
    return found


def test_accuracy_and_error_of_all_kinds() -> None:
    draw = torch.Generator().manual_seed(3)
    once, again = torch.randint(3, (2, 7), generator=draw)
    assert measured(component("y", "output", (1,), "labels"), once, again) == {
        "accuracy": pytest.approx((once == again).double().mean().item())
    }
    nodes, others = torch.rand(2, 7, 2, 3, generator=draw)
    error = (nodes - others).square().mean().item()
    assert measured(component("y", "output", (2, 3), "real"), nodes, others) == {"mean_squared_error": pytest.approx(error)}
    signs, more = torch.randint(2, (2, 7, 5), generator=draw).float()
    assert measured(component("y", "output", (5,), "spin"), signs, more) == {
        "accuracy": pytest.approx((signs == more).float().mean().item())
    }
    lengths = torch.tensor([1, 4, 2, 3, 4, 1, 1])
    valid = torch.arange(4) < lengths[:, None]
    tags, tags_ = torch.randint(3, (2, 7, 4), generator=draw)
    wanted = (tags == tags_)[valid].double().mean().item()
    assert measured(component("y", "output", (1,), "nine"), tags, tags_, lengths, 4) == {"accuracy": pytest.approx(wanted)}
    paths, paths_ = torch.rand(2, 7, 4, 2, generator=draw)
    wanted = (paths - paths_).square()[valid].mean().item()
    assert measured(component("y", "output", (2,), "real"), paths, paths_, lengths, 4) == {"mean_squared_error": pytest.approx(wanted)}
    last = measured(component("y", "output", (2,), "real", at="last"), nodes[:, 0, :2], others[:, 0, :2], lengths, 4)
    assert last == {"mean_squared_error": pytest.approx((nodes - others)[:, 0, :2].square().mean().item())}


def test_several_outputs_have_their_loss_alone() -> None:
    made = make_spec(
        train=Train(Data("digits"), Optimizer("adam", 1.0), 1, 8), more=(component("z", "output", (64,), "pixel", target="x"),)
    )
    context = training_context(made)
    assert (context.metric, context.names) == ("loss", ("x", "y"))


def test_generated_data_need_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    module = script(spec(Data("adding", sequences=8), component("x", "input", (2,), "real"), component("y", "output", (1,), "real"), 6))
    with pytest.raises(SystemExit):
        module.main(["--data-dir", "nowhere"])
    assert "unrecognized arguments: --data-dir nowhere" in capsys.readouterr().err
