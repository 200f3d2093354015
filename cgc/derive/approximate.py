"""``emit: NAME``: the largest absolute error of a named activation over all energies, by a global search."""

from __future__ import annotations

from typing import Any

import numpy as np
from mpmath import mp

from cgc.derive.derivation import Approximation, Refusal
from cgc.formula.activations import activation
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array, value
from cgc.formula.scalar import Op, Scalar
from cgc.formula.text import text

_FAR = 1e4


def approximate(name: str, exact: Scalar, slope: Any) -> Approximation:
    """The approximation of ``exact`` by the activation ``name``. Raises Refusal if the error has no bound."""
    expression = activation(name, slope)
    formula = freeze(expression)
    error = Op("abs", (Op("sub", (exact, formula)),))
    # dense near 0, wide outside: asinh spacing; kinks of named activations are added as they are
    half = np.sinh(np.linspace(0, np.arcsinh(_FAR), 8001))
    grid = np.concatenate([-half[:0:-1], half])
    errors = np.nan_to_num(np.broadcast_to(array(error, e=grid), grid.shape), nan=0.0)
    _refuse_unbounded(name, error, float(errors.max()))
    if not errors.any():
        return Approximation(name, formula, text(expression), 0.0, (0.0,))
    # the ends count: an error may only be approached towards infinity
    last = len(grid) - 1
    peaks = [k for k in range(len(grid)) if errors[k] >= max(errors[max(k - 1, 0)], errors[min(k + 1, last)])]
    peaks = sorted(peaks, key=lambda k: -errors[k])[:12]
    found = [
        _refine(error, *(float(grid[j]) for j in (max(k - 1, 0), k, min(k + 1, last)))) for k in peaks if errors[k] >= 0.999 * errors.max()
    ]
    worst = max(e for _, e in found)
    places = sorted(at for at, e in found if e >= worst * (1 - 1e-12))
    distinct = [at for k, at in enumerate(places) if k == 0 or at - places[k - 1] > 1e-6 * (1 + abs(at))]
    return Approximation(name, formula, text(expression), worst, tuple(distinct))


def _refuse_unbounded(name: str, error: Scalar, largest: float) -> None:
    for sign in (-1, 1):
        far, farther = (float(array(error, e=np.float64(sign * _FAR * scale))) for scale in (10, 20))
        if not np.isfinite(farther) or (farther > 1.5 * far and farther > 1e-6 + 1.01 * largest):
            side = "minus infinity" if sign < 0 else "infinity"
            raise Refusal(
                "CG506", f"`{name}` is no approximation of this expectation: the error grows without bound", "emit",
                why=f"at e = {sign * _FAR * 20:g} it is {farther:.4g}, towards {side} it grows",
                help="leave `emit` out to compute the exact form, or choose another activation",
            )  # fmt: skip


def _refine(error: Scalar, low: float, middle: float, high: float) -> tuple[float, float]:
    """The maximum in a bracket by golden section, with 30 digits: error functions here are flat to 15."""
    with mp.workdps(30):

        def f(e: Any) -> Any:
            return value(error, e=e)

        a, b = mp.mpf(low), mp.mpf(high)
        golden = (mp.sqrt(5) - 1) / 2
        c, d = b - golden * (b - a), a + golden * (b - a)
        fc, fd = f(c), f(d)
        for _ in range(60):
            if fc > fd:
                b, d, fd = d, c, fc
                c = b - golden * (b - a)
                fc = f(c)
            else:
                a, c, fc = c, d, fd
                d = a + golden * (b - a)
                fd = f(d)
        # the top may sit on a kink of the grid itself, such as 0
        best = max(((f(e), e) for e in ((a + b) / 2, mp.mpf(middle))), key=lambda pair: pair[0])
        return float(best[1]) if abs(best[1]) > 1e-12 else 0.0, float(best[0])
