"""The way back: from an activation a(e) to a node whose expectation it is.

For Y = e + noise, with F the distribution function of -noise, E 1[Y > 0] = F(e) and E max(0, Y) = ∫F. So an activation that is a
distribution function (or an affine image of one) is a threshold node, and one whose *derivative* is one is a rectified node; the
noise has the density F'(-y). An activation that is e times a probability is a gate, an exponential is the mean of a scale.

Limits, monotonicity and the noise are tested in many digits on the activation itself; nothing is looked up by name. What is found is
derived forward again before it is returned.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from typing import Any

import mpmath
import numpy as np
import sympy
from mpmath import mp
from pydantic import ValidationError
from sympy.core.relational import Relational
from sympy.printing.str import StrPrinter

from cgc.derive.bases import BASES
from cgc.derive.derivation import Derivation, Refusal, Step
from cgc.derive.derive import derive
from cgc.derive.pieces import NoPieces, pieces
from cgc.derive.routes import step
from cgc.families.forms import Base, E, X, Y
from cgc.families.registry import registry
from cgc.formula.dual import dual
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array, value
from cgc.formula.parse import FormulaError, parse
from cgc.formula.scalar import shared
from cgc.formula.text import latex, text
from cgc.source.diagnostics import InternalCompilerError

DIGITS = 60
_FAR_DIGITS = 250
_FARTHEST = 1e4
_OUT_OF_REACH = 2e5
# what 60 digits leave of a difference of numbers around 1
_NOTHING = mp.mpf(10) ** -40
_AGREES = mp.mpf(10) ** -28
_TOLERANCE = mp.mpf(10) ** -12
# at these energies a function has its limits, if it has any; exp(e) is beyond all bounds at the first pair, and at larger ones than
# the second functions of it take minutes
_ENDS = (("1e20", "1e40"), ("1e4", "1e5"), ("1e3", "1e4"))
_OFFSETS = ("1e-20", "1e-3", "0.03", "0.2", "0.5", "1", "2", "4", "8", "16")
_MOST_CORNERS = 24
_LONGEST = 120
_ERRORS = (ArithmeticError, ValueError, TypeError, mpmath.libmp.NoConvergence)
_QUARTERS = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
_SYMBOLS = {"e": E, "x": X, "y": Y}


@dataclass(frozen=True)
class Inverse:
    """A node whose expectation is a given activation.

    ``kind`` says what sort of node it is: linear, deterministic, binary, threshold, rectified, two_slopes, gate or exponential.
    ``family`` are its fields as a spec holds them, ``block`` the same as one line of YAML. ``steps`` are the conditions that were
    tested, and that they hold; ``notes`` say what else has this expectation.
    """

    kind: str
    block: str
    family: dict[str, object]
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Node:
    """A node that should have the expectation: ``families`` in the order of preference, all with that same expectation."""

    kind: str
    families: tuple[dict[str, object], ...]
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


class _NoNode(Exception):
    """Why there is no node of one sort. ``exists`` says that there is one all the same, which no family expresses."""

    def __init__(self, reason: str, exists: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.exists = reason, exists


def invert(activation: sympy.Expr) -> Inverse:
    """The node whose expectation is ``activation``, an expression in e.

    Raises Refusal (CG513) where there is none, with the condition that fails, and where, for every sort of node.
    """
    written = text(activation)
    if not activation.has(E):
        raise Refusal("CG513", f"`{written}` is no activation", why="it does not depend on the energy e", help="write a function of e")
    reasons: list[str] = []
    notes: list[str] = []
    with mp.workdps(DIGITS):
        curve = _Curve(activation)
        for name, attempt in _SORTS:
            try:
                return _confirmed(curve, attempt(curve), tuple(notes))
            except _NoNode as no:
                reasons.append(f"{name}: {no.reason}")
                if no.exists:
                    notes.append(_sentence(no.reason))
    spelled = _spell(activation.subs(E, Y))
    plain = _flow({"kind": "noise", "base": "normal", "scale": 0, "value": spelled}) if spelled else "{…, scale: 0}"
    raise Refusal(
        "CG513", f"no node with noise has the expectation `{written}`", why=". ".join(reasons),
        help=f"without noise a node is any function of its energy: {plain}",
    )  # fmt: skip


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


# --- the activation in many digits


@dataclass(frozen=True)
class _Limit:
    """How a function behaves at one end: its limit as an exact number, None where it has none (``missing`` says why)."""

    number: Any | None
    missing: str = ""


class _Curve:
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
                "CG513", f"`{text(self.expression)}` is no activation", why=f"at {_place(e)} it is no real number, or beyond exp(1e9)",
                help="an expectation is a number at every energy",
            )  # fmt: skip
        return v, d

    def at(self, e: Any) -> tuple[Any, Any]:
        """Value and slope; None for what is no finite real number."""
        try:
            v, d = dual(self.tree, "e", e=e)
        except _ERRORS:
            v, d = self._value(e), None
        return _finite(v), _finite(d)

    def _value(self, e: Any) -> Any:
        try:
            return value(self.tree, e=e)
        except _ERRORS:
            return None

    def value(self, e: Any) -> Any:
        """The value. Raises Refusal where there is none."""
        return self._checked(e)[0]

    def slope(self, e: Any) -> Any:
        """The slope; where the formula has none, what is next to it. Raises _NoNode."""
        found = next((d for d in (self.at(e + step)[1] for step in (0, mp.mpf(10) ** -25)) if d is not None), None)
        if found is None:
            raise _NoNode(f"it has no derivative at {_place(e)}")
        return found

    @property
    def searched(self) -> str:
        """Where conditions are tested, in words."""
        return f"at {len(self.points)} energies from {_short(self.points[0])} to {_short(self.points[-1])}"

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
                    return _Limit(_number_of(far, max(gap / 10, mp.mpf(10) ** -30)))
                if abs(far) > 1.2 * abs(near):
                    return _Limit(None, f"it grows without bound towards {name}")
                places = f"it is {_short(near)} at e = {side * float(pair[0]):g} and {_short(far)} at e = {side * float(pair[1]):g}"
                return _Limit(None, f"it has no limit at {name}: {places}")
        return _Limit(None, f"it grows without bound towards {name}")

    def _less(self, e: Any, part: int, line: Any | None) -> Any:
        found = self.at(e)[part]
        return found if found is None or line is None else found - value(freeze(line)) * e


def _finite(number: Any) -> Any:
    return number if isinstance(number, mpmath.mpf) and mpmath.isfinite(number) else None


def _short(number: Any) -> str:
    """Five digits; what is as good as 0 is 0."""
    if abs(number) < mp.mpf(10) ** -15:
        return "0"
    return f"{float(number):.5g}" if mp.mpf(10) ** -300 < abs(number) < mp.mpf(10) ** 300 else str(mpmath.nstr(number, 5))


def _place(e: Any) -> str:
    """An energy in words; next to 0 the side counts."""
    side = "" if e == 0 or abs(e) > mp.mpf(10) ** -15 else " from above" if e > 0 else " from below"
    return f"e = {_short(e)}{side}"


def _grid(corners: list[tuple[Any, Any]]) -> list[Any]:
    """Energies on both sides of 0 and around corners, without the corners themselves, at which a slope may have no meaning."""
    width = mpmath.asinh(_FARTHEST) / 200
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
            new = all(abs(corner - other) > _NOTHING for other, _ in found)
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


# --- distribution functions


@dataclass(frozen=True)
class _Share:
    """What should be a distribution function: ``of`` an energy, and on the curve's grid."""

    of: Callable[[Any], Any]
    points: list[Any]
    values: list[Any]


@dataclass(frozen=True)
class _Match:
    """The noise s·n of a distribution function F(e) = P(e + s·n > m); with ``backwards`` it is that of -s·n, which no node has."""

    base: Base
    place: Any
    scale: Any
    backwards: bool


def _fall(values: Sequence[Any]) -> tuple[int, int] | None:
    """Between which two points a function falls the most; None where it never falls."""
    top, worst, found = 0, _NOTHING, None
    for k, v in enumerate(values):
        if v > values[top]:
            top = k
        elif values[top] - v > worst:
            worst, found = values[top] - v, (top, k)
    return found


def _extreme(function: Callable[[Any], Any], points: Sequence[Any], k: int, sign: int) -> tuple[Any, Any]:
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


def _quantile(share: _Share, probability: Fraction) -> Any:
    """Where F passes a probability, by bisection: F may jump there."""
    goal = mp.mpf(probability.numerator) / probability.denominator
    k = next((k for k, v in enumerate(share.values) if v >= goal), 0)
    if k == 0:
        raise _NoNode("a quarter or more of its noise lies beyond all energies that were searched")
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


def _noise(share: _Share) -> _Match | None:
    """The base noise whose distribution function this is, up to place and scale; None if it is none of them."""
    first, middle, last = (_quantile(share, q) for q in _QUARTERS)
    ways = [(base, False) for base in BASES] + [(base, True) for base, noise in BASES.items() if not noise.symmetric]
    for base, backwards in ways:
        low, half, high = _quarters(base, backwards)
        scale = (last - first) / (high - low)
        if scale > _NOTHING and _agree(share, _distribution(base, backwards), middle - scale * half, scale):
            return _Match(base, middle - scale * half, scale, backwards)
    return None


def _agree(share: _Share, function: Callable[[Any], Any], place: Any, scale: Any) -> bool:
    """At 61 places across the noise, then on the whole grid."""
    across = (mp.mpf(k) * 97 / 100 + mp.mpf(13) / 1000 for k in range(-30, 31))
    if any(abs(share.of(place + scale * z) - function(z)) > _AGREES for z in across):
        return False
    return all(abs(v - function((e - place) / scale)) <= _AGREES for e, v in zip(share.points, share.values, strict=True))


# --- numbers that people write


def _number_of(number: Any, tolerance: Any = _AGREES) -> Any:
    """The number that people would write: a fraction, a short decimal, its root, a multiple of π, a logarithm; else 17 digits."""
    if abs(number) <= tolerance:
        return sympy.Integer(0)
    sign = 1 if number > 0 else -1
    size = abs(number)
    forms: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
        (size, lambda r: r), (size**2, sympy.sqrt), (size / mp.pi, lambda r: r * sympy.pi), (size * mp.pi, lambda r: r / sympy.pi),
        (size**2 * mp.pi, lambda r: sympy.sqrt(r / sympy.pi)), (size**2 / mp.pi, lambda r: sympy.sqrt(r * sympy.pi)),
        ((size / mp.pi) ** 2, lambda r: sympy.sqrt(r) * sympy.pi), ((size * mp.pi) ** 2, lambda r: sympy.sqrt(r) / sympy.pi),
        (mpmath.exp(size) if size < 9 else mp.mpf(0), sympy.log), (mpmath.log(size), sympy.exp),
    )  # fmt: skip
    for at, build in forms:
        found = _rational(at, tolerance * max(1, abs(at)))
        if found is not None and found != 0:
            return sign * build(found)
    return sympy.Rational(mpmath.nstr(number, 17))


def _rational(number: Any, tolerance: Any) -> Any | None:
    """A fraction below 1000/1000 in lowest terms, or a decimal of at most 18 digits."""
    if abs(number) > 10**12 or abs(number) <= tolerance:
        return None
    with mp.workdps(max(mp.dps, DIGITS)):
        near = Fraction(mpmath.nstr(number, 50)).limit_denominator(1000)
        if abs(mp.mpf(near.numerator) / near.denominator - number) <= tolerance:
            return sympy.Rational(near.numerator, near.denominator)
        for places in range(1, 19):
            whole = mpmath.nint(number * 10**places)
            if abs(whole / mp.mpf(10) ** places - number) <= min(tolerance, mp.mpf(10) ** (-places - 8)):
                return sympy.Rational(int(whole), 10**places)
    return None


# --- the language of specs


_WORDS = {
    "Abs": "abs", "Expm1": "expm1", "LogSigmoid": "log_sigmoid", "Max": "max", "Min": "min", "NormCdf": "normal_cdf",
    "NormPdf": "normal_pdf", "Sigmoid": "sigmoid", "Softplus": "softplus", "Tanh": "tanh", "cos": "cos", "erf": "erf", "exp": "exp",
    "log": "log", "loggamma": "lgamma", "sign": "sign", "sin": "sin", "tanh": "tanh",
}  # fmt: skip


class _Spelling(StrPrinter):  # type: ignore[misc]
    """Formulas as a spec writes them. Raises KeyError for a function without a word."""

    def _print_Function(self, expr: Any) -> str:
        return f"{_WORDS[type(expr).__name__]}({', '.join(self._print(argument) for argument in expr.args)})"

    _print_Abs = _print_Function

    def _print_Max(self, expr: Any) -> str:
        # max(0, y) and max(0.1*y, y) read better than the other way round
        ordered = sorted(expr.args, key=lambda a: (not a.is_number, -sympy.count_ops(a), sympy.default_sort_key(a)))
        return f"{_WORDS[type(expr).__name__]}({', '.join(self._print(argument) for argument in ordered)})"

    _print_Min = _print_Max

    def _print_LogisticPdf(self, expr: Any) -> str:
        return f"(sigmoid({self._print(expr.args[0])})*sigmoid({self._print(-expr.args[0])}))"

    def _print_Relational(self, expr: Any) -> str:
        # y > 2 rather than 2 < y
        expr = expr if expr.lhs.has(*_SYMBOLS.values()) else expr.reversed
        return f"{self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)}"

    def _print_Exp1(self, expr: Any) -> str:
        return "exp(1)"

    def _print_Piecewise(self, expr: Any) -> str:
        return f"Piecewise({', '.join(f'({self._print(v)}, {self._print(c)})' for v, c in expr.args)})"

    def _print_And(self, expr: Any) -> str:
        return " and ".join(f"({self._print(part)})" for part in sorted(expr.args, key=sympy.default_sort_key))

    def _print_Or(self, expr: Any) -> str:
        return " or ".join(f"({self._print(part)})" for part in sorted(expr.args, key=sympy.default_sort_key))


def _spell(expression: Any) -> str | None:
    """A formula in the language of specs, which ``parse`` reads back; None where the language has no word for it."""
    # 1/2 and 2/3, but 0.1 and 37.5
    long = [r for r in expression.atoms(sympy.Rational) if r.q > 1 and max(abs(r.p), r.q) >= 10]
    decimals = {r: written for r in long if (written := _decimal(r)) is not None}
    named = {r: sympy.Symbol(written.removeprefix("-"), positive=True) for r, written in decimals.items()}
    try:
        shown = expression.xreplace({r: symbol if r > 0 else -symbol for r, symbol in named.items()})
        written = str(_Spelling().doprint(shown))
        parse(written, _SYMBOLS)
    except (KeyError, FormulaError):
        return None
    return written


def _decimal(number: Any) -> str | None:
    """A fraction as a decimal number, where it is a finite one."""
    for places in range(1, 31):
        scaled = number * 10**places
        if scaled.is_Integer:
            digits = str(abs(int(scaled))).rjust(places + 1, "0")
            return f"{'-' if number < 0 else ''}{digits[:-places]}.{digits[-places:]}"
    return None


def _flow(family: dict[str, object]) -> str:
    """A family as one line of YAML; formulas are quoted."""
    return "{" + ", ".join(f"{key}: {_entry(entry)}" for key, entry in family.items()) + "}"


def _entry(entry: object) -> str:
    if isinstance(entry, list):
        return f"[{', '.join(_entry(item) for item in entry)}]"
    written = str(entry)
    return written if not isinstance(entry, str) or re.fullmatch(r"[A-Za-z_]\w*", written) else f"'{written}'"


def _field(number: Any) -> object:
    """A number or a formula as the value of a field."""
    if number.is_Integer:
        return int(number)
    spelled = _spell(number)
    if spelled is None:
        raise _NoNode(f"`{text(number)}` cannot be written in a spec")
    return spelled


# --- the sorts of nodes, in the order in which they are tried


def _linear(curve: _Curve) -> _Node:
    """a·e + b: a Gaussian node, around whose energy the noise is even."""
    slopes = [(d, e) for e, d in zip(curve.points, curve.slopes, strict=True) if d is not None]
    (least, low), (most, high) = min(slopes, key=lambda pair: pair[0]), max(slopes, key=lambda pair: pair[0])
    if most - least > _NOTHING:
        raise _NoNode(f"its slope is {_short(least)} at {_place(low)} and {_short(most)} at {_place(high)}")
    start = curve.value(mp.zero)
    jump = next((e for e, v in zip(curve.points, curve.values, strict=True) if abs(v - start - most * e) > _NOTHING * (1 + abs(v))), None)
    if jump is not None:
        raise _NoNode(f"it jumps between e = 0 and e = {_short(jump)}")
    a, b = _number_of(most), _number_of(start)
    steps = (_given(curve), step(f"its slope is the same {curve.searched}", a, "", "a'(e)"))
    if (a, b) == (1, 0):
        return _Node("linear", ({"kind": "gaussian", "std": 1},), steps, ("Any std has this expectation.",))
    family = {"kind": "noise", "base": "normal", "scale": 1, "value": _field(a * Y + b)}
    return _Node("linear", (family,), steps, ("Any noise with mean 0 has this expectation, at any scale.",))


def _given(curve: _Curve) -> Step:
    return step("the activation", curve.expression, "", "a(e)")


def _certain(curve: _Curve) -> _Node:
    """A piecewise linear function with corners: noise would round them."""
    parts = _linear_parts(curve)
    if parts is None:
        raise _NoNode("it is not piecewise linear")
    if _ramp(parts):
        raise _NoNode("a ramp between two constants is a threshold under uniform noise")
    shown = curve.expression.subs(E, Y)
    if len(parts) == 2 and _continuous(parts):
        better = sympy.Max if parts[1].polynomial.coeff(Y, 1) > parts[0].polynomial.coeff(Y, 1) else sympy.Min
        plain = better(*(part.polynomial for part in parts))
        shown = shown if sympy.count_ops(shown) <= sympy.count_ops(plain) else plain
    corners = ", ".join(text(part.high) for part in parts[:-1])
    drawn = ", ".join(latex(part.high) for part in parts[:-1])
    steps = (
        _given(curve),
        Step("it is piecewise linear, with corners or jumps at", f"e = {corners}", f"e = {drawn}"),
        Step("noise would round a corner, so there is none: Y = e", "scale = 0", r"s = 0"),
        step("the node", shown, "", "X = value(Y), value(y)"),
    )
    note = "This is the limit of nodes with noise: a scale above 0 rounds the corners."
    return _Node("deterministic", ({"kind": "noise", "base": "normal", "scale": 0, "value": _field(shown)},), steps, (note,))


def _linear_parts(curve: _Curve) -> Any | None:
    """The pieces of a piecewise linear function; None for any other."""
    bent = (sympy.Abs, sympy.sign, sympy.Piecewise)
    if any(isinstance(node, sympy.Function) and not isinstance(node, bent) for node in sympy.preorder_traversal(curve.expression)):
        return None
    try:
        parts = pieces(curve.expression.subs(E, Y))
    except NoPieces:
        return None
    return parts if len(parts) > 1 and all(0 <= part.degree <= 1 for part in parts) else None


def _continuous(parts: Any) -> bool:
    return all(sympy.expand((a.polynomial - b.polynomial).subs(Y, a.high)) == 0 for a, b in itertools.pairwise(parts))


def _ramp(parts: Any) -> bool:
    return [part.degree for part in parts] == [0, 1, 0] and _continuous(parts)


def _threshold(curve: _Curve) -> _Node:
    """line·e + an affine image of a distribution function: a node with a jump at one latent value."""
    line, low, high = _levels(curve)
    bottom, span, slope = value(freeze(low)), value(freeze(high - low)), value(freeze(line))
    share = _Share(
        lambda e: (curve.value(e) - slope * e - bottom) / span, curve.points,
        [(v - slope * e - bottom) / span for e, v in zip(curve.points, curve.values, strict=True)],
    )  # fmt: skip
    _refuse_falling(curve, share, line, high - low)
    written = (curve.expression - line * E - low) / (high - low)
    steps = [
        _given(curve),
        _limits("limits" if line == 0 else f"limits of a(e) - {text(line * E)}", low, high),
        step(f"it {_monotone(curve)}", written, "", "F(e)"),
    ]
    match = _noise(share)
    density = _density(curve, line, high - low, 1)
    if match is None or match.backwards:
        return _gate_of_share(curve, steps, _no_base("threshold", match, share, density), line, low, high)
    return _jump(curve, match, steps, density, line, low, high)


def _levels(curve: _Curve) -> tuple[Any, Any, Any]:
    """The slope that both ends share, and what is left at either end without it."""
    low, high = curve.ends
    line: Any = sympy.Integer(0)
    if low.number is None or high.number is None:
        left, right = curve.end_slopes
        if left.number is None or left.number != right.number or left.number == 0:
            raise _NoNode(low.missing or high.missing)
        line = left.number
        low, high = curve.beyond(line)
    if low.number is None or high.number is None:
        raise _NoNode(f"less {text(line * E)}, {low.missing or high.missing}")
    if low.number == high.number:
        raise _NoNode(f"its limits at both ends are {text(low.number)}" if line == 0 else "it has the same asymptote at both ends")
    return line, low.number, high.number


def _monotone(curve: _Curve) -> str:
    return f"never turns back {curve.searched}, so this is a distribution function, of -noise"


def _limits(reason: str, low: Any, high: Any) -> Step:
    return Step(reason, f"{text(low)} at -∞, {text(high)} at ∞", rf"{latex(low)}\ (-\infty),\ {latex(high)}\ (\infty)")


def _refuse_falling(curve: _Curve, share: _Share, line: Any, span: Any) -> None:
    """What turns back is no distribution function. Raises _NoNode with the place."""
    rises = bool(value(freeze(span)) > 0)
    found = _fall(share.values)
    if found is not None:
        ends = [_extreme(share.of, share.points, k, sign) for k, sign in zip(found, (1, -1), strict=True)]
        words = [f"{_short(curve.value(e))} at {_place(e)}" for e, _ in ends]
        kind = "falls" if rises else "rises"
        what = "it" if line == 0 else f"less {text(line * E)}, it"
        if line != 0:
            words = [f"{_short(v)} (of 1) at {_place(e)}" for e, v in ends]
            kind = "turns back"
        raise _NoNode(f"{what} {kind} from {words[0]} to {words[1]}: not a distribution function")
    size = value(freeze(span))
    for e, d in zip(curve.points, curve.slopes, strict=True):
        if d is not None and (d - value(freeze(line))) / size < -_NOTHING:
            raise _NoNode(f"its derivative is {_short(d)} at {_place(e)}: not a distribution function")


def _mean_of(match: _Match) -> Any:
    """E s·n."""
    return match.scale * value(freeze(BASES[match.base].moment(1)))


def _jump(curve: _Curve, match: _Match, steps: list[Step], density: Any, line: Any, low: Any, high: Any) -> _Node:
    place, scale = _number_of(match.place), _number_of(match.scale)
    steps += _known_noise(match, density, place, scale)
    if match.base == "logistic" and line == 0 and place == 0 and _two_states(low, high, scale):
        odds = E * (high - low)
        steps.append(step("its log-odds are linear in e, as those of two states with p(x | e) ∝ exp(e·x)", odds, "eq. 3", "log F/(1 - F)"))
        return _Node("binary", ({"kind": "binary", "values": [_field(low), _field(high)]},), tuple(steps), _without_noise(curve))
    shift = _number_of(value(freeze(line)) * _mean_of(match)) if line != 0 else sympy.Integer(0)
    jump = sympy.Piecewise((high - shift, sympy.Gt(Y, place)), (low - shift, True), evaluate=False)
    shown = line * Y + jump
    steps.append(step("the node", shown, "", f"X = value(Y), Y = {_latent(scale)}, value(y)"))
    family = {"kind": "noise", "base": match.base, "scale": _field(scale), "value": _field(shown)}
    return _Node("threshold", (family,), tuple(steps), _without_noise(curve))


def _two_states(low: Any, high: Any, scale: Any) -> bool:
    """Whether p ∝ exp(e·x) on the two states has this scale; its states are plain numbers."""
    return bool(low.is_Rational and high.is_Rational and high > low and sympy.expand(scale * (high - low)) == 1)


def _latent(scale: Any) -> str:
    return text(E + scale * sympy.Symbol("n"))


def _known_noise(match: _Match, density: Any, place: Any, scale: Any) -> list[Step]:
    noise = BASES[match.base]
    found = [] if density is None else [step("the density of the noise, F'(-y)", density, "", "g(y)")]
    words = f"it is that of s·n, {noise.symbol}, around m: F(e) = P(e + s·n > m) at 61 places to 28 digits"
    drawn = rf"m = {latex(place)},\ s = {latex(scale)}"
    return [*found, Step(words, f"m = {text(place)}, s = {text(scale)}", drawn)]


def _without_noise(curve: _Curve) -> tuple[str, ...]:
    """A ramp is also what it is, without noise."""
    parts = _linear_parts(curve)
    if parts is None:
        return ()
    block = _flow({"kind": "noise", "base": "normal", "scale": 0, "value": _spell(curve.expression.subs(E, Y))})
    return (f"The node without noise has this expectation as well: {block}.",)


def _no_base(sort: str, match: _Match | None, share: _Share, density: Any) -> str:
    """The words for a node that exists, but whose noise is no base."""
    if match is not None:
        place, scale = _number_of(match.place), _number_of(match.scale)
        shift = "" if place == 0 else f" - ({text(place)})"
        name = f"{'an' if match.base == 'exponential' else 'a'} {match.base} noise"
        return (
            f"the node exists: a {sort} node with the noise {text(-scale * sympy.Symbol('n'))}{shift}, n {name}; "
            f"no base noise is that, as {name} is not symmetric and a node adds it"
        )
    shown = "of its own" if density is None else f"g(y) = {text(density)}"
    atom = _atom(share)
    return f"the node exists: a {sort} node whose noise has density {shown}{atom}; no base noise is that"


def _atom(share: _Share) -> str:
    """A jump of a distribution function, told by two neighbours on the grid that lie next to each other."""
    for (e, v), (f, w) in itertools.pairwise(zip(share.points, share.values, strict=True)):
        if f - e < mp.mpf(10) ** -15 and w - v > mp.mpf(10) ** -12:
            middle = (e + f) / 2
            return f" and an atom of {_short(w - v)} at y = {_short(-middle if abs(middle) > mp.mpf(10) ** -15 else 0)}"
    return ""


def _gate_of_share(curve: _Curve, steps: list[Step], reason: str, line: Any, low: Any, high: Any) -> _Node:
    """A threshold node under a noise that is no base: 1[Y > 0] is 1 with probability F, whatever the noise."""
    if line != 0 or (low != 0 and high != 0):
        raise _NoNode(reason, exists=True)
    level = high if low == 0 else low
    prob = _spell(curve.expression / level)
    if prob is None:
        raise _NoNode(reason, exists=True)
    share = curve.expression / level
    steps.append(step(f"its states are 0 and {text(level)}; whatever the noise, the second has the probability", share, "eq. 9", "p(e)"))
    return _Node("threshold", ({"kind": "gated", "value": _field(level), "prob": prob},), tuple(steps), (_sentence(reason),))


def _two_slopes(curve: _Curve) -> _Node:
    """An activation whose derivative is an affine image of a distribution function: a node with a corner at one latent value."""
    left, right = curve.end_slopes
    if left.number is None or right.number is None:
        missing = left.missing or right.missing
        raise _NoNode(f"of its derivative, {missing}")
    low, high = left.number, right.number
    if low == high:
        raise _NoNode(f"its derivative has the same limit at both ends, {text(low)}")
    bottom, span = value(freeze(low)), value(freeze(high - low))
    slopes = [curve.slope(e) if d is None else d for e, d in zip(curve.points, curve.slopes, strict=True)]
    share = _Share(lambda e: (curve.slope(e) - bottom) / span, curve.points, [(d - bottom) / span for d in slopes])
    _refuse_bending(share, bottom, span)
    slope = sympy.diff(curve.expression, E) if _smooth(curve.expression) else sympy.Symbol("a'(e)")
    steps = [
        _given(curve),
        _limits("limits of its derivative", low, high),
        step(f"the derivative {_monotone(curve)}", (slope - low) / (high - low), "", "F(e)"),
    ]
    match = _noise(share)
    density = _density(curve, low, high - low, 2)
    if match is None or match.backwards:
        raise _NoNode(_no_base("rectified" if (low, high) == (0, 1) else "two-slope", match, share, density), exists=True)
    return _corner(curve, match, steps, density, low, high)


def _refuse_bending(share: _Share, bottom: Any, span: Any) -> None:
    """A derivative that turns back or leaves its limits. Raises _NoNode with the place."""
    found = _fall(share.values)
    if found is None:
        return
    worst = min(range(len(share.values)), key=lambda k: share.values[k])
    above = max(range(len(share.values)), key=lambda k: share.values[k])
    limits = " and ".join(_short(limit) for limit in sorted((bottom, bottom + span)))
    for k, sign in ((worst, -1), (above, 1)):
        if share.values[k] < -_NOTHING or share.values[k] > 1 + _NOTHING:
            e, v = _extreme(share.of, share.points, k, sign)
            words = f"the derivative is {_short(bottom + span * v)} at {_place(e)}, outside its limits {limits}"
            raise _NoNode(f"{words}: not a distribution function")
    ends = [_extreme(share.of, share.points, k, sign) for k, sign in zip(found, (1, -1), strict=True)]
    first, last = (f"{_short(bottom + span * v)} at {_place(e)}" for e, v in ends)
    raise _NoNode(f"the derivative {'falls' if span > 0 else 'rises'} from {first} to {last}: not a distribution function")


def _corner(curve: _Curve, match: _Match, steps: list[Step], density: Any, low: Any, high: Any) -> _Node:
    place, scale = _number_of(match.place), _number_of(match.scale)
    steps += _known_noise(match, density, place, scale)
    rest = curve.beyond(low)[0]
    if rest.number is None:
        raise _NoNode(f"less its asymptote {text(low * E)}, {rest.missing}")
    constant = rest.number if low == 0 else _number_of(value(freeze(rest.number)) - value(freeze(low)) * _mean_of(match))
    better = sympy.Max if value(freeze(high - low)) > 0 else sympy.Min
    shown = better(sympy.expand(low * Y + constant), sympy.expand(high * Y + constant - (high - low) * place))
    asymptote = low * E + rest.number
    steps += [
        Step("its asymptote at minus infinity", f"a(e) → {text(asymptote)}", rf"a(e) \to {latex(asymptote)}"),
        step("a corner between these slopes: the node", shown, "eq. 10", f"X = value(Y), Y = {_latent(scale)}, value(y)"),
    ]
    kind = "rectified" if (low, high) == (0, 1) else "two_slopes"
    family = {"kind": "noise", "base": match.base, "scale": _field(scale), "value": _field(shown)}
    return _Node(kind, (family,), tuple(steps))


def _smooth(expression: Any) -> bool:
    return not expression.has(sympy.Abs, sympy.Max, sympy.Min, sympy.sign, sympy.Piecewise)


def _density(curve: _Curve, line: Any, span: Any, order: int) -> Any | None:
    """The density of the noise at y, F'(-y) with F = (a - line·e)/span or (a' - line)/span, for people; None where it is too long to
    read. Corners are taken apart first."""
    mirrored = curve.expression.subs(E, -Y)
    try:
        parts = [(mirrored, True)] if _smooth(mirrored) else [(part.polynomial, sympy.Lt(Y, part.high)) for part in pieces(mirrored)]
        found = [(_derivative(formula, line, span, order), condition) for formula, condition in parts]
    except (NoPieces, *_ERRORS):
        return None
    if any(sympy.count_ops(formula) > _LONGEST or formula.has(sympy.Derivative, sympy.Subs) for formula, _ in found):
        return None
    return found[0][0] if len(found) == 1 else sympy.Piecewise(*found[:-1], (found[-1][0], True), evaluate=False)


def _derivative(mirrored: Any, line: Any, span: Any, order: int) -> Any:
    """The ``order``-th derivative by e = -y of a smooth formula in y, less the line, over the span."""
    found = ((-1) ** order * sympy.diff(mirrored, Y, order) - (line if order == 1 else 0)) / span
    return sympy.factor(found) if sympy.count_ops(found) <= _LONGEST / 2 else found


def _gate(curve: _Curve) -> _Node:
    """e times a probability."""
    at_zero = curve.value(mp.zero)
    if abs(at_zero) > _NOTHING:
        raise _NoNode(f"at e = 0 it is {_short(at_zero)}, not 0")
    (low_at, low), (high_at, high), turns = _range_of_ratio(curve)
    size = max(-low, high)
    if low < -_NOTHING and high > _NOTHING:
        raise _NoNode(f"a(e)/e is {_short(low)} at {_place(low_at)} but {_short(high)} at {_place(high_at)}: of no one sign")
    if size > 1000:
        place = low_at if -low > high else high_at
        raise _NoNode(f"a(e)/e is {_short(max(low, high, key=abs))} at {_place(place)}: not in proportion to a probability")
    factor = _factor(curve, size) * (1 if high > _NOTHING else -1)
    prob = _ratio(curve.expression, factor)
    spelled = _spell(prob)
    if spelled is None or _value_at_zero(prob) is None:
        raise _NoNode(f"a(e)/e lies between {_short(low)} and {_short(high)}, but its formula has no value at e = 0")
    shown = [f"{_short(v / value(freeze(factor)))} at {_place(e)}" for e, v in ((low_at, low), (high_at, high))]
    steps = (
        _given(curve),
        step("it vanishes at e = 0; over a multiple of e it is", prob, "", f"p(e) = a(e)/({text(factor * E)})".replace("/(e)", "/e")),
        Step(
            f"p is a probability {curve.searched}, and at {turns} turns between them, found by golden section to 12 digits",
            f"extremes of p: {shown[0]}, {shown[1]}", r"0 \le p(e) \le 1",
        ),
        step("the node: a gate that lets this pass with probability p", factor * E, "eq. 12", "X = value(e)·1[B = 1], value(e)"),
    )  # fmt: skip
    return _Node("gate", ({"kind": "gated", "value": _field(factor * E), "prob": spelled},), steps)


def _range_of_ratio(curve: _Curve) -> tuple[tuple[Any, Any], tuple[Any, Any], int]:
    """Least and largest a(e)/e with their places, and how many turns between energies of the grid were searched."""
    points = [e for e in curve.points if abs(e) > mp.mpf(10) ** -15]

    def ratio(e: Any) -> Any:
        return curve.value(e) / e if e else curve.slope(e)

    values = [ratio(e) for e in points]
    turns = [
        k for k in range(1, len(values) - 1)
        if abs(values[k + 1] - values[k]) > _NOTHING and (values[k] - values[k - 1]) * (values[k + 1] - values[k]) < 0
    ]  # fmt: skip
    found = list(zip(values, points, strict=True))
    turns = turns[:24]
    for k in turns:
        sign = 1 if values[k] > values[k - 1] else -1
        e, v = _extreme(ratio, points, k, sign)
        found.append((v, e))
    (low, low_at), (high, high_at) = min(found, key=lambda pair: pair[0]), max(found, key=lambda pair: pair[0])
    return (low_at, low), (high_at, high), len(turns)


def _factor(curve: _Curve, size: Any) -> Any:
    """The number that passes the gate times e: the slope far out where that is the largest ratio, else a whole one above it."""
    for end in curve.end_slopes:
        if end.number is not None and -_NOTHING <= abs(value(freeze(end.number))) - size <= mp.mpf(10) ** -3 * size:
            return abs(end.number)
    return sympy.Integer(int(mpmath.ceil(size - _NOTHING)))


def _ratio(expression: Any, factor: Any) -> Any:
    """a(e)/(factor·e), term by term and case by case."""
    if isinstance(expression, sympy.Piecewise):
        return sympy.Piecewise(*((_ratio(v, factor), c) for v, c in expression.args), evaluate=False)
    plain = expression / (factor * E)
    if not expression.is_Add or _value_at_zero(plain) is not None:
        return plain
    return sympy.Add(*(term / (factor * E) for term in expression.args))


def _value_at_zero(expression: Any) -> Any:
    try:
        return _finite(value(freeze(expression), e=mp.zero))
    except _ERRORS:
        return None


def _exponential(curve: _Curve) -> _Node:
    """A·exp(c·e) + b: the mean of an exponential variable, or of a log-normal one."""
    rate, base = _rate(curve)
    c, b = _number_of(rate), base
    size = _number_of(curve.value(mp.zero) - value(freeze(b)))
    shown = [
        _given(curve), step("less its limit at one end", curve.expression - b, "", "h(e)"),
        step("it is an exponential: h'(e)/h(e) is the same at all energies", c, "", "c"),
    ]  # fmt: skip
    families: list[dict[str, object]] = []
    # a factor that is a plain power of exp(1) goes into the exponent
    shift = _number_of(mpmath.log(abs(value(freeze(size)))))
    shift = shift if shift.is_Rational and shift.q <= 1000 else sympy.Integer(0)
    factor = size if shift == 0 else sympy.sign(size)
    if b == 0 and factor == 1:
        log_density = -X * sympy.exp(-(c * E + shift))
        families.append({"kind": "density", "support": "nonnegative", "log_density": _field(log_density), "feature": "x"})
    # E exp(n) = exp(1/2) for standard normal noise n
    log_normal = factor * sympy.exp(c * Y + shift - sympy.Rational(1, 2)) + b
    families.append({"kind": "noise", "base": "normal", "scale": _field(1 / abs(c)), "value": _field(log_normal)})
    notes = (f"A log-normal node has this expectation as well: {_flow(families[1])}.",) if len(families) == 2 else ()
    return _Node("exponential", tuple(families), tuple(shown), notes)


def _rate(curve: _Curve) -> tuple[Any, Any]:
    """c and b of A·exp(c·e) + b."""
    reason = "it has a limit at neither end"
    for end in curve.ends:
        if end.number is None:
            continue
        base = value(freeze(end.number))
        near = [k for k, e in enumerate(curve.points) if abs(e) <= 20]
        signs = {mpmath.sign(curve.values[k] - base) if abs(curve.values[k] - base) > _NOTHING else 0 for k in near}
        if len(signs) > 1 or 0 in signs or any(curve.slopes[k] is None for k in near):
            reason = f"it {'crosses' if len(signs - {0}) > 1 else 'reaches'} its limit {text(end.number)}, which an exponential never does"
            continue
        rates = [(curve.slopes[k] / (curve.values[k] - base), curve.points[k]) for k in near]
        (least, low), (most, high) = min(rates, key=lambda pair: pair[0]), max(rates, key=lambda pair: pair[0])
        if most - least <= mp.mpf(10) ** -25 * abs(most):
            return most, end.number
        reason = (
            f"less its limit {text(end.number)}, its logarithm has the slope {_short(least)} at {_place(low)} "
            f"and {_short(most)} at {_place(high)}"
        )
    raise _NoNode(reason)


_SORTS: tuple[tuple[str, Callable[[_Curve], _Node]], ...] = (
    ("linear node", _linear),
    ("node without noise", _certain),
    ("threshold node", _threshold),
    ("rectified node", _two_slopes),
    ("gate", _gate),
    ("exponential node", _exponential),
)


# --- forward again


def _confirmed(curve: _Curve, node: _Node, notes: tuple[str, ...]) -> Inverse:
    """The node with its expectation derived forward. Raises _NoNode where no family of it can be derived."""
    refused: list[str] = []
    for family in node.families:
        try:
            with mp.workdps(15):  # as everywhere else: what is cached must not depend on who asks
                derivation = derive(_law(family))
        except Refusal as refusal:
            refused.append(f"{_flow(family)} would be one, but {refusal.message}" + (f" ({refusal.why})" if refusal.why else ""))
            continue
        worst = _difference(curve, derivation)
        reason = f"check: the expectation derived from the node differs at {len(_energies(curve))} energies by at most {worst:.2g}"
        drawn = rf"\mathbb{{E}}[X \mid e] = {derivation.expectation_latex}"
        last = Step(reason, f"E[X | e] = {derivation.expectation_text}", drawn, "eq. 9")
        own = node.notes if family is node.families[0] else ()
        return Inverse(node.kind, _flow(family), family, (*node.steps, last), (*own, *notes))
    raise _NoNode("; ".join(refused))


def _law(family: dict[str, object]) -> Any:
    try:
        return registry()[str(family["kind"])].model_validate(family, context={"params": {}}).law()
    except (KeyError, ValidationError) as error:
        raise InternalCompilerError("derive", f"{_flow(family)} is no family: {error}") from None


def _energies(curve: _Curve) -> list[Any]:
    """No numbers that people write, between -23 and 23 and around corners."""
    around = [corner + mp.mpf(t) * width / 100 for corner, width in curve.corners[:4] for t in (-311, -71, 73, 313)]
    return [*(mp.mpf(k) * 157 / 100 + mp.mpf(1) / 37 for k in range(-15, 16)), *around]


def _difference(curve: _Curve, derivation: Derivation) -> float:
    """The largest relative difference between activation and derived expectation. Raises InternalCompilerError where they differ, and
    _NoNode where they differ in a place too narrow for the search."""
    worst = mp.zero
    for e in _energies(curve):
        with mp.workdps(120):
            wanted, found = value(curve.tree, e=e), value(derivation.expectation, e=e)
            worst = max(worst, abs(found - wanted) / max(abs(wanted), mp.mpf(10) ** -35))
    if worst > _TOLERANCE:
        raise InternalCompilerError("derive", f"the node found for {text(curve.expression)} has another mean, by {float(worst):.3g}")
    side = np.sinh(np.linspace(1e-4, np.arcsinh(_FARTHEST), 10_000))
    grid = np.concatenate([-side[::-1], side])
    with np.errstate(all="ignore"):
        wanted, found = (np.broadcast_to(array(tree, e=grid), grid.shape) for tree in (curve.tree, derivation.expectation))
        gap = np.nan_to_num(np.abs(wanted - found) / (1 + np.abs(wanted)), nan=0.0, posinf=0.0)
    k = int(gap.argmax())
    # floats may lose digits on the way: what they show is looked at in many
    at = mp.mpf(float(grid[k]))
    exact, derived = value(curve.tree, e=at), value(derivation.expectation, e=at)
    if gap[k] > 1e-9 and abs(exact - derived) > _TOLERANCE * (1 + abs(exact)):
        raise _NoNode(f"a node comes near, but differs at {_place(at)}: {_short(derived)} in place of {_short(exact)}")
    return float(worst)
