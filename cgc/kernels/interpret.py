"""The value of typed arithmetic on arrays: what every target must compute, operation by operation, in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cgc.kernels.code import FUNCTIONS, Pass, Value, in_order

Array = np.ndarray[Any, Any]

_U = np.uint32


def _high(a: Array, b: Array) -> Array:
    return ((a.astype(np.uint64) * b.astype(np.uint64)) >> np.uint64(32)).astype(_U)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "abs": np.abs, "sqrt": np.sqrt,
    "max": lambda a, b: np.where(b > a, b, a), "min": lambda a, b: np.where(b < a, b, a), "lt": np.less, "le": np.less_equal,
    "eq": np.equal, "and": np.logical_and, "or": np.logical_or, "select": np.where,
    "bits": lambda a: np.asarray(a, np.float32).view(_U), "from_bits": lambda a: np.asarray(a, _U).view(np.float32),
    "to_float": lambda a: a.astype(np.int32).astype(np.float32), "wadd": np.add, "wsub": np.subtract, "wmul": np.multiply, "whigh": _high,
    "wxor": np.bitwise_xor, "wand": np.bitwise_and, "wor": np.bitwise_or, "wshl": lambda a, n: a << _U(n), "wshr": lambda a, n: a >> _U(n),
}  # fmt: skip


def evaluate(results: tuple[Value, ...], values: Mapping[str, Array]) -> tuple[Array, ...]:
    """The values of ``results`` where arguments are arrays of float32, and given words arrays of uint32."""
    known: dict[Value, Any] = {}
    with np.errstate(all="ignore"):
        for value in in_order(*results):
            match value.name:
                case "constant":
                    known[value] = np.asarray(np.float32(str(value.args[0])))
                case "number":
                    known[value] = np.asarray(_U(str(value.args[0])))
                case "argument":
                    known[value] = np.asarray(values[str(value.args[0])], np.float32)
                case "given":
                    known[value] = np.asarray(values[str(value.args[0])], _U)
                case "call":
                    body = FUNCTIONS[str(value.args[0])]
                    inner = {str(a.args[0]): known[v] for a, v in zip(body.arguments, value.inputs, strict=True)}
                    for one in body.passes:
                        inner |= _collected(one, inner)
                    (known[value],) = evaluate((body.result,), inner)
                case _:
                    known[value] = _OPERATIONS[value.name](*(known[a] if isinstance(a, Value) else a for a in value.args))
    return tuple(known[result] for result in results)


def _collected(one: Pass, given: Mapping[str, Array]) -> dict[str, Array]:
    names = [str(leaf.args[0]) for leaf, _, _ in one.collected]
    found = {name: np.asarray(before, np.float32) for name, (_, before, _) in zip(names, one.collected, strict=True)}
    for row in range(one.rows):
        here = {str(leaf.args[0]): np.asarray(numbers[row], np.float32) for leaf, numbers in one.columns}
        found = dict(zip(names, evaluate(one.results, {**given, **here, **found}), strict=True))
    return found
