"""Logistic nodes behind a rectifier."""

from typing import Literal

import sympy

from cgc.families.base import Family
from cgc.families.forms import Noise, Y
from cgc.formula.fields import FormulaOfEnergy, exact


class RectifiedLogistic(Family):
    """X = max(0, Y), Y = e + scale·n with standard logistic n: softplus, exactly, at scale 1."""

    kind: Literal["rectified_logistic"]
    scale: FormulaOfEnergy = exact(1)

    def law(self) -> Noise:
        return Noise("logistic", self.scale, sympy.Max(0, Y))
