"""Linear nodes with Gaussian noise."""

from typing import Literal

from cgc.families.base import Family
from cgc.families.forms import Noise
from cgc.formula.fields import FormulaOfEnergy


class Gaussian(Family):
    """X ~ N(e, std²); std 0 is a deterministic linear node (paper, section 3)."""

    kind: Literal["gaussian"]
    std: FormulaOfEnergy
    std_min: FormulaOfEnergy | None = None

    def law(self) -> Noise:
        return Noise("normal", self.std, scale_min=self.std_min)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"std": 1}
