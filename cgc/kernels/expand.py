"""Scalar trees in typed arithmetic: every operation of a derived formula, and draws from random words.

What has no such form raises Unsupported, and is computed by torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from cgc.formula.numeric import array
from cgc.formula.numeric import constant as number_of
from cgc.formula.scalar import TRUTHS, Const, Op, Over, Scalar, Var, hoisted, random, variables
from cgc.kernels import arithmetic, tables
from cgc.kernels.code import Value, both, constant, lifted, maximum, minimum, operation, power, select, word
from cgc.kernels.fit import horner
from cgc.kernels.polygamma import polygamma
from cgc.kernels.random import Source, below, fraction, philox, uniform, whole

MAX_ROWS = 16
"""Reductions over longer tables are loops."""

LARGEST = float(np.finfo(np.float32).max)
EXP_LIMIT = float(np.float32(math.log(LARGEST) * (1 - 2.0**-23)))


class Unsupported(Exception):
    """A formula that has no typed arithmetic."""


_UNARY: dict[str, Callable[[Value], Value]] = {
    "neg": lambda a: -a, "abs": lambda a: operation("abs", a), "sqrt": lambda a: operation("sqrt", a), "sign": arithmetic.sign,
    "exp": arithmetic.exp, "expm1": arithmetic.expm1, "log": arithmetic.log, "log1p": arithmetic.log1p, "tanh": arithmetic.tanh,
    "sigmoid": arithmetic.sigmoid, "logistic_pdf": arithmetic.logistic_pdf, "softplus": arithmetic.softplus,
    "log_sigmoid": arithmetic.log_sigmoid, "sinh": arithmetic.sinh, "cosh": arithmetic.cosh, "asinh": arithmetic.asinh,
    "sin": arithmetic.sin, "cos": arithmetic.cos, "erf": arithmetic.erf, "norm_pdf": arithmetic.norm_pdf,
    "norm_cdf": lambda a: arithmetic.norm_moment(0, a), "norm_ramp": lambda a: arithmetic.norm_moment(1, a),
    "log_norm_cdf": arithmetic.log_norm_cdf, "log_mills": arithmetic.log_mills, "log1mexp": arithmetic.log1mexp,
    "inverse_expm1": arithmetic.inverse_expm1, "inverse_sinh2": arithmetic.inverse_sinh2, "gumbel_ramp": arithmetic.gumbel_ramp,
    "gumbel_fall": arithmetic.gumbel_fall, "log_gumbel_upper": arithmetic.log_gumbel_upper, "floored": lambda a: maximum(a, 1e-18),
    "bounded_exp": lambda a: arithmetic.exp(minimum(a, EXP_LIMIT)),
}  # fmt: skip
_BINARY: dict[str, Callable[[Value, Value], Value]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
    "max": maximum, "min": minimum, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
    "gt": lambda a, b: b < a, "ge": lambda a, b: b <= a,
    "eq": lambda a, b: operation("eq", a, b), "and": both, "or": lambda a, b: operation("or", a, b),
}  # fmt: skip
_OF_ORDER: dict[str, Callable[[int, Value], Value]] = {
    "norm_moment": arithmetic.norm_moment, "norm_excess": arithmetic.norm_excess, "logistic_moment": arithmetic.logistic_moment,
    "exponential_fall": arithmetic.exponential_fall, "polygamma": polygamma,
}  # fmt: skip


class Words:
    """The random words of one element. The first decides whether it is drawn (``coin``), and, given that, the first thing that is drawn."""

    def __init__(self, sources: tuple[Value, ...], rate: Value) -> None:
        self.sources, self.rate = sources, rate
        self.used = 0

    @property
    def coin(self) -> Value:
        """Whether the element is drawn."""
        return uniform(self.sources[0]) < self.rate

    def below(self, p: Value) -> Value:
        """An event of probability p, given that the element is drawn: then the coin's number is uniform below the rate."""
        if self.used == 0:
            self.used = 1
            return uniform(self.sources[0]) < self.rate * p
        return uniform(self.take()) < p

    def noise(self) -> Source:
        """Where a noise comes from, given that the element is drawn."""
        if self.used == 0:
            self.used = 1
            return below(self.sources[0], self.rate)
        return whole(self.take())

    def picked(self, parts: list[Value], features: list[Value]) -> Value:
        """One of ``features``, with probability in proportion to its part."""
        total = _total(parts)
        collected = [_total(parts[: k + 1]) for k in range(len(parts) - 1)]
        if self.used == 0:
            self.used = 1
            u, scale = uniform(self.sources[0]) * total, self.rate
        else:
            u, scale = uniform(self.take()) * total, constant(1.0)
        chosen = features[-1]
        for reached, feature in zip(reversed(collected), reversed(features[:-1]), strict=True):
            chosen = select(u < scale * reached, feature, chosen)
        return chosen

    def take(self) -> Value:
        """A word of its own. Those beyond what an element has are made of its last three, as a counter."""
        self.used = max(self.used, 1) + 1
        beyond = self.used - 1 - len(self.sources)
        if beyond < 0:
            return self.sources[self.used - 1]
        a, b, c = self.sources[-3:]
        return philox((a, b, c, word(beyond // 4)), (word(0), word(0)))[beyond % 4]


def expand(scalar: Scalar, variables: dict[str, Value], words: Words | None = None) -> Value:
    """The value of a scalar tree where its variables are given. Raises Unsupported."""
    return _Expander(variables, words).go(scalar)


class _Expander:
    def __init__(self, variables: dict[str, Value], words: Words | None) -> None:
        self.variables, self.words = variables, words
        self.known: dict[Scalar, Value] = {}

    def go(self, node: Scalar) -> Value:
        if isinstance(node, Var):
            return self.variables[node.name]
        if random(node):
            return self.compute(node)
        if node not in self.known:
            self.known[node] = self.compute(node)
        return self.known[node]

    def compute(self, node: Scalar) -> Value:
        if isinstance(node, Over):
            return self.over(node)
        if isinstance(node, Const) or (isinstance(node, Op) and not _true_or_false(node)):
            known = None if random(node) else number_of(node)
            if known is not None:
                return constant(float(np.float32(known)))
        assert isinstance(node, Op)
        if node.name in _OF_ORDER:
            order = number_of(node.args[0])
            if order is None or not 0 <= order <= (3 if node.name == "norm_excess" else 6):
                raise Unsupported(node.name)
            return _OF_ORDER[node.name](int(order), self.go(node.args[1]))
        match node.name:
            case "true":
                return operation("le", constant(0.0), constant(0.0))
            case "where":
                return select(*(self.go(argument) for argument in node.args))
            case "power":
                return self.power(node)
            case "polynomial":
                return horner(self.go(node.args[0]), tuple(float(np.float32(number_of(c) or 0.0)) for c in node.args[1:]))
            case "bounded":
                return self.bounded(node)
            case "logsumexp" | "log1p_sum_exp":
                terms = [self.go(argument) for argument in node.args]
                return _log_sum(terms if node.name == "logsumexp" else [constant(0.0), *terms])
        arguments = [self.go(argument) for argument in node.args]
        if node.name in _UNARY:
            return _UNARY[node.name](*arguments)
        if node.name in _BINARY:
            return _BINARY[node.name](*arguments)
        raise Unsupported(node.name)

    def power(self, node: Op) -> Value:
        base, exponent = self.go(node.args[0]), number_of(node.args[1])
        if exponent is None:
            raise Unsupported("power")
        if 2 * exponent == int(2 * exponent) and abs(exponent) <= 16:
            whole = int(abs(exponent))
            result = power(base, whole, operation("sqrt", base) if whole != abs(exponent) else 1.0)
            return 1.0 / result if exponent < 0 else result
        return arithmetic.exp(float(np.float32(exponent)) * arithmetic.log(base))

    def bounded(self, node: Op) -> Value:
        x = minimum(maximum(self.go(node.args[0]), -LARGEST), LARGEST)
        for exponent in node.args[1:]:
            x = select(self.go(exponent) > float(np.float32(math.log(LARGEST))), arithmetic.with_sign(constant(LARGEST), x), x)
        return x

    def over(self, over: Over) -> Value:
        inner, outside = hoisted(over)
        given = {name: self.go(part) for name, part in outside}
        if len(over.columns[0][1]) > MAX_ROWS or over.name == "inverse":
            return self.looped(inner, given)
        table: list[tuple[Value, ...]] = []
        for row in zip(*(column for _, column in inner.columns), strict=True):
            cells = {name: self.go(cell) for (name, _), cell in zip(inner.columns, row, strict=True)}
            within = _Expander({**self.variables, **given, **cells}, None)
            table.append(tuple(within.go(argument) for argument in inner.args))
        return self.reduced(over.name, table)

    def looped(self, over: Over, given: dict[str, Value]) -> Value:
        """A reduction over many rows."""
        if not variables(over) and not random(over):
            return constant(float(np.float32(array(over))))
        share = None
        if over.name in ("pick", "inverse"):
            if self.words is None or (over.name == "inverse" and over.args[1] not in [Var(name) for name, _ in over.columns]):
                raise Unsupported(over.name)
            share = fraction(self.words.noise())
        return tables.reduced(over, {**self.variables, **given}, lambda part, leaves: _Expander(dict(leaves), None).go(part), share)

    def reduced(self, name: str, table: list[tuple[Value, ...]]) -> Value:
        weights = [row[0] for row in table]
        if name == "sum":
            return _total(weights)
        if name == "logsumexp":
            return _log_sum(weights)
        features, others = [row[1] for row in table], [row[-1] for row in table]
        top, heaviest, other = weights[0], features[0], others[0]
        for weight, feature, second in zip(weights[1:], features[1:], others[1:], strict=True):
            heaviest, other = select(weight > top, feature, heaviest), select(weight > top, second, other)
            top = maximum(top, weight)
        if name == "heaviest":
            return heaviest
        parts = [arithmetic.exp(weight - top) for weight in weights]
        total = _total(parts)
        if name == "pick":
            if self.words is None:
                raise Unsupported(name)
            return self.words.picked(parts, features)
        away = [feature - heaviest for feature in features]
        mean = _total([part * a for part, a in zip(parts, away, strict=True)]) / total
        if name == "mean":
            return heaviest + mean
        # of a variance both are the same
        beside = [feature - other for feature in others]
        product = _total([part * a * b for part, a, b in zip(parts, away, beside, strict=True)]) / total
        return product - mean * (_total([part * b for part, b in zip(parts, beside, strict=True)]) / total)


def _true_or_false(op: Op) -> bool:
    return op.name in TRUTHS


def _total(terms: list[Value]) -> Value:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _log_sum(terms: list[Value]) -> Value:
    top = terms[0]
    for term in terms[1:]:
        top = maximum(top, term)
    return top + arithmetic.log(_total([arithmetic.exp(lifted(term) - top) for term in terms]))
