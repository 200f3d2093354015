"""Successes in a number of trials."""

from typing import Literal

import sympy
from pydantic import model_validator

from cgc.families.base import Family
from cgc.families.forms import FiniteExponential, X
from cgc.formula.fields import Integer, mistake


class Binomial(Family):
    """The number of successes in n trials of probability σ(e)."""

    kind: Literal["binomial"]
    trials: Integer

    @model_validator(mode="after")
    def _bounds(self) -> "Binomial":
        if not 1 <= self.trials <= 1000:
            raise mistake("CG305", f"a binomial node has between 1 and 1000 trials, not {self.trials}")
        return self

    def law(self) -> FiniteExponential:
        n = self.trials
        choices = sympy.exp(sympy.loggamma(n + 1) - sympy.loggamma(X + 1) - sympy.loggamma(n + 1 - X))
        return FiniteExponential(tuple(sympy.Integer(k) for k in range(n + 1)), X, choices)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"trials": 5}
