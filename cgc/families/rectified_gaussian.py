"""Gaussian nodes behind a rectifier."""

from typing import Literal

import sympy

from cgc.families.base import Family
from cgc.families.forms import Noise, Y
from cgc.formula.fields import FormulaOfEnergy, Real, exact


class RectifiedGaussian(Family):
    """X = max(leak·Y, Y), Y ~ N(e, std²) (paper, eq. 10-11)."""

    kind: Literal["rectified_gaussian"]
    std: FormulaOfEnergy
    leak: Real = 0
    std_min: FormulaOfEnergy | None = None

    def law(self) -> Noise:
        return Noise("normal", self.std, sympy.Max(exact(self.leak) * Y, Y), self.std_min)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"std": "tanh(e)", "emit": "relu"}
