"""Lines inside a component, as predicates on the indices of their two ends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from cgc.graph.binding import Instance, named_pairs
from cgc.graph.geometry import Axes
from cgc.graph.parts import PartLines, child_axes, parent_axes
from cgc.graph.predicate import Constant, Expression, Index, Predicate, arithmetic, compare, conjunction, disjunction, evaluate, function
from cgc.graph.sample import Node
from cgc.graph.structure import first_pair
from cgc.spec.model import Lines


def part_lines(lines: Lines, extents: tuple[int, ...]) -> PartLines:
    """The lines of a component with nodes of shape ``extents``."""
    ends = [(Index(i), Index(j)) for (i, _), (j, _) in zip(child_axes(extents), parent_axes(extents), strict=True)]
    equal = [compare("==", i, j) for i, j in ends]
    across = [same for axis, same in enumerate(equal) if axis not in lines.axes]
    along = [ends[axis] for axis in lines.axes]
    match lines.kind:
        case "chain" | "grid" if lines.time:
            return PartLines(lines, 1, conjunction(*equal))
        case "chain" | "grid":
            steps: Expression = Constant(0)
            for k, (i, j) in enumerate(along):
                step = function("abs", arithmetic("-", i, j))
                steps = arithmetic("+", steps, step) if k else step
            return PartLines(lines, 0, conjunction(*across, compare("==", steps, Constant(1))))
        case "dense":
            return PartLines(lines, 0, conjunction(*across, disjunction(*(compare("!=", i, j) for i, j in along))))
        case "list":
            both = [pair for a, b in lines.pairs for pair in ((a, b), (b, a))]
            return PartLines(lines, 0, disjunction(*(_at(ends, a, b) for a, b in both)))


def first_line(instance: Instance) -> tuple[str, str] | None:
    """A pair of nodes that the instance names and that a line joins; None if there is none. Raises TooManyPairs, ZeroDivisionError."""
    for left, right in product(instance.left, instance.right):
        lines = left.part.lines
        if lines is None or left.part.name != right.part.name or abs(left.time - right.time) != lines.lag:
            continue
        axes = child_axes(left.part.extents), parent_axes(left.part.extents)
        named = named_pairs(instance, left, right)
        found = _first_listed(lines, named, axes) if lines.written.pairs else first_pair(conjunction(lines.joined, named), *axes)
        if found is not None:
            ends = (found[: len(axes[0])], left.time), (found[len(axes[0]) :], right.time)
            a, b = (str(Node(left.part.name, indices, time if left.timed else None)) for indices, time in ends)
            return a, b
    return None


def _first_listed(lines: PartLines, named: Predicate, axes: tuple[Axes, Axes]) -> tuple[int, ...] | None:
    """The first listed pair that is named, in either direction."""
    pairs = np.array([(*one, *other) for a, b in lines.written.pairs for one, other in ((a, b), (b, a))])
    letters = [letter for side in axes for letter, _ in side]
    truths = np.broadcast_to(evaluate(named, dict(zip(letters, pairs.T, strict=True))), len(pairs))
    return tuple(int(k) for k in pairs[np.argmax(truths)]) if truths.any() else None


def _at(ends: Sequence[tuple[Index, Index]], a: tuple[int, ...], b: tuple[int, ...]) -> Predicate:
    values = [(end, Constant(k)) for (i, j), x, y in zip(ends, a, b, strict=True) for end, k in ((i, x), (j, y))]
    return conjunction(*(compare("==", end, k) for end, k in values))
