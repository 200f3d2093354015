"""Piecewise functions of y: where the pieces are. Break points between polynomials are exact, others are found numerically."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy
from mpmath import mp
from sympy.core.relational import Relational

from cgc.families.forms import E, Y
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array
from cgc.formula.numeric import value as evaluate

_LIMIT = 64
_DEGREE = 64
_MOST_KINKS = 256
_INSIDE = sympy.Rational(382, 1000)


class NoPieces(Exception):
    """A function that has no pieces with fixed break points; carries the part of the expression that has none."""


@dataclass(frozen=True)
class Piece:
    """A smooth expression in y (most often a polynomial) on the open interval (low, high)."""

    low: Any
    high: Any
    polynomial: Any

    @property
    def degree(self) -> int:
        """Degree in y; 0 for a constant, -1 for what is no polynomial in y."""
        if not self.polynomial.has(Y):
            return 0
        return int(sympy.degree(self.polynomial, Y)) if self.polynomial.is_polynomial(Y) else -1


def pieces(value: Any) -> tuple[Piece, ...]:
    """The pieces of a function of y, from left to right; neighbours differ. Raises NoPieces."""
    return tuple(_merge(_split(value)))


def window(value: Any) -> tuple[Piece, ...]:
    """The pieces between the break points nearest to 0 of a function that has too many, and the function itself beyond. Raises NoPieces."""
    ends = kinks(value)
    if len(ends) < 2:
        raise NoPieces(value)
    # not in the middle: there sin and its like may touch
    inner = _merge([Piece(low, high, _resolved(value, low + _INSIDE * (high - low))) for low, high in itertools.pairwise(ends)])
    inner = sorted(sorted(inner, key=lambda part: abs(part.low + part.high))[:_LIMIT], key=lambda part: float(part.low))
    return (Piece(-sympy.oo, inner[0].low, value), *inner, Piece(inner[-1].high, sympy.oo, value))


def kinks(value: Any) -> list[Any]:
    """Where a function of y alone may have corners or jumps, ascending: those nearest to 0. Raises NoPieces."""
    marks: list[Any] = []
    for node in sorted(value.atoms(sympy.Max, sympy.Min, sympy.Abs, sympy.sign, Relational), key=sympy.default_sort_key):
        sides = node.args if isinstance(node, (sympy.Max, sympy.Min, Relational)) else (node.args[0], sympy.Integer(0))
        for left, right in itertools.combinations(sides, 2):
            if (left - right).has(Y):
                marks += _numeric_roots(left - right, near=True)
    marks = sorted(set(marks), key=lambda mark: (abs(mark), mark))[:_MOST_KINKS]
    return _sorted({sympy.Rational(mark) for mark in marks})


def _resolved(value: Any, point: Any) -> Any:
    """``value`` as it is around a point that is no break point: every max, min, abs, sign and case decided."""
    if not value.args or not value.has(Y):
        return value
    if isinstance(value, sympy.Piecewise):
        return _resolved(next(v for v, condition in value.args if condition is sympy.true or _holds(condition, point)), point)
    arguments = [_resolved(argument, point) for argument in value.args]
    sizes = [_at(argument, point) for argument in arguments]
    if isinstance(value, (sympy.Max, sympy.Min)):
        return arguments[sizes.index((max if isinstance(value, sympy.Max) else min)(sizes))]
    if isinstance(value, sympy.Abs):
        return arguments[0] if sizes[0] >= 0 else -arguments[0]
    if isinstance(value, sympy.sign):
        return sympy.Integer(int(mpmath.sign(sizes[0])))
    return value.func(*arguments)


def _at(function: Any, point: Any) -> Any:
    if function.has(E):
        raise NoPieces(function)
    with mp.workdps(30):
        return evaluate(freeze(function), y=evaluate(freeze(point)))


def _holds(condition: Any, point: Any) -> bool:
    return (
        condition.subs(Y, point) is sympy.true
        if not condition.has(sympy.Function)
        else bool(_at(sympy.Piecewise((1, condition), (0, True)), point))
    )


def largest_number(parts: tuple[Piece, ...]) -> Any:
    """The largest break point or coefficient of pieces."""
    numbers: list[Any] = [sympy.Integer(0)]
    for piece in parts:
        coefficients = sympy.Poly(piece.polynomial, Y).all_coeffs() if piece.degree >= 0 else []
        numbers += [abs(n) for n in (piece.low, piece.high, *coefficients) if n.is_number and not n.is_infinite]
    return max(numbers, key=float)


def inside(piece: Piece) -> Any:
    """A point of the open interval of ``piece``."""
    if piece.low is -sympy.oo and piece.high is sympy.oo:
        return sympy.Integer(0)
    if piece.low is -sympy.oo:
        return piece.high - 1
    return piece.low + 1 if piece.high is sympy.oo else (piece.low + piece.high) / 2


def _points(piece: Piece) -> Iterator[Any]:
    """A few points of the open interval of ``piece``."""
    yield inside(piece)
    if piece.low.is_infinite or piece.high.is_infinite:
        for step in (sympy.Rational(1, 3), sympy.Rational(7, 5)):
            yield inside(piece) + (step if piece.high.is_infinite else -step)
    else:
        yield piece.low + _INSIDE * (piece.high - piece.low)


def _split(value: Any) -> list[Piece]:
    if not value.has(Y, E) and not value.is_comparable:  # sympy cannot order it among break points
        raise NoPieces(value)
    if not value.has(Y) or value == Y:
        return [Piece(-sympy.oo, sympy.oo, value)]
    if value.is_Add or value.is_Mul:
        return _combine([_split(argument) for argument in value.args], value.func)
    if value.is_Pow and value.exp.is_Integer and 0 < value.exp <= _DEGREE:
        return _combine([_split(value.base)], lambda base: base**value.exp)
    if isinstance(value, (sympy.Max, sympy.Min)):
        better = (lambda a, b: a >= b) if isinstance(value, sympy.Max) else (lambda a, b: a <= b)
        result, *others = [_split(argument) for argument in sorted(value.args, key=sympy.default_sort_key)]
        for other in others:
            result = _choose(result, other, better)
        return result
    if isinstance(value, sympy.Abs):
        parts = _split(value.args[0])
        return _choose(parts, [Piece(p.low, p.high, -p.polynomial) for p in parts], lambda a, b: a >= b)
    if isinstance(value, sympy.sign):
        return _combine([_at_roots(_split(value.args[0]))], _sign_at, with_point=True)
    if isinstance(value, sympy.Piecewise):
        return _cases(value)
    if value.is_Pow and not value.base.has(Y):
        raise NoPieces(value)
    if value.is_Pow or isinstance(value, sympy.Function):
        outer = (lambda *inner: inner[0] ** value.exp) if value.is_Pow else value.func
        arguments = value.args[:1] if value.is_Pow else value.args
        return _combine([_split(argument) for argument in arguments], outer)
    raise NoPieces(value)


def _refine(functions: list[list[Piece]]) -> list[tuple[Any, Any, list[Any]]]:
    """Common intervals of several functions, with their polynomials there."""
    ends = _sorted({p.low for f in functions for p in f} | {p.high for f in functions for p in f})
    if len(ends) > _LIMIT:
        raise NoPieces(sympy.Symbol(f"more than {_LIMIT} pieces"))
    rows = []
    for low, high in itertools.pairwise(ends):
        point = inside(Piece(low, high, 0))
        rows.append((low, high, [next(p.polynomial for p in f if p.low < point < p.high) for f in functions]))
    return rows


def _sorted(numbers: set[Any]) -> list[Any]:
    return sorted(numbers, key=lambda number: (float(number), sympy.default_sort_key(number)))


def _combine(functions: list[list[Piece]], build: Callable[..., Any], with_point: bool = False) -> list[Piece]:
    result = []
    for low, high, polynomials in _refine(functions):
        extra = [inside(Piece(low, high, 0))] if with_point else []
        result.append(Piece(low, high, sympy.expand(build(*polynomials, *extra))))
    return result


def _roots(polynomial: Any, low: Any, high: Any) -> list[Any]:
    """The real roots in the open interval, ascending."""
    if not polynomial.has(Y):
        return []
    if not polynomial.is_polynomial(Y):
        return [root for root in _numeric_roots(polynomial) if low < root < high]
    poly = sympy.Poly(polynomial, Y)
    if any(c.has(E) for c in poly.all_coeffs()):
        raise NoPieces(polynomial)
    if poly.degree() == 1:
        found = [-poly.nth(0) / poly.nth(1)]
    elif not all(c.is_Rational for c in poly.all_coeffs()) or poly.degree() > 8:
        found = _numeric_roots(polynomial)
    else:
        found = list(dict.fromkeys(poly.real_roots()))
        if any(root.has(sympy.CRootOf) for root in found):
            found = _numeric_roots(polynomial)
    return [root for root in _sorted(set(found)) if low < root < high]


def _numeric_roots(function: Any, near: bool = False) -> list[Any]:
    """Changes of sign of a function of y, to 40 digits; whole numbers and simple fractions are recognised. Those nearest to 0 alone, if
    asked for, where there are too many. Raises NoPieces."""
    if function.has(E):
        raise NoPieces(function)
    tree = freeze(function)
    side = np.sinh(np.linspace(1e-4, np.arcsinh(40 if near else 1e4), 6000)) * 1.000173
    grid = np.concatenate([-side[::-1], side])
    with np.errstate(all="ignore"):
        values = np.broadcast_to(array(tree, y=grid), grid.shape)
    if not np.isfinite(values).any():
        raise NoPieces(function)
    changes = np.flatnonzero(np.sign(values[:-1]) * np.sign(values[1:]) < 0)
    if near:
        changes = changes[np.argsort(np.abs(grid[changes]), kind="stable")[:_MOST_KINKS]]
    elif len(changes) > _LIMIT:
        raise NoPieces(function)
    found = []
    with mp.workdps(45):
        for k in changes:
            root = _root(lambda y: evaluate(tree, y=y), mp.mpf(grid[k]), mp.mpf(grid[k + 1]))
            simple = Fraction(str(mpmath.nstr(root, 40))).limit_denominator(1000)
            exact = abs(mp.mpf(simple.numerator) / simple.denominator - root) < mp.mpf(10) ** -35
            found.append(sympy.Rational(simple.numerator, simple.denominator) if exact else sympy.Rational(mpmath.nstr(root, 40)))
    return found


def _root(function: Callable[[Any], Any], low: Any, high: Any) -> Any:
    """The root between two points of different signs; where a function is flat around it, bisection still comes near."""
    try:
        return mpmath.findroot(function, (low, high), solver="anderson", tol=1e-80)
    except (ValueError, ZeroDivisionError):
        rising = function(low) < 0
        for _ in range(160):
            middle = (low + high) / 2
            low, high = (middle, high) if (function(middle) < 0) == rising else (low, middle)
        return (low + high) / 2


def _at_roots(function: list[Piece]) -> list[Piece]:
    result = []
    for piece in function:
        ends = [piece.low, *_roots(piece.polynomial, piece.low, piece.high), piece.high]
        result += [Piece(a, b, piece.polynomial) for a, b in itertools.pairwise(ends)]
    return result


def _sign_at(polynomial: Any, point: Any) -> Any:
    """The sign that a difference has all over a part, from one point inside."""
    found = polynomial.subs(Y, point)
    if not found.is_number:
        raise NoPieces(polynomial)
    return sympy.sign(found) if found.is_comparable else sympy.sign(sympy.N(found, 30))


def _choose(left: list[Piece], right: list[Piece], better: Callable[[Any, Any], Any]) -> list[Piece]:
    result = []
    for low, high, (p, q) in _refine([left, right]):
        if sympy.expand(p - q) == 0:
            result.append(Piece(low, high, p))
            continue
        for part in _at_roots([Piece(low, high, sympy.expand(p - q))]):
            # where the two only touch, a point beside it tells
            signs = (_sign_at(p - q, point) for point in _points(part))
            sign = next((sign for sign in signs if sign != 0), sympy.Integer(0))
            result.append(Piece(part.low, part.high, p if better(sign, 0) else q))
    return _merge(result)


def _cases(value: Any) -> list[Piece]:
    bounds = {-sympy.oo, sympy.oo}
    for _, condition in value.args:
        for relation in sorted(condition.atoms(Relational), key=sympy.default_sort_key):
            for piece in _at_roots(_split(sympy.expand(relation.lhs - relation.rhs))):
                bounds |= {piece.low, piece.high}
    ends = _sorted(bounds)
    result: list[Piece] = []
    for low, high in itertools.pairwise(ends):
        point = inside(Piece(low, high, 0))
        taken = next(v for v, condition in value.args if condition is sympy.true or condition.subs(Y, point) is sympy.true)
        result += [Piece(max(low, p.low), min(high, p.high), p.polynomial) for p in _split(taken) if p.low < high and p.high > low]
    return result


def _merge(function: list[Piece]) -> list[Piece]:
    result: list[Piece] = []
    for piece in function:
        if result and sympy.expand(result[-1].polynomial - piece.polynomial) == 0:
            result[-1] = Piece(result[-1].low, piece.high, piece.polynomial)
        else:
            result.append(piece)
    return result
