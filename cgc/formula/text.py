"""Formulas for people: one line of text, or LaTeX."""

from __future__ import annotations

import re
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

_NAMES = {
    "Sigmoid": ("σ", r"\sigma"), "LogSigmoid": ("log σ", r"\log\sigma"), "Softplus": ("softplus", r"\operatorname{softplus}"),
    "NormPdf": ("φ", r"\varphi"), "NormCdf": ("Φ", r"\Phi"), "LogNormCdf": ("log Φ", r"\log\Phi"),
    "NormRamp": ("ramp", r"\operatorname{ramp}"),
    "LogSumExp": ("logsumexp", r"\operatorname{logsumexp}"), "LogNormInterval": ("logΔΦ", r"\log\Delta\Phi"),
    "LogLogisticInterval": ("logΔσ", r"\log\Delta\sigma"), "Log1pSumExp": ("log1p_sum_exp", r"\operatorname{log1p\,sum\,exp}"),
    "GumbelRamp": ("Ein∘exp", r"\operatorname{Ein}\exp"), "GumbelFall": ("E_1∘exp", r"E_1\exp"),
    "LogGumbelUpper": ("log_gumbel_upper", r"\log\left(1-\exp(-\exp(-\cdot))\right)"),
    "Expm1": ("expm1", r"\operatorname{expm1}"), "Log1p": ("log1p", r"\operatorname{log1p}"), "Tanh": ("tanh", r"\tanh"),
    "Log1mExp": ("log1mexp", r"\operatorname{log1mexp}"), "LogMills": ("log_mills", r"\operatorname{log\,mills}"), "Floored": ("", ""),
    "loggamma": ("log Γ", r"\log\Gamma"), "Max": ("max", r"\max"), "Min": ("min", r"\min"),
    # e^{-e} would read as a power of the energy e
    "exp": ("exp", r"\exp"),
    "Softmax": ("softmax", r"\operatorname{softmax}"), "LogSoftmax": ("log_softmax", r"\log\operatorname{softmax}"),
}  # fmt: skip


class _Text(StrPrinter):  # type: ignore[misc]
    def _print_Function(self, expr: Any) -> str:
        name = _NAMES.get(type(expr).__name__, (type(expr).__name__, ""))[0]
        return f"{name}({', '.join(self._print(argument) for argument in expr.args)})"

    _print_Max = _print_Min = _print_Function

    def _print_LogisticPdf(self, expr: Any) -> str:
        u = expr.args[0]
        return f"σ({self._print(u)})*σ({self._print(-u)})"

    def _print_NormMoment(self, expr: Any) -> str:
        return f"W_{expr.args[0]}({self._print(expr.args[1])})"

    def _print_LogisticMoment(self, expr: Any) -> str:
        return f"(-{expr.args[0]}!·Li_{expr.args[0]}(-exp({self._print(expr.args[1])})))"

    def _print_NormExcess(self, expr: Any) -> str:
        return f"κ_{expr.args[0]}({self._print(expr.args[1])})"

    def _print_ExponentialFall(self, expr: Any) -> str:
        return f"E max(0, {self._print(expr.args[1])} - n)^{expr.args[0]}"

    def _print_InverseExpm1(self, expr: Any) -> str:
        return f"1/(exp({self._print(expr.args[0])}) - 1)"

    def _print_InverseSinh2(self, expr: Any) -> str:
        return f"1/(4*sinh({self._print(expr.args[0] / 2)})^2)"

    def _print_polygamma(self, expr: Any) -> str:
        return f"ψ{'′' * int(expr.args[0])}({self._print(expr.args[1])})"

    def _print_Exp1(self, expr: Any) -> str:
        return "exp(1)"  # E is the expectation

    def _print_Abs(self, expr: Any) -> str:
        return f"|{self._print(expr.args[0])}|"

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:
        return str(super()._print_Pow(expr, rational)).replace("**", "^")

    def _print_Piecewise(self, expr: Any) -> str:
        cases = [f"{self._print(v)} if {self._print(c)}" for v, c in expr.args if c is not sympy.true]
        last = [f"{self._print(v)} otherwise" for v, c in expr.args if c is sympy.true]
        return "{" + "; ".join(cases + last) + "}"

    def _print_Relational(self, expr: Any) -> str:
        return str(super()._print_Relational(_read(expr)))

    def _print_Equality(self, expr: Any) -> str:
        return f"{self._print(expr.lhs)} = {self._print(expr.rhs)}"


class _Latex(LatexPrinter):  # type: ignore[misc]
    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:
        return typeset(expr.name).strip() if not expr.name.isascii() else str(super()._print_Symbol(expr, style))

    def _print_Function(self, expr: Any, exp: Any = None) -> str:
        name = type(expr).__name__
        if name not in _NAMES:
            return str(super()._print_Function(expr, exp))
        body = rf"{_NAMES[name][1]}\left({', '.join(self._print(argument) for argument in expr.args)}\right)"
        return rf"\left({body}\right)^{{{exp}}}" if exp is not None else body

    def _print_Relational(self, expr: Any) -> str:
        return str(super()._print_Relational(_read(expr)))

    def _power(self, body: str, exp: Any) -> str:
        return rf"\left({body}\right)^{{{exp}}}" if exp is not None else body

    def _print_LogisticPdf(self, expr: Any, exp: Any = None) -> str:
        u = expr.args[0]
        return self._power(rf"\sigma\left({self._print(u)}\right)\sigma\left({self._print(-u)}\right)", exp)

    def _print_NormMoment(self, expr: Any, exp: Any = None) -> str:
        return self._power(rf"W_{{{expr.args[0]}}}\left({self._print(expr.args[1])}\right)", exp)

    def _print_LogisticMoment(self, expr: Any, exp: Any = None) -> str:
        k, z = expr.args
        return self._power(rf"-{k}!\operatorname{{Li}}_{{{k}}}\left(-\exp\left({self._print(z)}\right)\right)", exp)

    def _print_NormExcess(self, expr: Any, exp: Any = None) -> str:
        return self._power(rf"\kappa_{{{expr.args[0]}}}\left({self._print(expr.args[1])}\right)", exp)

    def _print_ExponentialFall(self, expr: Any, exp: Any = None) -> str:
        return self._power(rf"\mathbb{{E}}\max\left(0, {self._print(expr.args[1])} - n\right)^{{{expr.args[0]}}}", exp)

    def _print_InverseExpm1(self, expr: Any, exp: Any = None) -> str:
        return self._power(rf"\frac{{1}}{{\exp\left({self._print(expr.args[0])}\right) - 1}}", exp)

    def _print_InverseSinh2(self, expr: Any, exp: Any = None) -> str:
        return self._power(rf"\frac{{1}}{{4\sinh^2\left({self._print(expr.args[0] / 2)}\right)}}", exp)


def _read(relation: Any) -> Any:
    """With the number on the right, as people read it."""
    return relation.reversed if relation.lhs.is_number and not relation.rhs.is_number else relation


def _decimals(expression: Any) -> Any:
    """Fractions with large denominators, written as the decimal numbers that they came from."""
    long = sorted((r for r in expression.atoms(sympy.Rational) if r.q >= 100), key=sympy.default_sort_key)
    return expression.xreplace({r: sympy.sign(r) * sympy.Symbol(repr(float(abs(r))), positive=True) for r in long})


def _plain(expression: Any) -> Any:
    """With max, min and exp as names without meaning: sympy's printer would simplify their arguments, and ask what they are at 0."""
    for kind in (sympy.Max, sympy.Min, sympy.exp):
        expression = expression.replace(kind, sympy.Function(kind.__name__, real=True))
    return expression.xreplace({sympy.E: sympy.Function("exp", real=True)(sympy.Integer(1))})


# what is written as text in the left sides of steps and in sampling rules
_TYPESET = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<![A-Za-z\\])E(?=[\['])", r"\\mathbb{E}"),
        (r"(?<![A-Za-z\\])E (?=max)", r"\\mathbb{E}\\, "),
        (r"\b(Var|Cov)(?=[\[_])", r"\\operatorname{\1}"),
        (r"\b(Bernoulli|Logistic|Laplace|Uniform|Gumbel|Exponential|value|ramp|softmax)(?=\()", r"\\operatorname{\1}"),
        (r"\bN(?=\()", r"\\mathcal{N}"),
        (r"\b(log|max|min|exp|tanh|sin|cos)\b", r"\\\1"),
        (r"(?<=[A-Za-z])([0-9])", r"_\1"),
        (r"∫ ?", r"\\int "),
        (r"·", r"\\cdot "),
        (r" ~ ", r" \\sim "),
        (r" \| ", r" \\mid "),
        ("θ", r"\\theta "),
        ("α", r"\\alpha "),
        ("Φ", r"\\Phi "),
        ("φ", r"\\varphi "),
        ("σ", r"\\sigma "),
    )
)


def typeset(line: str) -> str:
    """LaTeX for a short line of text such as ``Var[X | e]`` or ``n ~ N(0, 1), Y``."""
    for pattern, replacement in _TYPESET:
        line = pattern.sub(replacement, line)
    return line


def prose(line: str) -> str:
    """A sentence as LaTeX; formulas in it are words with a sign that is no letter of English."""
    inside = re.sub(r"\S*[^\x00-\x7f]\S*", lambda found: f"${typeset(found.group())}$", line)
    return rf"\text{{{inside}}}"


def text(expression: Any) -> str:
    """One line of text, the same on every run."""
    return str(_Text().doprint(_decimals(expression)))


def latex(expression: Any) -> str:
    """LaTeX without surrounding dollars."""
    return str(_Latex().doprint(_plain(_decimals(expression))))
