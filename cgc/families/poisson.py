"""Counts."""

from typing import Literal

import sympy

from cgc.families.base import Family
from cgc.families.forms import NONNEGATIVE_INTEGERS, Density, E, X


class Poisson(Family):
    """Counts with log-rate e."""

    kind: Literal["poisson"]

    def law(self) -> Density:
        return Density(NONNEGATIVE_INTEGERS, E * X - sympy.loggamma(X + 1))
