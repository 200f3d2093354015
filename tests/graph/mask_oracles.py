"""Separation by undirected graphs, as the papers define it, over bit masks: quick enough for tens of thousands of queries.

Written from the definitions and from the edges alone; nothing here is shared with the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from small_graphs import PRIME

from cgc.graph import ChainGraph


def mask(nodes: Sequence[int]) -> int:
    return sum(1 << v for v in nodes)


def bits(nodes: int) -> list[int]:
    return [v for v in range(nodes.bit_length()) if nodes >> v & 1]


class Masks:
    """A chain graph of the nodes 0 … n - 1; sets of nodes are bit masks."""

    def __init__(self, graph: ChainGraph[int]) -> None:
        n = len(graph.nodes)
        self.parents, self.neighbours = [0] * n, [0] * n
        for a, b in graph.arrows:
            self.parents[b] |= 1 << a
        for a, b in graph.lines:
            self.neighbours[a] |= 1 << b
            self.neighbours[b] |= 1 << a
        self.moral, self.augmented = cache(self._moral), cache(self._augmented)

    def closure(self, nodes: int, arrows: bool, lines: bool) -> int:
        while True:
            more = nodes
            for v in bits(nodes):
                more |= self.parents[v] * arrows | self.neighbours[v] * lines
            if more == nodes:
                return nodes
            nodes = more

    def undirected(self, nodes: int, property: str) -> tuple[int, list[int]]:
        """The nodes of the graph to look at for a query about ``nodes``, and what each of them is joined to."""
        if property == "lwf":
            kept = self.closure(nodes, True, True)
            return kept, self.moral(kept)
        kept = self.closure(nodes, True, False)
        return self.closure(kept, False, True), self.augmented(kept)

    def _moral(self, kept: int) -> list[int]:
        """Frydenberg (1990): edges without directions, and parents of each component of the ancestral set joined."""
        joined = [0] * len(self.parents)
        for v in bits(kept):
            self._join(joined, 1 << v, self.parents[v] | self.neighbours[v])
            component = self.closure(1 << v, False, True)
            around = 0
            for w in bits(component):
                around |= self.parents[w]
            self._join(joined, around, around)
        return joined

    def _augmented(self, kept: int) -> list[int]:
        """Andersson, Madigan and Perlman (2001): arrows among ancestors, lines of their components, triplexes and bi-flags completed."""
        joined = [0] * len(self.parents)
        parents = [p if kept >> v & 1 else 0 for v, p in enumerate(self.parents)]
        for b in bits(self.closure(kept, False, True)):
            self._join(joined, 1 << b, parents[b] | self.neighbours[b])
            self._join(joined, parents[b], parents[b] | self.neighbours[b])
            for c in bits(self.neighbours[b]):
                self._join(joined, parents[b], parents[c])
        return joined

    @staticmethod
    def _join(joined: list[int], some: int, others: int) -> None:
        for a in bits(some):
            joined[a] |= others & ~(1 << a)
        for b in bits(others):
            joined[b] |= some & ~(1 << b)

    def reached(self, x: int, y: int, z: int, property: str) -> int:
        """The nodes that a path in the undirected graph for x, y, z leads to from x without passing z."""
        joined = self.undirected(x | y | z, property)[1]
        found = new = x
        while new:
            around = 0
            for v in bits(new):
                around |= joined[v]
            new = around & ~found & ~z
            found |= new
        return found

    def separated(self, x: int, y: int, z: int, property: str) -> bool:
        return not self.reached(x, y, z, property) & y


def partial_covariances(sigma: list[list[int]], z: int = 0, next: int = 0) -> Iterator[tuple[int, list[list[int]]]]:
    """Every set z of nodes with the covariance given z (modulo PRIME), by conditioning on one node more at a time."""
    yield z, sigma
    for v in range(next, len(sigma)):
        scale = pow(sigma[v][v], -1, PRIME)
        given = [[(s - row[v] * t * scale) % PRIME for s, t in zip(row, sigma[v], strict=True)] for row in sigma]
        yield from partial_covariances(given, z | 1 << v, v + 1)
