"""ChainGraph: exact on all small mixed graphs, witnesses, moral graphs, flags and complexes, and the same under every hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations, product
from pathlib import Path
from typing import Literal

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


def chain_graphs(n: int) -> Iterator[ChainGraph[int]]:
    for arrows, lines in mixed_graphs(n):
        with suppress(NotAChainGraph):
            yield ChainGraph(range(n), arrows, lines)


def adjacencies(graph: ChainGraph[int]) -> frozenset[frozenset[int]]:
    return frozenset(map(frozenset, (*graph.arrows, *graph.lines)))


def independences(graph: ChainGraph[int], property: Literal["lwf", "amp"]) -> tuple[bool, ...]:
    """Of every pair given every set of others."""
    implied = []
    for a, b in combinations(graph.nodes, 2):
        others = [v for v in graph.nodes if v not in (a, b)]
        for size in range(len(others) + 1):
            implied += [bool(graph.separated(a, b, given, property)) for given in combinations(others, size)]
    return tuple(implied)


def edge_names(graph: nx.Graph[str]) -> str:
    return " ".join(sorted("".join(sorted(edge)) for edge in graph.edges))


@pytest.mark.parametrize(("n", "models", "dag_models", "undirected"), [(2, 2, 2, 2), (3, 11, 11, 8), (4, 200, 185, 64)])
def test_lwf_models_are_adjacencies_and_minimal_complexes(n: int, models: int, dag_models: int, undirected: int) -> None:
    by_structure: dict[object, set[object]] = {}
    dags, without_arrows = set(), set()
    for graph in chain_graphs(n):
        model = independences(graph, "lwf")
        ends = frozenset((frozenset((c[0], c[-1])), frozenset(c[1:-1])) for c in graph.complexes)
        by_structure.setdefault((adjacencies(graph), ends), set()).add(model)
        if not graph.lines:
            dags.add(model)
        if not graph.arrows:
            without_arrows.add(model)
    assert all(len(same) == 1 for same in by_structure.values())
    assert len(by_structure) == len({model for same in by_structure.values() for model in same}) == models
    assert (len(dags), len(without_arrows)) == (dag_models, undirected)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_amp_models_are_adjacencies_and_triplexes(n: int) -> None:
    """Andersson, Madigan and Perlman (2001): two graphs have the same independences iff they have the same of both."""
    by_structure: dict[object, set[object]] = {}
    for graph in chain_graphs(n):
        joined = adjacencies(graph)
        triplexes = {
            (frozenset((a, c)), b)
            for b in graph.nodes
            for a in graph.parents(b)
            for c in graph.boundary(b)
            if a != c and frozenset((a, c)) not in joined
        }
        by_structure.setdefault((joined, frozenset(triplexes)), set()).add(independences(graph, "amp"))
    assert all(len(same) == 1 for same in by_structure.values())
    assert len(by_structure) == len({model for same in by_structure.values() for model in same}) > 1


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


def test_unknown_property() -> None:
    graph = ChainGraph("abc", [("a", "b")])
    for ask in (graph.separated, graph.minimal_separator, graph.minimal_separators):
        with pytest.raises(ValueError, match="no property 'LWF': lwf or amp"):
            ask("a", "c", property="LWF")  # type: ignore[arg-type]


def test_nodes_and_edges_of_any_sort() -> None:
    """Nodes that are collections or compare equal, edges from generators and of the wrong length, and nothing at all."""
    pair, none = (1, 2), None
    graph: ChainGraph[object] = ChainGraph([1, True, 2], iter([(1.0, pair)]), (edge for edge in [(pair, none)]))
    assert graph.nodes == (1, 2, pair, none) and graph.components == ((1,), (2,), (pair, none))
    assert graph.parents(pair) == (1,) and graph.parents([pair, none]) == (1,) and graph.children((1, 2)) == graph.children([(1, 2)])
    assert graph.separated(2, pair) and graph.separated(1, none).walk == (1, pair, none)
    assert graph.minimal_separator(1, none) == (pair,)
    for edges in ([("a",)], [("a", "b", "c")], ["abc"]):
        with pytest.raises(ValueError, match="values to unpack"):
            ChainGraph("abc", edges)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="values to unpack"):
            ChainGraph("abc", (), edges)  # type: ignore[arg-type]
    empty: ChainGraph[str] = ChainGraph()
    assert empty.nodes == empty.components == empty.arrows == empty.lines == empty.flags == empty.complexes == empty.ancestral([]) == ()
    assert empty.separated([], []) and empty.minimal_separator([], []) == () and list(empty.minimal_separators([], [])) == [()]


def test_hubs() -> None:
    """Nodes with thousands of edges, all of which a query passes."""
    n = 30_000
    graph = ChainGraph(range(2 * n + 2), [(k, 2 * n) for k in range(n)], [(2 * n, k) for k in range(n, 2 * n)])
    assert len(graph.components) == n + 2 and len(graph.children(range(n))) == 1 and len(graph.boundary(2 * n)) == 2 * n
    assert graph.separated(range(n), range(n, 2 * n), 2 * n) and graph.separated(0, 1)
    assert graph.separated(0, 1, 2 * n - 1).walk == (0, 2 * n, 2 * n - 1, 2 * n, 1)
    with pytest.raises(NotAChainGraph) as found:
        ChainGraph(graph.nodes, [*graph.arrows, (n, 2 * n + 1), (2 * n + 1, 0)], graph.lines)
    assert found.value.cycle == (0, 2 * n, n, 2 * n + 1, 0)


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
