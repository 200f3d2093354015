"""Minimal separators: all of them, one of them, or none, as trying every set of nodes finds them."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import combinations, islice
from typing import Literal

import networkx as nx
import pytest
from mask_oracles import Masks, mask
from small_graphs import mixed_graphs, random_chain_graph

from cgc.graph import ChainGraph, NotAChainGraph

Property = Literal["lwf", "amp"]
BOTH = pytest.mark.parametrize("property", ["lwf", "amp"])
ASIA = ChainGraph(
    arrows=[
        ("asia", "tub"), ("smoking", "cancer"), ("smoking", "bronchitis"), ("tub", "either"), ("cancer", "either"), ("either", "xray"),
        ("either", "dyspnea"), ("bronchitis", "dyspnea"),
    ]
)  # fmt: skip


@lru_cache(maxsize=1)
def masks_of(graph: ChainGraph[int]) -> Masks:
    return Masks(graph)


def by_trying_all(
    graph: ChainGraph[int], x: Sequence[int], y: Sequence[int], given: Sequence[int], among: Collection[int], property: Property
) -> set[tuple[int, ...]]:
    """The minimal sets of those that separate, by the undirected graphs of ``mask_oracles``."""
    masks = masks_of(graph)
    found: list[frozenset[int]] = []
    candidates = [v for v in among if v not in {*x, *y, *given}]
    for size in range(len(candidates) + 1):
        for added in map(frozenset, combinations(candidates, size)):
            if not any(z < added for z in found) and masks.separated(mask(x), mask(y), mask([*given, *added]), property):
                found.append(added)
    return {tuple(sorted({*given, *z})) for z in found}


def assert_exact(
    graph: ChainGraph[int], x: Sequence[int], y: Sequence[int], given: Sequence[int], among: Collection[int] | None, property: Property
) -> int:
    expected = by_trying_all(graph, x, y, given, graph.nodes if among is None else among, property)
    one = graph.minimal_separator(x, y, given, among, property)
    listed = list(graph.minimal_separators(x, y, given, among, property))
    assert len(listed) == len(expected) and set(listed) == expected, (graph, x, y, given, among)
    assert one in expected if expected else one is None, (graph, x, y, given, among)
    assert property == "amp" or one is None or listed[0] == one
    return len(expected)


@BOTH
@pytest.mark.parametrize("n", [2, 3, 4])
def test_every_small_chain_graph(n: int, property: Property) -> None:
    rng = random.Random(9)
    for arrows, lines in mixed_graphs(n):
        try:
            graph = ChainGraph(range(n), arrows, lines)
        except NotAChainGraph:
            continue
        for x, y in combinations(range(n), 2):
            found = assert_exact(graph, [x], [y], [], None, property)
            assert bool(found) == {(x, y), (y, x)}.isdisjoint((*arrows, *lines))
        a, b, *rest = rng.sample(range(n), n)
        assert_exact(graph, [a], [b], rest[:1], None, property)
        assert_exact(graph, [a], [b, *rest[:1]], [], rest[1:], property)
        assert_exact(graph, [a], [b], [], rest[:1], property)


@BOTH
def test_random_chain_graphs_and_sets(property: Property) -> None:
    rng = random.Random(10)
    counts: dict[int, int] = {}
    for _ in range(900):
        n = rng.randrange(6, 9)
        graph = random_chain_graph(rng, n, rng.choice((0.2, 0.35, 0.5)), blocks=rng.choice((2, 3)))
        order = rng.sample(range(n), n)
        x, y, given = order[: rng.choice((1, 1, 1, 2))], order[2 : 2 + rng.choice((1, 1, 1, 2))], order[4 : 4 + rng.choice((0, 0, 1))]
        among = None if rng.random() < 0.6 else rng.sample(range(n), rng.randrange(n))
        found = assert_exact(graph, x, y, given, among, property)
        counts[found] = counts.get(found, 0) + 1
    assert counts[0] > 50 and counts[1] > 50
    assert sum(v for k, v in counts.items() if k > 1) > 10


@BOTH
def test_lines_alone_have_the_separators_of_an_undirected_graph(property: Property) -> None:
    """A ladder: with its ends on both sides, a separator takes one node of each rail, none farther apart than one rung."""
    n = 5
    rails = [((side, k), (side, k + 1)) for side in "ab" for k in range(n - 1)]
    graph = ChainGraph(
        lines=[*rails, *((("a", k), ("b", k)) for k in range(n)), *(((s, k), e) for e, k in (("x", 0), ("y", n - 1)) for s in "ab")]
    )
    found = list(graph.minimal_separators("x", "y", property=property))
    assert sorted(map(sorted, found)) == sorted([("a", j), ("b", k)] for j in range(n) for k in range(n) if abs(j - k) <= 1)
    assert len(found) == len(set(found)) == 3 * n - 2
    if property == "lwf":
        assert found[0] == graph.minimal_separator("x", "y") == (("a", 0), ("b", 0))
        assert graph.minimal_separator("y", "x") == (("a", n - 1), ("b", n - 1))


def test_published_network() -> None:
    assert list(ASIA.minimal_separators("asia", "dyspnea")) == [
        ("tub",),
        ("cancer", "either"),
        ("smoking", "either"),
        ("bronchitis", "either"),
    ]
    assert ASIA.minimal_separator("asia", "dyspnea", among=["smoking", "either"]) == ("smoking", "either")
    assert ASIA.minimal_separator("cancer", "bronchitis") == ("smoking",)
    assert list(ASIA.minimal_separators("cancer", "bronchitis", "dyspnea")) == [("smoking", "either", "dyspnea")]
    assert ASIA.minimal_separator("cancer", "bronchitis", "dyspnea", among=["smoking", "tub"]) is None


@BOTH
def test_given_and_empty_sides(property: Property) -> None:
    graph = ChainGraph("abcd", [("a", "c"), ("b", "c")], [("c", "d")])
    assert graph.minimal_separator("a", "b", property=property) == ()
    assert list(graph.minimal_separators("a", "b", property=property)) == [()]
    assert graph.minimal_separator("a", "b", "c", property=property) is None
    assert graph.minimal_separator([], "b", "c", property=property) == ("c",)
    assert list(graph.minimal_separators("a", [], ["c", "d"], property=property)) == [("c", "d")]
    assert graph.minimal_separator("a", "b", among=["b", "a"], property=property) == ()


def test_amp_needs_a_node_with_its_parents() -> None:
    graph = ChainGraph("xcya", [("a", "c")], [("x", "c"), ("c", "y")])
    assert list(graph.minimal_separators("x", "y", property="amp")) == [("c", "a")]
    assert graph.minimal_separator("x", "y", among="c", property="amp") is None
    assert list(graph.minimal_separators("x", "y")) == [("c",)]


def test_amp_leaves_out_what_only_nodes_left_out_called_for() -> None:
    """The search takes a node whose ancestors it then has to take; without them it is not needed either. Rare on random graphs."""
    arrows = [(4, 0), (4, 2), (4, 6), (7, 2), (8, 0), (8, 1), (8, 6)]
    lines = [(0, 1), (0, 2), (1, 2), (1, 6), (2, 5), (3, 8), (4, 7), (7, 8)]
    graph = ChainGraph(range(9), arrows, lines)
    assert graph.minimal_separator(5, 6, among=[0, 1, 2, 3, 4, 8], property="amp") == (1, 8)
    assert assert_exact(graph, [5], [6], [], [0, 1, 2, 3, 4, 8], "amp") > 0
    arrows = [(2, 0), (3, 6), (4, 0), (4, 6), (4, 7)]
    lines = [(0, 1), (0, 7), (0, 9), (0, 10), (2, 3), (3, 4), (5, 7), (6, 9)]
    assert assert_exact(ChainGraph(range(11), arrows, lines), [1], [6], [], [0, 3, 4, 5, 7, 9, 10], "amp") > 0


def test_unknown_names_are_told_at_once() -> None:
    graph = ChainGraph("abc", [("a", "b")])
    for ask in (graph.minimal_separator, graph.minimal_separators):
        with pytest.raises(ValueError, match="no node 'z'"):
            ask("a", "b", among=["c", "z"])
        with pytest.raises(ValueError, match="'a' is in both x and given"):
            ask("a", "b", "a")


def test_listing_is_lazy() -> None:
    """2³⁰ separators: one node of each of 30 ways."""
    lines = [edge for k in range(30) for edge in (("x", f"a{k}"), (f"a{k}", f"b{k}"), (f"b{k}", "y"))]
    graph = ChainGraph(lines=lines)
    first = list(islice(graph.minimal_separators("x", "y"), 40))
    assert len(set(first)) == 40 and all(len(z) == 30 and graph.separated("x", "y", z) for z in first)
    assert all(len(z) == 30 for z in islice(graph.minimal_separators("x", "y", property="amp"), 3))


@BOTH
def test_is_networkx_minimal_on_directed_graphs(property: Property) -> None:
    rng = random.Random(11)
    separable = 0
    for _ in range(150):
        n = rng.randrange(3, 30)
        arrows = [(a, b) for a, b in combinations(range(n), 2) if rng.random() < 2.5 / n]
        graph, directed = ChainGraph(range(n), arrows), nx.DiGraph(arrows)
        directed.add_nodes_from(range(n))
        x, y, *rest = rng.sample(range(n), n)
        given, among = rest[:1], rest[: rng.randrange(1, len(rest) + 1)]
        found = graph.minimal_separator(x, y, given, among, property)
        peer = nx.find_minimal_d_separator(directed, {x}, {y}, included=set(given), restricted=set(among))
        assert (found is None) == (peer is None)
        assert found is None or nx.is_minimal_d_separator(directed, {x}, {y}, set(found), included=set(given), restricted=set(among))
        separable += found is not None
    assert 50 < separable < 145
