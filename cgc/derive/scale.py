"""The scale of a noise as a function of the energy: where it has no value, and where it vanishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from cgc.derive.derivation import Refusal
from cgc.families.forms import Noise
from cgc.formula.freeze import freeze
from cgc.formula.numeric import Array, array
from cgc.formula.text import text

# below any scale that matters, above the square root of the smallest float32: keeps 0/0 out of value and gradient
_FLOOR = sympy.Rational(1, 10**18)
_CEILING = 10**18
# energies of a network lie here; farther out exp(e) may overflow
_REACH = 50.0

S = sympy.Symbol("s", positive=True)


@dataclass(frozen=True)
class Scale:
    """The noise's scale as a non-negative function of e, and an energy at which it vanishes.

    ``symbol`` stands for it in formulas: ``s``, or the scale itself where it is 1, or a number that is written ``inline``: some
    expectations under noise are known for numbers only.
    """

    formula: Any
    vanishes_at: float | None
    inline: bool = False

    @property
    def symbol(self) -> Any:
        return self.formula if self.inline or self.formula == 1 else S

    @property
    def zero(self) -> bool:
        return bool(self.formula.is_zero)


def drawn_scale(law: Noise, symmetric: bool = True) -> Any:
    """The factor of the noise in a draw, as a function of e; it may be negative where the noise is symmetric."""
    # a symmetric noise's scale needs no absolute value unless it has a floor
    if law.scale_min is not None:
        return sympy.Max(sympy.Abs(law.scale), law.scale_min)
    return law.scale if symmetric or law.scale.is_nonnegative else sympy.Abs(law.scale)


def scale_of(law: Noise) -> Scale:
    """The scale of ``law``. Raises Refusal where it has no finite value."""
    formula = law.scale if law.scale.is_nonnegative else sympy.Abs(law.scale)
    if law.scale_min is not None:
        if not (law.scale_min.is_number and _FLOOR <= _number(law.scale_min) <= _CEILING):
            raise Refusal("CG504", f"the least scale is {text(law.scale_min)}, not a positive number", "std_min")
        formula = sympy.Max(law.scale_min, formula)
    if formula.is_number:
        if not (formula.is_zero or _FLOOR <= _number(formula) <= _CEILING):
            raise Refusal(
                "CG505", f"the scale `{text(law.scale)}` is out of bounds", "std",
                why="a scale is 0 or a number between 1e-18 and 1e18, so that floats can divide by it",
            )  # fmt: skip
        return Scale(formula, 0.0 if formula.is_zero else None)
    side = np.geomspace(1e-9, _REACH, 4000)
    grid = np.concatenate([-side[::-1], [0.0], side])
    signed = _on(freeze(law.scale))
    values = signed(grid)
    # exp(3*e) may grow far out; what is beyond all bounds already where energies begin is no scale
    bad = grid[~np.isfinite(values) | ((np.abs(values) > _CEILING) & (np.abs(grid) <= 1))]
    pole = float(bad[np.argmin(np.abs(bad))]) if bad.size else _zero(lambda e: 1 / signed(e), grid)
    if pole is not None:
        raise Refusal(
            "CG505", f"the scale `{text(law.scale)}` has no finite value at e = {pole:g}", "std",
            why="the density of a node must exist for every energy", help="use an expression that is defined for all e",
        )  # fmt: skip
    return Scale(formula, _zero(signed, grid) if law.scale_min is None else None)


def _number(expression: Any) -> float:
    return float(array(freeze(expression)))


def _on(scalar: Any) -> Callable[[Array], Array]:
    def evaluate(energies: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.broadcast_to(array(scalar, e=energies), energies.shape)

    return evaluate


def _zero(function: Callable[[Array], Array], grid: Array) -> float | None:
    """The energy nearest to 0 at which a function vanishes, also without a change of sign; None if there is none on the grid's range."""
    with np.errstate(all="ignore"):
        size = np.abs(function(grid))
    inner = np.arange(1, len(grid) - 1)
    lowest = inner[(size[inner] <= size[inner - 1]) & (size[inner] <= size[inner + 1])]
    flat = lowest[(size[lowest] == size[lowest - 1]) & (size[lowest] == size[lowest + 1]) & (size[lowest] > 0)]
    for k in sorted(set(lowest.tolist()) - set(flat.tolist()), key=lambda k: (abs(grid[k]), grid[k])):
        at, least = _descend(function, float(grid[k - 1]), float(grid[k + 1]))
        if least <= 1e-7 * max((near for near in (size[k - 1], size[k + 1]) if np.isfinite(near)), default=0.0):
            return at
    return None


def _descend(function: Callable[[Array], Array], low: float, high: float) -> tuple[float, float]:
    """Place and size of the least absolute value in a bracket."""
    at = best = 0.0
    for _ in range(12):
        points = np.linspace(low, high, 33)
        with np.errstate(all="ignore"):
            size = np.abs(function(points))
        k = int(np.argmin(size))
        at, best = float(points[k]), float(size[k])
        low, high = float(points[max(k - 1, 0)]), float(points[min(k + 1, 32)])
    return at, best
