"""Threshold nodes with Gaussian noise."""

from typing import Annotated, Literal

import sympy
from pydantic import AfterValidator

from cgc.families.base import Family
from cgc.families.binary import distinct
from cgc.families.forms import Noise, Y
from cgc.formula.fields import Real, exact


class Probit(Family):
    """Two states a, b: b where e + n > 0 with standard normal n."""

    kind: Literal["probit"]
    values: Annotated[tuple[Real, Real], AfterValidator(distinct)]

    def law(self) -> Noise:
        low, high = (exact(value) for value in self.values)
        return Noise("normal", exact(1), sympy.Piecewise((high, Y > 0), (low, True), evaluate=False))

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"values": [0, 1]}
