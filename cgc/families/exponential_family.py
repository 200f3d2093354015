"""The general exponential family as users write it."""

from typing import Literal

import sympy

from cgc.families.base import Family
from cgc.families.forms import Density, E, FiniteExponential, Support, X
from cgc.families.support import SupportField
from cgc.formula.fields import FormulaOfState


class ExponentialFamily(Family):
    """p(x | e) ∝ base_measure(x)·exp(e·statistic(x)) on states, whole numbers or an interval (paper, eq. 7)."""

    kind: Literal["exponential_family"]
    support: SupportField
    statistic: FormulaOfState = X
    base_measure: FormulaOfState = sympy.Integer(1)

    def law(self) -> FiniteExponential | Density:
        if isinstance(self.support, Support):
            return Density(self.support, E * self.statistic + sympy.log(self.base_measure), self.statistic)
        return FiniteExponential(self.support, self.statistic, self.base_measure)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"support": [-1, 0, 1]}
