"""Draws of counts and of gamma and beta numbers from words, against distribution functions in mpmath."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp

from cgc.formula.scalar import Op, Var, const
from cgc.kernels.code import Value, argument, given
from cgc.kernels.counts import BLOCK, binomial, poisson
from cgc.kernels.expand import Words, expand
from cgc.kernels.gamma import COMPOSED
from cgc.kernels.interpret import evaluate
from cgc.kernels.node import RATE, WORDS
from cgc.kernels.random import NOISES, whole

# from the lower end to the upper one: a word's highest bit says which, the others how far
UPPER = [0, 1, 77, 2**16, 2**24, 2**28 + 5, 2**30, 3 * 2**29, 2**31 - 1]
WORDS_HERE = np.uint32([*UPPER, *(w + 2**31 for w in UPPER)])


def share(w: int) -> Any:
    """The uniform number that a word stands for."""
    q = (mpmath.mpf(w & 0x7FFFFFFF) + mpmath.mpf("0.5")) / 2**32
    return q if w >> 31 else 1 - q


def counted(probability: Any, u: Any, found: float) -> bool:
    """Whether ``found`` is the least k with P(N ≤ k) > u, or u is within a rounding of where it would be."""
    k = int(found)
    before = mpmath.fsum(probability(j) for j in range(k))
    close = mpmath.mpf("2e-6")
    return bool(before - close <= u <= before + probability(k) + close)


@pytest.mark.parametrize("mean", [1e-20, 0.003, 0.4, 3.0, 23.9, 24.0, 25.7, 60.0, 400.0])
def test_poisson_numbers_are_those_of_their_words(mean: float) -> None:
    (found,) = evaluate((poisson(argument("m"), whole(given("w"))),), {"m": np.float32(mean), "w": WORDS_HERE})
    exact = mpmath.mpf(float(np.float32(mean)))
    with mp.workdps(30):
        for x, w in zip(found, WORDS_HERE, strict=True):
            assert counted(lambda k: mpmath.exp(k * mpmath.log(exact) - exact - mpmath.loggamma(k + 1)), share(int(w)), x), (mean, w, x)


def test_poisson_numbers_of_large_and_of_no_means() -> None:
    value = poisson(argument("m"), whole(given("w")))
    means = np.float32([0, np.nan, 1e6, 1e12, np.inf])
    words = np.random.default_rng(5).integers(0, 2**32, 100_000, dtype=np.uint32)
    found = np.array([evaluate((value,), {"m": m, "w": words})[0] for m in means])
    assert (found[0] == 0).all() and np.isnan(found[1]).all()
    assert abs(found[2].mean() - 1e6) < 5 * 1e3 / 316 and abs(found[2].std() / 1e3 - 1) < 0.02
    # as torch draws them, from 10⁹ on of that mean
    assert (abs(found[3:] / 1e9 - 1) < 1e-3).all()
    assert (found[:3] >= 0)[[0, 2]].all() and (found[2] == np.floor(found[2])).all()


@pytest.mark.parametrize("trials", [1, 5, 31, BLOCK])
@pytest.mark.parametrize("p", [0.0, 1e-6, 0.03, 0.5, 0.7, 1.0])
def test_binomial_numbers_are_those_of_their_words(trials: int, p: float) -> None:
    (found,) = evaluate((binomial(trials, argument("p"), whole(given("w"))),), {"p": np.float32(p), "w": WORDS_HERE})
    exact = mpmath.mpf(float(np.float32(p)))
    # where the other outcome is rarer, that is counted
    rare = 1 - exact if p > 0.5 else exact
    for x, w in zip(found, WORDS_HERE, strict=True):
        k = trials - x if p > 0.5 else x
        assert 0 <= x <= trials
        assert counted(lambda j: mpmath.binomial(trials, j) * rare**j * (1 - rare) ** (trials - j), share(int(w)), k), (trials, p, w, x)


class Drawn:
    """What is drawn from an element's words: the names of noises, one after the other."""

    def __init__(self) -> None:
        self.words, self.known = Words(WORDS, RATE), dict[str, Value]()

    def __call__(self, name: str) -> Var:
        variable = Var(f"n{len(self.known)}")
        self.known[variable.name] = NOISES[name](self.words.noise())
        return variable


@pytest.mark.parametrize("shape", [3, 3.2, 8, 70, 1e4])
def test_large_gamma_numbers_are_those_of_their_words(shape: float) -> None:
    """To 5e-6 of their size: the distribution function is that of the word's share, or the size of a density times that."""
    drawn = Drawn()
    tree = COMPOSED["draw_gamma"](drawn, const(shape))
    assert len(drawn.known) == 1
    (found,) = evaluate((expand(tree, drawn.known),), {"w0": WORDS_HERE, "rate": np.float32(1)})
    from_first = evaluate((drawn.known["n0"],), {"w0": WORDS_HERE, "rate": np.float32(1)})[0]
    with mp.workdps(30):
        for x, z in zip(found, from_first, strict=True):
            low, high = (mpmath.gammainc(shape, 0, mpmath.mpf(float(x)) * (1 + off), regularized=True) for off in (-5e-6, 5e-6))
            assert low <= mpmath.ncdf(mpmath.mpf(float(z))) <= high, (shape, x, z)


@pytest.mark.parametrize("a", [0.05, 0.7, 2.9])
def test_small_gamma_numbers_have_their_distribution(a: float) -> None:
    """The shape is known when kernels are written, or is computed for each element."""
    words = np.random.default_rng(1).integers(0, 2**32, (4, 100_000), dtype=np.uint32)
    numbers = {f"w{k}": word for k, word in enumerate(words)} | {"rate": np.float32(1), "a": np.float32(a)}
    for shape, known in ((const(a), {}), (Var("a"), {"a": argument("a")})):
        drawn = Drawn()
        tree = Op("log", (COMPOSED["draw_gamma"](drawn, shape),))
        x = np.sort(np.exp(evaluate((expand(tree, drawn.known | known),), numbers)[0].astype(float)))
        for share_below in (0.02, 0.2, 0.5, 0.8, 0.98):
            there = float(mpmath.gammainc(a, 0, x[int(share_below * len(x))], regularized=True))
            spread = np.sqrt(share_below * (1 - share_below) / len(x))
            # logarithms of what no float holds are minus infinity
            assert abs(there - share_below) < 5 * spread or x[int(share_below * len(x))] < 1e-37


def test_draws_take_as_many_words_as_they_need() -> None:
    """Two gamma numbers of any shape take eight; those beyond an element's four are made of these, and no two are alike."""
    drawn = Drawn()
    COMPOSED["draw_beta"](drawn, Var("a"), Var("b"))
    assert drawn.words.used == len(drawn.known) == 8
    words = np.random.default_rng(1).integers(0, 2**32, (4, 50_000), dtype=np.uint32)
    numbers = evaluate(tuple(drawn.known.values()), {f"w{k}": word for k, word in enumerate(words)} | {"rate": np.float32(1)})
    apart = np.corrcoef(numbers) - np.eye(8)
    assert abs(apart).max() < 5 / np.sqrt(50_000)
