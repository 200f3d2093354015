"""Layer and group normalisation in the graph: what they join, against sets of pairs; statements, queries and lists of independences."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import networkx as nx
import numpy as np
import pytest
from small_specs import edge, only, part, query, spec

from cgc.graph import predicate
from cgc.graph.analysis import Graph, analyze
from cgc.graph.independences import Independences
from cgc.graph.parts import Structure
from cgc.graph.query import ask, holds
from cgc.graph.stated import stands_for
from cgc.graph.unions import whole_graph
from cgc.source.diagnostics import SpecError
from cgc.spec.model import DropoutGate, Filter, Normalisation, Spec

INDRNN = "h[i,t] ⟂ h[j,t-1] | parents where j != i"
LAYER, BATCH = Normalisation("layer", "energy"), Normalisation("batch", "energy")


def recurrent(normalize: Normalisation, *statements: str, nodes: int = 6) -> Spec:
    h = part("h", nodes, edge("x"), edge("h", lag=1), normalize=normalize)
    return spec(part("x", 3), h, part("y", 1, edge("h"), role="output", at="last"), steps=8, independence=statements)


def mask(found: Structure) -> np.ndarray:
    """Pairs that an edge joins, child's axes then parent's, by Python's own rules."""
    axes = [*found.child_index, *found.parent_index]
    code = compile(predicate.text(found.joined), "mask", "eval")
    values = [bool(eval(code, {}, dict(zip((n for n, _ in axes), at, strict=True)))) for at in product(*(range(n) for _, n in axes))]
    return np.array(values).reshape([n for _, n in axes])


def test_a_statement_over_the_energy_is_refused_with_its_walk() -> None:
    with pytest.raises(SpecError) as error:
        analyze(recurrent(LAYER, INDRNN))
    found = only(error.value)
    assert (found.code, found.why) == (
        "CG420",
        "h[0,t] ← h[1,t-1]; layer normalisation makes every node of `h` depend on the parents of all",
    )
    assert found.help.startswith("normalise over `inputs` alone, before lagged contributions are added, or by the batch")


@pytest.mark.parametrize("normalize", [BATCH, Normalisation("weight"), Normalisation("layer"), Normalisation("group", "inputs", 2)])
def test_it_holds_where_no_lagged_contribution_is_mixed(normalize: Normalisation) -> None:
    graph = analyze(recurrent(normalize, INDRNN))
    assert graph.statements[0].holds and [e.structure.kind for e in graph.part("h").edges] == ["dense", "elementwise"]
    assert ask(graph, INDRNN).holds and holds(graph, INDRNN)


def test_groups_keep_what_lies_between_them_apart() -> None:
    between = "h[i,t] ⟂ h[j,t-1] | parents where i // 3 != j // 3"
    graph = analyze(recurrent(Normalisation("group", "energy", 2), between))
    assert graph.statements[0].holds and graph.part("h").edges[1].structure.kind == "grouped"
    with pytest.raises(SpecError) as error:
        analyze(recurrent(Normalisation("group", "energy", 3), between))
    assert only(error.value).why.startswith("h[2,t] ← h[3,t-1]; group normalisation makes every node of a group of `h`")


def test_what_no_node_reads_stays_apart() -> None:
    """Pairs of all nodes with some parents are still independent: the union of nothing is nothing."""
    graph = analyze(recurrent(LAYER, "h[i,t] ⟂ h[j,t-1] | parents where j % 2 == 0"))
    assert graph.statements[0].holds
    assert query(graph, "h[0,t] ⟂ h[2,t-1] | parents").holds and not query(graph, "h[0,t] ⟂ h[1,t-1] | parents").holds


def test_queries_and_lists_are_about_this_graph() -> None:
    def graph(normalize: Normalisation | None) -> Graph:
        h = part("h", 4, edge("x", "identity"), edge("z", gate=DropoutGate("bernoulli", 0.5)), normalize=normalize)
        return analyze(spec(part("x", 4, independent=True), part("z", 4, independent=True), h, part("y", 1, edge("h"), role="output")))

    def listed(graph: Graph) -> list[str]:
        return [line for line in Independences(graph).missing_edges()[0] if line.startswith("h[i] ⟂ x")]

    text = "h[i] ⟂ x[j] | parents where j != i"
    plain, mixed = graph(None), graph(LAYER)
    assert ask(plain, text).holds and holds(plain, text) and listed(plain) == [text]
    answer = ask(mixed, text)
    assert not answer.holds and answer.layers[0].walk == "h[0] ← x[1]" and answer.layers[0].repair is None and not holds(mixed, text)
    assert listed(mixed) == []
    # inputs that meet in no single node meet in every node of a layer
    assert ask(plain, "x[0] ⟂ x[1] | h[0]").holds and not ask(mixed, "x[0] ⟂ x[1] | h[0]").holds


def test_short_forms_stand_for_no_independence_that_does_not_hold() -> None:
    def forms(normalize: Normalisation | None) -> tuple[str, ...]:
        h = part("h", 4, edge("x", "identity"), edge("h", "elementwise", 1), normalize=normalize)
        graph = analyze(spec(part("x", 4), h, part("y", 1, edge("h"), role="output"), steps=3))
        return stands_for(graph, "h")

    both = ("h[i,t] ⟂ x[j,t] | parents  where j != i", "h[i,t] ⟂ h[j,t-1] | parents  where j != i")
    assert forms(None) == forms(BATCH) == both
    assert forms(Normalisation("layer")) == both[1:] and forms(LAYER) == ()


SHAPES = [((6,), (6,)), ((4, 3), (4, 3)), ((6,), (2, 5)), ((2, 2, 3), (3, 4)), ((4,), (1,))]
# in {i}, an index of the child, and {j}, one of the parent
CONDITIONS = ("{i} % 3 != {j} % 2", "abs({i} - 2*{j}) > 1", "{i} > {j}", "{i} * {j} != 4", "min({i}, {j}) > 0", "{i} != 2", "{j} > 2")


def mixed_by(normalize: Normalisation, graph: Graph) -> Structure:
    """The first edge of h in the whole graph, had its nodes been normalised so."""
    (h,) = (p for p in whole_graph([replace(p, normalize=normalize) for p in graph.parts]) if p.name == "h")
    return h.edges[0].structure


@pytest.mark.parametrize(("child", "parent"), SHAPES)
def test_unions_are_those_of_sets(child: tuple[int, ...], parent: tuple[int, ...]) -> None:
    rng = random.Random(str((child, parent)))
    own, other = ([f"{letter}{k}" for k in range(len(shape))] for letter, shape in (("i", child), ("j", parent)))
    partly = 0
    for _ in range(40):
        conditions = [c.format(i=rng.choice(own), j=rng.choice(other)) for c in rng.sample(CONDITIONS, rng.choice((1, 2, 3)))]
        where = f" {rng.choice(('and', 'or'))} ".join(conditions)
        h, y = part("h", child, edge("x")), part("y", 1, edge("h"), role="output")
        statement = f"h[{','.join(own)}] ⟂ x[{','.join(other)}] | parents where {where}"
        graph = analyze(spec(part("x", parent), h, y, independence=(statement,)))
        joined = mask(graph.part("h").edges[0].structure)
        groups = rng.choice([g for g in (1, 2, 3) if child[0] % g == 0])
        wanted = np.empty_like(joined)
        for rows in np.array_split(np.arange(child[0]), groups):
            wanted[rows] = joined[rows].any(axis=tuple(range(len(child))))
        found = mixed_by(Normalisation("group", rng.choice(("inputs", "energy")), groups), graph)
        assert np.array_equal(mask(found), wanted), (statement, groups)
        assert found.pairs == wanted.sum()
        assert (found.kind == "dense", found.kind == "absent") == (wanted.all(), not wanted.any())
        partly += not wanted.all() and bool(wanted.any())
    assert partly >= 2


def test_unions_of_windows_need_no_table_of_pairs() -> None:
    """A convolution between grids of a million nodes."""
    windows = Filter((3, 3), (2, 2), (1, 1), (1, 1))
    conv = replace(edge("x"), kind="conv2d", filter=windows)
    x, h = part("x", (4, 1024, 1024)), part("h", (16, 512, 512), conv)
    graph = analyze(spec(x, h, part("y", 1, edge("h"), role="output")))
    assert mixed_by(LAYER, graph).kind == "dense"
    wide = replace(conv, filter=Filter((1, 1), (2, 2), (0, 0), (1, 1)))
    graph = analyze(spec(x, replace(h, parents=(wide,)), part("y", 1, edge("h"), role="output")))
    found = mixed_by(Normalisation("group", "energy", 4), graph)
    assert found.pairs == h.size * 4 * 512 * 512 and not predicate.evaluate(found.joined, {"j1": np.array(3), "j2": np.array(2)})


def test_equal_indices_and_blocks_of_any_number() -> None:
    h, y = part("h", 10**6, edge("x", "identity")), part("y", 1, edge("h"), role="output")
    graph = analyze(spec(part("x", 10**6), h, y))
    found = mixed_by(Normalisation("group", "inputs", 1000), graph)
    assert (found.kind, found.pairs) == ("grouped", 10**9) and mixed_by(LAYER, graph).kind == "dense"
    blocks = "h[i] ⟂ x[j] | parents where i // 4 != j // 4"
    graph = analyze(spec(part("x", 8000), part("h", 8000, edge("x")), y, independence=(blocks,)))
    found = mixed_by(Normalisation("group", "inputs", 1000), graph)
    assert (found.kind, found.pairs) == ("grouped", 8000 * 8)


def test_too_many_pairs_are_said() -> None:
    """Every third node by itself: a thousand sets of parents that have nothing in common."""
    h = part("h", 3000, edge("x"), normalize=Normalisation("group", "inputs", 1000))
    statement = "h[i] ⟂ x[j] | parents where (i // 3 * j) % 101 > 5"
    with pytest.raises(SpecError) as error:
        analyze(spec(part("x", 3000), h, part("y", 1, edge("h"), role="output"), independence=(statement,)))
    found = only(error.value)
    assert (found.code, found.message) == ("CG402", "the graph is too large to tell what the normalisation of `h` joins")


def test_queries_are_those_of_d_separation() -> None:
    """Small networks written out node by node, each node of a group with the parents of all."""
    rng = random.Random(5)
    answers = []
    for _ in range(25):
        x, u = part("x", 4, independent=True), part("u", 2, independent=True)
        normalize = Normalisation(rng.choice(("layer", "group")), "inputs", 1)
        normalize = replace(normalize, groups=2) if normalize.kind == "group" else normalize
        h = part("h", 4, edge("x"), edge("u"), normalize=normalize)
        g = part("g", 4, edge("h", rng.choice(("elementwise", "dense"))), normalize=rng.choice((None, Normalisation("group", "energy", 2))))
        where = rng.choice(("j > 1", "i // 2 != j // 2", "j != 0 and i > 1")) if normalize.groups == 2 else "j % 2 == 0"
        where = where.replace("j != 0 and i > 1", "i // 2 == 1 and j != 0")
        graph = analyze(spec(x, u, h, g, part("y", 1, edge("g"), role="output"), independence=(f"h[i] ⟂ x[j] | parents where {where}",)))
        written = nx.DiGraph()
        for p in graph.parts:
            for link in p.edges:
                joined = mask(link.structure)
                groups = p.normalize.groups if p.normalize else 0
                for rows in np.array_split(np.arange(len(joined)), groups) if groups else []:
                    joined[rows] = joined[rows].any(0)
                written.add_edges_from((f"{link.source}[{j}]", f"{p.name}[{i}]") for i, j in np.argwhere(joined))
        nodes = sorted(written)
        for _ in range(12):
            a, b, *given = rng.sample(nodes, rng.choice((2, 3, 4)))
            wanted = nx.is_d_separator(written, {a}, {b}, set(given))
            assert holds(graph, f"{a} ⟂ {b}{' | ' * bool(given)}{', '.join(given)}") == wanted
            assert ask(graph, f"{a} ⟂ {b}{' | ' * bool(given)}{', '.join(given)}").holds == wanted
            answers.append(wanted)
    assert 20 < sum(answers) < len(answers) - 20


@pytest.mark.parametrize("normalize", [LAYER, Normalisation("group", "energy", 3), Normalisation("layer")])
def test_what_is_listed_holds(normalize: Normalisation) -> None:
    graph = analyze(recurrent(normalize, *([INDRNN] if normalize.over == "inputs" else [])))
    listed = Independences(graph)
    statements = [*listed.missing_edges()[0], *(line for p in listed.parts for line in listed.local(p))]
    assert statements and all(ask(graph, text).holds for text in statements)
    assert all(holds(graph, pair.statement) for pair in listed.pairs() if pair.statement is not None)
