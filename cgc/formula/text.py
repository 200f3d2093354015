"""Formulas for people: one line of text, or LaTeX."""

from __future__ import annotations

from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

_NAMES = {
    "Sigmoid": ("σ", r"\sigma"), "LogSigmoid": ("log σ", r"\log\sigma"), "Softplus": ("softplus", r"\operatorname{softplus}"),
    "NormPdf": ("φ", r"\varphi"), "NormCdf": ("Φ", r"\Phi"), "LogNormCdf": ("log Φ", r"\log\Phi"),
    "NormRamp": ("ramp", r"\operatorname{ramp}"),
    "LogSumExp": ("logsumexp", r"\operatorname{logsumexp}"), "LogNormInterval": ("logΔΦ", r"\log\Delta\Phi"),
    "LogLogisticInterval": ("logΔσ", r"\log\Delta\sigma"), "Max": ("max", r"\max"), "Min": ("min", r"\min"),
    "Softmax": ("softmax", r"\operatorname{softmax}"), "LogSoftmax": ("log_softmax", r"\log\operatorname{softmax}"),
}  # fmt: skip


class _Text(StrPrinter):  # type: ignore[misc]
    def _print_Function(self, expr: Any) -> str:
        name = _NAMES.get(type(expr).__name__, (type(expr).__name__, ""))[0]
        return f"{name}({', '.join(self._print(argument) for argument in expr.args)})"

    _print_Max = _print_Min = _print_Function

    def _print_Abs(self, expr: Any) -> str:
        return f"|{self._print(expr.args[0])}|"

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:
        return str(super()._print_Pow(expr, rational)).replace("**", "^")

    def _print_Piecewise(self, expr: Any) -> str:
        cases = [f"{self._print(v)} if {self._print(c)}" for v, c in expr.args if c is not sympy.true]
        last = [f"{self._print(v)} otherwise" for v, c in expr.args if c is sympy.true]
        return "{" + "; ".join(cases + last) + "}"

    def _print_Equality(self, expr: Any) -> str:
        return f"{self._print(expr.lhs)} = {self._print(expr.rhs)}"


class _Latex(LatexPrinter):  # type: ignore[misc]
    def _print_Function(self, expr: Any, exp: Any = None) -> str:
        name = type(expr).__name__
        if name not in _NAMES:
            return str(super()._print_Function(expr, exp))
        body = rf"{_NAMES[name][1]}\left({', '.join(self._print(argument) for argument in expr.args)}\right)"
        return rf"\left({body}\right)^{{{exp}}}" if exp is not None else body

    def _print_ExpBase(self, expr: Any, exp: Any = None) -> str:
        # e^{-e} would read as a power of the energy e
        body = rf"\exp\left({self._print(expr.args[0])}\right)"
        return rf"{body}^{{{exp}}}" if exp is not None else body


def _decimals(expression: Any) -> Any:
    """Fractions with large denominators, written as the decimal numbers that they came from."""
    long = sorted((r for r in expression.atoms(sympy.Rational) if r.q >= 100), key=sympy.default_sort_key)
    return expression.xreplace({r: sympy.sign(r) * sympy.Symbol(repr(float(abs(r))), positive=True) for r in long})


def text(expression: Any) -> str:
    """One line of text, the same on every run."""
    return str(_Text().doprint(_decimals(expression)))


def latex(expression: Any) -> str:
    """LaTeX without surrounding dollars."""
    return str(_Latex().doprint(_decimals(expression)))
