"""The arithmetic of single laws: what is computed, and from what."""

from __future__ import annotations

import numpy as np
from made import laws

from cgc.kernels import arithmetic
from cgc.kernels.code import FUNCTIONS, Value, argument, in_order, operations, select
from cgc.kernels.interpret import evaluate
from cgc.kernels.node import _by_tanh, node


def called(value: Value | None) -> set[object]:
    assert value is not None
    return {part.args[0] for part in in_order(value) if part.name == "call"}


def test_slopes_of_draws_read_tanh_where_it_is_computed_anyway() -> None:
    found = node(laws()["Relu"])
    assert "logistic_pdf" not in called(found.drawn_slope) and {"tanh", "normal_quantile"} <= called(found.drawn_slope)


def test_slopes_that_vanish_keep_their_digits() -> None:
    """The derivative of tanh alone, or times another, is 1 - t² only until t is 1."""
    x, n = argument("x"), argument("n")
    slope = 4.0 * arithmetic.logistic_pdf(2.0 * x)
    for kept in (slope, n * slope, slope + x, select(x > 0.0, slope, 1.0), (1.0 + slope) * slope):
        assert _by_tanh(kept, arithmetic.tanh(x)) is kept
    assert _by_tanh(1.0 + n * slope, x) is 1.0 + n * slope  # there is no tanh at hand
    other = _by_tanh(1.0 + n * slope, arithmetic.tanh(x))
    assert "logistic_pdf" not in called(other)
    given = {"x": np.linspace(-12, 12, 99, dtype=np.float32), "n": np.float32(1.7)}
    np.testing.assert_allclose(*evaluate((other, 1.0 + n * slope), given), rtol=1e-6, atol=1e-6)


def test_operations_are_counted_through_functions() -> None:
    x = argument("x")
    assert operations(x) == 0 and operations(x + 1.0) == 1 and operations((x + 1.0) * (x + 1.0)) == 2
    found = node(laws()["Relu"])
    assert found.inferred is not None
    assert operations(found.inferred) > operations(FUNCTIONS["normal_quantile"].result) + operations(FUNCTIONS["tanh"].result)
