"""At which times does a statement hold? Times may count from any step t, from the first step or from the last one, T.

What is not named after the last named time has no influence (it is no ancestor of anything named), and stretches of steps in which nothing
is named act alike from a certain length on (``Sample.settling``). So finitely many choices of t and T tell all, and their answers repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from cgc.graph.binding import BoundTerm, Names
from cgc.graph.chain_graph import ChainGraph
from cgc.graph.predicate import Constant
from cgc.graph.sample import Node, TooManyNodes
from cgc.graph.statement import Anchor, Statement, Term
from cgc.graph.verdict import Overlap, Question
from cgc.source.diagnostics import Diagnostic, SpecError

T = TypeVar("T")
MAX_STEP = 1000
MAX_STEP_OF_BOTH = 50
"""The largest number in a time of a query; where times count from t and from T, and every t is to be held against every T."""
MAX_ENDS = 400
MAX_SHOWN = 1500
"""An open walk is shown if there are at most so many nodes up to the last time that is named."""


@dataclass(frozen=True)
class Run:
    """Answers at 0, 1, 2, …, of which the last ``period`` repeat for ever; None where the statement names no nodes."""

    answers: tuple[bool | None, ...]
    period: int = 1

    def at(self, k: int) -> bool | None:
        """The answer at ``k``."""
        return self.answers[k if k < len(self.answers) else len(self.answers) - self.period + (k - len(self.answers)) % self.period]

    @property
    def given(self) -> tuple[bool, ...]:
        """The answers that occur, each once, in the order of their first occurrence."""
        return tuple(dict.fromkeys(answer for answer in self.answers if answer is not None))


@dataclass(frozen=True)
class Times:
    """For which times a statement holds: one run over ``along``, or one over t for each distance T - t = 0, 1, ….

    Of several runs the last ``period`` repeat for ever. Without ``along`` all times are fixed, and there is one answer.
    ``unknown``: it does not hold far from both ends, and what it does near them was not looked at.
    """

    along: Literal["t", "T", ""]
    runs: tuple[Run, ...]
    period: int = 1
    unknown: bool = False

    @property
    def answers(self) -> tuple[bool, ...]:
        """Those that occur, each once, in the order of their first occurrence."""
        return tuple(dict.fromkeys(answer for run in self.runs for answer in run.given))

    def at(self, t: int, last: int) -> bool | None:
        """The answer at t where T is ``last``; not to be asked where the statement names no nodes."""
        if self.along != "t" or len(self.runs) == 1:
            return self.runs[0].at({"t": t, "T": last, "": 0}[self.along])
        distance, count = last - t, len(self.runs)
        return self.runs[distance if distance < count else count - self.period + (distance - count) % self.period].at(t)

    def __str__(self) -> str:
        if self.unknown:
            return "near the first and the last step not looked at: the graph is too large"
        if not self.answers:
            return "at no time does all that it names exist"
        if len(self.answers) == 1:
            return "the same for every t and every length" if self.along == "t" else "the same for every length"
        if len(self.runs) == 1:
            return _text(self.runs[0], self.along)
        if all(len(run.given) < 2 for run in self.runs):
            return "it depends on T - t: " + _text(Run(tuple(next(iter(run.given), None) for run in self.runs), self.period), "T - t")
        texts = [_text(run, "t") if run.given else None for run in self.runs]
        kept = _shortest(texts, self.period)
        rows = [f"where T - t = {k}, {text}" for k, text in enumerate(kept) if text is not None]
        if self.period == 1:
            rows[-1] = rows[-1].replace("T - t = ", "T - t >= ", 1)
        return "it depends on t and on T: " + "; ".join(rows) + (f"; and so on every {self.period} steps" if self.period > 1 else "")


def _text(run: Run, along: str) -> str:
    """``at t = 0 it holds, from t = 1 on it does not``."""
    words = {True: "it holds", False: "it does not"}
    if len(run.given) == 1:
        return words[run.given[0]]
    period = run.period if len(dict.fromkeys(run.answers[-run.period :])) > 1 else 1
    answers = _shortest(run.answers, period)
    stretches: list[tuple[int, int, bool]] = []
    for k, answer in enumerate(answers):
        if answer is None:
            continue
        if stretches and stretches[-1][2] == answer:
            stretches[-1] = (stretches[-1][0], k, answer)
        else:
            stretches.append((k, k, answer))
    texts = [f"at {along} = {first}{f' to {last}' if last > first else ''} {words[answer]}" for first, last, answer in stretches]
    if period > 1:
        return f"{', '.join(texts)}, and so on every {period} steps"
    first, _, answer = stretches[-1]
    return ", ".join([*texts[:-1], f"from {along} = {first} on {words[answer]}"])


def _shortest(items: Sequence[T], period: int) -> Sequence[T]:
    """Without what repeats: of the rest the last ``period`` repeat for ever."""
    while len(items) > period and items[-1] == items[-1 - period]:
        items = items[:-1]
    return items


def dated(statement: Statement, names: Names, timed: bool) -> Statement:
    """A query's statement with numbers that stand where a time belongs read as steps, and what exists at the last step only put there.

    Raises SpecError: CG413 for a step that does not exist, or a number that is too large.
    """

    def date(term: Term) -> Term:
        part = names.known(term.name)
        if part is None or part.constant or not timed:
            return term
        selectors = term.selectors or ()
        if term.time is None and len(selectors) == len(part.extents) + 1 and isinstance(selectors[-1], Constant):
            term = replace(term, selectors=selectors[:-1], time=selectors[-1].value, anchor="0")
        elif term.time is None and part.at == "last":
            return replace(term, time=0, anchor="T")
        time = term.time or 0
        if (term.anchor == "T" and time > 0) or (term.anchor == "0" and time < 0):
            help = "steps run from 0 to `T`; `T-1` is the one before the last"
            raise SpecError(Diagnostic("CG413", f"`{term}` is at no step", term.span, help=help))
        if term.anchor == "T" and time and part.at == "last":
            help = "write `T`, or leave out the time"
            raise SpecError(Diagnostic("CG413", f"`{term.name}` exists at the last step only", term.span, help=help))
        return term

    left, right = (tuple(date(term) for term in side) for side in (statement.left, statement.right))
    given = tuple(date(term) if isinstance(term, Term) else term for term in statement.given)
    terms = [term for term in (*left, *right, *given) if isinstance(term, Term)]
    both = {"t", "T"} <= {term.anchor for term in terms}
    most = MAX_STEP_OF_BOTH if both else MAX_STEP
    for term in terms:
        if term.time is not None and abs(term.time) > most:
            why = "where some times count from t and some from the last step" if both else ""
            raise SpecError(Diagnostic("CG413", f"the numbers in the times of a query go up to {most}", term.span, why=why))
    return replace(statement, left=left, right=right, given=given)


@dataclass(frozen=True)
class Moment:
    """A statement at one choice of t and T. ``bridged`` says that a long stretch of steps is shorter in the question than in truth."""

    t: int
    last: int
    question: Question
    bridged: bool


class Moments:
    """An instance of a query at one choice of t and T after another; ``question`` is the instance, of which the sample is used."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._timed = [term for term in question.instance.terms if term.timed]
        self._anchors = {term.anchor for term in self._timed}
        self._ends = "T" in self._anchors or any(term.part.at == "last" for term in self._timed)
        self._settled, self._period = question.sample.settling()
        self._known: dict[tuple[int | None, ...], tuple[Moment, bool] | None] = {}
        self._overlap: Overlap | None = None
        self.open: Moment | None = None
        """The first one that was found not to hold."""

    def counts_from(self, name: str) -> bool:
        """Whether t, or T, matters at all."""
        return self._ends if name == "T" else name in self._anchors

    def times(self) -> Times:
        """All answers. Raises ZeroDivisionError; Overlap if there are none for that reason."""
        times = self._times()
        if self._overlap is not None and not times.answers:
            raise self._overlap
        return times

    def _times(self) -> Times:
        largest = {a: max((abs(term.time) for term in self._timed if term.anchor == a), default=0) for a in ("t", "T", "0")}
        # from here on, every stretch beside what counts from t (or from T) is so long that one more period changes nothing
        enough = sum(largest.values()) + self._reach() + self._settled + 2 * self._period
        if not self._ends:
            fixed = "t" not in self._anchors
            answers = tuple(self._answer(t, enough + t) for t in range(1 if fixed else enough))
            return Times("" if fixed else "t", (Run(answers, 1 if fixed else self._period),))
        if "t" not in self._anchors:
            return Times("T", (Run(tuple(self._answer(0, last) for last in range(enough)), self._period),))
        runs = tuple(Run(tuple(self._answer(t, t + d) for t in range(enough)), self._period) for d in range(enough))
        together = [dict.fromkeys(a for a in answers if a is not None) for answers in zip(*(run.answers for run in runs), strict=True)]
        if any(len(answers) > 1 for answers in together):
            return Times("t", runs, self._period)
        return Times("t", (Run(tuple(next(iter(answers), None) for answers in together), self._period),))

    def shown(self, moment: Moment) -> Moment:
        """The same with every step in its place, if there are few enough nodes to look at them all."""
        if not moment.bridged or (moment.last + 1) * len(self._question.sample.nodes) > MAX_SHOWN:
            return moment
        places = [place if place >= 0 else None for place in self._places(moment.t, moment.last)]
        found = self._decided(moment.t, moment.last, places, False)
        assert found is not None
        return found[0]

    def _reach(self) -> int:
        """How many steps before the left side `parents` may lie."""
        return max(self._question.sample.arrows, default=0) if any(isinstance(item, str) for item in self._question.instance.given) else 0

    def _answer(self, t: int, last: int) -> bool | None:
        """Whether the statement holds at t where ``last`` is the last step.

        None if it names steps after the last, no nodes on one side, or one node twice. Steps before the first are left out of it.
        """
        places = self._places(t, last)
        if max(places) > last or any(term.part.at == "last" and place != last for term, place in zip(self._timed, places, strict=True)):
            return None
        named = [k for place in places for k in range(place - self._reach(), place + 1) if 0 <= k <= last]
        shorter = self._bridged(sorted(dict.fromkeys(named)))
        key = tuple(shorter.get(place) for place in places)
        if key not in self._known:
            self._known[key] = self._decided(t, last, key, any(k != place for place, k in shorter.items()))
        found = self._known[key]
        if found is None:
            return None
        if not found[1] and self.open is None:
            self.open = found[0]
        return found[1]

    def _places(self, t: int, last: int) -> list[int]:
        at = {"t": t, "T": last, "0": 0}
        return [at[term.anchor] + term.time for term in self._timed]

    def _bridged(self, named: Sequence[int]) -> dict[int, int]:
        """Where the named steps lie once every stretch between them, and before the first, is as short as it may be."""
        places: dict[int, int] = {}
        before, shorter = -1, -1
        for place in named:
            gap = place - before - 1
            if gap >= self._settled + self._period:
                gap = self._settled + (gap - self._settled) % self._period
            places[place] = shorter = shorter + 1 + gap
            before = place
        return places

    def _decided(self, t: int, last: int, places: Sequence[int | None], bridged: bool) -> tuple[Moment, bool] | None:
        instance = self._question.instance
        anchor: Anchor = "t" if "t" in self._anchors else "T" if self._ends else "0"
        inside = {id(term): place for term, place in zip(self._timed, places, strict=True) if place is not None}
        # times are shown as in the query: what counts from t or from T stays as it is
        zero = next((place - term.time for term in self._timed if term.anchor == anchor and (place := inside.get(id(term))) is not None), 0)
        first, end = -zero, max(inside.values(), default=0) - zero

        def term(term: BoundTerm) -> BoundTerm:
            # what does not exist then is put where there are no nodes
            return replace(term, time=inside.get(id(term), -1) - zero, anchor=anchor) if term.timed else term

        left, right = (tuple(term(one) for one in side) for side in (instance.left, instance.right))
        given = tuple(item if isinstance(item, str) else term(item) for item in instance.given)
        try:
            placed = replace(instance, left=left, right=right, given=given)
            question = self._question.placed(placed, self._graph(first, end), first, end, anchor)
            cases = question.cases
        except Overlap as overlap:
            written = instance.given[given.index(overlap.term)]
            assert isinstance(written, BoundTerm)
            self._overlap = Overlap(written, overlap.layers)
            return None
        if not cases or any(not {*case.x}.isdisjoint(case.y) for case in cases):
            return None
        return Moment(t, last, question, bridged), question.open() is None

    def _graph(self, first: int, last: int) -> ChainGraph[Node]:
        """The steps ``first`` to ``last``; what exists at the last step only is nowhere else."""
        graph = self._question.sample.unrolled(first, last)
        final = {part.name for part in self._question.parts if part.at == "last"}
        if not final:
            return graph
        kept = [node for node in graph.nodes if node.part not in final or node.time == last]
        inside = set(kept)
        return ChainGraph(kept, [arrow for arrow in graph.arrows if inside.issuperset(arrow)], graph.lines)


def _between(question: Question, later: bool) -> Times:
    """``from_the_start`` where lines run along time, so that steps after the statement matter too: a run over t for each T - t.

    As there, what holds far from both ends holds near them. Raises TooManyNodes if there are too many choices of t and T to look at.
    """
    if later:
        return Times("t", (Run((True,)),))
    named = max((term.time for term in question.instance.terms if term.timed), default=0)
    begins, ends = range(-question.first), range(max(0, named), question.last)
    if len(begins) * len(ends) > MAX_ENDS:
        raise TooManyNodes(f"there are more than {MAX_ENDS} choices of the first and of the last step that matter")

    def answer(first: int, last: int) -> bool | None:
        graph = question.sample.unrolled(first, last)
        cases = list(question.cases_in(graph))
        return question.open_in(graph, cases) is None if cases else None

    runs = [Run((None,)) for _ in range(ends.start)]
    runs += [Run((*(answer(-t, last) for t in begins), answer(question.first, last))) for last in ends]
    return Times("t", (*runs, Run((*(answer(-t, question.last) for t in begins), later))))


def from_the_start(question: Question, later: bool) -> Times:
    """For a statement whose times all count from t: its answers at t = 0, 1, …, of which that at ``later`` t is known.

    A walk that is open in the graph without some first steps is open with them, since what is given there is what is given of the rest.
    So what holds later holds from the start, and what fails once fails later. Only with `parents` of nodes at several times, some of
    which may not exist yet, more may be given later.
    """
    if 1 in question.sample.lines and question.anchor == "t":
        return _between(question, later)
    instance = question.instance
    keyword = any(isinstance(item, str) for item in instance.given)
    monotone = not keyword or len({term.time for term in instance.left if term.timed}) <= 1
    answers: list[bool | None] = []
    begins = question.begins()
    answers += [None] * begins if not (monotone and later) else []
    for t in range(begins, -question.first if question.sample.timed and not (monotone and later) else 0):
        graph = question.sample.unrolled(-t, question.last)
        cases = list(question.cases_in(graph))
        answers.append(question.open_in(graph, cases) is None if cases else None)
        if monotone and answers[-1] is False:
            break
    return Times("t", (Run((*answers, later)),))
