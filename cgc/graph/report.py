"""What is said about statements: verdicts in a line, and a Diagnostic for a statement that does not hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cgc.graph.parts import Part
from cgc.graph.repair import is_large, repair
from cgc.graph.statement import Statement, terms_text
from cgc.graph.structure import joined_still
from cgc.graph.unions import mixing, rejoined
from cgc.graph.verdict import InstanceVerdict, Question, locally_markov
from cgc.source.diagnostics import Diagnostic

SHOWN = 3
"""For so many layers walks and repairs are shown."""


@dataclass(frozen=True)
class StatementVerdict:
    """A statement, how many pairs it took out of edges, and the verdict for each choice of layers it is about.

    ``vacuous`` says that no nodes satisfy its condition; there are no ``instances`` then. ``linked`` are the inputs whose nodes, over all
    times, are treated as linked. ``reading`` is the Markov property by which it was decided.
    ``redundant``: the rest of the spec implies it.
    """

    statement: Statement
    removed: int
    instances: tuple[InstanceVerdict, ...]
    linked: tuple[str, ...]
    vacuous: bool = False
    reading: str = "LWF = AMP here"
    redundant: bool = False

    @property
    def holds(self) -> bool:
        """Whether it holds in every layer."""
        return all(verdict.holds for verdict in self.instances)

    def __str__(self) -> str:
        return f"{self.statement}: {self._verdict()}"

    def _verdict(self) -> str:
        if self.vacuous:
            return "says nothing, as no nodes satisfy its condition"
        removed = f"takes away {self.removed} {'pair' if self.removed == 1 else 'pairs'}, " if self.removed else ""
        if self.redundant:
            removed = "redundant, as it follows from the rest; "
        if not self.holds:
            failed = [verdict for verdict in self.instances if not verdict.holds]
            only = "holds only pairwise" if all(verdict.pairwise for verdict in failed) else "does not hold"
            return f"{removed}{only}: {failed[0].walk} is open"
        if all(verdict.reason == "local Markov property" for verdict in self.instances):
            return f"{removed}holds by the local Markov property, whether or not inputs are linked"
        return f"{removed}holds by separation ({self.reading}), {assumption(self.linked)}"


def assumption(linked: Sequence[str]) -> str:
    """What is assumed of the inputs."""
    return f"nodes of {', '.join(f'`{name}`' for name in linked)} linked over all times" if linked else "inputs independent"


def failure(verdict: StatementVerdict, questions: Sequence[Question], parts: Sequence[Part]) -> Diagnostic:
    """A statement that does not hold: the open walk in every layer, and the smallest repair. ``questions`` are those that failed."""
    failed = [instance for instance in verdict.instances if not instance.holds]
    several = len(verdict.instances) > 1
    walks = []
    for instance in failed[:SHOWN]:
        where = f"in {_layers([instance])}: " if several else ""
        when = f" (it does hold at t = {', '.join(str(t) for t in instance.early)})" if instance.early else ""
        walks.append(f"{where}{instance.walk}{when}")
    given = f"given {terms_text(verdict.statement.given)}" if verdict.statement.given else "with nothing given"
    linked = f" ({assumption(verdict.linked)})" if any(instance.linked for instance in failed) else ""
    mixed = next((part for question in questions if (part := rejoined(question.instance, parts)) is not None), None)
    if mixed is not None:
        linked += f"; {mixing(mixed)}"
    if all(instance.pairwise for instance in failed):
        linked += "; it holds only pairwise, that is, given all that the two nodes of each pair depend on"
    return Diagnostic(
        "CG420",
        "this independence does not hold in the resulting graph" + (f", in {_layers(failed)}" if several else ""),
        verdict.statement.span,
        f"{'open walks' if len(failed) > 1 else 'an open walk'} {given}",
        why="; ".join(walks) + linked,
        help=_help(verdict, failed, questions, parts) if mixed is None else _unmixed(mixed),
    )


def _unmixed(part: Part) -> str:
    """What to do about a normalisation that joins what the statement takes apart."""
    within = part.normalize is not None and part.normalize.over == "energy" and any(edge.lag for edge in part.edges)
    other = "normalise over `inputs` alone, before lagged contributions are added, or by the batch" if within else "normalise by the batch"
    return f"{other}, or leave the statement out: nothing that could be given separates the two sides"


def _layers(instances: Sequence[InstanceVerdict]) -> str:
    """`h.0`, `h.1` and 4 more layers."""
    names = [" with ".join(f"`{layer}`" for layer in instance.layers) for instance in instances]
    if len(names) > SHOWN + 1:
        names[SHOWN:] = [f"{len(names) - SHOWN} more layers"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _help(verdict: StatementVerdict, failed: Sequence[InstanceVerdict], questions: Sequence[Question], parts: Sequence[Part]) -> str:
    """What to do in the layers whose walks are shown, then what would do in all."""
    groups: dict[str, list[InstanceVerdict]] = {}
    for instance, question in zip(failed[:SHOWN], questions, strict=False):
        groups.setdefault(_repair(question), []).append(instance)
    helps = list(groups) if len(groups) == 1 else ["; ".join(f"in {_layers(found)} {words}" for words, found in groups.items())]
    if len(groups) > 1 and all(_holds_given_parents(question, parts) for question in questions):
        helps.append("or give `parents` in every layer")
    if all(instance.linked for instance in failed):
        helps.append(f"or, if it is true of your inputs, say `independent: true` of {' and '.join(f'`{name}`' for name in verdict.linked)}")
    return ", ".join(helps)


def _repair(question: Question) -> str:
    change = repair(question)
    if change is None:
        if is_large(question):
            return "give `parents`, or leave the statement out: the graph is too large to look for the smallest repair"
        return "leave the statement out: nothing that could be given separates the two sides"
    return f"{change} {'from' if change.remove and not change.add else 'to'} what is given"


def _holds_given_parents(question: Question, parts: Sequence[Part]) -> bool:
    instance = replace(question.instance, given=("parents",))
    local = locally_markov(instance, parts) and not joined_still(parts, instance)
    return local or (question.sample.complete and question.about(instance).open() is None)
