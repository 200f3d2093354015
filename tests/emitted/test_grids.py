"""Structure on grids, from random statements to numbers: an emitted model's Jacobian has the zeros and the ties that the text says.

The oracle reads the statements by Python's own rules, pair by pair; it knows nothing of windows, groups or convolutions.
"""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from packages import Package, emit
from test_random_specs import agrees_with_the_interpreter, answers, moments_agree_with_the_interpreter, names_and_shapes, trains

from cgc.source.diagnostics import SpecError

LETTERS = {1: ("i", "j"), 2: ("cr", "du"), 3: ("crs", "duv")}


def document(child: list[int], parent: list[int], where: list[str], by: str | None, bias: str | None) -> str:
    """A linear network of one edge under these statements."""
    left, right = (",".join(LETTERS[len(shape)][side][: len(shape)]) for side, shape in enumerate((child, parent)))
    spec = {
        "cgc": 1,
        "name": "grid",
        "families": {"linear": {"kind": "gaussian", "std": 1}},
        "components": {
            "x": {"role": "input", "nodes": parent, "family": "linear"},
            "y": {"role": "output", "nodes": child, "family": "linear", "parents": {"x": "dense"}},
        },
        "independence": [f"y[{left}] ⟂ x[{right}] | parents  where {condition}" for condition in where],
        "sharing": [f"y[{left}] <- x[{right}]  by {by}"] * (by is not None) + [f"y[{left}]  by {bias}"] * (bias is not None),
    }
    return yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)


def jacobian(package: Package, child: list[int], parent: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The matrix of the edge, and the biases, node by node."""
    model = package.model()
    zero = torch.zeros(1, *parent, dtype=torch.float64)
    matrix = torch.autograd.functional.jacobian(lambda x: model(x)[0], zero)
    return matrix.reshape(math.prod(child), math.prod(parent)).numpy(), model(zero)[0].detach().reshape(-1).numpy()


def check(package: Package, child: list[int], parent: list[int], where: list[str], by: str | None, bias: str | None) -> None:
    """Zeros where a condition holds, equal numbers where the keys are equal, and nothing else equal."""
    matrix, shift = jacobian(package, child, parent)
    names = [LETTERS[len(shape)][side] for side, shape in enumerate((child, parent))]
    conditions = [compile(c, "condition", "eval") for c in where]
    keys = None if by is None else compile(f"({by},)", "keys", "eval")
    weights: dict[object, float] = {}
    for (row, i), (column, j) in product(enumerate(product(*map(range, child))), enumerate(product(*map(range, parent)))):
        values = dict(zip(names[0], i, strict=True)) | dict(zip(names[1], j, strict=True)) | {"abs": abs, "max": max, "min": min}
        if any(eval(c, {}, values) for c in conditions):
            assert matrix[row, column] == 0, (i, j)
            continue
        key = (i, j) if keys is None else eval(keys, {}, values)
        assert weights.setdefault(key, matrix[row, column]) == matrix[row, column] != 0, (i, j)
    assert len(set(weights.values())) == len(weights), "what is not shared is free"
    shifts: dict[object, float] = {}
    of_bias = None if bias is None else compile(f"({bias},)", "keys", "eval")
    for row, i in enumerate(product(*map(range, child))):
        key = i if of_bias is None else eval(of_bias, {}, dict(zip(names[0], i, strict=True)))
        assert shifts.setdefault(key, shift[row]) == shift[row]
    assert len(set(shifts.values())) == len(shifts)


# child, parent, conditions that remove, keys of weights, keys of biases, what is emitted
KNOWN: list[tuple[list[int], list[int], list[str], str | None, str | None, str]] = [
    ([6], [6], ["j != i"], None, None, "Elementwise(6)"),
    ([6], [6], ["i // 2 != j // 2"], None, None, "Grouped(3, 6, 6)"),
    ([4], [8], ["i // 2 != j // 4"], None, None, "Grouped(2, 8, 4)"),
    ([2, 3], [2, 4], ["c != d"], None, None, "Grouped(2, 8, 6)"),
    ([9], [9], ["abs(i - j) > 1"], None, None, "Local((11,), 1, 1, (3,), (1,), (1,))"),
    ([3, 8], [2, 8], ["abs(r - u) > 2"], None, None, "Local((12,), 2, 3, (5,), (1,), (1,))"),
    ([4, 8], [4, 8], ["abs(r - u) > 1", "c // 2 != d // 2"], None, None, "Local((10,), 4, 4, (3,), (1,), (1,), groups=2)"),
    ([2, 5, 6], [2, 5, 6], ["abs(r - u) > 1 or abs(s - v) > 1"], None, None, "Local((7, 8), 2, 2, (3, 3), (1, 1), (1, 1))"),
    ([7], [7], ["j > i"], None, None, "Masked(mask)"),
    ([8], [8], ["abs(i - j) > 1"], "j - i", "0", "Conv1d((8,), 1, 1, 3, padding=1)"),
    ([8], [8], ["i - j > 2 or j > i"], "i - j", None, "Conv1d((10,), 1, 1, 3)"),
    ([5], [8], [], "i - j", None, "Conv1d((8,), 1, 1, 12, padding=4)"),
    ([3, 4], [2, 8], ["abs(u - 2*r) > 1"], "c, d, u - 2*r", "c", "Conv1d((8,), 2, 3, 3, stride=2, padding=1)"),
    ([3, 9], [2, 9], ["abs(u - r) > 2", "(r - u) % 2 != 0"], "c, d, r - u", "c", "Conv1d((9,), 2, 3, 3, padding=2, dilation=2)"),
    ([4, 6], [4, 6], ["abs(u - r) > 1 or c != d"], "c, d, u - r", "c", "Conv1d((6,), 4, 4, 3, padding=1, groups=4)"),
    ([4, 6], [2, 6], ["abs(u - r) > 1 or c // 2 != d"], "c, u - r", "c", "Conv1d((6,), 2, 4, 3, padding=1, groups=2)"),
    ([3, 4, 4], [2, 4, 4], ["max(abs(r - u), abs(s - v)) > 1"], "c, d, u - r, v - s", "c", "Conv2d((4, 4), 2, 3, 3, padding=1)"),
    ([2, 3, 2], [1, 5, 4], ["u < r or u > r + 2", "v < 2*s or v > 2*s + 1"], "c, u - r, v - 2*s", "c",
     "Conv2d((5, 4), 1, 2, (3, 2), stride=(1, 2))"),
    ([4, 5], [4, 5], ["abs(c - d) > 1 or abs(r - u) > 1"], "d - c, u - r", "0", "Conv2d((4, 5), 1, 1, 3, padding=1)"),
    ([3, 4], [2, 4], ["abs(u - r) > 1"], "d, u - r", "r", "Tied(key, mask)"),
    ([6], [6], [], "(i + j) % 6", "i % 2", "Tied(key, mask)"),
    ([3, 4], [2, 4], ["abs(u - r) + abs(c - d) > 2"], "c, d, u - r", "c", "Tied(key, mask)"),
    ([6], [6], ["j != i"], "i // 2", "i // 2", "Tied(key, mask)"),
    ([4], [4], ["j < i"], "i, j", None, "Masked(mask)"),
    ([4], [3], [], "i, j", "i", "nn.Linear(3, 4, bias=False)"),
]  # fmt: skip


@pytest.mark.parametrize(("child", "parent", "where", "by", "bias", "made"), KNOWN)
def test_known_structures(
    tmp_path: Path, child: list[int], parent: list[int], where: list[str], by: str | None, bias: str | None, made: str
) -> None:
    package = emit(tmp_path, document(child, parent, where, by, bias))
    assert f"self.x = {made}\n" in (package.folder / "model.py").read_text(encoding="utf-8")
    check(package, child, parent, where, by, bias)
    names_and_shapes(package)
    agrees_with_the_interpreter(package)


@st.composite
def edges(draw: st.DrawFn) -> tuple[list[int], list[int], list[str], str | None, str | None]:
    """Statements on small grids: windows, groups, and much that is neither."""
    axes = draw(st.integers(1, 3))
    own, other = LETTERS[axes]
    most = {1: 9, 2: 5, 3: 3}[axes]
    child, parent = ([draw(st.integers(1, most)) for _ in range(axes)] for _ in range(2))
    number = st.integers(0, 3)
    where = []
    keys = []
    for a, b in zip(own, other, strict=True):
        k, s, m = draw(number), draw(st.sampled_from((1, 1, 1, 2, 3))), draw(st.integers(1, 3))
        delta = f"{b} - {s}*{a}" if s > 1 else f"{b} - {a}"
        condition = draw(st.sampled_from([
            None, f"abs({delta}) > {k}", f"{delta} > {k}", f"{delta} < -{k} or {delta} > {m}", f"({delta}) % {m} != 0",
            f"{a} // {m} != {b} // {m}", f"{b} != {a}", f"{b} > {a}", f"{a} == {k}", f"{b} * {a} > {k}",
            f"min({a}, {b}) > {k}", f"abs({delta}) > {k} and {b} != {m}",
        ]))  # fmt: skip
        if condition is not None:
            where.append(condition)
        keys += draw(st.sampled_from([[a, b], [delta], [delta], [f"-({delta})", f"{a} // {m}"], [a], [f"{b} % {m}"], []]))
    if len(where) > 1 and draw(st.booleans()):
        where = [" or ".join(where)]
    if axes > 1 and draw(st.sampled_from((False, False, True))):
        where.append(f"abs({own[0]} - {other[0]}) + abs({own[1]} - {other[1]}) > {draw(number)}")
    by = ", ".join(keys) if keys and draw(st.booleans()) else None
    bias = draw(st.sampled_from([None, own[0], ", ".join(own[:-1]) or "0", f"{own[-1]} // 2", "0"]))
    return child, parent, where, by, bias


@pytest.mark.parametrize("examples", [pytest.param(60, id="some"), pytest.param(1500, id="many", marks=pytest.mark.slow)])
def test_random_statements(tmp_path: Path, examples: int) -> None:
    emitted: list[str] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(edges())
    def sound(edge: tuple[list[int], list[int], list[str], str | None, str | None]) -> None:
        child, parent, where, by, bias = edge
        text = document(child, parent, where, by, bias)
        note(text)
        names = [LETTERS[len(shape)][side] for side, shape in enumerate((child, parent))]
        left = 0
        for i, j in product(product(*map(range, child)), product(*map(range, parent))):
            values = dict(zip(names[0], i, strict=True)) | dict(zip(names[1], j, strict=True)) | {"abs": abs, "max": max, "min": min}
            left += not any(eval(c, {}, values) for c in where)
        if left == 0:
            return
        package = emit(tmp_path, text)
        check(package, child, parent, where, by, bias)
        line = next(row for row in (package.folder / "model.py").read_text(encoding="utf-8").splitlines() if "self.x = " in row)
        emitted.append(line.split("=")[1].split("(")[0].strip())

    sound()
    assert {"Conv1d", "Masked", "Tied", "nn.Linear"} <= set(emitted)


NETWORK = """cgc: 1
name: network
families:
  rect: {kind: rectified_gaussian, std: tanh(e), emit: relu}
  linear: {kind: gaussian, std: 0}
components:
  x: {role: input, nodes: [2, 6, 6], family: {kind: gaussian, std: 1}}
  a: {nodes: [4, 6, 6], family: rect, NORMALIZE parents: {x: {kind: conv2d, kernel_size: [3, 5], padding: [1, 2], GATE}}}
  b:
    {nodes: [4, 3, 3], family: rect, stack: {times: 2, input: b0}, NORMALIZE
     parents: {b0: {kind: conv2d, kernel_size: 3, padding: 1}, s: identity}}
  b0: {nodes: [6, 3, 3], family: rect, parents: {a: {kind: conv2d, kernel_size: 3, stride: 2, padding: 1, groups: 2}, x: dense}}
  s: {nodes: [4, 3, 3], family: linear, bias: false, parents: {a: {kind: avg_pool, kernel_size: 2}}}
  q: {nodes: [4, 2, 2], family: linear, parents: {b: {kind: avg_pool, kernel_size: 3, stride: 2, padding: 1}}}
  p: {nodes: 4, family: linear, bias: false, parents: {b: {kind: avg_pool, kernel_size: all}}}
  y:
    role: output
    nodes: [2, 2]
    family: {kind: categorical, labels: 3, reference_label: 1}
    parents: {q: {kind: conv2d, kernel_size: 1}, p: dense}
inference: {train: {method: METHOD}, eval: {method: EVAL}}
"""


@pytest.mark.parametrize("normalize", ["", "normalize: batch,"])
@pytest.mark.parametrize(
    ("method", "evaluation"), [("feed_forward", "feed_forward"), ("pcff, sample_rate: 0.5", "moments"), ("sample", "sample")]
)
def test_networks_of_convolutions(tmp_path: Path, normalize: str, method: str, evaluation: str) -> None:
    gate = "gate: {kind: bernoulli, keep_prob: 0.8}" if normalize else "weight: 0.25"
    text = NETWORK.replace("NORMALIZE", normalize).replace("GATE", gate).replace("METHOD", method).replace("EVAL", evaluation)
    package = emit(tmp_path, text)
    names_and_shapes(package)
    agrees_with_the_interpreter(package)
    if evaluation == "moments":
        moments_agree_with_the_interpreter(package)
    trains(package)
    answers(package)


TIMED = """cgc: 1
name: timed
time: {steps: 4}
components:
  x: {role: input, nodes: [1, 5], family: {kind: categorical, labels: 3}}
  h:
    nodes: [2, 5]
    family: {kind: binary, values: [-1, 1]}
    normalize: NORMALIZE
    parents: {x: {kind: conv1d, kernel_size: 3, padding: 1}, h: {kind: conv1d, kernel_size: 3, padding: 1, lag: 1}}
  g: {nodes: [2, 5], family: {kind: binary, values: [-1, 1]}, parents: {h: dense, g: {kind: dense, lag: 1}}}
  y:
    {role: output, at: last, nodes: 2, family: {kind: gaussian, std: 1},
     parents: {g: {kind: avg_pool, kernel_size: all}}}
independence:
  - g[c,r,t] ⟂ h[d,u,t] | parents  where abs(r - u) > 1
  - g[c,r,t] ⟂ g[d,u,t-1] | parents  where c != d
sharing:
  - g[c,r,t] <- h[d,u,t]  by c, d, u - r
  - g[c,r,t]  by c
"""


@pytest.mark.parametrize("normalize", ["batch", "{kind: batch, over: energy}"])
def test_windows_over_nodes_in_loops_over_time(tmp_path: Path, normalize: str) -> None:
    package = emit(tmp_path, TIMED.replace("NORMALIZE", normalize))
    text = (package.folder / "model.py").read_text(encoding="utf-8")
    assert "self.h = Conv1d((5,), 2, 2, 3, padding=1)" in text and "self.g = Grouped(2, 10, 10)" in text
    names_and_shapes(package)
    agrees_with_the_interpreter(package)
    trains(package)
    answers(package)


def test_labels_share_weights_in_convolutions_only(tmp_path: Path) -> None:
    spec = yaml.safe_load(document([4], [4], ["j > i"], "j", None))
    spec["components"]["y"]["family"] = {"kind": "categorical", "labels": 3}
    with pytest.raises(SpecError) as error:
        emit(tmp_path, yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))
    assert {d.code for d in error.value.diagnostics} == {"CG603"}


def test_a_fixed_weight_from_labels_is_no_mean(tmp_path: Path) -> None:
    spec = yaml.safe_load(document([1], [4], [], None, None))
    spec["components"]["x"]["family"] = {"kind": "categorical", "labels": 3}
    spec["components"]["y"]["parents"] = {"x": {"kind": "dense", "weight": 0.25}}
    package = emit(tmp_path, yaml.safe_dump(spec, sort_keys=False))
    names_and_shapes(package)
    agrees_with_the_interpreter(package)
