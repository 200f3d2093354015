"""Lines inside components: their pairs, verdicts against brute force on long unrollings, flags, and what is said about mistakes."""

from __future__ import annotations

import random
from itertools import product

import pytest
from small_graphs import separated_by_moralisation
from small_specs import edge, findings, only, part, place, query, spec
from test_verdict import PAIRWISE
from test_verdict import unrolled as arrows_unrolled

from cgc.graph import ChainGraph, sample, verdict
from cgc.graph.analysis import Graph, analyze
from cgc.graph.binding import Names, bind
from cgc.graph.lines import part_lines
from cgc.graph.parts import Part
from cgc.graph.predicate import evaluate
from cgc.graph.statement import parse
from cgc.graph.template import with_gates
from cgc.source.diagnostics import SpecError
from cgc.source.text import Source, Span
from cgc.spec.model import Lines, Spec

HERE = place("lines")
CHAIN, TIME, DENSE = Lines("chain", HERE, (0,)), Lines("chain", HERE, time=True), Lines("dense", HERE, (0,))


def linked(lines: Lines, a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether a line joins two nodes of a step, by the words of the language."""
    apart = [axis for axis in range(len(a)) if a[axis] != b[axis]]
    match lines.kind:
        case "list":
            return (a, b) in lines.pairs or (b, a) in lines.pairs
        case "dense":
            return bool(apart) and set(apart) <= set(lines.axes)
        case _:
            return len(apart) == 1 and apart[0] in lines.axes and abs(a[apart[0]] - b[apart[0]]) == 1


@pytest.mark.parametrize("extents", [(1,), (7,), (3, 4), (1, 3, 3), (2, 2, 2)])
def test_the_pairs_of_every_kind(extents: tuple[int, ...]) -> None:
    rng = random.Random(len(extents))
    nodes = list(product(*map(range, extents)))
    pairs = tuple({tuple(sorted(rng.sample(nodes, 2))): None for _ in range(4)}) if len(nodes) > 1 else ()
    axes = [tuple(k for k in range(len(extents)) if chosen[k]) for chosen in product((0, 1), repeat=len(extents)) if any(chosen)]
    for lines in [*(Lines(kind, HERE, a) for kind in ("chain", "grid", "dense") for a in axes), Lines("list", HERE, pairs=pairs)]:  # type: ignore[arg-type]
        joined = part_lines(lines, extents).joined
        names = ["i", "j"] if len(extents) == 1 else [f"{letter}{axis}" for letter in "ij" for axis in range(len(extents))]
        for a, b in product(nodes, nodes):
            assert bool(evaluate(joined, dict(zip(names, (*a, *b), strict=True)))) == linked(lines, a, b), (lines, a, b)  # type: ignore[arg-type]


def unrolled(parts: tuple[Part, ...], steps: int) -> tuple[ChainGraph[int], dict[tuple[str, tuple[int, ...], int], int]]:
    graph, number = arrows_unrolled(parts, steps)
    lines = list(graph.lines)
    for p in parts:
        if p.lines is None:
            continue
        written = p.lines.written
        for (t, a), b in product(product(range(steps), product(*map(range, p.extents))), product(*map(range, p.extents))):
            if not written.time and a < b and linked(written, a, b):
                lines.append((number[p.name, a, t], number[p.name, b, t]))
            elif written.time and a == b and t + 1 < steps:
                lines.append((number[p.name, a, t], number[p.name, b, t + 1]))
    return ChainGraph(graph.nodes, graph.arrows, lines), number


def random_spec(rng: random.Random, timed: bool = True) -> Spec:
    """One or two inputs and two or three hidden parts of up to three nodes, half of them with lines, some of these along time."""
    inputs = [part(f"x{k}", rng.randrange(1, 3), independent=rng.random() < 0.6) for k in range(rng.randrange(1, 3))]
    hidden, statements, names = [], [], [p.name for p in inputs]
    for k in range(rng.randrange(2, 4)):
        name, nodes = f"h{k}", rng.randrange(1, 4)
        edges = []
        for source in rng.sample(names, rng.randrange(1, min(2, len(names)) + 1)) + [name] * (timed and rng.random() < 0.4):
            lag = rng.choice((1, 2)) if source == name else rng.choice((0, 0, 1)) if timed else 0
            edges.append(edge(source, lag=lag))
            if rng.random() < 0.6:
                condition = rng.choice(("i != j", "i > j", "i < j", "i + j == 1", "i == 1"))
                t = (",t", f",t{-lag or ''}") if timed else ("", "")
                statements.append(f"{name}[i{t[0]}] ⟂ {source}[j{t[1]}] | parents, boundary where {condition}")
        pairs = ((0,), (nodes - 1,))
        kinds = [Lines("list", HERE, pairs=(pairs,)), CHAIN, DENSE] if nodes > 1 else []
        lines = rng.choice([None, None, *kinds, *[TIME] * (2 if timed else 0)])
        hidden.append(part(name, nodes, *edges, lines=lines))
        names.append(name)
    return spec(*inputs, *hidden, steps=6 if timed else None, independence=tuple(statements))


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("property", ["lwf", "amp"])
def test_queries_on_random_specs_against_a_long_unrolled_graph(timed: bool, property: str) -> None:
    rng = random.Random(21)
    steps, t = (19, 9) if timed else (1, 0)
    seen = {True: 0, False: 0}
    refused = 0
    for _ in range(60):
        try:
            graph = analyze(random_spec(rng, timed))
        except SpecError as error:
            assert {code for code, _ in findings(error)} <= {"CG400", "CG420", "CG422"}, error
            refused += 1
            continue
        everything = with_gates(graph.parts)
        long, number = unrolled(everything, steps)
        for _ in range(8):
            chosen = rng.sample(everything, rng.randrange(2, min(4, len(everything)) + 1))
            terms = [(p, rng.choice((0, 0, -1)) if timed else 0) for p in chosen]
            if rng.random() < 0.3:
                terms[1] = (terms[0][0], -1 if timed else 0)
                terms[0] = (terms[0][0], 0)
            indices = ("i", "j", ":", rng.choice((":", "i")))
            time = {0: ",t", -1: ",t-1"} if timed else {0: ""}
            written = [f"{p.name}[{k}{time[lag]}]" for (p, lag), k in zip(terms, indices, strict=False)]
            a, b, *others = terms
            if any((p.name, lag) in ((a[0].name, a[1]), (b[0].name, b[1])) for p, lag in others):
                continue
            several = a[0] is not b[0] or a[1] != b[1]
            condition = rng.choice(("i != j", "i > j", *(("i + j > 1", "i + j < 3") if several else ())))
            boundary = rng.random() < 0.3
            given = "| boundary" if boundary else f"| {', '.join(written[2:])}" if others else ""
            found = query(graph, f"{written[0]} ⟂ {written[1]} {given} where {condition}", property)  # type: ignore[arg-type]
            expected = True
            for i, j in product(range(a[0].size), range(b[0].size)):
                if not eval(condition, {}, {"i": i, "j": j}):
                    continue
                x, y = ((number[p.name, (k,), t + lag]) for (p, lag), k in ((a, i), (b, j)))
                z = [
                    number[p.name, (k,), t + lag]
                    for (p, lag), text in zip(others, written[2:], strict=True)
                    for k in range(p.size)
                    if "[:" in text or k == i
                ]
                if boundary:
                    z = [v for v in long.boundary([x]) if v != y]
                if property == "lwf":
                    expected = expected and separated_by_moralisation(long, [x], [y], z)
                else:
                    expected = expected and bool(long.separated([x], [y], z, "amp"))
            assert found.holds == expected, (graph.parts, str(found))
            seen[expected] += not found.vacuous
    assert min(seen.values()) > 50 and refused < 40, (seen, refused)


def register(name: str, source: str, size: int) -> tuple[object, tuple[str, str]]:
    """A value of ``source`` runs through the nodes of a part one by one, a step each; and the statements that say so."""
    component = part(name, size, edge(source), edge(name, lag=1))
    shift = f"{name}[i,t] ⟂ {name}[j,t-1] | parents where j != i - 1"
    return component, (shift, f"{name}[i,t] ⟂ {source}[j,t] | parents where i > 0")


@pytest.mark.parametrize("size", [3, 8])
def test_the_future_and_the_past_are_unrolled_as_far_as_they_matter(size: int) -> None:
    u, v = part("u", 1, independent=True), part("v", 1, independent=True)
    h, shift = register("h", "u", size)
    y = part("y", 1, edge("h"), edge("v"), lines=TIME)
    late = analyze(spec(u, v, h, y, steps=9, independence=(*shift, f"y[i,t] ⟂ h[j,t] | boundary where j < {size - 1}")))  # type: ignore[arg-type]
    # u[t] comes to y at t + size - 1, and the lines lead back to the y that is given
    assert not query(late, "u[0,t] ⟂ v[0,t] | y[0,t]").holds
    assert query(late, "u[0,t] ⟂ v[0,t]").holds and query(late, "u[0,t] ⟂ v[0,t] | u[0,t-1]").holds
    # c[t] comes along the lines to y[t-size+1], whose input has by then come to the last node of h
    y, c = part("y", 1, edge("u"), lines=TIME), part("c", 1, edge("y"))
    early = analyze(spec(u, y, c, h, steps=9, independence=shift))  # type: ignore[arg-type]
    last = f"h[{size - 1},t]"
    assert not query(early, f"c[0,t] ⟂ {last}").holds and query(early, f"c[0,t] ⟂ {last} | y[0,t]").holds
    assert query(early, f"c[0,t] ⟂ {last} | u[0,t-{size - 1}]").holds != query(early, f"c[0,t] ⟂ {last} | u[0,t-{size}]").holds


def test_the_local_markov_property_with_lines() -> None:
    rng = random.Random(31)
    steps, t = 13, 6
    decided = {"same part": 0, "another": 0, "refused": 0}
    for _ in range(80):
        try:
            graph = analyze(random_spec(rng))
        except SpecError:
            continue
        long, number = unrolled(graph.parts, steps)
        adjacent = {*long.arrows, *long.lines, *((b, a) for a, b in (*long.arrows, *long.lines))}
        lined = [p for p in graph.parts if p.lines] or list(graph.parts)
        for _ in range(6):
            left, right = rng.choice(lined), rng.choice(graph.parts)
            later = rng.randrange(-2, 3)
            text = f"{left.name}[i,t] ⟂ {right.name}[j,t{later:+d}] | boundary".replace("t+0", "t")
            (instance,) = bind(parse(text, Span(Source("test", text), 1, 1)), Names(graph.parts), True)
            if not verdict.locally_markov(instance, graph.parts):
                decided["refused"] += 1
                continue
            for i, j in product(range(left.size), range(right.size)):
                x, y = number[left.name, (i,), t], number[right.name, (j,), t + later]
                if x != y and (x, y) not in adjacent:
                    assert separated_by_moralisation(long, [x], [y], long.boundary([x])), (graph.parts, text, i, j)
                    decided["same part" if left is right else "another"] += 1
    assert min(decided.values()) > 50, decided
    instances = [f"h[i,t] ⟂ h[j,t] | {given} where j > i + 1" for given in ("parents", "boundary")]
    graph = analyze(spec(part("x", 2), part("h", 4, edge("x"), lines=CHAIN), steps=3, independence=(instances[1],)))
    assert graph.statements[0].instances[0].reason == "local Markov property"
    with pytest.raises(SpecError) as error:
        analyze(spec(part("x", 2), part("h", 4, edge("x"), lines=CHAIN), steps=3, independence=(instances[0],)))
    assert only(error.value).code == "CG420" and only(error.value).why == "h[0,t] — h[1,t] — h[2,t]" + PAIRWISE


def test_cycles_through_lines_along_time_are_shown_whole() -> None:
    h, y = part("h", 2, edge("x", line=3), edge("y", lag=2, line=5)), part("y", 2, edge("h", line=7), lines=TIME)
    with pytest.raises(SpecError) as error:
        analyze(spec(part("x", 1), h, y, steps=4))
    found = only(error.value)
    assert (found.code, found.message) == ("CG400", "the parents form a cycle: y[t] → h[t+2] → y[t+2] — y[t+1] — y[t]")
    assert [found.span, *(label.span for label in found.others)] == [place("edge from y", 5), place("edge from h", 7)]
    assert found.label == "`y[t]` → `h[t+2]`" and found.help == "remove one of these parents, or the lines"
    with pytest.raises(SpecError) as error:
        analyze(spec(part("x", 1), part("y", 2, edge("x"), edge("y", lag=1), lines=TIME, layers=2), steps=4))
    messages = [message for _, message in findings(error.value)]
    assert messages == [f"the parents form a cycle: y.{k}[t] → y.{k}[t+1] — y.{k}[t]" for k in (0, 1)]
    # the same recurrence is no cycle where lines stay within a step
    assert analyze(spec(part("x", 1), part("y", 2, edge("x"), edge("y", lag=1), lines=CHAIN, layers=2), steps=4)).flags == ()


def test_a_statement_on_both_ends_of_a_line() -> None:
    grid = Lines("grid", HERE, (0, 1))
    h = part("h", (3, 3), edge("x"), lines=grid, layers=2)
    for condition, pair in (("a != c", "h.0[0,0,t] — h.0[1,0,t]"), ("b != d", "h.0[0,0,t] — h.0[0,1,t]")):
        with pytest.raises(SpecError) as error:
            analyze(spec(part("x", 1), h, steps=3, independence=(f"h[a,b,t] ⟂ h[c,d,t] | boundary where {condition}",)))
        found = only(error.value)
        assert (found.code, found.message) == ("CG423", "a line joins nodes on the two sides of this statement in `h.0`")
        assert found.why.startswith(pair)
    far = "h[a,b,t] ⟂ h[c,d,t] | boundary where abs(a - c) + abs(b - d) > 1"
    assert analyze(spec(part("x", 1), h, steps=3, independence=(far,))).statements[0].holds
    y = part("y", 2, edge("x"), lines=TIME)
    for left, right in (("t", "t-1"), ("t-1", "t"), ("t+3", "t+2")):
        with pytest.raises(SpecError) as error:
            analyze(spec(part("x", 1), y, steps=3, independence=(f"y[i,{left}] ⟂ y[j,{right}] | boundary where i + j < 2",)))
        assert only(error.value).code == "CG423" and f"y[0,{left}] — y[0,{right}]" in only(error.value).why
    apart = ("y[i,t] ⟂ y[j,t-1] | boundary where i != j", "y[i,t] ⟂ y[j,t-2] | boundary", "y[i,t] ⟂ y[j,t] | boundary where j > i")
    assert all(s.holds for s in analyze(spec(part("x", 1), y, steps=3, independence=apart)).statements)
    # a query may name them: they are not separated
    assert str(query(analyze(spec(part("x", 1), y, steps=3)), "y[0,t] ⟂ y[0,t-1] | boundary").instances[0].walk) == "y[0,t] — y[0,t-1]"


def brute_flags(graph: Graph, steps: int) -> set[tuple[str, str, int, int]]:
    """Parts of a and b, the lag from a to b, and the time from b to c, of all flags at a middle time."""
    long, number = unrolled(graph.parts, steps)
    of = {k: key for key, k in number.items()}
    found = set()
    for a, b, c in long.flags:
        (p, _, s), (q, _, t), (_, _, u) = of[a], of[b], of[c]
        if t == steps // 2:
            found.add((p, q, t - s, u - t))
    return found


@pytest.mark.parametrize("timed", [False, True])
def test_flags_against_the_unrolled_graph(timed: bool) -> None:
    rng = random.Random(41)
    with_some = without = 0
    for _ in range(80):
        try:
            graph = analyze(random_spec(rng, timed))
        except SpecError:
            continue
        assert graph.flags is not None
        examples = [(*flag.example, tuple(node.time or 0 for node in flag.example)) for flag in graph.flags]
        found = {(a.part, b.part, -times[0], times[2]) for a, b, _, times in examples}
        assert found == brute_flags(graph, 9 if timed else 1) and len(found) == len(graph.flags)
        with_some, without = with_some + bool(found), without + any(p.lines for p in graph.parts) * (not found)
    assert with_some > 10 and without > 5


def test_texts_of_flags_and_of_the_property_in_use() -> None:
    x, y = part("x", (2, 3), independent=True), part("y", (2, 3), edge("x", "elementwise"), lines=Lines("grid", HERE, (0, 1)))
    graph = analyze(spec(x, y))
    assert [str(f) for f in graph.flags or ()] == ["x[i0,i1] → y[i0,i1] — y[k0,k1], such as x[0,0] → y[0,0] — y[0,1]"]
    assert not query(graph, "x[0,0] ⟂ y[0,1]").holds
    assert str(query(graph, "x[0,0] ⟂ y[0,1]", "amp")).endswith("holds by separation (AMP), inputs independent")
    h, y = part("h", 3, edge("x"), edge("h", lag=1)), part("y", 1, edge("h"), lines=TIME)
    graph = analyze(spec(x, h, y, steps=4))
    assert [str(f) for f in graph.flags or ()] == ["h[i,t] → y[t] — y[t+1]", "h[i,t] → y[t] — y[t-1]"]
    dense = analyze(spec(x, part("y", 5, edge("x"), lines=DENSE)))
    assert dense.flags == () and "(LWF = AMP here)" in str(query(dense, "x[0,0] ⟂ x[0,1]"))


def test_long_chains_are_kept_whole_and_what_is_too_long_is_said() -> None:
    x, h = part("x", 60, independent=True), part("h", 60, edge("x", "elementwise"), lines=CHAIN)
    z = part("z", 200, edge("h"), lines=DENSE)
    graph = analyze(spec(x, h, z))
    taken = sample.sample(graph.parts, ["z"], (), False)
    assert [sum(node.part == name for node in taken.nodes) for name in "xh"] == [60, 60] and len(taken.nodes) < 160
    assert not query(graph, "x[i] ⟂ x[j] | h[59] where j > i + 40").holds
    assert query(graph, "x[i] ⟂ x[j] where j > i").holds
    assert query(graph, "x[i] ⟂ h[j] | h[20:25], x[25:60] where i < 20 and j > 25").holds
    assert query(graph, "h[3] ⟂ h[50] | h[30], x").holds and not query(graph, "h[3] ⟂ h[50] | h[2], h[51], x").holds
    huge = spec(part("x", 3), part("h", 10**9, edge("x"), lines=CHAIN))
    assert analyze(huge).flags is None
    with pytest.raises(SpecError) as error:
        query(analyze(huge), "h[3] ⟂ h[50] | h[30], x")
    assert only(error.value).code == "CG402"
