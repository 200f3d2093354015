"""The typed tree of scalar expressions that everything after the derivation works on: constants, variables, operations. sympy is gone here.

What it cannot say: tensors, side effects, loops other than a reduction over the rows of a table (``Over``). ``softmax`` and
``log_softmax`` are the only operations whose variable stands for the vector of a node's energies; all others are elementwise.
The operations ``draw_…`` are random; only a sampling rule has them.
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
        # trees are looked up often: a hash that walked over the whole tree each time would cost more than all else
        object.__setattr__(self, "_hash", hash((self.name, self.args)))

    def __hash__(self) -> int:
        found: int = self.__dict__["_hash"]
        return found


@dataclass(frozen=True)
class Over:
    """A reduction over the rows of a table, elementwise in everything else.

    ``columns`` are variables with one constant per row, which ``args`` may read. With p = softmax(w):

    - ``sum``: Σ a. ``logsumexp``: log Σ exp(w). ``mean``: Σ p a. ``variance``: Σ p (a - mean)², from the heaviest row, so that no digits
      cancel. ``covariance``: Σ p (a - mean of a)(b - mean of b), likewise; only derivatives have it.
    - ``heaviest``: a, at the row with the largest w. ``pick``: a, at a row drawn with probability p. ``inverse``: the point at which a
      distribution with density p between points a has collected a uniform share (for continuous nodes that are drawn from a table).

    Arguments are (a,) for ``sum``, (w,) for ``logsumexp``, (w, a, b) for ``covariance``, (w, a) for all others.
    """

    name: str
    columns: tuple[tuple[str, tuple[Scalar, ...]], ...]
    args: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.name, self.columns, self.args)))

    def __hash__(self) -> int:
        found: int = self.__dict__["_hash"]
        return found


Scalar = Const | Var | Op | Over

# None: any number of arguments. Truth values are taken by where, and, or alone.
ARITY: dict[str, int | None] = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "neg": 1, "power": 2, "sqrt": 1, "exp": 1, "log": 1, "abs": 1, "sign": 1,
    "sin": 1, "cos": 1, "tanh": 1, "erf": 1, "max": 2, "min": 2, "pi": 0, "euler": 0, "expm1": 1, "log1p": 1, "sinh": 1, "cosh": 1,
    "asinh": 1, "polynomial": None, "round": 1, "bounded": None, "bounded_exp": 1, "floored": 1, "log1mexp": 1,
    "log_mills": 1,
    "lt": 2, "le": 2, "gt": 2, "ge": 2, "eq": 2, "and": 2, "or": 2, "true": 0, "where": 3, "infinity": 0,
    "sigmoid": 1, "logistic_pdf": 1, "log_sigmoid": 1, "softplus": 1, "norm_pdf": 1, "norm_cdf": 1, "log_norm_cdf": 1, "norm_ramp": 1,
    "logsumexp": None, "log_norm_interval": 2, "log_logistic_interval": 2, "log1p_sum_exp": None, "softmax": 1, "log_softmax": 1,
    "norm_moment": 2, "logistic_moment": 2, "norm_excess": 2, "inverse_expm1": 1, "inverse_sinh2": 1, "gumbel_ramp": 1, "gumbel_fall": 1,
    "log_gumbel_upper": 1, "exponential_fall": 2, "lgamma": 1, "polygamma": 2,
    "draw_normal": 0, "draw_logistic": 0, "draw_laplace": 0, "draw_uniform": 0, "draw_gumbel": 0, "draw_exponential": 0,
    "draw_bernoulli": 1, "draw_gamma": 1, "draw_beta": 2, "draw_poisson": 1, "draw_binomial": 2, "draw_truncated_normal": 1,
    "draw_tilted_uniform": 1,
}  # fmt: skip
TRUTHS = ("lt", "le", "gt", "ge", "eq", "and", "or", "true")
"""Operations that are true or false."""


def const(value: int | Fraction | float) -> Const:
    """The constant ``value``; a float is what it is written as, and reads back exactly."""
    return Const(Fraction(repr(value)) if isinstance(value, float) else Fraction(value))


def variables(scalar: Scalar) -> tuple[str, ...]:
    """The names of the variables of ``scalar``, sorted; the columns of tables are none."""
    return tuple(sorted(_free(scalar)))


def _free(scalar: Scalar) -> set[str]:
    if isinstance(scalar, Var):
        return {scalar.name}
    if isinstance(scalar, Const):
        return set()
    inner = set().union(*(_free(argument) for argument in scalar.args))
    return inner - {name for name, _ in scalar.columns} if isinstance(scalar, Over) else inner


def random(scalar: Scalar) -> bool:
    """Whether evaluating it draws."""
    return any(
        (isinstance(node, Op) and node.name.startswith("draw_")) or (isinstance(node, Over) and node.name in ("pick", "inverse"))
        for node in walk(scalar)
    )


def bind(scalar: Scalar, name: str, value: Scalar) -> Scalar:
    """``scalar`` with ``value`` in place of the variable ``name``."""
    if isinstance(scalar, Var):
        return value if scalar.name == name else scalar
    if isinstance(scalar, Op):
        return Op(scalar.name, tuple(bind(argument, name, value) for argument in scalar.args))
    if isinstance(scalar, Over):
        return Over(scalar.name, scalar.columns, tuple(bind(argument, name, value) for argument in scalar.args))
    return scalar


def shared(scalar: Scalar) -> Scalar:
    """The same tree, equal parts being one object, so that a computation can remember their values."""
    known: dict[Scalar, Scalar] = {}

    def go(node: Scalar) -> Scalar:
        if isinstance(node, Op):
            node = Op(node.name, tuple(go(argument) for argument in node.args))
        elif isinstance(node, Over):
            node = Over(node.name, node.columns, tuple(go(argument) for argument in node.args))
        return known.setdefault(node, node)

    return go(scalar)


def hoisted(scalar: Over) -> tuple[Over, tuple[tuple[str, Scalar], ...]]:
    """The reduction with every largest part that reads no column as a variable of its own, and what these variables are."""
    columns = {name for name, _ in scalar.columns}
    outside: dict[Scalar, str] = {}

    def go(node: Scalar) -> Scalar:
        if isinstance(node, (Const, Var)):
            return node
        if not _free(node) & columns:
            if not _free(node):
                return node
            return Var(outside.setdefault(node, f"outside_{len(outside)}"))
        if isinstance(node, Op):
            return Op(node.name, tuple(go(argument) for argument in node.args))
        return Over(node.name, node.columns, tuple(go(argument) for argument in node.args))

    arguments = tuple(go(argument) for argument in scalar.args)
    return Over(scalar.name, scalar.columns, arguments), tuple((name, node) for node, name in outside.items())


def walk(scalar: Scalar) -> Iterator[Scalar]:
    """Every node of the tree, children first, repeated ones repeatedly."""
    if isinstance(scalar, (Op, Over)):
        for argument in scalar.args:
            yield from walk(argument)
    yield scalar


def dump(scalar: Scalar) -> str:
    """The tree as one line of text."""
    if isinstance(scalar, Const):
        return str(scalar.value)
    if isinstance(scalar, Var):
        return scalar.name
    table = f"[{', '.join(f'{name}: {len(rows)} rows' for name, rows in scalar.columns)}]" if isinstance(scalar, Over) else ""
    return f"{scalar.name}{table}({', '.join(dump(argument) for argument in scalar.args)})"
