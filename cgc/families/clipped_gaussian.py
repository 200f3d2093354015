"""Gaussians behind two stops."""

from typing import Annotated, Literal

import sympy
from pydantic import AfterValidator

from cgc.families.base import Family
from cgc.families.forms import Noise, Y
from cgc.formula.fields import FormulaOfEnergy, Real, exact, mistake


def ordered(interval: tuple[float, float]) -> tuple[float, float]:
    """Two ends, the lower one first. Raises PydanticCustomError."""
    if interval[0] >= interval[1]:
        raise mistake("CG305", "the interval is empty", help="the lower end comes first")
    return interval


class ClippedGaussian(Family):
    """X = min(b, max(a, Y)), Y ~ N(e, std²)."""

    kind: Literal["clipped_gaussian"]
    interval: Annotated[tuple[Real, Real], AfterValidator(ordered)]
    std: FormulaOfEnergy
    std_min: FormulaOfEnergy | None = None

    def law(self) -> Noise:
        low, high = (exact(end) for end in self.interval)
        return Noise("normal", self.std, sympy.Min(high, sympy.Max(low, Y)), self.std_min)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"interval": [-1, 1], "std": 1}
