"""The activation in many digits: values, slopes, limits at both ends, corners."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mpmath
import sympy
from mpmath import mp
from sympy.core.relational import Relational

from cgc.derive.derivation import Refusal, Step
from cgc.derive.inverse.node import NoNode
from cgc.derive.inverse.numbers import number_of
from cgc.derive.routes import step
from cgc.families.forms import E
from cgc.formula.dual import dual
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value
from cgc.formula.scalar import shared
from cgc.formula.text import text

_FAR_DIGITS = 250

FARTHEST = 1e4

_OUT_OF_REACH = 2e5

# what 60 digits leave of a difference of numbers around 1
NOTHING = mp.mpf(10) ** -40

# at these energies a function has its limits, if it has any; exp(e) is beyond all bounds at the first pair, and at larger ones than
# the second functions of it take minutes
_ENDS = (("1e20", "1e40"), ("1e4", "1e5"), ("1e3", "1e4"))

_OFFSETS = ("1e-20", "1e-3", "0.03", "0.2", "0.5", "1", "2", "4", "8", "16")

_MOST_CORNERS = 24

ERRORS = (ArithmeticError, ValueError, TypeError, mpmath.libmp.NoConvergence)


@dataclass(frozen=True)
class _Limit:
    """How a function behaves at one end: its limit as an exact number, None where it has none (``missing`` says why)."""

    number: Any | None
    missing: str = ""


class Curve:
    """An activation with its values and slopes on a grid: both sides of 0 to 1e4, and around every place where its formula bends.

    Raises Refusal where it is no real number.
    """

    def __init__(self, expression: Any) -> None:
        self.expression = expression
        self.tree = shared(freeze(expression))
        self.corners = _corners(expression)
        for e in sorted({mp.zero, *(corner for corner, _ in self.corners)}, key=abs):
            self._checked(e)
        self.points = _grid(self.corners)
        found = [self._checked(e) for e in self.points]
        self.values = [v for v, _ in found]
        self.slopes = [d for _, d in found]

    def _checked(self, e: Any) -> tuple[Any, Any]:
        v, d = self.at(e)
        if v is None:
            raise Refusal(
                "CG513", f"`{text(self.expression)}` is no activation", why=f"at {place_text(e)} it is no real number, or beyond exp(1e9)",
                help="an expectation is a number at every energy",
            )  # fmt: skip
        return v, d

    def at(self, e: Any) -> tuple[Any, Any]:
        """Value and slope; None for what is no finite real number."""
        try:
            v, d = dual(self.tree, "e", e=e)
        except ERRORS:
            v, d = self._value(e), None
        return is_finite(v), is_finite(d)

    def _value(self, e: Any) -> Any:
        try:
            return value(self.tree, e=e)
        except ERRORS:
            return None

    def value(self, e: Any) -> Any:
        """The value. Raises Refusal where there is none."""
        return self._checked(e)[0]

    def slope(self, e: Any) -> Any:
        """The slope; where the formula has none, what is next to it. Raises NoNode."""
        found = next((d for d in (self.at(e + step)[1] for step in (0, mp.mpf(10) ** -25)) if d is not None), None)
        if found is None:
            raise NoNode(f"it has no derivative at {place_text(e)}")
        return found

    @property
    def searched(self) -> str:
        """Where conditions are tested, in words."""
        return f"at {len(self.points)} energies from {short_text(self.points[0])} to {short_text(self.points[-1])}"

    @cached_property
    def ends(self) -> tuple[_Limit, _Limit]:
        """Its limits at minus infinity and infinity."""
        return self._end(-1, 0, None), self._end(1, 0, None)

    @cached_property
    def end_slopes(self) -> tuple[_Limit, _Limit]:
        """The limits of its slope."""
        return self._end(-1, 1, None), self._end(1, 1, None)

    def beyond(self, line: Any) -> tuple[_Limit, _Limit]:
        """The limits of a(e) - line·e."""
        return self._end(-1, 0, line), self._end(1, 0, line)

    def _end(self, side: int, part: int, line: Any | None) -> _Limit:
        """The limit of value (0) or slope (1) at one end, less line·e."""
        name = "infinity" if side > 0 else "minus infinity"
        with mp.workdps(_FAR_DIGITS):
            for pair in _ENDS:
                near, far = (self._less(side * mp.mpf(place), part, line) for place in pair)
                if near is None or far is None:
                    continue
                gap = abs(far - near)
                if gap <= mp.mpf(10) ** -5 * max(1, abs(far)):
                    return _Limit(number_of(far, max(gap / 10, mp.mpf(10) ** -30)))
                if abs(far) > 1.2 * abs(near):
                    return _Limit(None, f"it grows without bound towards {name}")
                places = f"it is {short_text(near)} at e = {side * float(pair[0]):g} and {short_text(far)} at e = {side * float(pair[1]):g}"
                return _Limit(None, f"it has no limit at {name}: {places}")
        return _Limit(None, f"it grows without bound towards {name}")

    def _less(self, e: Any, part: int, line: Any | None) -> Any:
        found = self.at(e)[part]
        return found if found is None or line is None else found - value(freeze(line)) * e


def is_finite(number: Any) -> Any:
    return number if isinstance(number, mpmath.mpf) and mpmath.isfinite(number) else None


def short_text(number: Any) -> str:
    """Five digits; what is as good as 0 is 0."""
    if abs(number) < mp.mpf(10) ** -15:
        return "0"
    return f"{float(number):.5g}" if mp.mpf(10) ** -300 < abs(number) < mp.mpf(10) ** 300 else str(mpmath.nstr(number, 5))


def place_text(e: Any) -> str:
    """An energy in words; next to 0 the side counts."""
    side = "" if e == 0 or abs(e) > mp.mpf(10) ** -15 else " from above" if e > 0 else " from below"
    return f"e = {short_text(e)}{side}"


def _grid(corners: list[tuple[Any, Any]]) -> list[Any]:
    """Energies on both sides of 0 and around corners, without the corners themselves, at which a slope may have no meaning."""
    width = mpmath.asinh(FARTHEST) / 200
    side = [mpmath.sinh(k * width) for k in range(1, 201)]
    found = {mp.zero, *side, *(-e for e in side)}
    for corner, width in corners:
        for offset in _OFFSETS:
            found |= {corner - mp.mpf(offset) * width, corner + mp.mpf(offset) * width}
    return sorted(e for e in found - {corner for corner, _ in corners} if abs(e) <= _OUT_OF_REACH)


def _corners(expression: Any) -> list[tuple[Any, Any]]:
    """Where polynomials inside the formula vanish or turn, with the width over which they change by 1."""
    inner: list[Any] = []
    for node in sympy.preorder_traversal(expression):
        if isinstance(node, (sympy.Max, sympy.Min)):
            ordered = sorted(node.args, key=sympy.default_sort_key)
            inner += [a - b for a, b in itertools.combinations(ordered, 2)]
        elif isinstance(node, Relational):
            inner.append(node.lhs - node.rhs)
        elif node == E or node.is_Add or node.is_Mul:
            inner.append(node)
    found: list[tuple[Any, Any]] = []
    for node in dict.fromkeys(inner):
        for corner, width in _roots(node):
            new = all(abs(corner - other) > NOTHING for other, _ in found)
            if new and max(abs(corner), width) <= _OUT_OF_REACH and len(found) < _MOST_CORNERS:
                found.append((corner, width))
    return found


def _roots(node: Any) -> list[tuple[Any, Any]]:
    if not (node.has(E) and node.is_polynomial(E)):
        return []
    coefficients = [value(freeze(c)) for c in sympy.Poly(node, E).all_coeffs()]
    if len(coefficients) == 2:
        return [(-coefficients[1] / coefficients[0], 1 / abs(coefficients[0]))]
    if len(coefficients) > 9:
        return []
    turning = [k * c for k, c in zip(range(len(coefficients) - 1, 0, -1), coefficients, strict=False)]
    found: list[tuple[Any, Any]] = []
    for polynomial in (coefficients, turning):
        try:
            roots = mpmath.polyroots(polynomial, maxsteps=200, extraprec=200)
        except mpmath.libmp.NoConvergence:
            continue
        found += [(mpmath.re(root), mp.one) for root in roots if abs(mpmath.im(root)) < mp.mpf(10) ** -20]
    return found


def given_step(curve: Curve) -> Step:
    return step("the activation", curve.expression, "", "a(e)")
