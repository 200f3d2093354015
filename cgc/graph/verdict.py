"""Does a statement hold in the graph? By the local Markov property where it applies, else by separation on the unrolled sample.

What is reported: an open walk for every layer in which it does not hold, and whether the first time steps differ from later ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from cgc.graph import predicate
from cgc.graph.binding import BoundTerm, Instance
from cgc.graph.chain_graph import ChainGraph
from cgc.graph.horizon import horizon
from cgc.graph.parts import Part
from cgc.graph.predicate import Comparison, Constant, Index, Junction, Predicate
from cgc.graph.sample import Node, TooManyNodes, sample
from cgc.graph.separation import Property, Verdict
from cgc.graph.statement import Anchor, Selector, Slice, selector_constants, selector_names

Nodes = tuple[Node, ...]
MAX_CASES = 100_000
MAX_GRID = 20_000_000
Values = Mapping[str, int]


class Overlap(Exception):
    """``term`` of GIVEN names nodes of the left or the right side in certain ``layers``."""

    def __init__(self, term: BoundTerm, layers: tuple[str, ...]) -> None:
        super().__init__(str(term))
        self.term = term
        self.layers = layers


@dataclass(frozen=True)
class Case:
    """A statement for certain values of its indices: is every one of ``x`` separated from every one of ``y`` by ``z``?"""

    values: Values
    x: Nodes
    y: Nodes
    z: Nodes


@dataclass(frozen=True)
class InstanceVerdict:
    """Whether a statement holds in certain layers, and how that is known.

    ``walk`` is an open walk if it does not. ``linked`` says that it would hold without lines between inputs; ``early`` are the times t at
    which it holds although it does not hold later. ``pairwise``: no edge joins the two sides, so that every two of their nodes are
    independent given all others that they depend on, though not given what the statement gives.
    """

    layers: tuple[str, ...]
    holds: bool
    reason: Literal["local Markov property", "separation"]
    walk: Verdict[Node] | None = None
    linked: bool = False
    early: tuple[int, ...] = ()
    pairwise: bool = False


class Question:
    """An instance of a statement on a sample of the graph, and cases to be decided there.

    ``constants`` are index values that the sample must have. What is given has times from t + ``earliest`` to t + ``latest``: those of
    the nodes that the statement names, of their parents, and of their neighbours along time. The graph has the times t + ``first`` to
    t + ``last``, enough for verdicts to hold however much past and future there is.

    Raises TooManyNodes.
    """

    def __init__(self, instance: Instance, parts: Sequence[Part], timed: bool, constants: Iterable[int], property: Property) -> None:
        self.instance = instance
        self.property = property
        self.anchor: Anchor = "t"
        self._all = tuple(parts), timed, tuple(constants)
        named = [c for term in instance.terms for selector in term.selectors for c in selector_constants(selector)]
        changes = (*constants, *named, *predicate.constants(instance.condition))
        self.sample = sample(parts, (term.part.name for term in instance.terms), changes, timed, _ordered(instance))
        self._named: dict[tuple[str, tuple[Selector, ...], int, tuple[int, ...]], Nodes] = {}
        self.nodes_of: dict[str, list[Node]] = {}
        for node in self.sample.nodes:
            self.nodes_of.setdefault(node.part, []).append(node)
        times = [term.time for term in instance.terms if term.timed] or [0]
        along_time = max(self.sample.lines, default=0)
        past, future = horizon(self.sample, property)
        self.latest = max(times) + along_time
        self.earliest = min(times) - max(*self.sample.arrows, along_time, 0)
        self.first = self.earliest - past
        self.last = self.latest + future
        self.parts = [part for part in parts if part.name in self.nodes_of]

    @cached_property
    def graph(self) -> ChainGraph[Node]:
        """The graph of all times that matter."""
        return self.sample.unrolled(self.first, self.last)

    @cached_property
    def present(self) -> set[Node]:
        """The nodes of the graph."""
        return set(self.graph.nodes)

    @cached_property
    def cases(self) -> list[Case]:
        """The cases in the graph. Raises Overlap; ZeroDivisionError for a bound of a slice."""
        return list(self.cases_in(self.graph))

    def about(self, instance: Instance) -> Question:
        """Another instance on the same graph."""
        other = Question(instance, *self._all, self.property)
        return other.ending() if self.anchor == "T" else other

    def ending(self) -> Question:
        """The same where t is the last step."""
        other = copy(self)
        other.anchor, other.last = "T", 0
        return other

    def placed(self, instance: Instance, graph: ChainGraph[Node], first: int, last: int, anchor: Anchor) -> Question:
        """The instance with its terms at certain times of another ``graph`` of the same sample, which covers ``first`` … ``last``.

        ``anchor`` is what those times count from.
        """
        other = copy(self)
        for known in ("present", "cases"):
            vars(other).pop(known, None)
        other.instance, other.graph, other.anchor = instance, graph, anchor
        other.earliest, other.first, other.last = first, first, last
        return other

    def begins(self) -> int:
        """The first t at which both sides may have nodes."""
        sides = (self.instance.left, self.instance.right)
        return max(0, *(-max(term.time if term.timed else 0 for term in side) for side in sides))

    def must_be_complete(self) -> None:
        """Raises TooManyNodes if what was not found open may be so in the whole graph."""
        if not self.sample.complete:
            raise TooManyNodes("no open walk is found among some of its nodes, and there are too many to look at all")

    def separated(self) -> bool:
        """Whether all cases hold. Raises TooManyNodes if that cannot be told."""
        if self.open() is not None:
            return False
        self.must_be_complete()
        return True

    def open(self, given: Callable[[Case], Iterable[Node]] | None = None) -> tuple[Case, Verdict[Node]] | None:
        """The first case that does not hold, with an open walk; None if all hold. ``given`` replaces what is given."""
        return self.open_in(self.graph, self.cases, given)

    def open_in(
        self, graph: ChainGraph[Node], cases: Iterable[Case], given: Callable[[Case], Iterable[Node]] | None = None
    ) -> tuple[Case, Verdict[Node]] | None:
        """``open`` for any graph and its cases."""
        together: dict[tuple[Nodes, frozenset[Node]], list[Case]] = {}
        for case in cases:
            z = frozenset(case.z if given is None else self.present.intersection(given(case)))
            together.setdefault((case.x, z), []).append(case)
        for (x, z), same in together.items():
            verdict = graph.separated(x, {y for case in same for y in case.y}, sorted(z, key=_order), self.property)
            if not verdict:
                return next((case, verdict) for case in same if verdict.walk[-1] in case.y)
        return None

    def cases_in(self, graph: ChainGraph[Node]) -> Iterator[Case]:
        """The statement for the values of its indices in the sample, ascending; values without nodes in ``graph`` are left out."""
        present = set(graph.nodes)
        for values in self._values():
            sides = (self.instance.left, self.instance.right)
            x, y = (tuple(n for term in side for n in self.nodes(term, values) if n in present) for side in sides)
            if not x or not y:
                continue
            z: dict[Node, None] = {}
            for item in self.instance.given:
                if isinstance(item, BoundTerm):
                    nodes = self.nodes(item, values)
                    if not {*x, *y}.isdisjoint(nodes):
                        raise Overlap(item, self.instance.layers)
                else:
                    around = graph.parents(x) if item == "parents" else graph.boundary(x)
                    nodes = tuple(n for n in around if n not in y)
                z.update(dict.fromkeys(n for n in nodes if n in present))
            yield Case(values, x, y, tuple(z))

    def nodes(self, term: BoundTerm, values: Values) -> Nodes:
        """The nodes of the sample that a term names."""
        used = tuple(values[name] for name in term.names)
        key = (term.part.name, term.selectors, term.time, used)
        if key not in self._named:
            chosen = [
                node
                for node in self.nodes_of.get(term.part.name, ())
                if all(_selects(selector, k, values) for selector, k in zip(term.selectors, node.indices, strict=True))
            ]
            self._named[key] = tuple(node._replace(time=term.time) for node in chosen) if term.timed else tuple(chosen)
        return self._named[key]

    def _values(self) -> Iterator[Values]:
        """All values of the indices in the sample that satisfy the condition."""
        axes: dict[str, set[int]] = {}
        for term in (*self.instance.left, *self.instance.right):
            for axis, selector in enumerate(term.selectors):
                if isinstance(selector, Index):
                    kept = {node.indices[axis] for node in self.nodes_of[term.part.name]}
                    axes[selector.name] = axes.get(selector.name, kept) & kept
        if math.prod(len(kept) for kept in axes.values()) > MAX_GRID:
            raise TooManyNodes(f"it is about more than {MAX_GRID} choices of index values")
        names, lists = list(axes), [np.array(sorted(kept), np.int64) for kept in axes.values()]
        grid = dict(zip(names, np.meshgrid(*lists, indexing="ij", sparse=True), strict=True)) if names else {}
        truths = np.broadcast_to(predicate.evaluate(self.instance.condition, grid), tuple(len(kept) for kept in lists))
        if np.count_nonzero(truths) > MAX_CASES:
            raise TooManyNodes(f"it is about more than {MAX_CASES} choices of index values")
        for place in np.argwhere(truths):
            yield {name: int(kept[k]) for name, kept, k in zip(names, lists, place, strict=True)}


def decide(question: Question) -> InstanceVerdict:
    """The verdict by separation."""
    layers = question.instance.layers
    found = question.open()
    if found is None:
        question.must_be_complete()
        return InstanceVerdict(layers, True, "separation")
    if not question.sample.complete:
        return InstanceVerdict(layers, False, "separation", found[1], pairwise=_pairwise(question))
    apart = question.sample.unrolled(question.first, question.last, linked=False)
    independent = question.open_in(apart, question.cases_in(apart)) is None
    early = []
    for t in range(question.begins(), -question.first if question.sample.timed else 0):
        graph = question.sample.unrolled(-t, question.last)
        cases = list(question.cases_in(graph))
        if cases and question.open_in(graph, cases) is not None:
            break  # an open walk is open with more of the past too
        if cases:
            early.append(t)
    return InstanceVerdict(layers, False, "separation", found[1], independent, tuple(early), _pairwise(question))


def _pairwise(question: Question) -> bool:
    """Whether no two nodes of different sides are adjacent: then they are independent given all others that they depend on.

    That is the pairwise Markov property. Separation is a compositional graphoid, so there is no third case between this and the statement:
    what holds for every pair with the same nodes given holds for the sides as a whole.
    """
    pairs = {frozenset((a, b)) for case in question.cases for a in case.x for b in case.y}
    return not any(frozenset(edge) in pairs for edge in (*question.graph.arrows, *question.graph.lines))


def locally_markov(instance: Instance, parts: Sequence[Part]) -> bool:
    """Whether the statement is the local Markov property (LWF), provided that no edge joins what it names.

    A set of nodes of one part at one time, which no arrow joins, is independent of its non-descendants given its boundary: its parents
    and its neighbours along lines (Frydenberg 1990). Descendants are reached by arrows forward and by lines.
    """
    if len(instance.left) > 1 or not instance.given or any(isinstance(item, BoundTerm) for item in instance.given):
        return False
    (left,) = instance.left
    if left.part.role in ("input", "gate") or (left.part.lines and "boundary" not in instance.given):
        return False
    return not any(may_descend(right, left, parts) for right in instance.right)


def may_descend(term: BoundTerm, ancestor: BoundTerm, parts: Sequence[Part]) -> bool:
    """Whether nodes of ``term`` may be descendants of nodes of ``ancestor``; parts are in topological order."""
    if term.part.constant or not term.part.edges:
        return False
    if along_time := [part.name for part in parts if part.lines and part.lines.lag]:
        if term.part.name == ancestor.part.name and term.part.name in along_time:
            # the same chain components over all times, to which no path returns
            return False
        reached = _below(ancestor.part.name, parts)
        if any(name in reached and term.part.name in _below(name, parts) for name in along_time):
            return True
    if term.time < ancestor.time:
        return False
    if term.time > ancestor.time:
        return True
    names = [part.name for part in parts]
    first, last = names.index(ancestor.part.name), names.index(term.part.name)
    below = {ancestor.part.name}
    for part in parts[first + 1 : last + 1]:
        if any(edge.lag == 0 and edge.source in below for edge in part.edges):
            below.add(part.name)
    return last > first and term.part.name in below


def _below(name: str, parts: Sequence[Part]) -> set[str]:
    """The part and all that it leads to, by edges of any lag."""
    below: set[str] = set()
    further = {name}
    while further:
        below |= further
        further = {part.name for part in parts if part.name not in below and any(edge.source in below for edge in part.edges)}
    return below


def _ordered(instance: Instance) -> Iterator[tuple[str, int]]:
    """The axes of which the statement tells more than which values are equal to each other or to a constant, or lie beside one."""
    names = set(_related(instance.condition))
    for term in instance.terms:
        for axis, selector in enumerate(term.selectors):
            bounds = selector_names(selector) if isinstance(selector, Slice) else ()
            if bounds or (isinstance(selector, Slice) and selector.step > 1) or (isinstance(selector, Index) and selector.name in names):
                yield term.part.name, axis
                names.update(bounds)
    for term in instance.terms:
        yield from ((term.part.name, axis) for axis, s in enumerate(term.selectors) if isinstance(s, Index) and s.name in names)


def _related(condition: Predicate) -> Iterator[str]:
    """The indices between which a condition says more than whether they are equal."""
    match condition:
        case Junction(_, parts):
            for part in parts:
                yield from _related(part)
        case Comparison(relation, left, right):
            plain = isinstance(left, (Index, Constant)) and isinstance(right, (Index, Constant))
            beside = plain and (relation in ("==", "!=") or isinstance(left, Constant) or isinstance(right, Constant))
            yield from () if beside else predicate.names(condition)


def _selects(selector: Selector, k: int, values: Values) -> bool:
    match selector:
        case Index(name):
            return k == values[name]
        case Constant(value):
            return k == value
        case Slice(start, stop, step):
            first = 0 if start is None else predicate.integer(start, values)
            return k >= first and (stop is None or k < predicate.integer(stop, values)) and (k - first) % step == 0


def _order(node: Node) -> tuple[str, tuple[int, ...], int]:
    return node.part, node.indices, 0 if node.time is None else node.time
