"""Random numbers in typed arithmetic: counter-based Philox 4x32 (Salmon et al. 2011, doi:10.1145/2063384.2063405) with seven rounds, which
pass BigCrush, and the noises of nodes as functions of one random word each.

The words that an element gets depend on the seed and its place alone: nothing is kept, and a backward pass draws the same again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath

from cgc.kernels import arithmetic
from cgc.kernels.code import Value, define, minimum, operation, select, word
from cgc.kernels.fit import fitted

ROUNDS = 7
_MULTIPLIERS, _WEYL = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)


def philox(counter: tuple[Value, Value, Value, Value], key: tuple[Value, Value]) -> tuple[Value, Value, Value, Value]:
    """Four random words for a counter, under a key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    first, second = (word(m) for m in _MULTIPLIERS)
    for _ in range(ROUNDS):
        high0, low0 = operation("whigh", c0, first), operation("wmul", c0, first)
        high1, low1 = operation("whigh", c2, second), operation("wmul", c2, second)
        c0, c2 = _mixed(high1, c1, k0), _mixed(high0, c3, k1)
        c1, c3 = low1, low0
        k0, k1 = (operation("wadd", k, word(w)) for k, w in zip((k0, k1), _WEYL, strict=True))
    return c0, c1, c2, c3


def _mixed(a: Value, b: Value, key: Value) -> Value:
    return operation("wxor", operation("wxor", a, b), key)


def uniform(source: Value) -> Value:
    """A multiple of 2^-24 in [0, 1): below p with probability p, to the last digit of a float."""
    return operation("to_float", operation("wshr", source, 8)) * 2.0**-24


@dataclass(frozen=True)
class Source:
    """Where a noise comes from: ``share``, uniform in (0, ½], is how far it is in the tail on its side, and fine near 0; ``side`` has its
    sign as the highest bit."""

    share: Value
    side: Value


def whole(w: Value) -> Source:
    """What one word gives."""
    return Source((operation("to_float", operation("wand", w, word(0x7FFFFFFF))) + 0.5) * 2.0**-32, w)


def below(w: Value, rate: Value) -> Source:
    """What a word gives, given that its ``uniform`` number is below ``rate``: then it is itself uniform up to there."""
    size = (operation("to_float", operation("wshr", w, 1)) + 0.5) * (2.0**-32 / rate)
    return Source(minimum(size, 0.5), operation("wshl", w, 31))


def lower(source: Source) -> Value:
    """Whether the tail is that towards 0, for numbers between 0 and 1."""
    return operation("to_float", operation("wshr", source.side, 31)) > 0.5


def fraction(source: Source) -> Value:
    """A number between 0 and 1."""
    return select(lower(source), source.share, 1.0 - source.share)


def _signed(size: Value, source: Source) -> Value:
    flipped = operation("wand", source.side, word(0x80000000))
    return operation("from_bits", operation("wxor", operation("bits", size), flipped))


def _quotient(w: Any) -> Any:
    # Φ⁻¹(1-q) / (½-q) at w = -log(4q(1-q)); by Newton's method, as erfinv(1 - 2q) would lose the digits of q
    if not w:
        return mpmath.sqrt(2 * mpmath.pi)
    x = mpmath.sqrt(-mpmath.expm1(-w))
    q = mpmath.exp(-w) / (2 * (1 + x))
    z = mpmath.sqrt(2) * mpmath.erfinv(x)
    for _ in range(8):
        z += (mpmath.ncdf(-z) - q) / mpmath.npdf(z)
    return 2 * z / x


def _normal_quantile(q: Value) -> Value:
    w = -arithmetic.log_of_normal(4.0 * (q - q * q))
    near = fitted("normal_near", _quotient, 0.0, 6.0, 9)(w)
    far = fitted("normal_far", lambda t: _quotient(t + 14), -8.0, 7.5, 9)(w - 14.0)
    return (0.5 - q) * select(w < 6.0, near, far)


def normal(source: Source) -> Value:
    """Standard normal."""
    define("normal_quantile", _normal_quantile, "z with Φ(-z) = q, 0 < q ≤ ½.", ("q",))
    return _signed(operation("call", "normal_quantile", source.share), source)


def logistic(source: Source) -> Value:
    """Standard logistic."""
    q = source.share
    return _signed(arithmetic.log1p(-q) - arithmetic.log_of_normal(q), source)


def laplace(source: Source) -> Value:
    """Standard Laplace."""
    return _signed(-arithmetic.log_of_normal(2.0 * source.share), source)


def centred_uniform(source: Source) -> Value:
    """Uniform between -1 and 1."""
    return _signed(1.0 - 2.0 * source.share, source)


def exponential(source: Source) -> Value:
    """Standard exponential."""
    return select(lower(source), -arithmetic.log_of_normal(source.share), -arithmetic.log1p(-source.share))


def gumbel(source: Source) -> Value:
    """Standard Gumbel."""
    return -arithmetic.log_of_normal(exponential(source))


NOISES = {
    "draw_normal": normal, "draw_logistic": logistic, "draw_laplace": laplace, "draw_uniform": centred_uniform,
    "draw_exponential": exponential, "draw_gumbel": gumbel,
}  # fmt: skip
"""By the operation of the scalar tree."""


def define_all() -> None:
    """Define every function of this file."""
    normal(whole(word(0)))
