"""Queries: the answer at every t and T against d-separation in graphs unrolled to several lengths, texts, and what cannot be read."""

from __future__ import annotations

import random
from itertools import product

import networkx as nx
import pytest
from small_specs import edge, part, spec

from cgc.graph.analysis import analyze
from cgc.graph.parts import Part
from cgc.graph.query import ask
from cgc.source.diagnostics import SpecError
from cgc.spec.model import Spec

INDRNN = "h[i,t] ⟂ h[j,t-1] | parents where j != i"
LETTERS = {"t": "t", "T": "T", "0": ""}


def unrolled(parts: tuple[Part, ...], last: int) -> nx.DiGraph:
    """The steps 0 … ``last`` as a DAG: linked inputs, which have no parents, are joined in the order of their names."""
    dag: nx.DiGraph = nx.DiGraph()
    by_name = {p.name: p for p in parts}

    def there(p: Part, time: int) -> bool:
        return 0 <= time <= last and (p.at == "all" or time == last)

    def node(p: Part, k: int, time: int) -> tuple[str, int, int]:
        return p.name, k, 0 if p.constant else time

    dag.add_nodes_from(node(p, k, time) for p in parts for k in range(p.size) for time in range(last + 1) if there(p, time))
    for p, time in product(parts, range(last + 1)):
        for e in p.edges:
            source = by_name[e.source]
            if there(p, time) and (source.constant or there(source, time - e.lag)):
                s = e.structure
                for i, j in product(range(p.size), range(source.size)):
                    joined = s.joined
                    if s.kind == "dense" or (s.kind != "absent" and _true(joined, {"i": i, "j": j})):
                        dag.add_edge(node(source, j, time - e.lag), node(p, i, time))
    inputs = sorted(n for n in dag if by_name[n[0]].role == "input" and not by_name[n[0]].independent)
    dag.add_edges_from((a, b) for k, a in enumerate(inputs) for b in inputs[k + 1 :])
    return dag


def _true(joined: object, at: dict[str, int]) -> bool:
    return bool(eval(str(_text(joined)), {}, at))


def _text(joined: object) -> str:
    from cgc.graph.predicate import text

    return text(joined)  # type: ignore[arg-type]


def random_timed(rng: random.Random) -> Spec:
    """One input, a recurrent part or two with lags of one or two steps, and an output at the last step only."""
    x = part("x", rng.randrange(1, 3), independent=rng.random() < 0.6)
    lag = rng.choice((1, 1, 2))
    kind = rng.choice(("dense", "elementwise"))
    own = edge("h", kind, lag=lag)
    h = part("h", x.size, edge("x", rng.choice(("dense", "elementwise")), lag=rng.choice((0, 0, 1))), own)
    more = [part("g", 2, edge("h", lag=rng.choice((0, 1, 2))), *([edge("g", lag=2)] if rng.random() < 0.5 else []))]
    hidden = [h, *(more if rng.random() < 0.5 else [])]
    y = part("y", 1, edge(hidden[-1].name, lag=rng.choice((0, 0, 1))), role="output", at="last")
    return spec(x, *hidden, y, steps=9)


def written_term(name: str, index: str, time: int | None, anchor: str) -> str:
    if time is None:
        return f"{name}[{index}]"
    return f"{name}[{index},{time if anchor == '0' else f'{anchor}{time:+d}' if time else anchor}]"


def brute(parts: tuple[Part, ...], terms: list[tuple[str, str, int | None, str]], condition: str, t: int, last: int) -> bool | None:
    """Terms are (part, index, time, anchor), the first two the sides; None where a side has no nodes or a node is named twice."""
    dag = unrolled(parts, last)
    by_name = {p.name: p for p in parts}
    at = {"t": t, "T": last, "0": 0}

    def nodes(term: tuple[str, str, int | None, str], i: int, j: int) -> list[tuple[str, int, int]]:
        name, index, time, anchor = term
        place = last if time is None else at[anchor] + time
        chosen = {"i": [i], "j": [j], ":": range(by_name[name].size)}[index]
        return [(name, k, place) for k in chosen if (name, k, place) in dag]

    for term in terms:
        place = last if term[2] is None else at[term[3]] + term[2]
        if place > last or (by_name[term[0]].at == "last" and place != last):
            return None
    decided: list[bool] = []
    for i, j in product(range(by_name[terms[0][0]].size), range(by_name[terms[1][0]].size)):
        if not eval(condition, {}, {"i": i, "j": j}):
            continue
        a, b = nodes(terms[0], i, j), nodes(terms[1], i, j)
        z = {n for term in terms[2:] for n in nodes(term, i, j)}
        if not a or not b:
            return None
        if a == b or z & {*a, *b}:
            return None
        decided.append(nx.is_d_separator(dag, set(a), set(b), z))
    return all(decided) if decided else None


@pytest.mark.parametrize("wanted", [60, pytest.param(600, marks=pytest.mark.slow)])
def test_times_against_graphs_of_several_lengths(wanted: int) -> None:
    rng = random.Random(wanted)
    seen = {"fixed": 0, "varies": 0, "both": 0}
    tried = 0
    while tried < wanted:
        graph = analyze(random_timed(rng))
        names = [p.name for p in graph.parts]
        kinds = rng.choice(("t", "tT", "t0", "T0", "tT0", "tT"))
        terms: list[tuple[str, str, int | None, str]] = []
        for index in ("i", "j", *rng.sample((":", ":", "i", "j"), rng.randrange(0, 3))):
            name, anchor = rng.choice(names), rng.choice(kinds)
            time = rng.randrange(0, 4) if anchor == "0" else -rng.randrange(0, 3)
            if name == "y":
                terms.append((name, index, *rng.choice([(None, "T"), (0, "T"), (0, "t")])))
            else:
                terms.append((name, index, time, anchor))
        if terms[0][0] == "y" and terms[1][0] == "y":
            continue
        condition = rng.choice(("i != j", "i == j", "i >= 0"))
        left, right, *given = [written_term(*term) for term in terms]
        text = f"{left} ⟂ {right}{' | ' if given else ''}{', '.join(given)} where {condition}"
        try:
            answer = ask(graph, text)
        except SpecError as error:
            assert {d.code for d in error.diagnostics} <= {"CG418"}, error
            continue
        if answer.vacuous:
            continue
        tried += 1
        (found,) = answer.layers
        answers: set[bool] = set()
        for last in range(8):
            for t in range(last + 1):
                expected = brute(graph.parts, terms, condition, t, last)
                if expected is not None:
                    assert found.times.at(t, last) == expected, (text, t, last, graph.parts, found.times)
                    answers.add(expected)
        assert answers <= set(found.times.answers)
        assert answer.holds == (False not in found.times.answers)
        seen[
            "fixed" if len(found.times.runs) == 1 and len(found.times.answers) == 1 else "varies" if len(found.times.runs) == 1 else "both"
        ] += 1
    assert min(seen.values()) >= wanted // 20, seen
