"""The trap: ``h[i,t] ⟂ h[j,t-1] | h[i,t-1]`` looks like an IndRNN and is false in stacks; in six layers, and in residual ones."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
import pytest
from small_specs import edge, findings, only, part, query, recurrent, spec

from cgc.graph.analysis import analyze
from cgc.source.diagnostics import SpecError
from cgc.spec.model import Component, Edge, Spec

INDRNN = "h[i,t] ⟂ h[j,t-1] | parents where j != i"
TRAP = "h[i,t] ⟂ h[j,t-1] | h[i,t-1] where j != i"
LAYERS = 6


def skip(parent: str) -> Edge:
    """An identity edge beside a dense one."""
    found = edge(parent, "identity")
    return Edge(parent, "skip", found.kind, found.span)


def residual(kind: str, *independence: str) -> Spec:
    """Six layers with equal shapes; each reads the layer below, and past it (``over``) or beside itself (``same``)."""

    def layers() -> Iterator[Component]:
        yield part("x", 4)
        below, before = "x", "x"
        for k in range(LAYERS):
            over = [skip(before if kind == "over" else below)] if k else []
            yield part(f"h{k}", 4, edge(below), *over, edge(f"h{k}", lag=1))
            below, before = f"h{k}", below
        yield part("y", 1, edge(below), role="output", at="last")

    return spec(*layers(), steps=8, independence=independence)


def test_six_layers_fall_into_it_and_say_so_for_every_layer() -> None:
    with pytest.raises(SpecError) as error:
        analyze(recurrent(layers=LAYERS, statement=TRAP))
    found = only(error.value)
    assert found.message == "this independence does not hold in the resulting graph, in `h.0`, `h.1`, `h.2` and 3 more layers"
    assert found.why.startswith(
        "in `h.0`: h.0[0,t] ← x[0,t] — x[0,t-1] → h.0[1,t-1]; in `h.1`: h.1[0,t] ← h.0[0,t] ← h.0[0,t-1] → h.1[1,t-1]; "
    )
    assert found.help.endswith("or give `parents` in every layer")


def test_six_layers_given_their_parents_are_an_indrnn() -> None:
    graph = analyze(recurrent(layers=LAYERS, statement=INDRNN))
    assert [graph.part(f"h.{k}").edges[1].structure.kind for k in range(LAYERS)] == ["elementwise"] * LAYERS
    for k in range(LAYERS):
        below = f"h.{k - 1}" if k else "x"
        assert not query(graph, f"h.{k}[i,t] ⟂ h.{k}[j,t-1] | h.{k}[i,t-1] where j != i").holds
        assert query(graph, f"h.{k}[i,t] ⟂ h.{k}[j,t-1] | h.{k}[i,t-1], {below}[:,t] where j != i").holds


@pytest.mark.parametrize("kind", ["over", "same"])
def test_residual_stacks(kind: str) -> None:
    own = tuple(f"h{k}[i,t] ⟂ h{k}[j,t-1] | parents where j != i" for k in range(LAYERS))
    graph = analyze(residual(kind, *own))
    for k in range(1, LAYERS):
        below, over = f"h{k - 1}[:,t]", ("x" if k == 1 else f"h{k - 2}") + "[i,t]"
        given = f"h{k}[i,t-1], {below}" + (f", {over}" if kind == "over" else "")
        assert query(graph, f"h{k}[i,t] ⟂ h{k}[j,t-1] | {given} where j != i").holds
        for short in (f"h{k}[i,t-1]", f"h{k}[i,t-1], {over}" if kind == "over" else f"h{k}[i,t-1], {below.replace(':', 'i')}"):
            assert not query(graph, f"h{k}[i,t] ⟂ h{k}[j,t-1] | {short} where j != i").holds


def test_the_layer_below_is_not_enough_where_a_skip_goes_past_it() -> None:
    """The identity edge from two layers below is a parent too: the repair names it."""
    own = tuple(f"h{k}[i,t] ⟂ h{k}[j,t-1] | parents where j != i" for k in range(LAYERS))
    with pytest.raises(SpecError) as error:
        analyze(residual("over", *own, "h3[i,t] ⟂ h3[j,t-1] | h3[i,t-1], h2[:,t] where j != i"))
    found = only(error.value)
    assert findings(error.value)[0][0] == "CG420" and "← h1[" in found.why
    assert found.help == "add `h1[i,t]` to what is given"


def test_verdicts_agree_with_d_separation_in_the_unrolled_residual_stack() -> None:
    """An oracle that knows nothing of templates: networkx on six layers, four nodes, seven steps, inputs linked by a common cause."""
    steps, nodes, k = 7, 3, 3
    graph: nx.DiGraph[object] = nx.DiGraph()
    for t in range(steps):
        for i in range(nodes):
            graph.add_edge("cause", ("x", i, t))
    for t in range(steps):
        below, before = "x", "x"
        for layer in range(LAYERS):
            name = f"h{layer}"
            for i in range(nodes):
                graph.add_edges_from(((below, j, t), (name, i, t)) for j in range(nodes))
                if layer:
                    graph.add_edge((before, i, t), (name, i, t))
                if t:
                    graph.add_edge((name, i, t - 1), (name, i, t))
            below, before = name, below
    t, own = steps - 1, f"h{k}"
    x, y = {(own, 0, t)}, {(own, 1, t - 1)}
    given = {(own, 0, t - 1), *((f"h{k - 1}", j, t) for j in range(nodes))}
    assert not nx.is_d_separator(graph, x, y, given)
    assert nx.is_d_separator(graph, x, y, {*given, (f"h{k - 2}", 0, t)})
