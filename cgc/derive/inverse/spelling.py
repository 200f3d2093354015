"""Expressions and families in the language of specs."""

from __future__ import annotations

import re
from typing import Any

import sympy
from sympy.printing.str import StrPrinter

from cgc.derive.inverse.node import NoNode
from cgc.families.forms import E, X, Y
from cgc.formula.parse import FormulaError, parse
from cgc.formula.text import text

LONGEST = 120

_SYMBOLS = {"e": E, "x": X, "y": Y}


def sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


_WORDS = {
    "Abs": "abs", "Expm1": "expm1", "LogSigmoid": "log_sigmoid", "Max": "max", "Min": "min", "NormCdf": "normal_cdf",
    "NormPdf": "normal_pdf", "Sigmoid": "sigmoid", "Softplus": "softplus", "Tanh": "tanh", "cos": "cos", "erf": "erf", "exp": "exp",
    "log": "log", "loggamma": "lgamma", "sign": "sign", "sin": "sin", "tanh": "tanh",
}  # fmt: skip


class _Spelling(StrPrinter):  # type: ignore[misc]
    """Formulas as a spec writes them. Raises KeyError for a function without a word."""

    def _print_Function(self, expr: Any) -> str:
        return f"{_WORDS[type(expr).__name__]}({', '.join(self._print(argument) for argument in expr.args)})"

    _print_Abs = _print_Function

    def _print_Max(self, expr: Any) -> str:
        # max(0, y) and max(0.1*y, y) read better than the other way round
        ordered = sorted(expr.args, key=lambda a: (not a.is_number, -sympy.count_ops(a), sympy.default_sort_key(a)))
        return f"{_WORDS[type(expr).__name__]}({', '.join(self._print(argument) for argument in ordered)})"

    _print_Min = _print_Max

    def _print_LogisticPdf(self, expr: Any) -> str:
        return f"(sigmoid({self._print(expr.args[0])})*sigmoid({self._print(-expr.args[0])}))"

    def _print_Relational(self, expr: Any) -> str:
        # y > 2 rather than 2 < y
        expr = expr if expr.lhs.has(*_SYMBOLS.values()) else expr.reversed
        return f"{self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)}"

    def _print_Exp1(self, expr: Any) -> str:
        return "exp(1)"

    def _print_Piecewise(self, expr: Any) -> str:
        return f"Piecewise({', '.join(f'({self._print(v)}, {self._print(c)})' for v, c in expr.args)})"

    def _print_And(self, expr: Any) -> str:
        return " and ".join(f"({self._print(part)})" for part in sorted(expr.args, key=sympy.default_sort_key))

    def _print_Or(self, expr: Any) -> str:
        return " or ".join(f"({self._print(part)})" for part in sorted(expr.args, key=sympy.default_sort_key))


def spelling_of(expression: Any) -> str | None:
    """A formula in the language of specs, which ``parse`` reads back; None where the language has no word for it."""
    # 1/2 and 2/3, but 0.1 and 37.5
    long = [r for r in expression.atoms(sympy.Rational) if r.q > 1 and max(abs(r.p), r.q) >= 10]
    decimals = {r: written for r in long if (written := _decimal(r)) is not None}
    named = {r: sympy.Symbol(written.removeprefix("-"), positive=True) for r, written in decimals.items()}
    try:
        shown = expression.xreplace({r: symbol if r > 0 else -symbol for r, symbol in named.items()})
        written = str(_Spelling().doprint(shown))
        parse(written, _SYMBOLS)
    except (KeyError, FormulaError):
        return None
    return written


def _decimal(number: Any) -> str | None:
    """A fraction as a decimal number, where it is a finite one."""
    for places in range(1, 31):
        scaled = number * 10**places
        if scaled.is_Integer:
            digits = str(abs(int(scaled))).rjust(places + 1, "0")
            return f"{'-' if number < 0 else ''}{digits[:-places]}.{digits[-places:]}"
    return None


def as_flow(family: dict[str, object]) -> str:
    """A family as one line of YAML; formulas are quoted."""
    return "{" + ", ".join(f"{key}: {_entry(entry)}" for key, entry in family.items()) + "}"


def _entry(entry: object) -> str:
    if isinstance(entry, list):
        return f"[{', '.join(_entry(item) for item in entry)}]"
    written = str(entry)
    return written if not isinstance(entry, str) or re.fullmatch(r"[A-Za-z_]\w*", written) else f"'{written}'"


def as_field(number: Any) -> object:
    """A number or a formula as the value of a field."""
    if number.is_Integer:
        return int(number)
    spelled = spelling_of(number)
    if spelled is None:
        raise NoNode(f"`{text(number)}` cannot be written in a spec")
    return spelled
