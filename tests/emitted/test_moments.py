"""Evaluation by moments: against enumeration, Monte Carlo, and the interpreter."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from packages import SPECS, Package, arrays, emit
from test_random_specs import inputs_of, moments_agree_with_the_interpreter, parts

from cgc.families.registry import registry
from cgc.program.interpret import interpret, interpret_moments
from cgc.source.diagnostics import SpecError

# ---- random networks of +-1 nodes, whose truth is a sum over all states

NETWORK = """cgc: 1
name: network
families: {spin: {kind: binary, values: [-1, 1]}}
components:
  x: {role: input, nodes: 8, family: spin}
  h: {nodes: 8, family: spin, bias: false, stack: 3, parents: {x: dense}}
  y: {role: output, nodes: 1, family: spin, bias: false, parents: {h: dense}}
inference: {eval: {method: moments}}
"""
STATES = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=8)), dtype=torch.float64)


def enumerated(model: Any, x: torch.Tensor) -> torch.Tensor:
    """E[y | x], layer by layer: P(h') = sum over the 256 states of h of P(h' | h) P(h)."""
    below, share = x, torch.ones(1, dtype=torch.float64)
    for layer in model.h:
        # P(x | e) = exp(e x) / (exp(e) + exp(-e)), one energy for every node and every state below
        e = below @ layer.x.weight.T
        each = torch.sigmoid(2 * e[:, None, :] * STATES[None]).prod(-1)
        below, share = STATES, share @ each
    return share @ torch.tanh(below @ model.y.h.weight.T)


def mean_errors(package: Package, g: float, networks: int) -> dict[str, float]:
    """Mean |error of E[y | x]| of both methods over random networks with weights N(0, g^2 / 8)."""
    errors: dict[str, list[float]] = {"feed_forward": [], "moments": []}
    for seed in range(networks):
        model = package.model()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * g / math.sqrt(8))
        x = torch.randint(2, (1, 8), generator=generator).double() * 2 - 1
        with torch.no_grad():
            truth = enumerated(model, x)
            for method, found in errors.items():
                found.append(float((model.inference(method).expectation(x)[0] - truth).abs().mean()))
    return {method: float(np.mean(found)) for method, found in errors.items()}


def test_five_times_closer_to_enumeration_than_feed_forward(tmp_path: Path) -> None:
    found = mean_errors(emit(tmp_path, NETWORK), 1.0, 60)
    assert found["feed_forward"] > 5 * found["moments"]
    assert found["moments"] < 0.02


# ---- other families, against draws

FAMILY = """cgc: 1
name: drawn
families:
  node: FAMILY
components:
  x: {role: input, nodes: 4, family: {kind: binary, values: [-1, 1]}, clamp: soft}
  a: {nodes: 8, family: node, parents: {x: dense}}
  b: {nodes: 8, family: node, parents: {a: dense}}
  y: {role: output, nodes: 3, family: {kind: gaussian, std: 0.5}, parents: {b: dense}}
inference: {eval: {method: moments}}
"""
FAMILIES = {
    "probit": "{kind: probit, values: [-1, 1]}",
    "rectified": "{kind: rectified_gaussian, std: 1}",
    "modulated": "{kind: rectified_gaussian, std: tanh(e), emit: relu}",
    "softplus": "{kind: noise, base: logistic, scale: 1, value: 'max(0, y)'}",
    "gelu": "{kind: gated, value: e, prob: normal_cdf(e)}",
    "silu": "{kind: gated, value: e, prob: sigmoid(e)}",
    "states": "{kind: exponential_family, support: [0, 1, 2], statistic: x**2}",
    "labels": "{kind: categorical, labels: 3, reference_label: 1}",
    "relu": "{kind: rectified_gaussian, std: 0}",
}
MANY = 20_000


def of_family(folder: Path, family: str, text: str = FAMILY) -> Package:
    return emit(folder, text.replace("FAMILY", FAMILIES[family]))


@pytest.mark.parametrize("family", list(FAMILIES))
def test_mean_and_variance_of_energies_are_those_of_draws(tmp_path: Path, family: str) -> None:
    package = of_family(tmp_path, family)
    model = package.model()
    x = torch.tensor([[0.7, -0.4, 0.2, 1.0]], dtype=torch.float64)
    with torch.no_grad():
        m, v = model.energies(x)[:, 0]
        plain = model.inference("feed_forward")(x)[0]
        torch.manual_seed(0)
        drawn = model.energies(x, package.module.Inference(1.0, sampled=True, draws=MANY))[:, 0]
    error = drawn.std(0) / math.sqrt(MANY)
    # nodes of a layer are taken as independent, which they are not, least of all where they are functions of four inputs
    assert ((m - drawn.mean(0)).abs() < 0.25 * drawn.std(0) + 5 * error).all()
    assert (m - drawn.mean(0)).abs().sum() < (plain - drawn.mean(0)).abs().sum() + 5 * error.sum()
    assert ((v / drawn.var(0)).log().mean().abs() < 0.7).all()
    torch.manual_seed(1)
    assert ((model.sample(x, n=MANY)[:, 0].mean(0) - drawn.mean(0)).abs() < 10 * error).all()


# ---- against the interpreter

DENSE = """cgc: 1
name: dense
families: {node: FAMILY}
components:
  x: {role: input, nodes: 4, family: {kind: binary, values: [-1, 2]}, clamp: soft}
  a: {nodes: 4, family: node, normalize: batch, stack: 3, parents: {x: dense}}
  b: {nodes: 4, family: node, normalize: {kind: batch, over: energy}, bias: 0.5, parents: {a: dense, x: dense}}
  y: {role: output, nodes: [2, 2], family: {kind: binary, values: [0, 1]}, bias: -0.5, parents: {b: dense}}
inference: {eval: {method: moments}}
"""
WORDS = """cgc: 1
name: words
families: {word: {kind: categorical, labels: 3, reference_label: 0}, spin: {kind: binary, values: [-1, 1]}}
time: {steps: 4}
components:
  w: {role: input, nodes: 1, family: {kind: categorical, labels: 5}}
  u: {role: input, nodes: [2, 2], family: {kind: categorical, labels: 2}}
  a: {nodes: 4, family: word, parents: {w: dense, a: {kind: dense, lag: 1}}}
  b: {nodes: 1, family: {kind: categorical, labels: 4}, parents: {u: {kind: dense, lag: 1}, a: dense}}
  c: {nodes: 3, family: spin, bias: 0.25, parents: {b: dense, d: {kind: elementwise, lag: 1}}}
  d: {nodes: 3, family: spin, normalize: batch, parents: {c: dense, a: {kind: dense, lag: 2}}}
  y: {role: output, nodes: 2, family: {kind: categorical, labels: 3, reference_label: 1}, parents: {d: dense}}
  z: {role: output, at: last, nodes: 1, family: {kind: gaussian, std: 0.1}, parents: {d: dense, a: {kind: dense, lag: 1}}}
independence:
  - c[i,t] ⟂ d[j,t-1] | parents  where j > i
inference: {train: {method: pcff, sample_rate: {a: 0.5}}, eval: {method: moments}}
"""
GATES = """cgc: 1
name: gates
families: {soft: {kind: rectified_gaussian, std: 1}}
time: {steps: 4}
components:
  x: {role: input, nodes: 3, family: {kind: gaussian, std: 1}}
  a: {nodes: 3, family: soft, parents: {x: {kind: dense, gate: {kind: bernoulli, keep_prob: 0.75}}}}
  b: {nodes: 3, family: soft, bias: false,
      parents: {a: {kind: elementwise, gate: {kind: gaussian, std: 0.5, share: time}}, x: {kind: dense, weight: 0.25}}}
  c: {nodes: 3, family: {kind: gaussian, std: 0}, parents: {
      b: {kind: identity, gate: {kind: bernoulli, keep_prob: 0.9}},
      c: {kind: elementwise, weight: -0.5, lag: 2, gate: {kind: gaussian, std: 0.3, share: time}}}}
  d: {nodes: 3, family: soft, parents: {c: dense, a: dense}}
  e1: {nodes: 3, family: soft, parents: {e1: {kind: identity, lag: 1, gate: {kind: bernoulli, keep_prob: 0.5}}}}
  y: {role: output, nodes: 2, family: {kind: rectified_gaussian, std: 1}, parents: {d: dense, e1: dense}}
independence:
  - d[i,t] ⟂ c[j,t] | parents  where abs(i - j) > 1
  - d[i,t] ⟂ a[j,t] | parents  where j > i
inference: {eval: {method: moments}}
"""
RECURRENT = """cgc: 1
name: recurrent
families: {node: FAMILY}
time: {steps: 4}
components:
  x: {role: input, nodes: 4, family: {kind: binary, values: [0, 1]}, clamp: soft}
  h: {nodes: 4, family: node, stack: 2, normalize: batch, parents: {x: dense, h: {kind: elementwise, lag: 1}}}
  y: {role: output, at: last, nodes: 1, family: {kind: categorical, labels: 3}, parents: {h: dense}}
inference: {eval: {method: moments}}
"""


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("text", [DENSE, RECURRENT], ids=["dense", "recurrent"])
def test_families_agree_with_the_interpreter(tmp_path: Path, family: str, text: str) -> None:
    moments_agree_with_the_interpreter(of_family(tmp_path, family, text if family != "labels" else text.replace("elementwise", "dense")))


@pytest.mark.parametrize("kind", sorted(set(registry()) - {"categorical"}))
def test_every_family_agrees_with_the_interpreter(tmp_path: Path, kind: str) -> None:
    family = yaml.safe_dump({"kind": kind, **registry()[kind].example()}, default_flow_style=True, width=10_000).strip()
    text = FAMILY.replace("node: FAMILY", f"node: {family}").replace("parents: {a: dense}", "parents: {x: dense}")
    moments_agree_with_the_interpreter(emit(tmp_path, text.replace("parents: {b: dense}", "parents: {a: dense, b: dense}")))


@pytest.mark.parametrize("text", [WORDS, GATES, NETWORK], ids=["words", "gates", "network"])
def test_agrees_with_the_interpreter(tmp_path: Path, text: str) -> None:
    moments_agree_with_the_interpreter(emit(tmp_path, text))


def test_without_noise_the_variance_is_0_and_the_mean_is_feed_forward(tmp_path: Path) -> None:
    text = NETWORK.replace("h: {nodes: 8, family: spin", "h: {nodes: 8, family: {kind: gaussian, std: 0}")
    package = emit(tmp_path, text)
    model, given = package.model(), inputs_of(package)
    m, v = model.energies(**given)
    assert (v < 1e-300).all()
    torch.testing.assert_close(m, model.inference("feed_forward")(**given), rtol=1e-12, atol=1e-12)
    got = interpret_moments(package.compiled.program, arrays(model), {"x": given["x"].numpy()})
    plain = interpret(package.compiled.program, arrays(model), {"x": given["x"].numpy()})
    np.testing.assert_allclose(got["y"].mean.energies, plain.layers["y"].energies, rtol=1e-12)


def test_moments_of_gates_by_hand(tmp_path: Path) -> None:
    """D X for X = q in [0, 1] given as an expectation: q (1 - q) is the variance of X."""
    text = """cgc: 1
name: by_hand
components:
  x: {role: input, nodes: 1, family: {kind: binary, values: [0, 1]}, clamp: soft}
  y: {role: output, nodes: 1, family: {kind: gaussian, std: 0.5}, bias: 0.25, parents: {x: {kind: identity, gate: GATE}}}
inference: {eval: {method: moments}}
"""
    q = torch.tensor([[0.3]], dtype=torch.float64)
    for gate, mean, variance in (
        ("{kind: bernoulli, keep_prob: 0.75}", 0.75 * 0.3, 0.75 * 0.3 - (0.75 * 0.3) ** 2),
        ("{kind: gaussian, std: 0.5}", 0.3, 0.3 * 0.7 + 0.25 * 0.3),
    ):
        model = emit(tmp_path, text.replace("GATE", gate)).model()
        m, v = model.energies(q).flatten().tolist()
        assert abs(m - mean - 0.25) < 1e-15 and abs(v - variance) < 1e-15
        # the likelihood of a Gaussian node in closed form
        wanted = -((1 - m) ** 2) / (2 * (v + 0.25)) - math.log(2 * math.pi * (v + 0.25)) / 2
        assert abs(model.log_prob(q, torch.ones(1, 1)) - wanted) < 1e-12


LIKELIHOODS = {
    "spin": ("{kind: binary, values: [-1, 1]}", [-1.0, 1.0]),
    "states": ("{kind: exponential_family, support: [-1, 0, 2]}", [-1.0, 0.0, 2.0]),
    "labels": ("{kind: categorical, labels: 3, reference_label: 0}", [0, 1, 2]),
    "gaussian": ("{kind: gaussian, std: 0.01}", []),
    "rectified": ("{kind: rectified_gaussian, std: 0.3}", [0.0]),
}


@pytest.mark.parametrize("kind", list(LIKELIHOODS))
def test_likelihoods_are_normalised_and_near_those_of_draws(tmp_path: Path, kind: str) -> None:
    family, atoms = LIKELIHOODS[kind]
    text = FAMILY.replace("node: FAMILY", "node: {kind: binary, values: [-1, 1]}")
    text = text.replace("nodes: 3, family: {kind: gaussian, std: 0.5}", f"nodes: 1, family: {family}")
    model = emit(tmp_path, text).model()
    x = torch.tensor([[0.7, -0.4, 0.2, 1.0]], dtype=torch.float64)
    labels = kind == "labels"
    states = torch.tensor(atoms) if labels else torch.tensor(atoms, dtype=torch.float64)[:, None]
    grid = torch.linspace(-12, 12, 24_001, dtype=torch.float64)[:, None]
    grid = grid[grid[:, 0] > 0] if kind == "rectified" else grid if kind == "gaussian" else grid[:0]
    with torch.no_grad():
        p = model.log_prob(x.expand(len(states), 4), states).exp() if atoms else torch.zeros(0)
        density = model.log_prob(x.expand(len(grid), 4), grid).exp() if len(grid) else torch.zeros(0)
        assert abs(p.sum() + density.sum() * 1e-3 - 1) < 1e-3
        assert abs(model.loss(x, states[:1] if atoms else grid[:1]) + model.log_prob(x, states[:1] if atoms else grid[:1])[0]) < 1e-12
        if atoms:
            torch.manual_seed(0)
            share = [(model.sample(x, n=MANY)[:, 0] == state).double().mean() for state in states]
            assert (p - torch.stack(share)).abs().max() < 0.05


# ---- how it is chosen


def test_other_methods_still_work_and_are_those_of_other_packages(tmp_path: Path) -> None:
    here, there = emit(tmp_path, GATES), emit(tmp_path, GATES.replace("inference: {eval: {method: moments}}\n", ""))
    given = inputs_of(here)
    for method in ("feed_forward", "pcff", "sample"):
        for training in (False, True):
            results = []
            for package in (here, there):
                model = package.model().train(training).inference(method, 0.5, samples=3)
                torch.manual_seed(3)
                results.append((model(**given), model.expectation(**given), model.log_prob(**given, y=torch.ones(5, 4, 2))))
            torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)
    model = here.model()
    assert model.how[False].moments and not model.how[True].moments
    with pytest.raises(ValueError, match="evaluation"):
        model.inference("moments", training=True)
    assert model.inference("sample").inference("moments").how[False].moments and model.how[True].sampled
    with pytest.raises(ValueError, match="moments"):
        there.model().inference("moments")
    with pytest.raises(ValueError, match="guess"):
        here.model().inference("guess")


def test_only_evaluation_knows_moments(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        emit(tmp_path, NETWORK.replace("{eval: {method: moments}}", "{train: {method: moments}}"))
    assert [d.code for d in error.value.diagnostics] == ["CG304"]


def test_a_stream_keeps_mean_and_variance(tmp_path: Path) -> None:
    for text in (WORDS, GATES, RECURRENT.replace("FAMILY", FAMILIES["modulated"])):
        package = emit(tmp_path, text)
        model, given = package.model(), inputs_of(package)
        whole = parts(package, model(**given))
        state, pieces = None, []
        for t in range(4):
            e, state = model(**{name: value[:, t : t + 1] for name, value in given.items()}, state=state, return_state=True)
            pieces.append(parts(package, e))
            assert all(value.shape[0] == 2 for value in state.values())
        for name, value in whole.items():
            last = package.compiled.program.layer(name).last
            got = pieces[-1][name] if last else torch.cat([piece[name] for piece in pieces], 1)
            torch.testing.assert_close(got, value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("family", ["modulated", "softplus", "labels", "rectified"])
def test_gradients_are_finite_where_inputs_have_no_variance(tmp_path: Path, family: str) -> None:
    model = of_family(tmp_path, family, FAMILY.replace("{kind: binary, values: [-1, 1]}, clamp: soft", "{kind: gaussian, std: 1}")).model()
    x = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    model.loss(x, torch.zeros(3, 3)).backward()
    assert torch.isfinite(x.grad).all() and all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("text", [WORDS, GATES, DENSE, RECURRENT], ids=["words", "gates", "dense", "recurrent"])
def test_bfloat16_under_autocast(tmp_path: Path, text: str) -> None:
    package = emit(tmp_path, text.replace("FAMILY", FAMILIES["modulated"]))
    model, given = package.model(dtype=torch.float32), inputs_of(package)
    given = {name: value.float() if value.is_floating_point() else value for name, value in given.items()}
    with torch.no_grad():
        exact = parts(package, model(**given))
        with torch.autocast("cpu", torch.bfloat16):
            rough = parts(package, model(**given))
    for name, value in exact.items():
        torch.testing.assert_close(rough[name].float(), value, rtol=0.1, atol=0.1)


def test_the_text_is_formatted_and_clean(tmp_path: Path) -> None:
    folders = [emit(tmp_path, text).folder for text in (GATES, NETWORK)]
    folders += [of_family(tmp_path, family, RECURRENT).folder for family in ("rectified", "modulated", "states", "probit")]
    for command in (["format", "--check", "--isolated", "--line-length", "120"], ["check", "--isolated", "--select", "E9,F,B,UP"]):
        files = [str(folder / "model.py") for folder in folders]
        done = subprocess.run([sys.executable, "-m", "ruff", *command, *files], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("name", "backend"), [("mnist_dense", "inductor"), ("indrnn", "eager")])
def test_compiles_as_one_graph(tmp_path: Path, name: str, backend: str) -> None:
    """The graph of the recurrent one is large, because of its formulas: it is traced, and not compiled further."""
    model = emit(tmp_path, SPECS / f"{name}.yaml", {"hidden": 6}, (("inference.eval.method", "moments"),)).model()
    x = torch.rand(4, 784, dtype=torch.float64) if name == "mnist_dense" else torch.rand(4, 2, 8, dtype=torch.float64)
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    torch.testing.assert_close(compiled(x), model(x), rtol=1e-12, atol=1e-12)
