"""Dropout nodes in models: drawn by kernels together with the product, or by torch; the same distribution, and the same expectations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from made import imported

sys.path.insert(0, str(Path(__file__).parents[1] / "emitted"))
from packages import Package, emit

SPEC = """
cgc: 1
name: NAME
TIME
components:
  x: {role: input, nodes: 2000, family: {kind: gaussian, std: 1}}
  y: {role: output, nodes: 2000, family: {kind: gaussian, std: 1}, bias: false, parents: {x: {kind: identity, gate: GATE}}, LAST}
  z: {role: output, nodes: 1, family: {kind: gaussian, std: 1}, parents: {x: {kind: dense, gate: {kind: bernoulli, keep_prob: 0.9}}}}
inference: {eval: {method: METHOD}}
"""
GATES = {"bernoulli": ("{kind: bernoulli, keep_prob: 0.3}", 0.3, 0.21**0.5), "gaussian": ("{kind: gaussian, std: 0.4}", 1.0, 0.4)}


def package(folder: Path, gate: str, **changes: str) -> Package:
    text = SPEC.replace("TIME", "").replace(", LAST", "")
    for key, to in ({"GATE": gate, "METHOD": "feed_forward", "NAME": f"gated_{len(list(folder.iterdir()))}"} | changes).items():
        text = text.replace(key, to)
    return emit(folder, text)


def with_kernels(made: Package) -> Any:
    kernels = imported(made.folder / "kernels", f"kernels_of_{made.folder.name}")
    assert kernels.library() is not None
    return kernels


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("on", [True, False])
def test_a_gate_and_its_gradient_are_one_draw(tmp_path: Path, kind: str, on: bool) -> None:
    gate, mean, std = GATES[kind]
    made = package(tmp_path, gate)
    made.module.kernels = with_kernels(made) if on else None  # type: ignore[attr-defined]
    model = made.model(dtype=torch.float32).train()
    x = torch.full((50, 2000), 2.0, requires_grad=True)
    y = model(x).y
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(2 * slope, y.detach())
    count = y.numel() ** 0.5
    assert abs(float(slope.mean()) - mean) < 5 * std / count and abs(float(slope.std()) / std - 1) < 10 / count
    assert not torch.equal(model(x).y, y), "drawn anew"
    torch.manual_seed(3)
    first = model(x).y
    torch.manual_seed(3)
    assert torch.equal(model(x).y, first)
    # in evaluation it is its mean
    torch.testing.assert_close(model.eval()(x).y, mean * x)


def test_only_what_is_drawn_at_once_has_kernels(tmp_path: Path) -> None:
    gate, _, _ = GATES["bernoulli"]
    known = with_kernels(package(tmp_path, gate)).GATES
    assert known == {("bernoulli", 0.3): "bernoulli_0_3", ("bernoulli", 0.9): "bernoulli_0_9"}
    # values that may be moments are products of the model's own
    other = package(tmp_path, gate, METHOD="moments")
    assert not (other.folder / "kernels").exists() or not hasattr(with_kernels(other), "GATES")
    assert "how.behind" not in (other.folder / "model.py").read_text()


def test_other_dtypes_and_what_is_compiled(tmp_path: Path) -> None:
    made = package(tmp_path, GATES["bernoulli"][0])
    kernels = made.module.kernels = with_kernels(made)  # type: ignore[attr-defined]
    assert kernels.gated("bernoulli", 0.3, torch.ones(3, dtype=torch.float64)) is None
    assert kernels.gated("bernoulli", 0.4, torch.ones(3)) is None
    half = kernels.gated("bernoulli", 0.3, torch.ones(3000, dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16 and set(half.tolist()) == {0.0, 1.0}
    assert made.model(dtype=torch.float64).train()(torch.ones(2, 2000, dtype=torch.float64)).y.dtype == torch.float64
    model = made.model(dtype=torch.float32).train()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x = torch.ones(4, 2000, requires_grad=True)
    y = compiled(x).y
    y.sum().backward()
    assert x.grad is not None and abs(float(y.detach().mean()) - 0.3) < 0.05 and not torch.equal(compiled(x).y, y)
