"""Verdicts on statements: the table of SRN and IndRNN, brute force on random specs, walks, repairs, and the sample behind them."""

from __future__ import annotations

import random
from itertools import combinations, product

import numpy as np
import pytest
from small_graphs import separated_by_moralisation
from small_specs import edge, findings, only, part, query, recurrent, spec

from cgc.graph import ChainGraph, repair, sample, values, verdict
from cgc.graph.analysis import Graph, analyze
from cgc.graph.binding import Names, bind
from cgc.graph.parts import Part
from cgc.graph.predicate import evaluate
from cgc.graph.statement import parse
from cgc.graph.template import template, with_gates
from cgc.source.diagnostics import SpecError
from cgc.source.text import Source, Span
from cgc.spec.model import DropoutGate, Spec

PAIRWISE = "; it holds only pairwise, that is, given all that the two nodes of each pair depend on"
INDRNN = "h[i,t] ⟂ h[j,t-1] | parents where j != i"


def remembered_input() -> Spec:
    """x[t-1] → x[t]: inputs have no parents, so x is a hidden part here."""
    x, h = part("x", 3, edge("u"), edge("x", lag=1)), part("h", 4, edge("x"), edge("h", lag=1))
    return spec(part("u", 2, independent=True), x, h, steps=8, independence=(INDRNN,))


@pytest.mark.parametrize(
    ("name", "given_own_past", "given_input_too"),
    [
        ("SRN", False, False),
        ("IndRNN, independent inputs", True, True),
        ("IndRNN, linked inputs", False, True),
        ("IndRNN, inputs with memory", False, True),
        ("IndRNN, 2 layers", False, True),
        ("IndRNN, 2 layers, independent inputs", False, True),
    ],
)
def test_table_of_srn_and_indrnn(name: str, given_own_past: bool, given_input_too: bool) -> None:
    graphs = {
        "SRN": recurrent(independent=True),
        "IndRNN, independent inputs": recurrent(independent=True, statement=INDRNN),
        "IndRNN, linked inputs": recurrent(statement=INDRNN),
        "IndRNN, inputs with memory": remembered_input(),
        "IndRNN, 2 layers": recurrent(layers=2, statement=INDRNN),
        "IndRNN, 2 layers, independent inputs": recurrent(layers=2, independent=True, statement=INDRNN),
    }
    graph = analyze(graphs[name])
    h, below = ("h.1", "h.0") if "2 layers" in name else ("h", "x")
    own = f"{h}[i,t] ⟂ {h}[j,t-1] | {h}[i,t-1]"
    assert query(graph, f"{own} where j != i").holds == given_own_past
    assert query(graph, f"{own}, {below}[:,t] where j != i").holds == given_input_too


@pytest.mark.parametrize("layers", [None, 1, 2, 6])
@pytest.mark.parametrize("independent", [False, True])
def test_indrnn_holds_in_every_layer(layers: int | None, independent: bool) -> None:
    graph = analyze(recurrent(layers=layers, nodes=128, independent=independent, statement=INDRNN))
    (found,) = graph.statements
    assert found.holds and len(found.instances) == (layers or 1) and found.removed == 128 * 127 * (layers or 1)
    assert {i.reason for i in found.instances} == {"local Markov property"} and graph.diagnostics == ()
    by_separation = query(graph, INDRNN)
    assert by_separation.holds and {i.reason for i in by_separation.instances} == {"separation"}


def test_the_trap_in_a_stacked_indrnn() -> None:
    with pytest.raises(SpecError) as error:
        analyze(recurrent(layers=2, statement="h[i,t] ⟂ h[j,t-1] | h[i,t-1] where j != i"))
    found = only(error.value)
    assert (found.code, found.message) == ("CG420", "this independence does not hold in the resulting graph, in `h.0` and `h.1`")
    assert found.label == "open walks given h[i,t-1]"
    assert found.why == (
        "in `h.0`: h.0[0,t] ← x[0,t] — x[0,t-1] → h.0[1,t-1]; in `h.1`: h.1[0,t] ← h.0[0,t] ← h.0[0,t-1] → h.1[1,t-1]"
        " (nodes of `x` linked over all times)" + PAIRWISE
    )
    assert found.help == (
        "in `h.0` add `x[:,t]` to what is given; in `h.1` add `h.0[:,t]` to what is given, or give `parents` in every layer"
    )


def test_independent_inputs_are_offered_only_where_they_help() -> None:
    with pytest.raises(SpecError) as error:
        analyze(recurrent(statement="h[i,t] ⟂ h[j,t-1] | h[i,t-1] where j != i"))
    found = only(error.value)
    assert found.why == "h[0,t] ← x[0,t] — x[0,t-1] → h[1,t-1] (nodes of `x` linked over all times)" + PAIRWISE
    assert found.help == "add `x[:,t]` to what is given, or, if it is true of your inputs, say `independent: true` of `x`"
    analyze(recurrent(independent=True, statement="h[i,t] ⟂ h[j,t-1] | h[i,t-1] where j != i"))


def test_an_early_time_that_differs_is_said() -> None:
    x, h = part("x", 2, independent=True), part("h", 2, edge("x", "elementwise"), edge("h", lag=1))
    with pytest.raises(SpecError) as error:
        analyze(spec(x, h, steps=9, independence=("h[i,t] ⟂ h[j,t] where i != j",)))
    found = only(error.value)
    assert found.why == "h[0,t] ← h[0,t-1] → h[1,t] (it does hold at t = 0)" + PAIRWISE
    assert found.help == "add `h[:,t-1]` to what is given"


def test_a_collider_is_removed() -> None:
    x, a, c = part("x", 2, independent=True), part("a", 2, edge("x")), part("b", 2)
    y = part("y", 1, edge("a"), edge("b"))
    with pytest.raises(SpecError) as error:
        analyze(spec(x, a, c, y, independence=("a[i] ⟂ b[j] | x, y",)))
    found = only(error.value)
    assert found.why == "a[0] → y[0] ← b[0]" + PAIRWISE and found.help == "remove `y[:]` from what is given"


def test_nothing_separates_linked_inputs_and_dropout_nodes_separate() -> None:
    with pytest.raises(SpecError) as error:
        analyze(spec(part("x", 2), part("h", 2, edge("x")), independence=("x[i] ⟂ x[j] where i != j",)))
    found = only(error.value)
    assert found.why == "x[0] — x[1] (nodes of `x` linked over all times)"
    assert found.help.startswith("leave the statement out: nothing that could be given separates the two sides, or, if it is true")
    gated = spec(part("x", 3), part("h", 3, edge("x", gate=DropoutGate("bernoulli", 0.5))), independence=("h[i] ⟂ h[k] | x where i != k",))
    with pytest.raises(SpecError) as error:
        analyze(gated)
    assert (only(error.value).why, only(error.value).help) == ("h[0] ← h.x.gate[0] → h[1]" + PAIRWISE, "add `h.x.gate[:]` to what is given")
    for given in ("x, h.x.gate", "parents"):
        analyze(spec(*gated.components, independence=(f"h[i] ⟂ h[k] | {given} where i != k",)))


def test_dropout_nodes_shared_over_time_connect_times() -> None:
    def graph(share: str) -> Graph:
        h = part("h", 2, edge("x", gate=DropoutGate("bernoulli", 0.5, share=share)))  # type: ignore[arg-type]
        return analyze(spec(part("x", 2), h, steps=5))

    statement = "h[i,t] ⟂ h[j,t-1] | x[t], x[t-1]"
    assert query(graph("step"), statement).holds
    found = query(graph("time"), statement)
    assert str(found.instances[0].walk) == "h[0,t] ← h.x.gate[0] → h[0,t-1]"
    assert query(graph("time"), f"{statement}, h.x.gate").holds


@pytest.mark.parametrize("wanted", [15, pytest.param(150, marks=pytest.mark.slow)])
def test_repairs_name_the_fewest_terms_then_nodes_and_are_first_in_the_alphabet(wanted: int) -> None:
    rng = random.Random(wanted)
    sizes: dict[int, int] = {}
    while sum(sizes.values()) < wanted:
        graph = analyze(random_spec(rng))
        parts = with_gates(graph.parts)
        a, b = (rng.choice(graph.parts) for _ in range(2))
        text = f"{a.name}[i,t] ⟂ {b.name}[j,t-1] | {a.name}[i,t-2]"
        (instance,) = bind(parse(text, Span(Source("test", text), 1, 1)), Names(parts), True)
        question = verdict.Question(instance, parts, True, (), "lwf")
        change = repair.repair(question)
        if question.open() is None or change is None or change.remove or len(change.add) > 2:
            continue
        terms = sorted(repair.candidates(question), key=str)
        given = [{case.x + case.y: question.nodes(term, case.values) for case in question.cases} for term in terms]

        def opens(chosen: tuple[int, ...]) -> bool:
            added = [given[k] for k in chosen]  # noqa: B023
            return question.open(lambda case: [*case.z, *(n for nodes in added for n in nodes[case.x + case.y])]) is not None  # noqa: B023

        size = len(change.add)
        assert not any(not opens(chosen) for fewer in range(size) for chosen in combinations(range(len(terms)), fewer))
        closing = [chosen for chosen in combinations(range(len(terms)), size) if not opens(chosen)]
        nodes = [term.part.size if ":" in str(term) else 1 for term in terms]
        best = min(closing, key=lambda chosen: (sum(nodes[k] for k in chosen), chosen))
        assert change.add == tuple(str(terms[k]) for k in best)
        assert query(graph, ", ".join((text, *change.add))).holds
        sizes[len(change.add)] = sizes.get(len(change.add), 0) + 1
    assert len(sizes) == 2


def test_warning_and_note() -> None:
    graph = analyze(recurrent(statement="h[i,t] ⟂ x[j,t] | parents where i > 7"))
    assert [(d.code, d.severity) for d in graph.diagnostics] == [("CG421", "warning")] and graph.statements[0].vacuous
    graph = analyze(spec(*recurrent().components, steps=8, independence=(INDRNN, "h[a,t] ⟂ h[b,t-1] | parents where b > a")))
    assert [(d.code, d.severity) for d in graph.diagnostics] == [("CG422", "note")]
    assert [s.removed for s in graph.statements] == [12, 0] and all(s.holds for s in graph.statements)
    assert [d.code for d in analyze(recurrent(statement="h[i,t] ⟂ x[j,t-1] | parents")).diagnostics] == ["CG422"]


def test_redundant_statements_in_any_order() -> None:
    """Of statements that others cover, whichever comes first; of two that say the same, one remains."""
    narrow, wide = "h[a,t] ⟂ h[b,t-1] | parents where b > a", INDRNN
    lower = "h[a,t] ⟂ h[b,t-1] | parents where b < a"
    for texts, redundant in (
        ((narrow, wide), [True, False]),
        ((wide, narrow), [False, True]),
        ((wide, wide), [False, True]),
        ((narrow, lower), [False, False]),
        ((narrow, lower, wide), [False, False, True]),
        ((lower, wide, narrow), [True, False, True]),
        (("h[i,t] ⟂ x[j,t] | parents where j == 0", wide), [False, False]),
    ):
        graph = analyze(spec(*recurrent().components, steps=8, independence=texts))
        assert [s.redundant for s in graph.statements] == redundant, texts
        assert [d.code for d in graph.diagnostics] == ["CG422"] * sum(redundant)
        left = tuple(text for text, gone in zip(texts, redundant, strict=True) if not gone)
        assert analyze(spec(*recurrent().components, steps=8, independence=left)).parts == graph.parts
    assert str(graph.statements[0]).endswith("holds by the local Markov property, whether or not inputs are linked")
    twice = analyze(spec(*recurrent().components, steps=8, independence=(wide, narrow)))
    assert "redundant, as it follows from the rest; holds" in str(twice.statements[1])


def test_what_holds_only_pairwise_is_said() -> None:
    """No edge joins the two sides, and yet they are not apart given what is given: only given all that the pair depends on."""
    with pytest.raises(SpecError) as error:
        analyze(recurrent(layers=2, statement="h[i,t] ⟂ h[j,t-1] | h[i,t-1] where j != i"))
    assert only(error.value).why.endswith(PAIRWISE)
    graph = analyze(recurrent(layers=2, statement=INDRNN))
    found = query(graph, "h.1[i,t] ⟂ h.1[j,t-1] | h.1[i,t-1] where j != i")
    assert found.instances[0].pairwise and "holds only pairwise: " in str(found)
    rng = random.Random(2)
    seen = {True: 0, False: 0}
    for _ in range(60):
        graph = analyze(random_spec(rng))
        a, b = (rng.choice(graph.parts).name for _ in range(2))
        found = query(graph, f"{a}[i,t] ⟂ {b}[j,t-1]")
        if found.holds:
            continue
        parts = with_gates(graph.parts)
        (instance,) = bind(found.statement, Names(parts), True)
        question = verdict.Question(instance, parts, True, (), "lwf")
        pairs = [(x, y) for case in question.cases for x in case.x for y in case.y]
        given = ([n for n in question.graph.ancestral([x, y]) if n not in (x, y)] for x, y in pairs)
        apart = all(question.graph.separated(x, y, z) for (x, y), z in zip(pairs, given, strict=True))
        assert found.instances[0].pairwise == apart
        seen[apart] += 1
    assert min(seen.values()) > 5, seen


def test_every_false_statement_is_reported_once() -> None:
    texts = ("h[i,t] ⟂ h[j,t-1] | x where j > i", INDRNN, "h[i,t] ⟂ x[j,t-1]")
    with pytest.raises(SpecError) as error:
        analyze(spec(*recurrent(layers=2).components, steps=8, independence=texts))
    assert [(d.code, d.span.line if d.span else 0) for d in error.value.diagnostics] == [("CG420", 1), ("CG420", 3)]


def test_printed_verdicts() -> None:
    graph = analyze(recurrent(layers=2, statement=INDRNN))
    assert str(graph.statements[0]) == (
        "h[i,t] ⟂ h[j,t-1] | parents  where j != i: takes away 24 pairs, "
        "holds by the local Markov property, whether or not inputs are linked"
    )
    assert str(query(graph, "y ⟂ x | h.1")) == "y ⟂ x | h.1: holds by separation (LWF = AMP here), nodes of `x` linked over all times"
    walk = "y[0,t] ← h.1[0,t] ← h.1[0,t-1] ← h.0[0,t-1] ← x[0,t-1] — x[0,t]"
    assert str(query(graph, "y ⟂ x | h.0")) == f"y ⟂ x | h.0: holds only pairwise: {walk} is open"


# --- Against brute force.


def unrolled(parts: tuple[Part, ...], steps: int) -> tuple[ChainGraph[int], dict[tuple[str, tuple[int, ...], int], int]]:
    """All nodes of all times 0 … steps-1, constants at time 0, from the masks of the parts."""
    by_name = {p.name: p for p in parts}
    number = {(p.name, at, t): 0 for t in range(steps) for p in parts for at in product(*map(range, p.extents)) if t == 0 or not p.constant}
    number = {key: k for k, key in enumerate(number)}
    arrows = []
    for p in parts:
        for e in p.edges:
            s = e.structure
            grids = np.meshgrid(*(np.arange(n) for _, n in (*s.child_index, *s.parent_index)), indexing="ij", sparse=True)
            names = [name for name, _ in (*s.child_index, *s.parent_index)]
            shape = [n for _, n in (*s.child_index, *s.parent_index)]
            truths = np.broadcast_to(evaluate(s.joined, dict(zip(names, grids, strict=True))), shape)
            for place in np.argwhere(truths):
                at = tuple(int(k) for k in place)
                i, j = at[: len(s.child_index)], at[len(s.child_index) :]
                constant = by_name[e.source].constant
                arrows += [
                    (number[e.source, j, 0 if constant else t - e.lag], number[p.name, i, t])
                    for t in range(steps)
                    if constant or t >= e.lag
                ]
    inputs = [k for (name, _, _), k in number.items() if by_name[name].role == "input" and not by_name[name].independent]
    return ChainGraph(range(len(number)), arrows, [(a, b) for a in inputs for b in inputs if a < b]), number


def random_spec(rng: random.Random) -> Spec:
    """One or two inputs, two or three hidden parts of up to three nodes, lags up to 2, some dropout nodes and some masks."""
    inputs = [part(f"x{k}", rng.randrange(1, 3), independent=rng.random() < 0.5) for k in range(rng.randrange(1, 3))]
    hidden = []
    statements = []
    names = [p.name for p in inputs]
    for k in range(rng.randrange(2, 4)):
        name = f"h{k}"
        edges = []
        for source in rng.sample(names, rng.randrange(1, len(names) + 1)) + [name] * (rng.random() < 0.6):
            lag = rng.choice((1, 2)) if source == name else rng.choice((0, 0, 1))
            gate = DropoutGate("bernoulli", 0.5, share=rng.choice(("step", "time"))) if rng.random() < 0.15 else None
            edges.append(edge(source, lag=lag, gate=gate))
            if rng.random() < 0.5:
                condition = rng.choice(("i != j", "i > j", "i < j", "i + j == 1", "i == 1"))
                statements.append(f"{name}[i,t] ⟂ {source}[j,t{-lag or ''}] | parents where {condition}")
        hidden.append(part(name, rng.randrange(1, 4), *edges))
        names.append(name)
    return spec(*inputs, *hidden, steps=6, independence=tuple(statements))


def test_queries_on_random_specs_against_moralisation_of_a_long_unrolled_graph() -> None:
    rng = random.Random(11)
    steps, t = 9, 7
    time = {(0, False): ",t", (-1, False): ",t-1", (0, True): ""}
    seen = {True: 0, False: 0}
    for _ in range(50):
        graph = analyze(random_spec(rng))
        everything = with_gates(graph.parts)
        long, number = unrolled(everything, steps)
        for _ in range(8):
            terms = [(p, 0 if p.constant else rng.choice((0, 0, -1))) for p in rng.sample(everything, min(4, len(everything)))]
            indices = ("i", "j", ":", rng.choice((":", "i")))
            written = [f"{p.name}[{k}{time[lag, p.constant]}]" for (p, lag), k in zip(terms, indices, strict=False)]
            a, b, *others = terms
            condition = rng.choice(("i != j", "i >= j", "i == j", "i + j < 3"))
            given = f"| {', '.join(written[2:])}" if others else ""
            found = query(graph, f"{written[0]} ⟂ {written[1]} {given} where {condition}")
            expected = True
            for i, j in product(range(a[0].size), range(b[0].size)):
                if not eval(condition, {}, {"i": i, "j": j}):
                    continue
                z = [
                    number[p.name, (k,), 0 if p.constant else t + lag]
                    for (p, lag), text in zip(others, written[2:], strict=True)
                    for k in range(p.size)
                    if "[:" in text or k == i
                ]
                x, y = ((number[p.name, (k,), 0 if p.constant else t + lag]) for (p, lag), k in ((a, i), (b, j)))
                expected = expected and separated_by_moralisation(long, [x], [y], z)
            assert found.holds == expected, (graph.parts, found)
            seen[expected] += not found.vacuous
    assert min(seen.values()) > 60


def test_given_parents_is_decided_alike_by_theorem_and_by_search() -> None:
    rng = random.Random(12)
    decided = 0
    for _ in range(40):
        graph = analyze(random_spec(rng))
        for found in graph.statements:
            if not found.vacuous:
                assert query(graph, str(found.statement)).holds
                decided += 1
    assert decided > 40


def test_parents_do_not_separate_from_descendants() -> None:
    parts = (part("x", 2), part("h", 2, edge("x")), part("g", 2, edge("h")), part("y", 2, edge("g"), edge("h")), part("s", 2, edge("x")))
    with pytest.raises(SpecError) as error:
        analyze(spec(*parts, independence=("h[i] ⟂ y[j] | parents", "h[i] ⟂ s[j] | parents")))
    found, note = error.value.diagnostics
    assert (found.why, found.help, note.code) == ("h[0] → g[0] → y[0]" + PAIRWISE, "add `g[:]` to what is given", "CG422")
    with pytest.raises(SpecError) as error:
        analyze(recurrent(statement="h[i,t-1] ⟂ h[j,t+1] | parents"))
    assert only(error.value).why == "h[0,t-1] → h[0,t] → h[0,t+1]" + PAIRWISE


def test_the_past_is_unrolled_as_far_as_it_matters() -> None:
    # A value of u runs through the six nodes of h one by one: h[5,t] and h[0,t] meet in u[t-5], five steps before.
    x, u = part("x", 1, independent=True), part("u", 1, edge("x"), edge("u", lag=1))
    h = part("h", 6, edge("u"), edge("h", lag=1))
    shift = ("h[i,t] ⟂ h[j,t-1] | parents where j != i - 1", "h[i,t] ⟂ u[j,t] | parents where i > 0")
    graph = analyze(spec(x, u, h, steps=20, independence=shift))
    assert not query(graph, "h[0,t] ⟂ h[5,t]").holds
    assert str(query(graph, "h[0,t] ⟂ h[5,t]").instances[0].walk).startswith("h[0,t] ← u[0,t] ← u[0,t-1] ← u[0,t-2]")
    assert query(graph, "h[0,t] ⟂ h[5,t] | u[0,t-4]").holds and not query(graph, "h[0,t] ⟂ h[5,t] | u[0,t-6]").holds
    taken = sample.sample(graph.parts, ["h"], [], True)
    assert taken.past_steps() == 6
    x, h = part("x", 2, independent=True), part("h", 2, edge("x", "elementwise"), edge("h", "elementwise", lag=1))
    assert sample.sample(template(spec(x, h, steps=5)), ["h"], [], True).past_steps() == 1


def test_index_values_hold_every_constant_and_stay_few() -> None:
    assert values.index_values((10,), ()) == (tuple(range(10)),)
    ((*kept,),) = values.index_values((1024,), (256, 3))
    assert len(kept) <= 26 and {0, 1, 3, 255, 256, 257, 1022, 1023} <= set(kept) and kept == sorted(kept)
    ((*kept,),) = values.index_values((10**6,), range(0, 900, 30))
    assert set(range(0, 900, 30)) <= set(kept) and len(kept) <= 60
    assert all(len(axis) <= 7 for axis in values.index_values((64, 64, 64), (1,)))


CONDITIONS = (
    "{0} != {1}", "abs({0} - {1}) > {c}", "{0} // {c} != {1} // {c}", "{0} > {1}", "{0} >= {1} // {d}", "({0} + {1}) % {d} == 1",
    "{0} != {1} + {c}", "{0} < {c} and {1} >= {d}", "{0} % {d} != {1} % {d}", "{0} < {c} or {1} >= {c} + 3", "{d}*{0} - {1} > {c}",
    "{0} == {c}", "{0} * {1} > {c}",
)  # fmt: skip


def test_the_sample_decides_as_all_index_values_do(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(13)
    nodes = 28
    seen = {True: 0, False: 0}
    for _ in range(60):
        x, h = part("x", rng.choice((nodes, 3)), independent=rng.random() < 0.5), part("h", nodes, edge("x"))
        g, y = part("g", nodes - 4, edge("h")), part("y", nodes, edge("g"))
        pairs = [("h", "x"), ("g", "h"), ("y", "g")]

        def condition() -> str:
            return rng.choice(CONDITIONS).format("i", "j", c=rng.randrange(1, 9), d=rng.randrange(2, 5))

        stated = [f"{a}[i] ⟂ {b}[j] | parents where {condition()}" for a, b in pairs if rng.random() < 0.8]
        parts = analyze(spec(x, h, g, y, independence=tuple(stated))).parts
        left, right = rng.choice((*pairs, ("h", "h"), ("g", "g"), ("y", "x"), ("y", "h"), ("y", "y")))
        given = rng.choice(["parents", *(name for name in "hg" if name not in (left, right))])
        text = f"{left}[i] ⟂ {right}[j] | {given} where ({condition()}) and " + ("i != j" if left == right else "i >= 0")
        (instance,) = bind(parse(text, Span(Source("test", text), 1, 1)), Names(parts), False)
        answers = []
        for whole in (True, False):
            monkeypatch.setattr(sample, "MAX_WHOLE_STILL", 8000 if whole else 10)
            question = verdict.Question(instance, parts, False, (), "lwf")
            if question.cases:
                assert question.sample.complete or not whole
                answers.append((question.open() is None, question.sample.complete))
        # what is found open among some nodes is open among all; what is not is not believed
        for separated, complete in answers[1:]:
            assert separated == answers[0][0] or not complete, (stated, text, answers)
            assert separated or not answers[0][0], (stated, text, answers)
        for separated, _ in answers[:1]:
            seen[separated] += 1
    assert min(seen.values()) >= 10


def test_too_many_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "MAX_NODES", 6)
    with pytest.raises(SpecError) as error:
        analyze(recurrent(statement="h[i,t] ⟂ h[j,t-1] | x where j != i"))
    assert findings(error.value) == [("CG402", "the graph is too large to decide this: a sample of one time step has more than 2000 nodes")]
