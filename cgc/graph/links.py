"""The edges of a graph between node numbers: whom each node's arrows and lines lead to. ``chain_graph.py`` gives nodes their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


class Adjacency:
    """``adjacency[v]`` are the nodes that v leads to, ascending, each once.

    They lie end to end in one list: a list per node costs several times as much to build.
    """

    __slots__ = ("_starts", "_to")

    def __init__(self, count: int, tails: Sequence[int], heads: Sequence[int]) -> None:
        """Of ``count`` nodes, with an edge from each of ``tails`` to the one of ``heads`` in the same place."""
        edges = np.unique(np.array(tails, np.int64) * count + np.array(heads, np.int64))
        ordered, to = np.divmod(edges, max(1, count))
        self._starts: list[int] = np.searchsorted(ordered, np.arange(count + 1)).tolist()
        self._to: list[int] = to.tolist()

    def __getitem__(self, v: int) -> list[int]:
        return self._to[self._starts[v] : self._starts[v + 1]]


@dataclass(frozen=True)
class Links:
    """All edges of a graph of ``count`` nodes."""

    count: int
    parents: Adjacency
    children: Adjacency
    neighbours: Adjacency

    @classmethod
    def of(cls, count: int, arrows: tuple[list[int], list[int]], lines: tuple[list[int], list[int]]) -> Links:
        """From the tails and the heads of the arrows, and the two ends of the lines."""
        (tails, heads), (ends, others) = arrows, lines
        both = Adjacency(count, ends + others, others + ends)
        return cls(count, Adjacency(count, heads, tails), Adjacency(count, tails, heads), both)

    def adjacent(self, a: int, b: int) -> bool:
        """Whether there is any edge between a and b."""
        return b in self.parents[a] or b in self.children[a] or b in self.neighbours[a]

    def closure(self, nodes: Iterable[int], *along: Adjacency) -> set[int]:
        """The nodes that are reached from ``nodes`` along any of these adjacencies, with ``nodes`` themselves."""
        found = set(nodes)
        stack = list(found)
        while stack:
            v = stack.pop()
            for adjacency in along:
                for w in adjacency[v]:
                    if w not in found:
                        found.add(w)
                        stack.append(w)
        return found
