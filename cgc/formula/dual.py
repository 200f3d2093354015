"""Value and derivative of a scalar tree in mpmath, by the chain rule: operation by operation, as automatic differentiation goes about it.

At a high precision this is the true derivative. At the precision of a float it shows which digits a derivative loses on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mp

from cgc.formula.numeric import _MP, value
from cgc.formula.partials import PARTIALS
from cgc.formula.scalar import Const, Op, Over, Scalar, Var, hoisted, walk

Rounding = Callable[[Any, str], Any]


class _Numbers:
    """Operations on mpmath's numbers."""

    def __call__(self, name: str, *arguments: Any) -> Any:
        return _MP[name](*arguments)

    def integer(self, number: Any) -> int:
        return int(number)

    def hazard(self, x: Any) -> Any:
        return -x - 1 / x if x < -(10**5) else _MP["norm_pdf"](x) / _MP["norm_cdf"](x)


_APPLY = _Numbers()


def _as_it_is(number: Any, operation: str) -> Any:
    return number


def dual(scalar: Scalar, at: str, rounded: Rounding = _as_it_is, /, **variables: Any) -> tuple[Any, Any]:
    """The value and its derivative with respect to the variable ``at``, at mpmath's current precision.

    ``rounded`` is applied to the result of every operation, of which it gets the name. Parts that are one object are computed once.
    """
    return _dual(scalar, at, rounded, variables, {})


Pair = tuple[Any, Any]


def _dual(scalar: Scalar, at: str, rounded: Rounding, variables: dict[str, Any], known: dict[int, Pair]) -> Pair:
    found = known.get(id(scalar))
    if found is None:
        found = known[id(scalar)] = _compute(scalar, at, rounded, variables, known)
    return found


def _compute(scalar: Scalar, at: str, rounded: Rounding, variables: dict[str, Any], known: dict[int, Pair]) -> Pair:
    if isinstance(scalar, Const):
        return rounded(value(scalar), "const"), mp.zero
    if isinstance(scalar, Var):
        return variables[scalar.name], mp.one if scalar.name == at else mp.zero
    if isinstance(scalar, Over):
        return _over(scalar, at, rounded, variables)
    if scalar.name == "where":
        condition, taken, other = scalar.args
        return _dual(taken if value(condition, **variables) else other, at, rounded, variables, known)
    return _applied(scalar, [_dual(argument, at, rounded, variables, known) for argument in scalar.args], rounded)


def _applied(scalar: Op, pairs: list[Pair], rounded: Rounding) -> Pair:
    if scalar.name in ("max", "min"):
        (a, da), (b, db) = pairs
        # a bound passes the derivative of what lies on it, as torch.clamp does
        bounded = isinstance(scalar.args[0], Const)
        first = (a > b) == (scalar.name == "max") if a != b else not bounded
        return (a, da) if first else (b, db)
    values = [v for v, _ in pairs]
    try:
        result = rounded(_MP[scalar.name](*values), scalar.name)
    except ZeroDivisionError:
        if rounded is _as_it_is or scalar.name != "div":
            raise
        result = mpmath.sign(values[0]) * mp.inf if values[0] else mp.nan
    slopes = [d for _, d in pairs]
    if not any(d != 0 for d in slopes):
        return result, mp.zero
    partials = PARTIALS[scalar.name](_APPLY, result, *values)
    terms = (rounded(mp.mpf(p), scalar.name) * d for p, d in zip(partials, slopes, strict=True) if d != 0)
    return result, rounded(sum(terms, mp.zero), "add")


def _over(scalar: Over, at: str, rounded: Rounding, variables: dict[str, Any]) -> tuple[Any, Any]:
    scalar, outside = hoisted(scalar)
    pairs = {name: dual(node, at, rounded, **variables) for name, node in outside}
    names = [name for name, _ in scalar.columns]
    table = []
    for row in zip(*(column for _, column in scalar.columns), strict=True):
        cells = {name: value(cell) for name, cell in zip(names, row, strict=True)}
        known = {name: v for name, (v, _) in pairs.items()}
        table.append([_within(argument, at, rounded, {**variables, **known, **cells}, pairs) for argument in scalar.args])
    if scalar.name == "sum":
        return mpmath.fsum(a for ((a, _),) in table), mpmath.fsum(d for ((_, d),) in table)
    top = max(row[0][0] for row in table)
    weights = [mpmath.exp(row[0][0] - top) for row in table]
    total = mpmath.fsum(weights)
    p = [weight / total for weight in weights]
    drift = mpmath.fsum(q * row[0][1] for q, row in zip(p, table, strict=True))
    if scalar.name == "logsumexp":
        return top + mpmath.log(total), drift
    rates = [q * (row[0][1] - drift) for q, row in zip(p, table, strict=True)]
    # from the heaviest row, as it is printed
    heaviest = max(range(len(table)), key=lambda k: weights[k])
    anchor = table[heaviest][1][0]
    mean = anchor + mpmath.fsum(q * (row[1][0] - anchor) for q, row in zip(p, table, strict=True))
    slope = mpmath.fsum(r * (row[1][0] - anchor) + q * row[1][1] for r, q, row in zip(rates, p, table, strict=True))
    if scalar.name == "mean":
        return mean, slope
    if scalar.name == "covariance":
        return _covariance(p, rates, [row[1:] for row in table])
    spread = mpmath.fsum(q * (row[1][0] - mean) ** 2 for q, row in zip(p, table, strict=True))
    change = mpmath.fsum(
        r * (row[1][0] - mean) ** 2 + 2 * q * (row[1][0] - mean) * (row[1][1] - slope) for r, q, row in zip(rates, p, table, strict=True)
    )
    return spread, change


def _covariance(p: list[Any], rates: list[Any], table: list[list[Pair]]) -> Pair:
    means = [mpmath.fsum(q * row[k][0] for q, row in zip(p, table, strict=True)) for k in (0, 1)]
    total = change = mp.zero
    for q, r, ((a, da), (b, db)) in zip(p, rates, table, strict=True):
        away, beside = a - means[0], b - means[1]
        total += q * away * beside
        # how means change does not matter, as what lies about them adds up to 0
        change += r * away * beside + q * (da * beside + db * away)
    return total, change


def _within(scalar: Scalar, at: str, rounded: Rounding, variables: dict[str, Any], pairs: dict[str, Pair]) -> Pair:
    """Value and derivative where some variables, hoisted out of the reduction, have a derivative of their own."""
    if isinstance(scalar, Var) and scalar.name in pairs:
        return pairs[scalar.name]
    if not isinstance(scalar, Op) or not any(isinstance(node, Var) and node.name in pairs for node in walk(scalar)):
        return dual(scalar, at, rounded, **variables)
    if scalar.name == "where":
        condition, taken, other = scalar.args
        return _within(taken if value(condition, **variables) else other, at, rounded, variables, pairs)
    inner = [_within(argument, at, rounded, variables, pairs) for argument in scalar.args]
    return _applied(scalar, inner, rounded)
