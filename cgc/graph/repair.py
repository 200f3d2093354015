"""The smallest change to what is given that makes a statement true: terms to add, or, where none can help, terms to remove."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from cgc.graph.binding import BoundTerm
from cgc.graph.predicate import Index
from cgc.graph.sample import Node
from cgc.graph.statement import Selector, Slice
from cgc.graph.verdict import Case, Question

MAX_TRIALS = 300
"""After so many sets of terms a smallest one is no longer looked for, only one from which no term can be left out."""


MAX_TIMES = 24
MAX_PARTS = 40
MAX_WORK = 2_000_000
"""In a graph of more parts: cases times nodes that are looked at."""


@dataclass(frozen=True)
class Repair:
    """Terms of GIVEN to remove, and terms to add to it."""

    remove: tuple[str, ...] = ()
    add: tuple[str, ...] = ()

    def __str__(self) -> str:
        steps = (("remove", self.remove), ("add", self.add))
        return " and ".join(f"{verb} {', '.join(f'`{term}`' for term in terms)}" for verb, terms in steps if terms)


def repair(question: Question) -> Repair | None:
    """A smallest repair of a statement that does not hold; None if there is none.

    Fewest terms count first, then fewest nodes, then the alphabet.

    Terms are added if that can help at all; else as few as possible are removed, and others added only if that is not enough.
    """
    if not question.sample.complete:
        return None
    added = _addition(question)
    if added is not None:
        return Repair(add=added)
    reduced = list(_reductions(question))
    for removed, rest in reduced:
        if rest.open() is None:
            return Repair(remove=removed)
    for removed, rest in reduced:
        if (added := _addition(rest)) is not None:
            return Repair(removed, added)
    return None


def _reductions(question: Question) -> Iterator[tuple[tuple[str, ...], Question]]:
    """The question with some of its given terms left out, few first."""
    given = question.instance.given
    for count in range(1, len(given) + 1):
        for removed in combinations(given, count):
            rest = replace(question.instance, given=tuple(term for term in given if term not in removed))
            yield tuple(str(term) for term in removed), question.about(rest)


def _addition(question: Question) -> tuple[str, ...] | None:
    """The fewest terms that separate when added to what is given, found breadth first.

    An open walk can only be closed by giving one of its inner nodes, so nothing else is tried.
    """
    found = question.open()
    if found is None:
        return ()
    terms = sorted(candidates(question), key=str)
    case = found[0]
    ancestors = set(question.graph.ancestral({*case.x, *case.y, *case.z}))
    # If any superset of z separates, then z with all ancestors of x, y and z that may be given does.
    everything = _with(question, terms)
    if question.open_in(question.graph, [case], lambda case: ancestors.intersection(everything(case))) is not None:
        return None
    level: dict[frozenset[int], None] = {frozenset(): None}
    trials = 0
    most = MAX_TRIALS if not is_large(question) else max(1, MAX_WORK // (len(question.cases) * len(question.graph.nodes)))
    while level and (trials := trials + len(level)) <= most:
        solutions: list[list[int]] = []
        following: dict[frozenset[int], None] = {}
        for chosen in level:
            failure = _open_with(question, terms, chosen)
            if failure is None:
                solutions.append(sorted(chosen))
                continue
            failed, walk = failure
            following |= {chosen | {k}: None for k, term in enumerate(terms) if not walk.isdisjoint(question.nodes(term, failed.values))}
        if solutions:
            return tuple(str(terms[k]) for k in min(solutions, key=lambda s: (sum(_nodes(terms[k]) for k in s), s)))
        level = following
    kept = [k for k, term in enumerate(terms) if ancestors.issuperset(_with(question, [term])(case))]
    if _open_with(question, terms, kept) is not None:
        return None
    for k in kept[::-1]:
        if _open_with(question, terms, fewer := [other for other in kept if other != k]) is None:
            kept = fewer
    return tuple(str(terms[k]) for k in kept)


def _nodes(term: BoundTerm) -> int:
    """How many nodes a candidate names: all along an axis, or one."""
    return math.prod(extent for selector, extent in zip(term.selectors, term.part.extents, strict=True) if isinstance(selector, Slice))


def _open_with(question: Question, terms: list[BoundTerm], chosen: Iterable[int]) -> tuple[Case, set[Node]] | None:
    """The first case that stays open if the chosen terms are given too, and the nodes on its walk that are not given."""
    given = _with(question, [terms[k] for k in sorted(chosen)])
    found = question.open(given)
    if found is None:
        return None
    case, verdict = found
    return case, set(verdict.walk[1:-1]) - given(case)


def _with(question: Question, added: Sequence[BoundTerm]) -> Callable[[Case], frozenset[Node]]:
    """What is given in a case with some terms added."""
    fixed = frozenset(node for term in added if not term.names for node in question.nodes(term, {}))
    varying = [term for term in added if term.names]
    return lambda case: fixed.union(case.z, *(question.nodes(term, case.values) for term in varying))


def _times(question: Question) -> list[int]:
    """When what is given may be: at any time that matters, or next to the times that are named if these lie far apart."""
    times = range(question.earliest, question.latest + 1)
    if len(times) <= MAX_TIMES:
        return list(times)
    reach = max(*question.sample.arrows, *question.sample.lines, 1)
    near = {term.time + d for term in question.instance.terms if term.timed for d in range(-reach, reach + 1)}
    return sorted(near.intersection(times))


def is_large(question: Question) -> bool:
    """Whether not all parts, or not all nodes of them, are looked at for a repair."""
    return len(question.parts) > MAX_PARTS or not question.sample.complete


def candidates(question: Question) -> Iterator[BoundTerm]:
    """Terms that may be given: all nodes of a part at one time, or those with the indices of the left or the right side.

    In a large graph, only the parts that are named and their parents are considered.
    """
    instance = question.instance
    near = [term.part for term in instance.terms]
    wanted = {part.name for part in near} | {edge.source for part in near for edge in part.edges}
    shapes = [side[0] for side in (instance.left, instance.right) if len(side) == 1]
    for part in question.parts:
        if is_large(question) and part.name not in wanted:
            continue
        layer = next((layer for layer in instance.layers if part.name == layer or part.name.startswith(f"{layer}.")), None)
        # The layer that a statement is about goes by its stack's name there.
        name = part.name if layer is None else layer.rpartition(".")[0] + part.name[len(layer) :]
        forms: list[tuple[Selector, ...]] = [(Slice(),) * len(part.extents)]
        forms += [s.selectors for s in shapes if s.part.extents == part.extents and any(isinstance(k, Index) for k in s.selectors)]
        moving = question.sample.timed and not part.constant
        for time in _times(question) if moving else (0,):
            for form in dict.fromkeys(forms):
                term = BoundTerm(part, name, form, time, moving, question.anchor)
                if all({*case.x, *case.y}.isdisjoint(question.nodes(term, case.values)) for case in question.cases):
                    yield term
