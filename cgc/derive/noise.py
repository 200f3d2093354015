"""Route 3: X = value(Y), Y = e + s·noise. The noise integral is split at the break points of ``value`` and standardised.

Around the piece that the energy lies in (its home), value(y) = home(y) + R(y), where R is 0 there and a sum of ramps elsewhere. So
E X = E home(Y) + E R and Var X = Var home(Y) + 2 E (home - E home)R + E R² - (E R)², where every term with R is a sum of partial
moments W_k(z) at z <= 0, which are small: no digits cancel. Where no partial moment is known, Gauss quadrature takes its place.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cached_property
from typing import Any

import sympy

from cgc.derive.bases import BASES
from cgc.derive.bases import Noise as Base
from cgc.derive.convergence import divergent_end, refuse_divergence, refuse_undefined
from cgc.derive.derivation import Draw, Step
from cgc.derive.likelihood import likelihood
from cgc.derive.measure import Truth, truth_of
from cgc.derive.moments import constant_noise, total_noise
from cgc.derive.partial import beyond, whole
from cgc.derive.pieces import NoPieces, Piece, pieces, window
from cgc.derive.quadrature import NoiseRule, settled
from cgc.derive.rewrites import difference_of_exponentials, logistic_density
from cgc.derive.routes import Moment, NoClosedForm, Route, step
from cgc.derive.scale import S, Scale, drawn_scale, scale_of
from cgc.families.forms import E, Noise, Y
from cgc.formula.freeze import freeze
from cgc.formula.primitives import NormCdf, NormPdf, NormRamp
from cgc.formula.scalar import Op, Scalar, Var, bind, shared
from cgc.formula.text import latex, text, typeset

_Z = sympy.Symbol("z", real=True)
_N = sympy.Symbol("n", real=True)
_SHIFT = sympy.Symbol("y", real=True)
_MOST_CANDIDATES = 3


def derive_noise(law: Noise, closed: bool = True) -> Route:
    """Expectation, variance, sampling rule and log-likelihood of a noise form; ``closed`` allows closed forms. Raises Refusal."""
    base = BASES[law.base]
    scale = scale_of(law)
    source = "eq. 10" if law.base == "normal" else "eq. 7"
    start = step("the node", law.value, source, "X = value(Y), value(y)")
    refuse_undefined(law)
    if scale.zero:
        return _certain(law, start)
    try:
        at, parts = E, pieces(law.value)
    except NoPieces:
        try:  # break points that move with the energy may stand still from its point of view
            at, parts = sympy.Integer(0), pieces(law.value.subs(Y, E + _SHIFT))
        except NoPieces:
            at, parts = E, _as_far_as_known(law.value)
    refuse_divergence(law, base, parts, scale)
    if scale.formula.is_number and any(part.degree < 0 for part in parts):
        scale = replace(scale, inline=True)
    s = scale.symbol
    steps: list[Step] = [start, step("its latent value", E + s * _N, source, f"{base.symbol}, Y")]
    if s == S:
        steps.append(step("with the scale", scale.formula, "" if scale.formula.is_number else "eq. 11", "s"))
    cuts = ", ".join(text(part.high) for part in parts[:-1])
    if cuts:
        crossing = "Y crosses" if at == E else "Y - e crosses"
        steps.append(Step(f"split points: where {crossing}", cuts, ", ".join(latex(part.high) for part in parts[:-1])))
    steps.append(_integral(parts, law, base, s))
    node = _NoiseForm(law, base, scale, at, parts)
    mean, variance, method = node.moments(closed, steps)
    log_likelihood, missing = likelihood(base, parts, s, at)
    frozen: Scalar | None = None
    shown: Any = None
    atoms: tuple[tuple[str, Moment], ...] = ()
    if log_likelihood is not None:
        shown, _ = likelihood(base, parts, s, at, guarded=False)
        steps.append(step("log-likelihood", shown, "", "log p(x | e)"))
        frozen, atoms = node.likelihood_tree(log_likelihood)
    where = "" if s != S else f", s = {text(scale.formula)}"
    written = f"X = {text(law.value.subs(Y, sympy.Symbol('Y')))}, Y = {text(E + s * _N)}, {base.symbol}{where}"
    if law.value == Y:
        written = written.replace("X = Y, Y = ", "X = ")
    latent = Op("add", (Var("e"), _times(freeze(drawn_scale(law, base.symmetric)), base.draw)))
    drawn = Draw(latent, True) if law.value == Y else Draw(freeze(law.value), _pathwise(parts), given=(("y", latent),))
    steps.append(Step("sampling rule", written, f"X = {latex(law.value.subs(Y, E + s * _N))}, {typeset(base.symbol)}", source))
    return Route(
        written, tuple(steps), mean, variance, drawn, written, frozen,
        "" if log_likelihood is None else text(shown), missing,
        names=node.names(log_likelihood), slope=_slope(parts),
        breaks=tuple(float(part.high) for part in parts[:-1]) if at == E else (), method=method, under_gaussian=node.under_gaussian(),
        parts=atoms,
    )  # fmt: skip


def _times(scale: Scalar, noise: Scalar) -> Scalar:
    return noise if scale == freeze(sympy.Integer(1)) else Op("mul", (scale, noise))


def _as_far_as_known(value: Any) -> tuple[Piece, ...]:
    try:
        return window(value)
    except NoPieces:
        return (Piece(-sympy.oo, sympy.oo, value),)


def _certain(law: Noise, start: Step) -> Route:
    mean = law.value.subs(Y, E)
    frozen = freeze(mean)
    zero = freeze(sympy.Integer(0))
    certain = (start, step("without noise Y = e, so X is a function of e", mean, "eq. 9", "E[X | e]"))
    try:
        slope = _slope(pieces(law.value))
    except NoPieces:
        slope = sympy.Integer(0)
    return Route(
        f"X = {text(mean)}", certain, Moment(text(mean), latex(mean), (frozen,), None, mean),
        Moment("0", "0", (zero,), None, sympy.Integer(0)),
        Draw(frozen, True), f"nothing to draw: X = {text(mean)}", None, "", "a node without noise has no density", slope=slope,
    )  # fmt: skip


class _NoiseForm:
    """One noise form on its way: pieces in y around ``at``, which is e, or 0 where y counts from the energy."""

    def __init__(self, law: Noise, base: Base, scale: Scale, at: Any, parts: tuple[Piece, ...]) -> None:
        self.law, self.base, self.scale, self.at, self.parts = law, base, scale, at, parts
        self.s = scale.symbol

    def frozen(self, expression: Any, floored: bool = False) -> Scalar:
        """A tree with the scale's formula in place of its symbol."""
        tree = freeze(expression)
        if self.s != S:
            return tree
        formula = freeze(self.scale.formula)
        floored = floored and not self.scale.formula.is_number
        return bind(tree, "s", Op("floored", (formula,)) if floored else formula)

    def likelihood_tree(self, log_likelihood: Any) -> tuple[Scalar, tuple[tuple[str, Moment], ...]]:
        """The likelihood as a tree in which the log-probabilities of atoms, functions of e alone, are variables; and these."""
        if not isinstance(log_likelihood, sympy.Piecewise):
            return self.frozen(log_likelihood, floored=True), ()
        cases: list[Any] = []
        atoms: list[tuple[str, Moment]] = []
        for value, condition in log_likelihood.args:
            if isinstance(condition, sympy.Equality) and value.has(E):
                name = f"log_atom_{len(atoms)}"
                tree = self.frozen(value, floored=True)
                atoms.append((name, Moment("", "", (tree,), truth_of(self.frozen(value)))))
                value = sympy.Symbol(name, real=True)
            cases.append((value, condition))
        return self.frozen(sympy.Piecewise(*cases, evaluate=False), floored=True), tuple(atoms)

    def names(self, log_likelihood: Any) -> tuple[tuple[Scalar, str], ...]:
        """What deserves a line of its own in printed code: the scale, and each case of a likelihood."""
        named: list[tuple[Scalar, str]] = []
        if not self.scale.formula.is_number:
            named.append((self.frozen(self.s, floored=True), "s"))
        if isinstance(log_likelihood, sympy.Piecewise):
            cases = [(self.frozen(value, floored=True), condition) for value, condition in log_likelihood.args if value != -sympy.oo]
            atoms = [value for value, condition in cases if isinstance(condition, sympy.Equality)]
            densities = [value for value, condition in cases if not isinstance(condition, sympy.Equality)]
            for group, name in ((atoms, "log_atom"), (densities, "log_density")):
                named += [(value, name if len(group) == 1 else f"{name}_{k}") for k, value in enumerate(group)]
        return tuple(named)

    # ---- expectation and variance

    def moments(self, closed: bool, steps: list[Step]) -> tuple[Moment, Moment, str]:
        """Mean and variance with the steps that lead to them, and the numerical rule, if one is needed."""
        numeric: list[str] = []
        try:
            if not closed:
                raise NoClosedForm("quadrature was asked for")
            mean = self._closed_mean(steps)
        except NoClosedForm as reason:
            mean = self._numeric_mean(steps, str(reason))
            numeric.append("mean")
        if divergent_end(self.base, self.parts, self.scale, 2):
            infinite = freeze(sympy.oo)
            steps.append(step("variance: the integral of the square does not exist", sympy.oo, "", "Var[X | e]"))
            return mean, Moment("∞", r"\infty", (infinite,), None), self._method(numeric)
        try:
            if not closed:
                raise NoClosedForm("quadrature was asked for")
            variance = self._closed_variance(steps)
        except NoClosedForm as reason:
            variance = self._numeric_variance(mean, steps, str(reason))
            numeric.append("variance")
        return mean, variance, self._method(numeric)

    def _method(self, numeric: list[str]) -> str:
        if not numeric:
            return ""
        return f"Gauss-Legendre quadrature, {self.rule.nodes} points a piece, of the {' and the '.join(numeric)}"

    def _closed_mean(self, steps: list[Step]) -> Moment:
        base, s = self.base, self.s
        regimes = self._by_home(self._mean_at)
        candidates = [self.frozen(form, floored=True) for form in [*self._single(), regimes][:_MOST_CANDIDATES]]
        candidates += [self.rule.expectation()] if len(self.parts) > 1 else []
        written = self._written_mean()
        if len(self.parts) > 1:
            steps.append(step("as a polynomial and ramps at the break points", self._ramps(), "", "value(y)"))
            if self._ramp_powers() >= 1 and base.ramp(1, _Z) is not None:
                moment = base.ramp(1, _Z)
                steps.append(step("partial moment, standardised: z = (e - b)/s", s * moment, "", "E max(0, Y - b)"))
                if self.law.base == "normal":
                    steps.append(step("where", _Z * NormCdf(_Z) + NormPdf(_Z), "", "ramp(z) = ∫Φ"))
        steps.append(step("put together", written, "eq. 9, 10" if self.law.base == "normal" else "eq. 9", "E[X | e]"))
        single = self._single()
        plain = single[0].subs(S, self.scale.formula) if single else self._bare(self._mean_at)
        if single and single[0] != written:
            steps.append(step("in stable primitives", single[0], "", "E[X | e]"))
        return Moment(text(written), latex(written), tuple(candidates), self._truth(regimes, self.law.value), plain)

    def _closed_variance(self, steps: list[Step]) -> Moment:
        regimes = self._by_home(self._variance_at)
        single = self._threshold()
        if single is not None:
            steps.append(step("variance of two values", single, "", "Var[X | e]"))
            trees = (self.frozen(single, floored=True), self.frozen(regimes, floored=True))
            return Moment(text(single), latex(single), trees, self._truth(regimes, sympy.Integer(0)), single.subs(S, self.scale.formula))
        written = self._by_home(lambda home: self._variance_at(home, clamp=False))
        if isinstance(regimes, sympy.Piecewise):
            steps.append(
                step("variance: around the piece where the energy lies, Var home + 2 Cov + Var of the ramps", written, "", "Var[X | e]")
            )
        else:
            steps.append(step("variance", written, "", "Var[X | e]"))
        joined = difference_of_exponentials(regimes)
        # nothing is divided by the scale there
        forms = [self.frozen(regimes, floored=True), *([] if joined == regimes else [self.frozen(joined)])]
        candidates = (*forms, self.rule.variance(self.rule.expectation()))
        return Moment(text(written), latex(written), candidates, self._truth(regimes, sympy.Integer(0)), self._bare(self._variance_at))

    def _bare(self, form: Any) -> Any:
        """Case by case with the scale's formula, without the clamps that keep cases apart in floats."""
        return self._by_home(lambda home: form(home, clamp=False)).subs(S, self.scale.formula)

    def under_gaussian(self) -> tuple[Scalar, Scalar] | None:
        """Mean and variance for an energy N(m, v)."""
        if not constant_noise(self.law):
            return None
        noisy = _NoiseForm(self.law, self.base, Scale(S, None), self.at, self.parts)
        try:
            return total_noise(noisy._by_home(noisy._mean_at), noisy._by_home(noisy._variance_at), self.law.scale)
        except NoClosedForm:
            return None

    def _numeric_mean(self, steps: list[Step], reason: str) -> Moment:
        shown = sympy.Function("Q")(self.law.value.subs(Y, E + self.s * _N))
        steps.append(step(f"no closed form ({reason}): Gauss quadrature Q over the noise, piece by piece", shown, "", "E[X | e]"))
        integral = f"∫ ({text(self.law.value.subs(Y, E + self.s * _N))})·{self.base.density_text} dn"
        drawn = rf"\int \left({latex(self.law.value.subs(Y, E + self.s * _N))}\right) {self.base.density_latex}\,dn"
        return Moment(integral, drawn, (self.rule.expectation(),), None)

    def _numeric_variance(self, mean: Moment, steps: list[Step], reason: str) -> Moment:
        value = self.law.value.subs(Y, E + self.s * _N)
        steps.append(
            step(
                f"variance: no closed form ({reason}): Gauss quadrature Q",
                sympy.Function("Q")((value - sympy.Symbol("E")) ** 2),
                "",
                "Var[X | e]",
            )
        )
        integral = f"∫ ({text(value)} - E)^2·{self.base.density_text} dn"
        drawn = rf"\int \left({latex(value)} - \mathbb{{E}}\right)^2 {self.base.density_latex}\,dn"
        return Moment(integral, drawn, (self.rule.variance(mean.candidates[0]),), None)

    @cached_property
    def rule(self) -> NoiseRule:
        """Gauss quadrature with as many points as it takes for twice as many to change nothing."""
        return settled(NoiseRule(self.base, self.parts, freeze(self.at), self.frozen(self.s, floored=True)))

    def _truth(self, regimes: Any, without_noise: Any) -> Truth:
        """The exact formula, and where the scale is 0 what remains."""
        exact = shared(self.frozen(regimes))
        if self.scale.vanishes_at is None:
            return Truth(exact)
        return Truth(exact, freeze(self.scale.formula), freeze(without_noise.subs(Y, E)))

    def _by_home(self, form: Any) -> Any:
        """``form`` of the piece that ``at`` lies in, case by case."""
        if len(self.parts) == 1:
            return form(0)
        if self.at == 0:
            return form(next(k for k, part in enumerate(self.parts) if part.low < 0 <= part.high or part.low <= 0 < part.high))
        cases = [(form(k), part.high > E) for k, part in enumerate(self.parts[:-1])]
        return sympy.Piecewise(*cases, (form(len(self.parts) - 1), True), evaluate=False)

    def _far(self, home: int, functions: list[Any], clamp: bool = True) -> Any:
        """E of a function that is ``functions[k]`` on piece k and 0 at home."""
        total = sympy.Integer(0)
        for k in range(home + 1, len(self.parts)):
            b = self.parts[k].low
            z = (self.at - b) / self.s
            total += beyond(self.base, functions[k] - functions[k - 1], Y, b, self.s, sympy.Min(0, z) if clamp else z, True)
        for k in range(home - 1, -1, -1):
            b = self.parts[k].high
            z = (self.at - b) / self.s
            total += beyond(self.base, functions[k] - functions[k + 1], Y, b, self.s, sympy.Max(0, z) if clamp else z, False)
        return total

    def _mean_at(self, home: int, clamp: bool = True) -> Any:
        inner = self.parts[home].polynomial
        rest = [sympy.expand(part.polynomial - inner) for part in self.parts]
        return whole(self.base, inner, Y, self.at, self.s) + self._far(home, rest, clamp)

    def _variance_at(self, home: int, clamp: bool = True) -> Any:
        inner = self.parts[home].polynomial
        mean = whole(self.base, inner, Y, self.at, self.s)
        own = sympy.expand(whole(self.base, sympy.expand(inner**2), Y, self.at, self.s) - sympy.expand(mean**2))
        rest = [sympy.expand(part.polynomial - inner) for part in self.parts]
        if not any(rest):
            return own
        second = [sympy.expand(r * r + 2 * (inner - mean) * r) for r in rest]
        return own + self._far(home, second, clamp) - self._far(home, rest, clamp) ** 2

    # ---- one formula for all energies

    def _single(self) -> list[Any]:
        """Forms without cases: from one piece for all energies, plainest first."""
        found: list[Any] = []
        if len(self.parts) == 2 and self.base.symmetric:
            low, high = (part.polynomial for part in self.parts)
            if sympy.expand(low + high) == 0 and not high.has(Y) and not high.has(E):
                centred = self.base.centred((self.at - self.parts[0].high) / self.s)
                found += [] if centred is None else [high * centred]
        if len(self.parts) == 1 or self._ramp_powers() < 0:
            return found
        if not all(self.base.everywhere(k) for k in range(self._ramp_powers() + 1) if self._uses(k)):
            return found
        order = sorted(range(len(self.parts)), key=lambda k: (_cancellation(self.parts[k]), k))
        return [*found, *(self._mean_at(k, clamp=False) for k in order[:2])]

    def _threshold(self) -> Any | None:
        """(b - a)²·P(a)·P(b) of a node with two values whose probabilities hold everywhere."""
        if len(self.parts) != 2 or any(part.polynomial.has(Y, E) for part in self.parts) or not self.base.everywhere(0):
            return None
        z = (self.at - self.parts[0].high) / self.s
        above, below = self.base.ramp(0, z), self.base.fall(0, z)
        return logistic_density((self.parts[1].polynomial - self.parts[0].polynomial) ** 2 * above * below)

    def _uses(self, power: int) -> bool:
        return any(power == k for k in self._powers())

    def _powers(self) -> list[int]:
        u = sympy.Symbol("u")
        found: list[int] = []
        for left, right in itertools.pairwise(self.parts):
            jump = sympy.expand((right.polynomial - left.polynomial).subs(Y, left.high + u))
            found += [k for (k,), c in sympy.Poly(jump, u).terms() if c != 0]
        return found

    def _ramp_powers(self) -> int:
        """The highest power of a ramp; -1 where jumps are no polynomials, or there is none."""
        if any(part.degree < 0 for part in self.parts):
            return -1
        return max(self._powers(), default=-1)

    def _written_mean(self) -> Any:
        """The expectation as people write it."""
        if self._ramp_powers() < 0 or self.at != E:
            return self._by_home(lambda home: self._mean_at(home, clamp=False))
        home = min(range(len(self.parts)), key=lambda k: (_cancellation(self.parts[k]), k))
        single = self._single()
        if not single:
            return self._by_home(lambda home: self._mean_at(home, clamp=False))
        form = self._mean_at(home, clamp=False)
        return sympy.expand(form.replace(NormRamp, lambda w: w * NormCdf(w) + NormPdf(w))) if form.has(NormRamp) else form

    def _ramps(self) -> Any:
        home = min(range(len(self.parts)), key=lambda k: (_cancellation(self.parts[k]), k))
        total = self.parts[home].polynomial
        step_function = sympy.Function("1")
        for k in range(home + 1, len(self.parts)):
            total += _ramp(self.parts[k].polynomial - self.parts[k - 1].polynomial, self.parts[k].low, True, step_function)
        for k in range(home - 1, -1, -1):
            total += _ramp(self.parts[k].polynomial - self.parts[k + 1].polynomial, self.parts[k].high, False, step_function)
        return total


def _ramp(jump: Any, at: Any, rising: bool, indicator: Any) -> Any:
    u = sympy.Symbol("u")
    distance = Y - at if rising else at - Y
    moved = sympy.expand(jump.subs(Y, at + u if rising else at - u))
    if not moved.is_polynomial(u):
        return jump * indicator(distance > 0)
    return sum(
        (c * (sympy.Max(0, distance) ** k if k else indicator(distance > 0)) for (k,), c in sympy.Poly(moved, u).terms()), sympy.Integer(0)
    )


def _cancellation(piece: Piece) -> int:
    """How many digits may be lost in sums that start from a piece: none in the tail of a zero, few with a constant of size 1, and
    around 0 few with what holds there."""
    if piece.polynomial == 0:
        return 0
    if piece.degree == 0 and piece.polynomial.is_number and abs(piece.polynomial) <= 16:
        return 1
    return 2 if piece.low <= 0 <= piece.high else 3


def _integral(parts: tuple[Piece, ...], law: Noise, base: Base, s: Any) -> Step:
    integrand = law.value.subs(Y, E + s * _N)
    return Step(
        "expectation: an integral over the noise" + (", split at these points" if len(parts) > 1 else ""),
        f"E[X | e] = ∫ ({text(integrand)})·{base.density_text} dn",
        rf"\mathbb{{E}}[X \mid e] = \int \left({latex(integrand)}\right) {base.density_latex}\,dn",
        "eq. 9",
    )


def _slope(parts: tuple[Piece, ...]) -> Any:
    """The slope of value(y) far to the left."""
    first = parts[0]
    return first.polynomial.coeff(Y, 1) if first.degree == 1 and not first.polynomial.has(E) else sympy.Integer(0)


def _pathwise(parts: tuple[Piece, ...]) -> bool:
    """Whether the draw's derivative is an unbiased gradient: value is continuous and not constant."""
    for left, right in itertools.pairwise(parts):
        gap = sympy.expand(left.polynomial.subs(Y, left.high) - right.polynomial.subs(Y, left.high))
        if gap != 0 and not (gap.is_comparable and abs(sympy.N(gap, 40)) < 1e-30):
            return False
    return any(part.degree != 0 for part in parts)
