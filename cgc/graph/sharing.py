"""Sharing statements: ``CHILD <- PARENT by KEYS`` says which weights of an edge are equal, ``CHILD by KEYS`` which biases.

Weights are equal where all keys are. Over time they always are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cgc.graph import predicate
from cgc.graph.binding import Names, term_errors
from cgc.graph.parts import Part, PartEdge, child_axes, parent_axes
from cgc.graph.predicate import Expression, Index
from cgc.graph.recognise import classes
from cgc.graph.statement import StatementReader, Term
from cgc.graph.structure import TooManyPairs, structured
from cgc.source.diagnostics import Diagnostic, Label, SpecError
from cgc.source.text import Span
from cgc.spec.model import StatementText

FORM = "write `CHILD <- PARENT by KEYS`, for example `h[i] <- x[j] by j - i`, or `CHILD by KEYS` for the biases"


@dataclass(frozen=True)
class Sharing:
    """Weights of the edge from ``parent`` (None: the biases) that are equal where all ``keys`` are."""

    child: Term
    parent: Term | None
    keys: tuple[Expression, ...]
    span: Span

    def __str__(self) -> str:
        parent = "" if self.parent is None else f" <- {self.parent}"
        return f"{self.child}{parent} by {', '.join(predicate.text(key) for key in self.keys)}"


def parse_sharing(text: str, span: Span) -> Sharing:
    """The sharing statement written as ``text`` at ``span``.

    Raises SpecError: CG410 for its form, CG413 for a time, CG414 for names that are no indices of its terms, CG416 for its keys.
    """
    return _SharingReader(text, span, FORM).sharing()


class _SharingReader(StatementReader):
    def sharing(self) -> Sharing:
        child, parent = self.term(), None
        if self.take("<"):
            if not self.take("-"):
                self.unexpected("`<-`")
            parent = self.term()
        if not self.take("by"):
            self.unexpected("`by`" if parent else "`<-` or `by`")
        start = self.next.offset
        keys = [self.expression()]
        while self.take(","):
            keys.append(self.expression())
        if self.next.kind != "end":
            self.unexpected("`,` or the end")
        terms = (child,) if parent is None else (child, parent)
        bound = [s.name for term in terms for s in term.selectors or () if isinstance(s, Index)]
        for term in terms:
            if any(not isinstance(s, Index) for s in term.selectors or ()) or (term.selectors is None):
                help = f"as in `{term.name}[i]`: equal weights are told by the names"
                raise SpecError(Diagnostic("CG419", f"every index of `{term}` needs a name here", term.span, help=help))
        if twice := next((name for k, name in enumerate(bound) if name in bound[:k]), None):
            help = "give every index a name of its own"
            raise SpecError(Diagnostic("CG419", f"`{twice}` names two indices", self.span, help=help))
        if unbound := list(self.unbound(tuple(bound), start, "neither side")):
            raise SpecError(*unbound)
        return Sharing(child, parent, tuple(keys), self.span)


def share(parts: Mapping[str, Part], statements: Sequence[Sharing], names: Names, timed: bool) -> dict[str, Part]:
    """The parts, by name, with what these statements share. Raises SpecError (CG404, CG411 to CG417, CG402)."""
    result = dict(parts)
    findings: list[Diagnostic] = []
    first: dict[tuple[str, int | None], Span] = {}
    for statement in statements:
        wrong = [e for term in (statement.child, statement.parent) if term is not None for e in term_errors(term, names, timed)]
        if wrong:
            findings += wrong
            continue
        try:
            findings += _share(result, statement, names, first)
        except SpecError as error:
            findings += error.diagnostics
        except TooManyPairs:
            message = "the nodes are too many to tell which weights these keys make equal"
            findings.append(Diagnostic("CG402", message, statement.span, help="use indices, and differences of two of them, as keys"))
        except ZeroDivisionError:
            findings.append(Diagnostic("CG417", "a divisor is 0 for some indices", statement.span, help="`max(1, …)` keeps it from 0"))
    if findings:
        raise SpecError(*findings)
    for name, part in result.items():
        # the copies of a refined part share biases as it does, unless they are named themselves
        if part.base is not None and (part.base, None) in first and (name, None) not in first:
            result[name] = replace(part, bias=result[part.base].bias)
    return result


def _share(parts: dict[str, Part], statement: Sharing, names: Names, first: dict[tuple[str, int | None], Span]) -> Iterator[Diagnostic]:
    """Apply one statement, in every layer that its names stand for."""
    matched = False
    for layer in _layers(statement, names):
        part = parts.get(names.part(statement.child.name, layer).name)
        if part is None:  # a dropout node has neither edges nor a bias
            continue
        places: list[int | None] = [None] if statement.parent is None else list(_edges(part, statement, names, layer))
        for place in places:
            matched = True
            if (part.name, place) in first:
                others = (Label(first[part.name, place], "already shared here"),)
                what = "biases are" if place is None else "edge's weights are"
                help = "write all keys in one statement"
                yield Diagnostic("CG404", f"these {what} shared twice", statement.span, others=others, help=help)
                return
            first[part.name, place] = statement.span
            part = parts[part.name] = _shared(part, place, statement, names, layer)
    if not matched:
        parent = statement.parent
        message, help = f"`{statement.child}` has no biases", "name a component that is no input and no gate"
        if parent is not None:
            message = f"`{statement.child}` has no edge from `{parent}` that could share weights"
            help = "name a parent of the component, at the lag of the edge"
        yield Diagnostic("CG404", message, statement.span, help=help)


def _layers(statement: Sharing, names: Names) -> list[dict[str, int]]:
    """Every copy that the names stand for: the same number for all of them, as an edge between two layers of a stack names them."""
    owners = list(dict.fromkeys(o for t in (statement.child, statement.parent) if t is not None for o in names.free(t.name)))
    if len(owners) < 2 or owners[1].startswith(f"{owners[0]}."):
        return list(names.choices(t.name for t in (statement.child, statement.parent) if t is not None))
    return [dict.fromkeys(owners, k) for k in names.copies[owners[0]] if all(k in names.copies[owner] for owner in owners)]


def _edges(part: Part, statement: Sharing, names: Names, layer: dict[str, int]) -> Iterator[int]:
    assert statement.parent is not None
    source = names.part(statement.parent.name, layer).name
    lag = (statement.child.time or 0) - (statement.parent.time or 0)
    for place, edge in enumerate(part.edges):
        if edge.source == source and edge.lag == lag and edge.gates is None:
            yield place


def _shared(part: Part, place: int | None, statement: Sharing, names: Names, layer: dict[str, int]) -> Part:
    axes = list(zip(statement.child.selectors or (), child_axes(part.extents), strict=True))
    if place is None:
        own = {s.name: Index(axis) for s, (axis, _) in axes if isinstance(s, Index)}
        keys = tuple(predicate.replace(key, own) for key in statement.keys)
        found = classes(keys, child_axes(part.extents))
        if found is None:
            raise TooManyPairs
        return replace(part, bias=None if found.count == part.size else found)
    assert statement.parent is not None
    edge = part.edges[place]
    if edge.edge.weight is not None or edge.edge.kind in ("identity", "avg_pool"):
        raise SpecError(Diagnostic("CG404", "the weights of this edge are fixed: there is nothing to share", statement.span))
    axes += zip(statement.parent.selectors or (), parent_axes(names.part(statement.parent.name, layer).extents), strict=True)
    values = {s.name: Index(axis) for s, (axis, _) in axes if isinstance(s, Index)}
    keys = tuple(predicate.replace(key, values) for key in statement.keys)
    edges = (*part.edges[:place], _tied(edge, keys), *part.edges[place + 1 :])
    return replace(part, edges=edges)


def _tied(edge: PartEdge, keys: tuple[Expression, ...]) -> PartEdge:
    return replace(edge, structure=structured(edge, edge.structure.joined, keys))


def read_sharing(written: Sequence[StatementText]) -> tuple[list[Sharing], list[Diagnostic]]:
    """The statements that can be read, and what is wrong with the others."""
    statements: list[Sharing] = []
    findings: list[Diagnostic] = []
    for item in written:
        try:
            statements.append(parse_sharing(item.text, item.span))
        except SpecError as error:
            findings += error.diagnostics
    return statements, findings
