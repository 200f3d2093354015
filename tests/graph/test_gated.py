"""Questions about gates that are nodes: a gate is joined to all that the edge it opens leads to, whatever is stated of that edge."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgc import compiler
from cgc.graph.query import ask
from cgc.source.diagnostics import SpecError

CHO = """cgc: 1
name: cho
families: {bit: {kind: binary, values: [0, 1]}, spin: {kind: binary, values: [-1, 1]}, linear: {kind: gaussian, std: 0}}
time: {steps: 4}
components:
  x: {role: input, nodes: 4, family: linear}
  r: {nodes: 5, family: bit, parents: {x: dense, h: {kind: dense, lag: 1}}}
  z: {nodes: 5, family: bit, parents: {x: dense, h: {kind: dense, lag: 1}}}
  n: {nodes: 5, family: spin, parents: {x: dense, h: {kind: EDGE, lag: 1, gate: {component: r, open: 1}}}}
  h:
    nodes: 5
    family: linear
    parents: {n: {kind: identity, gate: {component: z, open: 0}}, h: {kind: identity, lag: 1, gate: {component: z, open: 1}}}
  y: {role: output, nodes: 2, family: bit, parents: {h: dense}}
"""


def graph(folder: Path, kind: str = "dense", statement: str = "") -> compiler.Reading:
    place = folder / "spec.yaml"
    place.write_text(CHO.replace("EDGE", kind) + (f"independence:\n  - {statement}\n" if statement else ""), encoding="utf-8")
    return compiler.read(place)


@pytest.mark.parametrize(
    ("kind", "question", "holds"),
    [
        # every node of n reads W_h (r * h): all of r
        ("dense", "n[0,t] ⟂ r[1,t] | x[:,t], h[:,t-1], r[0,t]", False),
        ("dense", "n[i,t] ⟂ r[j,t] | parents where j != i", False),
        ("elementwise", "n[0,t] ⟂ r[1,t] | x[:,t], h[:,t-1], r[0,t]", True),
        ("elementwise", "n[i,t] ⟂ r[j,t] | parents where j != i", True),
        ("elementwise", "n[i,t] ⟂ r[i,t] | x[:,t], h[:,t-1]", False),
        ("dense", "h[i,t] ⟂ z[j,t] | n[i,t], h[i,t-1], z[i,t] where j != i", True),
        ("dense", "h[i,t] ⟂ z[i,t] | n[:,t], h[:,t-1]", False),
        ("dense", "h[i,t] ⟂ n[j,t] | parents where j != i", True),
        ("dense", "r[i,t] ⟂ z[j,t] | parents", True),
        # the gate and what it opens meet in their child
        ("dense", "r[i,t] ⟂ z[j,t] | x[:,t], h[:,t-1], n[:,t]", True),
        ("dense", "r[i,t] ⟂ z[i,t] | x[:,t], h[:,t-1], h[:,t]", False),
    ],
)
def test_queries(tmp_path: Path, kind: str, question: str, holds: bool) -> None:
    answer = ask(graph(tmp_path, kind).graph, question)
    assert answer.holds == holds


def test_a_statement_about_a_gate_takes_no_edge_apart(tmp_path: Path) -> None:
    """It would have to change the edge that is opened, and speaks of another pair."""
    with pytest.raises(SpecError) as caught:
        graph(tmp_path, "dense", "n[i,t] ⟂ r[j,t] | parents where j != i")
    (found,) = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert found.code == "CG420"


def test_a_statement_about_what_a_gate_opens_takes_the_gate_apart_too(tmp_path: Path) -> None:
    known = graph(tmp_path, "dense", "n[i,t] ⟂ h[j,t-1] | parents where j != i")
    assert known.graph.part("n").edges[-1].structure.kind == graph(tmp_path, "elementwise").graph.part("n").edges[-1].structure.kind
    answer = ask(known.graph, "n[0,t] ⟂ r[1,t] | x[:,t], h[:,t-1], r[0,t]")
    assert answer.holds
