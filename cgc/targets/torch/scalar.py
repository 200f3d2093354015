"""Scalar trees as PyTorch expressions: one line, with names for what is used more than once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cgc.formula.numeric import constant
from cgc.formula.scalar import Const, Op, Scalar, Var, walk
from cgc.source.diagnostics import InternalCompilerError

# Python's precedence: an operand is bracketed when it binds more loosely than its place needs
_LOOSE, _SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(6)

_BINARY = {"add": ("+", _SUM), "sub": ("-", _SUM), "mul": ("*", _PRODUCT), "div": ("/", _PRODUCT)}
_COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "=="}
_CALLS = {
    "exp": "torch.exp", "log": "torch.log", "sqrt": "torch.sqrt", "abs": "torch.abs", "sign": "torch.sign", "sin": "torch.sin",
    "cos": "torch.cos", "tanh": "torch.tanh", "erf": "torch.erf", "sigmoid": "torch.sigmoid", "log_sigmoid": "F.logsigmoid",
    "log_norm_cdf": "torch.special.log_ndtr",
}  # fmt: skip
# printed as calls of functions that the emitted module defines (templates/torch/primitives)
HELPERS = {
    "norm_cdf": "normal_cdf", "norm_pdf": "normal_pdf", "norm_ramp": "normal_ramp", "log_norm_interval": "log_normal_interval",
    "log_logistic_interval": "log_logistic_interval",
}  # fmt: skip


@dataclass
class _Printer:
    names: dict[Scalar, str]
    tensor: str
    helpers: set[str] = field(default_factory=set)

    def show(self, scalar: Scalar, place: int = _LOOSE) -> str:
        text, binding = self.write(scalar)
        return f"({text})" if binding < place else text

    def write(self, scalar: Scalar) -> tuple[str, int]:
        if scalar in self.names:
            return self.names[scalar], _ATOM
        number = constant(scalar) if isinstance(scalar, (Const, Op)) and not _has_truth(scalar) else None
        if number is not None:
            return number_text(number), _ATOM if number >= 0 else _UNARY
        if isinstance(scalar, Var):
            return scalar.name, _ATOM
        assert isinstance(scalar, Op)
        return self.operation(scalar)

    def operation(self, op: Op) -> tuple[str, int]:
        name, args = op.name, op.args
        if name in _BINARY:
            sign, level = _BINARY[name]
            # the right operand of - and / must bind more tightly, and * keeps the tree's order of rounding
            return f"{self.show(args[0], level)} {sign} {self.show(args[1], level + (name != 'add'))}", level
        if name in _COMPARE:
            return f"{self.show(args[0], _SUM)} {_COMPARE[name]} {self.show(args[1], _SUM)}", _LOOSE
        if name in ("and", "or"):
            return f"({self.show(args[0])}) {'&' if name == 'and' else '|'} ({self.show(args[1])})", _LOOSE
        if name == "neg":
            return f"-{self.show(args[0], _PRODUCT)}", _PRODUCT
        if name == "power":
            exponent = constant(args[1])
            assert exponent is not None
            return (
                (f"torch.square({self.show(args[0])})", _ATOM)
                if exponent == 2
                else (f"{self.show(args[0], _ATOM)}**{number_text(exponent)}", _POWER)
            )
        if name in ("max", "min"):
            return self.extremum(name, *args), _ATOM
        if name == "where":
            return f"torch.where({', '.join(self.show(argument) for argument in args)})", _ATOM
        if name == "softplus":
            # torch switches to the identity at 20, which costs float64 its last digits
            return f"F.softplus({self.show(args[0])}, threshold=40)", _ATOM
        if name == "logsumexp":
            return f"torch.logsumexp(torch.stack([{', '.join(map(self.full, args))}]), 0)", _ATOM
        if name in HELPERS:
            self.helpers.add(HELPERS[name])
            return f"{HELPERS[name]}({', '.join(self.full(a) if len(args) > 1 else self.show(a) for a in args)})", _ATOM
        if name in _CALLS:
            return f"{_CALLS[name]}({self.show(args[0])})", _ATOM
        raise InternalCompilerError("torch", f"no way to print {name}")

    def full(self, scalar: Scalar) -> str:
        """A tensor even where the value is a constant."""
        number = constant(scalar)
        if number is None:
            return self.show(scalar)
        return f"torch.zeros_like({self.tensor})" if number == 0 else f"torch.full_like({self.tensor}, {number_text(number)})"

    def extremum(self, name: str, left: Scalar, right: Scalar) -> str:
        if constant(right) is not None:
            left, right = right, left
        bound = constant(left)
        if bound is None:
            return self.leaky(name, left, right) or f"torch.{name}imum({self.show(left)}, {self.show(right)})"
        if isinstance(right, Op) and right.name in ("max", "min") and right.name != name:
            inner = [argument for argument in right.args if constant(argument) is None]
            other = [constant(argument) for argument in right.args if constant(argument) is not None]
            if len(inner) == 1 and other[0] is not None:
                low, high = (bound, other[0]) if name == "max" else (other[0], bound)
                if low <= high:
                    return f"torch.clamp({self.show(inner[0])}, {number_text(low)}, {number_text(high)})"
        if name == "max" and bound == 0:
            return f"torch.relu({self.show(right)})"
        side = "min" if name == "max" else "max"
        return f"torch.clamp({self.show(right)}, {side}={number_text(bound)})"

    def leaky(self, name: str, left: Scalar, right: Scalar) -> str | None:
        """max(c·u, u) with 0 < c < 1."""
        for scaled, plain in ((left, right), (right, left)):
            slope = _ratio(scaled, plain)
            if name == "max" and slope is not None and 0 < slope < 1:
                return f"F.leaky_relu({self.show(plain)}, {number_text(slope)})"
        return None


def _ratio(scaled: Scalar, plain: Scalar) -> float | None:
    if isinstance(scaled, Op) and scaled.name in ("mul", "div") and len(scaled.args) == 2:
        left, right = scaled.args
        if scaled.name == "div" and constant(right) is not None:
            inner = 1.0 if left == plain else _ratio(left, plain)
            return None if inner is None else inner / (constant(right) or 1.0)
        if scaled.name == "mul" and right == plain:
            return constant(left)
        if scaled.name == "mul" and left == plain:
            return constant(right)
    return None


def _has_truth(scalar: Scalar) -> bool:
    return isinstance(scalar, Op) and scalar.name in (*_COMPARE, "and", "or", "true")


def number_text(value: float) -> str:
    """A Python literal: whole numbers as such, others so that they read back exactly."""
    if value in (float("inf"), float("-inf")):
        return "torch.inf" if value > 0 else "-torch.inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


@dataclass(frozen=True)
class Printed:
    """Lines of code that compute a scalar, the last one a ``return``; and the helper functions that they call."""

    lines: tuple[str, ...]
    helpers: tuple[str, ...]


def print_function(scalar: Scalar, names: Mapping[Scalar, str] | tuple[tuple[Scalar, str], ...] = (), tensor: str = "e") -> Printed:
    """A function body for ``scalar``. ``names`` are subexpressions that get a line of their own where they occur.

    ``tensor`` is the variable that gives constants their shape.
    """
    printer = _Printer({}, tensor)
    lines = []
    present = list(walk(scalar))
    for part, name in dict(names).items():
        if part in present and part != scalar:
            lines.append(f"{name} = {printer.show(part)}")
            printer.names[part] = name
    lines.append(f"return {printer.full(scalar)}")
    return Printed(tuple(lines), tuple(sorted(printer.helpers)))


def print_expression(scalar: Scalar, tensor: str = "e") -> Printed:
    """``scalar`` as one expression, in ``lines[0]``."""
    printer = _Printer({}, tensor)
    text = printer.show(scalar)
    return Printed((text,), tuple(sorted(printer.helpers)))
