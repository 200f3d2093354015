"""How many time steps around a statement can matter to it where components have lines.

What is given has times of the statement, or lies within the longest lag or line of it: beyond, before and after, nothing is given. What
a walk can do out there is a relation between the states (node, how the walk came to it) of the nearest steps, as many as the longest lag
has: from which of them it can come to which. With one more step out there the relation follows from the one before by a fixed monotone
map, so once a step changes nothing, none will. As it never shrinks, it is enough to look each time the steps have doubled. Inputs that
are linked over all times are one further state.
"""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
import numpy as np

from cgc.graph.sample import MAX_EDGES, Sample, TooManyNodes
from cgc.graph.separation import Property

State = tuple[int, int, str]
"""Node of the sample, steps away (0 is nearest), and whether the walk came by a tail, a head, a line (AMP) or to a given node (LWF)."""
_HOW = ("tail", "head", "line", "given")
_HUB: State = (-1, 0, "tail")


def horizon(sample: Sample, property: Property) -> tuple[int, int]:
    """How many steps of the past and of the future are enough: verdicts then hold for every t and every length. Raises TooManyNodes."""
    if not sample.lines:
        return sample.past_steps(), 0
    over_time = 1 in sample.lines
    nearest = max(max(sample.arrows, default=0), int(over_time))
    # without lines over time, a walk that goes into the future stays there
    return _steps(sample, property, nearest, True), _steps(sample, property, nearest, False) if over_time else 0


def _steps(sample: Sample, property: Property, nearest: int, past: bool) -> int:
    if not nearest:
        return 0
    edges = sum(len(pairs) for pairs in (*sample.arrows.values(), *sample.lines.values()))
    steps, before = nearest, _relation(list(_moves(sample, property, nearest, past)), nearest)
    while True:
        if 2 * steps * edges > MAX_EDGES:
            raise TooManyNodes(f"the steps that matter have more than {MAX_EDGES} edges")
        relation = _relation(list(_moves(sample, property, 2 * steps, past)), nearest)
        if relation == before:
            return steps
        steps, before = 2 * steps, relation


def _relation(moves: list[tuple[State, State]], nearest: int) -> dict[State, int]:
    """From each state of the nearest steps, those of them that can be reached, as the bits of a number."""
    graph = nx.condensation(nx.DiGraph(moves))
    reached: dict[int, int] = {}
    for group in reversed(list(nx.topological_sort(graph))):
        reached[group] = 0
        for node, at, how in graph.nodes[group]["members"]:
            if at < nearest:
                reached[group] |= 1 << (((node + 1) * nearest + at) * len(_HOW) + _HOW.index(how))
        for further in graph.successors(group):
            reached[group] |= reached[further]
    return {state: reached[group] for state, group in graph.graph["mapping"].items() if state[1] < nearest}


def _moves(sample: Sample, property: Property, steps: int, past: bool) -> Iterator[tuple[State, State]]:
    """The moves of ``separation.py`` where nothing is given, over so many steps away; for AMP only tails go on to parents."""
    up, down, along = _MOVES[property]
    for lag, pairs in sample.arrows.items():
        for head, tail in pairs.tolist():
            for near in range(steps - lag):
                at_head, at_tail = (near, near + lag) if past else (near + lag, near)
                if sample.constant[tail]:
                    at_tail = 0
                yield from (((head, at_head, a), (tail, at_tail, b)) for a, b in up)
                yield from (((tail, at_tail, a), (head, at_head, b)) for a, b in down)
    for lag, pairs in sample.lines.items():
        for one, other in pairs.tolist():
            for near in range(steps - lag):
                at_one, at_other = (near + lag, near) if past else (near, near + lag)
                yield from (((one, at_one, a), (other, at_other, b)) for a, b in along)
                yield from (((other, at_other, a), (one, at_one, b)) for a, b in along)
    for node in np.flatnonzero(sample.linked).tolist():
        for at in range(steps):
            yield from (((node, at, a), _HUB) for a, _ in along)
            yield from ((_HUB, (node, at, b)) for _, b in along)


_MOVES: dict[Property, tuple[tuple[tuple[str, str], ...], ...]] = {
    "lwf": (
        (("tail", "tail"), ("given", "tail")),
        (("tail", "head"), ("head", "head")),
        (("tail", "tail"), ("head", "head"), ("given", "given")),
    ),
    "amp": (
        (("tail", "tail"),),
        (("tail", "head"), ("head", "head"), ("line", "head")),
        (("tail", "line"), ("line", "line")),
    ),
}
"""From how to how: to a parent, to a child, along a line."""
