"""Outputs with lines, against their joint distribution over all states: chains and listed states exactly, mean field by what it is."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from packages import Package, arrays, emit
from torch import Tensor

from cgc.program.dump import dump
from cgc.program.ir import Layer
from cgc.program.joint import Joint, joint
from cgc.program.parameters import parameters

FAMILIES = {
    "spin": "{kind: binary, values: [-1, 1]}",
    "bit": "{kind: binary, values: [0, 1]}",
    "two_five": "{kind: binary, values: [2, 5]}",
    "tags": "{kind: categorical, labels: 3}",
    "tags_first": "{kind: categorical, labels: 3, reference_label: 0}",
    "tags_mid": "{kind: categorical, labels: 4, reference_label: 1}",
    "states": "{kind: exponential_family, support: [-1, 0, 2], base_measure: 1 + x**2}",
    "squares": "{kind: exponential_family, support: [0, 1, 3], statistic: x**2/4}",
}


def spec(family: str, nodes: str, lines: str, steps: int | None = None, more: str = "") -> str:
    """An output with lines below a Gaussian input."""
    time = f"time: {{steps: {steps}}}\n" if steps else ""
    return f"""cgc: 1
name: lined
{time}components:
  x: {{role: input, nodes: 3, family: {{kind: gaussian, std: 1}}}}
  y: {{role: output, nodes: {nodes}, family: {FAMILIES[family]}, parents: {{x: dense}}, lines: {lines}}}
{more}"""


EXACT = {
    # name: family, nodes, lines, steps
    "tagger": ("tags", "1", "{kind: chain, along: time, ends: true}", 4),
    "tagger_reference": ("tags_mid", "1", "chain", 4),
    "spins_in_time": ("spin", "1", "{kind: chain, along: time, ends: true}", 6),
    "states_in_time": ("states", "1", "chain", 4),
    "tags_side_by_side": ("tags_first", "2", "{kind: chain, along: time, ends: true}", 3),
    "values_side_by_side": ("two_five", "[1, 2]", "{kind: chain, along: time, ends: true}", 4),
    "tags_in_a_row": ("tags", "5", "{kind: chain, along: 0, ends: true}", None),
    "bits_in_a_row": ("bit", "7", "{kind: chain, ends: true}", None),
    "squares_in_a_row": ("squares", "4", "{kind: chain, ends: true}", None),
    "rows": ("tags", "[2, 3]", "{kind: chain, along: 1, ends: true}", None),
    "columns": ("tags_first", "[3, 2]", "{kind: chain, along: 0}", None),
    "middle": ("states", "[2, 3, 1]", "{kind: chain, along: 1, ends: true}", None),
    "rows_at_every_step": ("two_five", "[2, 3]", "{kind: chain, along: 1}", 3),
    "tags_at_every_step": ("tags", "3", "{kind: chain, along: 0, ends: true}", 3),
    "grid": ("spin", "[2, 3]", "grid", None),
    "grid_of_tags": ("tags_first", "[2, 2]", "grid", None),
    "cube": ("bit", "[2, 2, 2]", "{kind: grid, along: [0, 1, 2]}", None),
    "dense": ("squares", "4", "dense", None),
    "dense_rows": ("tags", "[2, 3]", "{kind: dense, along: 1}", None),
    "list": ("states", "[2, 2]", "{kind: list, pairs: [[[1, 0], [0, 1]], [[0, 0], [1, 1]]]}", None),
    "list_of_tags": ("tags", "4", "{kind: list, pairs: [[2, 0], [1, 3], [3, 2]]}", 2),
    "states_on_a_grid": ("states", "[3, 2]", "grid", 2),
}
BATCH = 3


@dataclass(frozen=True)
class Case:
    """An emitted package, a model of it, its input, and the lengths to try."""

    package: Package
    model: Any
    x: Tensor
    lengths: tuple[Tensor | None, ...]

    @property
    def layer(self) -> Layer:
        return self.package.compiled.program.layer("y")

    def joints(self, lengths: Tensor | None) -> list[tuple[tuple[int, ...], slice, Joint]]:
        """Every joint distribution: the example (and step), which steps are its own, and what it is."""
        layer, parameters = self.layer, arrays(self.model)
        e = self.model(self.x, **self.more(lengths)).detach().numpy()
        assert layer.lines is not None
        found = []
        for row in range(BATCH):
            length = 0 if self.package.compiled.program.steps is None else e.shape[1] if lengths is None else int(lengths[row])
            if layer.lines.written.time:
                found.append(((row,), slice(length), joint(layer, parameters, e[row, :length])))
            elif length:
                found += [((row, t), slice(None), joint(layer, parameters, e[row, t])) for t in range(length)]
            else:
                found.append(((row,), slice(None), joint(layer, parameters, e[row])))
        return found

    def more(self, lengths: Tensor | None) -> dict[str, Tensor]:
        return {} if lengths is None else {"lengths": lengths}

    def values(self, states: Any) -> Tensor:
        """States by their numbers as the model has them."""
        lines = self.layer.lines
        assert lines is not None
        return torch.as_tensor(states) if lines.labels else torch.tensor(lines.states, dtype=torch.float64)[torch.as_tensor(states)]

    def shaped(self, joint: Joint, states: Any) -> Tensor:
        """States of one joint distribution, (nodes,), shaped as the part of an output that they are."""
        lines, layer = self.layer.lines, self.layer
        assert lines is not None
        nodes = () if lines.labels and layer.size == 1 else layer.nodes
        steps = (joint.states.shape[1] // layer.size,) if lines.written.time else ()
        return self.values(states).reshape(*steps, *nodes)


@cache
def package_of(text: str, folder: Path) -> Package:
    return emit(folder, text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crf")


def case(folder: Path, name: str, cases: dict[str, tuple[str, str, str, int | None]] = EXACT) -> Case:
    family, nodes, lines, steps = cases[name]
    package = package_of(spec(family, nodes, lines, steps), folder / name)
    model = package.model(seed=1)
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(*((BATCH, steps, 3) if steps else (BATCH, 3)), dtype=torch.float64, generator=generator)
    return Case(package, model, x, (None,) if steps is None else (None, torch.tensor([steps, 1, steps - 1])))


def target(c: Case, lengths: Tensor | None, junk: float = -7) -> Tensor:
    """Random states; what stands behind the valid steps is junk."""
    e = c.model(c.x, **c.more(lengths))
    lines, timed = c.layer.lines, c.package.compiled.program.steps is not None
    assert lines is not None
    shape = e.shape
    if lines.labels:
        shape = torch.Size([n for k, n in enumerate(shape) if k != 1 + timed])
    y = c.values(torch.randint(lines.count, shape, generator=torch.Generator().manual_seed(3)))
    if lengths is not None:
        for row, length in enumerate(lengths):
            y[row, int(length) :] = junk
    return y


@pytest.mark.parametrize("name", list(EXACT))
def test_exact_answers_are_those_of_the_joint_distribution(folder: Path, name: str) -> None:
    agrees_with_its_joint_distribution(case(folder, name))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_exact_answers_of_random_specs(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    nodes = rng.choice(("1", "2", "3", "4", "[2, 2]", "[1, 3]", "[3, 1]", "[1, 2, 2]"))
    steps, shape = rng.choice((None, 2, 3)), yaml.safe_load(f"[{nodes}]")
    axes = shape[0] if isinstance(shape[0], list) else shape
    kinds = [f"{{kind: chain, along: {k}, ends: {rng.choice(('true', 'false'))}}}" for k, n in enumerate(axes) if n > 1]
    if max(axes) > 1:
        kinds += ["dense", *(["grid"] if len(axes) > 1 and max(axes[-2:]) > 1 else [])]
    if steps and math.prod(axes) < 3:
        kinds += [f"{{kind: chain, along: time, ends: {rng.choice(('true', 'false'))}}}"] * 2
    if not kinds:
        nodes, kinds = "3", ["chain"]
        kinds = ["{kind: chain, along: 0}"]
    family = rng.choice(list(FAMILIES))
    agrees_with_its_joint_distribution(case(folder, f"random{seed}", {f"random{seed}": (family, nodes, rng.choice(kinds), steps)}))


def agrees_with_its_joint_distribution(c: Case) -> None:
    """Likelihood, expectation and most probable states, to 1e-10."""
    lines = c.layer.lines
    assert lines is not None and lines.method in ("chain", "listed")
    for lengths in c.lengths:
        more = c.more(lengths)
        y, expected, decoded = target(c, lengths), c.model.expectation(c.x, **more), c.model.decode(c.x, **more)
        wanted = torch.zeros(BATCH, dtype=torch.float64)
        for place, steps, found in c.joints(lengths):
            own = y[place][steps] if lines.written.time else y[place]
            matches = [k for k, s in enumerate(found.states) if torch.equal(c.shaped(found, s), own)]
            assert len(matches) == 1
            wanted[place[0]] += float(np.log(found.probabilities[matches[0]]))
            p = torch.from_numpy(found.marginals(lines.count))
            value = expected[place][steps] if lines.written.time else expected[place]
            if lines.labels:
                # (nodes, labels), step by step along time
                p = p.reshape(-1, c.layer.size, lines.count).transpose(-1, -2).reshape(value.shape)
            else:
                p = (p @ torch.tensor(lines.features, dtype=torch.float64)).reshape(value.shape)
            torch.testing.assert_close(value.detach(), p, rtol=0, atol=1e-10)
            best = decoded[place][steps] if lines.written.time else decoded[place]
            assert torch.equal(best.to(own.dtype), c.shaped(found, found.states[found.log_weights.argmax()]))
        got = c.model.log_prob(c.x, y, **more)
        torch.testing.assert_close(got.detach(), wanted, rtol=0, atol=1e-10)
        torch.testing.assert_close(c.model.loss(c.x, y, **more), -got.mean())


@pytest.mark.parametrize("name", list(EXACT))
def test_the_gradient_of_the_log_partition_is_the_expectation(folder: Path, name: str) -> None:
    """And log Z itself is that of the joint distribution."""
    c = case(folder, name)
    lines = c.layer.lines
    assert lines is not None
    for lengths in c.lengths:
        e = c.model(c.x, **c.more(lengths)).detach().requires_grad_()
        own = {"lengths": lengths} if lines.written.time else {}
        log_z = c.model.y.lines.log_partition(e, **own)
        for place, _, found in c.joints(lengths):
            assert abs(float(log_z.detach()[place]) - found.log_partition) < 1e-10
        (gradient,) = torch.autograd.grad(log_z.sum(), e)
        expectation = c.model.y.lines.expectation(e, **own)
        if lines.written.time and lengths is not None:
            valid = torch.arange(e.shape[1]) < lengths[:, None]
            assert (gradient[~valid] == 0).all()
            gradient, expectation = gradient[valid], expectation[valid]
        torch.testing.assert_close(gradient, expectation.detach(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["tagger", "spins_in_time", "values_side_by_side", "rows", "grid", "dense_rows", "list"])
def test_draws_have_the_joint_distribution(folder: Path, name: str) -> None:
    """Every joint state within five standard errors of its probability."""
    c = case(folder, name)
    lengths = c.lengths[-1]
    torch.manual_seed(0)
    n = 5000
    drawn = c.model.sample(c.x, n=n, **c.more(lengths))
    assert drawn.shape[:2] == (n, BATCH)
    for place, steps, found in c.joints(lengths):
        own = drawn[(slice(None), *place)]
        own = own[:, steps] if c.layer.lines and c.layer.lines.written.time else own
        wanted = torch.stack([c.shaped(found, s) for s in found.states]).flatten(1)
        same = (own.flatten(1)[:, None].to(wanted.dtype) == wanted[None]).all(-1)
        assert same.any(-1).all()
        share, p = same.double().mean(0), torch.from_numpy(found.probabilities)
        assert ((share - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 8 / n).all()  # rare states are Poisson


def test_a_chain_by_hand(folder: Path) -> None:
    """The oracle itself: a loop over all label sequences, as the definition reads."""
    c = case(folder, "tagger")
    lines, e = c.model.y.lines, c.model(c.x)[0].tolist()
    v, a, z = (p.tolist() for p in (lines.weight, lines.start, lines.end))
    total = sum(
        np.exp(a[y[0]] + z[y[3]] + sum(e[t][y[t]] for t in range(4)) + sum(v[y[t]][y[t + 1]] for t in range(3)))
        for y in itertools.product(range(3), repeat=4)
    )
    assert abs(float(lines.log_partition(c.model(c.x)).detach()[0]) - np.log(total)) < 1e-10
    assert abs(c.joints(None)[0][2].log_partition - np.log(total)) < 1e-10


@pytest.mark.parametrize("name", ["tagger", "spins_in_time", "squares_in_a_row", "grid_of_tags"])
def test_gradients_of_the_likelihood(folder: Path, name: str) -> None:
    c = case(folder, name)
    module, lengths = c.model.y.lines, c.lengths[-1]
    e = c.model(c.x, **c.more(lengths)).detach()[None].requires_grad_()
    y = target(c, None)
    own = (lengths,) if c.layer.lines and c.layer.lines.written.time else ()
    parameters = {key: value for key, value in module.named_parameters()}

    def score(e: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(_Scored(module), {f"inner.{k}": v for k, v in zip(parameters, values, strict=True)}, (y, e, *own))

    assert torch.autograd.gradcheck(score, (e, *parameters.values()))


class _Scored(torch.nn.Module):
    """The likelihood as a forward pass."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *arguments: Tensor) -> Tensor:
        value: Tensor = self.inner.log_prob(*arguments)
        return value


MEAN_FIELD = {
    "grid": ("spin", "[3, 2]", "{kind: grid, inference: {kind: mean_field, steps: 80, damping: 0.4}}", None),
    "grid_of_tags": ("tags", "[2, 2]", "{kind: grid, inference: {kind: mean_field, steps: 80, damping: 0.4}}", 2),
    "time": ("tags_first", "1", "{kind: chain, along: time, ends: true, inference: {kind: mean_field, steps: 80, damping: 0.4}}", 4),
    "values_in_time": ("states", "2", "{kind: chain, along: time, ends: true, inference: {kind: mean_field, steps: 80, damping: 0.4}}", 3),
    "row": ("states", "[2, 3]", "{kind: chain, along: 1, ends: true, inference: {kind: mean_field, steps: 80, damping: 0.4}}", None),
    "column_of_tags": ("tags", "[3, 2]", "{kind: chain, along: 0, ends: true, inference: {kind: mean_field, steps: 80, damping: 0.4}}", 2),
    "dense": ("bit", "[2, 3]", "{kind: dense, inference: {kind: mean_field, steps: 80, damping: 0.4}}", None),
    "dense_of_tags": ("tags", "[2, 3]", "{kind: dense, along: 0, inference: {kind: mean_field, steps: 80, damping: 0.4}}", None),
    "list": ("squares", "4", "{kind: list, pairs: [[2, 0], [1, 3]], inference: {kind: mean_field, steps: 80, damping: 0.4}}", None),
    "list_of_tags": (
        "tags_mid", "[2, 2]", "{kind: list, pairs: [[[1, 0], [0, 1]], [[0, 0], [0, 1]]], inference: {kind: mean_field, steps: 80}}", 2,
    ),
}  # fmt: skip


def scaled(model: Any, factor: float) -> None:
    """Weaker lines."""
    with torch.no_grad():
        for parameter in model.y.lines.parameters():
            parameter *= factor


def conditionals(c: Case, found: Joint, q: Any) -> Any:
    """P(node | the others at q), (nodes, states): exp of the expected log weight, by the definition over all joint states."""
    each = np.stack([q[k][found.states[:, k]] for k in range(len(q))])
    terms = found.log_weights * each.prod(0)
    result = np.stack([np.bincount(found.states[:, k], terms / each[k], q.shape[1]) for k in range(len(q))])
    result = np.exp(result - result.max(1, keepdims=True))
    return result / result.sum(1, keepdims=True)


@pytest.mark.parametrize("name", list(MEAN_FIELD))
def test_mean_field_is_a_fixed_point_of_its_definition(folder: Path, name: str) -> None:
    """q(node) ∝ exp E log weight under the other nodes' q; log_prob is log q; the bound on log Z is below it, and close."""
    c = case(folder, name, MEAN_FIELD)
    scaled(c.model, 0.3)
    lines = c.layer.lines
    assert lines is not None and lines.method == "mean_field"
    for lengths in c.lengths:
        more = c.more(lengths)
        y = target(c, lengths)
        expected, log_q = c.model.expectation(c.x, **more).detach(), torch.zeros(BATCH, dtype=torch.float64)
        decoded = c.model.decode(c.x, **more)
        for place, steps, found in c.joints(lengths):
            q = found.marginals(lines.count)
            for _ in range(80):
                q = 0.5 * q + 0.5 * conditionals(c, found, q)
            value = expected[place][steps] if lines.written.time else expected[place]
            if lines.labels:
                shown = torch.from_numpy(q).reshape(-1, c.layer.size, lines.count).transpose(-1, -2).reshape(value.shape)
            else:
                shown = torch.from_numpy(q @ np.array(lines.features)).reshape(value.shape)
            torch.testing.assert_close(value, shown, rtol=0, atol=1e-9)
            own = y[place][steps] if lines.written.time else y[place]
            state = next(s for s in found.states if torch.equal(c.shaped(found, s), own))
            log_q[place[0]] += sum(float(np.log(q[k, s])) for k, s in enumerate(state))
            best = decoded[place][steps] if lines.written.time else decoded[place]
            assert torch.equal(best.to(own.dtype), c.shaped(found, q.argmax(1)))
            weight = np.prod([q[k][found.states[:, k]] for k in range(len(q))], 0)
            bound = (weight * (found.log_weights - np.log(weight))).sum()
            assert found.log_partition - 0.25 < bound <= found.log_partition + 1e-12
            # what it costs to be approximate, at these weights
            assert np.abs(q - found.marginals(lines.count)).max() < 0.1
        torch.testing.assert_close(c.model.log_prob(c.x, y, **more).detach(), log_q, rtol=0, atol=1e-7)


def test_the_error_of_mean_field_grows_with_the_weights(folder: Path) -> None:
    """Of the second order: with weights halved, the error of the expectations falls to about a quarter or less."""
    errors = []
    for factor in (0.2, 0.1, 0.05):
        c = case(folder, "grid", MEAN_FIELD)
        scaled(c.model, factor)
        spins = np.array([-1.0, 1.0])
        exact = torch.stack([torch.from_numpy(found.marginals(2) @ spins).reshape(3, 2) for _, _, found in c.joints(None)])
        errors.append(float((c.model.expectation(c.x).detach() - exact).abs().max()))
    assert errors[2] > 1e-6 and errors[1] < errors[0] / 3 and errors[2] < errors[1] / 3, errors


def test_updates_are_parallel_and_damped(folder: Path) -> None:
    """Three updates, by hand: q <- 0.25 q + 0.75 tanh(e + sum of w q), from no neighbours at all."""
    text = spec("spin", "3", "{kind: chain, inference: {kind: mean_field, steps: 3, damping: 0.25}}")
    model = package_of(text, folder / "damped").model()
    x = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    e, w = model(x), model.y.lines.weight
    q = torch.zeros_like(e)
    for _ in range(3):
        around = w * torch.stack([q[:, 1], q[:, 0] + q[:, 2], q[:, 1]], 1)
        q = 0.25 * q + 0.75 * torch.tanh(e + around)
    around = w * torch.stack([q[:, 1], q[:, 0] + q[:, 2], q[:, 1]], 1)
    torch.testing.assert_close(model.expectation(x), torch.tanh(e + around), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["grid", "time", "dense_of_tags", "list_of_tags"])
def test_draws_under_mean_field_come_from_q(folder: Path, name: str) -> None:
    c = case(folder, name, MEAN_FIELD)
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = c.model.sample(c.x, n=1000)
    expected = c.model.expectation(c.x).detach()
    lines = c.layer.lines
    assert lines is not None
    if lines.labels:
        timed = c.package.compiled.program.steps is not None
        drawn = torch.nn.functional.one_hot(drawn, lines.count).movedim(-1, 2 + timed).double()
    assert (drawn.mean(0) - expected).abs().max() < 0.16


LEARN = {"tagger": ("tags", "1", "{kind: chain, ends: true}", 5), "listed": ("spin", "[2, 2]", "dense", None)}


@pytest.mark.parametrize("name", list(LEARN))
def test_training_takes_the_lines_in(folder: Path, name: str) -> None:
    """From start values: nodes that are alike, whatever the input says, are learned as lines, which no energy could say."""
    family, nodes, lines, steps = LEARN[name]
    package = package_of(spec(family, nodes, lines, steps), folder / f"learn_{name}")
    torch.manual_seed(0)
    model = package.module.Model().train()
    x = torch.zeros(64, *([steps] if steps else []), 3)
    shape = model(x).argmax(-1).shape if family == "tags" else model(x).shape
    same = torch.randint(3 if family == "tags" else 2, (64, *[1] * (len(shape) - 1)), generator=torch.Generator().manual_seed(1))
    y = same.expand(shape) if family == "tags" else (2.0 * same - 1).expand(shape)
    assert all((p == 0).all() for p in model.y.lines.parameters()), "lines start as if there were none"
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    losses = []
    for _ in range(60):
        loss = model.loss(x, y)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    weight = model.y.lines.weight
    assert (weight.diagonal().mean() > weight.mean() + 0.3) if family == "tags" else (weight > 0.1).all()
    assert losses[-1] < 0.5 * losses[0]


def test_mean_field_learns_that_neighbours_are_alike(folder: Path) -> None:
    """Images of one value, of which a fifth of the pixels are flipped: the loss falls, well below that of pixels on their own."""
    text = f"""cgc: 1
name: denoise
components:
  x: {{role: input, nodes: [1, 4, 4], family: {FAMILIES["spin"]}}}
  y:
    role: output
    nodes: [1, 4, 4]
    family: {FAMILIES["spin"]}
    parents: {{x: elementwise}}
    lines: {{kind: grid, along: [1, 2], inference: {{kind: mean_field, steps: 5}}}}
"""
    package = package_of(text, folder / "denoise")
    generator = torch.Generator().manual_seed(1)
    y = (2.0 * torch.randint(2, (128, 1, 1, 1), generator=generator) - 1).expand(128, 1, 4, 4)
    x = y * (1 - 2.0 * (torch.rand(y.shape, generator=generator) < 0.2))
    last = []
    for lined in (False, True):
        torch.manual_seed(0)
        model = package.module.Model().train()
        model.y.lines.weight.requires_grad_(lined)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.1)
        losses = []
        for _ in range(50):
            loss = model.loss(x, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        last.append(losses[-1])
        assert losses[-1] < losses[0]
    assert (model.y.lines.weight > 0.1).all() and last[1] < 0.6 * last[0], last


@pytest.mark.parametrize("family", ["tags", "spin"])
def test_padded_steps_change_nothing(folder: Path, family: str) -> None:
    """Neither answers nor gradients depend on what stands behind the valid steps; each sequence is as it is alone."""
    model = package_of(spec(family, "1", "{kind: chain, along: time, ends: true}", 5), folder / f"padded_{family}").model()
    generator = torch.Generator().manual_seed(4)
    x, lengths = torch.randn(3, 5, 3, dtype=torch.float64, generator=generator), torch.tensor([2, 5, 1])
    other = x.clone()
    for row, length in enumerate(lengths):
        other[row, int(length) :] = 9
    y = model.decode(x, lengths=lengths)
    results = []
    for given in (x, other):
        model.zero_grad()
        loss = model.loss(given, y, lengths=lengths)
        loss.backward()
        results.append((loss.detach(), [p.grad.clone() for p in model.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)
    for row, length in enumerate(lengths):
        alone = x[row : row + 1, : int(length)]
        torch.testing.assert_close(model.decode(alone)[0], y[row, : int(length)])
        together = model.log_prob(x, y, lengths=lengths)[row]
        torch.testing.assert_close(model.log_prob(alone, y[row : row + 1, : int(length)])[0], together, rtol=1e-12, atol=1e-12)
        expected = model.expectation(x, lengths=lengths)[row, : int(length)]
        torch.testing.assert_close(model.expectation(alone)[0], expected, rtol=1e-12, atol=1e-12)


def test_the_likelihood_under_sample_is_the_mean_over_draws(folder: Path) -> None:
    """With several outputs, one of them lined, above a hidden node that is drawn; energies stream as ever."""
    text = f"""cgc: 1
name: sampled
time: {{steps: 3}}
components:
  x: {{role: input, nodes: 2, family: {{kind: gaussian, std: 1}}}}
  h: {{nodes: 3, family: {FAMILIES["spin"]}, parents: {{x: dense, h: {{kind: dense, lag: 1}}}}}}
  y: {{role: output, nodes: 1, family: {FAMILIES["tags"]}, parents: {{h: dense}}, lines: {{kind: chain, ends: true}}}}
  z: {{role: output, nodes: [2, 2], family: {FAMILIES["spin"]}, parents: {{h: dense}}, lines: {{kind: grid, inference: mean_field}}}}
  w: {{role: output, at: last, nodes: 3, family: {FAMILIES["bit"]}, parents: {{h: dense}}, lines: dense}}
inference: {{eval: {{method: sample, samples: 6}}}}
"""
    model = package_of(text, folder / "sampled").model()
    generator = torch.Generator().manual_seed(5)
    x, lengths = torch.randn(2, 3, 2, dtype=torch.float64, generator=generator), torch.tensor([3, 2])
    torch.manual_seed(1)
    drawn = model.sample(x, lengths=lengths)
    assert [v.shape for v in drawn] == [(1, 2, 3), (1, 2, 3, 2, 2), (1, 2, 3)]
    y, z, w = (value[0] for value in drawn)
    torch.manual_seed(2)
    got = model.log_prob(x, y, z, w, lengths=lengths)
    torch.manual_seed(2)
    e, _ = model.energies(x, lengths=lengths)
    assert e.y.shape == (6, 2, 3, 3)
    by_step = torch.nn.functional.logsigmoid(2 * model.z.lines(e.z) * z).flatten(3).sum(3)
    by_step = by_step.where(torch.arange(3) < lengths[:, None], 0).sum(2)
    each = model.y.lines.log_prob(y, e.y, lengths) + by_step + model.w.lines.log_prob(w, e.w)
    torch.testing.assert_close(got, each.exp().mean(0).log(), rtol=1e-12, atol=1e-12)
    assert each.std(0).min() > 0 and [v.shape for v in model.decode(x)] == [(2, 3), (2, 3, 2, 2), (2, 3)]
    model.inference("feed_forward")
    first, state = model(x[:, :1], return_state=True)
    torch.testing.assert_close(torch.cat([first.y, model(x[:, 1:], state=state).y], 1), model(x).y)


@pytest.mark.parametrize("name", ["tagger_reference", "bits_in_a_row", "rows", "grid", "list"])
@pytest.mark.parametrize("cases", [EXACT, MEAN_FIELD], ids=["exact", "mean_field"])
def test_half_precision_and_one_graph(folder: Path, name: str, cases: dict[str, tuple[str, str, str, int | None]]) -> None:
    if name not in cases:
        name = {"tagger_reference": "time", "bits_in_a_row": "dense", "rows": "dense_of_tags"}[name]
    c = case(folder, name, cases)
    scaled(c.model, 0.3)
    model, x = c.model.float(), c.x.float()
    y = model.decode(x)
    exact = model.loss(x, y)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(x, y)
    loss.backward()
    assert abs(loss - exact) < 0.05 * exact + 0.05
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    if cases is EXACT:  # the many updates here take long to trace
        traced = torch.compile(model.log_prob, backend="eager", fullgraph=True)
        torch.testing.assert_close(traced(x, y), model.log_prob(x, y))


@pytest.mark.parametrize("cases", [EXACT, MEAN_FIELD], ids=["exact", "mean_field"])
def test_what_is_written(folder: Path, cases: dict[str, tuple[str, str, str, int | None]]) -> None:
    """The state dict is that of the program, the text formatted; only what is approximate says so."""
    written = []
    for name in cases:
        c = case(folder, name, cases)
        wanted = {p.key: p.shape for p in parameters(c.package.compiled.program)}
        assert {key: tuple(value.shape) for key, value in c.model.state_dict().items()} == wanted
        text = (c.package.folder / "model.py").read_text(encoding="utf-8")
        assert ("pproximate" in text) == (cases is MEAN_FIELD) and "Unary energies of y" in text
        assert ("class Chain" in text) == (c.layer.lines is not None and c.layer.lines.method == "chain")
        # laws with more states have lines of any length
        if cases is EXACT or cases[name][0] not in ("states", "squares"):
            written.append(c.package.folder / "model.py")
    for command in (["format", "--check", "--isolated", "--line-length", "120"], ["check", "--isolated", "--select", "E9,F,I,B,UP"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, *written], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_program_as_text(folder: Path) -> None:
    texts = [dump(case(folder, name).package.compiled.program) for name in ("tagger", "grid", "list")]
    assert "  lines chain along time, weight [3, 3], ends, chain\n" in texts[0]
    assert "  lines grid along axes [0, 1], weight [2], listed\n" in texts[1]
    assert "  lines list along 2 pairs, weight [2], listed\n" in texts[2]


def test_extreme_energies_stay_finite(folder: Path) -> None:
    """Nothing overflows in float32 where states are all but certain."""
    c = case(folder, "tagger")
    lines = c.model.float().y.lines
    e = 200 * torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(6))
    y = lines.mode(e)
    assert lines.log_prob(y, e).isfinite().all() and (lines.log_prob(y, e) > -1).all()
    assert lines.expectation(e).isfinite().all() and (lines.expectation(e).sum(-1) - 1).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["spins_in_time", "rows_at_every_step", "grid", "tagger"])
def test_what_is_no_state_is_refused(folder: Path, name: str) -> None:
    c = case(folder, name)
    y = target(c, None)
    y[0] = 7 if name == "tagger" else 0.5
    with pytest.raises((ValueError, RuntimeError, IndexError)):
        c.model.log_prob(c.x, y)
    assert c.model.log_prob(c.x, target(c, None)).isfinite().all()
