"""``cgc derive FAMILY --closest`` and ``--fit FIELD --to NAME``: which activation that people know is nearest to a derived expectation,
and which value of one number of the family brings it nearest to a given one.

The best value makes the largest error over all energies as small as it can be. There either two tops of the error, of which one
falls and the other rises with the number, are equally high (equioscillation), or one top is lowest of its own accord.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import mpmath
import sympy
from mpmath import mp
from pydantic import ValidationError

from cgc.derive.approximate import TIE, Top, Unbounded, approximate, height, tops, zero
from cgc.derive.derivation import Approximation, Refusal
from cgc.derive.derive import route_of
from cgc.derive.routes import Moment
from cgc.families.forms import Indicators, Law
from cgc.families.registry import registry
from cgc.formula.activations import ACTIVATIONS, activation
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value
from cgc.formula.scalar import Const, Op, Over, Scalar, walk
from cgc.formula.text import text

# --- the closest activation


@dataclass(frozen=True)
class Rank:
    """How near an activation comes; without an approximation, ``reason`` says why its error has no bound. ``text`` is its formula."""

    name: str
    text: str
    approximation: Approximation | None
    reason: str = ""


def closest(expectation: Scalar, slope: Any = None, limits: tuple[float, float] = (-math.inf, math.inf)) -> tuple[Rank, ...]:
    """Every activation by its largest absolute error, ties by name; those without a bound come last.

    ``slope`` is the expectation's at minus infinity (measured where it is None), which ``leaky_relu`` takes for its own; without one it
    would be ``relu`` again and is left out. ``limits`` are the energies between which a numerical rule holds.
    """
    slope = left_slope(expectation) if slope is None else slope
    ranks = []
    for name in ACTIVATIONS:
        if name == "leaky_relu" and slope == 0:
            continue
        try:
            near = approximate(name, expectation, slope, limits)
            ranks.append(Rank(name, near.text, near))
        except Refusal as refusal:
            ranks.append(Rank(name, text(activation(name, slope)), None, refusal.why))
    return tuple(sorted(ranks, key=lambda rank: (math.inf if rank.approximation is None else rank.approximation.max_error, rank.name)))


def left_slope(expectation: Scalar) -> Any:
    """The slope of an expectation at minus infinity where it is a fraction that people write, else 0."""
    with mp.workdps(120):
        far = mp.mpf("-1e50")
        try:
            measured = (value(expectation, e=2 * far) - value(expectation, e=far)) / far
        except (ArithmeticError, ValueError, TypeError, mpmath.libmp.NoConvergence):
            return sympy.Integer(0)
        if not isinstance(measured, mpmath.mpf) or not mpmath.isfinite(measured):
            return sympy.Integer(0)
        simple = _fraction(abs(measured)).limit_denominator(10**6)
        near = abs(abs(measured) - mp.mpf(simple.numerator) / simple.denominator) < mp.mpf("1e-30")
        return sympy.Rational(simple if measured > 0 else -simple) if near else sympy.Integer(0)


# --- one number, fitted


@dataclass(frozen=True)
class Fit:
    """The ``value`` of ``field`` at which the expectation is nearest to the activation ``to``.

    ``at`` are the energies at which the error is largest, each with the sign of expectation minus activation there; ``steps`` say how
    the value was found.
    """

    field: str
    to: str
    value: float
    max_error: float
    at: tuple[tuple[float, int], ...]
    steps: tuple[str, ...]


Pair = tuple[Scalar, Scalar]

# values at which it is seen how the formulas depend on the number: four to tell, one to confirm. At 1, at squares and at 1/n formulas
# are simpler than elsewhere; whole numbers come last, for fields that take nothing else
_PROBES = tuple(Fraction(n, d) for d, n in ((4, 3), (4, 5), (8, 5), (4, 7), (8, 11), (8, 7), (8, 3), (16, 3), (8, 13), (32, 5), (2, 5)))
_PROBES += tuple(Fraction(n) for n in (3, 5, 6, 7, 10))
_TOLD = 4
# where the number is sought
_SCAN = tuple(Fraction(f"{10 ** (k / 4):.3g}") for k in range(-12, 13))
_RANGE = f"from {float(_SCAN[0]):g} to {float(_SCAN[-1]):g}"
_SOME = (_SCAN[2], _SCAN[13], _SCAN[-3])
_NO_NUMBERS = ("e", "x", "y", "t", "parents", "previous", "kind", "emit")
_DIGITS = 60
# tops that are lower than the highest by so much may be the highest at a value nearby
_NEARLY = 0.1


def fit(family: Mapping[str, object], field: str, to: str, params: Mapping[str, int | float] | None = None) -> Fit:
    """The positive number ``field`` of a family, or a name in its formulas, that makes the largest absolute error smallest.

    ``family`` is the mapping that a user writes, with its ``kind``; what it says about ``field`` does not matter. ``params`` are other
    names in its formulas. The number is sought between 1e-3 and 1e3.

    Raises KeyError for an unknown kind or activation, pydantic's ValidationError where the rest of the family is wrong, and Refusal:
    CG504 where the field is no number of the family or has no influence, CG506 where no value is best, CG507 for nodes with labels.
    """
    if field in _NO_NUMBERS:
        raise Refusal("CG504", f"`{field}` is no number of a family", field)
    curve = _Curve({name: given for name, given in family.items() if name not in ("emit", field)}, field, to, dict(params or {}))
    probes = curve.probes()
    pattern = _pattern(probes)
    if pattern is not None:
        try:
            found = _Search(pattern, field, to, "1e-22").run()
        except Refusal:
            if curve.follows(pattern, _SOME):
                raise
        else:
            if curve.follows(pattern, (Fraction(repr(found.value)),)):
                return found
    return _Search(lambda number: curve.derived(Fraction(repr(float(number)))), field, to, "2e-16").run()


@dataclass(frozen=True)
class _Curve:
    """A family as a function of one number."""

    family: Mapping[str, object]
    field: str
    to: str
    params: Mapping[str, int | float]

    def law(self, number: Fraction) -> Law:
        """The density for a value of the number. Raises Refusal where it does not take this value."""
        model = registry()[str(self.family["kind"])]
        written: float | int = int(number) if number.denominator == 1 else float(number)
        own = self.field in model.model_fields
        fields = {**self.family, self.field: written} if own else self.family
        params = self.params if own else {**self.params, self.field: written}
        try:
            return model.model_validate(fields, context={"params": params}).law()
        except ValidationError as error:
            mine = [found["msg"] for found in error.errors() if found["loc"][:1] in ((self.field,), ())]
            if not mine:
                raise
            raise Refusal("CG504", f"`{self.field}` does not take numbers such as {written:g}", self.field, why=mine[0]) from None

    def derived(self, number: Fraction) -> Pair:
        """Expectation and activation for a value of the number. Raises Refusal."""
        route = route_of(self.law(number), True)
        return _formula(route.mean), freeze(activation(self.to, route.slope))

    def follows(self, pattern: Callable[[Any], Pair], numbers: Sequence[Fraction]) -> bool:
        """Whether the formulas at some values are those that a pattern says."""
        try:
            return all(self.derived(number) == pattern(number) for number in numbers)
        except Refusal:
            return False

    def probes(self) -> list[tuple[Fraction, Pair]]:
        """The formulas at a few values. Raises Refusal where there is nothing to fit."""
        found: list[tuple[Fraction, Pair]] = []
        laws: list[Law] = []
        refusal: Refusal | None = None
        for number in _PROBES:
            if len(found) > _TOLD:
                break
            try:
                law = self.law(number)
                if isinstance(law, Indicators):
                    raise _labels(self.field)
                found.append((number, self.derived(number)))
                laws.append(law)
            except Refusal as error:
                if error.code == "CG507":
                    raise
                refusal = refusal or error
        if not found and refusal is not None:
            raise refusal
        if len(laws) > 1 and all(law == laws[0] for law in laws):
            raise Refusal(
                "CG504", f"`{self.field}` is no number of this family", self.field,
                why="it is no field of the family, and no formula uses the name",
                help="name a field that is a number, or a name in a formula, such as `c` in `std: c*tanh(e)`",
            )  # fmt: skip
        if len(found) > 1 and all(pair == found[0][1] for _, pair in found):
            raise Refusal("CG504", f"`{self.field}` has no influence on the expectation", self.field, why="it is the same for all values")
        return found


def _labels(field: str) -> Refusal:
    return Refusal("CG507", "a node with labels has a vector of energies, an activation is a function of one", field)


def _formula(mean: Moment) -> Scalar:
    """The formula that loses the fewest digits, without a table if there is one."""
    plain = [one for one in mean.candidates if not any(isinstance(node, Over) for node in walk(one))]
    return plain[-1] if plain else mean.candidates[0]


# --- how formulas depend on the number


def _pattern(probes: Sequence[tuple[Fraction, Pair]]) -> Callable[[Any], Pair] | None:
    """The formulas for any value, if only their constants depend on it, and these like a/p + b + cp + dp²."""
    if len(probes) <= _TOLD:
        return None
    at = [number for number, _ in probes]
    exact, formula = (_merged([pair[k] for _, pair in probes], at) for k in (0, 1))
    if exact is None or formula is None:
        return None

    def pair(number: Any) -> Pair:
        exactly = number if isinstance(number, Fraction) else _fraction(number)
        return exact(exactly), formula(exactly)

    return pair


def _merged(trees: Sequence[Scalar], at: Sequence[Fraction]) -> Callable[[Fraction], Scalar] | None:
    first = trees[0]
    if all(tree == first for tree in trees):
        return lambda number: first
    constants = [tree for tree in trees if isinstance(tree, Const)]
    if len(constants) == len(trees):
        return _constant([tree.value for tree in constants], at)
    nodes = [tree for tree in trees if isinstance(tree, (Op, Over))]
    if not isinstance(first, (Op, Over)) or len(nodes) < len(trees):
        return None
    if any((type(node), node.name, len(node.args)) != (type(first), first.name, len(first.args)) for node in nodes):
        return None
    if any(isinstance(node, Over) and isinstance(first, Over) and node.columns != first.columns for node in nodes):
        return None
    parts: list[Callable[[Fraction], Scalar]] = []
    for arguments in zip(*(node.args for node in nodes), strict=True):
        part = _merged(arguments, at)
        if part is None:
            return None
        parts.append(part)
    return lambda number: replace(first, args=tuple(part(number) for part in parts))


def _constant(values: Sequence[Fraction], at: Sequence[Fraction]) -> Callable[[Fraction], Scalar] | None:
    """p times the constant is the cubic through the first four values; the last one has to lie on it."""

    def cubic(number: Fraction) -> Fraction:
        total = Fraction(0)
        for k in range(_TOLD):
            share = math.prod(((number - at[j]) / (at[k] - at[j]) for j in range(_TOLD) if j != k), start=Fraction(1))
            total += values[k] * at[k] * share
        return total / number

    return (lambda number: Const(cubic(number))) if cubic(at[_TOLD]) == values[_TOLD] else None


def _fraction(number: Any) -> Fraction:
    """A positive mpmath number as the fraction that it is."""
    mantissa, exponent = number.man_exp
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


# --- the search


class _Lost(Exception):
    """A top cannot be followed from one value of the number to another."""


class _Search:
    """The value of a number at which the highest top of the error is lowest."""

    def __init__(self, pair: Callable[[Any], Pair], field: str, to: str, resolution: str) -> None:
        self.pair, self.field, self.to, self.resolution = pair, field, to, mp.mpf(resolution)
        self.steps: list[str] = []
        self.known: dict[Any, tuple[Top, ...]] = {}

    def run(self) -> Fit:
        """The fit. Raises Refusal where no value is best."""
        with mp.workdps(_DIGITS):
            try:
                low, best, high = self.scanned()
                if low != high:
                    best = self.rounded(self.balanced(*self.narrowed(low, high)))
                number = float(best)
                found = tops(*self.pair(Fraction(repr(number))))
            except Unbounded as end:
                raise self.refusal(end.why) from None
        at = tuple((top.place, 1 if top.error > 0 else -1) for top in found)
        largest = float(max((top.size for top in found), default=mp.zero))
        self.steps.append(f"{self.field} = {number!r}: off by at most {largest:.6g}" + _signed(at))
        return Fit(self.field, self.to, number, largest, at, tuple(self.steps))

    def rounded(self, number: Any) -> Any:
        """A short fraction nearby at which there is no error at all, if there is one."""
        short = _fraction(number).limit_denominator(1000)
        near = mp.mpf(short.numerator) / short.denominator
        return near if abs(near - number) <= mp.mpf("1e-9") * number and self.height(near) == 0 else number

    def tops(self, number: Any) -> tuple[Top, ...]:
        """The high tops of the error. Raises Unbounded, and Refusal where the number cannot have this value."""
        if number not in self.known:
            self.known[number] = tops(*self.pair(number), within=_NEARLY)
        return self.known[number]

    def height(self, number: Any) -> Any:
        """The largest error."""
        return max((top.size for top in self.tops(number)), default=mp.zero)

    def roughly(self, number: Any) -> float:
        """The largest error to a few digits, infinite where it has no bound or the number cannot have this value."""
        try:
            return height(*self.pair(number))
        except (Unbounded, Refusal):
            return math.inf

    # ---- where to look

    def scanned(self) -> tuple[Any, Any, Any]:
        """The best value of a scan, between its neighbours. Raises Refusal where it has not got two."""
        numbers = [mp.mpf(n.numerator) / n.denominator for n in _SCAN]
        heights = [self.roughly(number) for number in numbers]
        least = min(heights)
        if least == math.inf:
            self.refuse_all(numbers)
        k = heights.index(least)
        equal = [number for number, size in zip(numbers, heights, strict=True) if size - least <= TIE * least]
        self.steps.append(f"scan of {self.field} {_RANGE}: the largest error is smallest, {least:.4g}, near {_short(numbers[k])}")
        if least == 0:
            return numbers[k], numbers[k], numbers[k]
        if len(equal) > 1:
            everywhere = f"{least:.4g} for every value from {_short(equal[0])} to {_short(equal[-1])}"
            raise self.refusal(f"the largest error is {everywhere} that was tried")
        if k in (0, len(numbers) - 1):
            raise self.refusal(f"the largest error still falls at {_short(numbers[k])}, where it is {least:.4g}")
        for beyond in (k - 1, k + 1):
            if heights[beyond] == math.inf:
                end = f"at {_short(numbers[beyond])} it has no bound, or the family no such value"
                raise self.refusal(f"the largest error falls to {least:.4g} at {_short(numbers[k])}, and {end}")
        return numbers[k - 1], numbers[k], numbers[k + 1]

    def refuse_all(self, numbers: list[Any]) -> None:
        """Raises the Refusal of the value nearest to 1."""
        for number in sorted(numbers, key=lambda number: abs(mpmath.log(number))):
            try:
                height(*self.pair(number))
            except Unbounded as end:
                raise Refusal(
                    "CG506", f"`{self.to}` is no approximation of this expectation, whatever `{self.field}` is", self.field,
                    why=f"with {self.field} = {_short(number)}, {end.why}", help="choose another activation",
                ) from None  # fmt: skip

    def refusal(self, why: str) -> Refusal:
        """That there is no best value."""
        return Refusal("CG506", f"no value of `{self.field}` {_RANGE} is the best for `{self.to}`", self.field, why=why)

    def narrowed(self, low: Any, high: Any, ratio: float = 1.02) -> tuple[Any, Any]:
        """A closer bracket, by golden section."""
        size = self.roughly if ratio > 1.01 else self.height
        golden = (mp.sqrt(5) - 1) / 2
        a, b = mpmath.log(low), mpmath.log(high)
        c, d = b - golden * (b - a), a + golden * (b - a)
        while b - a > mpmath.log(ratio):
            if size(mpmath.exp(c)) < size(mpmath.exp(d)):
                b, d = d, c
                c = b - golden * (b - a)
            else:
                a, c = c, d
                d = a + golden * (b - a)
        return mpmath.exp(a), mpmath.exp(b)

    # ---- the exact value

    def balanced(self, low: Any, high: Any) -> Any:
        """The best value in a bracket: where a falling top and a rising one are equally high, or the only one is lowest."""
        for _ in range(4):
            try:
                return self.exchanged(low, high)
            except _Lost:
                low, high = self.narrowed(low, high, float(1 + (high / low - 1) / 8))
        # what cannot be followed is found by halving alone
        low, high = self.narrowed(low, high, 1 + 1e-13)
        return mpmath.sqrt(low * high)

    def exchanged(self, low: Any, high: Any) -> Any:
        """While a third top is higher than the two that were made equal, it takes the place of the one that moves its way."""
        for _ in range(8):
            falling, rising = self.highest(low), self.highest(high)
            best = self.level(low, high, falling, rising)
            if self.height(best) <= max(self.size(best, falling), self.size(best, rising)) * (1 + TIE):
                self.explain(best, falling, rising)
                return best
            third = self.highest(best)
            step = best * mp.mpf("1e-6")
            if self.size(best + step, third) < self.size(best - step, third):
                low = best
            else:
                high = best
        raise _Lost

    def level(self, low: Any, high: Any, falling: Top, rising: Top) -> Any:
        """Where two tops are equally high; of one top (or two that are always alike) where it is lowest."""

        def difference(number: Any) -> Any:
            return self.size(number, falling) - self.size(number, rising)

        def slope(number: Any) -> Any:
            step = number * mp.mpf("1e-6")
            return self.size(number - step, falling) - self.size(number + step, falling)

        alike = all(abs(difference(end)) <= TIE * falling.size for end in (low, high))
        return _falls_through(slope if alike else difference, low, high, self.resolution)

    def explain(self, best: Any, falling: Top, rising: Top) -> None:
        """Say what makes the value the best."""
        found = mpmath.nstr(best, 20)
        if self.size(best + best * mp.mpf("1e-6"), falling) >= self.size(best, falling):
            self.steps.append(f"minimax: the error {_where(falling.place)} is smallest at {self.field} = {found}")
            return
        self.steps.append(
            f"minimax: when {self.field} grows, the error {_where(falling.place)} falls and that {_where(rising.place)} rises; "
            f"they are equal at {self.field} = {found}"
        )

    def highest(self, number: Any) -> Top:
        """The highest top; of equals the one nearest to 0."""
        found = self.tops(number)
        if not found:
            raise _Lost
        least = self.height(number) * (1 - mp.mpf(TIE))
        return min((top for top in found if top.size >= least), key=lambda top: (abs(top.place), top.place))

    def size(self, number: Any, top: Top) -> Any:
        """How high a top is at another value of the number, negative where the error has changed its sign there."""
        found = self.tops(number)
        if not found:
            return mp.zero
        near = [one for one in found if _apart(one, top) <= mp.mpf("0.3")]
        if not near:
            raise _Lost
        alike = [one for one in near if (one.error > 0) == (top.error > 0)]
        nearest = min(alike or near, key=lambda one: (_apart(one, top), one.place))
        return nearest.size if alike else -nearest.size


def _apart(one: Top, other: Top) -> Any:
    """The distance of two places, relative to how far out they are."""
    if mpmath.isinf(one.at) or mpmath.isinf(other.at):
        return mp.zero if one.at == other.at else mp.inf
    return abs(one.at - other.at) / (1 + abs(other.at))


def _where(place: float) -> str:
    if math.isinf(place):
        return "towards infinity" if place > 0 else "towards minus infinity"
    return f"at e = {place:.6g}"


def _signed(at: Sequence[tuple[float, int]]) -> str:
    words = [f"{_where(place)} ({'+' if sign > 0 else '-'})" for place, sign in at]
    return "".join(f", {word}" if k == 0 else f", {word.removeprefix('at e = ')}" for k, word in enumerate(words))


def _short(number: Any) -> str:
    return f"{float(number):.4g}"


def _falls_through(function: Callable[[Any], Any], low: Any, high: Any, resolution: Any) -> Any:
    """The zero of a falling function in a bracket. Raises _Lost where the signs at its ends are not so."""
    if not function(low) > 0 > function(high):
        raise _Lost
    return zero(function, low, high, resolution)
