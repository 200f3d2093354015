"""Modules, blocks, hidden gates, shared weights and several inputs and outputs: emitted models against the interpreter, term by term."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from packages import Package, arrays, emit
from torch import Tensor

from cgc.program.interpret import interpret, interpret_moments
from cgc.program.ir import Map, Module, Repeat, Scan
from cgc.program.parameters import parameters
from cgc.source.diagnostics import SpecError

HEAD = """
cgc: 1
name: made
families:
  bit: {kind: binary, values: [0, 1]}
  spin: {kind: binary, values: [-1, 1]}
  rect: {kind: rectified_gaussian, std: tanh(e), emit: relu}
  linear: {kind: gaussian, std: 0}
  labels: {kind: categorical, labels: 3}
"""
Y = "  y: {role: output, nodes: 1, family: labels, parents: {PARENT: dense}}\n"
TIMED = {
    "peephole": """time: {steps: 4}
components:
  x: {role: input, nodes: 3, family: linear}
  cell:
    stack: {times: 3, input: x}
    output: h
    components:
      f: {nodes: 5, family: bit, parents: {x: dense, h: {kind: dense, lag: 1}, c: {kind: elementwise, lag: 1}}}
      g: {nodes: 5, family: spin, parents: {x: dense, h: {kind: dense, lag: 1}}}
      c:
        nodes: 5
        family: linear
        bias: false
        parents: {c: {kind: identity, lag: 1, gate: {component: f, open: 1}}, g: {kind: identity, gate: {component: f, open: 0}}}
      o: {nodes: 5, family: bit, parents: {x: dense, c: elementwise}}
      m: {nodes: 5, family: spin, bias: false, parents: {c: identity}}
      h: {nodes: 5, family: linear, bias: false, parents: {m: {kind: identity, gate: {component: o, open: 1}}}}
  y: {role: output, at: last, nodes: 1, family: labels, parents: {cell: dense, cell.c: {kind: dense, name: memory}}}
""",
    "modules inside modules": """time: {steps: 4}
components:
  x: {role: input, nodes: 3, family: linear}
  outer:
    stack: {times: 2, input: x}
    output: out
    components:
      inner:
        stack: 2
        output: b
        components:
          a: {nodes: 4, family: rect, normalize: batch, parents: {x: dense, b: {kind: dense, lag: 2}}}
          b: {nodes: 4, family: spin, parents: {a: dense}}
      out: {nodes: 3, family: rect, parents: {inner: dense, x: {kind: dense, lag: 1}}}
  y: {role: output, at: last, nodes: 1, family: labels, parents: {outer: {kind: dense, lag: 1}}}
""",
    "a loop across a module": """time: {steps: 4}
components:
  x: {role: input, nodes: 3, family: linear}
  cell:
    output: b
    components:
      a: {nodes: 4, family: rect, parents: {x: dense, outside: {kind: dense, lag: 1}}}
      b: {nodes: 4, family: spin, parents: {a: dense}}
  outside: {nodes: 3, family: bit, parents: {cell: dense}}
  y: {role: output, nodes: 1, family: labels, parents: {outside: dense, cell.a: dense}}
""",
    "gates on lagged and dropped edges": """time: {steps: 5}
components:
  x: {role: input, nodes: 4, family: spin}
  side: {nodes: 4, family: spin, parents: {x: dense}}
  one: {nodes: 1, family: bit, parents: {x: dense}}
  choice: {nodes: 4, family: labels, parents: {x: dense}}
  h:
    nodes: 4
    family: rect
    normalize: batch
    parents:
      x:
        - {kind: dense, name: first, gate: {component: side, open: -1}}
        - {kind: dense, name: second, gate: {component: choice, open: 2}}
      side: {kind: dense, lag: 2, gate: {component: one, open: 0}}
      h: {kind: elementwise, lag: 1, gate: {component: one, open: 1}}
  y: {role: output, nodes: 1, family: labels, parents: {h: dense}}
""",
}
TIMED |= {
    "gates of a layer below, in a loop": """time: {steps: 4}
components:
  x: {role: input, nodes: 3, family: spin}
  h:
    nodes: 3
    family: spin
    stack: 3
    parents: {x: {kind: dense, gate: {component: x, open: 1}}, h: {kind: dense, lag: 1, gate: {component: x, open: -1}}}
  y: {role: output, nodes: 1, family: labels, parents: {h: dense}}
""",
    "a gate in a normalised loop": """time: {steps: 4}
components:
  x: {role: input, nodes: 2, family: linear}
  a: {nodes: 2, family: bit, parents: {b: {kind: dense, lag: 1}}}
  b: {nodes: 2, family: linear, normalize: layer, parents: {x: {kind: dense, gate: {component: a, open: 1}}}}
  y: {role: output, at: last, nodes: 1, family: labels, parents: {b: dense}}
""",
    "refined, with a past from outside": """time: {steps: 4}
components:
  x: {role: input, nodes: 2, family: linear}
  w: {role: input, nodes: 3, family: spin}
  h: {nodes: 4, family: bit, normalize: batch, parents: {w: {kind: dense, lag: 1}, x: dense}}
  y: {role: output, at: last, nodes: 1, family: labels, parents: {h: dense}}
refine:
  h: {times: 3, through: {z: {nodes: 2, family: spin, parents: {previous: {kind: dense, lag: 1}, z: {kind: dense, lag: 2}}}}, back: dense}
""",
    "a long name": """time: {steps: 4}
components:
  x: {role: input, nodes: 2, family: linear}
  outer:
    output: z
    components:
      recurrent_inner_module_of_it:
        output: h
        components:
          a: {nodes: 2, family: bit, normalize: batch, parents: {x: dense, h: {kind: dense, lag: 1}}}
          h: {nodes: 2, family: linear, parents: {a: dense}}
      z: {nodes: 2, family: linear, parents: {recurrent_inner_module_of_it: dense}}
  y: {role: output, at: last, nodes: 1, family: labels, parents: {outer: dense}}
""",
}
STILL = {
    "a stack inside a module": """components:
  x: {role: input, nodes: 3, family: linear}
  h:
    output: d
    components:
      b: {nodes: 3, stack: 3, family: spin, parents: {x: dense}}
      d: {nodes: 2, family: rect, parents: {b: dense}}
  y: {role: output, nodes: 1, family: labels, parents: {h: dense}}
""",
    "refined, with normalised weights": """components:
  x: {role: input, nodes: 3, family: linear}
  h: {nodes: 4, family: spin, normalize: weight, parents: {x: dense}}
  y: {role: output, nodes: 1, family: labels, parents: {h: dense}}
refine:
  h: {times: 2, through: {z: {nodes: 2, family: spin, normalize: weight, parents: {previous: dense}}}, back: dense}
""",
    "refined labels": """components:
  x: {role: input, nodes: 3, family: linear}
  h: {nodes: 2, family: labels, parents: {x: dense}}
  y: {role: output, nodes: 1, family: labels, parents: {h: dense}}
refine:
  h: {times: 2, through: {z: {nodes: 2, family: linear, parents: {previous: dense}}}, back: dense}
""",
    "dropout without weights": """components:
  x: {role: input, nodes: 3, family: linear}
  h: {nodes: 3, family: linear, bias: false, parents: {x: {kind: identity, gate: {kind: bernoulli, keep_prob: 0.5}}}}
  y: {role: output, nodes: 1, family: labels, parents: {h: {kind: dense, gate: {kind: gaussian, std: 0.5}}}}
""",
    "blocks": """components:
  x: {role: input, nodes: [2, 4, 4], family: linear}
  v: {role: input, nodes: 3, family: spin}
  h:
    family: rect
    normalize: batch
    parents: {v: dense}
    blocks:
      one: {nodes: [2, 4, 4], parents: {x: {kind: conv2d, kernel_size: 3, padding: 1}}}
      two: {nodes: [1, 4, 4], parents: {x: {kind: conv2d, kernel_size: 1}, v: dense}}
      three: {nodes: [1, 4, 4], parents: {x: dense}}
  p: {nodes: 4, family: linear, bias: false, parents: {h: {kind: avg_pool, kernel_size: all}}}
  y: {role: output, nodes: 1, family: labels, parents: {p: dense}}
  w: {role: output, nodes: 3, family: spin, parents: {h: dense, v: identity}}
independence:
  - h[3,r,s] ⟂ x[d,u,q] | parents  where abs(r - u) > 1
""",
    "gates of maps": """components:
  x: {role: input, nodes: [2, 4, 4], family: linear}
  a: {nodes: [3, 4, 4], family: rect, parents: {x: {kind: conv2d, kernel_size: 3, padding: 1}}}
  p: {nodes: 3, family: linear, bias: false, parents: {a: {kind: avg_pool, kernel_size: all}}}
  s: {nodes: [3, 1, 1], family: bit, parents: {p: dense}}
  r: {nodes: [1, 4, 1], family: spin, parents: {a: dense}}
  h:
    nodes: [3, 4, 4]
    family: rect
    bias: false
    parents: {a: {kind: identity, gate: {component: s, open: 1}}, x: {kind: conv2d, kernel_size: 1, gate: {component: r, open: 1}}}
  y: {role: output, nodes: 1, family: labels, parents: {h: dense}}
""",
    "parts around something else": """components:
  x: {role: input, nodes: 3, family: linear}
  m:
    output: b
    components:
      a: {nodes: 4, family: rect, parents: {x: dense}}
      b: {nodes: 4, family: rect, parents: {between: dense}}
  between: {nodes: 2, family: spin, parents: {m.a: dense}}
  y: {role: output, nodes: 1, family: labels, parents: {m: dense}}
""",
    "weights of others": """components:
  x: {role: input, nodes: 3, family: spin}
  u: {role: input, nodes: 3, family: spin}
  a: {nodes: 4, family: rect, parents: {x: dense}}
  b: {nodes: 4, family: rect, parents: {u: {kind: dense, weight: {same_as: a.x}}}}
  h: {nodes: 4, family: spin, stack: {times: 3, input: a}, parents: {a: dense, b: elementwise}}
  g: {nodes: 4, family: spin, parents: {h: {kind: dense, weight: {same_as: h.1.a}}, b: {kind: elementwise, weight: {same_as: h.0.b}}}}
  y: {role: output, nodes: 1, family: labels, parents: {g: dense}}
""",
    "refined, twice": """components:
  x: {role: input, nodes: 3, family: spin}
  a: {nodes: 4, family: rect, normalize: layer, parents: {x: dense}}
  b: {nodes: 3, family: spin, stack: 2, parents: {a: dense}}
  y: {role: output, nodes: 1, family: labels, parents: {b: dense}}
refine:
  a: {times: 2, through: {z: {nodes: 2, family: spin, parents: {previous: dense, x: dense}}}, back: dense}
  b:
    times: 3
    through:
      z: {nodes: 2, family: rect, parents: {previous: dense}}
      v: {nodes: 5, family: bit, parents: {previous: dense}}
    back: dense
""",
}
STILL["stacks side by side"] = """components:
  x: {role: input, nodes: 3, family: linear}
  s: {nodes: 4, family: spin, stack: 4, parents: {x: dense}}
  r: {nodes: 3, family: bit, stack: 2, parents: {x: dense}}
  q: {nodes: 3, family: rect, stack: {times: 3, input: r}, parents: {r: dense, s: dense}}
  y: {role: output, nodes: 1, family: labels, parents: {s: dense, r: dense, q: dense}}
"""
TIMED["a stack partly in a loop"] = """time: {steps: 4}
components:
  x: {role: input, nodes: 3, family: linear}
  s: {nodes: 3, family: spin, stack: 4, parents: {x: dense, s: {kind: elementwise, lag: 1}}}
  r: {nodes: 2, family: bit, parents: {x: dense, s.0: dense, r: {kind: dense, lag: 1}}}
  q: {nodes: 3, family: spin, stack: 3, parents: {x: dense}}
  y: {role: output, nodes: 1, family: labels, parents: {s: dense, r: dense, q: dense, q.1: {kind: dense, lag: 2}}}
"""
TIMED["copies that are named"] = """time: {steps: 4}
components:
  x: {role: input, nodes: 3, family: linear}
  h: {nodes: 3, family: bit, stack: 3, parents: {x: dense, h: {kind: dense, lag: 1}}}
  cell:
    stack: {times: 3, input: h.1}
    output: o
    components:
      c: {nodes: 3, family: spin, parents: {h.1: dense, h.0: {kind: dense, lag: 1}}}
      o: {nodes: 3, family: linear, parents: {c: {kind: identity, gate: {component: h.0, open: 0}}, o: {kind: dense, lag: 1}}}
  g: {nodes: 3, family: rect, stack: 2, parents: {cell.0: dense}}
  y:
    role: output
    nodes: 1
    family: labels
    parents: {h: dense, h.0: {kind: dense, gate: {component: h.2, open: 1}}, cell.1.c: dense, cell: dense, g.0: dense, g: dense}
"""
TIMED["tables that are shared"] = """time: {steps: 4}
components:
  a: {role: input, nodes: 1, family: {kind: categorical, labels: 4}}
  b: {role: input, nodes: 1, family: {kind: categorical, labels: 4}}
  k: {nodes: 1, family: {kind: categorical, labels: 4}, parents: {a: dense}}
  em: {nodes: 5, family: linear, bias: false, parents: {a: dense, b: {kind: dense, weight: {same_as: em.a}}}}
  z: {nodes: 5, family: spin, normalize: weight, parents: {b: {kind: dense, lag: 1}, z: {kind: dense, lag: 1}}}
  w: {nodes: 5, family: rect, parents: {k: {kind: dense, weight: {same_as: em.a}}, z: dense}}
  y: {role: output, nodes: 1, family: labels, parents: {em: dense, w: dense}}
""".replace("  k:", "  kk:").replace("{k:", "{kk:")
SPECS = TIMED | STILL


def inputs(package: Package, batch: int, steps: int, seed: int = 0) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    found = {}
    for item in package.compiled.program.inputs:
        shape = (batch, *([steps] if package.compiled.program.steps else []), *item.nodes)
        states = item.law == "spin"
        found[item.name] = generator.choice([-1.0, 1.0], shape) if states else generator.normal(size=shape)
        if item.labels is not None:
            found[item.name] = generator.integers(item.labels, size=shape[:-1])
    return found


def energies(model: Any, package: Package, given: dict[str, Any], **rest: Any) -> dict[str, Any]:
    output = model(*(torch.tensor(value) for value in given.values()), **rest)
    names = package.compiled.program.outputs
    return dict(zip(names, output if len(names) > 1 else (output,), strict=True))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", SPECS)
def test_agrees_with_the_interpreter(tmp_path: Path, name: str, training: bool) -> None:
    package = emit(tmp_path, HEAD + SPECS[name])
    model = package.model(5).train(training)
    if training and "dropout" in name:
        model.how[True] = model.how[True]._replace(gates=False)
    assert {p.key for p in parameters(package.compiled.program)} <= set(model.state_dict())
    assert sum(p.numel() for p in model.parameters()) == sum(p.size for p in parameters(package.compiled.program) if p.learned)
    for lengths in [None, [5, 2, 4]] if name in TIMED else [None]:
        state = arrays(model)
        given = inputs(package, 3, 5)
        rest = {} if lengths is None else {"lengths": torch.tensor(lengths)}
        found = energies(model, package, given, **rest)
        expected = interpret(package.compiled.program, state, given, training, None if lengths is None else np.array(lengths))
        for output, e in found.items():
            valid = np.ones(e.shape[:1], bool) if lengths is None else np.array(lengths)[:, None] > np.arange(e.shape[1])
            if lengths is None or e.dim() == 2:
                np.testing.assert_allclose(e.detach().numpy(), expected.layers[output].energies, atol=1e-11, rtol=1e-10)
            else:
                np.testing.assert_allclose(e.detach().numpy()[valid], expected.layers[output].energies[valid], atol=1e-11, rtol=1e-10)


@pytest.mark.parametrize("name", SPECS)
def test_moments_agree_with_the_interpreter(tmp_path: Path, name: str) -> None:
    package = emit(tmp_path, HEAD + "inference: {eval: {method: moments}}\n" + SPECS[name])
    model = package.model(5)
    given = inputs(package, 3, 5)
    expected = interpret_moments(package.compiled.program, arrays(model), given)
    for output, e in energies(model, package, given).items():
        np.testing.assert_allclose(e.detach().numpy(), expected[output].mean.energies, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", SPECS)
def test_draws_train_and_have_gradients(tmp_path: Path, name: str) -> None:
    package = emit(tmp_path, HEAD + SPECS[name])
    model = package.model(5).train()
    model.inference("pcff", 0.4, "straight_through", training=True)
    given = [torch.tensor(value) for value in inputs(package, 4, 5).values()]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    torch.manual_seed(0)
    targets = model.inference("feed_forward").eval().decode(*given)
    targets = list(targets) if isinstance(targets, tuple) else [(targets + 1) % 3]
    model.train().inference("pcff", 0.4, "straight_through", training=True)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = model.loss(*given, *targets)
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert model.eval().sample(*given, 3) is not None


@pytest.mark.parametrize("name", TIMED)
def test_streams_in_pieces(tmp_path: Path, name: str) -> None:
    package = emit(tmp_path, HEAD + SPECS[name])
    model = package.model(5)
    given = [torch.tensor(value) for value in inputs(package, 2, 7).values()]
    whole, last = model(*given, return_state=True)
    state, pieces = None, []
    for start, stop in ((0, 1), (1, 4), (4, 7)):
        e, state = model(*(x[:, start:stop] for x in given), state=state, return_state=True)
        pieces.append(e)
    joined = pieces[-1] if whole.dim() == 2 else torch.cat(pieces, 1)
    torch.testing.assert_close(joined, whole, rtol=1e-11, atol=1e-12)
    assert flat(state).keys() == flat(last).keys()
    for key, value in flat(last).items():
        torch.testing.assert_close(flat(state)[key], value, rtol=1e-11, atol=1e-12)


def flat(state: Any, start: str = "") -> dict[str, Tensor]:
    found = {}
    for key, value in state.items():
        found |= flat(value, f"{start}{key}.") if isinstance(value, dict) else {f"{start}{key}": value}
    return found


def test_shared_weights_stay_equal(tmp_path: Path) -> None:
    package = emit(tmp_path, HEAD + SPECS["weights of others"])
    model = package.model(5)
    assert model.b.u.weight is model.a.x.weight and model.g.h.weight is model.h[1].a.weight
    reloaded = package.module.Model().double()
    reloaded.load_state_dict(model.state_dict())
    given = [torch.tensor(value) for value in inputs(package, 4, 5).values()]
    torch.testing.assert_close(reloaded.eval()(*given), model(*given))
    F.cross_entropy(model(*given), torch.tensor([0, 1, 2, 0])).backward()
    assert model.a.x.weight.grad is not None


def test_what_can_be_one_block_is_one(tmp_path: Path) -> None:
    kinds = {name: [type(s) for s in emit(tmp_path / str(k), HEAD + SPECS[name]).compiled.program.stages] for k, name in enumerate(SPECS)}
    assert kinds["a stack inside a module"][0] is Module and kinds["modules inside modules"][0] is Module
    lstm = emit(tmp_path / "lstm", Path(__file__).parents[2] / "specs" / "lstm.yaml").compiled.program
    assert type(lstm.stages[0]) is Repeat
    assert Scan in kinds["a loop across a module"] and Module not in kinds["a loop across a module"]
    assert set(kinds["parts around something else"]) == {Map}


def test_copies_are_read_that_are_named(tmp_path: Path) -> None:
    """By hand: a gate, a module's inner component and a stack's input, each in a copy that is not the last."""
    text = """components:
  x: {role: input, nodes: 3, family: linear}
  h: {nodes: 3, family: bit, stack: 3, parents: {x: dense}}
  g: {nodes: 3, family: spin, stack: 2, parents: {h.1: dense}}
  y: {role: output, nodes: 1, family: labels, parents: {h: dense, g: dense, h.0: {kind: dense, gate: {component: g.0, open: -1}}}}
"""
    package = emit(tmp_path, HEAD + text)
    model = package.model(3)
    x = torch.randn(4, 3, dtype=torch.float64)
    h, below = [], x
    for layer in model.h:
        below = torch.sigmoid(F.linear(below, layer.x.weight, layer.bias))
        h.append(below)
    g, below = [], h[1]
    for layer in model.g:
        below = torch.tanh(F.linear(below, layer.h_1.weight, layer.bias))
        g.append(below)
    y = model.y
    e = y.h(h[2]) + y.g(g[1]) + y.h_0(h[0] * (1 - g[0]) / 2) + y.bias
    torch.testing.assert_close(model(x), e, rtol=1e-12, atol=1e-12)


def test_rows_of_a_shared_table_are_those_of_labels(tmp_path: Path) -> None:
    """However its input is read elsewhere: looked up, with a lag, or of a hidden component."""
    package = emit(tmp_path, HEAD + SPECS["tables that are shared"])
    model = package.model(3)
    a, b = torch.randint(4, (2, 5)), torch.randint(4, (2, 5))
    table, one_hot = model.em.a.weight, F.one_hot(b, 4).double()
    torch.testing.assert_close(model.em(a, one_hot), table[a] + table[b])
    assert tuple(model.z.b.weight.shape) == tuple(table.shape) == (4, 5)
    # the same layout without the edge that has a lag, so that a checkpoint goes over
    text = (HEAD + SPECS["tables that are shared"]).replace("{b: {kind: dense, lag: 1}, z:", "{b: dense, z:").replace("made", "other")
    other = emit(tmp_path / "other", text).model(3)
    assert {key: value.shape for key, value in model.state_dict().items()} == {k: v.shape for k, v in other.state_dict().items()}


def test_a_labelled_input_is_a_gate(tmp_path: Path) -> None:
    text = """components:
  x: {role: input, nodes: 1, family: labels}
  w: {role: input, nodes: 2, family: linear}
  h: {nodes: 2, family: linear, parents: {w: {kind: dense, gate: {component: x, open: 1}}}}
  y: {role: output, nodes: 1, family: labels, parents: {h: dense}}
"""
    model = emit(tmp_path, HEAD + text).model(1)
    x, w = torch.tensor([0, 1, 2, 1]), torch.randn(4, 2, dtype=torch.float64)
    h = ((x == 1)[:, None] * w) @ model.h.w.weight.T + model.h.bias
    torch.testing.assert_close(model(x, w), h @ model.y.h.weight.T + model.y.bias)


def test_rates_of_single_components_where_some_are_refined(tmp_path: Path) -> None:
    rates = "inference: {train: {method: pcff, sample_rate: {a: 0.3, a.refine.z: 1}}}\n"
    package = emit(tmp_path, HEAD + rates + SPECS["refined, twice"])
    model = package.model(5).train()
    given = [torch.tensor(value) for value in inputs(package, 4, 5).values()]
    torch.manual_seed(0)
    assert not torch.equal(model(*given), model(*given)) and torch.equal(model.eval()(*given), model(*given))


@pytest.mark.parametrize(
    ("name", "old", "new", "code"),
    [
        ("refined, twice", "v: {nodes: 5, family: bit,", "v: {nodes: 5, family: bit, stack: 2,", "CG363"),
        ("refined, twice", "parents: {b: dense}}", "parents: {b: dense, b.refine.z: dense}}", "CG363"),
        ("refined, twice", "back: dense}", "back: {kind: dense, gate: {component: x, open: 1}}}", "CG363"),
        ("refined, twice", "through: {z: {nodes: 2, family: spin", "through: {back: {nodes: 2, family: spin", "CG363"),
        ("weights of others", "u: {role: input, nodes: 3", "u: {role: input, nodes: 2", "CG406"),
        ("weights of others", "same_as: a.x", "same_as: b.u", "CG406"),
        ("weights of others", "same_as: a.x", "same_as: a.q", "CG307"),
        ("weights of others", "same_as: h.1.a", "same_as: h.a", "CG406"),
        ("a long name", "z: {nodes: 2, family: linear,", "z: {at: last, nodes: 2, family: linear,", "CG362"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, old: str, new: str, code: str) -> None:
    text = HEAD + SPECS[name]
    assert old in text
    with pytest.raises(SpecError) as caught:
        emit(tmp_path, text.replace(old, new, 1))
    assert code in [finding.code for finding in caught.value.diagnostics], caught.value.diagnostics


def test_a_weight_is_shared_by_equal_pairs_alone(tmp_path: Path) -> None:
    text = HEAD + SPECS["weights of others"] + "independence:\n  - b[i] ⟂ u[j] | parents  where j > i\n"
    with pytest.raises(SpecError) as caught:
        emit(tmp_path, text)
    assert [finding.code for finding in caught.value.diagnostics] == ["CG406"]
    emit(tmp_path, text + "  - a[i] ⟂ x[j] | parents  where j > i\n")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("output: h", "output: q", "CG307"),
        ("open: 0", "open: 0.5", "CG361"),
        ("gate: {component: f, open: 1}", "gate: {component: g2, open: 1}", "CG307"),
        ("input: x}", "input: y}", "CG335"),
        ("f: {nodes: 5", "f: {nodes: 4", "CG401"),
        ("c: elementwise}}", "cell: elementwise}}", "CG400"),
        ("g: {nodes: 5, family: spin", "g: {role: output, nodes: 5, family: spin", "CG331"),
        ("    output: h\n", "    output: h\n    nodes: 3\n", "CG362"),
        ("    output: h\n", "", "CG302"),
    ],
)
def test_mistakes_in_modules(tmp_path: Path, old: str, new: str, code: str) -> None:
    text = HEAD + SPECS["peephole"]
    assert old in text
    with pytest.raises(SpecError) as caught:
        emit(tmp_path, text.replace(old, new, 1))
    assert code in [finding.code for finding in caught.value.diagnostics], caught.value.diagnostics


@pytest.mark.parametrize(
    ("parent", "why"),
    [
        ("h.3", "the copies of `h` are 0 … 2"),
        ("h.1.0", "copies of `h` have no copies"),
        ("x.0", "`x` has no copies"),
        ("m.0", "`m` has no copies"),
        ("0.h", "`0` is the number of nothing"),
    ],
)
def test_there_are_no_such_copies(tmp_path: Path, parent: str, why: str) -> None:
    text = """components:
  x: {role: input, nodes: 3, family: linear}
  h: {nodes: 3, family: bit, stack: 3, parents: {x: dense}}
  m: {output: c, components: {c: {nodes: 3, family: bit, parents: {h: dense}}}}
  y: {role: output, nodes: 1, family: labels, parents: {m: dense, h: dense, PARENT: {kind: dense, name: other}}}
"""
    for place in (
        text.replace("PARENT", parent),
        text.replace(", PARENT: {", ", x: {gate: {component: PARENT, open: 1}, ").replace("PARENT", parent),
    ):
        with pytest.raises(SpecError) as caught:
            emit(tmp_path, HEAD + place)
        found = [finding for finding in caught.value.diagnostics if finding.code == "CG307"]
        assert [finding.why for finding in found] == [why] and f"`{parent}`" in found[0].message


def test_outputs_whose_names_end_alike(tmp_path: Path) -> None:
    """`a` and `a_` are two outputs, and what is observed of one is not taken for the other."""
    text = """components:
  x: {role: input, nodes: 3, family: linear}
  a: {role: output, nodes: 1, family: bit, parents: {x: dense}}
  a_: {role: output, nodes: 1, family: labels, parents: {x: dense}}
"""
    model = emit(tmp_path, HEAD + text).model()
    x = torch.randn(4, 3, dtype=torch.float64)
    e, e_ = model(x)
    expected = F.binary_cross_entropy_with_logits(e[:, 0], torch.tensor([0.0, 1, 1, 0]).double()) + F.cross_entropy(
        e_, torch.tensor([2, 0, 1, 1])
    )
    found = model.loss(x, torch.tensor([[0.0], [1], [1], [0]], dtype=torch.float64), torch.tensor([2, 0, 1, 1]))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (
            "module",
            "  lengths: {output: h, components: {h: {nodes: 3, family: bit, parents: {x: dense}}}}\n" + Y.replace("PARENT", "lengths"),
        ),
        ("component", "  refine: {nodes: 3, family: bit, parents: {x: dense}}\n" + Y.replace("PARENT", "refine")),
    ],
)
def test_names_that_the_code_needs_itself(tmp_path: Path, what: str, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        emit(tmp_path, f"{HEAD}components:\n  x: {{role: input, nodes: 3, family: linear}}\n{text}")
    (found,) = caught.value.diagnostics
    assert found.code == "CG311" and found.message.endswith(f"cannot be the name of a {what}")
