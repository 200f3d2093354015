"""Scalar trees as PyTorch expressions: one line, with names for what is used more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cgc.formula.numeric import constant
from cgc.formula.scalar import TRUTHS, Const, Op, Over, Scalar, Var, hoisted, random, walk
from cgc.source.diagnostics import InternalCompilerError
from cgc.targets.torch.code import WIDTH, wrapped

# Python's precedence: an operand is bracketed when it binds more loosely than its place needs
_LOOSE, _SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(6)

_BINARY = {"add": ("+", _SUM), "sub": ("-", _SUM), "mul": ("*", _PRODUCT), "div": ("/", _PRODUCT)}
_COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "=="}
_CALLS = {
    "exp": "torch.exp", "log": "torch.log", "sqrt": "torch.sqrt", "abs": "torch.abs", "sign": "torch.sign", "sin": "torch.sin",
    "cos": "torch.cos", "erf": "torch.erf", "log_sigmoid": "F.logsigmoid",
    "expm1": "torch.expm1", "log1p": "torch.log1p", "sinh": "torch.sinh", "cosh": "torch.cosh", "asinh": "torch.asinh",
    "lgamma": "torch.lgamma", "round": "torch.round",
}  # fmt: skip
# printed as calls of functions that the emitted module defines: the function, and the passage (templates/torch/parts) that holds it
HELPERS = {
    "tanh": ("tanh", "tanh"), "sigmoid": ("sigmoid", "sigmoid"), "norm_cdf": ("normal_cdf", "normal_cdf"),
    "norm_pdf": ("normal_pdf", "normal_pdf"),
    "norm_ramp": ("normal_ramp", "normal_ramp"), "log_norm_interval": ("log_normal_interval", "log_normal_interval"),
    "log_logistic_interval": ("log_logistic_interval", "log_logistic_interval"), "logistic_pdf": ("logistic_pdf", "logistic_pdf"),
    "norm_moment": ("normal_moment", "normal_moment"), "norm_excess": ("normal_excess", "normal_excess"),
    "logistic_moment": ("logistic_moment", "logistic_moment"), "inverse_expm1": ("inverse_expm1", "inverse_expm1"),
    "inverse_sinh2": ("inverse_sinh2", "inverse_expm1"), "gumbel_ramp": ("gumbel_ramp", "gumbel"), "gumbel_fall": ("gumbel_fall", "gumbel"),
    "log_gumbel_upper": ("log_gumbel_upper", "gumbel"), "exponential_fall": ("exponential_fall", "exponential_fall"),
    "log1p_sum_exp": ("log1p_sum_exp", "log1p_sum_exp"), "bounded": ("bounded", "bounded"), "bounded_exp": ("bounded_exp", "bounded_exp"),
    "log_norm_cdf": ("log_normal_cdf", "log_normal_cdf"), "log1mexp": ("log1mexp", "log1mexp"), "log_mills": ("log_mills", "log_mills"),
    "floored": ("floored", "floored"), "polynomial": ("polynomial", "polynomial"), "draw_truncated_normal": ("truncated_normal",
    "truncated_normal"),
    "draw_tilted_uniform": ("tilted_uniform", "tilted_uniform"),
}  # fmt: skip
_WHOLE = ("norm_moment", "norm_excess", "logistic_moment", "exponential_fall")
_DRAWS = {
    "draw_normal": "torch.randn_like({e})", "draw_logistic": "torch.logit(torch.rand_like({e}), eps=torch.finfo({e}.dtype).eps / 4)",
    "draw_uniform": "(2 * torch.rand_like({e}) - 1)", "draw_exponential": "torch.empty_like({e}).exponential_()",
    "draw_gumbel": "-torch.log(torch.empty_like({e}).exponential_())",
    "draw_laplace": "torch.empty_like({e}).exponential_() * torch.sign(torch.rand_like({e}) - 0.5)",
}  # fmt: skip


@dataclass
class _Printer:
    """``names`` are parts that have a name already; ``lines`` come before the expression that is written; ``tables`` are columns.
    ``plain``: torch's own functions do where their derivative is of no interest. ``whole`` is all that is printed."""

    names: dict[Scalar, str]
    tensor: str
    helpers: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    plain: bool = False
    tables: dict[tuple[Scalar, ...], str] = field(default_factory=dict)
    whole: Scalar | None = None

    def show(self, scalar: Scalar, place: int = _LOOSE) -> str:
        text, binding = self.write(scalar)
        return f"({text})" if binding < place else text

    def write(self, scalar: Scalar) -> tuple[str, int]:
        if scalar in self.names:
            return self.names[scalar], _ATOM
        if isinstance(scalar, Over):
            return self.over(scalar)
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
            if exponent is None:
                return f"{self.show(args[0], _ATOM)} ** {self.show(args[1], _ATOM)}", _POWER
            return (
                (f"torch.square({self.show(args[0])})", _ATOM)
                if exponent == 2
                else (f"{self.show(args[0], _ATOM)}**{number_text(exponent)}", _POWER)
            )
        if name in ("max", "min"):
            return self.extremum(name, args[0], args[1], relu=self.plain or op == self.whole), _ATOM
        if name == "where":
            condition, taken, other = args
            # of two numbers torch would make a tensor of the default dtype
            first = self.full(taken) if constant(other) is not None else self.show(taken)
            return f"torch.where({self.show(condition)}, {first}, {self.show(other)})", _ATOM
        if name == "softplus":
            # torch switches to the identity at 20, which costs float64 its last digits
            return f"F.softplus({self.show(args[0])}, threshold=40)", _ATOM
        if name == "logsumexp":
            return f"torch.logsumexp(torch.stack([{', '.join(map(self.full, args))}]), 0)", _ATOM
        if name in _DRAWS:
            return _DRAWS[name].format(e=self.tensor), _PRODUCT if "*" in _DRAWS[name] or _DRAWS[name].startswith("-") else _ATOM
        if name.startswith("draw_") and name not in HELPERS:
            return self.drawn(name, [self.full(argument) for argument in args]), _ATOM
        if name == "polygamma":
            order = int(constant(args[0]) or 0)
            return (
                f"torch.special.digamma({self.show(args[1])})" if order == 0 else f"torch.special.polygamma({order}, {self.show(args[1])})"
            ), _ATOM
        if self.plain and name in ("tanh", "sigmoid"):
            return f"torch.{name}({self.show(args[0])})", _ATOM
        if name in HELPERS:
            function, part = HELPERS[name]
            self.helpers.add(part)
            if name == "bounded":
                return f"bounded({', '.join([self.show(args[0]), *(self.full(a) for a in args[1:])])})", _ATOM
            if name in _WHOLE:
                shown = [number_text(constant(args[0]) or 0.0), self.full(args[1])]
            elif name == "polynomial":
                shown = [self.full(args[0]), *(number_text(constant(c) or 0.0) for c in args[1:])]
            else:
                shown = [self.full(a) if len(args) > 1 else self.show(a) for a in args]
            return f"{function}({', '.join(shown)})", _ATOM
        if name in _CALLS:
            return f"{_CALLS[name]}({self.show(args[0])})", _ATOM
        raise InternalCompilerError("torch", f"no way to print {name}")

    def drawn(self, name: str, shown: list[str]) -> str:
        """A draw with parameters."""
        match name:
            case "draw_bernoulli":
                return f"torch.bernoulli({shown[0]})"
            case "draw_poisson":
                return f"torch.poisson(torch.clamp({shown[0]}, max=1e9))"
            case "draw_binomial":
                return f"torch.binomial({shown[0]}, {shown[1]})"
            case "draw_gamma":
                return f"torch.distributions.Gamma({shown[0]}, 1.0, validate_args=False).rsample()"
            case "draw_beta":
                return f"torch.distributions.Beta({', '.join(shown)}, validate_args=False).rsample()"
        raise InternalCompilerError("torch", f"no way to print {name}")

    def table(self, rows: tuple[Scalar, ...], wanted: str) -> str:
        """The attribute that holds a column."""
        if rows not in self.tables:
            taken = set(self.tables.values())
            self.tables[rows] = next(name for name in (wanted, *(f"{wanted}_{k}" for k in range(2, 99))) if name not in taken)
        return self.tables[rows]

    def line(self, wanted: str, text: str) -> str:
        """A line of its own for an expression; its name."""
        taken = {line.split(" = ")[0] for line in self.lines} | set(self.names.values())
        name = next(n for n in (wanted, *(f"{wanted}_{k}" for k in range(2, 99))) if n not in taken)
        self.lines.append(f"{name} = {text}")
        return name

    def over(self, scalar: Over) -> tuple[str, int]:
        """A reduction over the rows of a table: the rows are a last axis."""
        inner, outside = hoisted(scalar)
        names: dict[Scalar, str] = {}
        for name, part in outside:
            names[Var(name)] = self.line("wide", f"{self.show(part, _ATOM)}.unsqueeze(-1)")
        columns = {name for name, _ in inner.columns}
        for free in sorted({node.name for argument in inner.args for node in walk(argument) if isinstance(node, Var)} - columns):
            if Var(free) not in names:
                base = self.names.get(Var(free), free)
                names[Var(free)] = self.line(f"{free}_rows", f"{base}.unsqueeze(-1)")
        for name, rows in inner.columns:
            if any(node == Var(name) for argument in inner.args for node in walk(argument)):
                attribute = self.table(rows, name)
                names[Var(name)] = self.line(f"{name}_column", f"{self.tensor}.new_tensor(self.{attribute})")
        saved, self.names = self.names, {**self.names, **names}
        first, *rest = (self.show(argument) for argument in inner.args)
        plain = bool(rest) and isinstance(inner.args[1], Var)
        self.names = saved
        if inner.name == "sum":
            return f"({first}).sum(-1)", _ATOM
        if inner.name == "logsumexp":
            return f"torch.logsumexp({first}, -1)", _ATOM
        weights = self.line("log_weights", first)
        shown = rest[0] if plain else self.line("feature", rest[0])
        match inner.name:
            case "mean" | "variance":
                p = self.line("p", f"torch.softmax({weights}, -1)")
                # from the heaviest row: nothing cancels where it has nearly all of the weight
                top = self.line("top", f"({shown}).expand_as({weights}).gather(-1, {weights}.argmax(-1, keepdim=True))")
                away = self.line("away", f"{shown} - {top}")
                mean = f"({p} * {away}).sum(-1)"
                if inner.name == "mean":
                    return f"{top}.squeeze(-1) + {mean}", _SUM
                return f"({p} * {away}.square()).sum(-1) - {mean}.square()", _SUM
            case "pick":
                return f"{shown}[torch.distributions.Categorical(logits={weights}).sample()]", _ATOM
            case "heaviest":
                return f"{shown}[{weights}.argmax(-1)]", _ATOM
            case "inverse":
                self.helpers.add("inverse_table")
                return f"inverse_table({shown}, {weights})", _ATOM
        raise InternalCompilerError("torch", f"no way to print {inner.name}")

    def full(self, scalar: Scalar) -> str:
        """A tensor even where the value is a constant."""
        number = constant(scalar)
        if number is None:
            return self.show(scalar)
        named = {0.0: "torch.zeros_like({})", 1.0: "torch.ones_like({})"}
        return named[number].format(self.tensor) if number in named else f"torch.full_like({self.tensor}, {number_text(number)})"

    def extremum(self, name: str, left: Scalar, right: Scalar, relu: bool) -> str:
        """A bound passes the derivative of what lies on it, so that cases that meet there agree; a rectifier on its own is torch's."""
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
        if name == "max" and bound == 0 and relu:
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
    return isinstance(scalar, Op) and scalar.name in TRUTHS


def number_text(value: float) -> str:
    """A Python literal: whole numbers as such, others so that they read back exactly."""
    if value in (float("inf"), float("-inf")):
        return "torch.inf" if value > 0 else "-torch.inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def column(name: str, numbers: Sequence[float]) -> list[str]:
    """A list of numbers as a class attribute."""
    shown = ", ".join(number_text(number) for number in numbers)
    if len(shown) + len(name) + 10 <= WIDTH:
        return [f"{name} = [{shown}]"]
    return [f"{name} = [", *(f"    {line}" for line in wrapped(shown + ",", WIDTH - 10)), "]  # fmt: skip"]


@dataclass(frozen=True)
class Printed:
    """Lines of code that compute a scalar, the last one a ``return``; the passages that they need, and the columns
    of tables that they read as attributes. ``wide``: more than one rounding, so that half precision has to be widened."""

    lines: tuple[str, ...]
    helpers: tuple[str, ...]
    tables: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    wide: bool = False


def print_function(
    scalar: Scalar,
    names: Mapping[Scalar, str] | tuple[tuple[Scalar, str], ...] = (),
    tensor: str = "e",
    tables: dict[tuple[Scalar, ...], str] | None = None,
    plain: bool = False,
) -> Printed:
    """A function body for ``scalar``. ``names`` are subexpressions that get a line of their own where they occur; so do those that
    occur repeatedly. ``tensor`` is the variable that gives constants their shape. ``plain``: its derivative is of no interest.
    """
    printer = _Printer({}, tensor, plain=plain, tables={} if tables is None else tables, whole=scalar)
    counts = Counter(walk(scalar))
    for part, name in dict(names).items():
        if counts[part] and part != scalar:
            printer.names[part] = printer.line(name, printer.show(part))
    for part in _repeated(scalar, counts):
        if part not in printer.names:
            printer.names[part] = printer.line("u", printer.show(part))
    last = f"return {printer.full(scalar)}"
    return Printed((*printer.lines, last), tuple(sorted(printer.helpers)), _columns(printer), _rounds(scalar) > 1)


def _columns(printer: _Printer) -> tuple[tuple[str, tuple[Scalar, ...]], ...]:
    return tuple((name, rows) for rows, name in printer.tables.items())


_SMALLEST = 4


def _repeated(scalar: Scalar, counts: Mapping[Scalar, int]) -> list[Scalar]:
    """Parts that are written down once and used repeatedly, inner ones first: not those inside a larger one alone, nor conditions."""
    found = []
    for part in dict.fromkeys(walk(scalar)):
        if not isinstance(part, Op) or part == scalar or counts[part] < 2 or _size(part) < _SMALLEST or _has_truth(part) or random(part):
            continue
        if constant(part) is not None or _columns_inside(scalar, part):
            continue
        found.append(part)
    # what occurs only where a larger repeated part occurs needs no name of its own
    inside: Counter[Scalar] = Counter()
    for part in found:
        for node in walk(part):
            if node != part:
                inside[node] += counts[part]
    return [part for part in found if counts[part] > inside[part] or inside[part] == 0]


def _columns_inside(scalar: Scalar, part: Scalar) -> bool:
    """Whether a part stands inside a reduction, where names of the outside do not reach."""
    return any(isinstance(node, Over) and any(inner == part for argument in node.args for inner in walk(argument)) for node in walk(scalar))


def _size(scalar: Scalar) -> int:
    return sum(1 for _ in walk(scalar))


_EXACT = {"max", "min", "neg", "abs", "sign", "where", *TRUTHS, "infinity", "round"}
# functions of the emitted module that call one function of torch
_ONCE = {"tanh", "sigmoid"}


def _rounds(scalar: Scalar) -> int:
    """How many operations round; functions and tables of the emitted module count as several."""
    total = 0
    for node in walk(scalar):
        if isinstance(node, Over) or (isinstance(node, Op) and node.name in HELPERS and node.name not in _ONCE):
            total += 2
        elif isinstance(node, Op) and node.name not in _EXACT and constant(node) is None:
            total += 1
    return total
