"""YAML with places."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgc.source.diagnostics import SpecError
from cgc.source.text import Source, Span
from cgc.source.tree import Entry, Node
from cgc.source.write import write
from cgc.source.yaml import parse


def plain(text: str) -> object:
    return parse(Source("t", text)).plain()


def refusals(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse(Source("t", text))
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1.", 1.0),
        (".5", 0.5),
        ("-3", -3),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("on", "on"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("12:30:00", "12:30:00"),
        ("2001-01-01", "2001-01-01"),
        ("1_000", "1_000"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"a\\tb"', "a\tb"),
        ("28*28", "28*28"),
        ("-x*(1 + softplus(-e))", "-x*(1 + softplus(-e))"),
        ("h[i,t] ⟂ h[j,t-1] | parents  where j != i", "h[i,t] ⟂ h[j,t-1] | parents  where j != i"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    found = plain(f"a: {text}\n")
    assert found == {"a": value}
    assert isinstance(found, dict) and type(found["a"]) is type(value)


def test_spans_lie_between_quotes_and_on_keys() -> None:
    root = parse(Source("t", "one: {two: 'max(0, y)', three: [4, five]}\n"))
    place, node = root.find(("one", "two"))
    assert (place.line, place.column, place.length) == (1, 7, 3)
    assert (node.span.column, node.span.length) == (13, 9)
    assert node.inside(4, 1) == Span(root.span.source, 1, 17, 1)
    assert root.find(("one", "three", 1))[1].span.column == 36


def test_a_part_hidden_by_escapes_is_shown_as_a_whole() -> None:
    node = parse(Source("t", "a: 'it''s + tahn(e)'\n")).find(("a",))[1]
    assert node.inside(7, 4) == node.span


def test_find_skips_what_is_not_there() -> None:
    root = parse(Source("t", "a: {b: 1}\n"))
    assert root.find(("a", "union-tag", "b"))[1].scalar == 1


def test_merge_keys() -> None:
    assert plain("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [{a: 5}, *x]}\n") == {
        "x": {"a": 1, "b": 2},
        "y": {"a": 1, "b": 3},
        "z": {"a": 5, "b": 2},
    }


def test_every_mistake_of_a_text_is_told() -> None:
    assert refusals("a: {b: 1, b: 2}\n3: x\nc: {v: max(0, y), w: min(1, 2)}\n") == ["CG102", "CG108", "CG110", "CG110"]


def test_torn_expressions_take_no_more_than_their_own_keys() -> None:
    # without the two halves of max(0, y), neither twice-standing nor empty keys remain
    assert refusals("a: {v: max(0, y), y): 1}\n") == ["CG110"]
    assert refusals("[max(0, y), 2]\n") == ["CG110"]
    assert plain("a: {v: f(x, w: g}\n") == {"a": {"v": "f(x", "w": "g"}}


SYNTAX = ["a: [1, 2\n", "a: 'b\n", "a: b: c\n", "a: *b\n", "\ta: 1\n", "- a\nb: 1\n", "a: @b\n", "a: {]\n", "? : :\n -"]


@pytest.mark.parametrize("text", SYNTAX)
def test_syntax(text: str) -> None:
    assert refusals(text) == ["CG101"]


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(Source("t", text))
    except SpecError as error:
        assert all(diagnostic.code.startswith("CG1") for diagnostic in error.diagnostics)


SCALARS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(-1e200, 1e200) | st.text(max_size=12)
KEYS = st.text(max_size=6)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


def tree(value: object) -> Node:
    span = Span(Source("t", ""), 1, 1)
    if isinstance(value, dict):
        return Node(span, entries={key: Entry(span, tree(item)) for key, item in value.items()})
    if isinstance(value, list):
        return Node(span, items=tuple(tree(item) for item in value))
    assert value is None or isinstance(value, (bool, int, float, str))
    return Node(span, scalar=value)


@given(st.dictionaries(KEYS, TREES, min_size=1, max_size=4))
def test_what_is_written_is_read_back(value: dict[str, object]) -> None:
    text = write(tree(value))
    assert plain(text) == value
    assert write(parse(Source("t", text))) == text


def test_floats_keep_their_value() -> None:
    assert plain(write(tree({"a": math.pi, "b": 1e-05, "c": 1e22}))) == {"a": math.pi, "b": 1e-05, "c": 1e22}
