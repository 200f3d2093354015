"""Gaussians that are known to be positive."""

from typing import Literal

import sympy

from cgc.families.base import Family
from cgc.families.forms import NONNEGATIVE, Density, E, X
from cgc.formula.fields import FormulaOfEnergy


class TruncatedGaussian(Family):
    """N(e, std²) given that x > 0."""

    kind: Literal["truncated_gaussian"]
    std: FormulaOfEnergy

    def law(self) -> Density:
        return Density(NONNEGATIVE, -((X - E) ** 2) / (2 * self.std**2) - sympy.log(self.std**2) / 2)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"std": 1}
