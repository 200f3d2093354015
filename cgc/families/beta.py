"""Proportions."""

from typing import Annotated, Literal

import sympy
from pydantic import AfterValidator

from cgc.families.base import Family
from cgc.families.forms import Density, E, Support, X
from cgc.families.gamma import positive
from cgc.formula.fields import Real, exact
from cgc.formula.primitives import Sigmoid


class Beta(Family):
    """Beta(κσ(e), κσ(-e)): a proportion with mean σ(e) and concentration κ."""

    kind: Literal["beta"]
    concentration: Annotated[Real, AfterValidator(positive)]

    def law(self) -> Density:
        k = exact(self.concentration)
        log_density = (k * Sigmoid(E) - 1) * sympy.log(X) + (k * Sigmoid(-E) - 1) * sympy.log(1 - X)
        return Density(Support(sympy.Integer(0), sympy.Integer(1)), log_density)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"concentration": 4}
