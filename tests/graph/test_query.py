"""Queries: the answer at every t and T against d-separation in graphs unrolled to several lengths, texts, and what cannot be read."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from itertools import product
from pathlib import Path

import networkx as nx
import pytest
from small_specs import edge, findings, only, part, recurrent, spec
from test_verdict import random_spec

from cgc.graph.analysis import Graph, analyze
from cgc.graph.parts import Part
from cgc.graph.predicate import text as text_of
from cgc.graph.query import ask, holds
from cgc.report.query import query_data, query_text
from cgc.source.diagnostics import SpecError
from cgc.spec.model import DropoutGate, Spec

PATHS = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
INDRNN = "h[i,t] ⟂ h[j,t-1] | parents where j != i"


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
                    if s.kind == "dense" or (s.kind != "absent" and eval(text_of(s.joined), {}, {"i": i, "j": j})):
                        dag.add_edge(node(source, j, time - e.lag), node(p, i, time))
    inputs = sorted(n for n in dag if by_name[n[0]].role == "input" and not by_name[n[0]].independent)
    dag.add_edges_from((a, b) for k, a in enumerate(inputs) for b in inputs[k + 1 :])
    return dag


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
        expected = {(t, last): brute(graph.parts, terms, condition, t, last) for last in range(8) for t in range(last + 1)}
        try:
            answer = ask(graph, text)
        except SpecError as error:
            assert {d.code for d in error.diagnostics} <= {"CG418"}, error
            assert all(known is None for known in expected.values()), (text, error)
            continue
        if answer.vacuous:
            assert all(known is None for known in expected.values()), text
            continue
        tried += 1
        (found,) = answer.layers
        for (t, last), known in expected.items():
            if known is not None:
                assert found.times.at(t, last) == known, (text, t, last, graph.parts, found.times)
        assert {known for known in expected.values() if known is not None} == set(found.times.answers), text
        assert answer.holds == (False not in found.times.answers)
        seen[
            "fixed" if len(found.times.runs) == 1 and len(found.times.answers) == 1 else "varies" if len(found.times.runs) == 1 else "both"
        ] += 1
    assert min(seen.values()) >= wanted // 20, seen


def lagged() -> Graph:
    """Odd and even steps never meet."""
    x, h = part("x", 2, independent=True), part("h", 2, edge("x", "elementwise"), edge("h", "elementwise", lag=2))
    return analyze(spec(x, h, part("y", 1, edge("h"), role="output", at="last"), steps=9))


EVERY = "the same for every t and every length"


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("h[i,t] ⟂ h[j,t] where i != j", EVERY),
        ("h[i,t] ⟂ h[i,t-2]", EVERY),
        ("h[i,t] ⟂ h[i,0]", "at t = 1 it holds, at t = 2 it does not, and so on every 2 steps"),
        ("h[0,t] ⟂ h[0,3] | h[0,t-2]", "at t = 0 it holds, at t = 1 it does not, from t = 2 on it holds"),
        (
            "h[i,t] ⟂ h[j,t] | y where i != j",
            "it depends on T - t: at T - t = 0 it does not, at T - t = 1 it holds, and so on every 2 steps",
        ),
        ("h[i,t] ⟂ h[j,t] | y[0,t] where i != j", EVERY),
        ("y ⟂ x[:,0]", "at T = 0 it does not, at T = 1 it holds, and so on every 2 steps"),
        ("h[i,1] ⟂ h[i,7]", "the same for every length"),
        ("y[0,4] ⟂ h[0,6]", "at no time does all that it names exist"),
        ("h[i,T] ⟂ h[j,T] | y where i != j", "the same for every length"),
        (
            "h[i,t] ⟂ h[j,0] | y  where i != j",
            "it depends on t and on T: where T - t = 0, at t = 0 it does not, at t = 1 it holds, and so on every 2 steps; "
            "where T - t = 1, it holds; and so on every 2 steps",
        ),
    ],
)
def test_texts_about_times(text: str, times: str) -> None:
    assert str(ask(lagged(), text).layers[0].times) == times


def test_times_before_the_first_step_are_cut_away() -> None:
    x, h = part("x", 2, independent=True), part("h", 2, edge("x", "elementwise"), edge("h", lag=1))
    answer = ask(analyze(spec(x, h, steps=9)), "h[i,t] ⟂ h[j,t] where i != j")
    assert str(answer.layers[0].times) == "at t = 0 it holds, from t = 1 on it does not"
    assert answer.sometimes and not answer.holds
    slow = part("h", 2, edge("x", "elementwise"), edge("h", lag=3))
    answer = ask(analyze(spec(x, slow, steps=9)), "h[i,t] ⟂ h[j,t] where i != j")
    assert str(answer.layers[0].times) == "at t = 0 to 2 it holds, from t = 3 on it does not"


def test_long_stretches_are_not_unrolled_step_by_step() -> None:
    graph = lagged()
    assert not ask(graph, "h[i,1] ⟂ h[i,999]").holds and ask(graph, "h[i,1] ⟂ h[i,1000]").holds
    (found,) = ask(graph, "h[i,1] ⟂ h[i,999]").layers
    assert (found.walk, found.repair) == ("", None)
    assert "leads through the steps between" in query_text(ask(graph, "h[i,1] ⟂ h[i,999]"))
    (short,) = ask(graph, "h[i,1] ⟂ h[i,7]").layers
    assert short.walk == "h[0,1] → h[0,3] → h[0,5] → h[0,7]" and str(short.repair) == "add `h[i,3]`"


def test_a_repair_is_given_only_if_it_holds_at_all_times() -> None:
    graph = analyze(recurrent(statement=INDRNN, independent=True))
    (found,) = ask(graph, "h[i,t] ⟂ h[j,0] | y where j != i").layers
    assert str(found.repair) == "remove `y` and add `h[i,t-1]`, `x[:,t]`"
    assert ask(graph, "h[i,t] ⟂ h[j,0] | h[:,t-1], x[:,t] where j != i").holds
    assert not ask(graph, "h[i,t] ⟂ h[j,0] | h[:,t-1], x[:,t], y where j != i").holds
    (found,) = ask(graph, "y ⟂ h[i,0]").layers
    assert found.repair is None and str(found.times) == "the same for every length"
    (found,) = ask(graph, "y ⟂ h[:,T-2]").layers
    assert str(found.repair) == "add `h[:,T-1]`" and ask(graph, "y ⟂ h[:,T-2] | h[:,T-1]").holds


def test_printed_answers() -> None:
    graph = analyze(recurrent(layers=5, statement=INDRNN))
    assert query_text(ask(graph, INDRNN)) == (
        "yes, h[i,t] ⟂ h[j,t-1] | parents  where j != i\n"
        "  reason        local Markov property\n"
        "  times         the same for every t and every length\n"
        "  property      LWF (Lauritzen, Wermuth, Frydenberg); LWF = AMP here\n"
        "  inputs        nodes of `x` linked over all times\n"
    )
    text = query_text(ask(graph, "h[i,t] ⟂ h[j,t-1] | h[i,t-1] where j != i", "amp"))
    assert text.startswith("no: h[i,t] ⟂ h[j,t-1] | h[i,t-1]  where j != i does not hold\n")
    assert "  h.0           h.0[0,t] ← x[0,t] — x[0,t-1] → h.0[1,t-1] is open\n" in text
    assert "it holds if you add `h.1[:,t]` to what is given\n" in text and "h.3" not in text
    assert "and 2 more layers in which it does not hold\n" in text and "AMP (Andersson" in text
    partly = query_text(ask(graph, "h[i,t] ⟂ h[j,t-1] | x[:,t], h[i,t-1] where j != i"))
    assert partly.startswith("no: ") and "it holds in the other 1 of 5 layers\n" in partly
    untimed = query_text(ask(analyze(spec(part("x", 2), part("h", 2, edge("x")))), "h[i] ⟂ h[j] | x where i != j"))
    assert untimed.startswith("yes") and "\n  times" not in untimed
    assert "says nothing" in query_text(ask(graph, "h[i,t] ⟂ x[j,t] | parents where j < 0"))


def test_data_is_the_whole_answer() -> None:
    data = query_data(ask(lagged(), "h[i,t] ⟂ h[i,0]"))
    assert (data["holds"], data["sometimes"], data["property"], data["linked_inputs"]) == (False, True, "lwf", [])
    (layer,) = data["layers"]
    assert (layer["at"], layer["walk"], layer["holds"]) == ("t = 2", "h[0,t] ← h[0,t-2]", False)
    assert query_data(ask(lagged(), "y ⟂ x | parents"))["layers"][0]["repair"] is None


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("h[i,t] ⟂ z[j,t]", "CG411", 10),
        ("h[i,t] ⟂ x[j,t,t]", "CG413", 16),
        ("h[T,t] ⟂ x[0,t]", "CG413", 5),
        ("h[0,2*T] ⟂ x[0,t]", "CG413", 5),
        ("h[0,T+1] ⟂ x[0,t]", "CG413", 1),
        ("x[0,t] ⟂ h[0,-1]", "CG413", 10),
        ("x[0,t] ⟂ y[0,T-1]", "CG413", 10),
        ("x[0,1001] ⟂ y", "CG413", 1),
        ("x[0,t] ⟂ h[9,4]", "CG415", 10),
        ("h[0,t] ⟂ x[0,t] where T > 3", "CG413", 23),
        ("h[0,3] ⟂ h[0,3]", "CG418", 1),
        ("h[0,3] ⟂ h[0,5] | h[0,5]", "CG418", 19),
        ("h[0,t] ⟂ h[0,0] | h[0,0]", "CG418", 19),
        ("h[0] ⟂ x", "CG413", 1),
        ("h[0,0,0] ⟂ x", "CG412", 1),
        ("", "CG410", 1),
        ("⟂ | where", "CG410", 1),
        ("h[i,t] ⟂ x[j,t] \x1b[31m", "CG410", 17),
        ("h[i,t]\n⟂ z", "CG411", 10),
        ("h[i,t] ⟂ x[j,t] where i % (j - j) == 0", "CG417", 1),
    ],
)
def test_what_cannot_be_read_is_pointed_at(text: str, code: str, column: int) -> None:
    with pytest.raises(SpecError) as error:
        ask(lagged(), text)
    found = only(error.value)
    assert found.code == code and found.span is not None
    assert (found.span.source.name, found.span.line) == ("query", 1)
    assert code == "CG417" or found.span.column == column


def test_times_of_queries_are_unknown_to_specs() -> None:
    for text in ("h[i,T] ⟂ x[j,t]", "h[i,3] ⟂ x[j,t]"):
        with pytest.raises(SpecError) as error:
            analyze(recurrent(statement=text))
        assert findings(error.value)[0][0] in ("CG412", "CG414")
    with pytest.raises(SpecError):
        ask(analyze(spec(part("x", 2), part("h", 2, edge("x")))), "h[0,T] ⟂ x")


def test_holds_agrees_with_ask() -> None:
    rng = random.Random(3)
    seen = {True: 0, False: 0}
    for _ in range(10):
        graph = analyze(random_spec(rng))
        for a, b in product(graph.parts, graph.parts):
            text = f"{a.name}[i,t] ⟂ {b.name}[j,t-1]{rng.choice((' | parents', '', f' | {graph.parts[-1].name}[t-2]'))} where i >= j"
            known = holds(graph, text)
            assert known == ask(graph, text).holds, text
            seen[known] += 1
    assert min(seen.values()) > 20
    assert holds(analyze(recurrent()), "h[i,t] ⟂ x[j,t] where j < 0")
    with pytest.raises(SpecError):
        holds(analyze(recurrent()), "h ⟂ nothing")


def test_dropout_nodes_and_constant_ones_in_queries() -> None:
    def graph(share: str) -> Graph:
        h = part("h", 2, edge("x", lag=1, gate=DropoutGate("bernoulli", 0.5, share=share)))  # type: ignore[arg-type]
        return analyze(spec(part("x", 2), h, steps=5))

    assert ask(graph("step"), "h[i,1] ⟂ h[j,5] | x[:,0], x[:,4]").holds
    assert not ask(graph("time"), "h[i,1] ⟂ h[j,5] | x[:,0], x[:,4]").holds
    assert ask(graph("time"), "h[i,1] ⟂ h[j,5] | x[:,0], x[:,4], h.x.gate").holds
    assert ask(graph("time"), "h.x.gate[i] ⟂ x[j,t]").layers[0].reason == "local Markov property"
    # it reaches h one step later
    assert not ask(graph("time"), "h.x.gate[i] ⟂ h[j,t]").holds


SEEDED = """
from small_specs import *
from cgc.graph.analysis import analyze
from cgc.graph.independences import Independences
from cgc.graph.query import ask
from cgc.report.independences import independences_text
from cgc.report.query import query_text
graph = analyze(recurrent(layers=3, statement="h[i,t] ⟂ h[j,t-1] | parents where i // 2 != j // 2"))
print(independences_text(Independences(graph)))
for text in ("h[i,t] ⟂ h[j,0] | y", "y ⟂ x[:,t] | h.1[:,t-1]", "h[i,2] ⟂ h[j,5] | x where i < j"):
    print(query_text(ask(graph, text)))
"""


def test_same_text_under_every_hash_seed() -> None:
    texts = set()
    for seed in "012":
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(PATHS), "PYTHONIOENCODING": "utf-8"}
        texts.add(subprocess.run([sys.executable, "-c", SEEDED], capture_output=True, check=True, env=environment).stdout)
    assert len(texts) == 1 and b"is open" in texts.pop()
