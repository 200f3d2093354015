"""Nodes on an interval that the energy tilts."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from cgc.families.base import Family
from cgc.families.clipped_gaussian import ordered
from cgc.families.forms import Density, E, Support, X
from cgc.formula.fields import Real, exact


class TiltedUniform(Family):
    """p(x | e) ∝ exp(e x) between two numbers."""

    kind: Literal["tilted_uniform"]
    interval: Annotated[tuple[Real, Real], AfterValidator(ordered)]

    def law(self) -> Density:
        low, high = (exact(end) for end in self.interval)
        return Density(Support(low, high), E * X)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"interval": [-1, 1]}
