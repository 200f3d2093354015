"""Separation: published oracles, and agreement with moralisation, d-separation and Gaussian conditional independence on random graphs."""

from __future__ import annotations

import random
from itertools import combinations

import networkx as nx
import pytest
from small_graphs import covariance, independent, is_open, random_chain_graph, separated_by_moralisation
from test_chain_graph import KOLLER_FRIEDMAN

from cgc.graph import ChainGraph

FLAG = ChainGraph("123", [("1", "2")], [("2", "3")])
COMPLEX = ChainGraph("1342", [("1", "3"), ("2", "4")], [("3", "4")])
LONG_COMPLEX = ChainGraph("acdeb", [("a", "c"), ("b", "e")], [("c", "d"), ("d", "e")])
FIGURE_4_15 = ChainGraph(*KOLLER_FRIEDMAN)
BLOCKS = ChainGraph(
    "abcdefghijk",
    [("c", "e"), ("d", "f"), ("d", "g"), ("e", "i"), ("f", "k"), ("g", "k"), ("i", "j")],
    [("a", "b"), ("a", "c"), ("b", "d"), ("e", "f"), ("g", "h")],
)
ASIA = ChainGraph(
    arrows=[
        ("asia", "tub"), ("smoking", "cancer"), ("smoking", "bronchitis"), ("tub", "either"), ("cancer", "either"), ("either", "xray"),
        ("either", "dyspnea"), ("bronchitis", "dyspnea"),
    ]
)  # fmt: skip
CRF = ChainGraph(arrows=[(f"h{i}", f"y{i}") for i in (1, 2, 3)], lines=[("y1", "y2"), ("y2", "y3")])
DENSE_CRF = ChainGraph(arrows=[(f"h{i}", f"y{j}") for i in (1, 2, 3) for j in (1, 2, 3)], lines=[("y1", "y2"), ("y2", "y3")])
# Two nodes per layer; r0 -> r~ -> z -> r1 and r0 -> r1 (a refinement module).
REFINEMENT = ChainGraph(
    arrows=[(f"{a}{i}", f"{b}{j}") for a, b in (("X0", "X~"), ("X~", "Z"), ("Z", "X1"), ("X0", "X1")) for i in "ab" for j in "ab"]
)
DROPOUT = ChainGraph(arrows=[(p, c) for p in ("x0", "x1", "D0", "D1") for c in ("h0", "h1")])


@pytest.mark.parametrize(
    ("graph", "statement", "lwf", "amp"),
    [
        (FLAG, "1 3", 0, 1),
        (FLAG, "1 3 2", 1, 0),
        (COMPLEX, "1 2", 1, 1),
        (COMPLEX, "1 2 3", 0, 1),
        (COMPLEX, "1 2 3,4", 0, 0),
        (COMPLEX, "1 4 2", 0, 1),
        (COMPLEX, "1 4 2,3", 1, 0),
        (COMPLEX, "2 3 1", 0, 1),
        (COMPLEX, "2 3 1,4", 1, 0),
        (LONG_COMPLEX, "a b", 1, 1),
        (LONG_COMPLEX, "a b d", 0, 1),
        (LONG_COMPLEX, "a b c,d,e", 0, 1),
        (LONG_COMPLEX, "a e d", 0, 1),
        (LONG_COMPLEX, "a e b,d", 1, 1),
        (LONG_COMPLEX, "c e a,b,d", 1, 1),
        (LONG_COMPLEX, "c e d", 0, 1),
        (FIGURE_4_15, "C E A,D", 1, 1),
        (FIGURE_4_15, "C E D", 0, 1),
        (FIGURE_4_15, "C E A,D,I", 0, 0),
        (FIGURE_4_15, "C H", 1, 1),
        (FIGURE_4_15, "C H I", 0, 0),
        (FIGURE_4_15, "A B D", 0, 1),
        (FIGURE_4_15, "F D C,G", 1, 0),
        (FIGURE_4_15, "A D B,C", 1, 0),
        (FIGURE_4_15, "A E B,D", 1, 1),
        (BLOCKS, "a d b,c", 1, None),
        (BLOCKS, "c f d", 0, 1),
        (BLOCKS, "c f d,e", 1, 0),
        (ASIA, "asia,smoking dyspnea,xray bronchitis,either", 1, 1),
        (ASIA, "tub,cancer bronchitis smoking,xray", 1, 1),
        (CRF, "h1 h3", 1, 1),
        (CRF, "h1 h3 y2", 0, 1),
        (CRF, "h1 y2 h2", 0, 1),
        (CRF, "h1 y2 y1,h2,y3", 1, 0),
        (CRF, "h1 y3 y2,h3", 1, 1),
        (DENSE_CRF, "y1 y3 y2,h1,h2,h3", 1, 1),
        (DENSE_CRF, "y1 y3 h1,h2,h3", 0, 0),
        (DENSE_CRF, "h1 h2 y2", 0, 0),
        (REFINEMENT, "X0a,X0b Za,Zb X~a,X~b", 1, 1),
        (REFINEMENT, "X0a,X0b X1a,X1b Za,Zb", 0, 0),
        (REFINEMENT, "X~a,X~b X1a,X1b Za,Zb", 0, 0),
        (REFINEMENT, "X~a,X~b X1a,X1b Za,Zb,X0a,X0b", 1, 1),
        (DROPOUT, "h0 h1 x0,x1,D0,D1", 1, 1),
        (DROPOUT, "h0 h1 x0,x1", 0, 0),
    ],
)
def test_oracle(graph: ChainGraph[str], statement: str, lwf: int, amp: int | None) -> None:
    x, y, *given = (side.split(",") for side in statement.split(" "))
    z = given[0] if given else []
    for property, expected in (("lwf", lwf), ("amp", amp)):
        if expected is None:
            continue
        for a, b in ((x, y), (y, x)):
            verdict = graph.separated(a, b, z, property)  # type: ignore[arg-type]
            assert bool(verdict) == verdict.separated == expected, (property, verdict)


def test_verdict_shows_the_walk() -> None:
    verdict = COMPLEX.separated("1", "2", ["3"])
    assert verdict.walk == ("1", "3", "4", "2") and verdict.steps == ("→", "—", "←") and str(verdict) == "1 → 3 — 4 ← 2"
    assert str(COMPLEX.separated("1", "2")) == "separated" and COMPLEX.separated("1", "2").walk == ()
    assert COMPLEX.separated([], "2") and COMPLEX.separated("1", {"2"}, iter("34")).steps == ("→", "—", "←")


def test_agrees_with_moralisation_and_walks_are_open() -> None:
    rng = random.Random(1)
    seen = {True: 0, False: 0}
    for _ in range(150):
        graph = random_chain_graph(rng, rng.randrange(2, 10), rng.choice((0.2, 0.35, 0.6)))
        for _ in range(30):
            sides: list[list[int]] = [[], [], [], []]
            for v in graph.nodes:
                sides[rng.choice((0, 1, 2, 2, 3, 3))].append(v)
            x, y, z, _ = sides
            if not x or not y:
                continue
            verdict = graph.separated(x, y, z)
            assert bool(verdict) == separated_by_moralisation(graph, x, y, z)
            seen[bool(verdict)] += 1
            if not verdict:
                assert verdict.walk[0] in x and verdict.walk[-1] in y and is_open(graph, verdict.walk, z, "lwf")
    assert min(seen.values()) > 500


@pytest.mark.parametrize("property", ["lwf", "amp"])
def test_is_exactly_what_holds_in_generic_gaussians(property: str) -> None:
    rng = random.Random(2)
    seen = {True: 0, False: 0}
    for _ in range(60):
        graph = random_chain_graph(rng, rng.randrange(2, 7), rng.choice((0.3, 0.5)))
        sigma = covariance(graph, property, rng)
        for x, y in combinations(graph.nodes, 2):
            others = [v for v in graph.nodes if v not in (x, y)]
            for mask in range(2 ** len(others)):
                z = [v for k, v in enumerate(others) if mask >> k & 1]
                verdict = graph.separated(x, y, z, property)  # type: ignore[arg-type]
                assert bool(verdict) == independent(sigma, x, y, z), (graph, x, y, z)
                assert verdict or is_open(graph, verdict.walk, z, property)
                seen[bool(verdict)] += 1
    assert min(seen.values()) > 500


def test_is_d_separation_on_directed_graphs() -> None:
    rng = random.Random(3)
    for _ in range(60):
        n = rng.randrange(2, 10)
        order = rng.sample(range(n), n)
        graph = ChainGraph(range(n), [(order[a], order[b]) for a, b in combinations(range(n), 2) if rng.random() < 0.3])
        directed = nx.DiGraph(graph.arrows)
        directed.add_nodes_from(range(n))
        for _ in range(10):
            x, y, *rest = rng.sample(range(n), n)
            z = rest[: rng.randrange(len(rest) + 1)]
            expected = nx.is_d_separator(directed, {x}, {y}, set(z))
            assert bool(graph.separated(x, y, z)) == bool(graph.separated(x, y, z, "amp")) == expected


def test_properties_agree_iff_there_is_no_flag() -> None:
    rng = random.Random(4)
    differ = 0
    for _ in range(120):
        graph = random_chain_graph(rng, 5, 0.5)
        same = True
        for x, y in combinations(graph.nodes, 2):
            others = [v for v in graph.nodes if v not in (x, y)]
            for mask in range(2 ** len(others)):
                z = [v for k, v in enumerate(others) if mask >> k & 1]
                same = same and bool(graph.separated(x, y, z)) == bool(graph.separated(x, y, z, "amp"))
        assert same == (not graph.flags)
        differ += not same
    assert 20 < differ < 100
