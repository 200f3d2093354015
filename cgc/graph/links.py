"""The edges of a graph between node numbers: whom each node's arrows and lines lead to. ``chain_graph.py`` gives nodes their names."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


class Adjacency:
    """``adjacency[v]`` are the nodes that v leads to, ascending, each once.

    They lie end to end in one array: a list per node takes longer to build, and far longer to walk through in a large graph.
    """

    __slots__ = ("_starts", "_to")

    def __init__(self, count: int, tails: Numbers, heads: Numbers) -> None:
        """Of ``count`` nodes, with an edge from each of ``tails`` to the one of ``heads`` in the same place."""
        edges = tails * count + heads
        edges.sort()
        edges = np.concatenate((edges[:1], edges[1:][edges[1:] != edges[:-1]]))
        self._starts = array("q", edges.searchsorted(np.arange(count + 1, dtype=np.int64) * count).tobytes())
        self._to = array("q", (edges % max(1, count)).tobytes())

    def __getitem__(self, v: int) -> array[int]:
        return self._to[self._starts[v] : self._starts[v + 1]]

    def edges(self) -> tuple[Numbers, Numbers]:
        """Tails and heads of all edges, in order."""
        starts = np.array(self._starts)
        return np.arange(len(starts) - 1).repeat(starts[1:] - starts[:-1]), np.array(self._to)


@dataclass(frozen=True)
class Links:
    """All edges of a graph of ``count`` nodes."""

    count: int
    parents: Adjacency
    children: Adjacency
    neighbours: Adjacency

    @classmethod
    def of(cls, count: int, arrows: tuple[Numbers, Numbers], lines: tuple[Numbers, Numbers]) -> Links:
        """From the tails and the heads of the arrows, and the two ends of the lines."""
        (tails, heads), (ends, others) = arrows, lines
        both = Adjacency(count, np.concatenate((ends, others)), np.concatenate((others, ends)))
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
