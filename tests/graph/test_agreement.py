"""Separation agrees with two other definitions, one by undirected graphs, one by Gaussians, on tens of thousands of queries."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Literal

import pytest
from mask_oracles import Masks, bits, partial_covariances
from small_graphs import covariance, is_open, random_chain_graph, separated_by_moralisation

from cgc.graph import ChainGraph


@pytest.mark.parametrize("property", ["lwf", "amp"])
def test_walks_moralisation_and_gaussians_agree(property: Literal["lwf", "amp"]) -> None:
    rng = random.Random(6)
    pairs = sets = separated = flags = 0
    while pairs < 40_000:
        graph = random_chain_graph(rng, rng.randrange(3, 9), rng.choice((0.2, 0.35, 0.5)))
        flags += bool(graph.flags)
        masks, everything = Masks(graph), 2 ** len(graph.nodes) - 1
        for z, sigma in partial_covariances(covariance(graph, property, rng)):
            given, others = bits(z), bits(everything & ~z)
            for x, y in combinations(others, 2):
                verdict = bool(graph.separated(x, y, given, property))
                assert verdict == (sigma[x][y] == 0) == masks.separated(1 << x, 1 << y, z, property), (graph, x, y, given)
                pairs += 1
                separated += verdict
            side = {v: rng.randrange(3) for v in others}
            several = [[v for v in others if side[v] == k] for k in (0, 1)]
            x, y = (sum(1 << v for v in s) for s in several)
            found = graph.separated(*several, given, property)
            assert bool(found) == all(sigma[a][b] == 0 for a in several[0] for b in several[1]) == masks.separated(x, y, z, property)
            assert found or (x >> found.walk[0] & 1 and y >> found.walk[-1] & 1 and is_open(graph, found.walk, given, property))
            sets += bool(several[0] and several[1])
    assert sets > 3_000 and flags > 10 and 5_000 < separated < 35_000


def test_the_quick_oracle_is_the_slow_one() -> None:
    rng = random.Random(7)
    for _ in range(200):
        graph = random_chain_graph(rng, rng.randrange(2, 8), 0.4)
        x, y, z = ([v for v in graph.nodes if v % 3 == k] for k in rng.sample(range(3), 3))
        masked = Masks(graph).separated(*(sum(1 << v for v in side) for side in (x, y, z)), "lwf")
        assert masked == separated_by_moralisation(graph, x, y, z)


@pytest.mark.parametrize("property", ["lwf", "amp"])
def test_certificates_show_it(property: Literal["lwf", "amp"]) -> None:
    rng = random.Random(8)
    seen = beyond = 0
    for _ in range(400):
        graph = random_chain_graph(rng, rng.randrange(2, 12), rng.choice((0.15, 0.3)))
        masks = Masks(graph)
        for _ in range(10):
            sides: list[list[int]] = [[], [], [], []]
            for v in graph.nodes:
                sides[rng.choice((0, 1, 2, 2, 3, 3, 3))].append(v)
            x, y, z = (sum(1 << v for v in side) for side in sides[:3])
            verdict = graph.separated(*sides[:3], property)
            if not verdict:
                assert verdict.certificate is None
                continue
            nodes, joined = masks.undirected(x | y | z, property)
            shown = verdict.certificate
            assert shown is not None and shown is verdict.certificate
            reached = sum(1 << v for v in shown.reached)
            assert list(shown.nodes) == bits(nodes) and x & ~reached == reached & (y | z) == 0
            assert all(joined[v] & ~reached & ~z == 0 for v in shown.reached)
            assert reached == masks.reached(x, y, z, property)
            seen += 1
            beyond += reached != x
    assert seen > 500 and beyond > 200


def test_certificate_of_published_examples() -> None:
    flag = ChainGraph("123", [("1", "2")], [("2", "3")])
    assert flag.separated("1", "3", "2").certificate == flag.separated("1", "3", ["2"]).certificate
    amp, lwf = flag.separated("1", "3", (), "amp").certificate, flag.separated("1", "3", "2").certificate
    assert amp is not None and (amp.nodes, amp.reached) == (("1", "2", "3"), ("1",))
    assert lwf is not None and (lwf.nodes, lwf.reached) == (("1", "2", "3"), ("1",))
    empty = flag.separated([], "3").certificate
    assert empty is not None and (empty.nodes, empty.reached) == (("1", "2", "3"), ())


def test_certificates_where_hubs_join_many() -> None:
    """Hubs whose joined parents would be hundreds of millions of pairs."""
    n = 20_000
    graph = ChainGraph(range(2 * n + 2), [(k, v) for k in range(n) for v in (n, n + 1)], [(n, n + 1 + k) for k in range(1, n)])
    for property, given in (("lwf", n), ("amp", ())):
        shown = graph.separated(range(n), 2 * n, given, property).certificate  # type: ignore[arg-type]
        assert shown is not None and shown.reached == tuple(range(n))
    shown = graph.separated(0, 2 * n + 1, range(n, n + 3), "amp").certificate
    assert shown is not None and shown.reached == tuple(v for v in range(2 * n + 1) if v not in (n, n + 1, n + 2))
