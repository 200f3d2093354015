"""Formulas with indices, as text and as LaTeX at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cgc.graph.factorisation import name
from cgc.graph.predicate import Arithmetic, Comparison, Constant, Expression, Function, Index, Junction, Minus, Predicate, Truth
from cgc.graph.predicate import text as predicate_text


@dataclass(frozen=True)
class Formula:
    """The same formula twice."""

    text: str
    latex: str

    def __add__(self, other: Formula) -> Formula:
        return Formula(self.text + other.text, self.latex + other.latex)


def plain(text: str, latex: str | None = None) -> Formula:
    """What is the same in both, or given for each."""
    return Formula(text, text if latex is None else latex)


def join(separator: Formula, parts: Sequence[Formula]) -> Formula:
    """The parts with ``separator`` between them."""
    return Formula(separator.text.join(part.text for part in parts), separator.latex.join(part.latex for part in parts))


def variable(of: str, *indices: str) -> Formula:
    """``h.0[i,t-1]``."""
    return plain(of, name(of, True)) + subscript(indices)


def symbol(letter: str, of: str, *indices: str | Formula) -> Formula:
    """``W_x[i,j]``: a letter for something that belongs to ``of``, or to nothing in particular."""
    return plain(f"{letter}_{of}" if of else letter, f"{letter}^{{{name(of, True)}}}" if of else letter) + subscript(indices)


def over(sign: str, indices: Sequence[str], where: Predicate | None = None) -> Formula:
    """``sum_{j: abs(i - j) <= 1} ``, or with ``sign`` prod; nothing if there is no index."""
    if not indices:
        return plain("")
    below = plain(",".join(indices), ",".join(name(k, True) if len(k) > 1 and k.isalpha() else _index(k) for k in indices))
    if where is not None:
        below += Formula(f": {predicate_text(where)}", rf" : \, {predicate_latex(where)}")
    bare = len(indices) == 1 and indices[0].isalnum() and where is None
    return Formula(f"{sign}_{below.text} " if bare else f"{sign}_{{{below.text}}} ", rf"\{sign}_{{{below.latex}}} ")


def subscript(indices: Sequence[str | Formula]) -> Formula:
    """``[i,t-1]``; nothing if there is no index."""
    if not indices:
        return plain("")
    inside = join(plain(","), [plain(k, _index(k)) if isinstance(k, str) else k for k in indices])
    return plain("[", "_{") + inside + plain("]", "}")


def expression(of: Expression) -> Formula:
    """An expression of indices."""
    return Formula(predicate_text(of), predicate_latex(of))


def _index(text: str) -> str:
    return re.sub(r"\b([a-z])(\d+)", r"\1_{\2}", text)


_SIGNS = {"==": "=", "!=": r"\neq", "<=": r"\leq", ">=": r"\geq", "<": "<", ">": ">", "and": r"\wedge", "or": r"\vee"}


def predicate_latex(node: Expression | Predicate) -> str:
    r"""A condition on indices as LaTeX: ``|i - j| \leq 1``."""
    match node:
        case Truth(value):
            return r"\mathrm{true}" if value else r"\mathrm{false}"
        case Comparison(sign, left, right):
            return f"{predicate_latex(left)} {_SIGNS[sign]} {predicate_latex(right)}"
        case Junction(kind, parts):
            shown = [f"({predicate_latex(part)})" if isinstance(part, Junction) else predicate_latex(part) for part in parts]
            return f" {_SIGNS[kind]} ".join(shown)
        case Constant(value):
            return str(value)
        case Index(letter):
            return _index(letter)
        case Minus(operand):
            return f"-{_factor(operand)}"
        case Function("abs", (operand,)):
            return rf"\left| {predicate_latex(operand)} \right|"
        case Function(word, arguments):
            return rf"\{word}({', '.join(predicate_latex(a) for a in arguments)})"
        case Arithmetic("//", left, right):
            return rf"\lfloor {_factor(left)} / {_factor(right)} \rfloor"
        case Arithmetic("%", left, right):
            return rf"{_factor(left)} \; \mathrm{{mod}} \; {_factor(right)}"
        case Arithmetic("*", left, right):
            return rf"{_factor(left)} \, {_factor(right)}"
        case Arithmetic("+", left, right):
            return f"{predicate_latex(left)} + {predicate_latex(right)}"
        case Arithmetic(_, left, right):
            return f"{predicate_latex(left)} - {_factor(right)}"


def _factor(node: Expression) -> str:
    """In brackets, unless it is a single thing."""
    bare = isinstance(node, (Constant, Index, Function)) or (isinstance(node, Arithmetic) and node.sign == "//")
    return predicate_latex(node) if bare else f"({predicate_latex(node)})"
