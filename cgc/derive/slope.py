"""The derivative of an expectation, symbolically: each stable primitive has one in stable primitives again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from cgc.families.forms import E
from cgc.formula.text import latex, text

# a formula that nobody would read is not printed
_LONGEST = 600


@dataclass(frozen=True)
class Slope:
    """dE[X | e]/de in text and LaTeX; ``expression`` is the sympy formula."""

    text: str
    latex: str
    expression: Any


def derivative(mean: Any) -> Slope | None:
    """The derivative of a sympy formula in e; None where it would be too long to read."""
    if mean is None or sympy.count_ops(mean) > _LONGEST:
        return None
    slope = _by_cases(mean)
    if sympy.count_ops(slope) > _LONGEST:
        return None
    return Slope(text(slope), latex(slope), slope)


def _by_cases(mean: Any) -> Any:
    """Case by case, so that sympy does not differentiate conditions."""
    if isinstance(mean, sympy.Piecewise):
        return sympy.Piecewise(*((_by_cases(value), condition) for value, condition in mean.args), evaluate=False)
    return sympy.diff(mean, E)
