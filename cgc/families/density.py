"""A density of the user's own."""

from typing import Literal

from cgc.families.base import Family
from cgc.families.forms import Density, X
from cgc.families.support import SupportField
from cgc.formula.fields import FormulaOfDensity, FormulaOfState


class DensityFamily(Family):
    """p(x | e) ∝ exp(log_density(x, e)); cgc normalises it (paper, eq. 7)."""

    kind: Literal["density"]
    support: SupportField
    log_density: FormulaOfDensity
    feature: FormulaOfState = X

    def law(self) -> Density:
        return Density(self.support, self.log_density, self.feature)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"support": "nonnegative", "log_density": "-x*(1 + softplus(-e))"}
