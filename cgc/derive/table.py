"""A density without closed form as a table of weighted points: quadrature nodes for intervals, a window of whole numbers for sums.

With x_i and log-weights log p(x_i | e) + h_i every expectation is a finite sum that cannot overflow. The nodes are placed so that the
rule holds for every energy between two bounds; energies beyond are taken as these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cgc.derive.coordinates import coordinate
from cgc.derive.quadrature import gauss
from cgc.families.forms import Density, Support
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array

Array = np.ndarray[Any, np.dtype[np.float64]]

_NODES = 16
MOST_ROWS = 768
_REACH = (30.0, 20.0, 14.0, 10.0, 7.0, 5.0, 3.5, 2.5, 1.5, 1.0)
_WIDEST = 6000
# a panel is halved until halving changes no expectation by more than this
_TOLERANCE = 3e-14


@dataclass(frozen=True)
class Table:
    """Points with their log-weights, and the energies between which the rule holds."""

    points: Array
    log_weights: Array
    low: float
    high: float


def tabulate(law: Density) -> Table | None:
    """The table of a density on infinitely many points; None if no range of energies fits into ``MOST_ROWS`` rows."""
    reach = next((r for r in _REACH if _attempt(law, -r, r) is not None), None)
    if reach is None:
        return None
    low, high = -reach, reach
    for wider in _REACH:
        if wider > reach and _attempt(law, low, wider) is not None:
            high = wider
            break
    for wider in _REACH:
        if wider > reach and _attempt(law, -wider, high) is not None:
            low = -wider
            break
    found = _attempt(law, low, high)
    assert found is not None
    return Table(*found, low, high)


def _attempt(law: Density, low: float, high: float) -> tuple[Array, Array] | None:
    assert isinstance(law.support, Support)
    energies = np.unique(np.concatenate([np.linspace(low, high, 25), np.linspace(max(low, -3), min(high, 3), 9)]))
    tree = freeze(law.log_density)

    def log_density(x: Array) -> Array:
        with np.errstate(all="ignore"):
            found = np.broadcast_to(array(tree, x=x[None, :], e=energies[:, None]), (len(energies), len(x)))
        return np.where(np.isnan(found), -np.inf, found)

    return _window(law.support, log_density) if law.support.whole else _panels(law.support, log_density)


def _window(support: Support, log_density: Any) -> tuple[Array, Array] | None:
    first = 0 if support.low.is_infinite else int(support.low)
    x = np.arange(-_WIDEST // 2, _WIDEST // 2 + 1.0) if support.low.is_infinite else np.arange(float(first), first + _WIDEST)
    logs = log_density(x)
    kept = np.flatnonzero((logs > logs.max(1, keepdims=True) - 44).any(0))
    # what reaches the end of the window goes on beyond it
    if len(kept) == 0 or kept[-1] == len(x) - 1 or (support.low.is_infinite and kept[0] == 0) or np.ptp(kept) >= MOST_ROWS:
        return None
    x = x[kept[0] : kept[-1] + 1]
    return x, np.zeros_like(x)


def _line(support: Support, log_density: Any) -> tuple[Any, Array]:
    """x(t) with log|x'(t)|, and the first panels in t: t = x where the density is finite up to both ends of an interval."""
    if not (support.low.is_infinite or support.high.is_infinite):
        low, high = float(support.low), float(support.high)
        if np.isfinite(log_density(np.array([low, high]))).all():
            return lambda t: (t, np.zeros_like(t)), np.linspace(low, high, 5)
    line = coordinate(support)
    return line.numpy, np.linspace(line.low, line.high, int((line.high - line.low) / 2.5) + 1)


def _panels(support: Support, log_density: Any) -> tuple[Array, Array] | None:
    place, edges = _line(support, log_density)
    points, weights = (np.array(values) for values in gauss(_NODES))
    panels = np.stack([edges[:-1], edges[1:]], 1)

    def logs(panels: Array) -> Array:
        """log integrand (energies, panels, nodes), weights included."""
        width = panels[:, 1] - panels[:, 0]
        x, log_slope = place((panels[:, :1] + width[:, None] * points).ravel())
        inside = log_density(x) + log_slope + np.log(np.outer(width, weights)).ravel()
        found: Array = inside.reshape(len(inside), len(panels), _NODES)
        return found

    level = logs(panels)
    top = level.max((1, 2), keepdims=True)
    if not np.isfinite(top).all():
        return None
    for _ in range(12):
        mass = np.exp(level - top).sum(-1)
        total = mass.sum(1, keepdims=True)
        needed = (mass > 1e-19 * total).any(0)
        panels, level, mass = panels[needed], level[:, needed], mass[:, needed]
        if len(panels) * _NODES > 4 * MOST_ROWS:
            return None
        middle = panels.mean(1)
        halves = np.stack([np.stack([panels[:, 0], middle], 1), np.stack([middle, panels[:, 1]], 1)], 1).reshape(-1, 2)
        finer = logs(halves)
        both = np.exp(finer - top).sum(-1).reshape(len(mass), -1, 2).sum(-1)
        rough = (np.abs(both - mass) > _TOLERANCE * total).any(0)
        if not rough.any():
            break
        pairs = np.repeat(rough, 2)
        panels = np.concatenate([panels[~rough], halves[pairs]])
        level = np.concatenate([level[:, ~rough], finer[:, pairs]], 1)
    else:
        return None
    if len(panels) * _NODES > MOST_ROWS:
        return None
    panels = panels[np.argsort(panels[:, 0])]
    width = panels[:, 1] - panels[:, 0]
    x, log_slope = place((panels[:, :1] + width[:, None] * points).ravel())
    return x, log_slope + np.log(np.outer(width, weights)).ravel()
