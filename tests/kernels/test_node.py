"""The arithmetic of single laws: what is computed, and from what."""

from __future__ import annotations

import numpy as np
import pytest
from made import TABLED, laws, nodes

from cgc.derive.derivation import Derivation, Draw
from cgc.formula.numeric import array, draw
from cgc.formula.tangent import tangent
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


def by_numpy(law: Derivation, e: np.ndarray) -> np.ndarray:
    """A draw at each energy."""
    assert isinstance(law.sampling, Draw)
    generator, known = np.random.default_rng(1), {"e": e}
    for name, part in law.sampling.given:
        known[name] = draw(part, generator, **known)
    x = draw(law.sampling.value, generator, **known)
    return x if law.statistic is None else np.asarray(array(law.statistic, x=x))


@pytest.mark.parametrize("name", [name for name, known in nodes().items() if known.drawn is not None])
def test_draws_from_words_have_the_distribution_of_the_law(name: str) -> None:
    """Beside draws by numpy, at energies near zero and far, of nodes of which some are drawn, and of which all are."""
    known, law = nodes()[name], laws()[name]
    assert known.drawn is not None
    long = name in TABLED
    words = np.random.default_rng(0).integers(0, 2**32, (4, 4_000 if long else 40_000), dtype=np.uint32)
    for energy in (-0.4, 2.5) if long else (-3.0, -0.4, 0.0, 0.9, 2.5):
        for rate in (0.3, 1.0):
            drawn = (words[0] >> 8) * 2.0**-24 < rate
            given = {f"w{k}": word[drawn] for k, word in enumerate(words)} | {"e": np.float32(energy), "rate": np.float32(rate)}
            found = np.broadcast_to(evaluate((known.drawn,), given)[0], drawn.sum())
            e = np.full(len(found), energy)
            expected = by_numpy(law, e)
            # Kolmogorov and Smirnov's statistic of two samples, and what it exceeds once in a million times; digits differ
            places = np.sort(np.concatenate([found, expected])) + 2e-5
            shares = (np.searchsorted(np.sort(sample), places) / len(e) for sample in (found, expected))
            assert abs(np.subtract(*shares)).max() < 2.7 * np.sqrt(2 / len(e)), (energy, rate)


@pytest.mark.parametrize("name", [name for name, known in nodes().items() if known.drawn is not None and name not in TABLED])
def test_slopes_of_draws_are_on_average_that_of_the_expectation(name: str) -> None:
    """Of draws that pass a gradient, by reparameterisation of one word or several."""
    known, law = nodes()[name], laws()[name]
    assert isinstance(law.sampling, Draw) and known.through is not None
    words = np.random.default_rng(3).integers(0, 2**32, (4, 200_000), dtype=np.uint32)
    for energy in (-1.2, 0.3, 1.7):
        given = {f"w{k}": word for k, word in enumerate(words)} | {"e": np.float32(energy), "rate": np.float32(1)}
        slopes = np.broadcast_to(evaluate((known.through,), given)[0], words.shape[1]).astype(float)
        expected = float(array(tangent(law.expectation, "e"), e=np.float64(energy))) if law.sampling.pathwise else 0.0
        assert abs(slopes.mean() - expected) <= 5 * slopes.std() / np.sqrt(slopes.size) + 2e-5, energy
