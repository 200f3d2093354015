"""What a graph implies: every printed statement is answered yes, the missing edges are all there, separators are smallest."""

from __future__ import annotations

import random
from itertools import product
from pathlib import Path

import pytest
from small_specs import edge, part, recurrent, spec
from test_verdict import random_spec, unrolled

from cgc.compiler import graph as graph_of
from cgc.graph.analysis import Graph, analyze
from cgc.graph.binding import Names, bind
from cgc.graph.independences import Independences, Pair
from cgc.graph.query import ask
from cgc.graph.repair import candidates
from cgc.graph.statement import Statement, parse
from cgc.graph.template import with_gates
from cgc.graph.verdict import Question
from cgc.report.independences import independences_data, independences_text
from cgc.source.text import Source, Span
from cgc.spec.model import DropoutGate

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))
DROPOUT = DropoutGate("bernoulli", 0.5)
# sizes at which an answer to every statement takes seconds
SMALLER: dict[str, dict[str, float]] = {
    "mnist_dense": {"keep_prob": 0.5},
    "resnet20_cifar10": {"width": 1, "size": 4, "channels": 1},
    "resnet": {"width": 1, "size": 4},
    "inception": {"width": 4},
    "lstm": {"layers": 1, "hidden": 3},
    "gru": {"layers": 2, "hidden": 3},
    "indrnn_deep": {"layers": 3},
    "indrnn_pixel_mnist": {"layers": 3},
    "indrnn_residual": {"blocks": 2, "hidden": 3},
}


def statements_of(graph: Graph, limit: int | None = None) -> list[str]:
    found = Independences(graph)
    return [*found.missing_edges()[0], *local(found), *(p.statement for p in found.pairs(limit) if p.statement is not None)]


def local(found: Independences) -> list[str]:
    return [text for part in found.parts for text in found.local(part)]


def small() -> dict[str, Graph]:
    x, u = part("x", 3), part("u", 2, independent=True)
    grid = part("g", (3, 4), edge("v"))
    shared = DropoutGate("gaussian", std=1.0, share="time")
    local = "h[i,t] ⟂ h[j,t-1] | parents where abs(i - j) > 1"
    blocks = "g[a,b] ⟂ v[c,d] | parents where a // 2 != c // 2 or b != d"
    return {
        "one part": analyze(spec(part("x", 1))),
        "independent inputs": analyze(spec(u, part("w", 2, independent=True), part("h", 2, edge("u"), edge("w")), steps=3)),
        "linked and independent": analyze(spec(x, u, part("h", 2, edge("x"), edge("u", lag=1)), steps=4)),
        "srn": analyze(recurrent(layers=2)),
        "local": analyze(recurrent(nodes=7, statement=local)),
        "two axes": analyze(spec(part("v", (3, 4)), grid, part("y", 1, edge("g")), independence=(blocks,))),
        "dropout": analyze(spec(x, part("h", 3, edge("x", gate=DROPOUT)), part("y", 2, edge("h", gate=DROPOUT)))),
        "dropout over time": analyze(spec(x, part("h", 3, edge("x", lag=1, gate=shared), edge("h", lag=2)), steps=4)),
        "two outputs": analyze(spec(x, part("h", 2, edge("x")), part("y", 1, edge("h")), part("z", 1, edge("h")))),
        "last outputs": analyze(
            spec(x, part("h", 2, edge("x"), edge("h", lag=1)), *(part(n, 2, edge("h"), at="last") for n in "yz"), steps=5)
        ),
        "two stacks": analyze(spec(x, part("g", 2, edge("x"), layers=2), part("h", 2, edge("g"), layers=3), steps=3)),
        "a cut edge": analyze(spec(x, part("h", 3, edge("x")), part("y", 1, edge("h")), independence=("h[i] ⟂ x[j] | parents",))),
        "elementwise": analyze(spec(x, part("h", 3, edge("x", "elementwise"), edge("h", "identity", lag=1)), steps=3)),
    }


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_statement_of_a_shipped_spec_is_answered_yes(path: Path) -> None:
    graph = graph_of(path, SMALLER.get(path.stem, {}))
    statements = statements_of(graph, 0 if path.stem == "inception" else 40)  # its grids make searches long
    assert len(statements) > 5
    for text in statements[:150]:
        answer = ask(graph, text)
        assert answer.holds and not answer.vacuous, text


@pytest.mark.parametrize("name", small())
def test_every_statement_of_a_small_spec_is_answered_yes(name: str) -> None:
    graph = small()[name]
    for text in statements_of(graph):
        answer = ask(graph, text)
        assert answer.holds and not answer.vacuous, text


@pytest.mark.parametrize("count", [6, pytest.param(80, marks=pytest.mark.slow)])
def test_random_specs_are_answered_yes_and_no_missing_edge_is_left_out(count: int) -> None:
    rng = random.Random(count)
    t = 4
    pairs = 0
    for _ in range(count):
        graph = analyze(random_spec(rng))
        parts = with_gates(graph.parts)
        long, number = unrolled(parts, 2 * t + 1)
        missing = Independences(graph).missing_edges()[0]
        stated: dict[frozenset[int], None] = {}
        for text in statements_of(graph):
            assert ask(graph, text).holds, (text, graph.parts)
            (instance,) = bind(_parsed(text), Names(parts), True)
            for case in Question(instance, parts, True, (), "lwf").cases:
                a, b, z = (
                    [number[n.part, n.indices, t + n.time if n.time is not None else 0] for n in nodes]
                    for nodes in (case.x, case.y, case.z)
                )
                # the theorem that said yes, held against the whole graph
                assert long.separated(a, b, z), (text, graph.parts)
                if text in missing:
                    stated[frozenset((*a, *b))] = None
        assert all(len(pair) == 2 for pair in stated)
        adjacent = {frozenset(e) for e in (*long.arrows, *long.lines)}
        assert not adjacent & set(stated)
        window = max([1, *(e.lag for p in parts for e in p.edges if e.structure.kind != "absent")])
        at = {key: k for key, k in number.items() if key[2] == t or _constant(parts, key[0])}
        for (a, b), back in product(product(at.values(), at), range(-window, window + 1)):
            name, index, time = b
            other = number[name, index, time if _constant(parts, name) else time + back]
            if a != other and frozenset((a, other)) not in adjacent:
                # at t or one of the times around, one of the two sides is the one that is written at t
                assert frozenset((a, other)) in stated or _shifted(number, a, other, -back) in stated, (graph.parts, a, other)
                pairs += 1
    assert pairs > 100 * count


def _parsed(text: str) -> Statement:
    return parse(text, Span(Source("test", text), 1, 1, len(text)))


def _constant(parts: tuple[object, ...], name: str) -> bool:
    return next(p.constant for p in parts if p.name == name)  # type: ignore[attr-defined]


def _shifted(number: dict[tuple[str, tuple[int, ...], int], int], a: int, b: int, by: int) -> frozenset[int]:
    """The same two nodes ``by`` steps later; constants stay."""
    keys = {k: key for key, k in number.items()}
    moved = [number.get((keys[k][0], keys[k][1], keys[k][2] + by), k) for k in (a, b)]
    return frozenset(moved)


def test_separators_have_the_fewest_terms() -> None:
    graph = small()["srn"]
    parts = with_gates(graph.parts)
    checked = 0
    for pair in Independences(graph).pairs():
        if pair.statement is None:
            left, _, right = f"{pair.left} ⟂ {pair.right}".partition(" ⟂ ")
            condition = " where j != i" if left.partition("[")[0] == right.partition("[")[0] and left[-3:] == right[-3:] else ""
            assert not ask(graph, f"{left} ⟂ {right}{condition}").holds
            continue
        assert pair.smallest
        (instance,) = bind(_parsed(pair.statement), Names(parts), True)
        question = Question(instance, parts, True, (), "lwf")
        given = len(instance.given)
        fewer = [()] if given == 1 else [(term,) for term in candidates(question)] if given == 2 else []
        for terms in fewer:
            added = [n for case in question.cases[:1] for term in terms for n in question.nodes(term, case.values)]
            assert question.open(lambda _: added) is not None, (pair, terms)  # noqa: B023
            checked += 1
    assert checked > 20


def test_an_indrnn_in_few_lines() -> None:
    statement = "h[i,t] ⟂ h[j,t-1] | parents where j != i"
    found = Independences(analyze(recurrent(layers=2, nodes=128, statement=statement)))
    assert statement in found.missing_edges()[0] and len(found.missing_edges()[0]) == 11
    assert "h.0[i,t] ⟂ h.0[j,t-1] | parents where j != i" in local(found)
    assert "h.1[i,t] ⟂ x[t], x[t-1], h.0[t-1], x[t+1] | parents" in local(found)
    assert "h.0[i,t] ⟂ h.0[j,t] | h.0[i,t-1], x[:,t] where j != i" in [p.statement for p in found.pairs()]
    assert next(found.pairs()) == Pair("x[i,t]", "x[j,t]", None, linked=True)


def test_layers_of_a_stack_are_told_together_only_if_all_agree() -> None:
    found = Independences(analyze(recurrent(layers=3, statement="h.1[i,t] ⟂ h.1[j,t-1] | parents where j > i")))
    assert "h.1[i,t] ⟂ h.1[j,t-1] | parents where j > i" in found.missing_edges()[0]
    assert not any(text.startswith("h[i,t] ⟂ h[j,t-1]") for text in found.missing_edges()[0])
    assert "h[i,t] ⟂ h[j,t] | parents where j != i" in found.missing_edges()[0]


def test_large_specs_stay_short_and_say_so() -> None:
    deep = analyze(recurrent(layers=100, nodes=64))
    text = independences_text(Independences(deep))
    assert text.count("\n") < 75 and text.count("; --json lists all") == 3
    data = independences_data(Independences(deep), ["missing_edge", "local"])
    (more,) = (line for line in text.split("\n\n")[0].split("\n") if "more;" in line)
    assert int("".join(c for c in more if c.isdigit())) + 20 == len(data["missing_edge"])
    for statement in (*data["missing_edge"][::997], *data["local"][::97]):
        assert ask(deep, statement).holds
    chain = [part("x", 5), *(part(f"c{k}", 5, edge("x" if not k else f"c{k - 1}")) for k in range(300))]
    wide = Independences(analyze(spec(*chain)))
    assert independences_text(wide).count("\n") < 75
    assert wide.missing_edges(0)[1] == 300 * 299 // 2 + 300
    assert ask(analyze(spec(*chain)), local(wide)[-2]).holds
