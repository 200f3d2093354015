"""The general exponential family as users write it, on finitely many states."""

from typing import Annotated, Literal

import sympy
from pydantic import AfterValidator

from cgc.families.base import Family
from cgc.families.forms import FiniteExponential, X
from cgc.formula.fields import FormulaOfState, Real, exact, mistake


def _states(values: tuple[float, ...]) -> tuple[float, ...]:
    if not 2 <= len(values) <= 64:
        raise mistake("CG305", f"a support has between 2 and 64 states, not {len(values)}")
    if len(set(values)) < len(values):
        raise mistake("CG305", "a state stands twice in the support")
    return values


class ExponentialFamily(Family):
    """p(x | e) ∝ base_measure(x)·exp(e·statistic(x)) on a list of states (paper, eq. 7)."""

    kind: Literal["exponential_family"]
    support: Annotated[tuple[Real, ...], AfterValidator(_states)]
    statistic: FormulaOfState = X
    base_measure: FormulaOfState = sympy.Integer(1)

    def law(self) -> FiniteExponential:
        return FiniteExponential(tuple(exact(state) for state in self.support), self.statistic, self.base_measure)

    @classmethod
    def example(cls) -> dict[str, object]:
        return {"support": [-1, 0, 1]}
