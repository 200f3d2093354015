"""Route 3: X = value(Y), Y = e + s·noise. The noise integral is split at the break points of ``value`` and standardised.

Every piecewise polynomial is a polynomial plus, at each break point b, powers of the ramp max(0, y - b) or, to the left of the piece
that one starts from, of max(0, b - y). E max(0, Y - b)^k = s^k W_k((e - b)/s), so the expectation is a sum of these.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import sympy

from cgc.derive.bases import BASES
from cgc.derive.bases import Noise as Base
from cgc.derive.derivation import Latent, Refusal, Step
from cgc.derive.pieces import NotPiecewisePolynomial, Piece, pieces
from cgc.derive.routes import Route, step
from cgc.derive.scale import S, Scale, drawn_scale, scale_of
from cgc.families.forms import E, Noise, X, Y
from cgc.formula.freeze import freeze
from cgc.formula.primitives import LogSumExp, NormCdf, NormPdf, NormRamp
from cgc.formula.text import latex, text

_Z = sympy.Symbol("z", real=True)
_N = sympy.Symbol("n", real=True)


def derive_noise(law: Noise) -> Route:
    """Expectation, sampling rule and log-likelihood of a noise form. Raises Refusal."""
    base = BASES[law.base]
    scale = scale_of(law)
    try:
        parts = pieces(law.value)
    except NotPiecewisePolynomial as error:
        (culprit,) = error.args
        why = _divergence(law, culprit)
        if why:
            raise Refusal(
                "CG508",
                f"a node with value `{text(law.value)}` has no mean",
                "value",
                why,
                "use a smaller scale, or a value that grows less",
            ) from None
        raise Refusal(
            "CG503", f"no closed form is known for the expectation of `{text(law.value)}`", "value",
            why=f"`{text(culprit)}` is not a piecewise polynomial in y",
            help="use polynomials of degree at most 16 with coefficients up to 1e12, max, min, abs, sign and Piecewise in y",
        ) from None  # fmt: skip
    latent = Latent(law.base, None if scale.zero else freeze(drawn_scale(law)), freeze(law.value), _pathwise(parts))
    start = step("the node", law.value, "eq. 10" if law.base == "normal" else "eq. 7", "X = value(Y), value(y)")
    if scale.zero:
        mean = law.value.subs(Y, E)
        certain = (start, step("without noise Y = e, so X is a function of e", mean, "eq. 9", "E[X | e]"))
        return Route(
            f"X = {text(law.value.subs(Y, E))}",
            certain,
            mean,
            mean,
            latent,
            f"nothing to draw: X = {text(mean)}",
            None,
            "a node without noise has no density",
            slope=_slope(parts),
        )
    s = scale.symbol
    steps: list[Step] = [
        start,
        step("its latent value", E + s * _N, "eq. 10" if law.base == "normal" else "eq. 7", f"{base.symbol}, Y"),
    ]
    if s == S:
        steps.append(step("with the scale", scale.formula, "" if scale.formula.is_number else "eq. 11", "s"))
    steps.append(_integral(parts, law, s))
    anchor, terms = _ramps(parts)
    if terms:
        steps.append(step("as a polynomial and ramps at the break points", _written(anchor, terms), "", "value(y)"))
    mean, stable = _expectation(base, anchor, terms, scale)
    if any(term.power >= 1 for term in terms):
        steps.append(step("expected ramp, standardised: z = (e - b)/s", s * base.ramp_moment(1, _Z), "", "E max(0, Y - b)"))
        if law.base == "normal":
            steps.append(step("where", _Z * NormCdf(_Z) + NormPdf(_Z), "", "ramp(z) = ∫Φ"))
    steps.append(step("put together", mean, "eq. 9, 10" if law.base == "normal" else "eq. 9", "E[X | e]"))
    if stable != mean:
        steps.append(step("in stable primitives", stable, "", "E[X | e]"))
    log_likelihood, missing = _likelihood(base, parts, s)
    if log_likelihood is not None:
        steps.append(step("log-likelihood", log_likelihood, "", "log p(x | e)"))
    where = "" if s == 1 else f", s = {text(scale.formula)}"
    node = f"X = {text(law.value.subs(Y, sympy.Symbol('Y')))}, Y = {text(E + s * _N)}, {base.symbol}{where}"
    if law.value == Y:
        node = node.replace("X = Y, Y = ", "X = ")
    return Route(
        node, tuple(steps), mean, stable, latent, node, log_likelihood, missing,
        scale=scale.formula if s == S else None, slope=_slope(parts),
    )  # fmt: skip


@dataclass(frozen=True)
class _Ramp:
    """coefficient · max(0, ±(y - at))^power; power 0 is the step 1[±(y - at) > 0]."""

    coefficient: Any
    power: int
    at: Any
    rising: bool


def _ramps(parts: tuple[Piece, ...]) -> tuple[Any, tuple[_Ramp, ...]]:
    """The polynomial of the plainest piece, and the ramps that lead from it to all others."""
    anchor = min(range(len(parts)), key=lambda k: (_cancellation(parts[k]), k))
    terms: list[_Ramp] = []
    for k in range(anchor + 1, len(parts)):
        terms += _between(parts[k].polynomial - parts[k - 1].polynomial, parts[k].low, rising=True)
    for k in range(anchor - 1, -1, -1):
        terms += _between(parts[k].polynomial - parts[k + 1].polynomial, parts[k].high, rising=False)
    return parts[anchor].polynomial, tuple(terms)


def _cancellation(piece: Piece) -> int:
    """How many digits may be lost in sums that start from a piece: none in the tail of a zero, few with a constant of size 1, and
    around 0 few with what holds there."""
    if piece.polynomial == 0:
        return 0
    if piece.degree == 0 and abs(piece.polynomial) <= 16:
        return 1
    return 2 if piece.low <= 0 <= piece.high else 3


def _between(difference: Any, at: Any, rising: bool) -> list[_Ramp]:
    u = sympy.Symbol("u")
    shifted = sympy.Poly(sympy.expand(difference.subs(Y, at + u if rising else at - u)), u)
    return [_Ramp(c, power, at, rising) for (power,), c in reversed(shifted.terms()) if c != 0]


def _written(anchor: Any, terms: tuple[_Ramp, ...]) -> Any:
    total = anchor
    for term in terms:
        distance = Y - term.at if term.rising else term.at - Y
        total += term.coefficient * (sympy.Max(0, distance) ** term.power if term.power else sympy.Function("1")(distance > 0))
    return total


def _divergence(law: Noise, part: Any) -> str:
    """Why the integral of exp(polynomial of y) against the noise does not exist; empty where it does, or where this cannot be told."""
    # inside another function, such as min(1, exp(y)), it may well converge
    if part != law.value or not isinstance(part, sympy.exp) or not part.args[0].is_polynomial(Y) or not law.scale.is_number:
        return ""
    exponent = sympy.Poly(part.args[0], Y)
    top, s = exponent.LC(), abs(law.scale)
    # the noise's log-density falls like n²/2 (normal) or |n| (logistic); an even power with a negative sign falls too
    order = 2 if law.base == "normal" else 1
    rate = sympy.Rational(1, 2) if law.base == "normal" else sympy.Integer(1)
    grows = exponent.degree() % 2 == 1 or top > 0
    if not grows or exponent.degree() < order or s == 0:
        return ""
    if exponent.degree() == order and abs(top) * s**order < rate:
        return ""
    end = "infinity" if top > 0 else "minus infinity"
    return f"the integral of `{text(part)}` does not converge at y = {end}: it outgrows the tail of the {law.base} noise"


def _expectation(base: Base, anchor: Any, terms: tuple[_Ramp, ...], scale: Scale) -> tuple[Any, Any]:
    """The expectation as people write it, and in the form that is computed."""
    s = scale.symbol
    coefficients = sympy.Poly(sympy.expand(anchor.subs(Y, E + s * _N)), _N).terms() if anchor.has(Y) else [((0,), anchor)]
    written = stable = sum((c * base.moment(power) for (power,), c in coefficients), sympy.Integer(0))
    for term in terms:
        distance = E - term.at if term.rising else term.at - E
        z = distance / s
        moment = base.ramp_moment(term.power, z)
        if moment is None:
            raise Refusal(
                "CG503", f"no closed form is known for this expectation under {base.symbol}", "value",
                why=f"it needs the expectation of a ramp to the power {term.power}", help="use the base `normal`, or pieces of degree 1",
            )  # fmt: skip
        plain = moment.replace(NormRamp, lambda w: w * NormCdf(w) + NormPdf(w))
        written += sympy.expand(term.coefficient * s**term.power * plain)
        if term.power == 1 and s != scale.floored:
            # W_1(z) = max(0, z) + W_1(-|z|): exact also where s, and with it the noise, disappears
            far = -sympy.Abs(distance) / scale.floored
            stable += term.coefficient * (sympy.Max(0, distance) + s * base.ramp_moment(1, far))
        elif term.power > 1 and s != scale.floored:
            # the same for powers: s^k W_k(z) = E (d + s n)^k - (-1)^k s^k W_k(-z)
            far = s**term.power * base.ramp_moment(term.power, -sympy.Abs(distance) / scale.floored)
            whole = sum(c * base.moment(k) for (k,), c in sympy.Poly((distance + s * _N) ** term.power, _N).terms())
            stable += term.coefficient * sympy.Piecewise((whole - (-1) ** term.power * far, distance > 0), (far, True))
        else:
            stable += term.coefficient * s**term.power * base.ramp_moment(term.power, distance / scale.floored)
    if len(terms) == 1 and terms[0].power == 0 and terms[0].coefficient == -2 * anchor:
        stable = -anchor * base.centred((E - terms[0].at if terms[0].rising else terms[0].at - E) / scale.floored)
    return written, stable


def _integral(parts: tuple[Piece, ...], law: Noise, s: Any) -> Step:
    density, latex_density = ("φ(n)", r"\varphi(n)") if law.base == "normal" else ("σ(n)·σ(-n)", r"\sigma(n)\sigma(-n)")
    cuts = ", ".join(text(part.high) for part in parts[:-1])
    integrand = law.value.subs(Y, E + s * _N)
    return Step(
        f"expectation: an integral over the noise, split where Y crosses {cuts}" if cuts else "expectation: an integral over the noise",
        f"E[X | e] = ∫ ({text(integrand)})·{density} dn",
        rf"E[X \mid e] = \int \left({latex(integrand)}\right) {latex_density}\,dn",
        "eq. 9",
    )


def _slope(parts: tuple[Piece, ...]) -> Any:
    """The slope of value(y) far to the left."""
    return parts[0].polynomial.coeff(Y, 1) if parts[0].degree == 1 else sympy.Integer(0)


def _pathwise(parts: tuple[Piece, ...]) -> bool:
    """Whether the draw's derivative is an unbiased gradient: value is continuous and not constant."""
    joined = all(
        sympy.expand(left.polynomial.subs(Y, left.high) - right.polynomial.subs(Y, left.high)) == 0
        for left, right in itertools.pairwise(parts)
    )
    return joined and any(part.degree > 0 for part in parts)


def _likelihood(base: Base, parts: tuple[Piece, ...], s: Any) -> tuple[Any | None, str]:
    """log p(x | e): probabilities of the atoms, densities of the strictly monotone pieces, by change of variables."""
    if any(part.degree > 1 for part in parts):
        return None, f"a piece of degree {max(p.degree for p in parts)} is not inverted"
    atoms: dict[Any, list[Any]] = {}
    branches: list[tuple[Any, Any, Any]] = []
    for part in parts:
        low = -sympy.oo if part.low is -sympy.oo else (part.low - E) / s
        high = sympy.oo if part.high is sympy.oo else (part.high - E) / s
        if part.degree == 0:
            atoms.setdefault(part.polynomial, []).append(_log_probability(base, low, high))
            continue
        slope, shift = part.polynomial.coeff(Y, 1), part.polynomial.coeff(Y, 0)
        inverse = (X - shift) / slope
        ends = sorted([part.low * slope + shift, part.high * slope + shift], key=float)
        density = base.log_density((inverse - E) / s) - sympy.log(s) - sympy.log(sympy.Abs(slope))
        branches.append((ends[0], ends[1], density.subs(X, _off_atoms(parts, slope * E + shift))))
    cases = [(_either(logs), sympy.Eq(X, state)) for state, logs in atoms.items()]
    bounds = sorted({end for low, high, _ in branches for end in (low, high)}, key=float)
    continuous: list[tuple[Any, Any, Any]] = []
    for low, high in itertools.pairwise(bounds):
        logs = [density for a, b, density in branches if a <= low and high <= b]
        if logs:
            _append(continuous, low, high, _either(logs))
    merged = [(log, _between_bounds(low, high)) for low, high, log in continuous]
    if not cases and len(merged) == 1 and merged[0][1] is sympy.true:
        return merged[0][0], ""
    return sympy.Piecewise(*cases, *merged, (-sympy.oo, True), evaluate=False), ""


def _off_atoms(parts: tuple[Piece, ...], middle: Any) -> Any:
    """x, but the middle of the density where x is an atom: the case not taken must not overflow, or its gradient is not 0 but undefined."""
    atoms = sorted({part.polynomial for part in parts if part.degree == 0}, key=sympy.default_sort_key)
    return sympy.Piecewise((middle, sympy.Or(*(sympy.Eq(X, atom) for atom in atoms))), (X, True), evaluate=False) if atoms else X


def _append(intervals: list[tuple[Any, Any, Any]], low: Any, high: Any, log: Any) -> None:
    """Add an interval with its log-density, joined to the last one where they touch and agree."""
    if intervals and intervals[-1][1] == low and sympy.expand(intervals[-1][2] - log) == 0:
        low = intervals.pop()[0]
    intervals.append((low, high, log))


def _between_bounds(low: Any, high: Any) -> Any:
    conditions = [] if low is -sympy.oo else [sympy.Ge(X, low)]
    if high is not sympy.oo:
        conditions.append(sympy.Lt(X, high))
    return sympy.And(*conditions)


def _log_probability(base: Base, low: Any, high: Any) -> Any:
    if low is -sympy.oo and high is sympy.oo:
        return sympy.Integer(0)
    if low is -sympy.oo:
        return base.log_cdf(high)
    return base.log_cdf(-low) if high is sympy.oo else base.log_interval(low, high)


def _either(logs: list[Any]) -> Any:
    return logs[0] if len(logs) == 1 else LogSumExp(*logs)
