"""Layer, group and weight normalisation against torch's own: values and all gradients, over time, in stacks, on grids, under moments."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from packages import Package, emit
from test_random_specs import agrees_with_the_interpreter, moments_agree_with_the_interpreter, streams, trains
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from cgc.graph.predicate import evaluate
from cgc.program.parameters import parameters

DENSE = """cgc: 1
name: dense
families: {spin: {kind: binary, values: [-1, 1]}}
components:
  x: {role: input, nodes: 5, family: {kind: gaussian, std: 1}}
  h: {nodes: 6, family: spin, normalize: NORMALIZE, parents: {x: dense}}
  y: {role: output, nodes: 2, family: {kind: gaussian, std: 1}, parents: {h: dense}}
"""
GRID = """cgc: 1
name: grid
families: {spin: {kind: binary, values: [-1, 1]}}
components:
  x: {role: input, nodes: [2, 5, 5], family: {kind: gaussian, std: 1}}
  h: {nodes: [4, 3, 3], family: spin, normalize: NORMALIZE, parents: {x: {kind: conv2d, kernel_size: 3, stride: 2, padding: 1}}}
  y: {role: output, nodes: 2, family: {kind: gaussian, std: 1}, parents: {h: dense}}
"""


def both_give(package: Package, oracle: Any, given: dict[str, Tensor]) -> None:
    """Values, and gradients by inputs and by all parameters, whose names in the oracle are those of the state dict."""
    model = package.model()
    own = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    here, there = ({name: value.clone().requires_grad_() for name, value in given.items()} for _ in range(2))
    got, wanted = model(**here), oracle(own, **there)
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)
    weights = torch.randn(got.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (got * weights).sum().backward()
    (wanted * weights).sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, own[name].grad, rtol=1e-10, atol=1e-10, msg=name)
    for name in given:
        torch.testing.assert_close(here[name].grad, there[name].grad, rtol=1e-10, atol=1e-10)
    assert {p.key: p.shape for p in parameters(package.compiled.program)} == {k: tuple(v.shape) for k, v in model.state_dict().items()}


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("normalize", ["layer", "{kind: group, groups: 3}", "{kind: group, groups: 1}"])
def test_dense_layers_are_those_of_torch(tmp_path: Path, normalize: str) -> None:
    groups = 3 if "3" in normalize else 1
    norm: nn.Module = nn.GroupNorm(groups, 6).double() if "group" in normalize else nn.LayerNorm(6).double()

    def oracle(p: dict[str, Tensor], x: Tensor) -> Tensor:
        of_norm = {"weight": p["h.normalize.weight"], "bias": p["h.bias"]}
        h = torch.tanh(torch.func.functional_call(norm, of_norm, (x @ p["h.x.weight"].T,)))
        return h @ p["y.h.weight"].T + p["y.bias"]

    package = emit(tmp_path, DENSE.replace("NORMALIZE", normalize))
    both_give(package, oracle, {"x": normal(4, 5)})
    assert ("nn.LayerNorm(6, bias=False)" in (package.folder / "model.py").read_text()) == (groups == 1)


@pytest.mark.parametrize("groups", [0, 1, 2, 4])
def test_grids_have_one_scale_for_each_map(tmp_path: Path, groups: int) -> None:
    """Layer normalisation of maps with shared biases is torch's GroupNorm with one group."""
    norm = nn.GroupNorm(max(1, groups), 4).double()

    def oracle(p: dict[str, Tensor], x: Tensor) -> Tensor:
        a = F.conv2d(x, p["h.x.weight"], stride=2, padding=1)
        h = torch.tanh(torch.func.functional_call(norm, {"weight": p["h.normalize.weight"], "bias": p["h.bias"]}, (a,)))
        return h.flatten(1) @ p["y.h.weight"].T + p["y.bias"]

    normalize = f"{{kind: group, groups: {groups}}}" if groups else "layer"
    both_give(emit(tmp_path, GRID.replace("NORMALIZE", normalize)), oracle, {"x": normal(3, 2, 5, 5)})


def test_grids_with_biases_of_their_own_have_scales_of_their_own(tmp_path: Path) -> None:
    norm = nn.LayerNorm([4, 3, 3]).double()

    def oracle(p: dict[str, Tensor], x: Tensor) -> Tensor:
        own = {name: p[key].reshape(4, 3, 3) for name, key in (("weight", "h.normalize.weight"), ("bias", "h.bias"))}
        h = torch.tanh(torch.func.functional_call(norm, own, ((x.flatten(1) @ p["h.x.weight"].T).reshape(-1, 4, 3, 3),)))
        return h.flatten(1) @ p["y.h.weight"].T + p["y.bias"]

    text = GRID.replace("{kind: conv2d, kernel_size: 3, stride: 2, padding: 1}", "dense").replace("NORMALIZE", "layer")
    both_give(emit(tmp_path, text), oracle, {"x": normal(3, 2, 5, 5)})


@pytest.mark.parametrize("over", ["inputs", "energy"])
def test_over_time(tmp_path: Path, over: str) -> None:
    """Before lagged contributions are added, or with them: step by step, and no step knows of another but by its past."""
    text = DENSE.replace("components:", "time: {steps: 4}\ncomponents:").replace(
        "NORMALIZE, parents: {x: dense}", f"{{kind: layer, over: {over}}}, parents: {{x: dense, h: {{kind: dense, lag: 1}}}}"
    )

    def oracle(p: dict[str, Tensor], x: Tensor) -> Tensor:
        def norm(a: Tensor) -> Tensor:
            return F.layer_norm(a, (6,), p["h.normalize.weight"], p["h.bias"])

        h, steps = torch.zeros(len(x), 6, dtype=torch.float64), []
        for t in range(x.shape[1]):
            direct, past = x[:, t] @ p["h.x.weight"].T, h @ p["h.h.weight"].T
            h = torch.tanh(norm(direct) + past if over == "inputs" else norm(direct + past))
            steps.append(h @ p["y.h.weight"].T + p["y.bias"])
        return torch.stack(steps, 1)

    package = emit(tmp_path, text)
    both_give(package, oracle, {"x": normal(3, 4, 5)})
    streams(package)


@pytest.mark.parametrize("text", [DENSE, GRID], ids=["dense", "grid"])
def test_weight_normalisation_is_that_of_torch(tmp_path: Path, text: str) -> None:
    layer: nn.Module = nn.Linear(5, 6) if text is DENSE else nn.Conv2d(2, 4, 3, stride=2, padding=1)
    layer = weight_norm(layer.double())

    def oracle(p: dict[str, Tensor], x: Tensor) -> Tensor:
        own = {key: p[f"h.x.{key}"] for key in ("parametrizations.weight.original0", "parametrizations.weight.original1")}
        h = torch.tanh(torch.func.functional_call(layer, own | {"bias": p["h.bias"]}, (x,)))
        return h.flatten(1) @ p["y.h.weight"].T + p["y.bias"]

    x = normal(3, 5) if text is DENSE else normal(3, 2, 5, 5)
    both_give(emit(tmp_path, text.replace("NORMALIZE", "weight")), oracle, {"x": x})


def test_weight_normalisation_starts_where_it_would_without(tmp_path: Path) -> None:
    """g is |v| at the start, whatever `init` says; so nothing changes but the coordinates of what is learned."""
    text = DENSE.replace("parents: {x: dense}", "parents: {x: {kind: dense, init: {kind: uniform, low: 1, high: 2}}}")
    plain, normed = (emit(tmp_path, text.replace("normalize: NORMALIZE, ", n)).module for n in ("", "normalize: weight, "))
    models = []
    for module in (plain, normed):
        torch.manual_seed(0)
        models.append(module.Model())
    assert (models[0].h.x.weight >= 1).all()
    torch.testing.assert_close(models[1].h.x.weight, models[0].h.x.weight)


MANY = """cgc: 1
name: many
families: {soft: {kind: noise, base: logistic, scale: 1, value: 'max(0, y)'}, spin: {kind: binary, values: [-1, 1]}}
time: {steps: 3}
components:
  x: {role: input, nodes: 4, family: {kind: binary, values: [-1, 2]}, clamp: soft}
  w: {role: input, nodes: 1, family: {kind: categorical, labels: 5}}
  a: {nodes: 6, family: soft, normalize: layer, stack: 3, parents: {x: dense, a: {kind: elementwise, lag: 1}}}
  b: {nodes: 4, family: spin, normalize: {kind: group, groups: 2, over: energy}, bias: 0.5,
      parents: {a: {kind: dense, lag: 2}, b: {kind: elementwise, lag: 1}, x: identity}}
  c: {nodes: 3, family: {kind: categorical, labels: 3, reference_label: 1}, normalize: {kind: layer, over: energy},
      parents: {b: dense, c: {kind: dense, lag: 1}, d: {kind: dense, lag: 1}}}
  d: {nodes: 2, family: soft, normalize: weight, parents: {c: dense, w: dense, d: {kind: elementwise, lag: 1}}}
  y: {role: output, at: last, nodes: [2, 2], family: {kind: binary, values: [0, 1]}, normalize: {kind: group, groups: 2}, bias: false,
      parents: {d: dense, a: dense}}
independence:
  - b[i,t] ⟂ a[j,t-2] | parents  where i // 2 != j // 3
EVAL
"""
SHARED = """cgc: 1
name: shared
families: {spin: {kind: binary, values: [0, 1]}}
components:
  x: {role: input, nodes: [2, 6], family: spin, clamp: soft}
  h: {nodes: [4, 6], family: spin, normalize: {kind: group, groups: 2}, parents: {x: {kind: conv1d, kernel_size: 3, padding: 1}}}
  g: {nodes: 8, family: spin, normalize: layer, parents: {h: dense}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: 4}, normalize: layer, parents: {g: dense}}
sharing:
  - g[i] by i // 2
EVAL
"""


@pytest.mark.parametrize("moments", [False, True])
@pytest.mark.parametrize("text", [MANY, SHARED], ids=["many", "shared"])
def test_agrees_with_the_interpreter(tmp_path: Path, text: str, moments: bool) -> None:
    package = emit(tmp_path, text.replace("EVAL", "inference: {eval: {method: moments}}" if moments else ""))
    written = (package.folder / "model.py").read_text()
    if moments:
        moments_agree_with_the_interpreter(package)
    else:
        agrees_with_the_interpreter(package)
        trains(package)
        if package.compiled.program.steps:
            streams(package)
    # tables of coefficients have no layout of their own
    layout = [["format", "--check", "--isolated", "--line-length", "120"]] if "LogisticMoment" not in written else []
    for command in (*layout, ["check", "--isolated", "--select", "E9,F,B,UP"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, package.folder / "model.py"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("normalize", ["{kind: layer, over: energy}", "{kind: group, groups: 2}"])
def test_moments_are_near_those_of_draws(tmp_path: Path, normalize: str) -> None:
    """The statistics are random as well: their expectation counts, and the part of a node in the mean of its own group."""
    text = DENSE.replace("\n  h:", "\n  g: {nodes: 12, family: spin, parents: {x: dense}}\n  h:")
    text = text.replace("nodes: 6", "nodes: 12").replace("NORMALIZE, parents: {x: dense}", f"{normalize}, parents: {{g: dense}}")
    model = emit(tmp_path, text + "inference: {eval: {method: moments}}\n").model()
    x, many = normal(2, 5), 20_000
    with torch.no_grad():
        m, v = model.energies(x)
        torch.manual_seed(0)
        drawn = model.sample(x, n=many)
        plain = model.inference("feed_forward").energies(x)[0]
    error = drawn.std(0) / math.sqrt(many)
    assert ((m - drawn.mean(0)).abs() < 0.1 * drawn.std(0) + 5 * error).all()
    assert (m - drawn.mean(0)).abs().sum() < (plain - drawn.mean(0)).abs().sum()
    # the output is Gaussian with std 1 around its energy
    assert (((v + 1) / drawn.var(0)).log().abs() < 0.2).all()


@pytest.mark.parametrize("edge", ["conv", "windows"])
@pytest.mark.parametrize("normalize", ["layer", "{kind: group, groups: 2}", "batch", "weight"])
def test_the_graph_is_that_of_the_jacobian(tmp_path: Path, edge: str, normalize: str) -> None:
    """What the whole graph does not join has no influence, and all that it joins has some; a stride of 3 leaves columns unread."""
    text = """cgc: 1
name: joined
components:
  x: {role: input, nodes: [2, 7], family: {kind: gaussian, std: 1}}
  y: {role: output, nodes: [4, 2], family: {kind: gaussian, std: 1}, normalize: NORMALIZE, parents: {x: EDGE}}
"""
    kind = "{kind: conv1d, kernel_size: 2, stride: 3, groups: 2}" if edge == "conv" else "dense"
    text = text.replace("EDGE", kind).replace("NORMALIZE", normalize if edge == "conv" or normalize != "weight" else "batch")
    if edge == "windows":
        text += "independence:\n  - y[c,r] ⟂ x[d,u] | parents  where c // 2 != d or u > 4\n"
        if normalize == "layer":  # a statement about groups that are not kept apart
            text = text.replace("c // 2 != d or u > 4", "u > 4")
    package = emit(tmp_path, text)
    model, x = package.model(), normal(1, 2, 7)
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x)[0], x).reshape(4, 2, 2, 7)
    (_, y) = package.compiled.graph.whole
    structure = y.edges[0].structure
    names = [name for name, _ in (*structure.child_index, *structure.parent_index)]
    grid = dict(zip(names, np.ix_(*(np.arange(n) for n in jacobian.shape)), strict=True))
    joined = np.broadcast_to(evaluate(structure.joined, grid), jacobian.shape)
    assert np.array_equal((jacobian != 0).numpy(), joined) and not joined.all()


def test_weight_normalised_models_are_copied_compiled_and_saved(tmp_path: Path) -> None:
    model = emit(tmp_path, DENSE.replace("NORMALIZE", "weight")).model()
    x = normal(3, 5)
    copied = copy.deepcopy(model)
    copied.load_state_dict(model.state_dict())
    assert torch.equal(copied(x), model(x))
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(x), model(x))
