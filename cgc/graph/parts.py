"""What the analysis of a spec yields: parts (one per chain component and layer), their edges, and the structure of each edge.

Masks speak of the child's and the parent's indices by fixed names, ``child_indices`` and ``parent_indices``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cgc.graph.predicate import Index, Predicate, Truth, compare, conjunction
from cgc.spec.model import Edge

Kind = Literal["dense", "masked", "elementwise", "identity", "absent"]


def child_indices(axes: int) -> tuple[str, ...]:
    """Names of a child's indices in masks: ``i``; ``i0``, ``i1``, … if it has several axes."""
    return ("i",) if axes == 1 else tuple(f"i{axis}" for axis in range(axes))


def parent_indices(axes: int) -> tuple[str, ...]:
    """Names of a parent's indices in masks: ``j``; ``j0``, ``j1``, … if it has several axes."""
    return ("j",) if axes == 1 else tuple(f"j{axis}" for axis in range(axes))


def equal_indices(axes: int) -> Predicate:
    """``j == i`` on every axis."""
    return conjunction(*(compare("==", Index(j), Index(i)) for i, j in zip(child_indices(axes), parent_indices(axes), strict=True)))


@dataclass(frozen=True)
class Structure:
    """Which pairs (child node, parent node) an edge joins.

    - ``dense``: all of them, each with its own weight;
    - ``elementwise``: exactly those with equal indices, with one weight per node;
    - ``identity``: the same with the fixed weight 1;
    - ``absent``: none;
    - ``masked``: those that satisfy ``predicate``, which is None otherwise. It may leave out indices: it broadcasts. On an edge written
      as elementwise or identity it implies equal indices.

    ``pairs`` is how many there are.
    """

    kind: Kind
    pairs: int
    predicate: Predicate | None = None

    def joins(self, axes: int) -> Predicate:
        """Which pairs these are, as a condition, for a child with ``axes`` axes."""
        if self.predicate is not None:
            return self.predicate
        return equal_indices(axes) if self.kind in ("elementwise", "identity") else Truth(self.kind == "dense")


@dataclass(frozen=True)
class PartEdge:
    """An edge from part ``source``, ``lag`` steps before. ``edge`` is what the spec says: its kind, gate, weight and place."""

    source: str
    lag: int
    edge: Edge
    structure: Structure


@dataclass(frozen=True)
class Part:
    """One chain component of the template: a component of the spec, or one layer of a stack.

    ``layer`` is None without a stack. ``extents`` is the shape of its nodes. ``role`` ``gate`` is for dropout nodes, which occur in
    statements and in the factorisation only; a ``constant`` part is the same at all times.
    """

    name: str
    component: str
    layer: int | None
    role: Literal["input", "hidden", "output", "gate"]
    extents: tuple[int, ...]
    edges: tuple[PartEdge, ...] = ()
    at: Literal["all", "last"] = "all"
    independent: bool = False
    constant: bool = False

    @property
    def size(self) -> int:
        """Number of nodes."""
        return math.prod(self.extents)
