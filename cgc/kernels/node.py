"""A node law as typed arithmetic: its value for an energy, drawn or not, and the derivative that goes back.

Three derivatives are known: as a function of the value (where the expectation's slope is one), as a function of the energy, and that of
what was drawn, from the same random words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import mpmath
from mpmath import mp

from cgc.derive.derivation import Derivation, Draw
from cgc.formula.dual import dual
from cgc.formula.numeric import constant as number_of
from cgc.formula.numeric import value as value_of
from cgc.formula.scalar import Const, Op, Over, Scalar, Var, bind, const, random, walk
from cgc.formula.tangent import tangent
from cgc.kernels.code import Value, argument, constant, given, in_order, loops, replaced, select
from cgc.kernels.counts import BLOCK, binomial, poisson
from cgc.kernels.expand import EXP_LIMIT, MAX_ROWS, Unsupported, Words, expand
from cgc.kernels.gamma import COMPOSED
from cgc.kernels.inverses import INVERSES
from cgc.kernels.random import NOISES

MAX_WORDS = 4
MOST_TRIALS = 1000
"""Binomials of more are drawn by torch."""

_ENERGIES = [mpmath.mpf(n) / 64 for n in (-155, -82, -36, -9, 18, 55, 119, 220)]
E, H, RATE = argument("e"), argument("h"), argument("rate")
WORDS = tuple(given(f"w{k}") for k in range(MAX_WORDS))
COIN = Words(WORDS, RATE).coin
"""Whether a node is drawn."""


@dataclass(frozen=True)
class Node:
    """Values of ``e`` (energy), ``h`` (what the node became), ``rate`` and the words ``w0`` …; ``slope_of_value`` is one of ``h``.

    ``expectation`` is what feed-forward computes, ``drawn`` what a node becomes that is drawn, for which ``words`` random words are used;
    None where draws have no such form. ``inferred`` is one or the other, drawn with probability ``rate``. ``slope`` is the derivative of
    the expectation, ``through`` that of a draw, 0 where it passes no gradient, and ``drawn_slope`` that of ``inferred``. ``always``:
    ``slope_of_value`` holds for drawn values too, as it is 0 there. ``bounds``: the expectation is the energy between them, and one of
    them beyond; None where it is no such clamp.
    """

    expectation: Value
    slope: Value
    slope_of_value: Value | None
    always: bool
    drawn: Value | None
    through: Value | None
    words: int
    discrete: bool
    bounds: tuple[float, float] | None

    @property
    def tabled(self) -> bool:
        """Whether it takes loops over tables."""
        return loops(*(value for value in (self.expectation, self.slope, self.drawn, self.through) if value is not None))

    @property
    def inferred(self) -> Value | None:
        """A draw or the expectation."""
        return None if self.drawn is None else select(COIN, self.drawn, self.expectation)

    @property
    def drawn_slope(self) -> Value | None:
        """Its derivative."""
        return None if self.through is None else select(COIN, self.through, self.slope)


@lru_cache(maxsize=256)
def node(law: Derivation) -> Node:
    """The typed arithmetic of a law of single energies. Raises Unsupported."""
    expectation = expand(law.computed, {"e": E})
    slope = expand(_slope(law.computed), {"e": E})
    of_value = _slope_of_value(law.computed)
    always = of_value is not None and law.discrete and _vanishes(of_value, law.sampling)
    try:
        drawn, through, words = _drawn(law, expectation)
    except Unsupported:
        drawn, through, words = None, None, 0
    slope_of_value = None if of_value is None else expand(of_value, {"h": H})
    return Node(expectation, slope, slope_of_value, always, drawn, through, words, law.discrete, _bounds(law.computed))


def _slope(computed: Scalar) -> Scalar:
    """The derivative of what feed-forward computes; a rectifier on its own has 0 at 0, as torch's has."""
    if isinstance(computed, Op) and computed.name == "max" and computed.args[0] == const(0):
        return Op("where", (Op("gt", (computed.args[1], const(0))), tangent(computed.args[1], "e"), const(0)))
    slope = tangent(computed, "e")
    # beyond what floats hold, a value is bounded and has no slope
    for part in dict.fromkeys(walk(computed)):
        if isinstance(part, Op) and part.name in ("bounded", "bounded_exp"):
            for exponent in part.args[part.name == "bounded" :]:
                slope = Op("where", (Op("lt", (exponent, const(EXP_LIMIT))), slope, const(0)))
    return slope


def _drawn(law: Derivation, expectation: Value) -> tuple[Value | None, Value | None, int]:
    """What the node is when it is drawn, the derivative of that, and how many words an element uses."""
    if not isinstance(law.sampling, Draw) or not law.sampling.random:
        return None, None, 0
    words = Words(WORDS, RATE)
    leaves = _Leaves(words, {"e": E}, law.computed, expectation)
    trees: list[tuple[str, Scalar]] = []
    for name, part in law.sampling.given:
        # what is drawn once and read repeatedly has a name
        trees.append((name, leaves.told(part)))
        leaves.known[name] = expand(trees[-1][1], leaves.known, words)
    formula = leaves.told(law.sampling.value)
    drawn = expand(formula, leaves.known, words)
    if law.statistic is not None:
        drawn = expand(law.statistic, {"x": drawn})
    through: Value = constant(0.0)
    if law.sampling.pathwise:
        whole = formula if law.statistic is None else bind(law.statistic, "x", formula)
        for name, tree in reversed(trees):
            whole = bind(whole, name, tree)
        through = expand(tangent(whole, "e"), leaves.known)
        for name, (slope, parameter) in leaves.slopes.items():
            through = through + expand(tangent(whole, name), leaves.known) * slope * expand(tangent(parameter, "e"), leaves.known)
        through = _by_tanh(through, drawn)
    return drawn, through, min(max(words.used, 1), MAX_WORDS)


def _by_tanh(slope: Value, drawn: Value) -> Value:
    """σ(2x) σ(-2x) as (1-t)(1+t)/4, where t = tanh x is computed anyway, and the digits that this lacks in tails are lost anyway: in a sum
    with a number, as of the derivative of e + n tanh(e)."""
    users: dict[Value, list[Value]] = {}
    for user in in_order(slope):
        for read in user.inputs:
            users.setdefault(read, []).append(user)

    def lost(value: Value) -> bool:
        return value is not slope and all(
            (user.name == "add" and any(other.name == "constant" for other in user.inputs)) or (user.name == "mul" and lost(user))
            for user in users.get(value, [])
        )

    calls = [node for node in in_order(slope, drawn) if node.name == "call"]
    tangents = {doubled: t for t in calls if t.args[0] == "tanh" for doubled in (2.0 * t.inputs[0], t.inputs[0] * 2.0)}
    densities = [(node, tangents.get(node.inputs[0])) for node in calls if node.args[0] == "logistic_pdf"]
    places = {node: (1.0 - t) * (1.0 + t) * 0.25 for node, t in densities if t is not None and lost(node)}
    return replaced((slope,), places)[0]


class _Leaves:
    """What is random in a draw, as variables with values: each place where it is written is a draw of its own."""

    def __init__(self, words: Words, known: dict[str, Value], computed: Scalar, expectation: Value) -> None:
        self.words, self.known = words, known
        self.computed, self.expectation = computed, expectation
        self.slopes: dict[str, tuple[Value, Scalar]] = {}
        """Of what is drawn with a parameter, by name: the derivative with respect to this, and the parameter."""

    def told(self, part: Scalar) -> Scalar:
        """The formula with variables in place of its random leaves."""
        if isinstance(part, (Const, Var)) or not random(part):
            return part
        if isinstance(part, Over):
            return self.named(expand(part, self.known, self.words))
        inner = tuple(self.told(argument) for argument in part.args)
        if part.name in COMPOSED:
            return COMPOSED[part.name](lambda name: self.told(Op(name, ())), *inner)
        if part.name in NOISES:
            return self.named(NOISES[part.name](self.words.noise()))
        if part.name == "draw_bernoulli":
            return self.named(select(self.words.below(self.probability(inner[0])), 1.0, 0.0))
        if part.name == "draw_binomial" and (trials := number_of(inner[0])) is not None and trials == int(trials):
            return self.named(self.successes(int(trials), expand(inner[1], self.known, self.words)))
        if part.name == "draw_poisson":
            return self.named(poisson(expand(inner[0], self.known, self.words), self.words.noise()))
        if part.name in INVERSES:
            drawn, slope = INVERSES[part.name](expand(inner[0], self.known, self.words), self.words.noise())
            name = self.named(drawn)
            self.slopes[name.name] = slope, inner[0]
            return name
        return Op(part.name, inner)

    def probability(self, p: Scalar) -> Value:
        """An event's probability; where the node has two states, it follows from the expectation, which is there already."""
        line = _affine(self.computed, p)
        if line is None:
            return expand(p, self.known, self.words)
        return line[1] * self.expectation + line[0]

    def successes(self, trials: int, p: Value) -> Value:
        """How many of so many trials succeed."""
        if trials > MOST_TRIALS:
            raise Unsupported(f"{trials} trials")
        counts = [binomial(min(BLOCK, trials - first), p, self.words.noise()) for first in range(0, trials, BLOCK)]
        return sum(counts[1:], counts[0])

    def named(self, drawn: Value) -> Var:
        name = f"drawn_{len(self.known)}"
        self.known[name] = drawn
        return Var(name)


def _affine(x: Scalar, y: Scalar) -> tuple[float, float] | None:
    """The numbers a and b with y = a + b x at every energy, if there are such, seen to 40 digits."""
    with mp.workdps(60):
        try:
            pairs = [(value_of(x, e=e), value_of(y, e=e)) for e in _ENERGIES]
        except (KeyError, ValueError, ZeroDivisionError):
            return None
        (a, fa), (b, fb) = pairs[1], pairs[5]
        if a == b or fa == fb:
            return None
        slope = (fb - fa) / (b - a)
        if any(abs(fa + slope * (x - a) - y) > mpmath.mpf(10) ** -40 for x, y in pairs):
            return None
        return float(fa - slope * a), float(slope)


# --- the slope as a function of the value


def _slope_of_value(computed: Scalar) -> Scalar | None:
    """f' as a function of f(e), where it is one that can be told: of a clamp, or a polynomial of degree two at most.

    The three coefficients follow from three energies; that they are the right ones is seen at others, to 40 digits.
    """
    if any(isinstance(part, Op) and part.name in ("bounded", "bounded_exp") for part in walk(computed)):
        return None
    bounds = _clamped(computed)
    if bounds is not None:
        low, high = bounds
        inside: Scalar | None = None
        for sign, bound in (("gt", low), ("lt", high)):
            if bound is not None:
                condition = Op(sign, (Var("h"), Const(bound)))
                inside = condition if inside is None else Op("and", (inside, condition))
        assert inside is not None
        return Op("where", (inside, const(1), const(0)))
    return _quadratic(computed)


def _clamped(computed: Scalar) -> tuple[Fraction | None, Fraction | None] | None:
    """The bounds of e, where it is all that is between them."""
    if isinstance(computed, Op) and computed.name in ("max", "min") and isinstance(computed.args[0], Const):
        bound, inner = computed.args[0].value, computed.args[1]
        low, high = (bound, None) if computed.name == "max" else (None, bound)
        if inner == Var("e"):
            return low, high
        rest = _clamped(inner)
        if rest is not None and (rest[0] is None) != (low is None):
            low, high = (low, rest[1]) if low is not None else (rest[0], high)
            return (low, high) if low is not None and high is not None and low < high else None
    return None


def _bounds(computed: Scalar) -> tuple[float, float] | None:
    """The same as floats."""
    found = (None, None) if computed == Var("e") else _clamped(computed)
    if found is None:
        return None
    low, high = found
    return (-math.inf if low is None else float(low), math.inf if high is None else float(high))


def _quadratic(computed: Scalar) -> Scalar | None:
    if any(isinstance(part, Over) and len(part.columns[0][1]) > MAX_ROWS for part in walk(computed)):
        return None  # a table is near to a formula, and no formula itself
    with mp.workdps(60):
        try:
            pairs = [dual(computed, "e", e=e) for e in _ENERGIES]
        except (ValueError, ZeroDivisionError):
            return None
        (a, fa), (b, fb), (c, fc) = pairs[1], pairs[4], pairs[6]
        if len({a, b, c}) < 3:
            return None
        # Newton's divided differences
        first, second = (fb - fa) / (b - a), (fc - fb) / (c - b)
        square = (second - first) / (c - a)
        linear = first - square * (a + b)
        free = fa - linear * a - square * a * a
        close = mpmath.mpf(10) ** -40
        if any(abs(free + linear * y + square * y * y - slope) > close * (1 + abs(slope)) for y, slope in pairs):
            return None
        numbers = [_nearest(x) for x in (free, linear, square)]
    if any(x is None for x in numbers):
        return None
    c0, c1, c2 = (x for x in numbers if x is not None)
    h = Var("h")
    # (1 - h)(1 + h) and h (1 - h) keep the digits that 1 - h² loses near its zeros
    if c2 == 0:
        return Op("add", (Const(c0), Op("mul", (Const(c1), h)))) if c1 else Const(c0)
    return _factored(c0, c1, c2)


def _factored(c0: Fraction, c1: Fraction, c2: Fraction) -> Scalar | None:
    """c2 (h - r)(h - s), with the zeros r and s, which are the states that the node ends in."""
    discriminant = c1 * c1 - 4 * c0 * c2
    if discriminant < 0:
        return None
    root = _square_root(discriminant)
    if root is None:
        return None
    r, s = sorted(((-c1 - root) / (2 * c2), (-c1 + root) / (2 * c2)))
    h = Var("h")
    product = Op("mul", (Op("sub", (h, Const(r))), Op("sub", (Const(s), h))))
    return product if -c2 == 1 else Op("mul", (Const(-c2), product))


def _square_root(x: Fraction) -> Fraction | None:
    root = Fraction(math.isqrt(x.numerator), math.isqrt(x.denominator))
    return root if root**2 == x else None


def _nearest(x: object) -> Fraction | None:
    """The simple fraction that a number is."""
    near = Fraction(str(mpmath.nstr(x, 50, strip_zeros=False, min_fixed=-100, max_fixed=100))).limit_denominator(10**6)
    return near if abs(mpmath.mpf(near.numerator) / near.denominator - x) < mpmath.mpf(10) ** -40 else None


def _vanishes(of_value: Scalar, sampling: object) -> bool:
    """Whether a function of the value is 0 at every state."""
    if not isinstance(sampling, Draw) or not sampling.states:
        return False
    return all(number_of(bind(of_value, "h", state)) == 0 for state in sampling.states)
