"""Piecewise polynomials in y: where the pieces are, as exact numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy
from sympy.core.relational import Relational

from cgc.families.forms import Y

_LIMIT = 64
_DEGREE = 16
# beyond this, floats keep no digit of an energy that is added
_LARGEST = 10**12


class NotPiecewisePolynomial(Exception):
    """Carries the part of the expression that is not."""


@dataclass(frozen=True)
class Piece:
    """A polynomial in y on the open interval (low, high)."""

    low: Any
    high: Any
    polynomial: Any

    @property
    def degree(self) -> int:
        """Degree in y; 0 for a constant."""
        return 0 if not self.polynomial.has(Y) else int(sympy.degree(self.polynomial, Y))


def pieces(value: Any) -> tuple[Piece, ...]:
    """The pieces of a function of y, from left to right; neighbours differ. Raises NotPiecewisePolynomial."""
    result = tuple(_merge(_split(value)))
    for piece in result:
        numbers = [piece.low, piece.high, *sympy.Poly(piece.polynomial, Y).all_coeffs()]
        if piece.degree > _DEGREE or any(_LARGEST < abs(number) < sympy.oo for number in numbers):
            raise NotPiecewisePolynomial(piece.polynomial)
    return result


def inside(piece: Piece) -> Any:
    """A point of the open interval of ``piece``."""
    if piece.low is -sympy.oo and piece.high is sympy.oo:
        return sympy.Integer(0)
    if piece.low is -sympy.oo:
        return piece.high - 1
    return piece.low + 1 if piece.high is sympy.oo else (piece.low + piece.high) / 2


def _split(value: Any) -> list[Piece]:
    if not value.has(Y) and not value.is_comparable:  # sympy cannot order it among break points
        raise NotPiecewisePolynomial(value)
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
        return _combine([_at_roots(_split(value.args[0]))], lambda p, at: sympy.sign(p.subs(Y, at)), with_point=True)
    if isinstance(value, sympy.Piecewise):
        return _cases(value)
    raise NotPiecewisePolynomial(value)


def _refine(functions: list[list[Piece]]) -> list[tuple[Any, Any, list[Any]]]:
    """Common intervals of several functions, with their polynomials there."""
    ends = _sorted({p.low for f in functions for p in f} | {p.high for f in functions for p in f})
    if len(ends) > _LIMIT:
        raise NotPiecewisePolynomial(sympy.Symbol(f"more than {_LIMIT} pieces"))
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
    poly = sympy.Poly(polynomial, Y)
    if poly.degree() == 1:
        found = [-poly.nth(0) / poly.nth(1)]
    else:
        if not all(c.is_Rational for c in poly.all_coeffs()) or poly.degree() > 8:
            raise NotPiecewisePolynomial(polynomial)
        found = list(dict.fromkeys(poly.real_roots()))
        if any(root.has(sympy.CRootOf) for root in found):
            raise NotPiecewisePolynomial(polynomial)
    return [root for root in _sorted(set(found)) if low < root < high]


def _at_roots(function: list[Piece]) -> list[Piece]:
    result = []
    for piece in function:
        ends = [piece.low, *_roots(piece.polynomial, piece.low, piece.high), piece.high]
        result += [Piece(a, b, piece.polynomial) for a, b in itertools.pairwise(ends)]
    return result


def _choose(left: list[Piece], right: list[Piece], better: Callable[[Any, Any], Any]) -> list[Piece]:
    result = []
    for low, high, (p, q) in _refine([left, right]):
        for part in _at_roots([Piece(low, high, sympy.expand(p - q))]):
            point = inside(part)
            result.append(Piece(part.low, part.high, p if better(p.subs(Y, point), q.subs(Y, point)) else q))
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
