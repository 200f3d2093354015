"""What a graph implies: its missing edges, its local basis, and a separator for every pair of parts, as statements of the language.

A node is independent of every earlier one that no edge joins to it, given its parents (the pairwise Markov property), and of all its
non-descendants together (the local one; Lauritzen 1996, section 3.2). "Earlier" is by time, and within a step by the order of the parts;
linked inputs are earlier than all else. Where components have lines, what is given is the boundary: neighbours along lines too (LWF;
Frydenberg 1990). Nodes of one chain component descend from none of each other, and a component along time has all times.
Nodes are never listed one by one: a statement speaks of two parts, at a lag up to the longest of the graph, with a condition on indices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from cgc.graph import predicate
from cgc.graph.analysis import Graph
from cgc.graph.binding import BoundTerm, Instance, Names, bind
from cgc.graph.parts import Part, child_axes, parent_axes
from cgc.graph.predicate import Index, Predicate, Truth, compare, conjunction, disjunction, negate
from cgc.graph.repair import repair
from cgc.graph.sample import TooManyNodes
from cgc.graph.statement import parse, time_text
from cgc.graph.structure import TooManyPairs, first_named
from cgc.graph.verdict import Question
from cgc.source.text import Source, Span

TERMS = 16
CHARACTERS = 380
"""So many terms, in so many characters, stand on the right side of one statement at most."""
MAX_SEARCHES = 100
MAX_PARTS = 8
"""For so many pairs with so many parts above them a smallest separator is looked for; for others the parents are given."""


@dataclass(frozen=True)
class Pair:
    """Nodes of two parts, ``left`` not earlier than ``right``.

    ``statement`` separates those that no edge joins, ``smallest`` with the fewest terms that do; it is None if edges join all of them,
    so that nothing separates any, or they are ``linked`` inputs.
    """

    left: str
    right: str
    statement: str | None
    smallest: bool = False
    linked: bool = False


class _Block(NamedTuple):
    """The nodes of ``part`` at t and those of ``other`` at t - ``lag``; ``apart`` says which of them no edge joins.

    Lags below 0 are for linked inputs: as their lines run over all times, later ones too come before what depends on inputs.
    """

    part: Part
    other: Part
    lag: int
    apart: Predicate


_Alike = tuple[str, str, int, Predicate]
_ALL, _NONE = Truth(True), Truth(False)


class Independences:
    """The statements that follow from a graph, in the order of its ``parts``, dropout nodes included.

    They speak of nodes that are up to ``window`` steps apart: as far as the longest lag.
    """

    def __init__(self, graph: Graph) -> None:
        self.parts = self._parts = graph.whole
        self._timed, self._modules = graph.timed, graph.modules
        self._place = {part.name: k for k, part in enumerate(self._parts)}
        self._edges = {part.name: [edge for edge in part.edges if edge.structure.kind != "absent"] for part in self._parts}
        self._linked = {part.name for part in self._parts if part.role == "input" and not part.independent}
        self._along_time = {part.name for part in self._parts if part.lines is not None and part.lines.lag}
        longest = max([edge.lag for edges in self._edges.values() for edge in edges] + [1] * bool(self._along_time), default=0)
        self.window = max(1, longest) if self._timed else 0
        self._lags = [*range(self.window + 1), *range(-1, -self.window - 1, -1)]
        self._children: dict[str, list[tuple[str, int]]] = {}
        for part in self._parts:
            for edge in self._edges[part.name]:
                self._children.setdefault(edge.source, []).append((part.name, edge.lag))
        self._reached: dict[str, set[str]] = {}
        self._layers: dict[str, int] = {}
        for part in self._parts:
            if part.layer is not None:
                self._layers[part.component] = part.layer + 1

    # --- Missing edges.

    def missing_edges(self, limit: int | None = None) -> tuple[list[str], int]:
        """One statement for every pair of parts and lag with nodes that no edge joins; one for all layers of a stack where that says it.

        The first ``limit`` of them, and how many there are.
        """
        alike: dict[_Alike, int] = {}
        for block in self._blocks():
            key = self._alike(block)
            alike[key] = alike.get(key, 0) + 1
        statements: list[str] = []
        count = 0
        told: dict[_Alike, None] = {}
        for block in self._blocks():
            if block.apart == _NONE:
                continue
            key = self._alike(block)
            together = alike[key] > 1 and alike[key] == self._choices(block)
            if together and key in told:
                continue
            told[key] = None
            count += 1
            if limit is None or count <= limit:
                statements.append(self._statement(block, *key[:2]) if together else self._statement(block))
        return statements, count

    def _alike(self, block: _Block) -> _Alike:
        """What a block has in common with those of other layers: the names of stacks in place of their layers."""
        part, other = block.part, block.other
        between_layers = part is not other and part.component == other.component
        names = (part.name, other.name) if between_layers else (self._stack(part), self._stack(other))
        return *names, block.lag, block.apart

    def _stack(self, part: Part) -> str:
        return part.name if part.layer is None else part.component

    def _choices(self, block: _Block) -> int:
        """Of how many layers a statement with names of stacks speaks."""
        stacks = dict.fromkeys(part.component for part in (block.part, block.other) if part.layer is not None)
        count = 1
        for stack in stacks:
            count *= self._layers[stack]
        return count

    # --- The local basis.

    def local(self, part: Part) -> Iterator[str]:
        """That nodes of ``part`` are independent of their non-descendants up to the longest lag, given their parents.

        Where only some nodes of another part are parents, a statement of its own speaks of the rest of them: together these statements
        say the same as one (separation is a compositional graphoid).
        """
        wholly: list[str] = []
        partly: list[_Block] = []
        descendants = self._descendants(part)
        for lag in self._lags:
            for other in self._parts:
                if not lag and other.name in descendants:
                    continue
                block = self._block(part, other, lag)
                if block is None or block.apart == _NONE:
                    continue
                if block.apart == _ALL:
                    wholly.append(self._whole(other, lag))
                else:
                    partly.append(block)
        start = f"{self._term(part, 'i', 0)} ⟂ "
        rest = self._given(part)
        some: list[str] = []
        for term in wholly:
            if some and (len(some) == TERMS or len(", ".join((start, *some, term, rest))) > CHARACTERS):
                yield f"{start}{', '.join(some)}{rest}"
                some = []
            some.append(term)
        if some:
            yield f"{start}{', '.join(some)}{rest}"
        for block in partly:
            yield self._statement(block)

    def _descendants(self, part: Part) -> set[str]:
        """The names of the parts that nodes of ``part`` reach within a step (at all, if they are the same at all times)."""
        found: set[str] = set()
        grown = [part.name]
        while grown:
            name = grown.pop()
            for child, lag in self._children.get(name, ()):
                if child not in found and (not lag or part.constant):
                    found.add(child)
                    grown.append(child)
        return found

    # --- All pairs.

    def pairs(self, limit: int | None = None) -> Iterator[Pair]:
        """Every two parts at every lag, at most ``limit`` of them: with a separator of those nodes that no edge joins."""
        searches = 0
        names = Names(self._parts, self._modules)
        for block in islice(self._blocks(), limit):
            left, right = self._term(block.part, "i", 0), self._term(block.other, "j", block.lag)
            if block.apart == _NONE:
                yield Pair(left, right, None, linked={block.part.name, block.other.name} <= self._linked)
                continue
            smallest = None
            if searches < MAX_SEARCHES and self._few_above(block):
                searches += 1
                smallest = self._separator(f"{left} ⟂ {right}", _where(block.apart), names)
            given = self._given(block.part) if smallest is None else f"{' | ' * bool(smallest)}{', '.join(smallest)}"
            yield Pair(left, right, f"{left} ⟂ {right}{given}{_where(block.apart)}", smallest is not None)

    def _few_above(self, block: _Block) -> bool:
        """Whether the two parts have at most ``MAX_PARTS`` ancestors, themselves included."""
        found = dict.fromkeys((block.part.name, block.other.name))
        for name in (queue := list(found)):
            for edge in self._edges[name]:
                if edge.source not in found:
                    found[edge.source] = None
                    queue.append(edge.source)
            if len(found) > MAX_PARTS:
                return False
        return True

    def count_pairs(self) -> int:
        """How many ``pairs`` there are without a limit."""
        return sum(1 for _ in self._blocks())

    def _separator(self, sides: str, where: str, names: Names) -> tuple[str, ...] | None:
        text = sides + where
        (instance,) = bind(parse(text, Span(Source("pair", text), 1, 1, len(text))), names, self._timed)
        try:
            change = repair(Question(instance, self._parts, self._timed, first_named(instance) or (), "lwf"))
        except (TooManyNodes, TooManyPairs):
            return None
        return None if change is None else change.add

    # --- Blocks and their text.

    def _blocks(self) -> Iterator[_Block]:
        """Every part with every one that is not later, at every lag."""
        for part in self._parts:
            for lag in self._lags:
                for other in self._parts if lag else self._parts[: self._place[part.name] + 1]:
                    block = self._block(part, other, lag)
                    if block is not None:
                        yield block

    def _block(self, part: Part, other: Part, lag: int) -> _Block | None:
        """None if there are no two nodes, or no separate question: what is the same at all times has no lags."""
        if lag and (part.constant or other.constant or other.at == "last"):
            return None
        if lag < 0 and (part.at == "last" or not self._may_be_later(part, other)):
            return None
        if lag >= 0 and part is not other and self._over_all_times(part, other):
            return None
        if part is other and not lag:
            if part.size == 1:
                return None
            if part.name in self._linked:
                return _Block(part, other, lag, _NONE)
            axes = zip(child_axes(part.extents), parent_axes(part.extents), strict=True)
            apart = disjunction(*(compare("!=", Index(j), Index(i)) for (i, _), (j, _) in axes))
            if part.lines is not None and not part.lines.lag:
                apart = conjunction(apart, negate(part.lines.joined))
            return _Block(part, other, lag, apart if _names_some(part, other, apart) else _NONE)
        if part is other and part.lines is not None and part.lines.lag == abs(lag):
            apart = negate(part.lines.joined)
            return _Block(part, other, lag, apart if _names_some(part, other, apart) else _NONE)
        if part.name in self._linked:
            # a linked input is no descendant; what else is none and depends on nothing is independent of it
            if other.name in self._linked:
                return _Block(part, other, lag, _NONE)
            return None if self._edges[other.name] else _Block(part, other, lag, _ALL)
        edges = [edge for edge in self._edges[part.name] if edge.source == other.name and (edge.lag == lag or other.constant)]
        joined = sum(edge.structure.pairs for edge in edges)
        if not edges:
            return _Block(part, other, lag, _ALL)
        if any(edge.structure.pairs == part.size * other.size for edge in edges):
            return _Block(part, other, lag, _NONE)
        apart = conjunction(*(negate(edge.joined) for edge in edges))
        if joined >= part.size * other.size and not _names_some(part, other, apart):
            apart = _NONE
        return _Block(part, other, lag, apart)

    def _statement(self, block: _Block, left: str | None = None, right: str | None = None) -> str:
        sides = self._term(block.part, "i", 0, left), self._term(block.other, "j", block.lag, right)
        return f"{sides[0]} ⟂ {sides[1]}{self._given(block.part)}{_where(block.apart)}"

    def _may_be_later(self, part: Part, other: Part) -> bool:
        """Whether later nodes of ``other`` descend from none of ``part``: those of linked inputs, and of all that a component along time
        does not lead to."""
        if other.name in self._linked:
            return bool(self._edges[part.name])
        return part.name in self._along_time and part is not other and other.name not in self._below(part.name)

    def _over_all_times(self, part: Part, other: Part) -> bool:
        """Whether ``part`` leads to nodes of ``other`` at all times, earlier ones too: by way of a component along time."""
        below = self._below(part.name)
        return any(name in below and other.name in self._below(name) for name in self._along_time)

    def _below(self, name: str) -> set[str]:
        """The part and all that it leads to, at any lag."""
        if name not in self._reached:
            found = {name}
            grown = [name]
            while grown:
                for child, _ in self._children.get(grown.pop(), ()):
                    if child not in found:
                        found.add(child)
                        grown.append(child)
            self._reached[name] = found
        return self._reached[name]

    def _given(self, part: Part) -> str:
        if part.lines is not None:
            return " | boundary"
        return " | parents" if self._edges[part.name] else ""

    def _term(self, part: Part, letter: str, lag: int, name: str | None = None) -> str:
        axes = child_axes(part.extents) if letter == "i" else parent_axes(part.extents)
        return f"{name or part.name}[{','.join([*(axis for axis, _ in axes), *self._time(part, lag)])}]"

    def _whole(self, part: Part, lag: int) -> str:
        return f"{part.name}{''.join(f'[{time}]' for time in self._time(part, lag))}"

    def _time(self, part: Part, lag: int) -> Sequence[str]:
        return [time_text(-lag)] if self._timed and not part.constant else []


def _where(apart: Predicate) -> str:
    return "" if apart == _ALL else f" where {predicate.text(apart)}"


def _names_some(part: Part, other: Part, apart: Predicate) -> bool:
    """Whether several edges together leave out any pair of nodes; also true if there are too many to look."""
    axes = (part, child_axes(part.extents)), (other, parent_axes(other.extents))
    left, right = (BoundTerm(p, p.name, tuple(Index(name) for name, _ in indices), 0, False) for p, indices in axes)
    try:
        return first_named(Instance((), (left,), (right,), (), apart)) is not None
    except TooManyPairs:
        return True
