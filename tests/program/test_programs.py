"""Programs as text, the interpreter by hand, and stacks rolled up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cgc.compiler
from cgc.program.dump import dump
from cgc.program.interpret import interpret
from cgc.program.ir import Program, Repeat, Scan
from cgc.program.parameters import learned_size, parameters

HERE = Path(__file__).parent
SPECS = HERE.parents[1] / "specs"


def program(place: Path) -> Program:
    return cgc.compiler.inspect(place).program


@pytest.mark.parametrize("name", ["srn", "indrnn", "loop"])
def test_dumps(name: str, update: bool) -> None:
    text = dump(program(HERE / "loop.yaml" if name == "loop" else SPECS / f"{name}.yaml"))
    expected = HERE / f"{name}.program.txt"
    if update:
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def test_components_that_need_each_others_past_share_a_loop() -> None:
    (scan,) = (stage for stage in program(HERE / "loop.yaml").stages if isinstance(stage, Scan))
    assert [layer.name for layer in scan.layers] == ["h", "m"]


def written(folder: Path, text: str) -> Program:
    place = folder / "spec.yaml"
    place.write_text(text, encoding="utf-8")
    return program(place)


STACK = """cgc: 1
name: stack
components:
  x: {role: input, nodes: 3, family: {kind: gaussian, std: 1}}
  h: {nodes: 4, family: {kind: binary, values: [-1, 1]}, stack: TIMES, parents: {x: dense}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: 3, reference_label: 1}, parents: {h: dense}}
"""


def test_a_stack_of_any_depth_is_one_stage(tmp_path: Path) -> None:
    deep = written(tmp_path, STACK.replace("TIMES", "50"))
    assert len(deep.stages) == 2 and isinstance(deep.stages[0], Repeat)
    assert len(deep.stages[0].stages) == 50 == len(deep.layers()) - 1
    assert learned_size(deep) == (3 * 4 + 4) + 49 * (4 * 4 + 4) + (2 * 4 + 2)


def test_state_dict_of_a_stack(tmp_path: Path) -> None:
    assert {p.key: p.shape for p in parameters(written(tmp_path, STACK.replace("TIMES", "2")))} == {
        "h.0.x.weight": (4, 3),
        "h.0.bias": (4,),
        "h.1.x.weight": (4, 4),
        "h.1.bias": (4,),
        "y.h.weight": (2, 4),
        "y.bias": (2,),
    }


def test_the_interpreter_by_hand(tmp_path: Path) -> None:
    """h = tanh(W x + b), and the reference label's 0 stands in the middle."""
    generator = np.random.default_rng(0)
    net = written(tmp_path, STACK.replace("TIMES", "1"))
    numbers = {p.key: generator.normal(size=p.shape) for p in parameters(net)}
    x = generator.normal(size=(5, 3))
    h = np.tanh(x @ numbers["h.0.x.weight"].T + numbers["h.0.bias"])
    free = h @ numbers["y.h.weight"].T + numbers["y.bias"]
    got = interpret(net, numbers, {"x": x}).layers
    np.testing.assert_allclose(got["h.0"].features, h, rtol=1e-13)
    np.testing.assert_allclose(got["y"].energies, np.stack([free[:, 0], np.zeros(5), free[:, 1]], 1), rtol=1e-13)
    e = np.exp(got["y"].energies)
    np.testing.assert_allclose(got["y"].features, e / e.sum(1, keepdims=True), rtol=1e-13)


def test_the_interpreter_over_time_by_hand(tmp_path: Path) -> None:
    """A running sum with a gate, its mean and a draw; normalisation by the batch; only valid steps count."""
    text = """cgc: 1
name: memory
time: {steps: 3}
components:
  x: {role: input, nodes: 1, family: {kind: gaussian, std: 1}}
  h: {nodes: 1, family: {kind: gaussian, std: 0}, bias: false,
      parents: {x: identity, h: {kind: identity, lag: 1, gate: {kind: bernoulli, keep_prob: 0.5}}}}
  n: {nodes: 1, family: {kind: gaussian, std: 0}, bias: 3, normalize: batch, parents: {h: {kind: dense, weight: 2}}}
  y: {role: output, nodes: 1, at: last, family: {kind: gaussian, std: 1}, bias: false, parents: {n: identity}}
"""
    net = written(tmp_path, text)
    numbers = {p.key: np.ones(p.shape) for p in parameters(net)} | {"n.normalize.running_mean": np.zeros(1)}
    x = np.array([[1.0, 2, 3], [4, 0, 100]])[..., None]
    got = interpret(net, numbers, {"x": x}, lengths=np.array([3, 2]))
    h = np.array([[1, 2.5, 4.25], [4, 2, 101]])
    np.testing.assert_allclose(got.layers["h"].features[..., 0], h)
    np.testing.assert_allclose(got.layers["y"].energies[:, 0], 2 * np.array([4.25, 2]) / np.sqrt(1 + 1e-5) + 3)
    drawn = interpret(net, numbers, {"x": x}, gates={("h", "h"): np.array([[[1.0]], [[0.0]]])})
    np.testing.assert_allclose(drawn.layers["h"].features[..., 0], [[1, 3, 6], [4, 0, 100]])
    batch = interpret(net, numbers, {"x": x}, training=True, lengths=np.array([3, 2]))
    valid = 2 * np.array([1, 2.5, 4.25, 4, 2])
    wanted = (2 * np.array([4.25, 2]) - valid.mean()) / np.sqrt(valid.var() + 1e-5) + 3
    np.testing.assert_allclose(batch.layers["y"].energies[:, 0], wanted)
    np.testing.assert_allclose(batch.buffers["n.normalize.running_mean"], 0.1 * valid.mean())
    np.testing.assert_allclose(batch.buffers["n.normalize.running_var"], 0.9 + 0.1 * valid.var(ddof=1))
