"""The general forms of a node's density. Every family, named or of the user's making, is one of these.

A form says how a node is *distributed* given its energy e; what its expectation is, ``cgc.derive`` finds out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sympy

Base = Literal["normal", "logistic"]

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
    """X = value(Y), Y = e + scale · noise, the noise standard normal or standard logistic (paper, eq. 10-11).

    ``scale`` is an expression in e (its absolute value counts; where ``scale_min`` is given, no less than that); zero means the
    deterministic node X = value(e). ``value`` is an expression in y.
    """

    base: Base
    scale: sympy.Expr
    value: sympy.Expr = Y
    scale_min: sympy.Expr | None = None


Law = FiniteExponential | Indicators | Noise


def features(law: Law) -> int:
    """How many numbers a node shows to its children: one, or one indicator per label."""
    return law.labels if isinstance(law, Indicators) else 1


def free_energies(law: Law) -> int:
    """How many energies a node has that parents contribute to."""
    if isinstance(law, Indicators):
        return law.labels - (law.reference_label is not None)
    return 1
