"""Distribution functions: which noise a monotone function from 0 to 1 belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
import sympy
from mpmath import mp

from cgc.derive.bases import BASES
from cgc.derive.inverse.curve import NOTHING
from cgc.derive.inverse.node import NoNode
from cgc.derive.inverse.numbers import AGREES, DIGITS
from cgc.families.forms import Base
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value

_QUARTERS = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))


@dataclass(frozen=True)
class Share:
    """What should be a distribution function: ``of`` an energy, and on the curve's grid."""

    of: Callable[[Any], Any]
    points: list[Any]
    values: list[Any]


@dataclass(frozen=True)
class Match:
    """The noise s·n of a distribution function F(e) = P(e + s·n > m); with ``backwards`` it is that of -s·n, which no node has."""

    base: Base
    place: Any
    scale: Any
    backwards: bool


def first_fall(values: Sequence[Any]) -> tuple[int, int] | None:
    """Between which two points a function falls the most; None where it never falls."""
    top, worst, found = 0, NOTHING, None
    for k, v in enumerate(values):
        if v > values[top]:
            top = k
        elif values[top] - v > worst:
            worst, found = values[top] - v, (top, k)
    return found


def extreme_of(function: Callable[[Any], Any], points: Sequence[Any], k: int, sign: int) -> tuple[Any, Any]:
    """The largest (``sign`` 1) or least (-1) value around the k-th point, by golden section: its place and the value."""
    low, high = points[max(k - 1, 0)], points[min(k + 1, len(points) - 1)]
    golden = (mpmath.sqrt(5) - 1) / 2
    best = max(((sign * function(e), e) for e in (low, points[k], high)), key=lambda pair: pair[0])
    for _ in range(60):
        c, d = high - golden * (high - low), low + golden * (high - low)
        fc, fd = sign * function(c), sign * function(d)
        best = max(best, (fc, c), (fd, d), key=lambda pair: pair[0])
        low, high = (low, d) if fc > fd else (c, high)
    return best[1], sign * best[0]


def _quantile(share: Share, probability: Fraction) -> Any:
    """Where F passes a probability, by bisection: F may jump there."""
    goal = mp.mpf(probability.numerator) / probability.denominator
    k = next((k for k, v in enumerate(share.values) if v >= goal), 0)
    if k == 0:
        raise NoNode("a quarter or more of its noise lies beyond all energies that were searched")
    return _bisect(share.of, share.points[k - 1], share.points[k], goal)


def _bisect(function: Callable[[Any], Any], low: Any, high: Any, goal: Any) -> Any:
    for _ in range(190):
        middle = (low + high) / 2
        low, high = (low, middle) if function(middle) >= goal else (middle, high)
    return (low + high) / 2


@cache
def _distribution(base: Base, backwards: bool) -> Callable[[Any], Any]:
    """P(z + n > 0) of a base noise n; ``backwards``: P(z - n > 0)."""
    z = sympy.Symbol("z", real=True)
    noise = BASES[base]
    tree = freeze(noise.log_cdf(z) if backwards else noise.log_upper(-z))
    return lambda at: mpmath.exp(value(tree, z=at)) if value(tree, z=at) != -mp.inf else mp.zero


@cache
def _quarters(base: Base, backwards: bool) -> tuple[Any, ...]:
    with mp.workdps(DIGITS):
        function = _distribution(base, backwards)
        return tuple(_bisect(function, mp.mpf(-40), mp.mpf(40), mp.mpf(q.numerator) / q.denominator) for q in _QUARTERS)


def noise_of(share: Share) -> Match | None:
    """The base noise whose distribution function this is, up to place and scale; None if it is none of them."""
    first, middle, last = (_quantile(share, q) for q in _QUARTERS)
    ways = [(base, False) for base in BASES] + [(base, True) for base, noise in BASES.items() if not noise.symmetric]
    for base, backwards in ways:
        low, half, high = _quarters(base, backwards)
        scale = (last - first) / (high - low)
        if scale > NOTHING and _agree(share, _distribution(base, backwards), middle - scale * half, scale):
            return Match(base, middle - scale * half, scale, backwards)
    return None


def _agree(share: Share, function: Callable[[Any], Any], place: Any, scale: Any) -> bool:
    """At 61 places across the noise, then on the whole grid."""
    across = (mp.mpf(k) * 97 / 100 + mp.mpf(13) / 1000 for k in range(-30, 31))
    if any(abs(share.of(place + scale * z) - function(z)) > AGREES for z in across):
        return False
    return all(abs(v - function((e - place) / scale)) <= AGREES for e, v in zip(share.points, share.values, strict=True))
