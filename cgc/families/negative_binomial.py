"""Counts that vary more than Poisson's."""

from typing import Annotated, Literal

import sympy
from pydantic import AfterValidator

from cgc.families.base import Family
from cgc.families.forms import NONNEGATIVE_INTEGERS, Density, E, X
from cgc.families.gamma import positive
from cgc.formula.fields import Real, exact
from cgc.formula.primitives import LogSigmoid


class NegativeBinomial(Family):
    """Failures, of probability σ(e) each, before the r-th success; torch calls that σ(e) `probs`, other libraries 1 - σ(e)."""

    kind: Literal["negative_binomial"]
    successes: Annotated[Real, AfterValidator(positive)]

    def law(self) -> Density:
        r = exact(self.successes)
        return Density(NONNEGATIVE_INTEGERS, sympy.loggamma(X + r) - sympy.loggamma(X + 1) + X * LogSigmoid(E))

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"successes": 3}
