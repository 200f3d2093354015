"""The chain components of a mixed graph in topological order, or a semi-directed cycle. In linear time, but for the order of ties."""

from __future__ import annotations

import heapq
from collections import deque

import numpy as np

from cgc.graph.links import Adjacency, Links


class SemiDirectedCycle(Exception):
    """``nodes`` are the numbers v1, …, vn = v1 of a cycle along lines and along arrows taken forward, at least one of them an arrow."""

    def __init__(self, nodes: list[int]) -> None:
        super().__init__(nodes)
        self.nodes = nodes


def chain_components(links: Links) -> list[list[int]]:
    """The members of each component, ascending; ties in the order go to the component whose first node is first.

    Raises SemiDirectedCycle.
    """
    component = [-1] * links.count
    members: list[list[int]] = []
    for root in range(links.count):
        if component[root] < 0:
            found = [root]
            component[root] = len(members)
            for v in found:
                for w in links.neighbours[v]:
                    if component[w] < 0:
                        component[w] = len(members)
                        found.append(w)
            found.sort()
            members.append(found)
    homes = np.array(component, np.int64)
    tails, heads = links.children.edges()
    for k in (homes[tails] == homes[heads]).nonzero()[0][:1]:
        raise _cycle(links, [(int(tails[k]), int(heads[k]))])
    after = Adjacency(len(members), homes[tails], homes[heads])
    entering = np.bincount(after.edges()[1], minlength=len(members)).tolist()
    ready = [c for c, count in enumerate(entering) if count == 0]
    order: list[list[int]] = []
    while ready:
        c = heapq.heappop(ready)
        order.append(members[c])
        for d in after[c]:
            entering[d] -= 1
            if entering[d] == 0:
                heapq.heappush(ready, d)
    if len(order) < len(members):
        raise _cycle(links, _round_trip(links, component, members, entering))
    return order


def _round_trip(links: Links, component: list[int], members: list[list[int]], entering: list[int]) -> list[tuple[int, int]]:
    """Arrows, each into the component that the next one leaves, the last into the one that the first leaves."""
    # Every component that is left is entered from one that is left: walking backwards must come round.
    left = next(c for c, count in enumerate(entering) if count)
    arrow_into: dict[int, tuple[int, int]] = {}
    while left not in arrow_into:
        arrow_into[left] = next((a, b) for b in members[left] for a in links.parents[b] if entering[component[a]])
        left = component[arrow_into[left][0]]
    arrows = [arrow_into[left]]
    while component[arrows[-1][0]] != left:
        arrows.append(arrow_into[component[arrows[-1][0]]])
    return arrows[::-1]


def _cycle(links: Links, arrows: list[tuple[int, int]]) -> SemiDirectedCycle:
    """The cycle along ``arrows``, each followed by a shortest line path from its head to the next tail."""
    cycle: list[int] = []
    for (_, head), (tail, _) in zip(arrows, arrows[1:] + arrows[:1], strict=True):
        cycle += _line_path(links, head, tail)
    first = cycle.index(min(cycle))
    cycle = cycle[first:] + cycle[:first]
    return SemiDirectedCycle([*cycle, cycle[0]])


def _line_path(links: Links, start: int, end: int) -> list[int]:
    toward = {end: end}
    queue = deque([end])
    while start not in toward:
        v = queue.popleft()
        for w in links.neighbours[v]:
            if w not in toward:
                toward[w] = v
                queue.append(w)
    path = [start]
    while path[-1] != end:
        path.append(toward[path[-1]])
    return path
