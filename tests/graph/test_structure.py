"""Structure: what statements leave of edges, against explicit sets of pairs."""

from __future__ import annotations

import math
import random
from itertools import product

import numpy as np
import pytest
from small_specs import edge, findings, only, part, recurrent, spec

from cgc.graph import predicate, structure
from cgc.graph.analysis import Graph, analyze
from cgc.graph.geometry import Geometry
from cgc.graph.parts import Structure
from cgc.source.diagnostics import SpecError


def edges(graph: Graph, name: str) -> list[Structure]:
    return [e.structure for e in graph.part(name).edges]


def mask(found: Structure) -> np.ndarray:
    """Surviving pairs, child's axes then parent's, in Python."""
    axes = [*found.child_index, *found.parent_index]
    code = compile(predicate.text(found.joined), "mask", "eval")
    names = [name for name, _ in axes]
    values = [bool(eval(code, {}, dict(zip(names, at, strict=True)))) for at in product(*(range(n) for _, n in axes))]
    return np.array(values).reshape([n for _, n in axes])


@pytest.mark.parametrize(
    ("statement", "kind", "text"),
    [
        ("h[i,t] ⟂ h[j,t-1] | parents where j != i", "elementwise", None),
        ("h[i,t] ⟂ h[j,t-1] | parents where j > i", "masked", "j <= i"),
        ("h[i,t] ⟂ h[j,t-1] | parents where i // 2 != j // 2", "grouped", "i // 2 == j // 2"),
        ("h[i,t] ⟂ h[j,t-1] | parents where abs(i - j) > 1", "local", "abs(i - j) <= 1"),
        ("h[i,t] ⟂ h[j,t-1] | parents where not (j == i)", "elementwise", None),
        ("h[a,t] ⟂ h[i,t-1] | parents where a != i", "elementwise", None),
        ("h[i,t] ⟂ h[j,t-1] | parents where (i - j) * (i - j) > 0", "elementwise", None),
        ("h[i,t] ⟂ h[j,t-1] | parents", "absent", None),
        ("h[t] ⟂ h[t-1] | parents", "absent", None),
        ("h ⟂ h[t-1] | parents", "absent", None),
        ("h[i,t] ⟂ h[i,t-1] | parents", "masked", "j != i"),
        ("h[3,t] ⟂ h[0:2,t-1] | parents", "masked", "i != 3 or j >= 2"),
        ("h[-1,t] ⟂ h[1::2,t-1] | parents", "masked", "i != 3 or j < 1 or (j - 1) % 2 != 0"),
        ("h[i,t] ⟂ h[:2,t-1], h[3,t-1] | parents", "masked", "j >= 2 and j != 3"),
        ("h[i,t] ⟂ h[:i,t-1] | parents", "masked", "j >= i"),
    ],
)
def test_recurrence_of_four_nodes(statement: str, kind: str, text: str | None) -> None:
    graph = analyze(recurrent(statement=statement))
    found = edges(graph, "h")[1]
    assert found.kind == kind
    assert (None if found.predicate is None else predicate.text(found.predicate)) == text
    assert found.pairs == mask(found).sum() and edges(graph, "h")[0].kind == "dense"
    (verdict,) = graph.statements
    assert verdict.removed == 16 - found.pairs


def test_only_the_matching_lag_and_both_directions() -> None:
    x, h = part("x", 3), part("h", 3, edge("x"), edge("x", lag=1), edge("x", lag=2))
    for text in ("h[i,t] ⟂ x[j,t-1] | parents where i != j", "x[j,t] ⟂ h[i,t+1] | x[:,t+1], x[i,t], x[:,t-1] where i != j"):
        found = edges(analyze(spec(x, h, steps=4, independence=(text,))), "h")
        assert [s.kind for s in found] == ["dense", "elementwise", "dense"], text


def test_statements_about_stacks() -> None:
    graph = analyze(recurrent(layers=3, statement="h[i,t] ⟂ h[j,t-1] | parents where j != i"))
    assert [edges(graph, f"h.{k}")[1].kind for k in range(3)] == ["elementwise"] * 3
    graph = analyze(recurrent(layers=3, statement="h.1[i,t] ⟂ h.1[j,t-1] | parents where j != i"))
    assert [edges(graph, f"h.{k}")[1].kind for k in range(3)] == ["dense", "elementwise", "dense"]
    graph = analyze(recurrent(layers=3, statement="h.1[i,t] ⟂ h.0[j,t] | parents where j > i"))
    assert [edges(graph, f"h.{k}")[0].kind for k in range(3)] == ["dense", "masked", "dense"]


def test_elementwise_and_identity_edges_only_lose_pairs() -> None:
    x = part("x", 4)
    for kind in ("elementwise", "identity"):
        h = part("h", 4, edge("x", kind))
        found = {
            condition: edges(analyze(spec(x, h, independence=(f"h[i] ⟂ x[j] | parents where {condition}",))), "h")[0]
            for condition in ("i != j", "i == 1", "i == j", "j != i + 1")
        }
        assert [(s.kind, s.pairs) for s in found.values()] == [(kind, 4), ("masked", 3), ("absent", 0), ("absent", 0)]
        assert np.array_equal(mask(found["i == 1"]), np.diag([1, 0, 1, 1]))


def test_equal_indices_need_equal_shapes() -> None:
    graph = analyze(spec(part("x", 3), part("h", 4, edge("x")), independence=("h[i] ⟂ x[j] | parents where i != j",)))
    assert edges(graph, "h")[0].kind == "local" and edges(graph, "h")[0].pairs == 3
    same = "h[a,b] ⟂ x[c,d] | parents where a != c or b != d"
    graph = analyze(spec(part("x", (2, 3)), part("h", (2, 3), edge("x")), independence=(same,)))
    assert edges(graph, "h")[0].kind == "elementwise" and edges(graph, "h")[0].pairs == 6
    flat = "h[a,b] ⟂ x[c,d] | parents where 3*a + b != 2*c + d"
    graph = analyze(spec(part("x", (3, 2)), part("h", (2, 3), edge("x")), independence=(flat,)))
    assert edges(graph, "h")[0].kind == "masked"


def test_statements_add_up() -> None:
    texts = ("h[i,t] ⟂ h[j,t-1] | parents where j > i", "h[i,t] ⟂ h[j,t-1] | parents where i > j")
    graph = analyze(spec(*recurrent().components, steps=4, independence=texts))
    assert edges(graph, "h")[1].kind == "elementwise" and [s.removed for s in graph.statements] == [6, 6]


def random_condition(rng: random.Random, i: str, j: str) -> str:
    c, d = rng.randrange(1, 4), rng.randrange(2, 4)
    return rng.choice(
        [
            f"{i} != {j}", f"abs({i} - {j}) >= {c}", f"{i} // {d} != {j} // {d}", f"{i} > {j} // {d}", f"({i} + {j}) % {d} == 0",
            f"{i} < {c} and {j} != {d}", f"max({i}, {c}) < {j}", f"{i} * {j} > {c}", f"not {c} <= {i} + {j} < {c + d}", f"{i} == {c}",
        ]
    )  # fmt: skip


def test_masks_against_explicit_pairs() -> None:
    rng = random.Random(5)
    kinds: set[str] = set()
    for _ in range(300):
        shapes = [tuple(rng.randrange(1, 5) for _ in range(rng.choice((1, 1, 2)))) for _ in range(2)]
        names = [[f"{letter}{axis}" for axis in range(len(shape))] for letter, shape in zip("ab", shapes, strict=True)]
        x, h = part("x", shapes[0]), part("h", shapes[1], edge("x"))
        conditions = [random_condition(rng, rng.choice(names[0]), rng.choice(names[1])) for _ in range(rng.randrange(1, 3))]
        x_term, h_term = (f"{p}[{','.join(n)}]" for p, n in zip("xh", names, strict=True))
        found = edges(analyze(spec(x, h, independence=tuple(f"{h_term} ⟂ {x_term} | parents where {c}" for c in conditions))), "h")[0]
        expected = np.zeros((*shapes[1], *shapes[0]), bool)
        for at in product(*(range(n) for n in expected.shape)):
            values = dict(zip((*names[1], *names[0]), at, strict=True))
            expected[at] = not any(eval(c, {}, values) for c in conditions)
        assert np.array_equal(mask(found), expected) and found.pairs == expected.sum()
        flat = expected.reshape(math.prod(shapes[1]), -1)
        if flat.all():
            assert found.kind == "dense"
        elif not flat.any():
            assert found.kind == "absent"
        else:
            equal = shapes[0] == shapes[1] and np.array_equal(flat, np.eye(len(flat), dtype=bool))
            assert (found.kind == "elementwise") == equal and found.kind not in ("dense", "absent")
        if found.geometry is not None:
            assert np.array_equal(joined(found.geometry).reshape(flat.shape), flat)
        kinds.add(found.kind)
    assert kinds >= {"dense", "absent", "elementwise", "masked", "local"}


def joined(geometry: Geometry) -> np.ndarray:
    """The pairs of a geometry, window by window: (maps, *places, maps, *extents)."""
    places, extents = ([getattr(w, name) for w in geometry.windows] for name in ("child", "parent"))
    found = np.zeros((geometry.child_maps, *places, geometry.parent_maps, *extents), bool)
    sizes = geometry.child_maps // geometry.groups, geometry.parent_maps // geometry.groups
    for c, d in product(range(geometry.child_maps), range(geometry.parent_maps)):
        if c // sizes[0] != d // sizes[1]:
            continue
        for place in product(*map(range, places)):
            for cell in product(*map(range, geometry.kernel)):
                at = [w.stride * r + w.dilation * m - w.before for w, r, m in zip(geometry.windows, place, cell, strict=True)]
                if all(0 <= u < n for u, n in zip(at, extents, strict=True)):
                    found[(c, *place, d, *at)] = True
    return found


def test_large_masks_are_looked_at_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "_BLOCK", 64)
    for nodes, inputs in ((30, 30), (3, 200), (200, 3)):
        h = part("h", nodes, edge("x"))
        graph = analyze(spec(part("x", inputs), h, independence=("h[i] ⟂ x[j] | parents where (3*i + j) % 7 != 2",)))
        assert edges(graph, "h")[0].pairs == mask(edges(graph, "h")[0]).sum()
    graph = analyze(recurrent(nodes=37, statement="h[i,t] ⟂ h[j,t-1] | parents where (i - j) * 3 != 0"))
    assert edges(graph, "h")[1].kind == "elementwise"


def test_too_many_pairs() -> None:
    big = spec(part("x", 2**15), part("h", 2**15, edge("x")), independence=("h[i] ⟂ x[j] | parents where i * j % 7 == 3",))
    with pytest.raises(SpecError) as error:
        analyze(big)
    assert findings(error.value) == [("CG402", "this statement is about more than 268 435 456 pairs of nodes")]
    assert edges(analyze(spec(part("x", 10**9), part("h", 10**9, edge("x")))), "h")[0].pairs == 10**18


@pytest.mark.parametrize(
    ("statement", "code", "message"),
    [
        ("g[i,t] ⟂ h[j,t-1]", "CG411", "there is no component `g`"),
        ("h.1[i,t] ⟂ h[j,t-1]", "CG411", "there is no component `h.1`"),
        ("h[i,k,t] ⟂ h[j,t-1]", "CG412", "`h` takes 1 index and a time: it has 4 nodes"),
        ("h[i] ⟂ h[j,t-1]", "CG413", "`h[i]` has no time"),
        ("h[4,t] ⟂ h[j,t-1]", "CG415", "there is no node 4 in `h[4,t]`"),
        ("h[-5,t] ⟂ h[j,t-1]", "CG415", "there is no node -5 in `h[-5,t]`"),
        ("h[4:,t] ⟂ h[j,t-1]", "CG415", "the slice `4:` in `h[4:,t]` is empty"),
        ("h[2:1,t] ⟂ h[j,t-1]", "CG415", "the slice `2:1` in `h[2:1,t]` is empty"),
        ("h[i,t], x[k,t] ⟂ h[j,t-1] where i != j", "CG414", "`i` is an index of neither `x[k,t]` nor `h[j,t-1]`"),
        ("h[i,t] ⟂ h[j,t-1] where 6 // i > j", "CG417", "a divisor is 0 for some indices"),
        ("h[i,t] ⟂ h[0,t-1] where (i*999999999)*(i*999999999)*(i*999999999) > 0", "CG417", "numbers in this condition may exceed 64 bits"),
        ("h[i,t] ⟂ h[j,t]", "CG418", "both sides of this statement name the same node"),
        ("h[i,t] ⟂ h[j,t-1] | h[:,t]", "CG418", "`h[:,t]` contains nodes of the left or right side"),
    ],
)
def test_mistakes_in_statements(statement: str, code: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        analyze(recurrent(statement=statement))
    assert findings(error.value) == [(code, message)]


def test_time_in_a_spec_without_time_and_layers_that_do_not_exist() -> None:
    texts = ("hidden[i,t] ⟂ x", "hidden.2[i] ⟂ x", "hiden ⟂ x")
    with pytest.raises(SpecError) as error:
        analyze(spec(part("x", 3), part("hidden", 3, edge("x"), layers=2), independence=texts))
    assert findings(error.value) == [
        ("CG413", "`hidden[i,t]` has a time, and the spec has no `time`"),
        ("CG411", "`hidden` has no part `hidden.2`"),
        ("CG411", "there is no component `hiden`"),
    ]
    assert [d.help for d in error.value.diagnostics[1:]] == ["it has the layers hidden.0 to hidden.1", "did you mean `hidden`?"]


def test_help_for_a_node_on_both_sides() -> None:
    with pytest.raises(SpecError) as error:
        analyze(recurrent(statement="h[i,t] ⟂ h[j,t]"))
    assert only(error.value).help == "add `where j != i`"


def test_layers_in_which_sides_or_givens_meet() -> None:
    for text, message in (
        ("h.1[i,t] ⟂ h[j,t]", "both sides of this statement name the same node in `h.1`"),
        ("h[i,t] ⟂ h[j,t-1] | h[i,t-1], h.0[:,t] where j != i", "`h.0[:,t]` contains nodes of the left or right side in `h.0`"),
    ):
        with pytest.raises(SpecError) as error:
            analyze(recurrent(layers=2, statement=text))
        assert findings(error.value) == [("CG418", message)]
    assert only(error.value).help == "write a statement for each layer by its own name"


def test_mistakes_of_the_template_and_of_statements_are_reported_together() -> None:
    wrong = spec(part("x", 3), part("h", 4, edge("x", "identity")), independence=("h ⟂ nobody", "h ⟂", "h[i] ⟂ x[j] where i > k"))
    with pytest.raises(SpecError) as error:
        analyze(wrong)
    assert [code for code, _ in findings(error.value)] == ["CG401", "CG410", "CG414"]
