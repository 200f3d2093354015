"""The template on a sample of its index values, unrolled over as many time steps as can matter, as a chain graph of nodes.

**Index values.** ``values.py`` says which are kept, and whether verdicts on them are verdicts on the whole graph (``complete``). If not,
the sample has all edges of the whole graph among its nodes, and whether a walk is open depends on its own nodes alone: every open walk that
is found in it is open in the whole graph as well, but some may not be found.

**Time steps.** Walks that leave the times of a statement go up to a common ancestor and come down again. ``past_steps`` is the number
of steps after which no pair of nodes gains a common ancestor from a further step; it is exact, so verdicts hold for every t. Where
there are lines within components, ``horizon.py`` says how many steps there must be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import combinations
from typing import NamedTuple

import numpy as np

from cgc.graph import predicate
from cgc.graph.chain_graph import ChainGraph
from cgc.graph.parts import Part, child_axes, parent_axes
from cgc.graph.predicate import Integers, Predicate, Truths
from cgc.graph.statement import time_text
from cgc.graph.values import Axis, kept_values

MAX_NODES = 2000
"""Of one time step, where there are lags."""
MAX_STILL = 50_000
"""Where there are none."""
MAX_WHOLE, MAX_WHOLE_STILL = 1000, 8000
"""So many are looked at where every index value counts, with and without lags."""
MAX_EDGES = 500_000
"""Of all time steps together, where there are lines within components."""


class Node(NamedTuple):
    """One node of the unrolled graph. ``time`` counts from t; it is None without time and for parts that are constant."""

    part: str
    indices: tuple[int, ...]
    time: int | None

    def __str__(self) -> str:
        return f"{self.part}[{','.join([*(str(k) for k in self.indices), *([] if self.time is None else [time_text(self.time)])])}]"


class TooManyNodes(Exception):
    """The sample is too large: it has more than ``MAX_NODES`` nodes (``MAX_STILL`` without lags), or with lines ``MAX_EDGES`` edges."""

    def __init__(self, what: str = f"a sample of one time step has more than {MAX_NODES} nodes") -> None:
        super().__init__(what)


@dataclass(frozen=True)
class Sample:
    """The nodes of one time step, part by part, and the arrows into them.

    ``arrows[lag]`` are pairs (head, tail) of node numbers. ``constant`` marks nodes that are the same at all times (their arrows have
    lag 0), ``linked`` those that lines join over all times. ``lines[lag]`` are pairs (a, b): a line joins a at any time t to b at t + lag.
    """

    nodes: tuple[Node, ...]
    arrows: Mapping[int, Integers]
    constant: Truths
    linked: Truths
    timed: bool
    lines: Mapping[int, Integers] = field(default_factory=dict)
    complete: bool = True

    def arrow(self, lag: int) -> Truths:
        """Whether there is an arrow with this lag, by (head, tail). Raises TooManyNodes."""
        return self._matrix(self.arrows.get(lag))

    def line(self, lag: int) -> Truths:
        """Whether a line joins two nodes so many steps apart. Raises TooManyNodes."""
        return self._matrix(self.lines.get(lag))

    def _matrix(self, pairs: Integers | None) -> Truths:
        size = len(self.nodes)
        if size > MAX_NODES:
            raise TooManyNodes
        truths = np.zeros((size, size), bool)
        if pairs is not None:
            truths[pairs[:, 0], pairs[:, 1]] = True
        return truths

    def past_steps(self) -> int:
        """How many time steps before those of a statement can matter to it, if lines join inputs only.

        Two nodes of the last L steps (L is the largest lag) are connected through the past iff they have a common ancestor in it, or
        both have a linked or the same constant one. One more step of past changes these relations by a fixed monotone map, so once a
        step changes nothing, none will.
        """
        if max(self.arrows, default=0) == 0:
            return 0
        step, new_common, new_roots = self._further_step()
        common, roots = np.zeros_like(new_common), np.zeros_like(new_roots)
        steps = 0
        while True:
            grown = _product(_product(step, common), step.T) | new_common, _product(step, roots) | new_roots
            if np.array_equal(grown[0], common) and np.array_equal(grown[1], roots):
                return steps
            common, roots = grown
            steps += 1

    def settling(self) -> tuple[int, int]:
        """(s, p): s or more time steps, none of whose nodes is given, connect what is around them as p more such steps do.

        They connect the last L steps before them to the last L of them by directed paths, and the latter to each other as in
        ``past_steps``. One more step changes all three relations by a fixed map, so they repeat once they recur. The period is not
        always 1: with the lag 2 alone, odd and even times never meet. Lines may run within a step, under the LWF property.

        Raises TooManyNodes if that takes more than ``MAX_NODES`` steps.
        """
        step, new_common, new_roots = self._further_step()
        paths, common, roots = np.eye(len(step), dtype=bool), np.zeros_like(new_common), np.zeros_like(new_roots)
        seen: dict[bytes, int] = {}
        for steps in range(MAX_NODES):
            state = sha256(b"".join(np.packbits(relation).tobytes() for relation in (paths, common, roots))).digest()
            if state in seen:
                return seen[state], steps - seen[state]
            seen[state] = steps
            common, roots = _product(_product(step, common), step.T) | new_common, _product(step, roots) | new_roots
            paths = _product(step, paths)
        raise TooManyNodes

    def _further_step(self) -> tuple[Truths, Truths, Truths]:
        """How nodes of the last L steps hang on those of the L steps one step before; which pairs of them have a common ancestor in the
        step that came, and which have a constant or linked one there."""
        longest = max(1, *self.arrows) if self.arrows else 1
        size = len(self.nodes)
        moving = {lag: self.arrow(lag) & ~self.constant for lag in (0, *self.arrows)}
        # walks that pass nothing given go up by lines and parents, and down by children and lines (LWF)
        within = _closure(moving[0] | self.line(0))
        step = np.zeros((longest * size, longest * size), bool)
        step[size:, :-size] = np.eye((longest - 1) * size, dtype=bool)
        for lag in range(1, longest + 1):
            step[:size, (lag - 1) * size : lag * size] = _product(within, moving[lag]) if lag in moving else False
        still = self.arrow(0)[:, self.constant]
        new_roots = _on_top(_product(within, np.column_stack([still, self.linked])), longest)
        return step, _on_top(_product(within, within.T), longest, longest), new_roots

    def unrolled(self, first: int, last: int, linked: bool = True) -> ChainGraph[Node]:
        """The graph of the times t + ``first`` … t + ``last``; ``linked`` says whether there are lines between linked nodes."""
        times: list[int] = list(range(first, last + 1))
        at = {time: [self._at(node, time, bool(c)) for node, c in zip(self.nodes, self.constant, strict=True)] for time in times}
        arrows = [
            (at[time if self.constant[tail] else time - lag][tail], at[time][head])
            for time in times
            for lag, pairs in sorted(self.arrows.items())
            for head, tail in pairs.tolist()
            if time - lag >= first
        ]
        inputs = dict.fromkeys(at[time][k] for time in times for k in np.flatnonzero(self.linked)) if linked else {}
        lines = [
            (at[time][a], at[time + lag][b])
            for time in times
            for lag, pairs in sorted(self.lines.items())
            for a, b in pairs.tolist()
            if time + lag <= last
        ]
        return ChainGraph((node for time in times for node in at[time]), arrows, [*lines, *combinations(inputs, 2)])

    def _at(self, node: Node, time: int, constant: bool) -> Node:
        return node if constant or not self.timed else node._replace(time=time)


def sample(parts: Sequence[Part], names: Iterable[str], constants: Iterable[int], timed: bool, ordered: Iterable[Axis] = ()) -> Sample:
    """A sample of the parts called ``names`` and their ancestors. ``constants`` matter beside those of the edges' predicates.

    Along the axes ``ordered`` every value counts. Raises TooManyNodes.
    """
    by_name = {part.name: part for part in parts}
    relevant = dict.fromkeys(names)
    for name in (queue := list(relevant)):
        for edge in by_name[name].edges:
            if edge.structure.kind != "absent" and edge.source not in relevant:
                relevant[edge.source] = None
                queue.append(edge.source)
    kept = [part for part in parts if part.name in relevant]
    edges = [edge for part in kept for edge in part.edges if edge.structure.kind != "absent"]
    changes = {*constants, *(c for edge in edges for c in predicate.constants(edge.joined))}
    longest = max((edge.lag for edge in edges), default=0)
    found = kept_values(kept, changes, ordered, MAX_WHOLE // longest if longest else MAX_WHOLE_STILL)
    chosen = found.indices
    nodes = tuple(Node(name, index, None) for name, indices in chosen.items() for index in indices)
    if len(nodes) * max(1, longest) > (MAX_NODES if longest else MAX_STILL):
        raise TooManyNodes(*([] if longest else [f"a sample of it has more than {MAX_STILL} nodes"]))
    start = dict(zip(chosen, np.cumsum([0, *(len(indices) for indices in chosen.values())]), strict=False))
    arrows: dict[int, list[Integers]] = {}
    lines: dict[int, list[Integers]] = {}

    def join(edges: dict[int, list[Integers]], lag: int, joined: Predicate, child: Part, parent: Part) -> None:
        rows, columns = (np.array(chosen[part.name]) for part in (child, parent))
        indices = {name: rows[:, axis, None] for axis, (name, _) in enumerate(child_axes(child.extents))}
        indices |= {name: columns[:, axis] for axis, (name, _) in enumerate(parent_axes(parent.extents))}
        truths = np.broadcast_to(predicate.evaluate(joined, indices), (len(rows), len(columns)))
        edges.setdefault(lag, []).append(np.argwhere(truths) + np.array([start[child.name], start[parent.name]]))

    for part in kept:
        for edge in part.edges:
            if edge.structure.kind == "absent":
                continue
            lag = 0 if by_name[edge.source].constant else edge.lag
            join(arrows, lag, edge.joined, part, by_name[edge.source])
        if part.lines is not None and part.lines.written.kind != "list":
            join(lines, part.lines.lag, part.lines.joined, part, part)
        elif part.lines is not None:
            # thousands of pairs make a long condition
            place = {index: start[part.name] + k for k, index in enumerate(chosen[part.name])}
            ends = [(place[a], place[b]) for a, b in part.lines.written.pairs]
            lines.setdefault(0, []).append(np.array([*ends, *((b, a) for a, b in ends)]))
    of = [by_name[node.part] for node in nodes]
    linked = np.array([part.role == "input" and not part.independent for part in of])
    constant = np.array([part.constant for part in of])
    return Sample(nodes, _together(arrows), constant, linked, timed, _together(lines), found.complete)


def _together(edges: Mapping[int, list[Integers]]) -> dict[int, Integers]:
    """The pairs of each lag, each once, ascending."""
    return {lag: np.unique(np.concatenate(pairs), axis=0) for lag, pairs in edges.items()}


def _closure(arrows: Truths) -> Truths:
    """Whether there is a directed path, of any length, between two nodes."""
    reached = arrows | np.eye(len(arrows), dtype=bool)
    while not np.array_equal(reached, further := _product(reached, reached)):
        reached = further
    return reached


def _product(a: Truths, b: Truths) -> Truths:
    return np.asarray(a.astype(np.float32) @ b.astype(np.float32) > 0)


def _on_top(block: Truths, times: int, times_across: int = 1) -> Truths:
    """The block as the top left corner of zeros that are so many times as large."""
    rows, columns = block.shape
    return np.pad(block, ((0, rows * (times - 1)), (0, columns * (times_across - 1))))
