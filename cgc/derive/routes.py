"""What a route hands back, before approximation and check: sympy formulas with the steps that led to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from cgc.derive.derivation import Sampling, Step
from cgc.formula.text import latex, text


def step(reason: str, formula: Any, source: str = "", name: str = "") -> Step:
    """A step whose formula reads ``name = formula`` (or just the formula)."""
    left, left_latex = (f"{name} = ", f"{name} = ") if name else ("", "")
    return Step(reason, left + text(formula), left_latex + latex(formula), source)


@dataclass(frozen=True)
class Route:
    """One route's result. ``expectation`` is as people write it; ``stable`` is the same in stable primitives, fit for floats.

    ``density`` is the density in one line of text. Where ``scale`` is given, formulas are written with the symbol s that
    stands for it. ``slope`` is the expectation's at -∞.
    """

    density: str
    steps: tuple[Step, ...]
    expectation: Any
    stable: Any
    sampling: Sampling
    sampling_text: str
    log_likelihood: Any | None
    no_likelihood: str = ""
    statistic: Any | None = None
    scale: Any | None = None
    names: tuple[tuple[Any, str], ...] = ()
    slope: Any = sympy.S.Zero
