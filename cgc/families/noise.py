"""The general noise form as users write it."""

from typing import Literal

from cgc.families.base import Family
from cgc.families.forms import Base, Noise, Y
from cgc.formula.fields import FormulaOfEnergy, FormulaOfNoise, exact


class NoiseFamily(Family):
    """X = value(Y), Y = e + scale·noise, with one of six standard noises."""

    kind: Literal["noise"]
    base: Base
    scale: FormulaOfEnergy = exact(1)
    value: FormulaOfNoise = Y
    scale_min: FormulaOfEnergy | None = None

    def law(self) -> Noise:
        return Noise(self.base, self.scale, self.value, self.scale_min)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"base": "logistic", "value": "max(0, y)"}
