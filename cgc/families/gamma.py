"""Waiting times."""

from typing import Annotated, Literal

import sympy
from pydantic import AfterValidator

from cgc.families.base import Family
from cgc.families.forms import NONNEGATIVE, Density, E, X
from cgc.formula.fields import Real, exact, mistake


def positive(value: float) -> float:
    """A number above 0. Raises PydanticCustomError."""
    if value <= 0:
        raise mistake("CG305", f"expected a positive number, found {value:g}")
    return value


class Gamma(Family):
    """Gamma with a fixed shape and scale exp(e); shape 1 is the exponential distribution."""

    kind: Literal["gamma"]
    shape: Annotated[Real, AfterValidator(positive)] = 1

    def law(self) -> Density:
        return Density(NONNEGATIVE, (exact(self.shape) - 1) * sympy.log(X) - X * sympy.exp(-E))

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"shape": 2}
