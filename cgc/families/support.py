"""The field ``support`` of families: a list of states, a word, or an interval."""

from __future__ import annotations

from typing import Annotated, Any

import sympy
from pydantic import PlainValidator, ValidationInfo, WithJsonSchema

from cgc.families.forms import INTEGERS, NONNEGATIVE, NONNEGATIVE_INTEGERS, REALS, Support
from cgc.formula.fields import EXPRESSION_SCHEMA, exact, kind_of, mistake, number
from cgc.source.suggest import nearest

WORDS: dict[str, Support] = {
    "integers": INTEGERS,
    "nonnegative": NONNEGATIVE,
    "nonnegative_integers": NONNEGATIVE_INTEGERS,
    "reals": REALS,
}
_MOST_STATES = 64


def _states(values: list[Any], info: ValidationInfo) -> tuple[sympy.Expr, ...]:
    numbers = [number(value, info) for value in values]
    if not numbers:
        raise mistake("CG305", "the support is empty", help="give at least two states")
    if not 2 <= len(numbers) <= _MOST_STATES:
        raise mistake("CG305", f"a support has between 2 and {_MOST_STATES} states, not {len(numbers)}")
    if len(set(numbers)) < len(numbers):
        raise mistake("CG305", "a state stands twice in the support")
    return tuple(exact(value) for value in numbers)


def _interval(value: Any, info: ValidationInfo) -> Support:
    if not isinstance(value, list) or len(value) != 2:
        raise mistake("CG305", "an interval has two ends", help="write `{interval: [0, 1]}`")
    low, high = (exact(number(end, info)) for end in value)
    if low >= high:
        raise mistake("CG305", f"the support is empty: there is nothing between {low} and {high}", help="the lower end comes first")
    return Support(low, high)


def _support(value: Any, info: ValidationInfo) -> Support | tuple[sympy.Expr, ...]:
    if isinstance(value, (list, tuple)):
        return _states(list(value), info)
    if isinstance(value, dict) and list(value) == ["interval"]:
        return _interval(value["interval"], info)
    if isinstance(value, str):
        if value in WORDS:
            return WORDS[value]
        close = nearest(value, WORDS)
        raise mistake("CG304", f"unknown support `{value}`", help=f"did you mean `{close}`?" if close else "known: " + ", ".join(WORDS))
    raise mistake("CG305", f"expected a support, found {kind_of(value)}", help="a list of states, a word, or `{interval: [a, b]}`")


SupportField = Annotated[
    Any,
    PlainValidator(_support),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": EXPRESSION_SCHEMA, "minItems": 2},
                {"enum": list(WORDS)},
                {
                    "type": "object",
                    "properties": {"interval": {"type": "array", "items": EXPRESSION_SCHEMA, "minItems": 2, "maxItems": 2}},
                    "required": ["interval"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
