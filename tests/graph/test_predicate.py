"""Predicates: text and back, negation, evaluation against Python, tensor text against numpy, bounds."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cgc.graph import predicate as p
from cgc.graph.statement import parse
from cgc.source.text import Source, Span

FIRST = p.Index("i")
NAMES = ("i", "j", "k")
EXTENTS = (3, 4, 2)

signs: st.SearchStrategy[p.Sign] = st.sampled_from(("+", "-", "*"))
divisions: st.SearchStrategy[p.Sign] = st.sampled_from(("//", "%"))
relations: st.SearchStrategy[p.Relation] = st.sampled_from(("==", "!=", "<", "<=", ">", ">="))
bounds: st.SearchStrategy[p.FunctionName] = st.sampled_from(("min", "max"))
leaves: st.SearchStrategy[p.Expression] = st.one_of(st.integers(0, 5).map(p.Constant), st.sampled_from(NAMES).map(p.Index))
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(p.minus, inner),
        st.builds(p.arithmetic, signs, inner, inner),
        st.builds(p.arithmetic, divisions, inner, st.integers(1, 4).map(p.Constant)),
        st.builds(p.function, st.just("abs"), inner),
        st.builds(p.function, bounds, inner, inner),
    ),
    max_leaves=6,
)
comparisons = st.builds(p.compare, relations, expressions, expressions)
predicates = st.recursive(
    comparisons,
    lambda inner: st.tuples(st.sampled_from((p.conjunction, p.disjunction)), inner, inner).map(lambda parts: parts[0](*parts[1:])),
    max_leaves=5,
)


def grids() -> dict[str, p.Integers]:
    return dict(zip(NAMES, np.meshgrid(*(np.arange(n) for n in EXTENTS), indexing="ij", sparse=True), strict=True))


def truths(predicate: p.Predicate) -> p.Truths:
    return np.broadcast_to(p.evaluate(predicate, grids()), EXTENTS)


def as_python(predicate: p.Predicate) -> p.Truths:
    """By Python itself, from the printed text."""
    code = compile(p.text(predicate), "predicate", "eval")
    values = [bool(eval(code, {}, dict(zip(NAMES, place, strict=True)))) for place in product(*(range(n) for n in EXTENTS))]
    return np.array(values).reshape(EXTENTS)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(predicates)
def test_evaluation_is_python_s(predicate: p.Predicate) -> None:
    assert np.array_equal(truths(predicate), as_python(predicate))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(predicates)
def test_negation(predicate: p.Predicate) -> None:
    assert np.array_equal(truths(p.negate(predicate)), ~truths(predicate))
    assert p.negate(p.negate(predicate)) == predicate


@settings(max_examples=60, deadline=None, derandomize=True)
@given(predicates)
def test_text_reads_back_as_the_same(predicate: p.Predicate) -> None:
    text = f"a[i,j,k] ⟂ b where {p.text(predicate)}"
    if len(text) < 500:
        assert parse(text, Span(Source("test", text), 1, 1)).condition == predicate


@settings(max_examples=60, deadline=None, derandomize=True)
@given(predicates)
def test_tensor_text(predicate: p.Predicate) -> None:
    if isinstance(predicate, p.Truth):
        return
    tensors = {name: torch.tensor(grid) for name, grid in grids().items()}
    found = eval(p.tensor_text(predicate), {"torch": torch}, tensors)
    assert np.array_equal(found.expand(EXTENTS).numpy(), truths(predicate))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(expressions)
def test_no_value_exceeds_the_bound(expression: p.Expression) -> None:
    bound = p.largest(expression, dict(zip(NAMES, EXTENTS, strict=True)))
    assert np.abs(p.value_of(expression, grids())).max() <= bound


@settings(max_examples=60, deadline=None, derandomize=True)
@given(predicates)
def test_substitution_is_evaluation_elsewhere(predicate: p.Predicate) -> None:
    moved = p.substitute(predicate, {"i": p.Constant(2), "k": p.Index("l")})
    assert "i" not in p.names(moved) and "k" not in p.names(moved)
    l_grid = {"j": grids()["j"], "l": grids()["k"]}
    assert np.array_equal(np.broadcast_to(p.evaluate(moved, l_grid), EXTENTS)[0], truths(predicate)[2])


@pytest.mark.parametrize(
    ("predicate", "text", "tensor"),
    [
        (p.compare("!=", p.Index("j"), p.Index("i")), "j != i", "(j != i)"),
        (p.compare("<", p.arithmetic("-", FIRST, p.arithmetic("-", FIRST, FIRST)), p.Constant(0)), "i - (i - i) < 0", "(i - (i - i) < 0)"),
        (p.compare("==", p.minus(p.arithmetic("*", FIRST, p.Constant(2))), p.Constant(-4)), "-(i * 2) == -4", "(-(i * 2) == -4)"),
        (p.compare("<", p.function("min", p.Constant(3), p.Index("i")), p.Index("j")), "min(i, 3) < j", "(torch.where(i < 3, i, 3) < j)"),
    ],
)
def test_text(predicate: p.Predicate, text: str, tensor: str) -> None:
    assert (p.text(predicate), p.tensor_text(predicate)) == (text, tensor)


def test_constants_fold() -> None:
    assert p.arithmetic("*", p.Constant(6), p.Constant(7)) == p.Constant(42)
    assert p.compare("<", p.Constant(1), p.Constant(2)) == p.Truth(True)
    assert p.compare("<=", p.Index("i"), p.Index("i")) == p.Truth(True)
    assert p.conjunction() == p.Truth(True) and p.disjunction() == p.Truth(False)
    less = p.compare("<", p.Index("i"), p.Index("j"))
    assert p.conjunction(less, p.Truth(True), less) == less and p.conjunction(less, p.Truth(False)) == p.Truth(False)
    assert p.function("max", p.Constant(1), p.Index("i"), p.Constant(5)) == p.Function("max", (p.Index("i"), p.Constant(5)))


def test_division_by_zero_is_said() -> None:
    with pytest.raises(ZeroDivisionError):
        p.arithmetic("%", p.Index("i"), p.Constant(0))
    with pytest.raises(ZeroDivisionError):
        truths(p.compare("==", p.arithmetic("//", p.Constant(6), p.Index("i")), p.Constant(1)))
    with pytest.raises(ZeroDivisionError):
        p.substitute(p.compare("==", p.arithmetic("//", p.Constant(6), p.Index("i")), p.Constant(1)), {"i": p.Constant(0)})


def test_what_is_in_a_predicate() -> None:
    found = p.conjunction(
        p.compare("<", p.arithmetic("//", p.Index("j"), p.Constant(16)), p.Index("i")), p.compare("!=", p.Constant(-3), p.Index("j"))
    )
    assert p.names(found) == ("j", "i") and p.constants(found) == (3, 16)
    assert p.integer(p.arithmetic("%", p.minus(p.Index("i")), p.Constant(3)), {"i": 1}) == 2
