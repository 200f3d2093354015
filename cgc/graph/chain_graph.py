"""Chain graphs over any hashable nodes: components, boundaries, moral graph, flags and complexes.

``separation.py`` says what separates what. Terms are those of S. L. Lauritzen, *Graphical Models* (1996), and M. Frydenberg (1990).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from cgc.graph import separators
from cgc.graph.components import SemiDirectedCycle, chain_components
from cgc.graph.links import Adjacency, Links, Numbers
from cgc.graph.separation import Certificate, Property, Verdict

if TYPE_CHECKING:
    import networkx as nx

N = TypeVar("N", bound=Hashable)


class NotAChainGraph(ValueError):
    """The graph has a semi-directed cycle.

    ``cycle`` is one of them, as nodes v1, …, vn = v1: each step is a line or an arrow taken forward, at least one is an arrow, and no
    node but the first occurs twice.
    """

    def __init__(self, cycle: Sequence[Hashable]) -> None:
        super().__init__("semi-directed cycle: " + ", ".join(str(node) for node in cycle))
        self.cycle = tuple(cycle)


class ChainGraph(Generic[N]):
    """An immutable graph of arrows (tail → head) and lines (a — b) without semi-directed cycles.

    Nodes keep the order in which they are given; those that occur only in an edge follow in the order of the edges. All results are in
    this order, so they are the same under every hash seed (a set, which has no order, is read in the order of ``repr``).

    Raises NotAChainGraph if there is a semi-directed cycle, which includes two different edges between the same nodes and an arrow from
    a node to itself; ValueError for a line from a node to itself.
    """

    nodes: tuple[N, ...]
    """All nodes, in order."""
    components: tuple[tuple[N, ...], ...]
    """The chain components, in a topological order; ties go to the component whose first node is first."""

    def __init__(self, nodes: Iterable[N] = (), arrows: Iterable[tuple[N, N]] = (), lines: Iterable[tuple[N, N]] = ()) -> None:
        number: defaultdict[N, int] = defaultdict(None, {v: k for k, v in enumerate(dict.fromkeys(ordered(nodes)))})
        number.default_factory = number.__len__  # a node that is new gets the next number
        arrow_ends, line_ends = _numbers(ordered(arrows), number), _numbers(ordered(lines), number)
        self._index = dict(number)
        self.nodes = tuple(self._index)
        for k in (line_ends[0] == line_ends[1]).nonzero()[0][:1]:
            raise ValueError(f"a line joins {self.nodes[line_ends[0][k]]!r} to itself")
        self._links = Links.of(len(self.nodes), arrow_ends, line_ends)
        try:
            self.components = tuple(tuple([self.nodes[v] for v in members]) for members in chain_components(self._links))
        except SemiDirectedCycle as found:
            raise NotAChainGraph([self.nodes[v] for v in found.nodes]) from None

    @cached_property
    def arrows(self) -> tuple[tuple[N, N], ...]:
        """All arrows as (tail, head), in the order of the nodes."""
        return tuple((v, self.nodes[b]) for a, v in enumerate(self.nodes) for b in self._links.children[a])

    @cached_property
    def lines(self) -> tuple[tuple[N, N], ...]:
        """All lines, each once, its earlier node first, in the order of the nodes."""
        return tuple((v, self.nodes[b]) for a, v in enumerate(self.nodes) for b in self._links.neighbours[a] if a < b)

    def __repr__(self) -> str:
        return f"ChainGraph(nodes={list(self.nodes)}, arrows={list(self.arrows)}, lines={list(self.lines)})"

    @classmethod
    def from_networkx(cls, graph: nx.Graph[N]) -> ChainGraph[N]:
        """A directed networkx graph, in which a pair of opposite edges is a line; or an undirected one, all of whose edges are lines."""
        edges = {(a, b): None for a, b in graph.edges()}
        if not graph.is_directed():
            return cls(graph.nodes, (), edges)
        linked = {(a, b): None for a, b in edges if a != b and (b, a) in edges}
        return cls(graph.nodes, [edge for edge in edges if edge not in linked], linked)

    def to_networkx(self) -> nx.DiGraph[N]:
        """The directed networkx graph in which a line is a pair of opposite edges."""
        import networkx

        graph: nx.DiGraph[N] = networkx.DiGraph()
        graph.add_nodes_from(self.nodes)
        graph.add_edges_from(self.arrows)
        graph.add_edges_from(edge for a, b in self.lines for edge in ((a, b), (b, a)))
        return graph

    def parents(self, nodes: N | Iterable[N]) -> tuple[N, ...]:
        """pa(S): the tails of arrows into S from outside S."""
        return self._around(nodes, self._links.parents)

    def children(self, nodes: N | Iterable[N]) -> tuple[N, ...]:
        """ch(S): the heads of arrows from S to outside S."""
        return self._around(nodes, self._links.children)

    def neighbours(self, nodes: N | Iterable[N]) -> tuple[N, ...]:
        """ne(S): the nodes outside S that a line joins to S."""
        return self._around(nodes, self._links.neighbours)

    def boundary(self, nodes: N | Iterable[N]) -> tuple[N, ...]:
        """bd(S) = pa(S) ∪ ne(S)."""
        return self._around(nodes, self._links.parents, self._links.neighbours)

    def ancestral(self, nodes: N | Iterable[N]) -> tuple[N, ...]:
        """The smallest ancestral set that contains S: its closure under the boundary."""
        return self._names(self._links.closure(self._indices(nodes), self._links.parents, self._links.neighbours))

    def moral(self) -> nx.Graph[N]:
        """The moral graph: all edges without their directions, and all pairs of parents of one component joined."""
        import networkx

        graph: nx.Graph[N] = networkx.Graph()
        graph.add_nodes_from(self.nodes)
        graph.add_edges_from((*self.arrows, *self.lines))
        for component in self.components:
            graph.add_edges_from(combinations(self.parents(component), 2))
        return graph

    @cached_property
    def flags(self) -> tuple[tuple[N, N, N], ...]:
        """All (a, b, c) with a → b — c, a and c not adjacent. Without flags the LWF and AMP properties are the same."""
        links = self._links
        return tuple(
            (self.nodes[a], self.nodes[b], self.nodes[c])
            for b in range(len(self.nodes))
            for a in links.parents[b]
            for c in links.neighbours[b]
            if not links.adjacent(a, c)
        )

    @cached_property
    def complexes(self) -> tuple[tuple[N, ...], ...]:
        """All minimal complexes (a, c1, …, ck, b): a → c1 — … — ck ← b with no other edges among them, a before b.

        Two chain graphs have the same LWF independences iff they have the same adjacencies and minimal complexes (Frydenberg 1990).
        There can be exponentially many.
        """
        links = self._links
        found: list[tuple[int, ...]] = []
        stack: list[tuple[int, ...]] = [(a, c) for a in reversed(range(len(self.nodes))) for c in reversed(links.children[a])]
        while stack:
            path = stack.pop()
            *before, last = path
            # What continues or closes the path must not touch it anywhere else.
            closing = (v for v in links.parents[last] if v > path[0])
            onward = (v for v in reversed(links.neighbours[last]) if v not in path)
            found += [(*path, v) for v in closing if not any(links.adjacent(v, w) for w in before)]
            stack += [(*path, v) for v in onward if not any(links.adjacent(v, w) for w in before)]
        return tuple(tuple(self.nodes[v] for v in path) for path in found)

    def separated(self, x: N | Iterable[N], y: N | Iterable[N], given: N | Iterable[N] = (), property: Property = "lwf") -> Verdict[N]:
        """Whether ``given`` separates ``x`` from ``y``, that is, whether the graph implies x ⟂ y | given. In linear time.

        Each argument is a node or several. The verdict is true if they are separated, and then has a certificate, made when it is asked
        for; it carries an open walk if not. ``lwf`` is the Lauritzen-Wermuth-Frydenberg property (walks of Studený 1998), ``amp`` that of
        Andersson, Madigan and Perlman (2001).

        Raises ValueError if a node or the property is unknown or two of the sets overlap.
        """
        question = self._question(x, y, given, property)
        walk = question.walk(question.given)
        steps = tuple(self._step(a, b) for a, b in pairwise(walk))

        def certify() -> Certificate[N]:
            moral = question.moral(question.given)
            return Certificate(self._names(moral.nodes), self._names(moral.flood(question.x, question.given)[0]))

        return Verdict(not walk, property, tuple(self.nodes[v] for v in walk), steps, None if walk else certify)

    def minimal_separator(
        self,
        x: N | Iterable[N],
        y: N | Iterable[N],
        given: N | Iterable[N] = (),
        among: N | Iterable[N] | None = None,
        property: Property = "lwf",
    ) -> tuple[N, ...] | None:
        """``given`` and nodes of ``among`` that separate ``x`` from ``y``, none of which can be left out; None if nothing separates them.

        Minimal is meant by inclusion: no proper subset that contains ``given`` separates. ``among`` (default: all nodes) may overlap the
        others; nodes of ``x`` and ``y`` in it are not taken. In linear time for ``lwf``, where it is the minimal separator nearest to
        ``x``; for ``amp`` by a search that takes exponential time in the worst case, in which earlier nodes are left out first.

        Raises ValueError as ``separated`` does.
        """
        question = self._question(x, y, given, property)
        found = separators.minimal_separator(question, self._choice(question, among))
        return None if found is None else self._names(found)

    def minimal_separators(
        self,
        x: N | Iterable[N],
        y: N | Iterable[N],
        given: N | Iterable[N] = (),
        among: N | Iterable[N] | None = None,
        property: Property = "lwf",
    ) -> Iterator[tuple[N, ...]]:
        """All sets that ``minimal_separator`` might give, each once, found as they are asked for.

        For ``lwf`` the first is that of ``minimal_separator``, others come after those that they lie behind, and the time for each is
        polynomial; they are kept, so that none is given twice. For ``amp`` the time may be exponential.

        Raises ValueError as ``separated`` does, at once.
        """
        question = self._question(x, y, given, property)
        found = separators.minimal_separators(question, self._choice(question, among))
        return (self._names(z) for z in found)

    def _question(self, x: N | Iterable[N], y: N | Iterable[N], given: N | Iterable[N], property: Property) -> separators.Question:
        if property not in ("lwf", "amp"):
            raise ValueError(f"no property {property!r}: lwf or amp")
        sides = {name: frozenset(self._indices(nodes)) for name, nodes in (("x", x), ("y", y), ("given", given))}
        for one, other in combinations(sides, 2):
            if shared := sides[one] & sides[other]:
                raise ValueError(f"{self.nodes[min(shared)]!r} is in both {one} and {other}")
        return separators.Question(self._links, **sides, property=property)

    def _choice(self, question: separators.Question, among: N | Iterable[N] | None) -> frozenset[int]:
        chosen = range(len(self.nodes)) if among is None else self._indices(among)
        return frozenset(chosen) - question.x - question.y - question.given

    def _step(self, a: int, b: int) -> str:
        return "→" if b in self._links.children[a] else "←" if b in self._links.parents[a] else "—"

    def _indices(self, nodes: N | Iterable[N]) -> list[int]:
        if isinstance(nodes, Hashable) and nodes in self._index:
            return [self._index[nodes]]
        if isinstance(nodes, str) or not isinstance(nodes, Iterable):
            raise ValueError(f"no node {nodes!r}")
        several = list(nodes)
        for node in several:
            if node not in self._index:
                raise ValueError(f"no node {node!r}")
        return sorted({self._index[node] for node in several})

    def _names(self, indices: Iterable[int]) -> tuple[N, ...]:
        return tuple(self.nodes[v] for v in sorted(indices))

    def _around(self, nodes: N | Iterable[N], *links: Adjacency) -> tuple[N, ...]:
        inside = set(self._indices(nodes))
        return self._names({w for v in inside for link in links for w in link[v]} - inside)


T = TypeVar("T")


def ordered(items: Iterable[T]) -> list[T]:
    """The items as they come; those of a set in the order of ``repr``."""
    return sorted(items, key=repr) if isinstance(items, (set, frozenset)) else list(items)


def _numbers(edges: Iterable[tuple[N, N]], number: Mapping[N, int]) -> tuple[Numbers, Numbers]:
    """The numbers of the first and of the second nodes."""
    pairs = np.array([number[v] for a, b in edges for v in (a, b)], np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
