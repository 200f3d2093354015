"""The result of the analysis: order, groups, factorisation, dump, and the same text under every hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_specs import edge, findings, part, query, recurrent, spec

from cgc.graph.analysis import analyze
from cgc.graph.dump import dump
from cgc.source.diagnostics import SpecError
from cgc.spec.model import DropoutGate

INDRNN = "h[i,t] ⟂ h[j,t-1] | parents where j != i"


def test_dump_of_an_indrnn() -> None:
    assert dump(analyze(recurrent(layers=2, nodes=128, inputs=8, statement=INDRNN))) == (
        "P(h.0, h.1, y | x) = prod_t P(h.0[t] | x[t], h.0[t-1]) P(h.1[t] | h.0[t], h.1[t-1]) · P(y[T] | h.1[T])\n"
        "part x: input 8\n"
        "part h.0: hidden 128\n"
        "  <- x (x): dense, 1024 pairs\n"
        "  <- h.0 @ t-1 (h): elementwise, 128 pairs\n"
        "part h.1: hidden 128\n"
        "  <- h.0 (x): dense, 16384 pairs\n"
        "  <- h.1 @ t-1 (h): elementwise, 128 pairs\n"
        "part y: output 1 at last\n"
        "  <- h.1 (h): dense, 128 pairs\n"
        "group h.0\n"
        "group h.1\n"
        "statement h[i,t] ⟂ h[j,t-1] | parents  where j != i: takes away 32512 pairs, "
        "holds by the local Markov property, whether or not inputs are linked\n"
    )


def test_groups_are_strongly_connected_over_all_lags() -> None:
    a = part("a", 2, edge("x"), edge("c", lag=1))
    b = part("b", 2, edge("a"))
    c = part("c", 2, edge("b"), edge("c", lag=2))
    d = part("d", 2, edge("c"), edge("d", lag=1))
    e = part("e", 2, edge("x"))
    graph = analyze(spec(part("x", 1), e, d, c, b, a, steps=4))
    assert [p.name for p in graph.parts] == ["x", "e", "a", "b", "c", "d"]
    assert graph.groups == (("x",), ("e",), ("a", "b", "c"), ("d",))
    assert "group a, b, c\ngroup d\n" in dump(graph)


def test_a_recurrence_that_is_stated_away_is_no_group() -> None:
    graph = analyze(recurrent(statement="h[i,t] ⟂ h[j,t-1] | parents"))
    assert graph.part("h").edges[1].structure.kind == "absent" and "group" not in dump(graph)
    assert graph.factorisation() == "P(h, y | x) = prod_t P(h[t] | x[t]) · P(y[T] | h[T])"
    two = (part("a", 2, edge("x"), edge("b", lag=1)), part("b", 2, edge("a")))
    assert analyze(spec(part("x", 2), *two, steps=3)).groups[1:] == (("a", "b"),)
    cut = analyze(spec(part("x", 2), *two, steps=3, independence=("a[i,t] ⟂ b[j,t-1] | parents",)))
    assert cut.groups[1:] == (("a",), ("b",))


def test_factorisation_without_time_and_with_gates() -> None:
    gated = part("h", 3, edge("x", gate=DropoutGate("bernoulli", 0.5)))
    assert analyze(spec(part("x", 3), gated, part("y", 1, edge("h")))).factorisation() == (
        "P(h.x.gate, h, y | x) = P(h.x.gate) P(h | x, h.x.gate) P(y | h)"
    )
    shared = part("h", 3, edge("x", lag=2, gate=DropoutGate("gaussian", std=1, share="time")))
    assert analyze(spec(part("x", 3), shared, steps=3)).factorisation() == (
        "P(h.x.gate, h | x) = P(h.x.gate) · prod_t P(h[t] | x[t-2], h.x.gate)"
    )


def test_parts_are_found_by_name() -> None:
    graph = analyze(recurrent(layers=2))
    assert graph.part("h.1").component == "h" and graph.part("h.1").layer == 1 and graph.part("h.1").size == 4
    with pytest.raises(KeyError):
        graph.part("h")


def test_a_query_takes_nothing_away_and_says_what_it_cannot_read() -> None:
    graph = analyze(recurrent())
    assert not query(graph, INDRNN).holds and query(graph, "h[t] ⟂ x[t-1] | parents").holds
    assert query(graph, INDRNN).instances[0].walk is not None and str(query(graph, INDRNN).instances[0].walk) == "h[0,t] ← h[1,t-1]"
    assert query(graph, INDRNN, "amp").holds is False
    with pytest.raises(SpecError) as error:
        query(graph, "h[i,t] ⟂ z")
    assert findings(error.value) == [("CG411", "there is no component `z`")]
    with pytest.raises(SpecError) as error:
        query(graph, "h ⟂ h")
    assert findings(error.value) == [("CG418", "both sides of this statement name the same node")]


SEEDED = """
from small_specs import *
from cgc.graph.analysis import analyze
from cgc.graph.dump import dump
print(dump(analyze(recurrent(layers=3, statement="h[i,t] ⟂ h[j,t-1] | parents where i // 2 != j // 2"))))
for text in ("h[i,t] ⟂ h[j,t-1] | h[i,t-1] where j != i", "h[i,t] ⟂ h[j,t] | y where j > i", "x[i,t] ⟂ x[j,t-1]"):
    try:
        analyze(recurrent(layers=3, statement=text))
    except SpecError as error:
        print(error.diagnostics)
"""


def test_same_text_under_every_hash_seed() -> None:
    texts = set()
    for seed in "012":
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent), "PYTHONIOENCODING": "utf-8"}
        texts.add(subprocess.run([sys.executable, "-c", SEEDED], capture_output=True, check=True, env=environment).stdout)
    assert len(texts) == 1 and texts.pop().count(b"CG420") == 3
