"""Samples in which something is left out: no answer is given that another index value would make wrong."""

from __future__ import annotations

import random
from itertools import product

import networkx as nx
import pytest
from small_specs import edge, findings, part, recurrent, spec
from test_recognise import grid_edge

from cgc.graph import sample
from cgc.graph.analysis import Graph, analyze
from cgc.graph.predicate import text as text_of
from cgc.graph.query import ask, holds
from cgc.source.diagnostics import SpecError
from cgc.spec.model import Spec


def whole(graph: Graph) -> nx.DiGraph:
    """Every node of a spec without time, and a common cause for linked inputs."""
    dag: nx.DiGraph = nx.DiGraph()
    for p in graph.parts:
        dag.add_nodes_from((p.name, i) for i in product(*map(range, p.extents)))
        for e in p.edges:
            names = [name for name, _ in (*e.structure.child_index, *e.structure.parent_index)]
            joined = compile(text_of(e.structure.joined), "joined", "eval")
            source = graph.part(e.source)
            for i, j in product(product(*map(range, p.extents)), product(*map(range, source.extents))):
                if eval(joined, {}, dict(zip(names, (*i, *j), strict=True))):
                    dag.add_edge((source.name, j), (p.name, i))
        if p.role == "input" and not p.independent:
            dag.add_edges_from(("cause", (p.name, i)) for i in product(*map(range, p.extents)))
    return dag


def dilated() -> Spec:
    """Windows of two nodes, 1, 2, 4, 8 and 16 apart: y[i] depends on x[i] to x[i + 31]."""
    sizes = [64]
    parts = [part("x", (1, 64), independent=True)]
    for k, name in enumerate("abcdy"):
        sizes.append(sizes[-1] - 2**k)
        parts.append(part(name, (1, sizes[-1]), grid_edge(parts[-1].name, "conv1d", 2, dilation=2**k)))
    return spec(*parts)


def skips(nodes: int) -> Spec:
    """A node and the one so many before it, layer by layer."""
    parts, lines = [part("x", nodes, independent=True)], []
    for name, back in zip("abc", (7, 23, 101), strict=True):
        lines.append(f"{name}[i] ⟂ {parts[-1].name}[j] | parents where j != i and j != i - {back}")
        parts.append(part(name, nodes, edge(parts[-1].name)))
    return spec(*parts, independence=tuple(lines))


def test_paths_through_values_that_nobody_names() -> None:
    graph = analyze(dilated())
    for j in range(50):
        assert ask(graph, f"y[0,3] ⟂ x[0,{j}]").holds == (not 3 <= j <= 34)
    graph = analyze(skips(300))
    for back in (0, 7, 23, 30, 101, 108, 124, 131):
        assert not ask(graph, f"c[i] ⟂ x[j] where i - j == {back}").holds
    assert ask(graph, "c[i] ⟂ x[j] where i - j == 131 + 1").holds


def test_a_recurrence_that_moves() -> None:
    x, h = part("x", 40, independent=True), part("h", 40, edge("x", "elementwise"), edge("h", lag=1))
    graph = analyze(spec(x, h, steps=5, independence=("h[i,t] ⟂ h[j,t-1] | parents where j != i - 7",)))
    for j in range(40):
        assert ask(graph, f"h[33,t] ⟂ h[{j},t-2]").holds == (j != 19), j


@pytest.mark.parametrize("seed", range(6))
def test_grids_against_every_node(seed: int) -> None:
    rng = random.Random(seed)
    kinds = [("conv2d", 3, 1, 1), ("conv2d", 3, 2, 1), ("conv2d", 2, 2, 0), ("conv2d", 5, 1, 2)]
    size = 7
    parts = [part("x", (1, size, size), independent=rng.random() < 0.7)]
    for name in "ab":
        kind, kernel, stride, padding = rng.choice(kinds)
        size = (size + 2 * padding - kernel) // stride + 1
        parts.append(part(name, (2, size, size), grid_edge(parts[-1].name, kind, kernel, stride, padding)))
    graph = analyze(spec(*parts))
    dag = whole(graph)
    nodes = [n for n in dag if n != "cause"]
    seen = {True: 0, False: 0}
    for _ in range(60):
        a, b, *given = rng.sample(nodes, rng.randrange(2, 5))
        text = " ⟂ ".join(f"{name}[{','.join(map(str, i))}]" for name, i in (a, b))
        text += f" | {', '.join(f'{name}[{chr(44).join(map(str, i))}]' for name, i in given)}" if given else ""
        expected = nx.is_d_separator(dag, {a}, {b}, set(given))
        assert ask(graph, text).holds == expected == holds(graph, text), text
        seen[expected] += 1
    assert sum(seen.values()) == 60


def test_what_is_too_large_to_look_at_is_refused_and_never_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = analyze(skips(300))
    monkeypatch.setattr(sample, "MAX_WHOLE_STILL", 100)
    for text in ("c[200] ⟂ x[69]", "c[i] ⟂ x[j] where i - j == 131", "c[200] ⟂ x[68]"):
        with pytest.raises(SpecError) as error:
            ask(graph, text)
        assert [code for code, _ in findings(error.value)] == ["CG402"]
    # an open walk that is found is one all the same
    assert not ask(graph, "c[i] ⟂ x[j] where i == j").holds
    with pytest.raises(SpecError) as error:
        analyze(spec(*skips(300).components, independence=("c[200] ⟂ x[68]",)))
    assert [code for code, _ in findings(error.value)] == ["CG420"]


def test_values_that_may_be_exchanged_stand_for_all() -> None:
    """Dense and elementwise parts of any size are decided on a few values, by the same answers as small ones."""
    statement = "h[i,t] ⟂ h[j,t-1] | parents where j != i"
    texts = ("h.1[3,t] ⟂ h.1[5,t-1] | h.1[3,t-1], h.0[:,t]", "h.1[i,t] ⟂ h.0[j,t-1] | h.0[i,t] where i != j", "y ⟂ x[0,t] | h.1[:,t]")
    small, large = (analyze(recurrent(layers=2, nodes=n, statement=statement)) for n in (7, 10**6))
    for text in texts:
        assert ask(small, text).holds == ask(large, text).holds
