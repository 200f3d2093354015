"""The typed tree of scalar expressions that everything after the derivation works on: constants, variables, operations. sympy is gone here.

What it cannot say: loops, tensors, side effects. ``softmax`` and ``log_softmax`` are the only operations whose variable stands for the
vector of a node's energies; all others are elementwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Const:
    """An exact rational number."""

    value: Fraction


@dataclass(frozen=True)
class Var:
    """A variable: ``e`` (energy), ``x`` (state), ``y`` (latent value)."""

    name: str


@dataclass(frozen=True)
class Op:
    """An operation of ``ARITY`` on scalars."""

    name: str
    args: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        wanted = ARITY[self.name]
        if wanted is not None and wanted != len(self.args):
            raise ValueError(f"{self.name} takes {wanted} arguments, not {len(self.args)}")


Scalar = Const | Var | Op

# None: any number of arguments. Comparisons give truth values, which only where, and, or take.
ARITY: dict[str, int | None] = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "neg": 1, "power": 2, "sqrt": 1, "exp": 1, "log": 1, "abs": 1, "sign": 1,
    "sin": 1, "cos": 1, "tanh": 1, "erf": 1, "max": 2, "min": 2, "pi": 0,
    "lt": 2, "le": 2, "gt": 2, "ge": 2, "eq": 2, "and": 2, "or": 2, "true": 0, "where": 3, "infinity": 0,
    "sigmoid": 1, "log_sigmoid": 1, "softplus": 1, "norm_pdf": 1, "norm_cdf": 1, "log_norm_cdf": 1, "norm_ramp": 1,
    "logsumexp": None, "log_norm_interval": 2, "log_logistic_interval": 2, "softmax": 1, "log_softmax": 1,
}  # fmt: skip


def const(value: int | Fraction) -> Const:
    """The constant ``value``."""
    return Const(Fraction(value))


def variables(scalar: Scalar) -> tuple[str, ...]:
    """The names of the variables of ``scalar``, sorted."""
    return tuple(sorted({node.name for node in walk(scalar) if isinstance(node, Var)}))


def bind(scalar: Scalar, name: str, value: Scalar) -> Scalar:
    """``scalar`` with ``value`` in place of the variable ``name``."""
    if isinstance(scalar, Var):
        return value if scalar.name == name else scalar
    if isinstance(scalar, Op):
        return Op(scalar.name, tuple(bind(argument, name, value) for argument in scalar.args))
    return scalar


def walk(scalar: Scalar) -> Iterator[Scalar]:
    """Every node of the tree, children first, repeated ones repeatedly."""
    if isinstance(scalar, Op):
        for argument in scalar.args:
            yield from walk(argument)
    yield scalar


def dump(scalar: Scalar) -> str:
    """The tree as one line of text."""
    if isinstance(scalar, Const):
        return str(scalar.value)
    if isinstance(scalar, Var):
        return scalar.name
    return f"{scalar.name}({', '.join(dump(argument) for argument in scalar.args)})"
