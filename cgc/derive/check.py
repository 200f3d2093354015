"""The check of every derivation: the expectation against the definition (a sum, or an integral by quadrature), tails included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mp

from cgc.derive.derivation import Check
from cgc.derive.pieces import pieces
from cgc.derive.scale import drawn_scale
from cgc.families.forms import FiniteExponential, Indicators, Law, X
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value
from cgc.formula.scalar import Scalar
from cgc.source.diagnostics import InternalCompilerError

# no numbers that people write: at a break point a node without noise has no expectation to compare with
_ENERGIES = ("-19.73", "-6.13", "-2.57", "-1.03", "-0.31", "0.11", "0.73", "2.09", "5.17", "19.91")
TOLERANCE = 1e-10


def check(law: Law, expectation: Scalar) -> Check:
    """Compare ``expectation`` with the definition at a grid of energies. Raises InternalCompilerError if they differ."""
    with mp.workdps(25):
        if isinstance(law, Indicators):
            return _labels(law)
        judge = _summed(law) if isinstance(law, FiniteExponential) else _integrated(law)
        # a mean that is much smaller than the noise has no more digits than the quadrature
        spread = _spread(law)
        worst = mp.zero
        for written in _ENERGIES:
            e = mp.mpf(written)
            truth = judge(e)
            with mp.workdps(150):  # the formula is judged, not how its terms cancel
                derived = value(expectation, e=e)
            worst = max(worst, abs(derived - truth) / max(abs(truth), mp.mpf(10) ** -10 * max(1, spread(e))))
    if worst > TOLERANCE:
        raise InternalCompilerError("derive", f"the derived expectation of {law} differs from its definition by {float(worst):.3g}")
    return Check("summation" if isinstance(law, FiniteExponential) else "quadrature", len(_ENERGIES), float(worst))


def _summed(law: FiniteExponential) -> Any:
    features = [value(freeze(law.statistic.subs(X, state))) for state in law.support]
    measures = [value(freeze(law.base_measure.subs(X, state))) for state in law.support]

    def mean(e: Any) -> Any:
        weights = [h * mpmath.exp(e * t) for h, t in zip(measures, features, strict=True)]
        return mpmath.fsum(t * w for t, w in zip(features, weights, strict=True)) / mpmath.fsum(weights)

    return mean


def _spread(law: Any) -> Any:
    """The size of what is averaged, beside the mean."""
    if isinstance(law, FiniteExponential):
        largest = max(abs(value(freeze(law.statistic.subs(X, state)))) for state in law.support)
        return lambda e: largest
    node, scale = freeze(law.value), freeze(drawn_scale(law))

    def size(e: Any) -> Any:
        s = abs(value(scale, e=e))
        return max(s, abs(value(node, y=e + s)), abs(value(node, y=e - s)))

    return size


def _integrated(law: Any) -> Any:
    node, scale = freeze(law.value), freeze(drawn_scale(law))
    cuts = [value(freeze(part.high)) for part in pieces(law.value)[:-1]]
    # written out: mpmath.npdf takes three times as long
    total = mpmath.sqrt(2 * mp.pi)
    density: Callable[[Any], Any] = (
        (lambda n: mpmath.exp(-n * n / 2) / total) if law.base == "normal" else (lambda n: mpmath.sech(n / 2) ** 2 / 4)
    )
    reach = 14 if law.base == "normal" else 70

    def mean(e: Any) -> Any:
        s = abs(value(scale, e=e))
        if s == 0:
            return value(node, y=e)
        inner = sorted(n for n in ((cut - e) / s for cut in cuts) if -reach < n < reach)
        # fixed panels keep the quadrature honest in the tails, where all mass of a piece is close to its cut
        panels = sorted({mp.mpf(-reach), *inner, *(mp.mpf(k) for k in range(-reach + 2, reach, 7)), mp.mpf(reach)})
        tail = [n + d for n in inner for d in (mp.mpf("0.25"), mp.one, mp.mpf(3)) if n + d < reach]
        return mpmath.quad(lambda n: value(node, y=e + s * n) * density(n), sorted({*panels, *tail}))

    return mean


def _labels(law: Indicators) -> Check:
    """softmax against central differences of the log-partition, at four labels."""
    energies = [mp.mpf(written) / 4 for written in ("-20", "-1", "0.7", "5")]
    step, worst = mp.mpf(10) ** -8, mp.zero

    def log_partition(values: list[Any]) -> Any:
        return mpmath.log(mpmath.fsum(mpmath.exp(e) for e in values))

    total = mpmath.fsum(mpmath.exp(e) for e in energies)
    for k in range(len(energies)):
        up, down = ([e + sign * step * (j == k) for j, e in enumerate(energies)] for sign in (1, -1))
        slope = (log_partition(up) - log_partition(down)) / (2 * step)
        worst = max(worst, abs(slope - mpmath.exp(energies[k]) / total) / slope)
    if worst > TOLERANCE:
        raise InternalCompilerError("derive", f"softmax differs from the log-partition's derivative by {float(worst):.3g}")
    return Check("differences of the log-partition", len(energies), float(worst))
