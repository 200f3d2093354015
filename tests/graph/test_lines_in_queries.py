"""Queries and implied independences where components have lines: every t and T, and every statement, against whole unrolled graphs."""

from __future__ import annotations

import random
from itertools import product

import pytest
from small_graphs import separated_by_moralisation
from small_specs import edge, part, spec
from test_lines import HERE, TIME, random_spec, unrolled

from cgc.graph import ChainGraph
from cgc.graph.analysis import Graph, analyze
from cgc.graph.binding import BoundTerm, Instance, Names, bind
from cgc.graph.independences import Independences
from cgc.graph.query import ask
from cgc.graph.statement import parse
from cgc.graph.template import with_gates
from cgc.graph.verdict import Question
from cgc.source.diagnostics import SpecError
from cgc.source.text import Source, Span
from cgc.spec.model import Lines

Numbers = dict[tuple[str, tuple[int, ...], int], int]


def graphs(rng: random.Random, wanted: int, timed: bool = True) -> list[Graph]:
    """Random graphs in which some component has lines."""
    found: list[Graph] = []
    while len(found) < wanted:
        try:
            graph = analyze(random_spec(rng, timed))
        except SpecError:
            continue
        if any(p.lines for p in graph.parts):
            found.append(graph)
    return found


def truth(instance: Instance, question: Question, long: ChainGraph[int], number: Numbers, t: int, property: str) -> bool | None:
    """Whether the statement holds in the whole graph with t at this step; None where one of its sides is not there."""
    held = []
    for values in question._values():

        def nodes(terms: tuple[BoundTerm, ...], values: object = values) -> list[int]:
            chosen = [n for term in terms for n in question.nodes(term, values)]  # type: ignore[arg-type]
            return [number[key] for n in chosen if (key := (n.part, n.indices, t + (n.time or 0))) in number]

        x, y = nodes(instance.left), nodes(instance.right)
        if not x or not y:
            continue
        z = nodes(tuple(item for item in instance.given if isinstance(item, BoundTerm)))
        for word in (item for item in instance.given if isinstance(item, str)):
            z += [v for v in (long.parents(x) if word == "parents" else long.boundary(x)) if v not in y]
        separated = separated_by_moralisation(long, x, y, z) if property == "lwf" else bool(long.separated(x, y, z, "amp"))
        held.append(separated)
    return all(held) if held else None


def bound(graph: Graph, text: str) -> Instance:
    (instance,) = bind(parse(text, Span(Source("test", text), 1, 1, len(text))), Names(with_gates(graph.parts)), graph.timed)
    return instance


@pytest.mark.parametrize("property", ["lwf", "amp"])
def test_every_t_and_every_length(property: str) -> None:
    rng = random.Random(4)
    kinds = {"same": 0, "depends": 0}
    for graph in graphs(rng, 25):
        parts = with_gates(graph.parts)
        long = {last: unrolled(parts, last + 1) for last in range(7)}
        for _ in range(3):
            a, b, *more = (rng.choice(graph.parts) for _ in range(rng.randrange(2, 4)))
            offsets = [rng.choice((0, 0, -1, 1)) for _ in range(3)]
            terms = [f"{p.name}[{k},t{d:+d}]".replace("+0", "") for p, k, d in zip((a, b, *more), "ij:", offsets, strict=False)]
            given = rng.choice(["", " | parents, boundary"]) if not more else f" | {terms[2]}"
            text = f"{terms[0]} ⟂ {terms[1]}{given} where {rng.choice(('i != j', 'i == j'))}"
            try:
                answer = ask(graph, text, property)  # type: ignore[arg-type]
            except SpecError as error:
                assert {d.code for d in error.diagnostics} <= {"CG402", "CG418"}, error
                continue
            if answer.vacuous:
                continue
            (found,) = answer.layers
            instance = bound(graph, text)
            question = Question(instance, parts, True, (), property)  # type: ignore[arg-type]
            latest = max(offsets[: len(terms)])
            for last in range(7):
                for t in range(last + 1):
                    if t + latest > last:
                        continue
                    known = truth(instance, question, *long[last], t, property)
                    if known is not None:
                        assert found.times.at(t, last) == known, (text, t, last, found.times, graph.parts)
            kinds["same" if len(found.times.answers) == 1 else "depends"] += 1
    assert kinds["same"] > 20 and kinds["depends"] > 2, kinds


def test_the_end_of_a_sequence() -> None:
    rng = random.Random(8)
    seen = {True: 0, False: 0}
    for graph in graphs(rng, 40):
        names = [p.name for p in graph.parts if p.lines == TIME or p.lines]
        parts, a = with_gates(graph.parts), rng.choice(names)
        b = rng.choice(graph.parts).name
        given = rng.choice(["", f" | {a}[:,T-1]", " | boundary"])
        text = f"{a}[i,T] ⟂ {b}[j,T-2]{given} where i >= 0"
        try:
            answer = ask(graph, text)
        except SpecError as error:
            assert {d.code for d in error.diagnostics} <= {"CG402", "CG418"}, error
            continue
        (found,) = answer.layers
        relative = bound(graph, text.replace("T", "t"))
        question = Question(relative, parts, True, (), "lwf")
        for last in range(2, 8):
            known = truth(relative, question, *unrolled(parts, last + 1), last, "lwf")
            if known is not None:
                assert found.times.at(0, last) == known, (text, last, found.times, graph.parts)
                seen[known] += 1
    assert min(seen.values()) > 10, seen


@pytest.mark.parametrize("timed", [False, True])
def test_what_is_implied_is_true_and_complete(timed: bool) -> None:
    rng = random.Random(6)
    t, steps = (4, 9) if timed else (0, 1)
    for graph in graphs(rng, 12, timed):
        parts = with_gates(graph.parts)
        long, number = unrolled(parts, steps)
        independences = Independences(graph)
        missing = independences.missing_edges()[0]
        texts = [*missing, *(s for p in independences.parts for s in independences.local(p))]
        texts += [p.statement for p in independences.pairs() if p.statement is not None]
        stated: dict[frozenset[int], None] = {}
        for text in texts:
            assert ask(graph, text).holds, (text, graph.parts)
            instance = bound(graph, text)
            question = Question(instance, parts, timed, (), "lwf")
            assert truth(instance, question, long, number, t, "lwf"), (text, graph.parts)
            if text in missing:
                for case in question.cases:
                    (a,), (b,) = ([number[n.part, n.indices, t + (n.time or 0)] for n in nodes] for nodes in (case.x, case.y))
                    stated[frozenset((a, b))] = None
        adjacent = {frozenset(e) for e in (*long.arrows, *long.lines)}
        assert not adjacent & set(stated)
        # within one step nothing is left out, but for inputs and what may be both before and after by way of lines along time
        at = [v for (name, _, time), v in number.items() if time == t and graph.part(name).role != "input"]
        along = any(p.lines and p.lines.lag for p in parts)
        for a, b in product(at, at):
            if a < b and frozenset((a, b)) not in adjacent and not along:
                assert frozenset((a, b)) in stated, (graph.parts, a, b)


@pytest.mark.parametrize("property", ["lwf", "amp"])
def test_times_that_count_from_the_first_and_the_last_step(property: str) -> None:
    """Among lines within steps these are decided (LWF); among lines along time, and for AMP, they are refused."""
    rng = random.Random(12)
    seen = {True: 0, False: 0}
    for graph in graphs(rng, 60):
        along = any(p.lines and p.lines.lag for p in graph.parts)
        terms = [(rng.choice(graph.parts), *rng.choice([("0", 0), ("0", 1), ("T", 0), ("T", -1), ("t", 0), ("t", -1)])) for _ in range(3)]
        written = [
            f"{p.name}[{k},{offset if anchor == '0' else f'{anchor}{offset:+d}'.replace('+0', '')}]"
            for (p, anchor, offset), k in zip(terms, "ij:", strict=True)
        ]
        text = f"{written[0]} ⟂ {written[1]} | {written[2]} where i == 0 and j == 0"
        try:
            answer = ask(graph, text, property)  # type: ignore[arg-type]
        except SpecError as error:
            codes = {d.code for d in error.diagnostics}
            assert codes <= {"CG402", "CG418"} and (codes != {"CG402"} or along or property == "amp"), error
            continue
        if answer.vacuous:
            continue
        (found,) = answer.layers
        for last in range(6):
            long, number = unrolled(with_gates(graph.parts), last + 1)
            for t in range(last + 1):
                at = [{"0": 0, "T": last, "t": t}[anchor] + offset for _, anchor, offset in terms]
                x, y = ([number[key] for key in [(p.name, (0,), k)] if key in number] for (p, _, _), k in zip(terms[:2], at, strict=False))
                z = [v for (name, _, time), v in number.items() if name == terms[2][0].name and time == at[2]]
                if max(at) > last or not x or not y or x == y or {*x, *y} & {*z}:
                    continue
                known = separated_by_moralisation(long, x, y, z) if property == "lwf" else bool(long.separated(x, y, z, "amp"))
                assert found.times.at(t, last) == known, (text, t, last, found.times, graph.parts)
                seen[known] += 1
    assert property == "amp" or min(seen.values()) > 20, seen


def test_a_stretch_that_leads_through_lines_at_every_step() -> None:
    """0 → 1 — 2 → 3 — 4 → 5 — 6 → 7, an arrow a step: without its lines such a stretch would settle long before."""
    pairs = tuple(((k,), (k + 1,)) for k in (1, 3, 5))
    h = part("h", 8, edge("h", lag=1), edge("x"), lines=Lines("list", HERE, pairs=pairs))
    mask = "h[i,t] ⟂ h[j,t-1] | parents, boundary where i != j + 1 or j % 2 == 1"
    graph = analyze(
        spec(part("x", 8, independent=True), h, steps=4, independence=(mask, "h[i,t] ⟂ x[j,t] | parents, boundary where i > 0"))
    )
    (found,) = ask(graph, "h[0,0] ⟂ h[7,T]").layers
    assert [found.times.at(0, last) for last in range(12)] == [last != 4 for last in range(12)]
