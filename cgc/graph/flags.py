"""Flags a → b — c, a and c not adjacent, as templates: without one, the LWF and AMP properties are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cgc.graph.parts import Part, PartEdge
from cgc.graph.predicate import Truths
from cgc.graph.sample import Node, TooManyNodes, sample
from cgc.graph.statement import time_text


@dataclass(frozen=True)
class Flag:
    """All flags of one edge and one direction of lines: ``template`` names them by indices, ``example`` is one of them."""

    template: str
    example: tuple[Node, Node, Node]

    def __str__(self) -> str:
        a, b, c = self.example
        return self.template if b.indices == c.indices == (0,) else f"{self.template}, such as {a} → {b} — {c}"


def flags(parts: Sequence[Part], timed: bool) -> tuple[Flag, ...]:
    """The flags of a template, in the order of ``parts`` and their edges.

    They are looked for in the sample of nodes, whose edges are those of the whole graph: each flag found is one. Raises TooManyNodes.
    """
    return tuple(flag for part in parts if part.lines for flag in _of(part, parts, timed))


def _of(part: Part, parts: Sequence[Part], timed: bool) -> Iterator[Flag]:
    assert part.lines is not None
    taken = sample(parts, [part.name], (), timed)
    own = np.array([node.part == part.name for node in taken.nodes])
    lines = taken.line(part.lines.lag) & own & own[:, None]
    seen: dict[tuple[str, int], None] = {}
    for edge in part.edges:
        if edge.structure.kind == "absent" or (edge.source, edge.lag) in seen:
            continue
        seen[edge.source, edge.lag] = None
        source = np.array([node.part == edge.source for node in taken.nodes])
        for later in (1, -1) if part.lines.lag else (0,):
            near, far = (taken.arrow(edge.lag + k) for k in (0, later))
            # lines[a, b] leads from a to b, one step later where they run along time
            found = _first(lines if later > 0 else lines.T, near & source & own[:, None], far)
            if found is not None:
                times = (-edge.lag, 0, later)
                a, b, c = (taken.nodes[k]._replace(time=time if timed else None) for k, time in zip(found, times, strict=True))
                yield Flag(_template(part, edge, parts, (a, b, c)), (a, b, c))
            elif not taken.complete:
                raise TooManyNodes


def _first(lines: Truths, arrows: Truths, adjacent: Truths) -> tuple[int, int, int] | None:
    """Node numbers of the first a → b — c with ``arrows[b, a]``, ``lines[b, c]`` and not ``adjacent[c, a]``."""
    for b in np.flatnonzero(arrows.any(1)):
        tails, neighbours = np.flatnonzero(arrows[b]), np.flatnonzero(lines[b])
        missing = np.argwhere(~adjacent[np.ix_(neighbours, tails)])
        if len(missing):
            c, a = missing[0]
            return int(tails[a]), int(b), int(neighbours[c])
    return None


def _template(part: Part, edge: PartEdge, parts: Sequence[Part], example: tuple[Node, Node, Node]) -> str:
    """``h[i,t] → y[j,t] — y[k,t]``: a letter for each node, the same for equal indices, none for the only node of a part."""
    source = next(other for other in parts if other.name == edge.source)
    equal = edge.structure.kind in ("elementwise", "identity")
    letters = ["i", "i" if equal else "j", "k"]
    letters[2] = letters[1] if part.lines and part.lines.lag else "k"
    shown = []
    for node, letter, extents in zip(example, letters, (source.extents, part.extents, part.extents), strict=True):
        names = [letter if len(extents) == 1 else f"{letter}{axis}" for axis in range(len(extents))] if set(extents) != {1} else []
        names += [] if node.time is None else [time_text(node.time)]
        shown.append(f"{node.part}[{','.join(names)}]" if names else node.part)
    return f"{shown[0]} → {shown[1]} — {shown[2]}"
