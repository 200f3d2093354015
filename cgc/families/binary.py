"""Nodes with two states."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from cgc.families.base import Family
from cgc.families.forms import FiniteExponential
from cgc.formula.fields import Real, exact, mistake


def distinct(values: tuple[float, float]) -> tuple[float, float]:
    """Two different states. Raises PydanticCustomError."""
    if values[0] == values[1]:
        raise mistake("CG305", "the two states are equal", help="give two different numbers, such as [0, 1]")
    return values


class Binary(Family):
    """Two states a, b with p(x | e) ∝ exp(e x) (paper, eq. 3)."""

    kind: Literal["binary"]
    values: Annotated[tuple[Real, Real], AfterValidator(distinct)]

    def law(self) -> FiniteExponential:
        a, b = self.values
        return FiniteExponential(support=(exact(a), exact(b)))

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"values": [-1, 1]}
