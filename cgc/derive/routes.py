"""What a route hands back, before measuring, approximation and check: formulas with the steps that led to them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import sympy

from cgc.derive.derivation import Draw, Labels, Step
from cgc.derive.measure import Truth
from cgc.formula.scalar import Scalar
from cgc.formula.text import latex, text, typeset


class NoClosedForm(Exception):
    """No rule gives this expectation: quadrature or a truncated sum does. Carries the reason."""


def step(reason: str, formula: Any, source: str = "", name: str = "", name_latex: str = "") -> Step:
    """A step whose formula reads ``name = formula`` (or just the formula)."""
    left, left_latex = (f"{name} = ", f"{name_latex or typeset(name)} = ") if name else ("", "")
    return Step(reason, left + text(formula), left_latex + latex(formula), source)


@dataclass(frozen=True)
class Moment:
    """An expectation or a variance as a function of e.

    ``written`` is the formula for people. ``exact`` is the truth that ``candidates``, equal formulas in stable primitives, are
    measured against; they come in the order of preference. ``exact`` is None where the candidates are numerical rules.
    ``expression`` is a sympy formula in e, None where there is none.
    """

    text: str
    latex: str
    candidates: tuple[Scalar, ...]
    exact: Truth | None
    expression: Any = None


@dataclass(frozen=True)
class Route:
    """One route's result.

    ``density`` is the density in one line of text, ``mean`` and ``variance`` are of T(X). ``mode`` is the most probable state, None
    for the expectation. ``scale`` is the scalar that gets the name s where formulas are printed; ``slope`` is the expectation's at
    -∞; ``breaks`` are energies at which something happens. ``method`` names a numerical rule ("" for closed forms), ``limits`` the
    energies between which it holds. ``under_gaussian`` are mean and variance for an energy N(m, v), where the route knows them.
    ``parts`` are functions of e alone that ``log_likelihood`` reads as variables, to be measured like moments. ``log_odds`` are the two
    features of a two-state node and the log-odds of the second.
    """

    density: str
    steps: tuple[Step, ...]
    mean: Moment
    variance: Moment
    sampling: Draw | Labels
    sampling_text: str
    log_likelihood: Scalar | None
    log_likelihood_text: str = ""
    no_likelihood: str = ""
    statistic: Any | None = None
    mode: Scalar | None = None
    names: tuple[tuple[Scalar, str], ...] = ()
    slope: Any = sympy.S.Zero
    breaks: tuple[float, ...] = ()
    method: str = ""
    limits: tuple[float, float] = (-math.inf, math.inf)
    under_gaussian: tuple[Scalar, Scalar] | None = None
    log_odds: tuple[Any, Any, Any] | None = None
    parts: tuple[tuple[str, Moment], ...] = ()
