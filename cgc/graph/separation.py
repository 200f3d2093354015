"""Separation in chain graphs by a search for open walks, linear in the size of the graph.

The search runs over pairs (node, how the walk came to it); a breadth-first search gives a shortest open walk. Nodes are numbers here;
``chain_graph.py`` gives them names.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from cgc.graph.links import Links

Property = Literal["lwf", "amp"]
N = TypeVar("N", bound=Hashable)


@dataclass(frozen=True)
class Verdict(Generic[N]):
    """True iff separated. If not, ``walk`` is a shortest open walk and ``steps`` its edges (→, ←, —), one fewer than its nodes."""

    separated: bool
    property: Property
    walk: tuple[N, ...] = ()
    steps: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.separated

    def __str__(self) -> str:
        if self.separated:
            return "separated"
        return str(self.walk[0]) + "".join(f" {step} {node}" for step, node in zip(self.steps, self.walk[1:], strict=True))


# How a walk came to a node. LWF looks at sections (maximal stretches of lines): entered by a tail, by a head with no given node in the
# section yet, by a head with one. AMP looks at single nodes: entered by a tail, by a head, by a line.
TAIL, HEAD, HEAD_GIVEN, LINE = range(4)
State = tuple[int, int]


def open_walk(links: Links, sources: Sequence[int], targets: Sequence[int], given: Sequence[int], property: Property) -> list[int]:
    """A shortest open walk from ``sources`` to ``targets`` given ``given`` (pairwise disjoint), as node numbers; empty if separated."""
    inside, ends = set(given), set(targets)
    moves = _lwf_moves if property == "lwf" else _amp_moves
    came_from: dict[State, State | None] = {(v, TAIL): None for v in sources}
    queue = deque(came_from)
    while queue:
        state = queue.popleft()
        # A head-entered last section with a given node is closed: it is not a collider, since the walk ends in it.
        if state[0] in ends and state[1] != HEAD_GIVEN:
            walk = []
            step: State | None = state
            while step is not None:
                walk.append(step[0])
                step = came_from[step]
            return walk[::-1]
        for following in moves(links, inside, *state):
            if following not in came_from:
                came_from[following] = state
                queue.append(following)
    return []


def _lwf_moves(links: Links, given: set[int], v: int, mark: int) -> Iterator[State]:
    """Studený (1998), Lauritzen and Sadeghi (2018): collider sections hold a given node, other sections hold none."""
    if mark != HEAD:
        yield from ((w, TAIL) for w in links.parents[v] if w not in given)
    if mark == HEAD_GIVEN:
        yield from ((w, HEAD_GIVEN) for w in links.neighbours[v])
    elif mark == TAIL:
        yield from ((w, TAIL) for w in links.neighbours[v] if w not in given)
    else:
        yield from ((w, HEAD_GIVEN if w in given else HEAD) for w in links.neighbours[v])
    if mark != HEAD_GIVEN:
        yield from ((w, HEAD_GIVEN if w in given else HEAD) for w in links.children[v])


def _amp_moves(links: Links, given: set[int], v: int, mark: int) -> Iterator[State]:
    """Andersson, Madigan and Perlman (2001): a → v ← b, a → v — b and a — v ← b need v given, anything else needs it not given."""
    if (mark in (HEAD, LINE)) == (v in given):
        yield from ((w, TAIL) for w in links.parents[v])
    if (mark == HEAD) == (v in given):
        yield from ((w, LINE) for w in links.neighbours[v])
    if v not in given:
        yield from ((w, HEAD) for w in links.children[v])
