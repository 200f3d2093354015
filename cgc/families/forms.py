"""The general forms of a node's density. Every family, named or of the user's making, is one of these.

A form says how a node is *distributed* given its energy e; what its expectation is, ``cgc.derive`` finds out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sympy

Base = Literal["normal", "logistic", "laplace", "uniform", "gumbel", "exponential"]

E = sympy.Symbol("e", real=True)
X = sympy.Symbol("x", real=True)
Y = sympy.Symbol("y", real=True)


@dataclass(frozen=True)
class FiniteExponential:
    """p(x | e) ∝ base_measure(x) · exp(e · statistic(x)) on finitely many numbers ``support`` (paper, eq. 2 and 7).

    ``statistic`` and ``base_measure`` are expressions in x. The feature that children see is the statistic.
    """

    support: tuple[sympy.Expr, ...]
    statistic: sympy.Expr = X
    base_measure: sympy.Expr = sympy.S.One


@dataclass(frozen=True)
class Indicators:
    """An exponential family on labels 0 … labels-1 with one energy per label: p(k | e) ∝ exp(e_k) (paper, section 3).

    Features are the label indicators. With ``reference_label`` that label's energy is fixed at 0, so labels-1 are free.
    """

    labels: int
    reference_label: int | None = None


@dataclass(frozen=True)
class Noise:
    """X = value(Y), Y = e + scale · noise, the noise one of six standard ones (paper, eq. 10-11).

    ``scale`` is an expression in e (its absolute value counts; where ``scale_min`` is given, no less than that); zero means the
    deterministic node X = value(e). ``value`` is an expression in y and e.
    """

    base: Base
    scale: sympy.Expr
    value: sympy.Expr = Y
    scale_min: sympy.Expr | None = None


@dataclass(frozen=True)
class Support:
    """Where a density lives: all numbers from ``low`` to ``high``, or with ``whole`` the whole numbers there."""

    low: sympy.Expr
    high: sympy.Expr
    whole: bool = False


REALS = Support(-sympy.oo, sympy.oo)
NONNEGATIVE = Support(sympy.S.Zero, sympy.oo)
INTEGERS = Support(-sympy.oo, sympy.oo, whole=True)
NONNEGATIVE_INTEGERS = Support(sympy.S.Zero, sympy.oo, whole=True)


@dataclass(frozen=True)
class Density:
    """p(x | e) ∝ exp(log_density(x, e)) on ``support``: an interval, whole numbers, or finitely many states (paper, eq. 7).

    The density need not be normalised. The feature that children see is ``feature``, an expression in x.
    """

    support: Support | tuple[sympy.Expr, ...]
    log_density: sympy.Expr
    feature: sympy.Expr = X


@dataclass(frozen=True)
class Gated:
    """X = value(e) · 1[B = open], B ~ Bernoulli(prob(e)): a value that a gate lets pass (paper, eq. 12-13)."""

    value: sympy.Expr
    prob: sympy.Expr
    open: bool = True


@dataclass(frozen=True)
class MaxOf:
    """X = max(Y₁, Y₂) of two independent Gaussians with means and standard deviations that are expressions in e."""

    means: tuple[sympy.Expr, sympy.Expr]
    stds: tuple[sympy.Expr, sympy.Expr]


@dataclass(frozen=True)
class Mixture:
    """X follows ``laws[k]`` with a probability proportional to ``weights[k]``, an expression in e. All laws show x itself."""

    weights: tuple[sympy.Expr, ...]
    laws: tuple[Law, ...]


Law = FiniteExponential | Indicators | Noise | Density | Gated | MaxOf | Mixture


def features(law: Law) -> int:
    """How many numbers a node shows to its children: one, or one indicator per label."""
    return law.labels if isinstance(law, Indicators) else 1


def free_energies(law: Law) -> int:
    """How many energies a node has that parents contribute to."""
    if isinstance(law, Indicators):
        return law.labels - (law.reference_label is not None)
    return 1
