"""The definition itself, in mpmath: mean and variance of a node at one energy, by summation or by quadrature of its density.

Nothing here knows a derivation. It is what derivations are checked against, and what numerical rules are measured with.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import mpmath
import numpy as np
import sympy
from mpmath import mp

from cgc.derive.bases import BASES
from cgc.derive.coordinates import coordinate
from cgc.derive.derivation import Refusal
from cgc.derive.pieces import NoPieces, kinks, pieces, window
from cgc.derive.scale import drawn_scale
from cgc.families.forms import Density, E, FiniteExponential, Gated, Law, MaxOf, Mixture, Noise, Support, X, Y
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value
from cgc.formula.scalar import Scalar

# mean and variance, and the mean of the absolute value, which says how far the mean cancels
Moments = tuple[Any, Any, Any]
Judge = Callable[[Any], Moments]
_NODES = 20
_HALVINGS = 3
DIGITS = 25
_FARTHEST = 30_000  # in the coordinate of a support; on bounded ones digits are as many as half of that
_N = sympy.Symbol("n", real=True)


def judge(law: Law) -> Judge:
    """Mean and variance of T(X) as a function of e, at mpmath's current precision."""
    match law:
        case FiniteExponential():
            return _states([(law.statistic, law.base_measure * _exp(E * law.statistic))] * len(law.support), law.support)
        case Density(support=Support() as support):
            return _whole(law) if support.whole else _interval(law)
        case Density():
            assert isinstance(law.support, tuple)
            return _states([(law.feature, _exp(law.log_density))] * len(law.support), law.support)
        case Noise():
            return _noise(law)
        case Gated():
            return _gated(law)
        case MaxOf():
            return _maximum(law)
        case Mixture():
            return _mixture(law)
        case _:
            raise TypeError(f"no judge of {type(law).__name__}")


def _exp(expression: Any) -> Any:
    return sympy.exp(expression, evaluate=False)


def _weighted(rows: Iterable[tuple[Any, Any]]) -> Moments:
    """The moments of weighted values."""
    kept = [(w, t) for w, t in rows if w]
    total = mpmath.fsum(w for w, _ in kept)
    mean = mpmath.fsum(w * t for w, t in kept) / total
    variance = mpmath.fsum(w * (t - mean) ** 2 for w, t in kept) / total
    return mean, variance, mpmath.fsum(w * abs(t) for w, t in kept) / total


def _states(rows: list[tuple[Any, Any]], support: tuple[Any, ...]) -> Judge:
    trees = [(freeze(t.subs(X, state)), freeze(w.subs(X, state))) for (t, w), state in zip(rows, support, strict=True)]
    return lambda e: _weighted((value(w, e=e), value(t, e=e)) for t, w in trees)


@cache
def _rule(digits: int) -> tuple[tuple[Any, Any], ...]:
    """Points and weights of Gauss-Legendre quadrature on [0, 1], polished in mpmath."""
    with mp.workdps(digits + 10):
        found = []
        for start in np.polynomial.legendre.leggauss(_NODES)[0]:
            x = mp.mpf(float(start))
            for _ in range(3):  # each doubles the digits, of which floats have 15
                p, slope = _legendre(x)
                x -= p / slope
            found.append(((x + 1) / 2, 1 / ((1 - x * x) * _legendre(x)[1] ** 2)))
        return tuple(found)


def _legendre(x: Any) -> tuple[Any, Any]:
    """The Legendre polynomial whose roots are the points, and its derivative, by Bonnet's recursion."""
    below, p = mp.one, x
    for n in range(2, _NODES + 1):
        below, p = p, ((2 * n - 1) * x * p - (n - 1) * below) / n
    return p, _NODES * (x * p - below) / (x * x - 1)


def _points(low: Any, high: Any) -> Iterable[tuple[Any, Any]]:
    """Points and weights on a panel."""
    return ((low + (high - low) * u, w * (high - low)) for u, w in _rule(mp.dps))


def _panels(edges: list[Any], integrand: Callable[[Any], tuple[Any, Any]]) -> Iterable[tuple[Any, Any]]:
    for low, high in itertools.pairwise(edges):
        for at, w in _points(low, high):
            weight, feature = integrand(at)
            yield weight * w, feature


def _noise(law: Noise) -> Judge:
    base = BASES[law.base]
    node, scale = freeze(law.value), freeze(drawn_scale(law, base.symmetric))
    log_density = freeze(base.log_density(_N))
    moving = wandering = False
    try:
        cuts = [value(freeze(part.high)) for part in pieces(law.value)[:-1]]
    except NoPieces:
        try:
            cuts, moving = [value(freeze(part.high)) for part in pieces(law.value.subs(Y, E + Y))[:-1]], True
        except NoPieces:
            try:
                cuts = [value(freeze(part.high)) for part in window(law.value)[:-1]]
            except NoPieces:
                cuts, wandering = [], law.value.has(E)
    if law.value.has(sympy.Function) or law.value.has(sympy.exp):
        cuts += [mp.mpf(k) for k in (-10, -4, -1, 0, 1, 4, 10)]
    low, high = base.reach
    # beside a value that grows as fast as most of the tail falls, the tail counts far out
    growing, waves = law.value.has(sympy.exp), law.value.has(sympy.sin, sympy.cos)
    far = growing and law.base not in ("normal", "uniform")
    low, high = (end if not far or abs(end) < 50 else 40 * end for end in (low, high))

    @cache
    def panel(digits: int, low: Any, high: Any) -> list[tuple[Any, Any]]:
        """Noises of a panel and their weights, which other energies ask for again."""
        found = []
        for v, w in _points(low, high):
            n = mpmath.sinh(v)
            found.append((n, mpmath.exp(value(log_density, n=n)) * mpmath.cosh(v) * w))
        return found

    def moments(e: Any) -> Moments:
        s = abs(value(scale, e=e))
        if s == 0:
            certain = value(node, y=e, e=e)
            return certain, mp.zero, abs(certain)
        found = _kinks_at(law, e) if wandering else cuts
        # in v = asinh(n) tails are as easy as the middle; panels end where the value or the density has a corner
        corners = [(cut - (0 if moving else e)) / s for cut in found] + [mp.mpf(b) for b in base.breaks]
        signed = s if base.symmetric else value(scale, e=e)

        def at(n: Any) -> Any:
            return value(node, y=e + signed * n, e=e)

        start, stop, fixed = low, high, []
        if growing and law.base == "normal":
            start, stop = _heavy(log_density, at)
            fixed = [mpmath.asinh(start + 4 * k) for k in range(1, int((stop - start) / 4))]
        inner = [mpmath.asinh(n) for n in corners if start < n < stop]
        first, last = mpmath.asinh(start), mpmath.asinh(stop)
        count = 6 if law.base == "normal" else 14 if far else 8
        if waves:  # which are as short in the tails as in the middle; what lies beyond is less than 1e-19
            bound, panels = (mp.mpf(230), 48) if far else (mp.mpf(46), 16)
            start, stop = max(start, -bound), min(stop, bound)
            fixed += [mpmath.asinh(start + (stop - start) * k / panels) for k in range(panels + 1)]
            inner = [v for v in inner if mpmath.asinh(start) < v < mpmath.asinh(stop)]
        else:
            fixed += [first + (last - first) * k / count for k in range(count + 1)]

        def over(edges: list[Any]) -> Moments:
            return _weighted((w, at(n)) for low, high in itertools.pairwise(edges) for n, w in panel(mp.dps, low, high))

        edges = sorted({*fixed, *inner})
        return over(edges) if not waves else _settled(edges, over)

    return moments


def _settled(edges: list[Any], over: Callable[[list[Any]], Moments]) -> Moments:
    """With panels halved until that changes nothing: waves may be shorter than panels."""
    found = over(edges)
    for _ in range(_HALVINGS):
        edges = sorted({*edges, *((a + b) / 2 for a, b in itertools.pairwise(edges))})
        before, found = found, over(edges)
        if all(abs(a - b) <= mp.mpf(10) ** -15 * max(1, abs(b)) for a, b in zip(before[:2], found[:2], strict=True)):
            return found
    raise Refusal(
        "CG503", "no rule is known for the expectation of this node", "value",
        why="its waves are too short, or it has too many corners, for its definition to be integrated numerically",
        help="use a smaller scale, longer waves, or fewer and plainer break points",
    )  # fmt: skip


def _heavy(log_density: Scalar, at: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Noises between which all of the density lies, of the density times the value, and of that times the value again."""
    found: list[tuple[Any, tuple[Any, ...]]] = []
    for k in range(-120, 121, 2):
        n = mp.mpf(k)
        try:
            size = mpmath.log(abs(at(n)) + mp.mpf(10) ** -300)
        except (ArithmeticError, ValueError):
            continue
        if mpmath.isfinite(size):
            found.append((n, tuple(value(log_density, n=n) + power * size for power in range(3))))
    top = [max(logs[power] for _, logs in found) for power in range(3)]
    heavy = [n for n, logs in found if any(w > t - 70 for w, t in zip(logs, top, strict=True))]
    return heavy[0] - 2, heavy[-1] + 2


def _kinks_at(law: Noise, e: Any) -> list[Any]:
    """Break points of the value at one energy, where they move with it."""
    try:
        return [value(freeze(cut)) for cut in kinks(law.value.subs(E, sympy.Rational(str(e))))]
    except NoPieces:
        return []


def _interval(law: Density) -> Judge:
    assert isinstance(law.support, Support)
    line = coordinate(law.support)
    log_density, feature = freeze(law.log_density), freeze(law.feature)
    bounded = not (law.support.low.is_infinite or law.support.high.is_infinite)
    # far out on a bounded interval x sits next to its end: as many digits as that takes
    side = [mp.mpf(k) / 4 for k in range(1, 41)] + [mp.mpf(10) * mp.mpf("1.25") ** k for k in range(1, 19 if bounded else 10)]
    usual = [*(-t for t in reversed(side)), mp.zero, *side]

    def logs(t: Any, e: Any) -> tuple[Any, Any]:
        """log of density times slope, and the feature."""
        with mp.workdps(mp.dps + (int(abs(t) / 2) if bounded else 3)):
            at, slope = line.mp(t)
            try:
                return value(log_density, x=at, e=e) + mpmath.log(slope), value(feature, x=at, e=e)
            except (ArithmeticError, ValueError):
                return -mp.inf, mp.zero

    def beyond(places: list[Any], found: list[Any], e: Any) -> list[tuple[Any, Any]]:
        """What lies outside of ``places``, to which others are added where that is no constant feature: at an end, densities are powers."""
        rest, furthest = [], _FARTHEST / 10 if bounded else _FARTHEST
        for last, nearer in ((0, 1), (-1, -2)):
            while found[last] > max(found) - 60:
                shown, other = (logs(places[k], e)[1] for k in (last, nearer))
                if abs(shown - other) <= mp.mpf(10) ** -DIGITS * max(1, abs(shown)):
                    fall = (found[nearer] - found[last]) / abs(places[last] - places[nearer])
                    rest.append((found[last] - mpmath.log(fall), shown))
                    break
                if abs(places[last]) > furthest:
                    raise Refusal(
                        "CG503", "no rule is known for the expectation of this density", "log_density",
                        why="it falls too slowly at an end of its support for its definition to be integrated numerically",
                        help="use a density that falls faster there",
                    )  # fmt: skip
                further = mp.mpf("1.25") * places[last]
                for known, new in ((places, further), (found, logs(further, e)[0])):
                    known.insert(len(known) if last else 0, new)
        return rest

    def moments(e: Any) -> Moments:
        scan = list(usual)
        found = [logs(t, e)[0] for t in scan]
        rest = beyond(scan, found, e)
        top = max(found)
        seen = [k for k, w in enumerate(found) if w > top - 60]
        heavy = [k for k, w in enumerate(found) if w > top - 12]
        first, last = (scan[k] for k in (max(seen[0] - 1, 0), min(seen[-1] + 1, len(scan) - 1)))
        low, high = (scan[k] for k in (max(heavy[0] - 1, 0), min(heavy[-1] + 1, len(scan) - 1)))
        # more panels where the mass is than in the tails
        kept = (*usual[:: 6 if bounded else 3], *(t for t in scan if abs(t) >= usual[-1]))
        coarse = {t for t in kept if first < t < last}
        edges = sorted({first, last} | coarse | {low + (high - low) * k / 8 for k in range(9) if high - low < 4})

        def integrand(t: Any) -> tuple[Any, Any]:
            w, shown = logs(t, e)
            return mpmath.exp(w - top), shown

        return _weighted([*_panels(edges, integrand), *((mpmath.exp(w - top), shown) for w, shown in rest)])

    return moments


def _whole(law: Density) -> Judge:
    assert isinstance(law.support, Support)
    log_density, feature = freeze(law.log_density), freeze(law.feature)

    def moments(e: Any) -> Moments:
        start = mp.zero if law.support.low.is_infinite else mp.mpf(int(law.support.low))  # type: ignore[union-attr]
        rows = list(_outwards(log_density, start, 1, e))
        if law.support.low.is_infinite:  # type: ignore[union-attr]
            rows = [*list(_outwards(log_density, start - 1, -1, e)), *rows]
        top = max(w for w, _ in rows)
        return _weighted((mpmath.exp(w - top), value(feature, x=x, e=e)) for w, x in rows)

    return moments


def _outwards(log_density: Scalar, start: Any, step: int, e: Any) -> Iterable[tuple[Any, Any]]:
    """Log-weights of whole numbers from ``start`` until they have fallen out of sight."""
    top, x, falling = -mp.inf, start, 0
    while falling < 3 and abs(x - start) < 200_000:
        w = value(log_density, x=x, e=e)
        falling = falling + 1 if w < top - 75 else 0
        top = max(top, w)
        yield w, x
        x += step


def _gated(law: Gated) -> Judge:
    passed, probability = freeze(law.value), freeze(law.prob)

    def moments(e: Any) -> Moments:
        with mp.workdps(2 * mp.dps + 30):
            p = value(probability, e=e)
            shares = [p, 1 - p] if law.open else [1 - p, p]
            return _weighted([(shares[0], value(passed, e=e)), (shares[1], mp.zero)])

    return moments


def _maximum(law: MaxOf) -> Judge:
    """max(Y₁, Y₂) by its density φ₁Φ₂ + φ₂Φ₁."""
    trees = [(freeze(mean), freeze(std)) for mean, std in zip(law.means, law.stds, strict=True)]

    def moments(e: Any) -> Moments:
        (m1, s1), (m2, s2) = ((value(mean, e=e), abs(value(std, e=e))) for mean, std in trees)
        if not (s1 and s2):
            return _one_fixed(m1, s1, m2, s2)
        edges = sorted({m + s * k for m, s in ((m1, s1), (m2, s2)) for k in (-13, -8, -4, -1, 1, 4, 8, 13)})

        def integrand(x: Any) -> tuple[Any, Any]:
            n1, n2 = (x - m1) / s1, (x - m2) / s2
            return mpmath.npdf(n1) / s1 * mpmath.ncdf(n2) + mpmath.npdf(n2) / s2 * mpmath.ncdf(n1), x

        return _weighted(_panels(edges, integrand))

    return moments


def _one_fixed(m1: Any, s1: Any, m2: Any, s2: Any) -> Moments:
    """One of the two is a constant b: max(b, Y), Y ~ N(m, s²)."""
    b, m, s = (m2, m1, s1) if s2 == 0 else (m1, m2, s2)
    edges = sorted({mp.mpf(-13), (b - m) / s, *(mp.mpf(k) for k in (-9, -6, -4, -2, 0, 2, 4, 6, 9, 13))})
    return _weighted(_panels([n for n in edges if -13 <= n <= 13], lambda n: (mpmath.npdf(n), max(b, m + s * n))))


def _mixture(law: Mixture) -> Judge:
    parts, weights = [judge(part) for part in law.laws], [freeze(weight) for weight in law.weights]

    def moments(e: Any) -> Moments:
        shares = [value(weight, e=e) for weight in weights]
        total = mpmath.fsum(shares)
        found = [part(e) for part in parts]
        mean = mpmath.fsum(p * m for p, (m, _, _) in zip(shares, found, strict=True)) / total
        second = mpmath.fsum(p * (v + (m - mean) ** 2) for p, (m, v, _) in zip(shares, found, strict=True)) / total
        return mean, second, mpmath.fsum(p * size for p, (_, _, size) in zip(shares, found, strict=True)) / total

    return moments
