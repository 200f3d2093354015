"""Reductions over tables of many rows, as functions that pass over the rows two or three times: first for the largest weight, so that no
exponential overflows, then for sums, and where a row is drawn, for the one at which these reach a share of the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

import numpy as np

from cgc.formula.numeric import array
from cgc.formula.numeric import constant as number_of
from cgc.formula.scalar import TRUTHS, Const, Op, Over, Scalar, Var, variables
from cgc.kernels import arithmetic
from cgc.kernels.code import FUNCTIONS, Function, Pass, Value, argument, both, in_order, maximum, minimum, operation, select

Column = tuple[float, ...]

_LOWEST = -float(np.finfo(np.float32).max)
_TOP, _HEAVIEST, _OTHER = (argument(name) for name in ("top", "heaviest", "other"))
_TOTAL, _SUM, _SECOND, _PRODUCT = (argument(name) for name in ("total", "sum", "second", "product"))
_REACHED, _CHOSEN, _UPPER, _START, _SIZE = (argument(name) for name in ("reached", "chosen", "upper", "start", "size"))
_SHARE = argument("share")

RARE = 1e-9
"""Rows with less than this of the weight are not drawn: to sums in float32 they are nothing."""


def reduced(over: Over, given: Mapping[str, Value], expand: Callable[[Scalar, Mapping[str, Value]], Value], share: Value | None) -> Value:
    """The value of a reduction whose variables are ``given``; ``expand`` writes its arguments. What is drawn has collected that ``share``
    of all weights before it."""
    tree, columns = _columns(over)
    leaves = {name: argument(name) for name in (*given, *columns)}
    row = [expand(part, leaves) for part in tree.args]
    passes, result = _passes(over.name, row, columns)
    known = {argument(name): numbers for name, numbers in columns.items()}
    loops = [_pass(some, known) for some in passes]
    read = _read([*(after for one in loops for after in one.results), result])
    values = {argument(name): value for name, value in given.items()} | ({} if share is None else {_SHARE: share})
    arguments = tuple(leaf for leaf in values if leaf in read)
    rows = loops[0].rows
    body = Function("", arguments, result, f"{_DOCS[over.name]} over {rows} rows.", tuple(loops))
    name = f"{over.name}_{rows}_{_digest(body)}"
    FUNCTIONS.setdefault(name, Function(name, body.arguments, body.result, body.doc, body.passes))
    return operation("call", name, *(values[leaf] for leaf in arguments))


def _pass(collected: tuple[tuple[Value, float, Value], ...], columns: dict[Value, Column]) -> Pass:
    read = _read(after for _, _, after in collected)
    # one column at least, to say how many rows there are
    return Pass(tuple((leaf, columns[leaf]) for leaf in columns if leaf in read) or (next(iter(columns.items())),), collected)


_DOCS = {
    "sum": "The sum", "logsumexp": "The logarithm of the sum of exponentials", "mean": "The weighted mean", "variance": "The variance",
    "covariance": "The covariance", "heaviest": "The feature of the largest weight", "pick": "The row at which a share is collected,",
    "inverse": "The point at which a share is collected,",
}  # fmt: skip


def _passes(name: str, row: list[Value], columns: dict[str, Column]) -> tuple[list[tuple[tuple[Value, float, Value], ...]], Value]:
    """What is collected, pass by pass, and the value of that."""
    w, a = row[0], row[-1]
    if name == "sum":
        return [((_SUM, 0.0, _SUM + w),)], _SUM
    part, away = arithmetic.exp(w - _TOP), a - _HEAVIEST
    largest = (_TOP, _LOWEST, maximum(_TOP, w))
    heaviest = (largest, (_HEAVIEST, 0.0, select(w > _TOP, a, _HEAVIEST)))
    total, mean = (_TOTAL, 0.0, _TOTAL + part), (_SUM, 0.0, _SUM + part * away)
    match name:
        case "logsumexp":
            return [(largest,), (total,)], _TOP + arithmetic.log(_TOTAL)
        case "heaviest":
            return [heaviest], _HEAVIEST
        case "mean":
            return [heaviest, (total, mean)], _HEAVIEST + _SUM / _TOTAL
        case "variance":
            shift = _SUM / _TOTAL
            return [heaviest, (total, mean, (_PRODUCT, 0.0, _PRODUCT + part * away * away))], _PRODUCT / _TOTAL - shift * shift
        case "covariance":
            u = row[1]
            both_heaviest = (*heaviest, (_OTHER, 0.0, select(w > _TOP, u, _OTHER)))
            beside = u - _OTHER
            second, product = (_SECOND, 0.0, _SECOND + part * beside), (_PRODUCT, 0.0, _PRODUCT + part * away * beside)
            return [both_heaviest, (total, mean, second, product)], _PRODUCT / _TOTAL - (_SUM / _TOTAL) * (_SECOND / _TOTAL)
    goal = _SHARE * _TOTAL
    here = both(goal >= _REACHED, part > RARE * _TOTAL)
    reached = (_REACHED, 0.0, _REACHED + part)
    if name == "pick":
        return [(largest,), (total,), (reached, (_CHOSEN, 0.0, select(here, a, _CHOSEN)))], _CHOSEN
    # between the middles of neighbouring rows, a share is spread evenly
    for edge, numbers in zip((_LOWER_EDGE, _UPPER_EDGE), _edges(columns[str(a.args[0])]), strict=True):
        columns[str(edge.args[0])] = numbers
    found = {_CHOSEN: _LOWER_EDGE, _UPPER: _UPPER_EDGE, _START: _REACHED, _SIZE: part}
    inside = minimum(maximum((goal - _START) / _SIZE, 0.0), 1.0)
    last = (reached, *((leaf, 0.0, select(here, now, leaf)) for leaf, now in found.items()))
    return [(largest,), (total,), last], _CHOSEN + (_UPPER - _CHOSEN) * inside


_LOWER_EDGE, _UPPER_EDGE = argument("lower_edge"), argument("upper_edge")


def _edges(points: Column) -> tuple[Column, Column]:
    middles = [float(np.float32((a + b) / 2)) for a, b in pairwise(points)]
    return (points[0], *middles), (*middles, points[-1])


def _columns(over: Over) -> tuple[Over, dict[str, Column]]:
    """The reduction with what the columns alone tell as columns of its own, and the numbers of all of them."""
    exact = {name: np.array([number_of(cell) for cell in cells]) for name, cells in over.columns}
    names: dict[Scalar, str] = {}

    def go(node: Scalar) -> Scalar:
        if isinstance(node, (Const, Var)) or not (free := set(variables(node))):
            return node
        if free <= exact.keys() and not (isinstance(node, Op) and node.name in TRUTHS):
            return Var(names.setdefault(node, f"column_{len(names)}"))
        if isinstance(node, Op):
            return Op(node.name, tuple(go(part) for part in node.args))
        return node

    tree = Over(over.name, over.columns, tuple(go(part) for part in over.args))
    told = exact | {name: np.broadcast_to(array(node, **exact), next(iter(exact.values())).shape) for node, name in names.items()}
    return tree, {name: tuple(float(x) for x in numbers.astype(np.float32)) for name, numbers in told.items()}


def _read(values: Iterable[Value]) -> set[Value]:
    return {part for part in in_order(*values) if part.name == "argument"}


def _digest(body: Function) -> str:
    """A few letters that tell functions of the same form apart, the same wherever they are written."""
    places: dict[Value, int] = {}
    lines = []
    for part in in_order(*body.results):
        places[part] = len(places)
        lines.append(f"{part.name} {[places[a] if isinstance(a, Value) else a for a in part.args]}")
    tables = [[(leaf.args[0], numbers) for leaf, numbers in one.columns] for one in body.passes]
    return hashlib.sha256(repr((lines, tables)).encode()).hexdigest()[:6]
