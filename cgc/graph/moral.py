"""The undirected graphs in which separation can be seen: the moral graph for LWF, the augmented graph for AMP, without building them.

LWF (Frydenberg 1990): the subgraph of the smallest ancestral set, with all parents of a component joined, without directions.
AMP (Andersson, Madigan and Perlman 2001): the nodes that have directed paths to those in question, with the arrows among them; their
components, with all lines; the ends joined of every a → b ← c, a → b — c and a → b — c ← d; without directions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from cgc.graph.links import Links
from cgc.graph.separation import Property


class Moral:
    """The moral or augmented graph of the smallest subgraph that is to be looked at for certain ``nodes``."""

    def __init__(self, links: Links, nodes: Iterable[int], property: Property) -> None:
        self._links = links
        self._around = self._moral if property == "lwf" else self._augmented
        self.ancestors = ancestors(links, nodes, property)
        """All nodes an arrow between which counts."""
        self.nodes = self.ancestors if property == "lwf" else links.closure(self.ancestors, links.neighbours)
        """All nodes of the graph."""

    def flood(self, sources: Iterable[int], banks: Collection[int]) -> tuple[set[int], set[int]]:
        """The nodes reached from ``sources`` without passing ``banks`` (disjoint), and the ``banks`` that they touch. In linear time."""
        reached = set(sources)
        touched: set[int] = set()
        married: set[int] = set()
        stack = list(reached)
        while stack:
            for w in self._around(stack.pop(), married):
                if w in banks:
                    touched.add(w)
                elif w not in reached:
                    reached.add(w)
                    stack.append(w)
        return reached, touched

    def _moral(self, v: int, married: set[int]) -> Iterator[int]:
        """What v is joined to, but for what the nodes in ``married`` join, which it adds to."""
        links = self._links
        yield from links.parents[v]
        yield from links.neighbours[v]
        for child in links.children[v]:
            if child in self.ancestors and child not in married:
                component = links.closure((child,), links.neighbours)
                married |= component
                yield child
                for w in component:
                    yield from links.parents[w]
            elif child in self.ancestors:
                yield child

    def _augmented(self, v: int, married: set[int]) -> Iterator[int]:
        """The same; the numbers -1 - w in ``married`` are the nodes w whose parents have been told."""
        links = self._links

        def parents(nodes: Iterable[int]) -> Iterator[int]:
            for w in nodes:
                if w in self.ancestors and -1 - w not in married:
                    married.add(-1 - w)
                    yield from links.parents[w]

        neighbours = links.neighbours[v]
        yield from neighbours
        yield from parents((v, *neighbours))
        for child in links.children[v]:
            if child in self.ancestors and child not in married:
                married.add(child)
                yield child
                yield from links.neighbours[child]
                yield from parents((child, *links.neighbours[child]))


def ancestors(links: Links, nodes: Iterable[int], property: Property) -> set[int]:
    """The closure under the boundary for LWF, under parents for AMP."""
    return links.closure(nodes, links.parents, links.neighbours) if property == "lwf" else links.closure(nodes, links.parents)
