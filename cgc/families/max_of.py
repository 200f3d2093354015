"""The larger of two Gaussians."""

from typing import Literal

from cgc.families.base import Family
from cgc.families.forms import MaxOf
from cgc.formula.fields import FormulaOfEnergy


class MaxOfFamily(Family):
    """X = max(Y₁, Y₂) of two independent Gaussians (Clark 1961): what a pair in max-pooling or maxout is."""

    kind: Literal["max_of"]
    means: tuple[FormulaOfEnergy, FormulaOfEnergy]
    stds: tuple[FormulaOfEnergy, FormulaOfEnergy]

    def law(self) -> MaxOf:
        return MaxOf(self.means, self.stds)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"means": ["e", 0], "stds": [1, 1]}
