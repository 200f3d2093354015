"""The analysis of a spec's graph, in one call: parts, the structure of their edges, the verdict on every statement."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import networkx as nx

from cgc.graph.binding import Instance, Names, bind
from cgc.graph.factorisation import factorisation
from cgc.graph.flags import Flag, flags
from cgc.graph.hidden_gates import with_hidden_gates
from cgc.graph.lines import first_line
from cgc.graph.parts import Part as Part
from cgc.graph.parts import PartEdge as PartEdge
from cgc.graph.parts import Structure as Structure
from cgc.graph.predicate import Index
from cgc.graph.report import StatementVerdict as StatementVerdict
from cgc.graph.report import failure
from cgc.graph.same import narrowed
from cgc.graph.sample import TooManyNodes
from cgc.graph.separation import Property
from cgc.graph.sharing import read_sharing, share
from cgc.graph.statement import Statement, parse
from cgc.graph.structure import MAX_PAIRS, TooManyPairs, first_named, joined_still, named_edges, names_one_twice, without
from cgc.graph.template import template, with_gates
from cgc.graph.unions import joined, rejoined, whole_graph
from cgc.graph.verdict import InstanceVerdict, Overlap, Question, decide, locally_markov
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.spec.model import Spec

LARGE_MATRIX = 2**28
MAX_RIVALS = 20
"""So many statements about the same edges are held against each other to tell which are redundant."""


@dataclass(frozen=True)
class Graph:
    """What a spec says as a graph.

    ``parts`` are the chain components of the template in a topological order of the edges without lag (ties in the order of the spec).
    ``groups`` are the parts that depend on each other over time, by any lag: names, in topological order; a part on its own is a group.
    ``diagnostics`` are warnings and notes. ``modules`` are the names of modules with those of their outputs.
    ``flags`` are those of the template, None if it is too large to say.
    """

    parts: tuple[Part, ...]
    groups: tuple[tuple[str, ...], ...]
    statements: tuple[StatementVerdict, ...]
    diagnostics: tuple[Diagnostic, ...]
    timed: bool
    flags: tuple[Flag, ...] | None = ()
    modules: tuple[tuple[str, str], ...] = ()

    @cached_property
    def whole(self) -> tuple[Part, ...]:
        """The parts with all that is in the graph: dropout nodes, and the edges that normalisation adds."""
        return whole_graph(self.parts)

    def part(self, name: str) -> Part:
        """The part called ``name``. Raises KeyError."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Part]:
        return {part.name: part for part in self.parts}

    def factorisation(self, latex: bool = False) -> str:
        """The joint distribution as a product: ``P(h, y | x) = prod_t P(h[t] | x[t], h[t-1]) · P(y[T] | h[T])``."""
        return factorisation(self.parts, self.timed, latex)


def analyze(spec: Spec) -> Graph:
    """The graph of a resolved spec. Raises SpecError with all Diagnostics that are errors (CG4xx)."""
    timed = spec.steps is not None
    findings: list[Diagnostic] = []
    statements: list[Statement] = []
    parts: tuple[Part, ...] = ()
    try:
        parts = template(spec)
    except SpecError as error:
        findings += error.diagnostics
    for written in spec.independence:
        try:
            statements.append(parse(written.text, written.span))
        except SpecError as error:
            findings += error.diagnostics
    shared, wrong = read_sharing(spec.sharing)
    findings += wrong
    modules = tuple((module.name, module.output) for module in spec.modules)
    names = Names(with_gates(parts), modules)
    bound: list[tuple[Statement, tuple[Instance, ...]]] = []
    for statement in statements if parts else ():
        try:
            bound.append((statement, bind(statement, names, timed)))
        except SpecError as error:
            findings += error.diagnostics
    if findings:
        raise SpecError(*findings)
    applied: list[_Applied] = []
    whole = left = {part.name: part for part in parts}
    for statement, instances in bound:
        try:
            if joined := list(_joined_by_lines(statement, instances)):
                findings += joined
                continue
            changed, removed = without(left, instances)
            left = left | changed
            applied.append(_Applied(statement, instances, removed, first_named(instances[0])))
            findings += on_both_sides(statement, instances)
        except (TooManyPairs, ZeroDivisionError) as error:
            findings.append(stopped(statement, error))
    if findings:
        raise SpecError(*findings)
    parts = tuple(with_hidden_gates(share(left, shared, names, timed)).values())
    if findings := [*findings, *narrowed({part.name: part for part in parts})]:
        raise SpecError(*findings)
    findings += _large_matrices(parts)
    try:
        everything = whole_graph(parts)
    except TooManyPairs:
        raise SpecError(_too_large(parts, spec)) from None
    found = _flags(everything, timed)
    verdicts = []
    for one, redundant in zip(applied, _redundant(applied, whole), strict=True):
        try:
            verdict, questions = _judge(one, everything, timed, "lwf")
        except (TooManyNodes, Overlap, ZeroDivisionError) as error:
            findings.append(stopped(one.statement, error))
            continue
        verdict = replace(verdict, reading=reading(found, "lwf"), redundant=redundant and verdict.holds)
        verdicts.append(verdict)
        findings += [failure(verdict, questions, everything)] if questions else _remarks(verdict)
    if any(finding.severity == "error" for finding in findings):
        raise SpecError(*findings)
    return Graph(parts, _groups(parts), tuple(verdicts), tuple(findings), timed, found, modules)


@dataclass(frozen=True)
class _Applied:
    """A statement, how many pairs it took away (None if it was not to take away any), and the indices of one pair it names, if any."""

    statement: Statement
    instances: tuple[Instance, ...]
    removed: int | None
    values: tuple[int, ...] | None


def _judge(one: _Applied, parts: Sequence[Part], timed: bool, property: Property) -> tuple[StatementVerdict, list[Question]]:
    """The verdict, and the question of each instance that does not hold."""
    linked = tuple(part.name for part in parts if part.role == "input" and not part.independent)
    if one.values is None:
        return StatementVerdict(one.statement, one.removed or 0, (), linked, vacuous=True), []
    verdicts: list[InstanceVerdict] = []
    failed: list[Question] = []
    for instance in one.instances:
        still = rejoined(instance, parts) is not None or joined_still(parts, instance)
        if one.removed is not None and locally_markov(instance, parts) and not still:
            verdicts.append(InstanceVerdict(instance.layers, True, "local Markov property"))
            continue
        question = Question(instance, parts, timed, one.values, property)
        verdicts.append(decide(question))
        if not verdicts[-1].holds:
            failed.append(question)
    return StatementVerdict(one.statement, one.removed or 0, tuple(verdicts), linked), failed


def _redundant(applied: Sequence[_Applied], parts: Mapping[str, Part]) -> list[bool]:
    """Which statements take nothing away that the rest would leave; of several that say the same, one remains."""
    at: dict[tuple[str, int], list[int]] = {}
    places = [named_edges(parts, one.instances) for one in applied]
    for k, named in enumerate(places):
        for place in named:
            at.setdefault(place, []).append(k)
    redundant = [one.removed == 0 and one.values is not None for one in applied]
    for k, one in enumerate(applied):
        others = sorted({m for place in places[k] for m in at[place]} - {k})
        if redundant[k] or not one.removed or not 0 < len(others) <= MAX_RIVALS:
            continue
        rest = dict(parts)
        for m in others:
            if not redundant[m]:
                rest |= without(rest, applied[m].instances)[0]
        redundant[k] = without(rest, one.instances)[1] == 0
    return redundant


def _remarks(verdict: StatementVerdict) -> Iterator[Diagnostic]:
    """A warning if no nodes satisfy the condition; a note if the statement follows from the others."""
    span = verdict.statement.span
    if verdict.vacuous:
        where = verdict.statement.condition_span
        yield Diagnostic("CG421", "no nodes satisfy this condition: the statement says nothing", where, severity="warning")
    elif verdict.redundant:
        why = "it takes no pair out of any edge" if not verdict.removed else "other statements take the same pairs out of edges"
        why += ", and the graph implies it without it"
        yield Diagnostic("CG422", "this independence follows from the rest of the spec", span, why=why, severity="note")


def on_both_sides(statement: Statement, instances: Sequence[Instance]) -> Iterator[Diagnostic]:
    """At most one Diagnostic (CG418): both sides name the same node. Raises TooManyPairs, ZeroDivisionError."""
    for instance in instances:
        if names_one_twice(instance):
            sides = (instance.left, instance.right)
            a, b = (next((s for term in side for s in term.selectors if isinstance(s, Index)), None) for side in sides)
            help = f"add `where {b.name} != {a.name}`" if a and b and a != b else "let the two sides name different nodes"
            yield Diagnostic("CG418", f"both sides of this statement name the same node{_in(instance.layers)}", statement.span, help=help)
            return


def _too_large(parts: Sequence[Part], spec: Spec) -> Diagnostic:
    """What to say where a part has too many pairs of nodes to tell which of them its normalisation joins."""
    name = next(part.component for part in parts if part.normalize is not None and _joined(part) is None)
    message = f"the graph is too large to tell what the normalisation of `{name}` joins"
    return Diagnostic("CG402", message, spec.component(name).span, help="normalise it by the batch")


def _joined(part: Part) -> Part | None:
    try:
        return joined(part)
    except TooManyPairs:
        return None


def _large_matrices(parts: Sequence[Part]) -> Iterator[Diagnostic]:
    """A warning for each edge of which little is left, and that has to be computed as a whole matrix all the same."""
    for part in parts:
        for edge in part.edges:
            structure = edge.structure
            size = math.prod(n for _, n in (*structure.child_index, *structure.parent_index))
            if structure.kind in ("masked", "tied") and size > LARGE_MATRIX and structure.pairs < size // 10:
                numbers = (f"{number:,}".replace(",", " ") for number in (size, structure.pairs))
                message = "this edge is computed as a matrix of {} weights, of which {} count".format(*numbers)
                help = "windows, groups and equal indices are computed without one"
                yield Diagnostic("CG424", message, edge.edge.span, help=help, severity="warning")


def _joined_by_lines(statement: Statement, instances: Sequence[Instance]) -> Iterator[Diagnostic]:
    """Adjacent nodes are never separated, and lines are not taken away: each of them was asked for."""
    for instance in instances:
        pair = first_line(instance)
        if pair is not None:
            message = f"a line joins nodes on the two sides of this statement{_in(instance.layers)}"
            why = f"{pair[0]} — {pair[1]}: a statement takes away edges from parents, but lines are declared one by one"
            help = "leave these nodes out of the statement, or declare fewer `lines`"
            yield Diagnostic("CG423", message, statement.span, why=why, help=help)
            return


def _flags(parts: Sequence[Part], timed: bool) -> tuple[Flag, ...] | None:
    try:
        return flags(parts, timed)
    except TooManyNodes:
        return None


def reading(found: tuple[Flag, ...] | None, property: Property) -> str:
    """The Markov property in use; without flags there is no difference."""
    return "LWF = AMP here" if found == () else property.upper()


def _in(layers: Sequence[str]) -> str:
    return f" in {' with '.join(f'`{layer}`' for layer in layers)}" if layers else ""


def stopped(statement: Statement, error: Exception) -> Diagnostic:
    """What stopped the analysis of a statement."""
    match error:
        case ZeroDivisionError():
            return Diagnostic("CG417", "a divisor is 0 for some indices", statement.condition_span, help="`max(1, …)` keeps it from 0")
        case Overlap(term=term, layers=layers):
            place = next((t.span for t in statement.given if not isinstance(t, str) and t.name == term.name), statement.span)
            message = f"`{term}` contains nodes of the left or right side{_in(layers)}"
            help = "write a statement for each layer by its own name" if layers else "what is given may not be on either side"
            return Diagnostic("CG418", message, place, help=help)
        case TooManyPairs():
            return Diagnostic("CG402", f"this statement is about more than {MAX_PAIRS:,} pairs of nodes".replace(",", " "), statement.span)
        case _:
            message = f"the graph is too large to decide this: {error}"
            return Diagnostic("CG402", message, statement.span, help="given `parents`, most statements need no search")


def _groups(parts: Sequence[Part]) -> tuple[tuple[str, ...], ...]:
    """Strongly connected parts over all lags, in a topological order; ties and members in the order of ``parts``."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(part.name for part in parts)
    graph.add_edges_from((edge.source, part.name) for part in parts for edge in part.edges if edge.structure.kind != "absent")
    place = {part.name: k for k, part in enumerate(parts)}
    groups = nx.condensation(graph)
    members = {group: sorted(groups.nodes[group]["members"], key=place.__getitem__) for group in groups}
    return tuple(tuple(members[group]) for group in nx.lexicographical_topological_sort(groups, key=lambda group: place[members[group][0]]))
