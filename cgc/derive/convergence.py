"""Which integrals and sums exist: how an integrand falls at an end, told by its local exponent there.

An integrand that falls like a power r^p at an end has p = d log|integrand| / d log r. At infinity it is summable for p < -1, at a
finite end for p > -1; what falls or grows faster than any power has p = -∞ or ∞.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import sympy
from mpmath import mp

from cgc.derive.bases import Noise as Base
from cgc.derive.derivation import Refusal
from cgc.derive.pieces import NoPieces, Piece, largest_number, pieces
from cgc.derive.scale import Scale
from cgc.families.forms import E, Noise, Y
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array, value
from cgc.formula.text import text

_ENERGIES = ("-20.3", "-3.1", "0.3", "3.2", "20.7")
# a borderline density such as 1/x is taken for what it is; beside it exponents are exact to many digits
_MARGIN = mp.mpf("1e-13")
_N = sympy.Symbol("n", real=True)
_LARGEST = 1e12


def exponent(log_size: Callable[[Any], Any], at: Any, towards: Any) -> Any:
    """d log|integrand| / d log r at r = |``at``|, of an integrand whose end is ``towards`` (0 or infinity)."""
    with mp.workdps(160):
        near, far = (at, at * 2) if towards else (at, at / 2)
        a, b = log_size(near), log_size(far)
        if b == -mp.inf:
            return -mp.inf if towards else mp.inf
        if not (mpmath.isfinite(a) and mpmath.isfinite(b)):
            return mp.inf if towards else -mp.inf
        return (b - a) / mpmath.log(far / near)


def diverges(log_size: Callable[[Any], Any], towards: Any, places: tuple[str, ...] = ("1e60", "1e65")) -> bool:
    """Whether an integral does not exist at infinity (``towards`` is inf) or at a finite end (``towards`` is 0, r the distance)."""
    if towards:
        return all(exponent(log_size, mp.mpf(place), True) >= -1 - _MARGIN for place in places)
    return all(exponent(log_size, 1 / mp.mpf(place), False) <= -1 + _MARGIN for place in places)


def refuse_divergence(law: Noise, base: Base, parts: tuple[Piece, ...], scale: Scale) -> None:
    """Raises Refusal (CG508) where the mean's integral over the noise does not exist."""
    if largest_number(parts) > _LARGEST:
        raise Refusal(
            "CG503", f"a number in `{text(law.value)}` is out of bounds", "value",
            why=f"beyond {_LARGEST:g} floats keep no digit of an energy that is added", help="use break points and coefficients below that",
        )  # fmt: skip
    end = divergent_end(base, parts, scale, 1)
    if end:
        part = parts[-1 if end == "infinity" else 0].polynomial
        raise Refusal(
            "CG508", f"a node with value `{text(law.value)}` has no mean", "value",
            f"the integral of `{text(part)}` does not converge at y = {end}: it outgrows the tail of the {law.base} noise",
            "use a smaller scale, or a value that grows less",
        )  # fmt: skip


def refuse_undefined(law: Noise) -> None:
    """Raises Refusal where value(y) is not a real number, or where its size has no integral."""
    side = np.sinh(np.linspace(1e-3, np.arcsinh(60.0), 1500))
    grid = np.concatenate([-side[::-1], side]) + 0.000137
    with np.errstate(all="ignore"):
        found = np.broadcast_to(array(freeze(law.value), y=grid, e=np.float64(0.3)), grid.shape)
    bad = grid[np.isnan(found)]
    if bad.size:
        raise Refusal(
            "CG504", f"`{text(law.value)}` is not a real number at y = {bad[np.argmin(np.abs(bad))]:.4g}", "value",
            why="Y takes every value", help="use max, abs or Piecewise to keep the argument where the function is defined",
        )  # fmt: skip
    for power in sorted(law.value.atoms(sympy.Pow), key=sympy.default_sort_key):
        if power.exp.is_number and power.exp <= -1 and power.base.has(Y) and not power.base.has(E):
            try:
                roots = [part.high for part in pieces(sympy.sign(power.base))[:-1]]
            except NoPieces:
                roots = []
            if roots:
                raise Refusal(
                    "CG508", f"a node with value `{text(law.value)}` has no mean", "value",
                    f"the integral of `{text(power)}` does not exist around y = {text(roots[0])}", "keep the denominator away from 0",
                )  # fmt: skip


def divergent_end(base: Base, parts: tuple[Piece, ...], scale: Scale, power: int) -> str:
    """The end at which E |X|^power does not exist: "infinity", "minus infinity", or "" where it exists."""
    s, log_density = freeze(scale.formula), freeze(base.log_density(_N))
    for end, part, bound in (("infinity", parts[-1], base.high), ("minus infinity", parts[0], base.low)):
        # polynomials never outgrow an exponential tail
        if not bound.is_infinite or part.degree >= 0 or not part.polynomial.has(Y):
            continue
        tree, sign = freeze(part.polynomial), 1 if end == "infinity" else -1
        for written in _ENERGIES if scale.formula.has(E) or part.polynomial.has(E) else _ENERGIES[2:3]:
            e = mp.mpf(written)

            def log_size(r: Any, e: Any = e, tree: Any = tree, sign: int = sign) -> Any:
                size = abs(value(tree, y=e + sign * value(s, e=e) * r, e=e))
                return power * mpmath.log(size) + value(log_density, n=sign * r) if size else -mp.inf

            if value(s, e=e) and diverges(log_size, mp.inf, ("3e3", "1e4")):
                return end
    return ""
