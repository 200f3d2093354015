"""The check of every derivation: expectation and variance against the definition (a sum, or an integral by quadrature), tails included."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
from mpmath import mp

from cgc.derive.derivation import Check, Refusal
from cgc.derive.judge import DIGITS, Moments, judge
from cgc.derive.routes import Route
from cgc.families.forms import Density, FiniteExponential, Gated, Indicators, Law, Mixture, Noise, Support
from cgc.formula.numeric import array, value
from cgc.formula.scalar import Over, Scalar, walk
from cgc.source.diagnostics import InternalCompilerError

# no numbers that people write: at a break point a node without noise has no expectation to compare with
_ENERGIES = ("-19.73", "-6.13", "-2.57", "-1.03", "-0.31", "0.11", "0.73", "2.09", "5.17", "19.91")
TOLERANCE = 1e-10
# a numerical rule that is worse than this is none
LOOSEST = 1e-3
_LARGEST = float(np.finfo(np.float64).max)


def defined(law: Law, route: Route) -> tuple[Moments, ...]:
    """What the definition says at a grid of energies; nothing for labels, which are checked as they are."""
    with mp.workdps(DIGITS):
        if isinstance(law, Indicators):
            return ()
        truth = judge(law)
        return tuple(truth(e) for e in _energies(law, route))


def check(law: Law, expectation: Scalar, variance: Scalar, route: Route, truths: tuple[Moments, ...]) -> Check:
    """Compare with what is ``defined``. Raises InternalCompilerError where closed forms differ from it, and Refusal where a numerical
    rule is too far off."""
    with mp.workdps(DIGITS):
        if isinstance(law, Indicators):
            return _labels(law)
        worst, where = mp.zero, 0.0
        energies = _energies(law, route)
        means, spreads = _values(expectation, energies), _values(variance, energies)
        for e, mean_found, spread_found, truth in zip(energies, means, spreads, truths, strict=True):
            mean, spread, absolute = truth
            # where there is no variance, what a quadrature says of it means nothing
            size = abs(mean) if mpmath.isinf(spread_found) else max(abs(mean), mpmath.sqrt(spread))
            # a moment that is much smaller than what is averaged has no more digits than the quadrature
            least = mp.mpf(10) ** -10 * max(1, size), mp.mpf(10) ** -10 * max(1, size**2)
            pairs = ((mean_found, mean, max(least[0], mp.mpf(10) ** -6 * absolute)), (spread_found, spread, least[1]))
            for found, wanted, floor in pairs:
                difference = _difference(found, wanted, floor)
                if difference > worst:
                    worst, where = difference, float(e)
    if route.method:
        if worst > LOOSEST:
            raise Refusal(
                "CG503", "no rule is known for the expectation of this node", "value" if isinstance(law, Noise) else "log_density",
                why=f"quadrature is off by {float(worst):.2g} at e = {where:g}", help="use a function with fewer and plainer break points",
            )  # fmt: skip
    elif worst > TOLERANCE:
        raise InternalCompilerError(
            "derive", f"the derived moments of {law} differ from their definition by {float(worst):.3g} at e = {where:g}"
        )
    return Check(_against(law), len(_ENERGIES), float(worst), where)


def _energies(law: Law, route: Route) -> list[Any]:
    low, high = max(route.limits[0], -20.0), min(route.limits[1], 20.0)
    if _has_density(law):
        # sums and integrals that the definition can be asked for: means grow like exp(e)
        low, high = max(low, -4.0), min(high, 4.0)
    return [_float(mp.mpf(low) + (mp.mpf(high) - low) * (mp.mpf(written) + 20) / 40) for written in _ENERGIES]


def _has_density(law: Law) -> bool:
    if isinstance(law, Mixture):
        return any(_has_density(part) for part in law.laws)
    return isinstance(law, Density) and isinstance(law.support, Support)


def _float(e: Any) -> Any:
    """The nearest number that floats hold, so that tables and definitions are asked for the same energy."""
    return mp.mpf(float(e))


def _values(formula: Scalar, energies: list[Any]) -> list[Any]:
    if any(isinstance(node, Over) for node in walk(formula)):
        # a table is judged as floats compute it
        grid = np.array([float(e) for e in energies])
        with np.errstate(all="ignore"):
            return [mp.mpf(float(found)) for found in np.broadcast_to(array(formula, e=grid), grid.shape)]
    with mp.workdps(150):  # the formula is judged, not how its terms cancel
        return [value(formula, e=e) for e in energies]


def _difference(found: Any, wanted: Any, floor: Any) -> Any:
    # what is more than floats hold is not computed, nor need its definition be integrated so far out
    if mpmath.isinf(wanted) or abs(found) > _LARGEST:
        return mp.zero
    return abs(found - wanted) / max(abs(wanted), floor)


def _against(law: Law) -> str:
    match law:
        case FiniteExponential() | Gated():
            return "summation"
        case Density(support=Support() as support):
            return "summation" if support.whole else "quadrature"
        case Density():
            return "summation"
        case Mixture():
            return "summation and quadrature"
        case _:
            return "quadrature"


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
