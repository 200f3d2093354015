"""Loops that several layers share: their steps as kernels, in C and in Triton, beside the same loops in torch and in float64."""

from __future__ import annotations

import copy
import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from made import words_of
from torch import Tensor

from cgc.compiler import compile, inspect
from cgc.kernels.interpret import evaluate
from cgc.kernels.plan import plan

HEAD = """cgc: 1
name: {name}
families:
  bit: {{kind: binary, values: [0, 1]}}
  spin: {{kind: binary, values: [-1, 1]}}
  rect: {{kind: rectified_gaussian, std: tanh(e), emit: relu}}
  noisy: {{kind: gaussian, std: 0.3}}
  steep: {{kind: rectified_gaussian, std: 1, emit: relu}}
  linear: {{kind: gaussian, std: 0}}
  three: {{kind: binomial, trials: 2}}
time: {{steps: 6}}
components:
  x: {{role: input, nodes: 3, family: linear}}
"""
TAIL = """  y: {role: output, nodes: 1, family: {kind: categorical, labels: 3}, parents: {h: dense}}
"""
DENSE = "{kind: dense, lag: 1}"
SPECS = {
    "peephole": f"""
  i: {{nodes: 5, family: bit, parents: {{x: dense, h: {DENSE}, c: {{kind: elementwise, lag: 1}}}}}}
  f: {{nodes: 5, family: bit, parents: {{x: dense, h: {DENSE}, c: {{kind: elementwise, lag: 1}}}}}}
  g: {{nodes: 5, family: spin, parents: {{x: dense, h: {DENSE}}}}}
  c: {{nodes: 5, family: linear, bias: false, parents: {{g: {{kind: identity, gate: {{component: i, open: 1}}}},
      c: {{kind: identity, lag: 1, gate: {{component: f, open: 1}}}}}}}}
  o: {{nodes: 5, family: bit, parents: {{x: dense, h: {DENSE}, c: elementwise}}}}
  m: {{nodes: 5, family: spin, bias: false, parents: {{c: identity}}}}
  h: {{nodes: 5, family: linear, bias: false, parents: {{m: {{kind: identity, gate: {{component: o, open: 1}}}}}}}}
""",
    "leaky": f"""
  z: {{nodes: 7, family: spin, parents: {{h: {DENSE}}}}}
  n: {{nodes: 7, family: rect, parents: {{x: dense, h: {DENSE}}}}}
  h: {{nodes: 7, family: linear, bias: 0.25, parents: {{n: {{kind: identity, gate: {{component: z, open: -1}}}},
      h: {{kind: identity, lag: 1, gate: {{component: z, open: 1}}}}}}}}
""",
    "both": f"""
  a: {{nodes: 4, family: noisy, parents: {{x: dense, h: {DENSE}, a: {DENSE}}}}}
  h: {{nodes: 4, family: steep, parents: {{h: {DENSE}, a: {DENSE}}}}}
""",
    "beside": """
  g: {nodes: 6, family: bit, parents: {x: dense}}
  h: {nodes: 6, family: rect, parents: {x: dense, h: {kind: elementwise, lag: 1, gate: {component: g, open: 0}}}}
""",
    "states": f"""
  g: {{nodes: 5, family: three, parents: {{x: dense, h: {DENSE}}}}}
  m: {{nodes: 5, family: rect, parents: {{g: elementwise, h: {DENSE}}}}}
  o: {{nodes: 5, family: bit, parents: {{x: dense, h: {DENSE}, m: elementwise}}}}
  h: {{nodes: 5, family: three, parents: {{m: {{kind: identity, gate: {{component: o, open: 1}}}}, g: identity}}}}
""",
    "lags": f"""
  h: {{nodes: 5, family: spin, parents: {{x: dense, h: {DENSE}, drives: {{kind: elementwise, lag: 3}}}}}}
  drives: {{nodes: 5, family: noisy, parents: {{h: identity, drives: {{kind: elementwise, lag: 2}}}}}}
""",
    "linear": """
  h: {nodes: 5, family: linear, parents: {x: dense, h: {kind: elementwise, lag: 1}}}
""",
    "plain": f"""
  h: {{nodes: 3, family: bit, parents: {{x: dense, h: {DENSE}}}}}
""",
}


WORDS_OF = {"peephole": 5, "leaky": 2, "both": 2, "states": 4}
"""Random words that a step takes: one for each layer that is drawn."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("cells")
    sys.path.insert(0, str(place))
    yield place
    sys.path.remove(str(place))


@pytest.fixture(params=SPECS)
def package(request: pytest.FixtureRequest, folder: Path) -> ModuleType:
    return compiled(request.param, folder)


@cache
def compiled(name: str, folder: Path) -> ModuleType:
    """The package of a spec, with kernels for the steps of its loop."""
    spec = folder / f"cell_{name}.yaml"
    spec.write_text(HEAD.format(name=f"cell_{name}") + SPECS[name].lstrip("\n") + TAIL)
    compile(spec, output=folder)
    found = importlib.import_module(f"cell_{name}")
    assert "kernels.cell(" in (folder / f"cell_{name}" / "model.py").read_text() and found.kernels.library() is not None
    return found


@pytest.fixture(params=["c", "triton"])
def computed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], str]:
    """Lets a package's steps be computed in C or in Triton's interpreter."""

    def choose(package: ModuleType) -> str:
        if request.param == "triton":
            pytest.importorskip("triton")
            gpu = importlib.import_module(".kernels.cuda", package.__name__)
            views = package.kernels._views
            monkeypatch.setattr(package.kernels, "_stepper", lambda n, arrays, steps, *how: gpu.stepper(n, views(arrays, steps), *how))
        return str(request.param)

    return choose


def loss_of(package: ModuleType, model: Any, x: Tensor, kernels: bool, **more: Any) -> tuple[Tensor, list[Tensor]]:
    """A loss of all steps and of what is kept, and its gradients."""
    x = x.clone().requires_grad_()
    whole, package.model.kernels = package.model.kernels, package.model.kernels if kernels else None
    try:
        e, state = model(x, return_state=True, **more)
    finally:
        package.model.kernels = whole
    weights = torch.sin(torch.arange(e.numel(), dtype=e.dtype)).view(e.shape)
    loss = (weights * e).sum() + sum(kept.square().sum() for kept in state.values())
    return loss.detach(), list(torch.autograd.grad(loss, [x, *model.parameters()], allow_unused=True))


@pytest.mark.parametrize("rows,steps", [(3, 6), (1, 1), (2, 2), (0, 4)])
def test_steps_are_those_of_the_loop_in_float64(package: ModuleType, computed: Callable[[ModuleType], str], rows: int, steps: int) -> None:
    computed(package)
    torch.manual_seed(0)
    model = package.Model().eval()
    exact = copy.deepcopy(model).double()
    x = torch.randn(rows, steps, 3)
    loss, grads = loss_of(package, model, x, True)
    loss_, grads_ = loss_of(package, exact, x.double(), False)
    torch.testing.assert_close(loss.double(), loss_, rtol=1e-5, atol=1e-5)
    for mine, other in zip(grads, grads_, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None and other is not None:
            torch.testing.assert_close(mine.double(), other, rtol=1e-4, atol=1e-5)


def test_a_later_call_goes_on(package: ModuleType) -> None:
    model = package.Model().eval()
    x = torch.randn(2, 9, 3)
    with torch.no_grad():
        whole = model(x)
        first, state = model(x[:, :4], return_state=True)
        rest = model(x[:, 4:], state=state)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole, rtol=1e-5, atol=1e-6)


class Replayed:
    """In place of Inference: what layers became, step by step, and the slopes there."""

    rate, straight_through, draws, sampled = 0.0, False, 1, False

    def __init__(self, values: Iterator[tuple[Tensor, Tensor]]) -> None:
        self.values = values

    def __call__(self, law: object, e: Tensor) -> Tensor:
        value, slope = next(self.values)
        return value + slope * (e - e.detach())


@pytest.mark.parametrize("straight", [False, True])
def test_gradients_of_draws_are_those_of_what_was_drawn(
    package: ModuleType, computed: Callable[[ModuleType], str], monkeypatch: pytest.MonkeyPatch, straight: bool
) -> None:
    """The loop in torch again, with the values and slopes that the kernel had, also where it went back from values alone."""
    if "drawn" not in package.kernels.CELLS["cell"].arrays:
        assert package.__name__ == "cell_linear"
        return
    if package.__name__ == "cell_beside":
        pytest.skip("its gate is drawn before the loop")
    computed(package)
    seen: list[tuple[Any, list[Tensor]]] = []
    whole, known = package.kernels._cell, package.kernels.CELLS["cell"]

    def watched(*arguments: Any) -> list[Tensor]:
        with monkeypatch.context() as patch:
            patch.setattr(package.kernels, "_told", lambda *_: False)
            seen.append((arguments, whole(*arguments)))
        made = whole(*arguments)
        assert all(slope.shape[1] == (1 if known.told and not straight else 6) for slope in made[known.layers :])
        return made

    monkeypatch.setattr(package.kernels, "_cell", watched)
    torch.manual_seed(2)
    model = package.Model().train()
    model.inference("pcff", 0.5, gradient="straight_through" if straight else "block")
    x = torch.randn(4, 6, 3)
    loss, grads = loss_of(package, model, x, True)
    ((_, made),) = seen
    values, slopes = made[: known.layers], dict(zip(known.slopes["drawn"], made[known.layers :], strict=True))

    def in_order() -> Iterator[tuple[Tensor, Tensor]]:
        for t in range(6):
            for k in sorted(slopes):
                yield values[k][None, :, t - 6 if t < 6 else -1], slopes[k][None, :, t]

    replayed, again = Replayed(in_order()), copy.deepcopy(model)
    again.how = [replayed, replayed]
    loss_, grads_ = loss_of(package, again, x, False)
    torch.testing.assert_close(loss, loss_, rtol=1e-5, atol=1e-5)
    for mine, other in zip(grads, grads_, strict=True):
        if other is not None:
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "width", "rate", "straight"), [(3, 5, 0.6, False), (7, 61, 0.3, True), (2, 300, 0.9, True), (1, 1, 1.0, False)]
)
@pytest.mark.parametrize("name", ["peephole", "leaky", "both", "states"])
def test_draws_are_those_of_the_interpreter(
    computed: Callable[[ModuleType], str], folder: Path, name: str, rows: int, width: int, rate: float, straight: bool
) -> None:
    """One step from given energies: words by layer, of a block for four elements that follow each other."""
    package = compiled(name, folder)
    computed(package)
    ((_, cell),) = plan(inspect(folder / f"cell_{name}.yaml").program).cells
    seed = 2**40 + 17
    torch.manual_seed(1)
    half = package.kernels.CELLS["cell"].arrays["drawn"].split()
    arrays = [torch.randn(rows, 2, width) for _ in half]
    step = package.kernels._stepper("cell_drawn", [(array, 0) for array in arrays], 2, rate, straight, torch.tensor(seed))
    given = {name: array.clone() for name, array in zip(half, arrays, strict=True)}
    step(1)
    assert cell.drawn is not None and cell.words == WORDS_OF[name]
    blocks = np.arange((rows * width + 3) // 4, dtype=np.uint64)
    shared = (np.stack(words_of(seed, blocks, np.full_like(blocks, cell.words + 1 + k)), 1) for k in range(cell.words))
    words = [w.reshape(-1)[: rows * width].reshape(rows, width) for w in shared]
    values: dict[str, Any] = {name: array[:, 1].numpy() for name, array in given.items()}
    values |= {f"random{k}": word for k, word in enumerate(words)} | {"rate": np.float32(rate), "straight": np.float32(straight)}
    expected = evaluate(tuple(value for _, value in cell.drawn), values)
    found = dict(zip(half, arrays, strict=True))
    for (result, _), value in zip(cell.drawn, expected, strict=True):
        here, there = found[f"to_{result}"][:, 1].numpy(), np.broadcast_to(value, (rows, width))
        # where energies differ in their last digits, a decision may fall the other way
        assert (~np.isclose(here, there, rtol=1e-5, atol=2e-6)).sum() <= rows * width / 300, result
        np.testing.assert_array_equal(found[f"to_{result}"][:, 0], given[f"to_{result}"][:, 0])


def test_the_same_seed_draws_the_same_in_c_and_triton(package: ModuleType) -> None:
    gpu = importlib.import_module(".kernels.cuda", package.__name__)
    in_c, found = package.kernels._stepper, []
    for step in (in_c, lambda n, arrays, steps, *how: gpu.stepper(n, package.kernels._views(arrays, steps), *how)):
        package.kernels._stepper = step
        torch.manual_seed(3)
        model = package.Model().train()
        found.append(loss_of(package, model, torch.randn(4, 5, 3), True))
    package.kernels._stepper = in_c
    (loss, grads), (loss_, grads_) = found
    torch.testing.assert_close(loss, loss_, rtol=1e-5, atol=1e-5)
    for mine, other in zip(grads, grads_, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_draws_have_the_distribution_of_the_loop_in_torch(package: ModuleType) -> None:
    """Means over many draws, by kernels and without: within five standard errors."""
    torch.manual_seed(4)
    model = package.Model().train()
    model.inference("pcff", 0.5)
    x = torch.randn(1, 5, 3).expand(4000, 5, 3)
    means, errors = [], []
    for kernels in (package.model.kernels, None):
        whole, package.model.kernels = package.model.kernels, kernels
        with torch.no_grad():
            e = model(x)
        package.model.kernels = whole
        means.append(e.mean(0))
        errors.append(e.var(0) / len(e))
    assert ((means[0] - means[1]).abs() <= 5 * (errors[0] + errors[1]).sqrt() + 1e-5).all()


def test_opcheck_compile_and_export(folder: Path) -> None:
    package = compiled("peephole", folder)
    ops, known = package.kernels.OPS, package.kernels.CELLS["cell"]
    torch.manual_seed(0)
    rows, steps, width = 2, 3, 5
    given, weights = [torch.randn(rows, steps, 4 * width)], [torch.randn(4 * width, width)]
    vectors, pasts = [torch.randn(width) for _ in range(3)], [torch.zeros(rows, 1, width) for _ in known.lagged]
    call = (given, weights, vectors, pasts, "cell", 0.4, True, torch.tensor(7), True)
    checks = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    torch.library.opcheck(ops.cell.default, call, test_utils=checks)
    made = ops.cell(*call)
    back = ([torch.randn(rows, steps, width) for _ in known.kept], [], weights, vectors, made, "cell", True)
    torch.library.opcheck(ops.cell_backward.default, back, test_utils=checks)

    model, x = package.Model(), torch.randn(4, 6, 3)
    model.inference("feed_forward")
    expected = model(x)
    torch._dynamo.reset()
    fast = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(fast(x), expected)
    grads = [torch.autograd.grad(run(x).square().sum(), list(model.parameters())) for run in (fast, model)]
    for mine, other in zip(*grads, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    model.eval()
    exported = torch.export.export(model, (x,))
    torch.testing.assert_close(exported.module()(x), expected)
    assert any("cell" in str(node.target) for node in exported.graph.nodes)


@pytest.mark.parametrize("more", [[], ["-march=native", "-fopenmp"]])
def test_the_source_has_no_warnings_and_no_undefined_behaviour(folder: Path, tmp_path: Path, more: list[str]) -> None:
    package = compiled("peephole", folder)
    (tmp_path / "cpu.c").write_bytes(package.kernels.SOURCE.read_bytes())
    calls = ""
    for half, arrays in package.kernels.CELLS["cell"].arrays.items():
        count = len(arrays.split())
        calls += f"        for (long t = 0; t < steps; t++) cell_{half}(at, apart, one, rows, width, t, 0.5f, 0, 77, 2);\n"
        assert count <= 40
    (tmp_path / "main.c").write_text(f"""#include "cpu.c"
void *malloc(unsigned long);
void free(void *);
int main(void) {{
    const long sizes[][3] = {{{{1, 1, 1}}, {{3, 2, 257}}, {{2, 5, 31}}, {{0, 2, 3}}}};
    for (int s = 0; s < 4; s++) {{
        const long rows = sizes[s][0], steps = sizes[s][1], width = sizes[s][2];
        float *at[40];
        long apart[40], one[40];
        for (int k = 0; k < 40; k++) {{
            at[k] = malloc((unsigned long)(rows * steps * width) * 4), apart[k] = steps * width, one[k] = width;
            for (long i = 0; i < rows * steps * width; i++) at[k][i] = (float)(i % 11 - 5) * (i % 7 ? 1.0f : 1e30f);
        }}
{calls}
        for (int k = 0; k < 40; k++) free(at[k]);
    }}
    return 0;
}}
""")
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", *([] if more else ["-pedantic", "-Wno-unknown-pragmas"])]
    checks = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = ["cc", *strict, *checks, *more, str(tmp_path / "main.c"), "-o", str(tmp_path / "run"), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    ran = subprocess.run([str(tmp_path / "run")], capture_output=True, text=True, env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert ran.returncode == 0, ran.stderr[-3000:]


def test_half_precision_is_rounded_once(package: ModuleType) -> None:
    """Under autocast what the loop is given is bfloat16, its steps are float32."""
    torch.manual_seed(0)
    model = package.Model().eval()
    x = torch.randn(3, 6, 3)
    with torch.no_grad():
        exact = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(x)
    torch.testing.assert_close(half.float(), exact, rtol=0.1, atol=0.1)
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        model.loss(x, torch.randint(3, (3, 6))).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_loops_that_are_not_node_by_node_stay_in_torch(tmp_path: Path) -> None:
    """A product of what was computed in the same step, nodes of another number, a gate that opens several nodes."""
    bodies = {
        "same_step": f"""
  r: {{nodes: 5, family: bit, parents: {{x: dense, h: {DENSE}}}}}
  h: {{nodes: 5, family: spin, parents: {{x: dense, r: dense}}}}
""",
        "sizes": f"""
  r: {{nodes: 4, family: bit, parents: {{x: dense, h: {DENSE}}}}}
  h: {{nodes: 5, family: spin, parents: {{x: dense, r: {DENSE}}}}}
""",
    }
    for name, body in bodies.items():
        (tmp_path / f"{name}.yaml").write_text(HEAD.format(name=name) + body.lstrip("\n") + TAIL)
        assert plan(inspect(tmp_path / f"{name}.yaml").program).cells == ()
        assert "kernels.cell(" not in (compile(tmp_path / f"{name}.yaml", output=tmp_path) / "model.py").read_text()
