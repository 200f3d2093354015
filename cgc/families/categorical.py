"""Nodes with labels."""

from typing import Literal

from pydantic import model_validator

from cgc.families.base import Family
from cgc.families.forms import Indicators
from cgc.formula.fields import Integer, mistake


class Categorical(Family):
    """Labels 0 … n-1 with one energy each, features their indicators (paper, section 3)."""

    kind: Literal["categorical"]
    labels: Integer
    reference_label: Integer | None = None

    @model_validator(mode="after")
    def _bounds(self) -> "Categorical":
        if not 2 <= self.labels <= 1_000_000:
            raise mistake("CG305", f"a categorical node has between 2 and 1,000,000 labels, not {self.labels}")
        if self.reference_label is not None and not 0 <= self.reference_label < self.labels:
            raise mistake("CG305", f"reference_label {self.reference_label} is not one of the labels 0 to {self.labels - 1}")
        return self

    def law(self) -> Indicators:
        return Indicators(self.labels, self.reference_label)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"labels": 10}
