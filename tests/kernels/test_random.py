"""Random words and noises: Philox's known answers, and the distributions of what is made of words."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from cgc.kernels.code import argument, given, word
from cgc.kernels.interpret import evaluate
from cgc.kernels.random import NOISES, below, philox, uniform, whole

W = given("w")
WORDS = np.random.default_rng(1).integers(0, 2**32, 400_000, dtype=np.uint32)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # of Random123, philox4x32 with 7 rounds
        ((0, 0, 0, 0), (0, 0), "5f6fb709 0d893f64 4f121f81 4f730a48"),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, "5207ddc2 45165e59 4d8ee751 8c52f662"),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), "4dfccaba 190a87f0 c47362ba b6b5242a"),
    ],
)
def test_known_answers(counter: tuple[int, int, int, int], key: tuple[int, int], expected: str) -> None:
    c0, c1, c2, c3 = map(word, counter)
    found = evaluate(philox((c0, c1, c2, c3), (word(key[0]), word(key[1]))), {})
    assert " ".join(f"{int(x):08x}" for x in found) == expected


DISTRIBUTIONS = {
    "draw_normal": lambda x: mpmath.ncdf(x), "draw_logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "draw_laplace": lambda x: mpmath.exp(x) / 2 if x < 0 else 1 - mpmath.exp(-x) / 2, "draw_uniform": lambda x: (x + 1) / 2,
    "draw_exponential": lambda x: 1 - mpmath.exp(-x), "draw_gumbel": lambda x: mpmath.exp(-mpmath.exp(-x)),
}  # fmt: skip


@pytest.mark.parametrize("name", NOISES)
def test_noises_have_their_distributions(name: str) -> None:
    """Kolmogorov and Smirnov's test at 1 in 10^6, on a fixed sample."""
    (drawn,) = evaluate((NOISES[name](whole(W)),), {"w": WORDS})
    assert np.isfinite(drawn).all()
    ordered = np.sort(drawn.astype(np.float64))[:: len(WORDS) // 2000]
    ranks = np.searchsorted(np.sort(drawn), ordered, side="right") / len(WORDS)
    cdf = np.array([float(DISTRIBUTIONS[name](mpmath.mpf(x))) for x in ordered])
    assert np.abs(cdf - ranks).max() < 2.7 / len(WORDS) ** 0.5


@pytest.mark.parametrize("rate", [0.03, 0.3, 1.0])
@pytest.mark.parametrize("name", ["draw_normal", "draw_exponential"])
def test_what_is_below_a_rate_is_spread_as_evenly(name: str, rate: float) -> None:
    """The word that decided that a node is drawn also says what is drawn."""
    coin, drawn = evaluate((uniform(W), NOISES[name](below(W, argument("rate")))), {"w": WORDS, "rate": np.float32(rate)})
    kept = np.sort(drawn[coin < np.float32(rate)].astype(np.float64))
    assert abs(len(kept) / len(WORDS) - rate) < 5 * (rate * (1 - rate) / len(WORDS)) ** 0.5 + 1e-9
    places = np.arange(0, len(kept), max(1, len(kept) // 1000))
    cdf = np.array([float(DISTRIBUTIONS[name](mpmath.mpf(kept[k]))) for k in places])
    assert np.abs(cdf - (places + 0.5) / len(kept)).max() < 2.7 / len(kept) ** 0.5


def test_normal_tails_are_fine() -> None:
    """The smallest shares are 2^-33: z = 6.3; every quantile has six digits."""
    words = np.concatenate([np.arange(0, 4000, 7, dtype=np.uint32), WORDS[:2000]])
    (drawn,) = evaluate((NOISES["draw_normal"](whole(W)),), {"w": words})
    assert np.abs(drawn).max() > 6.2
    with mpmath.mp.workdps(30):
        for w, z in zip(words, drawn, strict=True):
            q = (mpmath.mpf(int(w) & 0x7FFFFFFF) + 0.5) / 2**32
            assert abs(mpmath.ncdf(-abs(float(z))) - q) <= 4e-6 * q + 2e-8


def test_a_coin_falls_as_often_as_it_should() -> None:
    (u,) = evaluate((uniform(W),), {"w": np.array([0, 255, 256, 2**32 - 1], np.uint32)})
    assert list(u) == [0, 0, 2.0**-24, 1 - 2.0**-24]
