"""Text that users write as mathematics → sympy or a number, through ``ast`` and a whitelist; nothing is ever evaluated as code."""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from cgc.formula import primitives
from cgc.formula.freeze import freeze
from cgc.formula.numeric import array
from cgc.source.suggest import nearest

MAX_CHARACTERS = 1000
MAX_DEPTH = 40
MAX_DIGITS = 30
MAX_EXPONENT = 64

Number = int | float


class FormulaError(Exception):
    """A mistake inside an expression: ``offset`` and ``length`` count characters of the text that was parsed."""

    def __init__(self, code: str, message: str, offset: int = 0, length: int = 1, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.offset = offset
        self.length = length
        self.help = help


def _unary(build: Callable[[Any], Any]) -> tuple[int, int, Callable[..., Any]]:
    return (1, 1, build)


# name -> (fewest arguments, most arguments, constructor). These are the functions that a density may be written with.
FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "abs": _unary(sympy.Abs),
    "binomial": (2, 2, lambda n, k: sympy.exp(sympy.loggamma(n + 1) - sympy.loggamma(k + 1) - sympy.loggamma(n - k + 1))),
    "cos": _unary(sympy.cos),
    "erf": _unary(sympy.erf),
    "exp": _unary(sympy.exp),
    "expm1": _unary(primitives.Expm1),
    "factorial": _unary(lambda n: sympy.exp(sympy.loggamma(n + 1))),
    "lgamma": _unary(sympy.loggamma),
    "log": _unary(sympy.log),
    "log1p": _unary(lambda x: sympy.log(1 + x)),
    "log_sigmoid": _unary(primitives.LogSigmoid),
    "max": (2, 8, sympy.Max),
    "min": (2, 8, sympy.Min),
    "normal_cdf": _unary(primitives.NormCdf),
    "normal_pdf": _unary(primitives.NormPdf),
    "sigmoid": _unary(primitives.Sigmoid),
    "sign": _unary(sympy.sign),
    "sin": _unary(sympy.sin),
    "softplus": _unary(primitives.Softplus),
    "sqrt": _unary(sympy.sqrt),
    "tanh": _unary(sympy.tanh),
}

NUMBER_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "abs": _unary(abs),
    "ceil": _unary(math.ceil),
    "exp": _unary(math.exp),
    "floor": _unary(math.floor),
    "log": _unary(math.log),
    "max": (2, 8, max),
    "min": (2, 8, min),
    "round": _unary(round),
    "sqrt": _unary(math.sqrt),
}

_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {ast.Lt: sympy.Lt, ast.LtE: sympy.Le, ast.Gt: sympy.Gt, ast.GtE: sympy.Ge}
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def approximate(number: sympy.Expr) -> float:
    """The value of a constant in float64, inf where it is too large, nan where it is not real.

    sympy must not be asked about such numbers: it would compute ``sin(exp(1e30))`` to the last digit.
    """
    if number.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo, sympy.I):
        return math.nan
    with np.errstate(all="ignore"):
        return float(array(freeze(number)))


def tree(text: str) -> ast.expr:
    """The Python syntax tree of one expression, after bounds on length and depth. Raises FormulaError."""
    if not text.strip():
        raise FormulaError("CG203", "the expression is empty", help="write a formula, such as `tanh(e)`")
    if len(text) > MAX_CHARACTERS:
        raise FormulaError("CG207", f"the expression has {len(text)} characters, more than {MAX_CHARACTERS}", help="shorten it")
    for offset, character in enumerate(text):
        if not character.isascii() or (not character.isprintable() and character not in "\n\t"):
            raise FormulaError("CG203", f"the character {character!r} has no meaning in an expression", offset)
    depth = deepest = where = 0
    for offset, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth > deepest:
            deepest, where = depth, offset
    if deepest > MAX_DEPTH:
        raise FormulaError("CG207", f"brackets are nested {deepest} deep, more than {MAX_DEPTH}", where, help="shorten it")
    # blanks in place of line breaks keep every offset
    flat = text.replace("\n", " ").replace("\t", " ")
    lead = len(flat) - len(flat.lstrip())
    try:
        with warnings.catch_warnings():  # Python's advice on backslashes in strings is none of the user's business
            warnings.simplefilter("ignore")
            parsed = ast.parse(flat.strip(), mode="eval").body
    except SyntaxError as error:
        offset = lead + (error.offset or 1) - 1
        raise FormulaError("CG203", "this is not an expression", min(offset, len(text) - 1), help=_syntax_help(text)) from None
    except (RecursionError, MemoryError, ValueError):
        raise FormulaError("CG207", "the expression is nested too deep", help="shorten it") from None
    if lead:
        for node in ast.walk(parsed):
            if hasattr(node, "col_offset"):
                node.col_offset += lead
                node.end_col_offset += lead  # type: ignore[attr-defined]
    _bound_depth(parsed)
    return parsed


def _syntax_help(text: str) -> str:
    if text.count("(") != text.count(")"):
        return "the brackets do not match"
    if "=" in text.replace("==", "").replace(">=", "").replace("<=", "").replace("!=", ""):
        return "an expression has no `=`"
    return "write it as in Python, such as `2*e + 1`"


def _bound_depth(root: ast.expr) -> None:
    level: list[ast.AST] = [root]
    for _ in range(2 * MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise FormulaError("CG207", "the expression is nested too deep", help="shorten it")


def place(node: ast.expr) -> tuple[int, int]:
    """Offset and length of a syntax node in its text."""
    return node.col_offset, max(1, (node.end_col_offset or node.col_offset + 1) - node.col_offset)


def parse(text: str, symbols: Mapping[str, sympy.Expr]) -> sympy.Expr:
    """An expression in ``symbols`` (names with what they stand for) and the functions of ``FUNCTIONS``.

    Decimal numbers become exact rationals. Raises FormulaError, with the place inside ``text``.
    """
    result = _Formula(text, symbols).expression(tree(text))
    if result.has(sympy.nan, sympy.oo, sympy.zoo, -sympy.oo, sympy.I):
        raise FormulaError("CG208", "the expression is not a real number everywhere", 0, len(text))
    return result


class _Formula:
    """One walk over a syntax tree; every node kind that is not named here is refused."""

    def __init__(self, text: str, symbols: Mapping[str, sympy.Expr]) -> None:
        self.text = text
        self.symbols = symbols

    def expression(self, node: ast.expr) -> sympy.Expr:
        match node:
            case ast.Constant():
                return self.constant(node)
            case ast.Name():
                return self.name(node)
            case ast.UnaryOp(op=ast.USub()):
                return -self.expression(node.operand)
            case ast.UnaryOp(op=ast.UAdd()):
                return self.expression(node.operand)
            case ast.BinOp(op=ast.Pow()):
                return self.power(node)
            case ast.BinOp():
                return self.binary(node)
            case ast.Call():
                return self.call(node)
            case _:
                raise refused(node)

    def constant(self, node: ast.Constant) -> sympy.Expr:
        return sympy.Rational(exact_number(node, self.text))

    def name(self, node: ast.Name) -> sympy.Expr:
        if node.id in self.symbols:
            return self.symbols[node.id]
        if node.id == "pi":
            return sympy.pi
        raise unknown_name(node, self.symbols, FUNCTIONS)

    def binary(self, node: ast.BinOp) -> sympy.Expr:
        left, right = self.expression(node.left), self.expression(node.right)
        if type(node.op) not in _OPERATORS or isinstance(node.op, (ast.FloorDiv, ast.Mod)):
            raise refused(node)
        if isinstance(node.op, ast.Div) and right.is_zero:
            raise FormulaError("CG208", "division by zero", *place(node))
        return _OPERATORS[type(node.op)](left, right)

    def power(self, node: ast.BinOp) -> sympy.Expr:
        base, exponent = self.expression(node.left), self.expression(node.right)
        if not exponent.is_Rational:
            raise FormulaError("CG205", "an exponent must be a number", *place(node.right), help="write `exp(…)` for other powers")
        if abs(exponent) > MAX_EXPONENT or exponent.q > 1000:
            raise FormulaError("CG205", f"the exponent {exponent} is out of bounds", *place(node.right), help=f"at most {MAX_EXPONENT}")
        if base.is_zero and exponent < 0:
            raise FormulaError("CG208", "division by zero", *place(node))
        if base.is_Rational and max(abs(base.p), base.q) > 10**MAX_DIGITS:
            raise FormulaError("CG205", "this number is too large to be raised to a power", *place(node.left))
        return base**exponent

    def call(self, node: ast.Call) -> sympy.Expr:
        if isinstance(node.func, ast.Name) and node.func.id == "Piecewise":
            return self.piecewise(node)
        name, build = checked_function(node, FUNCTIONS)
        value = build(*(self.expression(argument) for argument in node.args))
        if not value.free_symbols and not math.isfinite(approximate(value)):
            raise FormulaError("CG208", f"`{name}` has no finite value here", *place(node))
        if value.has(sympy.nan, sympy.zoo, sympy.oo) or value.is_real is False:
            raise FormulaError("CG208", f"`{name}` is not defined here", *place(node))
        return value

    def piecewise(self, node: ast.Call) -> sympy.Expr:
        if not node.args or node.keywords:
            raise FormulaError("CG206", "`Piecewise` takes pairs (value, condition)", *place(node))
        branches = []
        for pair in node.args:
            if not isinstance(pair, ast.Tuple) or len(pair.elts) != 2:
                raise FormulaError("CG206", "this is not a pair (value, condition)", *place(pair), help="write `(0, True)`")
            branches.append((self.expression(pair.elts[0]), self.condition(pair.elts[1])))
        if branches[-1][1] is not sympy.true:
            raise FormulaError("CG206", "the last case of `Piecewise` must be `(…, True)`", *place(node.args[-1]))
        return sympy.Piecewise(*branches, evaluate=False)

    def condition(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=True):
                return sympy.true
            case ast.Compare():
                sides = [node.left, *node.comparators]
                values = [self.expression(side) for side in sides]
                parts = []
                for k, comparison in enumerate(node.ops):
                    if type(comparison) not in _COMPARISONS:
                        raise refused(node)
                    parts.append(_COMPARISONS[type(comparison)](values[k], values[k + 1]))
                return sympy.And(*parts)
            case ast.BoolOp(op=ast.And()):
                return sympy.And(*(self.condition(value) for value in node.values))
            case ast.BoolOp(op=ast.Or()):
                return sympy.Or(*(self.condition(value) for value in node.values))
            case _:
                raise FormulaError("CG204", "this is not a condition", *place(node), help="compare with <, <=, > or >=")


def evaluate(text: str, params: Mapping[str, Number]) -> Number:
    """The value of an expression over ``params``: an int as long as Python's arithmetic keeps it one.

    Raises FormulaError, also for results that are not finite.
    """
    root = tree(text)
    value = _number(root, text, params)
    if isinstance(value, float) and not math.isfinite(value):
        raise FormulaError("CG208", "the value is not finite", *place(root))
    return value


def _number(node: ast.expr, text: str, params: Mapping[str, Number]) -> Number:
    match node:
        case ast.Constant():
            exact = exact_number(node, text)
            return int(exact) if isinstance(node.value, int) else float(exact)
        case ast.Name():
            if node.id in params:
                return params[node.id]
            if node.id == "pi":
                return math.pi
            raise unknown_name(node, params, NUMBER_FUNCTIONS)
        case ast.UnaryOp(op=ast.USub()):
            return -_number(node.operand, text, params)
        case ast.UnaryOp(op=ast.UAdd()):
            return _number(node.operand, text, params)
        case ast.BinOp():
            return _operation(node, _number(node.left, text, params), _number(node.right, text, params))
        case ast.Call():
            name, function = checked_function(node, NUMBER_FUNCTIONS)
            arguments = [_number(argument, text, params) for argument in node.args]
            try:
                return _bounded(function(*arguments), node)
            except (ArithmeticError, ValueError):
                raise FormulaError("CG208", f"`{name}` is not defined here", *place(node)) from None
        case _:
            raise refused(node)


def _operation(node: ast.BinOp, left: Number, right: Number) -> Number:
    try:
        if isinstance(node.op, ast.Pow):
            if abs(right) > MAX_EXPONENT:
                raise FormulaError("CG205", f"the exponent {right} is out of bounds", *place(node.right), help=f"at most {MAX_EXPONENT}")
            power = left**right
            if isinstance(power, complex):
                raise ValueError
            return _bounded(power, node)
        if type(node.op) in _OPERATORS:
            return _bounded(_OPERATORS[type(node.op)](left, right), node)
    except ZeroDivisionError:
        raise FormulaError("CG208", "division by zero", *place(node)) from None
    except (ArithmeticError, ValueError):
        raise FormulaError("CG208", "this has no value", *place(node)) from None
    raise refused(node)


def _bounded(value: Any, node: ast.expr) -> Number:
    if isinstance(value, int) and abs(value) > 10**MAX_DIGITS:
        raise FormulaError("CG205", "the number is too large", *place(node))
    number: Number = value
    return number


def exact_number(node: ast.Constant, text: str) -> Fraction:
    """The exact value of a literal, read from the text. Raises FormulaError for what is no number or out of bounds."""
    if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
        raise refused(node)
    offset, length = place(node)
    if isinstance(node.value, int):
        if abs(node.value) >= 10**MAX_DIGITS:
            raise FormulaError("CG205", f"a number has at most {MAX_DIGITS} digits", offset, length)
        return Fraction(node.value)
    if length > 2 * MAX_DIGITS or not (node.value == 0 or 1e-300 < abs(node.value) < 1e300):
        raise FormulaError("CG205", "the number is out of bounds", offset, length)
    return Fraction(text[offset : offset + length].replace("_", ""))


def checked_function(node: ast.Call, functions: Mapping[str, tuple[int, int, Callable[..., Any]]]) -> tuple[str, Callable[..., Any]]:
    """Name and constructor of a call whose function is known and has a right number of plain arguments."""
    if not isinstance(node.func, ast.Name):
        raise refused(node.func)
    name = node.func.id
    if name not in functions:
        close = nearest(name, functions)
        hint = f"did you mean `{close}`?" if close else "known functions: " + ", ".join(sorted(functions))
        raise FormulaError("CG201", f"unknown function `{name}`", *place(node.func), help=hint)
    fewest, most, build = functions[name]
    plain = not node.keywords and not any(isinstance(argument, ast.Starred) for argument in node.args)
    if not plain or not fewest <= len(node.args) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise FormulaError("CG206", f"`{name}` takes {wanted} argument{'s' * (wanted != '1')}", *place(node))
    return name, build


def unknown_name(node: ast.Name, names: Mapping[str, Any], functions: Mapping[str, Any]) -> FormulaError:
    """The error for a name that stands for nothing."""
    if node.id in functions:
        return FormulaError("CG202", f"`{node.id}` is a function", *place(node), help=f"give it an argument: `{node.id}(…)`")
    close = nearest(node.id, names)
    hint = f"did you mean `{close}`?" if close else "known names: " + (", ".join(sorted(names)) or "none")
    return FormulaError("CG202", f"unknown name `{node.id}`", *place(node), help=hint)


def refused(node: ast.expr) -> FormulaError:
    """The error for a construct that is Python but no formula."""
    words = {
        ast.Attribute: "a dot between names",
        ast.Subscript: "an index",
        ast.Lambda: "a lambda",
        ast.Compare: "a comparison",
        ast.BoolOp: "a condition",
        ast.IfExp: "an if",
        ast.Tuple: "a tuple",
        ast.JoinedStr: "a string",
        ast.NamedExpr: "an assignment",
    }
    what = words.get(type(node), "")
    if isinstance(node, ast.Constant):
        what = "a string" if isinstance(node.value, (str, bytes)) else f"`{node.value}`"
    if isinstance(node, ast.BinOp):
        what = "this operator"
    return FormulaError("CG204", f"{what or 'this construct'} is not allowed in an expression", *place(node))
