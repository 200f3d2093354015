"""Does the graph imply a statement? The answer with its reason, its times, an open walk and the smallest repair where it does not hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cgc.graph.analysis import Graph, on_both_sides, stopped
from cgc.graph.binding import BoundTerm, Instance, Names, bind
from cgc.graph.lines import first_line
from cgc.graph.parts import Part
from cgc.graph.repair import Repair, repair
from cgc.graph.report import SHOWN
from cgc.graph.sample import Node, TooManyNodes
from cgc.graph.separation import Property, Verdict
from cgc.graph.statement import Anchor, Statement, parse, time_text
from cgc.graph.structure import TooManyPairs, first_named, joined_still, without
from cgc.graph.times import Moments, Run, Times, dated, from_the_start
from cgc.graph.verdict import Overlap, Question, locally_markov, may_descend
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.text import Source, Span

NEAR = 20
"""Times that are further apart are decided with the steps between them left out."""


@dataclass(frozen=True)
class LayerAnswer:
    """The answer in certain ``layers`` (none if no term names a stack).

    ``holds`` says that the statement holds at all times, ``times`` when it does. Where it does not, ``walk`` is open at the times
    ``where`` (empty if at any), and ``linked`` says that it would hold without lines between inputs. ``repair`` is a smallest change to
    what is given after which it holds at all times; it is looked for in the first ``SHOWN`` layers only.
    """

    layers: tuple[str, ...]
    holds: bool
    reason: Literal["local Markov property", "separation"]
    times: Times
    walk: str = ""
    where: str = ""
    linked: bool = False
    repair: Repair | None = None


@dataclass(frozen=True)
class Answer:
    """What the graph of a spec says about a statement, under the property ``markov``.

    ``inputs`` are those whose nodes, over all times, are treated as linked. ``flagless`` says that LWF = AMP on what was looked at.
    ``timed``: the spec has time steps. ``vacuous``: at no time are there nodes that satisfy the condition; then it holds.
    """

    statement: Statement
    markov: Property
    layers: tuple[LayerAnswer, ...]
    inputs: tuple[str, ...]
    flagless: bool
    timed: bool
    vacuous: bool = False

    @property
    def holds(self) -> bool:
        """Whether it holds in every layer, for every t and every length."""
        return all(answer.holds for answer in self.layers)

    @property
    def sometimes(self) -> bool:
        """Whether it does not hold, and at some times it does hold in every layer concerned."""
        return not self.holds and all(True in answer.times.answers for answer in self.layers)


def ask(graph: Graph, text: str, property: Property = "lwf") -> Answer:
    """Whether the graph implies the statement ``text``; nothing is taken out of the graph.

    Raises SpecError with a Diagnostic that points into ``text``: CG41x if it cannot be read, CG402 if the graph is too large for it.
    """
    line = text.replace("\n", " ").replace("\r", " ")
    parts = graph.whole
    names = Names(parts, graph.modules)
    statement = dated(parse(line, Span(Source("query", line), 1, 1, max(1, len(line))), ("t", "T")), names, graph.timed)
    instances = bind(statement, names, graph.timed)
    inputs = tuple(part.name for part in graph.parts if part.role == "input" and not part.independent)
    try:
        if findings := list(on_both_sides(statement, instances)):
            raise SpecError(*findings)
        values = first_named(instances[0])
        if values is None:
            return Answer(statement, property, (), inputs, True, graph.timed, vacuous=True)
        answers: list[LayerAnswer] = []
        flagless = True
        for instance in instances:
            # the local property given a boundary is another under AMP
            if (property == "lwf" or not any(part.lines for part in parts)) and _locally_markov(instance, parts):
                answers.append(LayerAnswer(instance.layers, True, "local Markov property", Times("t", (Run((True,)),))))
                continue
            question = Question(instance, parts, graph.timed, values, property)
            # all edges of the template lie within so many steps
            flagless = flagless and (question.sample.complete or not question.sample.lines)
            flagless = flagless and not question.sample.unrolled(0, max([*question.sample.arrows, *question.sample.lines, 0])).flags
            shown = sum(not answer.holds for answer in answers) < SHOWN
            anchor = _only_anchor(instance)
            if anchor is None and (1 in question.sample.lines or (question.sample.lines and property == "amp")):
                raise SpecError(_too_many_times(statement))
            answers.append(_by_moments(graph, statement, question, shown) if anchor is None else _at_any(question, anchor, shown))
    except (TooManyPairs, TooManyNodes, Overlap, ZeroDivisionError) as error:
        raise SpecError(stopped(statement, error)) from error
    vacuous = not any(answer.times.answers for answer in answers)
    return Answer(statement, property, tuple(answers), inputs, flagless, graph.timed, vacuous)


def _too_many_times(statement: Statement) -> Diagnostic:
    message = "times that count from different steps, or lie far apart, cannot be decided among these lines"
    why = "where lines run along time, and under the AMP property beside any lines, no number of steps between is known to be enough"
    return Diagnostic("CG402", message, statement.span, why=why, help="let all times count from `t`, or all from `T`")


def holds(graph: Graph, text: str) -> bool:
    """Whether the graph implies a statement of a spec, in every layer. Cheaper than ``ask``: no walk or repair is looked for.

    As in specs, all times count from t, and what exists at the last step only is at t. Raises SpecError as ``ask`` does.
    """
    parts = graph.whole
    statement = parse(text, Span(Source("statement", text), 1, 1, max(1, len(text))))
    instances = bind(statement, Names(parts, graph.modules), graph.timed)
    try:
        if findings := list(on_both_sides(statement, instances)):
            raise SpecError(*findings)
        values = first_named(instances[0])
        if values is None:
            return True
        if without({part.name: part for part in parts}, instances)[1] or any(joined_still(parts, instance) for instance in instances):
            return False  # what an edge joins, nothing separates
        return all(_locally_markov(i, parts) or Question(i, parts, graph.timed, values, "lwf").separated() for i in instances)
    except (TooManyPairs, TooManyNodes, Overlap, ZeroDivisionError) as error:
        raise SpecError(stopped(statement, error)) from error


def _locally_markov(instance: Instance, parts: Sequence[Part]) -> bool:
    """Whether the local Markov property of the graph as it is says that the instance holds."""
    if len({term.anchor for term in instance.terms if term.timed}) > 1:
        return False
    if not locally_markov(instance, parts) and not _from_a_root(instance, parts):
        return False
    if first_line(instance) is not None or joined_still(parts, instance):
        return False
    return without({part.name: part for part in parts}, [instance])[1] == 0


def _from_a_root(instance: Instance, parts: Sequence[Part]) -> bool:
    """Whether one side is nodes without parents and lines, and the other none of their descendants; then `parents` are none either."""
    if any(isinstance(item, BoundTerm) for item in instance.given):
        return False
    for roots, others in ((instance.left, instance.right), (instance.right, instance.left)):
        if len(roots) == 1 and _is_root(roots[0].part):
            (root,) = roots
            reached = _reached(root.part.name, parts)
            if not any(other.part.name in reached and (root.part.constant or may_descend(other, root, parts)) for other in others):
                return True
    return False


def _is_root(part: Part) -> bool:
    return part.lines is None and all(edge.structure.kind == "absent" for edge in part.edges) and (part.role != "input" or part.independent)


def _reached(name: str, parts: Sequence[Part]) -> set[str]:
    """The parts that the one called ``name`` reaches by edges of any lag, itself only if it is on a cycle."""
    reached: set[str] = set()
    grown = True
    while grown:
        before = len(reached)
        for part in parts:
            if any(edge.structure.kind != "absent" and (edge.source == name or edge.source in reached) for edge in part.edges):
                reached.add(part.name)
        grown = len(reached) > before
    return reached


def _only_anchor(instance: Instance) -> Literal["t", "T"] | None:
    """What all times count from, if it is t or T, the times are near, and what exists at the last step only is at the last of them."""
    anchors = {term.anchor for term in instance.terms if term.timed}
    times = [term.time for term in instance.terms if term.timed] or [0]
    end = max(times)
    early = any(term.timed and term.part.at == "last" and term.time < end for term in instance.terms)
    return None if len(anchors) > 1 or "0" in anchors or early or end - min(times) > NEAR else "T" if "T" in anchors else "t"


def _at_any(question: Question, anchor: Literal["t", "T"], shown: bool) -> LayerAnswer:
    """The answer where all times count from ``anchor``."""
    if anchor == "T":
        question = question.ending()
    found = question.open()
    if found is None:
        question.must_be_complete()
    elif not question.sample.complete:
        unknown = Times(anchor, (Run((False,)),), unknown=question.sample.timed)
        return LayerAnswer(question.instance.layers, False, "separation", unknown, _walk(found[1], anchor))
    times = from_the_start(question, found is None)
    times = times if anchor == "t" else replace(times, along="T")
    if found is None:
        return LayerAnswer(question.instance.layers, False not in times.answers, "separation", times)
    apart = question.sample.unrolled(question.first, question.last, linked=False)
    linked = question.open_in(apart, question.cases_in(apart)) is None
    change = repair(question) if shown else None
    return LayerAnswer(question.instance.layers, False, "separation", times, _walk(found[1], anchor), "", linked, change)


def _by_moments(graph: Graph, statement: Statement, question: Question, shown: bool) -> LayerAnswer:
    """The answer where times count from different things."""
    question.must_be_complete()
    moments = Moments(question)
    times = moments.times()
    layers = question.instance.layers
    if moments.open is None:
        return LayerAnswer(layers, True, "separation", times)
    moment = moments.shown(moments.open)
    where = ", ".join(f"{name} = {k}" for name, k in (("t", moment.t), ("T", moment.last)) if moments.counts_from(name))
    found = moment.question.open()
    assert found is not None
    walk = "" if moment.bridged else _walk(found[1], moment.question.anchor)
    change = repair(moment.question) if shown and not moment.bridged else None
    if change is not None:
        # terms that are given go by what is written in the statement
        written = {str(placed): str(item) for placed, item in zip(moment.question.instance.given, statement.given, strict=True)}
        change = replace(change, remove=tuple(written[term] for term in change.remove))
        if not _cures(change, graph, statement, question):
            change = None
    return LayerAnswer(layers, False, "separation", times, walk, where, repair=change)


def _cures(change: Repair, graph: Graph, statement: Statement, question: Question) -> bool:
    """Whether a repair that was found at one choice of t and T makes the statement hold at all of them."""
    given = [text for text in (str(item) for item in statement.given) if text not in change.remove]
    bare = str(replace(statement, given=())).partition("  where ")
    text = f"{bare[0]}{' | ' * bool(given or change.add)}{', '.join([*given, *change.add])} {bare[1]}{bare[2]}"
    parts, names = graph.whole, Names(graph.whole, graph.modules)
    try:
        changed = dated(parse(text, Span(Source("query", text), 1, 1, len(text)), ("t", "T")), names, graph.timed)
        instances = [i for i in bind(changed, names, graph.timed) if set(i.layers) <= set(question.instance.layers)]
        moments = [Moments(Question(i, parts, graph.timed, first_named(i) or (), question.property)) for i in instances]
        return all(one.times().answers == (True,) for one in moments)
    except (SpecError, Overlap, TooManyNodes):
        return False  # too long to be written, or not at all times apart from the two sides


def _walk(verdict: Verdict[Node], anchor: Anchor) -> str:
    def text(node: Node) -> str:
        return f"{node.part}[{','.join([*map(str, node.indices), *([] if node.time is None else [time_text(node.time, anchor)])])}]"

    return text(verdict.walk[0]) + "".join(f" {step} {text(node)}" for step, node in zip(verdict.steps, verdict.walk[1:], strict=True))
