"""A program: decides every mixed graph on two to four nodes, checks each decision, prints counts and a digest of all results.

The counts are those of chain graphs, of other mixed graphs, and of directed acyclic graphs.
Nodes are names, and nodes and edges are handed over as sets, so that whatever depended on a hash seed would show in the digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from itertools import pairwise

from small_graphs import has_semi_directed_cycle, mixed_graphs

from cgc.graph import ChainGraph, NotAChainGraph


def assert_witness(cycle: Sequence[Hashable], arrows: Sequence[tuple[Hashable, ...]], lines: Sequence[tuple[Hashable, ...]]) -> None:
    """That it is a whole semi-directed cycle: closed, no node twice, each step an arrow forward or a line, one of them an arrow."""
    assert len(cycle) > 1 and cycle[0] == cycle[-1] and len(set(cycle)) == len(cycle) - 1, cycle
    steps = list(pairwise(cycle))
    assert all(step in arrows or step in lines or step[::-1] in lines for step in steps), cycle
    assert any(step in arrows for step in steps), cycle


def main() -> None:
    digest = hashlib.sha256()
    for n in (2, 3, 4):
        names = [f"node {k}" for k in range(n)]
        accepted = rejected = directed = 0
        for numbered in mixed_graphs(n):
            arrows, lines = ([(names[a], names[b]) for a, b in edges] for edges in numbered)
            try:
                graph = ChainGraph(set(names), set(arrows), frozenset(lines))
            except NotAChainGraph as found:
                assert has_semi_directed_cycle(n, *numbered)
                assert_witness(found.cycle, arrows, lines)
                digest.update(repr(found.cycle).encode())
                rejected += 1
            else:
                assert not has_semi_directed_cycle(n, *numbered)
                assert sorted(graph.arrows) == sorted(arrows) and sorted(map(sorted, graph.lines)) == sorted(map(sorted, lines))
                digest.update(repr((graph, graph.components, graph.flags, graph.complexes)).encode())
                place = {v: k for k, component in enumerate(graph.components) for v in component}
                assert sorted(place) == names and all(list(c) == sorted(c) for c in graph.components)
                assert all(place[a] < place[b] for a, b in arrows) and all(place[a] == place[b] for a, b in lines)
                accepted += 1
                directed += not lines
        print(n, accepted, rejected, directed)
    print(digest.hexdigest())


if __name__ == "__main__":
    main()
