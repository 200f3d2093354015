"""Conditions on indices: a typed tree of integer expressions and comparisons, its constructors, evaluation over grids, and text.

``where j != i`` is one, and so is what it leaves of an edge. Arithmetic is Python's on integers: ``//`` rounds down, and ``%`` has the
sign of the divisor. Negation is carried out on construction, so that there is no node for it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Sign = Literal["+", "-", "*", "//", "%"]
Relation = Literal["==", "!=", "<", "<=", ">", ">="]
FunctionName = Literal["abs", "min", "max"]
Integers: TypeAlias = NDArray[np.int64]
Truths: TypeAlias = NDArray[np.bool_]

LARGEST = 2**62
"""No value of an expression may be larger in magnitude: evaluation is in 64 bits."""


@dataclass(frozen=True)
class Constant:
    """An integer."""

    value: int


@dataclass(frozen=True)
class Index:
    """The value of an index, from 0 to its extent - 1."""

    name: str


@dataclass(frozen=True)
class Minus:
    """-operand."""

    operand: Expression


@dataclass(frozen=True)
class Arithmetic:
    """left sign right."""

    sign: Sign
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Function:
    """abs of one argument, min or max of two or more."""

    name: FunctionName
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Truth:
    """Always or never."""

    value: bool


@dataclass(frozen=True)
class Comparison:
    """left relation right."""

    relation: Relation
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Junction:
    """All (``and``) or any (``or``) of at least two parts, none of which is a Truth or a Junction of the same kind."""

    kind: Literal["and", "or"]
    parts: tuple[Predicate, ...]


Expression: TypeAlias = Constant | Index | Minus | Arithmetic | Function
Predicate: TypeAlias = Truth | Comparison | Junction

_ARITHMETIC: dict[str, Callable[..., int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
_FUNCTIONS: dict[str, tuple[Callable[..., int], Callable[..., Integers]]] = {
    "abs": (abs, np.abs),
    "min": (min, lambda *values: reduce(np.minimum, values)),
    "max": (max, lambda *values: reduce(np.maximum, values)),
}
_RELATIONS: dict[Relation, tuple[Callable[..., bool], Relation]] = {
    "==": (operator.eq, "!="),
    "!=": (operator.ne, "=="),
    "<": (operator.lt, ">="),
    "<=": (operator.le, ">"),
    ">": (operator.gt, "<="),
    ">=": (operator.ge, "<"),
}


# --- Constructors: they fold constants, so that no printed expression consists of constants alone.


def minus(operand: Expression) -> Expression:
    """-operand."""
    return Constant(-operand.value) if isinstance(operand, Constant) else Minus(operand)


def arithmetic(sign: Sign, left: Expression, right: Expression) -> Expression:
    """left sign right. Raises ZeroDivisionError for a constant divisor 0."""
    if sign in ("//", "%") and right == Constant(0):
        raise ZeroDivisionError
    if isinstance(left, Constant) and isinstance(right, Constant):
        return Constant(_ARITHMETIC[sign](left.value, right.value))
    return Arithmetic(sign, left, right)


def function(name: FunctionName, *arguments: Expression) -> Expression:
    """abs, min or max; the constants among the arguments of min and max become one, the last."""
    python = _FUNCTIONS[name][0]
    values = [a.value for a in arguments if isinstance(a, Constant)]
    if name == "abs":
        return Constant(abs(values[0])) if values else Function(name, arguments)
    last = (Constant(python(values)),) if values else ()
    kept = (*dict.fromkeys(a for a in arguments if not isinstance(a, Constant)), *last)
    return kept[0] if len(kept) == 1 else Function(name, kept)


def compare(relation: Relation, left: Expression, right: Expression) -> Predicate:
    """left relation right."""
    if isinstance(left, Constant) and isinstance(right, Constant):
        return Truth(_RELATIONS[relation][0](left.value, right.value))
    return Truth(_RELATIONS[relation][0](0, 0)) if left == right else Comparison(relation, left, right)


def conjunction(*parts: Predicate) -> Predicate:
    """Whether all parts hold."""
    return _junction("and", parts)


def disjunction(*parts: Predicate) -> Predicate:
    """Whether any part holds."""
    return _junction("or", parts)


def _junction(kind: Literal["and", "or"], parts: tuple[Predicate, ...]) -> Predicate:
    neutral = kind == "and"
    flat = dict.fromkeys(p for part in parts for p in (part.parts if isinstance(part, Junction) and part.kind == kind else (part,)))
    if Truth(not neutral) in flat:
        return Truth(not neutral)
    flat.pop(Truth(neutral), None)
    if not flat:
        return Truth(neutral)
    return next(iter(flat)) if len(flat) == 1 else Junction(kind, tuple(flat))


def negate(predicate: Predicate) -> Predicate:
    """Whether it does not hold."""
    match predicate:
        case Truth(value):
            return Truth(not value)
        case Comparison(relation, left, right):
            return Comparison(_RELATIONS[relation][1], left, right)
        case Junction(kind, parts):
            return _junction("or" if kind == "and" else "and", tuple(negate(part) for part in parts))


# --- What is in a tree.


def _below(node: Expression | Predicate) -> Iterator[Expression | Predicate]:
    """The node and everything under it, in the order of the text."""
    yield node
    match node:
        case Minus(operand):
            yield from _below(operand)
        case Arithmetic(_, left, right) | Comparison(_, left, right):
            yield from _below(left)
            yield from _below(right)
        case Function(_, parts) | Junction(_, parts):
            for part in parts:
                yield from _below(part)


def names(node: Expression | Predicate) -> tuple[str, ...]:
    """The indices it uses, in the order of their first use."""
    return tuple(dict.fromkeys(n.name for n in _below(node) if isinstance(n, Index)))


def constants(node: Expression | Predicate) -> tuple[int, ...]:
    """The magnitudes of its constants, ascending."""
    return tuple(sorted({abs(n.value) for n in _below(node) if isinstance(n, Constant)}))


def substitute(predicate: Predicate, values: Mapping[str, Expression]) -> Predicate:
    """With the indices in ``values`` replaced. Raises ZeroDivisionError if a divisor becomes the constant 0."""
    match predicate:
        case Truth():
            return predicate
        case Comparison(relation, left, right):
            return compare(relation, replace(left, values), replace(right, values))
        case Junction(kind, parts):
            return _junction(kind, tuple(substitute(part, values) for part in parts))


def replace(expression: Expression, values: Mapping[str, Expression]) -> Expression:
    """``substitute`` for an expression."""
    match expression:
        case Constant():
            return expression
        case Index(name):
            return values.get(name, expression)
        case Minus(operand):
            return minus(replace(operand, values))
        case Arithmetic(sign, left, right):
            return arithmetic(sign, replace(left, values), replace(right, values))
        case Function(name, arguments):
            return function(name, *(replace(a, values) for a in arguments))


# --- Evaluation.


def largest(node: Expression | Predicate, extents: Mapping[str, int]) -> int:
    """A bound on the magnitude of every value inside, for indices below ``extents``; to be kept within ``LARGEST``."""
    match node:
        case Truth():
            return 0
        case Constant(value):
            return abs(value)
        case Index(name):
            return extents[name]
        case Minus(operand):
            return largest(operand, extents)
        case Arithmetic(sign, left, right):
            a, b = largest(left, extents), largest(right, extents)
            return a * b if sign == "*" else a + b
        case Comparison(_, left, right):
            return max(largest(left, extents), largest(right, extents))
        case Function(_, parts) | Junction(_, parts):
            return max(largest(part, extents) for part in parts)


def evaluate(predicate: Predicate, indices: Mapping[str, Integers]) -> Truths:
    """Truth values over index arrays that broadcast against each other; the result has the broadcast shape of those it uses.

    Raises ZeroDivisionError if a divisor is 0 anywhere.
    """
    match predicate:
        case Truth(value):
            return np.array(value)
        case Comparison(relation, left, right):
            return np.asarray(_RELATIONS[relation][0](value_of(left, indices), value_of(right, indices)))
        case Junction(kind, parts):
            return reduce(np.logical_and if kind == "and" else np.logical_or, [evaluate(part, indices) for part in parts])


def value_of(expression: Expression, indices: Mapping[str, Integers]) -> Integers:
    """``evaluate`` for an expression."""
    match expression:
        case Constant(value):
            return np.array(value, np.int64)
        case Index(name):
            return indices[name]
        case Minus(operand):
            return -value_of(operand, indices)
        case Arithmetic(sign, left, right):
            a, b = value_of(left, indices), value_of(right, indices)
            if sign in ("//", "%") and not b.all():
                raise ZeroDivisionError
            return np.asarray(_ARITHMETIC[sign](a, b))
        case Function(name, arguments):
            return _FUNCTIONS[name][1](*(value_of(a, indices) for a in arguments))


def integer(expression: Expression, indices: Mapping[str, int]) -> int:
    """The value of an expression at one place. Raises ZeroDivisionError."""
    return int(value_of(expression, {name: np.array(value, np.int64) for name, value in indices.items()}))


# --- Text.

_ADD, _MULTIPLY, _UNARY, _ATOM = range(4)


def text(node: Expression | Predicate) -> str:
    """As in a statement, which is also Python over integers: ``abs(i - j) > 1 and i // 16 == j // 16``."""
    match node:
        case Truth(value):
            return "0 == 0" if value else "0 != 0"
        case Comparison(relation, left, right):
            return f"{text(left)} {relation} {text(right)}"
        case Junction(kind, parts):
            return f" {kind} ".join(f"({text(p)})" if isinstance(p, Junction) and kind == "and" else text(p) for p in parts)
    return _expression(node, _python_function)[0]


def tensor_text(predicate: Predicate) -> str:
    """As Python over integer tensors that broadcast against each other (torch's operators and ``torch.where``): ``(j > i) & (i < 3)``."""
    match predicate:
        case Truth(value):
            return str(value)
        case Comparison(relation, left, right):
            return f"({_expression(left, _tensor_function)[0]} {relation} {_expression(right, _tensor_function)[0]})"
        case Junction(kind, parts):
            return "(" + f" {'&' if kind == 'and' else '|'} ".join(tensor_text(part) for part in parts) + ")"


def tensor_expression(expression: Expression) -> str:
    """The same for an expression."""
    return _expression(expression, _tensor_function)[0]


def _expression(node: Expression, call: Callable[[str, list[str]], str]) -> tuple[str, int]:
    """Text and how tightly it binds."""
    match node:
        case Constant(value):
            return str(value), _ATOM if value >= 0 else _UNARY
        case Index(name):
            return name, _ATOM
        case Function(name, arguments):
            return call(name, [_expression(a, call)[0] for a in arguments]), _ATOM
        case Minus(operand):
            return "-" + _bracketed(operand, _UNARY, call), _UNARY
        case Arithmetic(sign, left, right):
            level = _ADD if sign in "+-" else _MULTIPLY
            # Operators associate to the left, so an equal level needs brackets on the right.
            return f"{_bracketed(left, level, call)} {sign} {_bracketed(right, level + 1, call)}", level


def _bracketed(node: Expression, least: int, call: Callable[[str, list[str]], str]) -> str:
    inner, level = _expression(node, call)
    return inner if level >= least else f"({inner})"


def _python_function(name: str, arguments: list[str]) -> str:
    return f"{name}({', '.join(arguments)})"


def _tensor_function(name: str, arguments: list[str]) -> str:
    if name == "abs":
        return f"abs({arguments[0]})"
    relation = "<" if name == "min" else ">"
    return reduce(lambda a, b: f"torch.where({a} {relation} {b}, {a}, {b})", arguments)
