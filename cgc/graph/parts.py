"""What the analysis of a spec yields: parts (one per component and layer), their edges, and the structure of each edge.

Masks speak of the child's and the parent's indices by fixed names, ``child_axes`` and ``parent_axes``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cgc.graph.geometry import Axes, Geometry
from cgc.graph.predicate import Constant, Expression, Index, Predicate, Truth, arithmetic, compare, conjunction, substitute
from cgc.graph.recognise import Classes, Kind
from cgc.spec.model import Edge, Lines, Normalisation


def child_axes(extents: tuple[int, ...]) -> Axes:
    """A child's indices in masks: ``i``; ``i0``, ``i1``, … if it has several axes."""
    return _axes("i", extents)


def parent_axes(extents: tuple[int, ...]) -> Axes:
    """A parent's indices in masks: ``j``; ``j0``, ``j1``, … if it has several axes."""
    return _axes("j", extents)


def _axes(letter: str, extents: tuple[int, ...]) -> Axes:
    return tuple((letter if len(extents) == 1 else f"{letter}{axis}", extent) for axis, extent in enumerate(extents))


@dataclass(frozen=True)
class Structure:
    """Which pairs (child node, parent node) an edge joins.

    - ``dense``: all of them, each with its own weight;
    - ``elementwise``: exactly those with equal indices, with one weight per node;
    - ``identity``: the same with a fixed weight;
    - ``absent``: none;
    - ``grouped``: those in the same of several equal blocks; ``local``: those within windows; ``convolution``: the same, with weights that
      are shared wherever offset and maps are equal; ``average``: the same, with one fixed weight. ``geometry`` tells which;
    - ``masked``: those that satisfy ``predicate``; ``tied``: the same, with weights that are shared in another way. ``causal`` says of
      masked ones that every node reads the parents up to some place.

    ``predicate`` is None where the kind says it all. It may leave out indices: it broadcasts. On an edge written as elementwise or
    identity it implies equal indices. ``keys`` are what pairs with equal weights have in common (None: no weights are shared).
    ``pairs`` is how many there are, ``child_index`` and ``parent_index`` what the indices are called and how far they run.
    """

    kind: Kind
    pairs: int
    child_index: Axes
    parent_index: Axes
    predicate: Predicate | None = None
    geometry: Geometry | None = None
    keys: tuple[Expression, ...] | None = None
    causal: bool = False

    @property
    def joined(self) -> Predicate:
        """Which pairs these are, as a condition."""
        if self.predicate is not None:
            return self.predicate
        return self.equal_indices if self.kind in ("elementwise", "identity") else Truth(self.kind == "dense")

    @property
    def equal_indices(self) -> Predicate:
        """``j == i`` on every axis; never if the shapes differ."""
        if len(self.child_index) != len(self.parent_index):
            return Truth(False)
        pairs = zip(self.child_index, self.parent_index, strict=True)
        return conjunction(*(compare("==", Index(j), Index(i)) for (i, _), (j, _) in pairs))


@dataclass(frozen=True)
class PartEdge:
    """An edge from part ``source``, ``lag`` steps before. ``edge`` is what the spec says: its kind, gate, weight and place.

    ``weight`` is the name of its weight, which edges may share: ``h.x``, as in the state dict. ``block``: it leads to the child's nodes
    from ``block[0]`` up to ``block[1]`` on the first index, of which ``structure`` speaks, counted from 0. ``gates`` names the edge that
    the source opens, if this is what a hidden gate adds to the graph.
    """

    source: str
    lag: int
    edge: Edge
    structure: Structure
    weight: str = ""
    block: tuple[int, int] | None = None
    gates: str | None = None

    @property
    def joined(self) -> Predicate:
        """Which pairs of nodes of the whole child and of the parent it joins, as a condition."""
        if self.block is None:
            return self.structure.joined
        ((name, _), *_) = self.structure.child_index
        start, stop = self.block
        inside = (compare(">=", Index(name), Constant(start)), compare("<", Index(name), Constant(stop)))
        within = {name: arithmetic("-", Index(name), Constant(start))} if start else {}
        return conjunction(*inside, substitute(self.structure.joined, within))


@dataclass(frozen=True)
class PartLines:
    """The lines among the nodes of a part: node i at time t and node j at time t + ``lag`` (0 or 1), where ``joined``.

    ``joined`` is the same with i and j exchanged. ``written`` is what the spec says.
    """

    written: Lines
    lag: int
    joined: Predicate


@dataclass(frozen=True)
class Part:
    """A component of the spec, or one of its copies: a layer of a stack, a level of a refinement.

    Its chain components are the parts of it that its ``lines`` connect, over all times where they run along time; without lines they
    are single nodes.

    ``component`` is the component's whole name; ``copies`` are the number of every copy around it, by owner, outermost first. ``base`` is
    the part of which this is the copy on a refining path: it has the first edges of that, as the same objects. ``extents`` is the shape of
    its nodes. ``role`` ``gate`` is for dropout nodes, which occur in
    statements and in the factorisation only; a ``constant`` part is the same at all times. ``bias`` tells which nodes share one (None:
    every node has its own). ``normalize`` is how its nodes are normalised.
    """

    name: str
    component: str
    copies: tuple[tuple[str, int], ...]
    role: Literal["input", "hidden", "output", "gate"]
    extents: tuple[int, ...]
    edges: tuple[PartEdge, ...] = ()
    at: Literal["all", "last"] = "all"
    independent: bool = False
    constant: bool = False
    bias: Classes | None = None
    lines: PartLines | None = None
    base: str | None = None
    normalize: Normalisation | None = None

    @property
    def generic(self) -> str:
        """Its name without the numbers of copies."""
        return f"{self.component}.refine" if self.base is not None else self.component

    @property
    def layer(self) -> int | None:
        """Its number in the stack that its component is; None if it is none."""
        return self.copies[-1][1] if self.copies and self.copies[-1][0] == self.component else None

    @property
    def size(self) -> int:
        """Number of nodes."""
        return math.prod(self.extents)
