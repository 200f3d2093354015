"""Which of the formulas that a moment has is computed: the first that keeps its digits in floats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from cgc.derive.guard import Guarded, guarded
from cgc.derive.measure import ENOUGH, Point, energies, error, points
from cgc.derive.routes import Moment, Route
from cgc.formula.scalar import Over, Scalar, shared, walk


def settle(moment: Moment, route: Route) -> Guarded:
    """The first candidate that keeps its digits; else the first that does with guarded series; else the best."""
    if moment.exact is None:
        return Guarded(moment.candidates[0], (), math.inf)
    grid = energies(route.breaks)
    if any(isinstance(node, Over) and len(node.columns[0][1]) > 16 for node in walk(moment.candidates[0])):
        grid = grid[::4]
    known = points(moment.exact, grid)
    measured: list[_Measured] = []
    for candidate in moment.candidates:
        if measured and is_table(candidate):
            break
        tried = _Measured(candidate, known, [one.worst for one in measured])
        if tried.passes:
            return Guarded(candidate, (), max(tried.errors))
        measured.append(tried)
    for one in measured:
        found = guarded(one.candidate, moment.exact, known, one.errors, wholly=True)
        if found is not None:
            return found
    if is_table(moment.candidates[-1]):
        # nothing in it cancels, but it costs more to compute: only where every formula loses its digits
        return Guarded(moment.candidates[-1], (), 0.0)
    left = [guarded(one.candidate, moment.exact, known, one.errors, wholly=False) for one in measured]
    return min((found for found in left if found is not None), key=lambda found: found.error)


def is_table(candidate: Scalar) -> bool:
    """Whether a formula is a sum over a table."""
    return any(isinstance(node, Over) for node in walk(candidate))


class _Measured:
    """A candidate with its errors at known points, which are computed as far as somebody asks."""

    def __init__(self, candidate: Scalar, known: Sequence[Point], first: Sequence[int]) -> None:
        self.candidate, self.known = candidate, known
        self._shared = shared(candidate)
        self._first = first
        self._errors: dict[int, float] = {}

    @cached_property
    def passes(self) -> bool:
        """Whether all errors are small enough. Where others failed, this one is tried first."""
        return all(self._error(k) <= ENOUGH for k in (*self._first, *range(len(self.known))))

    @property
    def worst(self) -> int:
        """The worst of the points that were looked at."""
        return max(self._errors, key=lambda k: self._errors[k])

    @property
    def errors(self) -> list[float]:
        """The errors at all points."""
        return [self._error(k) for k in range(len(self.known))]

    def _error(self, k: int) -> float:
        if k not in self._errors:
            self._errors[k] = error(self._shared, self.known[k])
        return self._errors[k]
