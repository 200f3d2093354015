"""``emit: NAME``: the largest absolute error of a named activation over all energies, by a global search.

Floats find where the error has its tops: on a grid that is fine around 0 at every scale, on the bulk, and around the break points of
both functions. mpmath then says how high and where they are, so that nothing of what is reported depends on a machine's rounding.
An error may also be largest at a corner, beside a jump, or only be approached towards infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import mpmath
import numpy as np
from mpmath import mp

from cgc.derive.derivation import Approximation, Refusal
from cgc.formula.activations import activation
from cgc.formula.freeze import freeze
from cgc.formula.numeric import Array, array, value
from cgc.formula.scalar import Op, Over, Scalar, variables, walk
from cgc.formula.text import text

# tops that are lower than the highest by less than this share of it count as its equals
TIE = 1e-9
_DIGITS = 60
_FAR_DIGITS = 120
# one after the other, until the error has a value: exp(1e25) is out of reach even for mpmath
_FAR = ("1e50", "1e25", "1e8", "1e4")
# the digits that functions keep in float64; and a relative difference that no float64 shows
_ROUNDING = 1e-13
_SAME = mp.mpf("1e-15")
# energies closer to each other are one place
_POINT = mp.mpf("1e-12")
# where the energies of networks lie, and formulas keep their digits
_NEAR = 1e4
# how many break points are looked at, how many tops, and how many places are told
_LARGEST = {"sin": mp.mpf("1e300"), "cos": mp.mpf("1e300"), "expm1": mp.mpf(10**9), "sinh": mp.mpf(10**9), "cosh": mp.mpf(10**9)}
_MOST_TURNS = 16
_MOST_TOPS = 48
_MOST_PLACES = 8
_NO_VALUE = (ArithmeticError, ValueError, TypeError, mpmath.libmp.NoConvergence)


@dataclass(frozen=True)
class Top:
    """A local maximum of the error's size: ``error`` is exact minus named at the energy ``at``, which is infinite where the error is
    only approached. ``scale`` is the size of the two functions there, ``blur`` the uncertainty of the place."""

    at: Any
    error: Any
    scale: Any
    blur: Any

    @property
    def size(self) -> Any:
        """How high it is."""
        return abs(self.error)

    @property
    def place(self) -> float:
        """The energy to 12 digits, which no machine's rounding reaches."""
        return 0.0 if abs(self.at) <= max(self.blur, _POINT) else float(f"{float(self.at):.12g}")


class Unbounded(Exception):
    """The error grows without bound towards an end: ``sign`` says which, ``size`` how large it is at ``at``."""

    def __init__(self, sign: int, at: float, size: Any) -> None:
        super().__init__(sign, at, size)
        self.sign, self.at, self.size = sign, at, size

    @property
    def why(self) -> str:
        """The end, in words."""
        size = f"{float(self.size):.4g}" if self.size < 1e300 else mpmath.nstr(self.size, 4)
        return f"at e = {self.at:g} it is {size}, towards {'minus infinity' if self.sign < 0 else 'infinity'} it grows"


def approximate(name: str, exact: Scalar, slope: Any, limits: tuple[float, float] = (-math.inf, math.inf)) -> Approximation:
    """The approximation of ``exact`` by the activation ``name``, with the largest absolute error over all e between ``limits``.

    Every e where it is attained (to a relative 1e-9) is found; of more than eight, as periodic functions have, those nearest to 0.
    Where it is only approached, that e is infinite. Raises Refusal if the error has no bound.
    """
    expression = activation(name, slope)
    formula = freeze(expression)
    try:
        found = tops(exact, formula, limits)
    except Unbounded as end:
        raise Refusal(
            "CG506", f"`{name}` is no approximation of this expectation: the error grows without bound", "emit", why=end.why,
            help="leave `emit` out to compute the exact form, or choose another activation",
        ) from None  # fmt: skip
    if not found:
        return Approximation(name, formula, text(expression), 0.0, (0.0,))
    return Approximation(name, formula, text(expression), float(max(top.size for top in found)), tuple(top.place for top in found))


def tops(exact: Scalar, formula: Scalar, limits: tuple[float, float] = (-math.inf, math.inf), within: float = TIE) -> tuple[Top, ...]:
    """The tops of |exact - formula| that reach the highest one's size but for the share ``within``, from left to right.

    None where no float64 tells the two functions apart. Raises Unbounded.
    """
    if exact == formula:
        return ()
    gap = _Gap(exact, formula, limits)
    with mp.workdps(_DIGITS):
        grid, sizes = _seen(gap)
        ends = list(_ends(gap, grid, sizes))
        inner = _inner(gap, grid, sizes, within)
        found = [*inner, *(end for end in ends if not _level(gap, end, inner))]
        found = [top for top in found if top.size > _SAME * top.scale or mpmath.isinf(top.at)]
        highest = max((top.size for top in found), default=mp.zero)
        if highest < sizes.max() * (1 - 1e-6):
            # neither corner nor summit: a plateau, or waves too fast for floats
            likely = grid[np.argsort(-sizes, kind="stable")[: 1 if gap.coarse else _MOST_TOPS]]
            seen = [top for e in likely.tolist() if (top := gap.at(mp.mpf(e))) is not None and top.size > _SAME * top.scale]
            found += sorted(seen, key=lambda top: -top.size)[:1]
            highest = max((top.size for top in found), default=mp.zero)
        kept = [top for top in found if top.size >= highest * (1 - mp.mpf(within))]
        # beyond the energies of networks, what approaches an end is told by the end alone
        sides = [top.at > 0 for top in kept if mpmath.isinf(top.at)]
        kept = [top for top in kept if abs(top.at) <= _NEAR or mpmath.isinf(top.at) or (top.at > 0) not in sides]
        nearest = sorted(kept, key=lambda top: (abs(top.at), top.at))[:_MOST_PLACES]
        return tuple(sorted(nearest, key=lambda top: top.at))


def height(exact: Scalar, formula: Scalar) -> float:
    """The largest |exact - formula| as floats see it on a coarse grid: quick, to a few digits. Raises Unbounded."""
    if exact == formula:
        return 0.0
    gap = _Gap(exact, formula, (-math.inf, math.inf), rough=True)
    with mp.workdps(_DIGITS):
        grid, sizes = _seen(gap)
        highest = float(sizes.max())
        ends = [] if gap.coarse else [float(end.size) for end in _ends(gap, grid, sizes)]
    if gap.coarse:  # values far out cost too much
        for k, half in ((0, -_NEAR / 2), (-1, _NEAR / 2)):
            if sizes[k] > 1.5 * float(gap.sizes(np.array([half]))[0]) and sizes[k] >= highest:
                raise Unbounded(1 if half > 0 else -1, 2 * half, mp.mpf(float(sizes[k])))
    low, high = _brackets(grid, sizes)
    return float(max([highest, *_zoom(gap, low, high)[1].tolist(), *ends]))


@dataclass(frozen=True)
class _Gap:
    """The difference of two functions of e, between ``limits``."""

    exact: Scalar
    formula: Scalar
    limits: tuple[float, float]
    rough: bool = False

    @cached_property
    def coarse(self) -> bool:
        """Whether values are expensive: sums over large tables."""
        return sum(len(node.columns[0][1]) for node in walk(self.exact) if isinstance(node, Over)) > 64

    @cached_property
    def turns(self) -> tuple[Any, ...]:
        """Energies at which something may happen: corners and jumps, and where functions are centred."""
        ends = tuple(mp.mpf(end) for end in self.limits if math.isfinite(end))
        return (mp.zero, *_turns(self.exact), *_turns(self.formula), *ends)

    @cached_property
    def steep(self) -> tuple[tuple[Scalar, Any], ...]:
        """What some functions are applied to, and how large it may be for mpmath to compute them."""
        nodes = [node for tree in (self.exact, self.formula) for node in walk(tree) if isinstance(node, Op) and node.name in _LARGEST]
        # expm1 is steep on the right only
        of = [(node.args[0] if node.name == "expm1" else Op("abs", node.args), _LARGEST[node.name]) for node in nodes]
        return tuple((argument, most) for argument, most in of if variables(argument) == ("e",))

    @cached_property
    def grid(self) -> Array:
        """Where to look first."""
        few = self.coarse or self.rough
        parts = [_base(few), *(_around(float(turn), few) for turn in self.turns if turn)]
        points = np.unique(np.clip(np.concatenate(parts), *self.limits))
        return points[np.abs(points) <= _NEAR] if self.coarse else points

    def holds(self, e: float) -> bool:
        """Whether floats are right at an energy."""
        top = self.at(mp.mpf(e))
        size = float(self.sizes(np.array([e]))[0])
        return top is not None and abs(size - top.size) <= 1e-6 * max(size, top.size) + 10 * _ROUNDING * top.scale

    def sizes(self, e: Array) -> Array:
        """|difference| in float64, less what rounding may have added to it; 0 where there is no value."""
        inside = np.clip(e, *self.limits)
        with np.errstate(all="ignore"):
            exact, formula = (np.broadcast_to(array(tree, e=inside), e.shape) for tree in (self.exact, self.formula))
            size = np.abs(exact - formula) - _ROUNDING * (np.abs(exact) + np.abs(formula))
        return np.where(np.isfinite(size), np.maximum(size, 0.0), 0.0)

    def at(self, e: Any) -> Top | None:
        """The difference at an energy, at mpmath's current precision; None where there is no value."""
        low, high = self.limits
        inside = min(max(e, mp.mpf(low)), mp.mpf(high))
        try:
            if any(value(argument, e=inside) > most for argument, most in self.steep):
                return None
            # several activations are compared with one expectation
            exact = _remembered(self.exact, inside, mp.prec) if self.coarse else value(self.exact, e=inside)
            formula = value(self.formula, e=inside)
            error = exact - formula
        except _NO_VALUE:
            return None
        if isinstance(error, mpmath.mpc) and error.imag == 0:  # the root or logarithm of something that counts nothing
            exact, error = exact.real, error.real
        if not isinstance(error, mpmath.mpf) or mpmath.isnan(error):
            return None
        return Top(e, error, abs(exact) + abs(formula), mp.zero)


@lru_cache(maxsize=512)
def _remembered(scalar: Scalar, e: Any, precision: int) -> Any:
    with mp.workprec(precision):
        return value(scalar, e=e)


# --- where to look


def _tabular(scalar: Scalar) -> bool:
    return any(isinstance(node, Over) for node in walk(scalar))


@lru_cache(maxsize=2)
def _base(coarse: bool) -> Array:
    """The bulk evenly; around 0 and far out so many points a decade."""
    bulk = np.linspace(-40, 40, 641 if coarse else 6401)
    decades = 10.0 ** np.linspace(-20, 20, 320 if coarse else 961)
    return np.concatenate([-decades, [0.0], decades, bulk])


def _around(turn: float, coarse: bool) -> Array:
    away = np.geomspace(1e-14 * abs(turn), 10, 60 if coarse else 180)
    return np.concatenate([turn - away, [turn], turn + away])


# operations that bend nothing where an argument vanishes
_PLAIN = ("add", "sub", "neg", "mul", "div", "where", "and", "or", "polynomial")
_PAIRS = ("max", "min", "lt", "le", "gt", "ge", "eq")


@lru_cache(maxsize=64)
def _turns(scalar: Scalar) -> tuple[Any, ...]:
    """The zeros of what functions are applied to, and of the differences of what is compared; the nearest to 0 come first."""
    grid = np.unique(_base(True))
    found: list[Any] = []
    with mp.workdps(_DIGITS):
        for argument in _arguments(scalar):
            with np.errstate(all="ignore"):
                sign = np.sign(np.nan_to_num(np.broadcast_to(array(argument, e=grid), grid.shape)))
            crossings = np.flatnonzero(sign[:-1] * sign[1:] < 0)
            isolated = np.flatnonzero((sign[1:-1] == 0) & (sign[:-2] != 0) & (sign[2:] != 0)) + 1
            nearest = sorted(crossings, key=lambda k: abs(grid[k]))[:_MOST_TURNS]
            found += [mp.mpf(float(grid[k])) for k in isolated[:_MOST_TURNS]]
            found += [_turn(argument, float(grid[k]), float(grid[k + 1])) for k in nearest]
        distinct: list[Any] = []
        for turn in sorted(found, key=lambda turn: (abs(turn), turn)):
            if abs(turn) > 1e-25 and all(abs(turn - other) > abs(turn) * mp.mpf("1e-30") for other in distinct):
                distinct.append(turn)
    return tuple(distinct[:_MOST_TURNS])


def _arguments(scalar: Scalar, names: tuple[str, ...] = ()) -> list[Scalar]:
    """What bending operations (or those called ``names``) are applied to, as functions of e alone."""
    columns = {name for node in walk(scalar) if isinstance(node, Over) for name, _ in node.columns}
    found: dict[Scalar, None] = {}
    for node in walk(scalar):
        if not isinstance(node, Op) or (node.name not in names if names else node.name in _PLAIN):
            continue
        for argument in (Op("sub", node.args),) if node.name in _PAIRS else node.args:
            free = variables(argument)
            if "e" in free and columns.isdisjoint(free) and not _tabular(argument):
                found[argument] = None
    return list(found)


def _turn(argument: Scalar, low: float, high: float) -> Any:
    """Where a function changes its sign between two energies; about there where it has no value at one of them."""
    try:
        return zero(lambda e: value(argument, e=e), mp.mpf(low), mp.mpf(high), mp.mpf("1e-45"))
    except _NO_VALUE:
        return mp.mpf(low if abs(low) < abs(high) else high)


def zero(function: Callable[[Any], Any], low: Any, high: Any, resolution: Any) -> Any:
    """The zero in a bracket to a relative ``resolution``, by regula falsi (Illinois); where the sign jumps, the place of the jump."""
    below, above = function(low), function(high)
    if (below < 0) == (above < 0) or below == 0 or above == 0:  # seen by floats only, or at an end
        return low if abs(below) <= abs(above) else high
    root, side = low, 0
    for _ in range(100):
        last, root = root, (low * above - high * below) / (above - below)
        between = function(root)
        if between == 0 or abs(root - last) <= abs(root) * resolution:
            break
        # an end that stays a second time counts half, so that both ends move in
        if (between < 0) == (below < 0):
            low, below, above = root, between, above / 2 if side < 0 else above
            side = -1
        else:
            high, above, below = root, between, below / 2 if side > 0 else below
            side = 1
    return root


# --- towards infinity


def _ends(gap: _Gap, grid: Array, sizes: Array) -> Iterator[Top]:
    """What the error approaches at both ends. Raises Unbounded where it keeps growing beyond what it is less far out."""
    for sign, limit in ((-1, gap.limits[0]), (1, gap.limits[1])):
        if math.isfinite(limit):
            continue
        with mp.workdps(_FAR_DIGITS):
            far = _far(gap, sign)
            if far is None:
                continue
            last, before = far
            nearer = float(sizes[np.abs(grid) <= float(abs(last.at)) / 10].max(initial=0.0))
            if mpmath.isinf(last.error) or (last.size > mp.mpf("1.2") * max(mp.mpf(nearer), before) and last.size > 1e-12):
                place = sign * 2e5
                seen = gap.at(mp.mpf(place))
                raise Unbounded(sign, place, mp.inf if seen is None else seen.size)
            if last.size > mp.mpf(10) ** (20 - _FAR_DIGITS) * last.scale:
                yield Top(sign * mp.inf, last.error, last.scale, mp.zero)


def _far(gap: _Gap, sign: int) -> tuple[Top, Any] | None:
    """The error very far out, and its size less far out (0 where values are expensive)."""
    seen: list[Top] = []
    for place in _FAR:
        e = sign * mp.mpf(place)
        top = gap.at(e)
        if top is not None and mpmath.isfinite(top.error) and (period := _period(gap.exact, e)):
            top = _crest(gap, e, period)
        if top is not None:
            seen.append(top)
        if len(seen) == (1 if gap.coarse else 2):
            break
    return (seen[0], seen[1].size if len(seen) > 1 else mp.zero) if seen else None


def _period(tree: Scalar, e: Any) -> Any:
    """The period of the slowest wave at an energy far out, where all else stands still; 0 where there is none."""
    step = mp.mpf("1e-55")
    rates = [abs(value(argument, e=e + step) - value(argument, e=e)) / step for argument in _arguments(tree, ("sin", "cos"))]
    slowest = min((rate for rate in rates if rate > 1e-6), default=mp.zero)
    return 2 * mp.pi / slowest if slowest else mp.zero


def _crest(gap: _Gap, e: Any, period: Any) -> Top | None:
    """The highest top within a period."""
    step = period / 64
    seen = [gap.at(e + k * step) for k in range(64)]
    best = max((top for top in seen if top is not None), key=lambda top: top.size, default=None)
    return best if best is None or mpmath.isinf(best.error) else _summit(gap, best.at, step) or best


def _level(gap: _Gap, end: Top, inner: list[Top]) -> bool:
    """Whether an error is constant from one of the inner tops to the end, so that it is attained and not only approached."""
    near = end.size * mp.mpf("1e-25")
    sign = 1 if end.at > 0 else -1
    for top in inner:
        if abs(top.size - end.size) <= near:
            along = [gap.at(top.at + sign * step) for step in (1, 10, 100)]
            if all(one is not None and abs(one.size - end.size) <= near for one in along):
                return True
    return False


# --- at finite energies


def _seen(gap: _Gap) -> tuple[Array, Array]:
    """The grid with the sizes of the error, where floats hold. Formulas keep their digits for the energies of networks; far out large
    terms may cancel, and the ends are what counts there. A formula without its guards may be 0/0 next to 0."""
    grid, sizes = gap.grid, gap.sizes(gap.grid)
    while True:
        k = int(sizes.argmax())
        far = abs(float(grid[k]))
        if gap.coarse or 1 <= far <= _NEAR or far == 0 or gap.holds(float(grid[k])):
            return grid, sizes
        kept = np.abs(grid) <= max(far / 10, _NEAR) if far > 1 else (np.abs(grid) > 10 * far) | (grid == 0)
        grid, sizes = grid[kept], sizes[kept]


def _inner(gap: _Gap, grid: Array, sizes: Array, within: float) -> list[Top]:
    """Tops between the ends."""
    low, high = _brackets(grid, sizes)
    places, heights = _zoom(gap, low, high)
    highest = max(float(sizes.max()), float(heights.max(initial=0.0)))
    if highest == 0:
        return []
    least = highest * (1 - within - 1e-6)
    found = [top for turn in gap.turns if (top := _corner(gap, turn, least)) is not None]
    order = sorted(range(len(places)), key=lambda k: (abs(places[k]), places[k]))
    for k in [k for k in order if heights[k] >= least][: 2 * _MOST_TURNS]:
        place, reach = float(places[k]), float(high[k] - low[k]) / 2
        top = _fitted(gap, place, reach) if gap.coarse else _summit(gap, mp.mpf(place), mp.mpf(reach))
        if top is not None:
            found.append(top)
    return _distinct(found)


def _brackets(grid: Array, sizes: Array) -> tuple[Array, Array]:
    """Around every run of grid points that stands out from its neighbours; runs of equals are equal to 12 digits."""
    highest = float(sizes.max())
    if highest == 0:
        return np.empty(0), np.empty(0)
    level = np.rint(sizes / highest * 1e12)
    starts = np.flatnonzero(np.diff(level, prepend=-1.0) != 0)
    stops = np.append(starts[1:], len(grid)) - 1
    tall = level[starts]
    stands = [k for k in range(1, len(starts) - 1) if tall[k] > max(tall[k - 1], tall[k + 1]) and tall[k] >= 0.9e12]
    stands = sorted(stands, key=lambda k: (-tall[k], abs(grid[starts[k]])))[:_MOST_TOPS]
    return grid[[starts[k] - 1 for k in stands]], grid[[stops[k] + 1 for k in stands]]


def _zoom(gap: _Gap, low: Array, high: Array) -> tuple[Array, Array]:
    """The place and height of the top in each bracket, as far as floats see it."""
    shares = np.linspace(0, 1, 41)
    rows = np.arange(len(low))
    for _ in range(3):
        e = low[:, None] + (high - low)[:, None] * shares
        sizes = gap.sizes(e)
        k = sizes.argmax(1) if len(low) else rows
        low, high = e[rows, np.maximum(k - 1, 0)], e[rows, np.minimum(k + 1, 40)]
    return e[rows, k], sizes[rows, k]


def _corner(gap: _Gap, turn: Any, least: float) -> Top | None:
    """The top at a corner or beside a jump; None where there is none, or a smooth one."""
    e = float(turn)
    near = np.array([e, np.nextafter(e, -np.inf), np.nextafter(e, np.inf)]) if e else np.array([0.0, -1e-30, 1e-30])
    height = float(gap.sizes(near).max())
    beside = float(gap.sizes(e + 1e-7 * max(abs(e), 1e-3) * np.array([-1.0, 1.0])).max())
    if height < least or beside > height * (1 + 1e-12):
        return None
    if gap.coarse:
        top = gap.at(turn)
        return top if top is not None and top.size >= least * (1 - _ROUNDING) else None
    unit = abs(turn) if turn else mp.one
    at, *jumps = (gap.at(turn + unit * step) for step in (0, -mp.mpf("1e-40"), mp.mpf("1e-40")))
    sides = [gap.at(turn + unit * step) for step in (-mp.mpf("1e-20"), mp.mpf("1e-20"))]
    here = max((top for top in (at, *jumps) if top is not None), key=lambda top: top.size, default=None)
    if here is None or any(side is None for side in sides):
        return None
    drops = [(here.size - side.size) / here.size for side in sides if side is not None]
    hole = at is not None and at.size < here.size
    # what is flat on both sides is part of a plateau; what rises by next to nothing does so from the rounding of a formula's constants
    if min(drops) < -mp.mpf("1e-35") or (max(drops) < mp.mpf("1e-55") and not hole):
        return None
    return Top(turn, here.error, here.scale, mp.zero)


def _summit(gap: _Gap, e: Any, reach: Any) -> Top | None:
    """A smooth top near a place, by parabolas through three points; None where there is none within ``reach``."""
    for step in (reach * mp.mpf("1e-3"), reach * mp.mpf("1e-6"), reach * mp.mpf("1e-9")):
        three = [gap.at(e + move) for move in (-step, 0, step)]
        if any(top is None for top in three):
            return None
        left, middle, right = (top.size for top in three if top is not None)
        bend = left - 2 * middle + right
        if not bend < 0:
            return None
        move = step * (left - right) / (2 * bend)
        if abs(move) > reach:
            return None
        e, reach = e + move, 100 * step
    top = gap.at(e)
    return None if top is None else Top(e, top.error, top.scale, 4 * step)


def _fitted(gap: _Gap, place: float, reach: float) -> Top | None:
    """The same where values are expensive: the top of a polynomial through floats, and one value there."""
    if any(abs(place - turn) <= 1e-3 * reach for turn in gap.turns):
        return None  # that has been looked at
    shares = np.cos(np.pi * (np.arange(24) + 0.5) / 24)
    fitted = np.polynomial.Chebyshev.fit(shares, gap.sizes(place + reach * shares), 10)
    slope, bend = fitted.deriv(), fitted.deriv(2)
    share = 0.0
    for _ in range(20):
        curve = float(bend(share))
        if not curve < 0:
            return None
        share -= float(slope(share)) / curve
        if abs(share) > 1:
            return None
    e = float(f"{place + reach * share:.12g}")
    top = gap.at(mp.mpf(e))
    return None if top is None else Top(top.at, top.error, top.scale, mp.mpf(reach) * mp.mpf("1e-8"))


def _distinct(found: list[Top]) -> list[Top]:
    """Of tops at one place the highest, of equal ones the one whose place is certain."""
    kept: list[Top] = []
    for top in sorted(found, key=lambda top: (top.at, top.blur)):
        if kept and top.at - kept[-1].at <= top.blur + kept[-1].blur + _POINT:
            best = max(kept[-1], top, key=lambda one: (one.size, -one.blur))
            kept[-1] = best
        else:
            kept.append(top)
    return kept
