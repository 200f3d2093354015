"""Separation in chain graphs by a search for open walks, linear in the size of the graph.

The search runs over pairs (node, how the walk came to it); a breadth-first search gives a shortest open walk. Nodes are numbers here;
``chain_graph.py`` gives them names.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, Literal, TypeVar

from cgc.graph.links import Links

Property = Literal["lwf", "amp"]
N = TypeVar("N", bound=Hashable)


@dataclass(frozen=True)
class Certificate(Generic[N]):
    """Why x and y are separated given z, for whoever does not trust the search.

    ``nodes`` are those of the undirected graph for x, y and z: under ``lwf`` the moral graph of their smallest ancestral set, under ``amp``
    the augmented graph of their extended subgraph (see the top of ``cgc/graph/moral.py``). ``reached`` are those that can be reached there
    from x without passing z. To check: build that graph; its nodes are ``nodes``; ``reached`` contains x and none of y and z, and no edge
    leads from ``reached`` to a node that is neither in it nor in z.
    """

    nodes: tuple[N, ...]
    reached: tuple[N, ...]


@dataclass(frozen=True)
class Verdict(Generic[N]):
    """True iff separated, and then with a ``certificate``.

    If not, ``walk`` is a shortest open walk and ``steps`` its edges (→, ←, —), one fewer than its nodes.
    """

    separated: bool
    property: Property
    walk: tuple[N, ...] = ()
    steps: tuple[str, ...] = ()
    _certify: Callable[[], Certificate[N]] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def certificate(self) -> Certificate[N] | None:
        """What shows that they are separated, if they are. In linear time when it is first asked for."""
        return None if self._certify is None else self._certify()

    def __bool__(self) -> bool:
        return self.separated

    def __str__(self) -> str:
        if self.separated:
            return "separated"
        return str(self.walk[0]) + "".join(f" {step} {node}" for step, node in zip(self.steps, self.walk[1:], strict=True))


# How a walk came to a node: by a tail (or it begins there), by a head, and, as LAST, for AMP by a line, for LWF along the lines of a
# section that was entered by a head and has a given node. (A section is a maximal stretch of lines.)
TAIL, HEAD, LAST = range(3)
PARENTS, CHILDREN, NEIGHBOURS = range(3)
Moves = Mapping[tuple[int, bool], tuple[tuple[int, int], ...]]
"""(how the walk came, whether the node is given) → (where it may go on, how it comes there)."""

# Studený (1998), Lauritzen and Sadeghi (2018): a section between two heads holds a given node, other sections hold none. A given node
# entered by a tail is a dead end, which saves a test in the search.
_LWF: Moves = {
    (TAIL, False): ((PARENTS, TAIL), (NEIGHBOURS, TAIL), (CHILDREN, HEAD)),
    (TAIL, True): (),
    (HEAD, False): ((NEIGHBOURS, HEAD), (CHILDREN, HEAD)),
    (HEAD, True): ((PARENTS, TAIL), (NEIGHBOURS, LAST)),
    (LAST, False): ((PARENTS, TAIL), (NEIGHBOURS, LAST)),
    (LAST, True): ((PARENTS, TAIL), (NEIGHBOURS, LAST)),
}
# Andersson, Madigan and Perlman (2001): a → v ← b, a → v — b and a — v ← b need v given, anything else needs it not given.
_AMP: Moves = {
    (TAIL, False): ((PARENTS, TAIL), (NEIGHBOURS, LAST), (CHILDREN, HEAD)),
    (TAIL, True): (),
    (HEAD, False): ((CHILDREN, HEAD),),
    (HEAD, True): ((PARENTS, TAIL), (NEIGHBOURS, LAST)),
    (LAST, False): ((NEIGHBOURS, LAST), (CHILDREN, HEAD)),
    (LAST, True): ((PARENTS, TAIL),),
}


def open_walk(
    links: Links, sources: Iterable[int], targets: Collection[int], given: Collection[int], property: Property, avoiding: Iterable[int] = ()
) -> list[int]:
    """A shortest open walk from ``sources`` to ``targets`` given ``given`` (pairwise disjoint), as node numbers; empty if separated.

    It passes no node of ``avoiding``, which is disjoint from the others.
    """
    count, ends, inside = links.count, frozenset(targets), frozenset(given)
    adjacencies = (links.parents, links.children, links.neighbours)
    table = _LWF if property == "lwf" else _AMP
    moves = {case: [(adjacencies[way], mark * count) for way, mark in onward] for case, onward in table.items()}
    # A state is a node and how the walk came there: mark * count + node. came_from holds the state before, or the state itself.
    came_from = array("q", [-1]) * (3 * count)
    for v in avoiding:
        came_from[v] = came_from[v + count] = came_from[v + 2 * count] = v
    queue = list(sources)
    for v in queue:
        came_from[v] = v
    for state in queue:
        mark, v = divmod(state, count)
        # Under LWF a last section entered by a head that has a given node is closed: it is not a collider, since the walk ends in it.
        if v in ends and (mark != LAST or property == "amp"):
            walk = [v]
            while came_from[state] != state:
                state = came_from[state]
                walk.append(state % count)
            return walk[::-1]
        for adjacency, offset in moves[mark, v in inside]:
            for w in adjacency[v]:
                if came_from[offset + w] < 0:
                    came_from[offset + w] = state
                    queue.append(offset + w)
    return []
