"""Templates: stacks, orders, and what is said about cycles and shapes."""

from __future__ import annotations

import pytest
from small_specs import edge, findings, only, part, place, recurrent, spec

from cgc.graph.template import template, with_gates
from cgc.source.diagnostics import SpecError
from cgc.spec.model import DropoutGate


def sources(spec_: object) -> dict[str, list[tuple[str, int]]]:
    return {p.name: [(e.source, e.lag) for e in p.edges] for p in template(spec_)}  # type: ignore[arg-type]


def test_layers_replace_the_input_and_keep_their_own_past() -> None:
    assert sources(recurrent(layers=3)) == {
        "x": [],
        "h.0": [("x", 0), ("h.0", 1)],
        "h.1": [("h.0", 0), ("h.1", 1)],
        "h.2": [("h.1", 0), ("h.2", 1)],
        "y": [("h.2", 0)],
    }
    x, h, y = template(recurrent(layers=1))
    assert (x.layer, x.role, h.layer, h.role, y.role, y.at) == (None, "input", 0, "hidden", "output", "last")
    assert sources(recurrent())["h"] == [("x", 0), ("h", 1)]


def test_a_stack_with_a_second_parent_says_which_is_its_input() -> None:
    h = part("h", 4, edge("x"), edge("z"), layers=2, stack_input="z")
    assert sources(spec(part("x", 3), part("z", 2), h))["h.1"] == [("x", 0), ("h.0", 0)]


def test_edge_shapes_count_features_of_the_right_parent() -> None:
    parts = {p.name: p for p in template(recurrent(layers=2, nodes=5, inputs=3))}
    assert [e.structure.pairs for name in ("h.0", "h.1") for e in parts[name].edges] == [15, 25, 25, 25]
    assert parts["h.0"].edges[0].structure.child_index == (("i", 5),) and parts["h.0"].edges[0].structure.parent_index == (("j", 3),)
    (_, wide) = template(spec(part("x", (2, 3)), part("h", 4, edge("x"))))
    assert wide.edges[0].structure.parent_index == (("j0", 2), ("j1", 3))


def test_order_is_topological_with_ties_in_the_order_of_the_spec() -> None:
    found = template(spec(part("d", 1, edge("b"), edge("c")), part("c", 1, edge("a")), part("b", 1, edge("a")), part("a", 1), part("z", 1)))
    assert [p.name for p in found] == ["a", "c", "b", "d", "z"]


def test_a_cycle_is_shown_whole_with_every_place() -> None:
    a, b = part("a", 1, edge("c", line=11), edge("x")), part("b", 1, edge("a", line=12))
    c = part("c", 1, edge("b", line=13), edge("b", lag=1))
    with pytest.raises(SpecError) as error:
        template(spec(part("x", 1), a, b, c, steps=3))
    found = only(error.value)
    assert (found.code, found.message) == ("CG400", "the parents form a cycle: a → b → c → a")
    assert found.span == place("edge from a", 12) and found.label == "`a` → `b`"
    assert [(o.span.line, o.text) for o in found.others] == [(13, "`b` → `c`"), (11, "`c` → `a`")]
    assert found.help == "remove one of these parents, or give it a lag"


def test_cycles_without_a_common_edge_are_all_shown_and_a_lag_breaks_them() -> None:
    pairs = [part("a", 1, edge("b")), part("b", 1, edge("a")), part("c", 1, edge("d")), part("d", 1, edge("c"))]
    with pytest.raises(SpecError) as error:
        template(spec(*pairs))
    assert [m for _, m in findings(error.value)] == ["the parents form a cycle: a → b → a", "the parents form a cycle: c → d → c"]
    assert error.value.diagnostics[0].help == "remove one of these parents"
    assert len(template(spec(part("a", 1, edge("b", lag=1)), part("b", 1, edge("a")), steps=2))) == 2


@pytest.mark.parametrize("kind", ["elementwise", "identity"])
def test_shapes_of_elementwise_edges(kind: str) -> None:
    h = part("h", 6, edge("x", kind, line=4), nodes_span=place("nodes of h"))
    with pytest.raises(SpecError) as error:
        template(spec(part("x", (2, 3)), h, part("g", 6, edge("h", kind))))
    found = only(error.value)
    assert (found.code, found.message) == ("CG401", f"an edge of kind `{kind}` joins `x` and `h`, which have different shapes")
    assert found.span == place("edge from x", 4)
    assert [(o.span.source.name, o.text) for o in found.others] == [("x", "`x` has 2 x 3 nodes"), ("nodes of h", "`h` has 6 nodes")]


def test_a_wrong_shape_in_a_stack_is_said_once() -> None:
    with pytest.raises(SpecError) as error:
        template(spec(part("x", 2), part("h", 6, edge("x", "elementwise"), edge("h", lag=1), layers=4), steps=2))
    assert findings(error.value) == [("CG401", "an edge of kind `elementwise` joins `x` and `h`, which have different shapes")]


def test_what_exists_at_the_end_has_no_children_before() -> None:
    with pytest.raises(SpecError) as error:
        template(spec(part("x", 1), part("y", 1, edge("x"), at="last"), part("z", 1, edge("y")), steps=3))
    assert findings(error.value) == [("CG403", "`y` exists at the last step only, and its child `z` at every step")]
    assert len(template(spec(part("x", 1), part("y", 1, edge("x"), at="last"), part("z", 1, edge("y"), at="last"), steps=3))) == 3


def test_gates_are_parents_with_the_shape_of_the_source() -> None:
    gated = part("h", 4, edge("x", gate=DropoutGate("bernoulli", 0.5)), edge("h", lag=2, gate=DropoutGate("gaussian", std=1, share="time")))
    parts = {p.name: p for p in with_gates(template(spec(part("x", 3), gated, steps=5)))}
    assert (parts["h.x.gate"].extents, parts["h.x.gate"].constant) == ((3,), False)
    assert (parts["h.h.gate"].extents, parts["h.h.gate"].constant) == ((4,), True)
    assert [(e.source, e.lag) for e in parts["h"].edges] == [("x", 0), ("h", 2), ("h.x.gate", 0), ("h.h.gate", 2)]
