"""From an activation to the distribution function in it: limits, monotonicity, the noise and its density."""

from __future__ import annotations

import itertools
from typing import Any

import sympy
from mpmath import mp

from cgc.derive.bases import BASES
from cgc.derive.derivation import Step
from cgc.derive.inverse.curve import ERRORS, NOTHING, Curve, place_text, short_text
from cgc.derive.inverse.distribution import Match, Share, extreme_of, first_fall
from cgc.derive.inverse.node import NoNode
from cgc.derive.inverse.numbers import number_of
from cgc.derive.inverse.spelling import LONGEST
from cgc.derive.pieces import NoPieces, pieces
from cgc.derive.routes import step
from cgc.families.forms import E, Y
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value
from cgc.formula.text import latex, text


def levels_of(curve: Curve) -> tuple[Any, Any, Any]:
    """The slope that both ends share, and what is left at either end without it."""
    low, high = curve.ends
    line: Any = sympy.Integer(0)
    if low.number is None or high.number is None:
        left, right = curve.end_slopes
        if left.number is None or left.number != right.number or left.number == 0:
            raise NoNode(low.missing or high.missing)
        line = left.number
        low, high = curve.beyond(line)
    if low.number is None or high.number is None:
        raise NoNode(f"less {text(line * E)}, {low.missing or high.missing}")
    if low.number == high.number:
        raise NoNode(f"its limits at both ends are {text(low.number)}" if line == 0 else "it has the same asymptote at both ends")
    return line, low.number, high.number


def monotone_reason(curve: Curve) -> str:
    return f"never turns back {curve.searched}, so this is a distribution function, of -noise"


def limits_step(reason: str, low: Any, high: Any) -> Step:
    return Step(reason, f"{text(low)} at -∞, {text(high)} at ∞", rf"{latex(low)}\ (-\infty),\ {latex(high)}\ (\infty)")


def refuse_falling(curve: Curve, share: Share, line: Any, span: Any) -> None:
    """What turns back is no distribution function. Raises NoNode with the place."""
    rises = bool(value(freeze(span)) > 0)
    found = first_fall(share.values)
    if found is not None:
        ends = [extreme_of(share.of, share.points, k, sign) for k, sign in zip(found, (1, -1), strict=True)]
        words = [f"{short_text(curve.value(e))} at {place_text(e)}" for e, _ in ends]
        kind = "falls" if rises else "rises"
        what = "it" if line == 0 else f"less {text(line * E)}, it"
        if line != 0:
            words = [f"{short_text(v)} (of 1) at {place_text(e)}" for e, v in ends]
            kind = "turns back"
        raise NoNode(f"{what} {kind} from {words[0]} to {words[1]}: not a distribution function")
    size = value(freeze(span))
    for e, d in zip(curve.points, curve.slopes, strict=True):
        if d is not None and (d - value(freeze(line))) / size < -NOTHING:
            raise NoNode(f"its derivative is {short_text(d)} at {place_text(e)}: not a distribution function")


def mean_of(match: Match) -> Any:
    """E s·n."""
    return match.scale * value(freeze(BASES[match.base].moment(1)))


def latent_text(scale: Any) -> str:
    return text(E + scale * sympy.Symbol("n"))


def known_noise(match: Match, density: Any, place: Any, scale: Any) -> list[Step]:
    noise = BASES[match.base]
    found = [] if density is None else [step("the density of the noise, F'(-y)", density, "", "g(y)")]
    words = f"it is that of s·n, {noise.symbol}, around m: F(e) = P(e + s·n > m) at 61 places to 28 digits"
    drawn = rf"m = {latex(place)},\ s = {latex(scale)}"
    return [*found, Step(words, f"m = {text(place)}, s = {text(scale)}", drawn)]


def no_base_reason(sort: str, match: Match | None, share: Share, density: Any) -> str:
    """The words for a node that exists, but whose noise is no base."""
    if match is not None:
        place, scale = number_of(match.place), number_of(match.scale)
        shift = "" if place == 0 else f" - ({text(place)})"
        name = f"{'an' if match.base == 'exponential' else 'a'} {match.base} noise"
        return (
            f"the node exists: a {sort} node with the noise {text(-scale * sympy.Symbol('n'))}{shift}, n {name}; "
            f"no base noise is that, as {name} is not symmetric and a node adds it"
        )
    shown = "of its own" if density is None else f"g(y) = {text(density)}"
    atom = _atom(share)
    return f"the node exists: a {sort} node whose noise has density {shown}{atom}; no base noise is that"


def _atom(share: Share) -> str:
    """A jump of a distribution function, told by two neighbours on the grid that lie next to each other."""
    for (e, v), (f, w) in itertools.pairwise(zip(share.points, share.values, strict=True)):
        if f - e < mp.mpf(10) ** -15 and w - v > mp.mpf(10) ** -12:
            middle = (e + f) / 2
            return f" and an atom of {short_text(w - v)} at y = {short_text(-middle if abs(middle) > mp.mpf(10) ** -15 else 0)}"
    return ""


def is_smooth(expression: Any) -> bool:
    return not expression.has(sympy.Abs, sympy.Max, sympy.Min, sympy.sign, sympy.Piecewise)


def density_of(curve: Curve, line: Any, span: Any, order: int) -> Any | None:
    """The density of the noise at y, F'(-y) with F = (a - line·e)/span or (a' - line)/span, for people; None where it is too long to
    read. Corners are taken apart first."""
    mirrored = curve.expression.subs(E, -Y)
    try:
        parts = [(mirrored, True)] if is_smooth(mirrored) else [(part.polynomial, sympy.Lt(Y, part.high)) for part in pieces(mirrored)]
        found = [(_derivative(formula, line, span, order), condition) for formula, condition in parts]
    except (NoPieces, *ERRORS):
        return None
    if any(sympy.count_ops(formula) > LONGEST or formula.has(sympy.Derivative, sympy.Subs) for formula, _ in found):
        return None
    return found[0][0] if len(found) == 1 else sympy.Piecewise(*found[:-1], (found[-1][0], True), evaluate=False)


def _derivative(mirrored: Any, line: Any, span: Any, order: int) -> Any:
    """The ``order``-th derivative by e = -y of a smooth formula in y, less the line, over the span."""
    found = ((-1) ** order * sympy.diff(mirrored, Y, order) - (line if order == 1 else 0)) / span
    return sympy.factor(found) if sympy.count_ops(found) <= LONGEST / 2 else found
