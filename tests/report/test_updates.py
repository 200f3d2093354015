"""The update equations that ``inspect`` prints: what feed-forward makes of cells with gates, as textbooks write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgc.compiler import Model, inspect
from cgc.report.data import as_data
from cgc.report.text import report

SPECS = Path(__file__).parents[2] / "specs"
HEAD = """cgc: 1
name: cell
families: {bit: {kind: binary, values: [0, 1]}, spin: {kind: binary, values: [-1, 1]}, linear: {kind: gaussian, std: 0}}
time: {steps: 3}
components:
  x: {role: input, nodes: 4, family: linear}
"""
READ = "  y: {role: output, nodes: 2, family: bit, parents: {h: dense}}\n"
GATES = "{nodes: 5, family: bit, parents: {x: dense, h: {kind: dense, lag: 1}}}"


def updates(model: Model) -> dict[str, str]:
    """What is printed of each component that has an equation, by the name of the component."""
    found: dict[str, str] = {}
    name = ""
    for line in report(model).splitlines():
        if line and not line.startswith(" "):
            name = line.split()[0]
        elif line.startswith("  update "):
            found[name] = line.removeprefix("  update ").strip()
    return found


def cell(folder: Path, components: str) -> dict[str, str]:
    place = folder / "spec.yaml"
    place.write_text(HEAD + components.replace("GATES", GATES) + READ, encoding="utf-8")
    return updates(inspect(place))


@pytest.mark.parametrize(("k", "source"), [(0, "x[t]"), (1, "cell.0.h[t]")])
def test_lstm(k: int, source: str) -> None:
    assert {name: text for name, text in updates(inspect(SPECS / "lstm.yaml")).items() if f".{k}." in name} == {
        f"cell.{k}.i": f"i[t] = σ(W_x {source} + W_h h[t-1] + b)",
        f"cell.{k}.f": f"f[t] = σ(W_x {source} + W_h h[t-1] + b)",
        f"cell.{k}.o": f"o[t] = σ(W_x {source} + W_h h[t-1] + b)",
        f"cell.{k}.g": f"g[t] = tanh(W_x {source} + W_h h[t-1] + b)",
        f"cell.{k}.c": "c[t] = f[t] * c[t-1] + i[t] * g[t]",
        f"cell.{k}.m": "m[t] = tanh(c[t])",
        f"cell.{k}.h": "h[t] = o[t] * m[t]",
    }


@pytest.mark.parametrize(("k", "source"), [(0, "x[t]"), (1, "cell.0.h[t]")])
def test_gru(k: int, source: str) -> None:
    assert {name: text for name, text in updates(inspect(SPECS / "gru.yaml")).items() if f".{k}." in name} == {
        f"cell.{k}.r": f"r[t] = σ(W_x {source} + W_h h[t-1] + b)",
        f"cell.{k}.z": f"z[t] = σ(W_x {source} + W_h h[t-1] + b)",
        f"cell.{k}.u": "u[t] = W h[t-1] + b",
        f"cell.{k}.n": f"n[t] = tanh(W_x {source} + r[t] * u[t] + b)",
        f"cell.{k}.h": "h[t] = (1 - z[t]) * n[t] + z[t] * h[t-1]",
    }


def test_gates_on_the_features_of_a_dense_edge(tmp_path: Path) -> None:
    """The first GRU (Cho et al. 2014): the reset gate acts before the weights."""
    components = """  r: GATES
  z: GATES
  n: {nodes: 5, family: spin, parents: {x: dense, h: {kind: dense, lag: 1, gate: {component: r, open: 1}}}}
  h:
    nodes: 5
    family: linear
    bias: false
    parents: {n: {kind: identity, gate: {component: z, open: 0}}, h: {kind: identity, lag: 1, gate: {component: z, open: 1}}}
"""
    found = cell(tmp_path, components)
    assert found["n"] == "n[t] = tanh(W_x x[t] + W_h (r[t] * h[t-1]) + b)"
    assert found["h"] == "h[t] = (1 - z[t]) * n[t] + z[t] * h[t-1]"


def test_other_states_and_other_weights(tmp_path: Path) -> None:
    """A coupled gate of spins, and a memory that halves."""
    components = """  s: {nodes: 5, family: spin, parents: {x: dense}}
  h:
    nodes: 5
    family: linear
    parents: {s: {kind: identity, gate: {component: s, open: -1}}, h: {kind: elementwise, lag: 1, weight: 0.5}}
"""
    assert cell(tmp_path, components)["h"] == "h[t] = P(s[t] = -1) s[t] + 0.5 h[t-1] + b"


def test_the_cells_are_linear_gaussian_nodes_with_gated_identity_edges() -> None:
    for name, cells in (("lstm", ("cell.0.c", "cell.0.h")), ("gru", ("cell.0.h",))):
        layers = {layer["name"]: layer for layer in as_data(inspect(SPECS / f"{name}.yaml"))["layers"]}
        for layer in cells:
            # each statement once, though one gate opens two edges
            assert len(layers[layer]["stands_for"]) == len(set(layers[layer]["stands_for"])) > 0
        text = report(inspect(SPECS / f"{name}.yaml"))
        for layer in cells:
            block = text.split(f"\n{layer}  component", 1)[1].split("\n\n")[0].splitlines()
            assert "family linear" in block[0] and block[1].endswith("X = e")
            parents = [line for line in block if ": fixed weight 1" in line]
            assert parents and all("; gate cell.0." in line for line in parents)
