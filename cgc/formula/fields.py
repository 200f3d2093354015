"""Field types of the spec language that hold mathematics: numbers that may be expressions over params, and formulas.

They read ``params`` from pydantic's validation context and report mistakes as ``PydanticCustomError`` whose type is the code of a
Diagnostic and whose context holds offset, length and help.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Annotated, Any

import sympy
from pydantic import PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from cgc.formula.parse import FormulaError, evaluate, parse

EXPRESSION_SCHEMA = {"type": ["number", "string"], "description": "a number or an expression"}


def exact(value: int | float) -> sympy.Rational:
    """The rational that is written as ``value``: 0.1 gives 1/10."""
    return sympy.Rational(Fraction(repr(value)))


def mistake(code: str, message: str, offset: int | None = None, length: int = 1, help: str = "") -> PydanticCustomError:
    """A validation error that becomes the Diagnostic ``code``; without ``offset`` it covers the whole value."""
    return PydanticCustomError(code, message, {"offset": offset, "length": length, "help": help})


def _params(info: ValidationInfo) -> Mapping[str, int | float]:
    params: Mapping[str, int | float] = (info.context or {}).get("params", {})
    return params


def _from(error: FormulaError) -> PydanticCustomError:
    return mistake(error.code, error.message, error.offset, error.length, error.help)


def number(value: Any, info: ValidationInfo) -> int | float:
    """A number, or an expression over params. Raises PydanticCustomError."""
    if isinstance(value, str):
        try:
            return evaluate(value, _params(info))
        except FormulaError as error:
            raise _from(error) from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise mistake("CG305", f"expected a number, found {kind_of(value)}", help="a number, or an expression over params")
    if not math.isfinite(value):
        raise mistake("CG208", "the value is not finite")
    return value


def _integer(value: Any, info: ValidationInfo) -> int:
    found = number(value, info)
    if found != int(found):
        raise mistake("CG305", f"expected a whole number, found {found:g}")
    return int(found)


def _formula(*names: str) -> Callable[[Any, ValidationInfo], sympy.Expr]:
    def validate(value: Any, info: ValidationInfo) -> sympy.Expr:
        if not isinstance(value, str):
            return exact(number(value, info))
        symbols: dict[str, sympy.Expr] = {name: exact(given) for name, given in _params(info).items()}
        symbols |= {name: sympy.Symbol(name, real=True) for name in names}
        try:
            return parse(value, symbols)
        except FormulaError as error:
            raise _from(error) from None

    return validate


def kind_of(value: Any) -> str:
    """What a YAML value is, in words."""
    words = {
        bool: "true or false",
        str: "text",
        list: "a list",
        dict: "a mapping",
        type(None): "nothing",
        int: "a number",
        float: "a number",
    }
    return words.get(type(value), type(value).__name__)


Real = Annotated[int | float, PlainValidator(number), WithJsonSchema(EXPRESSION_SCHEMA)]
Integer = Annotated[
    int, PlainValidator(_integer), WithJsonSchema({"type": ["integer", "string"], "description": "a whole number or an expression"})
]
FormulaOfEnergy = Annotated[sympy.Expr, PlainValidator(_formula("e")), WithJsonSchema(EXPRESSION_SCHEMA)]
FormulaOfNoise = Annotated[sympy.Expr, PlainValidator(_formula("y", "e")), WithJsonSchema(EXPRESSION_SCHEMA)]
FormulaOfState = Annotated[sympy.Expr, PlainValidator(_formula("x")), WithJsonSchema(EXPRESSION_SCHEMA)]
FormulaOfDensity = Annotated[sympy.Expr, PlainValidator(_formula("x", "e")), WithJsonSchema(EXPRESSION_SCHEMA)]
