"""Statements: what is read, and for every mistake the code, the message, and the very characters that are meant."""

from __future__ import annotations

import pytest

from cgc.graph import predicate as p
from cgc.graph.statement import Slice, Statement, parse
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.text import Source, Span


def read(text: str) -> Statement:
    return parse(text, Span(Source("s", text), 7, 5, len(text)))


def mistakes(text: str) -> list[tuple[str, str, str]]:
    """Code, message, and the characters that the span marks."""
    with pytest.raises(SpecError) as error:
        read(text)
    return [(d.code, d.message, marked(d, text)) for d in error.value.diagnostics]


def marked(diagnostic: Diagnostic, text: str) -> str:
    span = diagnostic.span
    assert span is not None and span.line == 7
    return text[span.column - 5 : span.column - 5 + span.length]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("h[i,t] ⟂ h[j,t-1] | parents  where j != i", None),
        ("h[i,t] _||_ h[j, t - 1] | parents where not j == i", "h[i,t] ⟂ h[j,t-1] | parents  where j != i"),
        ("h[i,t]⊥h[j,t+2]|boundary where 0 ≤ j<i", "h[i,t] ⟂ h[j,t+2] | boundary  where 0 <= j and j < i"),
        ("h1[c,r,s] ⟂ x[d,u,v] | parents  where abs(2 * r - u) > 1 or c != d", None),
        ("y[i] ⟂ x[j] | x[:i], h.1.x.gate[3,1::2], parents  where j >= i", None),
        ("a ⟂ b", None),
        ("a, b[i] ⟂ c[-1], d | e, f[:,t-1]", None),
        ("h[t-1] ⟂ x", None),
        ("a[i] ⟂ b[j]  where (i < j or i > 3) and min(i, 4) != max(j, i, 2)", None),
        ("a[i] ⟂ b[j] where i==j", "a[i] ⟂ b[j]  where i == j"),
    ],
)
def test_read_and_printed(text: str, printed: str | None) -> None:
    assert str(read(text)) == (text if printed is None else printed)
    assert read(str(read(text))).condition == read(text).condition


def test_parts_of_a_statement() -> None:
    statement = read("h[i,:,2:6:2,t-3] ⟂ x | parents, z[:i] where i > 1")
    (left,), (right,) = statement.left, statement.right
    assert left.selectors == (p.Index("i"), Slice(), Slice(p.Constant(2), p.Constant(6), 2)) and left.time == -3
    assert (right.selectors, right.time, right.name) == (None, None, "x")
    assert statement.given[0] == "parents" and str(statement.given[1]) == "z[:i]"
    assert statement.condition == p.compare(">", p.Index("i"), p.Constant(1))
    assert (left.span.column, left.span.length) == (5, 16) and (statement.condition_span.column, statement.condition_span.length) == (49, 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h[i,t] h[j,t]", ("CG410", "`h` stands where `⟂` should", "h")),
        ("h[i,t] ⟂", ("CG410", "the text ends where the name of a component should follow", "")),
        ("⟂ h", ("CG410", "`⟂` stands where the name of a component should", "⟂")),
        ("h[i,t ⟂ x", ("CG410", "`⟂` stands where `,` or `]` should", "⟂")),
        ("a ⟂ b c", ("CG410", "`c` stands where `|`, `where` or the end should", "c")),
        ("a ⟂ b | c | d", ("CG410", "`|` stands where `where` or the end should", "|")),
        ("a ⟂ parents", ("CG410", "`parents` stands where the name of a component should", "parents")),
        ("a ⟂ b § c", ("CG410", "unexpected character '§'", "§")),
        ("a[i+1] ⟂ b", ("CG410", "an index is a name, an integer, `:` or a slice", "i+1")),
        ("a[::0] ⟂ b", ("CG410", "the step of a slice is a positive integer", "0")),
        ("a[i,t,j] ⟂ b", ("CG413", "an index stands after the time", "j")),
        ("a[2*t] ⟂ b", ("CG413", "this is not a time", "2*t")),
        ("a[i,t] ⟂ b where i > t", ("CG413", "a condition cannot depend on the time", "t")),
        ("a[i] ⟂ b[j] where k > j", ("CG414", "`k` is an index of neither LEFT nor RIGHT", "k")),
        ("a[i] ⟂ b[j] | c[k]", ("CG414", "`k` is an index of neither LEFT nor RIGHT", "k")),
        ("a[i] ⟂ b[j] where i", ("CG416", "this is a number, where a condition is needed", "i")),
        ("a[i] ⟂ b[j] where (i < j) + 1 > 0", ("CG416", "this is a condition, where a number is needed", "(i < j)")),
        ("a[i] ⟂ b[j] where i > j and j + 1", ("CG416", "this is a number, where a condition is needed", "j + 1")),
        ("a[i] ⟂ b[j] where i ** 2 > j", ("CG416", "`**` has no meaning here", "**")),
        ("a[i] ⟂ b[j] where i = j", ("CG416", "`=` has no meaning here", "=")),
        ("a[i] ⟂ b[j] where i > j && j > 1", ("CG416", "`&&` has no meaning here", "&&")),
        ("a[i] ⟂ b[j] where i / 2 > j", ("CG416", "`/` has no meaning here", "/")),
        ("a[i] ⟂ b[j] where asb(i) > j", ("CG416", "unknown function `asb`", "asb")),
        ("a[i] ⟂ b[j] where abs > j", ("CG416", "`abs` is a function", "abs")),
        ("a[i] ⟂ b[j] where min(i) > j", ("CG416", "`min` takes 2 to 8 arguments, not 1", "min(i)")),
        ("a[i] ⟂ b[j] where abs(i, j) > j", ("CG416", "`abs` takes one argument, not 2", "abs(i, j)")),
        ("a[i] ⟂ b[j] where i > 1234567890", ("CG416", "this number has more than 9 digits", "1234567890")),
        ("a[i] ⟂ b[j] where i // (2 - 2) > j", ("CG417", "this divisor is 0", "(2 - 2)")),
        ("a[i] ⟂ b[j] where " + "(" * 22 + "i", ("CG416", "this is nested more than 20 deep", "(")),
        ("a[i] ⟂ b[j] where " + "not " * 30 + "i > j", ("CG416", "this is nested more than 20 deep", "not")),
        ("a[i] ⟂ b[j] where i.real > j", ("CG414", "`i.real` is an index of neither LEFT nor RIGHT", "i.real")),
        ("a[i] ⟂ b[j] where __import__", ("CG410", "unexpected character '_'", "_")),
    ],
)
def test_mistake(text: str, expected: tuple[str, str, str]) -> None:
    assert mistakes(text) == [expected]


def test_every_unbound_name_is_reported_once_and_the_near_one_suggested() -> None:
    with pytest.raises(SpecError) as error:
        read("a[row] ⟂ b[j] | c[k,k] where rwo > j and m > rwo")
    assert [(d.message[:5], d.help) for d in error.value.diagnostics] == [
        ("`k` i", "write `:` for all its values"),
        ("`rwo`", "did you mean `row`?"),
        ("`m` i", "their indices are `row`, `j`"),
    ]


@pytest.mark.parametrize("text", ["a" * 600, "a ⟂ b where " + "1<2 and " * 50 + "1<2", "a[i] ⟂ b where " + "i+" * 120 + "i > 0"])
def test_long_statements_are_refused_at_once(text: str) -> None:
    with pytest.raises(SpecError) as error:
        read(text)
    assert [d.code for d in error.value.diagnostics] == ["CG410"] and "are read" in error.value.diagnostics[0].message
