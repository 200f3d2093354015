"""The derivative of every operation by each of its arguments, written once for any kind of number: mpmath's (``dual.py``) or trees
(``tangent.py``).

A rule gets ``f``, which applies operations by their names, the operation's value and its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Algebra(Protocol):
    """How operations are applied to one kind of number."""

    def __call__(self, name: str, *arguments: Any) -> Any:
        """The operation ``name`` of ``scalar.ARITY``."""

    def integer(self, number: Any) -> int:
        """What a constant argument is."""

    def hazard(self, x: Any) -> Any:
        """φ(x)/Φ(x), to its last digits on both sides."""


Rule = Callable[..., tuple[Any, ...]]


def _interval(density: str) -> Rule:
    return lambda f, y, a, b: (-f(density, a) * f("exp", -y), f(density, b) * f("exp", -y))


def _moment(name: str, distribution: str) -> Rule:
    def partials(f: Algebra, y: Any, k: Any, z: Any) -> tuple[Any, ...]:
        order = f.integer(k)
        return 0, f(distribution, z) if order == 1 else order * f(name, k - 1, z)

    return partials


PARTIALS: dict[str, Rule] = {
    "add": lambda f, y, a, b: (1, 1), "sub": lambda f, y, a, b: (1, -1), "mul": lambda f, y, a, b: (b, a),
    "div": lambda f, y, a, b: (1 / b, -y / b), "neg": lambda f, y, a: (-1,),
    "power": lambda f, y, a, b: (b * f("power", a, b - 1), 0), "sqrt": lambda f, y, a: (1 / (2 * y),),
    "exp": lambda f, y, a: (y,), "bounded_exp": lambda f, y, a: (y,), "bounded": lambda f, y, a, *k: (1, *(0 for _ in k)),
    "floored": lambda f, y, a: (1,), "log1mexp": lambda f, y, a: (f("inverse_expm1", a),),
    "log_mills": lambda f, y, a: (f("norm_excess", 1, a),), "log": lambda f, y, a: (1 / a,), "abs": lambda f, y, a: (f("sign", a),),
    "sign": lambda f, y, a: (0,), "round": lambda f, y, a: (0,), "sin": lambda f, y, a: (f("cos", a),),
    "cos": lambda f, y, a: (-f("sin", a),),
    "tanh": lambda f, y, a: (4 * f("logistic_pdf", 2 * a),), "erf": lambda f, y, a: (2 / f("sqrt", f("pi")) * f("exp", -a * a),),
    "expm1": lambda f, y, a: (f("exp", a),), "log1p": lambda f, y, a: (1 / (1 + a),), "sinh": lambda f, y, a: (f("cosh", a),),
    "cosh": lambda f, y, a: (f("sinh", a),), "asinh": lambda f, y, a: (1 / f("sqrt", 1 + a * a),),
    "logistic_pdf": lambda f, y, a: (-y * f("tanh", a / 2),), "sigmoid": lambda f, y, a: (y * f("sigmoid", -a),),
    "log_sigmoid": lambda f, y, a: (f("sigmoid", -a),), "softplus": lambda f, y, a: (f("sigmoid", a),),
    "norm_pdf": lambda f, y, a: (-a * y,), "norm_cdf": lambda f, y, a: (f("norm_pdf", a),),
    "log_norm_cdf": lambda f, y, a: (f.hazard(a),), "norm_ramp": lambda f, y, a: (f("norm_cdf", a),),
    "norm_moment": _moment("norm_moment", "norm_cdf"), "logistic_moment": _moment("logistic_moment", "sigmoid"),
    "norm_excess": lambda f, y, k, a: (0, f("norm_excess", k + 1, a)),
    "logsumexp": lambda f, y, *a: tuple(f("exp", x - y) for x in a), "log1p_sum_exp": lambda f, y, *a: tuple(f("exp", x - y) for x in a),
    "log_norm_interval": _interval("norm_pdf"), "log_logistic_interval": _interval("logistic_pdf"),
    "inverse_expm1": lambda f, y, a: (-f("inverse_sinh2", a),),
    "inverse_sinh2": lambda f, y, a: (-y * (1 + 2 * f("inverse_expm1", f("abs", a))) * f("sign", a),),
    "gumbel_ramp": lambda f, y, a: (-f("expm1", -f("exp", a)),), "gumbel_fall": lambda f, y, a: (-f("exp", -f("exp", a)),),
    "log_gumbel_upper": lambda f, y, a: (-f("exp", -a) * f("inverse_expm1", f("exp", -a)),),
    "exponential_fall": lambda f, y, k, a: (0, k * f("exponential_fall", k - 1, a) if f.integer(k) > 0 else f("exp", -a)),
    "lgamma": lambda f, y, a: (f("polygamma", 0, a),), "polygamma": lambda f, y, n, a: (0, f("polygamma", n + 1, a)),
    "polynomial": lambda f, y, x, *c: (f("polynomial", x, *(k * a for k, a in enumerate(c) if k)), *(0 for _ in c)),
}  # fmt: skip
"""``max``, ``min`` and ``where`` choose between derivatives, and are no matter of rules."""
