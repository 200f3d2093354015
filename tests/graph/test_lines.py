"""Lines inside components: their pairs, verdicts against brute force on long unrollings, flags, and what is said about mistakes."""

from __future__ import annotations

import random
from itertools import product

import pytest
from small_graphs import separated_by_moralisation
from small_specs import edge, findings, part, place, spec
from test_verdict import unrolled as arrows_unrolled

from cgc.graph import ChainGraph
from cgc.graph.analysis import analyze, query
from cgc.graph.lines import part_lines
from cgc.graph.parts import Part
from cgc.graph.predicate import evaluate
from cgc.graph.template import with_gates
from cgc.source.diagnostics import SpecError
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
            terms = [
                (p, rng.choice((0, 0, -1)) if timed else 0) for p in rng.sample(everything, rng.randrange(2, min(4, len(everything)) + 1))
            ]
            if rng.random() < 0.3:
                terms[1] = (terms[0][0], -1 if timed else 0)
                terms[0] = (terms[0][0], 0)
            indices = ("i", "j", ":", rng.choice((":", "i")))
            time = {0: ",t", -1: ",t-1"} if timed else {0: ""}
            written = [f"{p.name}[{k}{time[lag]}]" for (p, lag), k in zip(terms, indices, strict=False)]
            a, b, *others = terms
            if any((p.name, lag) in ((a[0].name, a[1]), (b[0].name, b[1])) for p, lag in others):
                continue
            condition = (
                rng.choice(("i != j", "i > j", "i + j > 1", "i + j < 3"))
                if a[0] is not b[0] or a[1] != b[1]
                else rng.choice(("i > j", "i != j"))
            )
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


@pytest.mark.parametrize("size", [3, 6])
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
