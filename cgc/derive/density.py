"""Route 4: a density of the user's own on an interval or on whole numbers.

It must normalise and have a mean. Where its integral is a known one (``kernels.py``), moments, log-partition and sampling rule are
closed forms; elsewhere a table of weighted points takes their place.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
from mpmath import mp

from cgc.derive.convergence import diverges
from cgc.derive.derivation import Draw, Refusal, Step
from cgc.derive.kernels import Kernel, recognise
from cgc.derive.measure import truth_of
from cgc.derive.quadrature import column
from cgc.derive.rewrites import log_of_exponentials, stable_tanh
from cgc.derive.routes import Moment, Route, step
from cgc.derive.table import MOST_ROWS, tabulate
from cgc.families.forms import Density, E, Support, X
from cgc.formula.freeze import freeze
from cgc.formula.numeric import value
from cgc.formula.scalar import Const, Op, Over, Scalar, Var, bind, const
from cgc.formula.text import latex, prose, text

_ENERGIES = ("-20.3", "-3.1", "0.3", "3.2", "20.7")


def derive_density(law: Density, closed: bool = True) -> Route:
    """Expectation, variance, sampling rule and log-likelihood; ``closed`` allows closed forms. Raises Refusal."""
    assert isinstance(law.support, Support)
    _refuse(law)
    where = _where(law.support)
    written = f"p(x | e) ∝ exp({text(law.log_density)}), {where}"
    steps = [step(f"log-density, up to a constant, {where}", law.log_density, "eq. 7", "log p(x | e) + log Z(e)")]
    kernel = recognise(law) if closed else None
    return _closed(law, kernel, written, steps) if kernel is not None else _tabulated(law, written, steps)


def _where(support: Support) -> str:
    if support.whole:
        return "x = 0, 1, 2, …" if support.low == 0 else "x a whole number"
    if support.low.is_infinite:
        return "x real" if support.high.is_infinite else f"x < {text(support.high)}"
    return f"x > {text(support.low)}" if support.high.is_infinite else f"{text(support.low)} < x < {text(support.high)}"


# --- existence


def _refuse(law: Density) -> None:
    """What does not normalise, or has no mean (or variance), is refused with the integral and the end at fault."""
    support = law.support
    assert isinstance(support, Support)
    if not law.log_density.has(E):
        raise Refusal("CG502", "the density does not depend on the energy e", "log_density", why="the energy has no influence on the node")
    log_density, feature = freeze(law.log_density), freeze(law.feature)
    word = "sum" if support.whole else "integral"
    for end, towards, sign, at in _ends(support):
        for written in _ENERGIES:
            e = mp.mpf(written)

            def log_size(r: Any, e: Any = e, power: int = 0, sign: int = sign, at: Any = at) -> Any:
                x = at + sign * r
                return _log_value(log_density, x, e) + (power * _log_value(feature, x, e, absolute=True) if power else 0)

            if diverges(log_size, towards):
                # a boundary energy tells a reader more than one of ours
                raise Refusal(
                    "CG512", f"the density does not normalise: its {word} diverges at x = {end}", "log_density",
                    why=f"at e = {written} the {word} of exp({text(law.log_density)}) does not converge there",
                    help="the density must be normalisable at every energy, from minus infinity to infinity",
                )  # fmt: skip
            if diverges(functools.partial(log_size, power=1), towards):
                raise Refusal(
                    "CG508", f"the node has no mean: the {word} of `{text(law.feature)}` times the density diverges at x = {end}",
                    "log_density",
                    why=f"at e = {written} the density falls too slowly there", help="use a density with lighter tails, or another feature",
                )  # fmt: skip


def _ends(support: Support) -> list[tuple[str, Any, int, Any]]:
    ends = []
    for end, sign in ((support.high, 1), (support.low, -1)):
        if end.is_infinite:
            ends.append(("infinity" if sign > 0 else "minus infinity", mp.inf, sign, mp.zero))
        elif not support.whole:
            ends.append((text(end), 0, -sign, value(freeze(end))))
    return ends


def _log_value(tree: Scalar, x: Any, e: Any, absolute: bool = False) -> Any:
    try:
        found = value(tree, x=x, e=e)
    except (ArithmeticError, ValueError):
        return mp.nan
    if isinstance(found, mpmath.mpc):
        raise Refusal("CG504", "the log-density is not a real number all over its support", "log_density")
    if not absolute:
        return found
    return mpmath.log(abs(found)) if found else -mp.inf


# --- closed forms


def _closed(law: Density, kernel: Kernel, written: str, steps: list[Step]) -> Route:
    name, variance_name = ("E[X | e]", "Var[X | e]") if law.feature == X else ("E[T(X) | e]", "Var[T(X) | e]")
    mean, variance, log_density = (stable_tanh(form) for form in (kernel.mean, kernel.variance, kernel.log_density))
    steps += [
        Step(f"normalisation: {kernel.name}", kernel.integral, kernel.integral_latex),
        step("log-partition", kernel.log_partition, "eq. 2", "log Z(e)"),
        step("expectation of the feature", mean, "eq. 9", name),
        step("variance", variance, "", variance_name),
        step("log-likelihood", log_density, "", "log p(x | e)"),
        Step("sampling rule", f"X = {kernel.drawn}", f"X = {prose(kernel.drawn)}"),
    ]
    mean_tree, variance_tree = freeze(mean), freeze(variance)
    log_tree: Scalar = kernel.log_tree or freeze(log_density)
    parts: tuple[tuple[str, Moment], ...] = ()
    if kernel.energy_terms is not None:
        # the log-partition is a function of e alone, with removable singularities of its own
        partition = freeze(kernel.log_partition)
        log_tree = Op("sub", (freeze(kernel.energy_terms), Var("log_z")))
        parts = (("log_z", Moment("", "", (partition,), truth_of(partition))),)
    return Route(
        written, tuple(steps), Moment(text(mean), latex(mean), (mean_tree,), truth_of(mean_tree), mean),
        Moment(text(variance), latex(variance), (variance_tree,), truth_of(variance_tree), variance),
        Draw(kernel.draw, kernel.pathwise), kernel.drawn, _on_support(law.support, log_tree), text(log_density), parts=parts,
        statistic=None if law.feature == X else law.feature, mode=_mode(kernel),
    )  # fmt: skip


def _mode(kernel: Kernel) -> Scalar | None:
    """The most probable whole number: the next one after probabilities have stopped rising."""
    if kernel.level is None:
        return None
    after = Op("round", (Op("add", (freeze(kernel.level), const(Fraction(1, 2)))),))
    return Op("max", (const(0), after))


def _on_support(support: Any, log_density: Scalar) -> Scalar:
    """Minus infinity outside; there x is taken as a point of the support, so that no gradient is lost on a case not taken."""
    inside: list[Scalar] = []
    if not support.low.is_infinite:
        inside.append(Op("ge", (Var("x"), freeze(support.low))))
    if not support.high.is_infinite:
        inside.append(Op("le", (Var("x"), freeze(support.high))))
    if support.whole:
        inside.append(Op("eq", (Var("x"), Op("round", (Var("x"),)))))
    if not inside:
        return log_density
    holds = inside[0]
    for condition in inside[1:]:
        holds = Op("and", (holds, condition))
    low, high = support.low, support.high
    point = freeze(low + 1 if high.is_infinite else high - 1 if low.is_infinite else (low + high) / 2)
    x = Op("where", (holds, Var("x"), point))
    return Op("where", (holds, bind(log_density, "x", x), Op("neg", (Op("infinity", ()),))))


# --- tables


def _tabulated(law: Density, written: str, steps: list[Step]) -> Route:
    law = replace(law, log_density=log_of_exponentials(law.log_density))
    table = tabulate(law)
    if table is None:
        raise Refusal(
            "CG503", "no rule is known for the expectation of this density", "log_density",
            why=f"neither a closed form, nor a table of {MOST_ROWS} points that holds for energies from -1 to 1",
            help="use a smoother density, or one that moves less with the energy",
        )  # fmt: skip
    assert isinstance(law.support, Support)
    log_density, feature = freeze(law.log_density), freeze(law.feature)
    clamped = Op("min", (const(table.high), Op("max", (const(table.low), Var("e")))))
    columns: list[tuple[str, tuple[Const, ...]]] = [("x", column(table.points))]
    weight = bind(log_density, "e", Var("e"))
    if table.log_weights.any():
        columns.append(("h", column(table.log_weights)))
        weight = Op("add", (weight, Var("h")))

    def over(name: str, *arguments: Scalar) -> Scalar:
        return bind(Over(name, tuple(columns), (weight, *arguments)), "e", clamped)

    mean, variance, log_partition = over("mean", feature), over("variance", feature), over("logsumexp")
    whole = law.support.whole
    rule = f"a sum over {len(table.points)} whole numbers" if whole else f"Gauss-Legendre quadrature with {len(table.points)} points"
    sign = "Σ" if whole else "∫"
    integral = f"{sign} {text(law.feature)}·exp({text(law.log_density)}) / Z(e)"
    over_x = r"\sum_x" if whole else r"\int"
    drawn_integral = rf"\frac{{1}}{{Z(e)}}{over_x} \left({latex(law.feature)}\right)\exp\left({latex(law.log_density)}\right)"
    away = rf"\left({latex(law.feature)} - \mathbb{{E}}\right)^2"
    drawn_spread = rf"\frac{{1}}{{Z(e)}}{over_x} {away}\exp\left({latex(law.log_density)}\right)"
    spread = integral.replace(text(law.feature), f"({text(law.feature)} - E)^2", 1)
    steps += [
        Step("no closed form is known: a numerical rule", rule, prose(rule)),
        Step(
            "normalisation by the rule",
            f"Z(e) = {sign} exp({text(law.log_density)})",
            rf"Z(e) = {over_x} \exp\left({latex(law.log_density)}\right)",
            "eq. 2",
        ),
        Step(
            "expectation of the feature by the rule", f"E[T(X) | e] = {integral}", rf"\mathbb{{E}}[T(X) \mid e] = {drawn_integral}", "eq. 9"
        ),
        Step("variance by the rule", f"Var[T(X) | e] = {spread}", rf"\operatorname{{Var}}[T(X) \mid e] = {drawn_spread}"),
        Step(
            "log-likelihood",
            f"log p(x | e) = {text(law.log_density)} - log Z(e)",
            rf"\log p(x \mid e) = {latex(law.log_density)} - \log Z(e)",
        ),
    ]
    # the density at x itself, with the energies that the rule holds for
    log_likelihood = _on_support(law.support, Op("sub", (bind(log_density, "e", clamped), log_partition)))
    drawn = "a row of the table by its weight" if whole else "the inverse of the table's distribution function"
    steps.append(Step("sampling rule", f"X = {drawn}", f"X = {prose(drawn)}"))
    return Route(
        written, tuple(steps), Moment(integral, drawn_integral, (mean,), None), Moment(spread, drawn_spread, (variance,), None),
        Draw(over("pick" if whole else "inverse", Var("x")), False), drawn, log_likelihood,
        f"{text(law.log_density)} - log Z(e)", statistic=None if law.feature == X else law.feature,
        mode=over("heaviest", Var("x")) if whole else None, method=f"{rule}, for energies from {table.low:g} to {table.high:g}",
        limits=(table.low, table.high),
    )  # fmt: skip
