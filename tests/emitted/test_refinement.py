"""Refinement (paper, section 4.1): what is emitted against the chain graph written out, enumeration, and torch."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from packages import arrays, emit
from torch import Tensor, nn

from cgc.compiler import graph as graph_of
from cgc.graph.query import ask
from cgc.program.dump import dump
from cgc.source.diagnostics import SpecError

SPEC = """
cgc: 1
name: refined
families: {{node: {family}}}
components:
  x: {{role: input, nodes: 3, family: {{kind: gaussian, std: 1}}}}
  h: {{nodes: {nodes}, family: node, {normalize}parents: {{x: dense}}}}
  y: {{role: output, nodes: 1, family: {{kind: categorical, labels: 3}}, parents: {{h: dense}}}}
refine:
  h:
    times: {times}
    sample: {sample}
    through:
      z: {{nodes: {inner}, family: node, {normalize}parents: {{previous: dense}}}}
    back: dense
"""
TANH, RECT, BIT = (
    "{kind: binary, values: [-1, 1]}",
    "{kind: rectified_gaussian, std: tanh(e), emit: relu}",
    "{kind: binary, values: [0, 1]}",
)
LAWS = {TANH: np.tanh, RECT: lambda e: np.maximum(e, 0), BIT: lambda e: 1 / (1 + np.exp(-e))}


def refined(times: int, family: str = TANH, normalize: str = "", sample: str = "shared", nodes: int = 4, inner: int = 2) -> str:
    return SPEC.format(times=times, family=family, normalize=normalize, sample=sample, nodes=nodes, inner=inner)


def level(state: dict[str, Any], name: str, a: Any, normalize: bool) -> Any:
    """The energy of a component from the sum of its contributions."""
    if not normalize:
        return a + state.get(f"{name}.bias", 0)
    mean, variance = state[f"{name}.normalize.running_mean"], state[f"{name}.normalize.running_var"]
    return state[f"{name}.normalize.weight"] * (a - mean) / np.sqrt(variance + 1e-5) + state[f"{name}.bias"]


def unshared(state: dict[str, Any], x: Any, times: int, law: Any, normalize: bool) -> Any:
    """The sum of contributions to h after so many refinements: the base is written out twice, once for its copy."""
    if times == 0:
        return x @ state["h.x.weight"].T + (0 if normalize else state["h.bias"])
    k = times - 1
    base, of_copy = (unshared(state, x, k, law, normalize) for _ in range(2))
    copy = law(level(state, f"h.refine.{k}", of_copy, normalize) if normalize else of_copy)
    z = law(level(state, f"h.refine.{k}.z", copy @ state[f"h.refine.{k}.z.previous.weight"].T, normalize))
    return base + z @ state[f"h.refine.{k}.back.weight"].T


@pytest.mark.parametrize("normalize", ["", "normalize: batch, "])
@pytest.mark.parametrize("family", [TANH, RECT])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_equals_the_chain_graph_written_out(tmp_path: Path, times: int, family: str, normalize: str) -> None:
    for sample in ("shared", "independent_copies"):
        model = emit(tmp_path / sample, refined(times, family, normalize, sample)).model(1)
        state = arrays(model)
        x = np.random.default_rng(times).normal(size=(5, 3))
        total = unshared(state, x, times, LAWS[family], bool(normalize))
        h = LAWS[family](level(state, "h", total, True) if normalize else total)
        expected = h @ state["y.h.weight"].T + state["y.bias"]
        np.testing.assert_allclose(model(torch.tensor(x)).detach().numpy(), expected, atol=1e-12, rtol=1e-10)


def states(p: Any) -> list[tuple[float, Any]]:
    """Every state of 0/1 nodes with its probability."""
    found = []
    for bits in itertools.product((0.0, 1.0), repeat=len(p)):
        s = np.array(bits)
        found.append((float(np.prod(np.where(s == 1, p, 1 - p))), s))
    return found


def energies(state: dict[str, Any], x: Any, times: int, independent: bool) -> list[tuple[float, Any]]:
    """Every value of h's energy with its probability."""
    if times == 0:
        return [(1.0, x @ state["h.x.weight"].T + state["h.bias"])]
    k, law = times - 1, LAWS[BIT]
    below = energies(state, x, k, independent)
    pairs = [(p * q, a, b) for p, a in below for q, b in below] if independent else [(p, a, a) for p, a in below]
    found = []
    for p, added, of_copy in pairs:
        for q, copy in states(law(of_copy)):
            for r, z in states(law(copy @ state[f"h.refine.{k}.z.previous.weight"].T + state[f"h.refine.{k}.z.bias"])):
                found.append((p * q * r, added + z @ state[f"h.refine.{k}.back.weight"].T))
    return found


@pytest.mark.parametrize(("sample", "times"), [("shared", 1), ("shared", 3), ("independent_copies", 1), ("independent_copies", 2)])
def test_draws_match_enumeration(tmp_path: Path, sample: str, times: int) -> None:
    model = emit(tmp_path, refined(times, BIT, sample=sample, nodes=2, inner=1)).model(3)
    state = arrays(model)
    x = np.array([0.7, -1.1, 0.4])
    exact = np.zeros(3)
    for p, e in energies(state, x, times, sample == "independent_copies"):
        for q, h in states(LAWS[BIT](e)):
            logits = h @ state["y.h.weight"].T + state["y.bias"]
            exact += p * q * np.exp(logits) / np.exp(logits).sum()
    torch.manual_seed(0)
    draws = 60_000
    with torch.no_grad():
        model.inference("sample", samples=draws)
        found = model.expectation(torch.tensor(x)[None])[0].numpy()
    assert np.abs(found - exact).max() < 4.5 * 0.5 / np.sqrt(draws)


def together(model: Any) -> None:
    """Weights with which the second level repeats what the first one drew, if it sees it."""
    values = {"h.x.weight": 0, "h.bias": -4, "h.refine.0.z.previous.weight": 0, "h.refine.0.z.bias": 0, "h.refine.0.back.weight": 8}
    values |= {"h.refine.1.z.previous.weight": 4, "h.refine.1.z.bias": -4, "h.refine.1.back.weight": 8}
    with torch.no_grad():
        for name, value in values.items():
            model.get_parameter(name).fill_(value)


def test_shared_and_independent_draws_differ(tmp_path: Path) -> None:
    x, found = np.zeros(3), {}
    for sample in ("shared", "independent_copies"):
        model = emit(tmp_path / sample, refined(2, BIT, sample=sample, nodes=2, inner=1)).model(3)
        together(model)
        state = arrays(model)
        exact = sum(p * LAWS[BIT](e)[0] for p, e in energies(state, x, 2, sample == "independent_copies"))
        with torch.no_grad():
            model.y.h.weight.zero_()
            model.y.h.weight[0, 0] = 30.0  # so that label 0 tells the state of the first node
            model.y.bias.copy_(torch.tensor([-15.0, 0.0, -99.0]))
            torch.manual_seed(1)
            model.inference("sample", samples=40_000)
            found[sample] = float(model.expectation(torch.zeros(1, 3, dtype=torch.float64))[0, 0])
        assert abs(found[sample] - exact) < 0.02
    assert found["independent_copies"] - found["shared"] > 0.2


def test_the_separation_statements_of_a_module(tmp_path: Path) -> None:
    place = tmp_path / "spec.yaml"
    place.write_text(refined(1, nodes=2, inner=2), encoding="utf-8")
    graph = graph_of(place)
    copy, z = "h.refine.0", "h.refine.0.z"
    truths = {f"x ⟂ {z} | {copy}": True, f"x ⟂ h | {z}": False, f"{copy} ⟂ h | {z}": False, f"{copy} ⟂ h | {z}, x": True}
    assert {text: ask(graph, text).holds for text in truths} == truths
    assert ask(graph, "x ⟂ z | h.refine.0").holds  # what lies on the path also goes by its own name


def test_many_levels_are_one_loop(tmp_path: Path) -> None:
    few, many = (emit(tmp_path / str(n), refined(n)) for n in (40, 160))
    lengths = [len((package.folder / "model.py").read_text(encoding="utf-8").splitlines()) for package in (few, many)]
    assert lengths[0] == lengths[1] < 250
    lines = [len(dump(package.compiled.program).splitlines()) for package in (few, many)]
    assert lines[1] - lines[0] == 120 * (lines[0] // 40)
    model = many.model()
    assert model(torch.zeros(2, 3, dtype=torch.float64)).isfinite().all()


BOTTLENECK = """
cgc: 1
name: bottleneck
families: {rect: {kind: rectified_gaussian, std: tanh(e), emit: relu}}
components:
  x: {role: input, nodes: [3, 6, 6], family: {kind: gaussian, std: 1}}
  h: {nodes: [8, 6, 6], family: rect, normalize: batch, parents: {x: {kind: conv2d, kernel_size: 3, padding: 1}}}
  p: {nodes: 8, family: {kind: gaussian, std: 0}, bias: false, parents: {h: {kind: avg_pool, kernel_size: all}}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: 3}, parents: {p: dense}}
refine:
  h:
    times: 2
    through:
      a: {nodes: [4, 6, 6], family: rect, normalize: batch, parents: {previous: {kind: conv2d, kernel_size: 1}}}
      b: {nodes: [4, 6, 6], family: rect, normalize: batch, parents: {previous: EDGE}}
    back: {kind: conv2d, kernel_size: 1}
"""
GROUPS = "{kind: conv2d, kernel_size: 3, padding: 1, groups: 2}"
STATED = "\nindependence:\n  - b[c,r,s] ⟂ a[d,u,v] | parents  where c // 2 != d // 2\n"


class Bottleneck(nn.Module):
    """Pre-activation bottleneck blocks whose middle convolution may have groups (ResNeXt)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in (8, 4, 4, 8, 4, 4, 8))
        convs = (nn.Conv2d(8, 4, 1, bias=False), nn.Conv2d(4, 4, 3, padding=1, groups=groups, bias=False), nn.Conv2d(4, 8, 1, bias=False))
        again = (nn.Conv2d(8, 4, 1, bias=False), nn.Conv2d(4, 4, 3, padding=1, groups=groups, bias=False), nn.Conv2d(4, 8, 1, bias=False))
        self.convs = nn.ModuleList([*convs, *again])
        self.y = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        e = self.stem(x)
        for k in (0, 3):
            a = self.convs[k](torch.relu(self.norms[k](e)))
            b = self.convs[k + 1](torch.relu(self.norms[k + 1](a)))
            e = e + self.convs[k + 2](torch.relu(self.norms[k + 2](b)))
        return self.y(torch.relu(self.norms[6](e)).mean((2, 3)))


@pytest.mark.parametrize(
    ("edge", "more", "groups"),
    [(GROUPS, "", 2), (GROUPS.replace(", groups: 2", ""), STATED, 2), (GROUPS.replace(", groups: 2", ""), "", 1)],
)
def test_bottleneck_and_grouped_paths(tmp_path: Path, edge: str, more: str, groups: int) -> None:
    model = emit(tmp_path, BOTTLENECK.replace("EDGE", edge) + more).model(2)
    peer = Bottleneck(groups).double()
    norms = []
    for one in model.h.refine:
        norms += [one, one.a, one.b]
    pairs = [(model.h.x.weight, peer.stem.weight), (model.y.p.weight, peer.y.weight), (model.y.bias, peer.y.bias)]
    for ours, norm in zip([*norms, model.h], peer.norms, strict=True):
        pairs += [(ours.normalize.weight, norm.weight), (ours.bias, norm.bias)]
        pairs += [(ours.normalize.running_mean, norm.running_mean), (ours.normalize.running_var, norm.running_var)]
    for k, one in enumerate(model.h.refine):
        for edge_, conv in zip((one.a.previous, one.b.previous, one.back), peer.convs[3 * k : 3 * k + 3], strict=True):
            pairs.append((edge_.weight, conv.weight))
    with torch.no_grad():
        for a, b in pairs:
            b.copy_(a.reshape(b.shape))
    torch.manual_seed(0)
    x, y = torch.randn(4, 3, 6, 6, dtype=torch.float64), torch.tensor([0, 2, 1, 1])
    for training in (False, True):
        mine, other = model.train(training)(x), peer.train(training)(x)
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)
        for network in (model, peer):
            network.zero_grad()
        F.cross_entropy(mine, y).backward()
        F.cross_entropy(other, y).backward()
        for a, b in pairs:
            if a.requires_grad:
                torch.testing.assert_close(a.grad.reshape(b.shape), b.grad, rtol=1e-9, atol=1e-12)


BACK = "back: {kind: conv2d, kernel_size: 1}"


@pytest.mark.parametrize(
    ("back", "help"),
    [
        ("{kind: conv2d, kernel_size: 3}", "use `padding: 1` where the path keeps its places"),
        ("{kind: conv2d, kernel_size: [1, 5], padding: [0, 1]}", "use `padding: [0, 2]` where the path keeps its places"),
        ("{kind: conv2d, kernel_size: 3, padding: 1, groups: 3}", "choose a divisor of both"),
        ("{kind: conv2d, kernel_size: 3, padding: 1, stride: 2}", "let the path end with 8 x 6 x 6 nodes"),
        ("{kind: avg_pool, kernel_size: all}", "let the path end with 8 x 6 x 6 nodes"),
        ("identity", "let the path end with 8 x 6 x 6 nodes"),
    ],
)
def test_a_path_that_does_not_return_is_refused_with_both_places(tmp_path: Path, back: str, help: str) -> None:
    text = BOTTLENECK.replace("EDGE", GROUPS).replace(BACK, f"back: {back}")
    with pytest.raises(SpecError) as caught:
        emit(tmp_path, text)
    (found,) = caught.value.diagnostics
    assert found.code == "CG405" and found.message == "the refining path does not return to the nodes of `h`"
    assert [label.text for label in found.others] == ["`h.refine.b` has 4 x 6 x 6 nodes", "`h` has 8 x 6 x 6 nodes"]
    assert found.help == help


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("parents: {x: {kind: conv2d", "parents: {h: {kind: dense, lag: 1}, x: {kind: conv2d", "CG333"),
        ("refine:\n  h:", "refine:\n  y:", "CG363"),
        ("refine:\n  h:", "refine:\n  g:", "CG307"),
        ("{previous: {kind: conv2d, kernel_size: 1}}", "{x: dense}", "CG363"),
        ("times: 2", "times: 0", "CG306"),
        ("times: 2", "times: 5\n    sample: independent_copies", "CG363"),
        (BACK, "back: {kind: conv2d, kernel_size: 1, lag: 1}", "CG363"),
        # the way back is checked as every edge is
        (BACK, "back: {kind: conv2d, kernel_size: 1, weight: 0.5, init: {kind: constant, value: 1}}", "CG342"),
        (BACK, "back: {kind: conv2d, kernel_size: 1, weight: {}}", "CG342"),
        (BACK, "back: {kind: conv2d, kernel_size: [1, 1, 1]}", "CG343"),
        (BACK, "back: {kind: conv2d, kernel_size: 1, init: {kind: uniform, low: 2, high: 1}}", "CG306"),
        (BACK, "back: {kind: conv2d, kernel_size: 1, prior: {kind: uniform, low: 2, high: 1}}", "CG306"),
        (BACK, "back: {kind: conv2d, kernel_size: 1, gate: {kind: bernoulli, keep_prob: 0.5, share: time}}", "CG333"),
        (BACK, "back: {kind: conv2d, kernel_size: 1, weight: {same_as: h.x}}", "CG363"),
    ],
)
def test_what_cannot_be_refined(tmp_path: Path, old: str, new: str, code: str) -> None:
    text = BOTTLENECK.replace("EDGE", GROUPS)
    assert old in text
    with pytest.raises(SpecError) as caught:
        emit(tmp_path, text.replace(old, new, 1))
    assert code in [finding.code for finding in caught.value.diagnostics]


@pytest.mark.parametrize("times", [1, 3])
def test_a_dense_base_whose_statements_make_it_a_convolution(tmp_path: Path, times: int) -> None:
    """What is stated of `h` holds for its copies, biases included."""
    text = """cgc: 1
name: same
families: {rect: {kind: rectified_gaussian, std: tanh(e), emit: relu}}
components:
  x: {role: input, nodes: [2, 5, 5], family: {kind: gaussian, std: 0}}
  h: {nodes: [4, 5, 5], family: rect, normalize: batch, parents: {x: EDGE}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: 3}, parents: {h: dense}}
refine:
  h:
    times: TIMES
    through: {z: {nodes: [3, 5, 5], family: rect, normalize: batch, parents: {previous: CONV}}}
    back: CONV
""".replace("CONV", "{kind: conv2d, kernel_size: 3, padding: 1}").replace("TIMES", str(times))
    stated = """independence:
  - h[c,r,s] ⟂ x[d,u,v] | parents  where abs(r - u) > 1 or abs(s - v) > 1
sharing:
  - h[c,r,s] <- x[d,u,v]  by c, d, u - r, v - s
  - h[c,r,s]  by c
"""
    written = emit(tmp_path / "a", text.replace("EDGE", "{kind: conv2d, kernel_size: 3, padding: 1}"))
    derived = emit(tmp_path / "b", text.replace("EDGE", "dense") + stated)
    assert (written.folder / "model.py").read_bytes() == (derived.folder / "model.py").read_bytes()


LAGGED = """cgc: 1
name: lagged
families: {rect: {kind: rectified_gaussian, std: tanh(e), emit: relu}}
time: {steps: 5}
components:
  x: {role: input, nodes: 3, family: {kind: gaussian, std: 1}}
  h: {nodes: 4, family: rect, parents: {x: dense}}
  y: {role: output, nodes: 2, family: {kind: gaussian, std: 1}, parents: {h: {kind: dense, lag: 1}}}
refine:
  h: {times: 2, through: {z: {nodes: 3, family: rect, parents: {previous: dense, z: {kind: dense, lag: 1}}}}, back: dense}
"""


def test_a_refined_layer_that_is_read_with_a_lag(tmp_path: Path) -> None:
    """Its path is recurrent, and the output reads it a step later; step by step with the state carried is the same."""
    model = emit(tmp_path, LAGGED).model(1)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    state = dict(model.state_dict())
    law, zs = torch.relu, [torch.zeros(2, 3, dtype=torch.float64)] * 2
    h, outputs = torch.zeros(2, 4, dtype=torch.float64), []
    for t in range(5):
        outputs.append(h @ state["y.h.weight"].T + state["y.bias"])
        e = x[:, t] @ state["h.x.weight"].T + state["h.bias"]
        for k in range(2):
            of = {name: state[f"h.refine.{k}.{name}"] for name in ("z.bias", "z.previous.weight", "z.z.weight", "back.weight")}
            zs[k] = law(law(e) @ of["z.previous.weight"].T + zs[k] @ of["z.z.weight"].T + of["z.bias"])
            e = e + zs[k] @ of["back.weight"].T
        h = law(e)
    torch.testing.assert_close(model(x), torch.stack(outputs, 1), rtol=1e-12, atol=1e-12)
    found, carried = [], None
    for t in range(5):
        y, carried = model(x[:, t : t + 1], state=carried, return_state=True)
        found.append(y)
    torch.testing.assert_close(torch.cat(found, 1), model(x), rtol=1e-12, atol=1e-12)
