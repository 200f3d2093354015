"""Values that a gate lets pass."""

from typing import Literal

from pydantic import Field, field_validator

from cgc.families.base import Family
from cgc.families.forms import E, Gated
from cgc.formula.fields import FormulaOfEnergy, mistake


class GatedFamily(Family):
    """X = value(e)·1[B = open], B ~ Bernoulli(prob(e)): 0 where the gate is closed (paper, eq. 12-13)."""

    kind: Literal["gated"]
    value: FormulaOfEnergy = E
    prob: FormulaOfEnergy
    open: Literal[0, 1] = Field(default=1)

    @field_validator("value")
    @classmethod
    def _something(cls, value: object) -> object:
        if value == 0:
            raise mistake("CG305", "the value is 0, so that the gate lets nothing pass")
        return value

    def law(self) -> Gated:
        return Gated(self.value, self.prob, self.open == 1)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"value": "e", "prob": "normal_cdf(e)"}
