"""Templates over time: the graph of one step with lags, lines along time among them, and whether it is a chain graph at every length."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from itertools import pairwise
from typing import Generic, TypeVar

from cgc.graph.chain_graph import ChainGraph, NotAChainGraph, ordered

N = TypeVar("N", bound=Hashable)
Arrow = tuple[N, N, int]


class Template(Generic[N]):
    """A graph that repeats at every time step.

    An arrow (tail, head, lag) leads from ``tail`` at time t - lag to ``head`` at time t, for every t at which both exist; a line joins
    its ends at every t. The copies of each node of ``along_time`` are joined by a line from every step to the next.

    The unrolled graph is a chain graph at every length iff the graph of one step is one and, with the components of ``along_time`` taken
    as one over all times, no directed path of any lag returns to such a component: a path with a total lag of 0 stays within a step, and
    any other can only be closed by going back in time, which lines along time alone allow. The test is linear in the template.

    Raises NotAChainGraph otherwise: its ``cycle`` is one of pairs (node, time), times from 0. Raises ValueError for a negative lag, and
    for a line from a node to itself.
    """

    step: ChainGraph[N]
    """One step: the arrows without lag, and the lines within a step."""

    def __init__(
        self,
        nodes: Iterable[N] = (),
        arrows: Iterable[Arrow[N]] = (),
        lines: Iterable[tuple[N, N]] = (),
        along_time: Iterable[N] = (),
    ) -> None:
        self.arrows = tuple(dict.fromkeys(ordered(arrows)))
        self.along_time = tuple(dict.fromkeys(ordered(along_time)))
        for tail, head, lag in self.arrows:
            if not isinstance(lag, int):
                raise ValueError(f"the arrow from {tail!r} to {head!r} has the lag {lag!r}, which is no whole number")
            if lag < 0:
                raise ValueError(f"the arrow from {tail!r} to {head!r} has the lag {lag}: it would lead into the past")
        everything = [*ordered(nodes), *(v for tail, head, _ in self.arrows for v in (tail, head)), *self.along_time]
        try:
            self.step = ChainGraph(everything, [(tail, head) for tail, head, lag in self.arrows if lag == 0], lines)
        except NotAChainGraph as found:
            raise NotAChainGraph([(node, 0) for node in found.cycle]) from None
        if self.along_time:
            self._check_over_time()

    def unrolled(self, steps: int) -> ChainGraph[tuple[N, int]]:
        """The graph of the times 0 … ``steps`` - 1, its nodes pairs (node, time)."""
        times = range(steps)
        arrows = [((tail, t - lag), (head, t)) for t in times for tail, head, lag in self.arrows if t >= lag]
        lines = [((a, t), (b, t)) for t in times for a, b in self.step.lines]
        lines += [((node, s), (node, t)) for s, t in pairwise(times) for node in self.along_time]
        return ChainGraph([(node, t) for t in times for node in self.step.nodes], arrows, lines)

    def _check_over_time(self) -> None:
        """Raises NotAChainGraph if a component with lines along time is on a directed cycle of components, arrows of all lags taken."""
        import networkx

        component = {node: k for k, members in enumerate(self.step.components) for node in members}
        graph: networkx.DiGraph[int] = networkx.DiGraph()
        graph.add_edges_from((component[tail], component[head]) for tail, head, _ in self.arrows)
        cyclic = {k: number for number, members in enumerate(networkx.strongly_connected_components(graph)) for k in members}
        turns = {component[node]: node for node in reversed(self.along_time)}
        for tail, head, _ in self.arrows:
            if component[tail] in turns and cyclic[component[tail]] == cyclic[component[head]]:
                raise self._cycle(turns[component[tail]], component)

    def _cycle(self, turn: N, component: dict[N, int]) -> NotAChainGraph:
        """Along a shortest way of arrows from the component of ``turn`` back to it, then back in time along the lines of ``turn``."""
        import networkx

        start = component[turn]
        leaving: dict[int, list[Arrow[N]]] = {}
        for arrow in self.arrows:
            leaving.setdefault(component[arrow[0]], []).append(arrow)
        into: dict[int, Arrow[N]] = {}
        queue = deque([start])
        while start not in into:
            for arrow in leaving.get(queue.popleft(), []):
                if component[arrow[1]] not in into:
                    into[component[arrow[1]]] = arrow
                    queue.append(component[arrow[1]])
        way = [into[start]]
        while component[way[-1][0]] != start:
            way.append(into[component[way[-1][0]]])
        way.reverse()
        lines: networkx.Graph[N] = networkx.Graph()
        lines.add_nodes_from(self.step.nodes)
        lines.add_edges_from(self.step.lines)
        first = way[0][0]
        cycle, time = [(first, 0)], 0
        for (_, head, lag), tail in zip(way, [*(tail for tail, _, _ in way[1:]), turn], strict=True):
            time += lag
            cycle += [(node, time) for node in networkx.shortest_path(lines, head, tail)]
        cycle += [(turn, t) for t in range(time - 1, 0, -1)]
        cycle += [(node, 0) for node in networkx.shortest_path(lines, turn, first)]
        return NotAChainGraph(cycle)
