"""What a statement says is exactly zero in the emitted model's Jacobian, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from packages import emit

from cgc.graph.predicate import evaluate

SPEC = """cgc: 1
name: structured
components:
  x: {role: input, nodes: SHAPE, family: {kind: gaussian, std: 1}}
  y: {role: output, nodes: SHAPE, family: {kind: gaussian, std: 1}, parents: {x: dense}}
independence:
  - y[CHILD] ⟂ x[PARENT] | parents  where CONDITION
"""


@pytest.mark.parametrize(
    ("shape", "child", "parent", "condition"),
    [
        ([12], "i", "j", "j > i"),
        ([12], "i", "j", "i // 4 != j // 4"),
        ([12], "i", "j", "abs(i - j) > 1 or i == 3"),
        ([6], "i", "j", "j != i"),
        ([3, 4], "r,s", "u,v", "abs(r - u) > 1 or abs(s - v) > 1"),
        ([2, 3], "c,i", "d,j", "min(i, j) == 0 and c != d"),
    ],
)
def test_dense_edges(tmp_path: Path, shape: list[int], child: str, parent: str, condition: str) -> None:
    text = SPEC.replace("SHAPE", str(shape)).replace("CHILD", child).replace("PARENT", parent).replace("CONDITION", condition)
    package = emit(tmp_path, text)
    model = package.model()
    x = torch.zeros(1, *shape, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x)[0], x).reshape(*shape, *shape)
    names = [*child.split(","), *parent.split(",")]
    grid = torch.meshgrid(*(torch.arange(n) for n in (*shape, *shape)), indexing="ij")
    removed = eval_condition(condition, dict(zip(names, grid, strict=True)))
    assert torch.equal(jacobian == 0, removed)
    assert 0 < removed.sum() < removed.numel()


def eval_condition(condition: str, grid: dict[str, torch.Tensor]) -> torch.Tensor:
    """The condition by Python's own rules, node by node."""
    names = list(grid)
    flat = [value.flatten().tolist() for value in grid.values()]
    code = compile(condition, "condition", "eval")
    truths = [bool(eval(code, {"abs": abs, "min": min}, dict(zip(names, values, strict=True)))) for values in zip(*flat, strict=True)]
    return torch.tensor(truths).reshape(next(iter(grid.values())).shape)


def test_labels_are_coupled_node_by_node(tmp_path: Path) -> None:
    """With several energies per node, and several features, the mask is that of the nodes."""
    text = """cgc: 1
name: labelled
components:
  x: {role: input, nodes: 4, family: {kind: categorical, labels: 3}}
  y: {role: output, nodes: 4, family: {kind: categorical, labels: 2}, parents: {x: dense}}
independence:
  - y[i] ⟂ x[j] | parents  where j != i
"""
    model = emit(tmp_path, text).model()
    x = torch.zeros(1, 4, dtype=torch.int64)
    base = model(x)[0]
    for node in range(4):
        changed = x.clone()
        changed[0, node] = 2
        moved = (model(changed)[0] != base).any(0)
        assert moved.tolist() == [other == node for other in range(4)]


def test_a_masked_weight_learns_nothing_where_it_is_cut(tmp_path: Path) -> None:
    text = SPEC.replace("SHAPE", "5").replace("CHILD", "i").replace("PARENT", "j").replace("CONDITION", "j > i")
    package = emit(tmp_path, text)
    model = package.model().train()
    model.loss(torch.ones(3, 5, dtype=torch.float64), torch.zeros(3, 5, dtype=torch.float64)).backward()
    product = package.compiled.program.layer("y").contributions[0].product
    assert product.kind == "masked" and product.mask is not None
    kept = evaluate(product.mask, {"i": torch.arange(5)[:, None].numpy(), "j": torch.arange(5)[None, :].numpy()})
    assert torch.equal(model.y.x.weight.grad != 0, torch.from_numpy(kept))
