"""ChainGraph: exact on all small mixed graphs, witnesses, moral graphs, flags and complexes, and the same under every hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import networkx as nx
import pytest
from every_small_graph import assert_witness
from small_graphs import has_semi_directed_cycle, mixed_graphs

from cgc.graph import ChainGraph, NotAChainGraph

KOLLER_FRIEDMAN = (
    "ABCDEFGHI",
    [("A", "C"), ("B", "E"), ("C", "F"), ("D", "G"), ("C", "I"), ("E", "I"), ("H", "I")],
    [("C", "D"), ("D", "E"), ("F", "G")],
)


def edge_names(graph: nx.Graph[str]) -> str:
    return " ".join(sorted("".join(sorted(edge)) for edge in graph.edges))


@pytest.mark.parametrize(("n", "models", "dag_models", "undirected"), [(2, 2, 2, 2), (3, 11, 11, 8), (4, 200, 185, 64)])
def test_lwf_models_are_adjacencies_and_minimal_complexes(n: int, models: int, dag_models: int, undirected: int) -> None:
    pairs = [(a, b) for a in range(n) for b in range(a)]
    by_structure: dict[object, set[object]] = {}
    dags, without_arrows = set(), set()
    for arrows, lines in mixed_graphs(n):
        try:
            graph = ChainGraph(range(n), arrows, lines)
        except NotAChainGraph:
            continue
        implied = []
        for a, b in pairs:
            others = [v for v in range(n) if v not in (a, b)]
            implied += [bool(graph.separated(a, b, [v for k, v in enumerate(others) if m >> k & 1])) for m in range(2 ** len(others))]
        adjacent = frozenset(frozenset(edge) for edge in arrows + lines)
        ends = frozenset((frozenset((c[0], c[-1])), frozenset(c[1:-1])) for c in graph.complexes)
        by_structure.setdefault((adjacent, ends), set()).add(tuple(implied))
        if not lines:
            dags.add(tuple(implied))
        if not arrows:
            without_arrows.add(tuple(implied))
    assert all(len(models_) == 1 for models_ in by_structure.values())
    assert len(by_structure) == len({model for models_ in by_structure.values() for model in models_}) == models
    assert (len(dags), len(without_arrows)) == (dag_models, undirected)


def test_koller_friedman_figure_4_15() -> None:
    graph = ChainGraph(*KOLLER_FRIEDMAN)
    assert {"".join(c) for c in graph.components} == {"A", "B", "CDE", "FG", "H", "I"}
    assert edge_names(graph.moral()) == "AB AC BE CD CE CF CH CI DE DG EH EI FG HI"
    assert graph.parents(list("CDE")) == ("A", "B") and graph.boundary("D") == ("C", "E") and graph.neighbours("F") == ("G",)
    assert graph.boundary(["F"]) == ("C", "G") and graph.children(list("CDE")) == ("F", "G", "I")
    assert graph.ancestral("G") == tuple("ABCDEFG")


def test_koller_friedman_with_a_line_too_many() -> None:
    nodes, arrows, lines = KOLLER_FRIEDMAN
    with pytest.raises(NotAChainGraph) as found:
        ChainGraph(nodes, [a for a in arrows if a != ("C", "F")], [*lines, ("C", "F")])
    assert found.value.cycle == ("C", "D", "G", "F", "C")


def test_moral_edges_of_parents_of_a_component() -> None:
    arrows = [("c", "e"), ("d", "f"), ("d", "g"), ("e", "i"), ("f", "k"), ("g", "k"), ("i", "j")]
    lines = [("a", "b"), ("a", "c"), ("b", "d"), ("e", "f"), ("g", "h")]
    graph = ChainGraph("abcdefghijk", arrows, lines)
    assert {"".join(c) for c in graph.components} == {"abcd", "ef", "gh", "i", "j", "k"}
    assert edge_names(graph.moral()) == "ab ac bd cd ce df dg ef ei fg fk gh gk ij"
    assert graph.complexes == (("c", "e", "f", "d"), ("f", "k", "g"))
    assert graph.flags == (("c", "e", "f"), ("d", "f", "e"), ("d", "g", "h"))


@pytest.mark.parametrize(
    ("arrows", "lines", "cycle"),
    [
        ([("A", "B"), ("B", "C")], [("A", "C")], ("A", "B", "C", "A")),
        ([("A", "B")], [("B", "C"), ("C", "A")], ("A", "B", "C", "A")),
        ([("2", "1"), ("1", "3")], [("0", "3"), ("2", "3")], ("2", "1", "3", "2")),
        ([("A", "A")], [], ("A", "A")),
        ([("A", "B"), ("B", "A")], [], ("A", "B", "A")),
        ([("A", "B")], [("A", "B")], ("A", "B", "A")),
    ],
)
def test_rejected_with_the_whole_cycle(arrows: list[tuple[str, str]], lines: list[tuple[str, str]], cycle: tuple[str, ...]) -> None:
    with pytest.raises(NotAChainGraph) as found:
        ChainGraph(arrows=arrows, lines=lines)
    assert found.value.cycle == cycle
    assert str(found.value) == "semi-directed cycle: " + ", ".join(map(str, cycle))


def test_accepted_although_two_arrows_enter_one_component() -> None:
    assert ChainGraph(range(4), [(2, 1), (3, 1)], [(0, 2), (0, 3), (2, 3)]).components == ((0, 2, 3), (1,))


def test_wrong_arguments() -> None:
    graph = ChainGraph("abc", [("a", "b")])
    with pytest.raises(ValueError, match="a line joins 'a' to itself"):
        ChainGraph("a", lines=[("a", "a")])
    with pytest.raises(ValueError, match="no node 'z'"):
        graph.separated("a", "z")
    with pytest.raises(ValueError, match="no node 'ab'"):
        graph.parents("ab")
    with pytest.raises(ValueError, match="'a' is in both x and given"):
        graph.separated("a", "b", given=["c", "a"])


def test_order_is_that_of_the_nodes_and_duplicates_count_once() -> None:
    graph = ChainGraph(["c", "a"], [("b", "a"), ("b", "a")], [("a", "c"), ("c", "a")])
    assert graph.nodes == ("c", "a", "b") and graph.arrows == (("b", "a"),) and graph.lines == (("c", "a"),)
    assert graph.components == (("b",), ("c", "a"))


def test_networkx_and_back() -> None:
    for arrows, lines in mixed_graphs(3):
        try:
            graph = ChainGraph(range(3), arrows, lines)
        except NotAChainGraph:
            continue
        again = ChainGraph.from_networkx(graph.to_networkx())
        assert (again.nodes, again.arrows, again.lines) == (graph.nodes, graph.arrows, graph.lines)
    assert ChainGraph.from_networkx(nx.path_graph(3)).lines == ((0, 1), (1, 2))
    with pytest.raises(NotAChainGraph):
        ChainGraph.from_networkx(nx.DiGraph([(1, 1)]))


def test_long_paths_need_no_recursion() -> None:
    n = 20_000
    graph = ChainGraph(range(n), [(k, k + 1) for k in range(0, n - 1, 2)], [(k, k + 1) for k in range(1, n - 1, 2)])
    assert len(graph.components) == n // 2 + 1
    assert not graph.separated(0, n - 1)
    with pytest.raises(NotAChainGraph) as found:
        ChainGraph(range(n), [*graph.arrows, (n - 1, 0)], graph.lines)
    assert found.value.cycle == (*range(n), 0)


def test_two_edges_between_the_same_nodes() -> None:
    """Every choice of any of →, ←, — for each pair of three nodes: two different ones are a semi-directed cycle, or a line twice."""
    pairs = list(combinations(range(3), 2))
    accepted = 0
    for choice in product(range(8), repeat=3):
        arrows = [edge for (a, b), kinds in zip(pairs, choice, strict=True) for k, edge in ((1, (a, b)), (2, (b, a))) if kinds & k]
        lines = [pair[::sign] for pair, kinds in zip(pairs, choice, strict=True) for sign in (1, -1) if kinds & 4]
        try:
            ChainGraph(range(3), arrows, lines)
        except NotAChainGraph as found:
            assert_witness(found.cycle, arrows, lines)
            assert has_semi_directed_cycle(3, arrows, lines)
        else:
            assert not has_semi_directed_cycle(3, arrows, lines)
            accepted += 1
    assert accepted == 50


def output(seed: str, *program: str) -> bytes:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run([sys.executable, *program], capture_output=True, check=True, env=environment).stdout


def test_every_small_graph_under_five_hash_seeds() -> None:
    program = str(Path(__file__).parent / "every_small_graph.py")
    texts = {output(seed, program) for seed in ("0", "1", "2", "3", "4294967295")}
    assert len(texts) == 1
    assert texts.pop().decode().split("\n")[:3] == ["2 4 0 3", "3 50 14 25", "4 1688 2408 543"]


SEEDED = """
from cgc.graph import ChainGraph, NotAChainGraph
names = ["node" + str(k) for k in range(6)]
ends = "node0", {"node4", "node5"}
for mask in range(0, 3 ** 15, 99991):
    edges = {(names[a], names[b]): mask // 3 ** k % 3 for k, (a, b) in enumerate((a, b) for a in range(6) for b in range(a))}
    arrows = {e for e, kind in edges.items() if kind == 1}
    lines = {e for e, kind in edges.items() if kind == 2}
    for at, ls in ((arrows, lines), (arrows | {("node0", "node5")}, lines), (arrows - set(list(sorted(arrows))[::2]), set())):
        try:
            g = ChainGraph(set(names), at, ls)
        except NotAChainGraph as error:
            print(error)
            continue
        print(g, g.components, g.flags, g.complexes, end=" ")
        for p in ("lwf", "amp"):
            v = g.separated(*ends, {"node2"}, p)
            print(v.walk, v.certificate, g.minimal_separator(*ends, property=p), *g.minimal_separators(*ends, property=p), end=" ")
        print()
"""


def test_same_output_under_every_hash_seed() -> None:
    texts = {output(seed, "-c", SEEDED) for seed in "01234"}
    assert len(texts) == 1
    text = texts.pop()
    assert text.count(b"\n") == 432 and text.count(b"semi-directed cycle") > 50 and text.count(b"Certificate") > 50
