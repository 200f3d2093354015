"""Typed straight-line arithmetic, as a graph of operations: what a processor does with one element, in float32 and 32-bit words.

It knows no functions but the square root: those are written in it (``arithmetic.py``), and called by name. It cannot say memory or
loops; kernels can. Equal operations on equal values are one object, so that a graph is compared and printed without looking twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Literal

Kind = Literal["float", "word", "truth"]

# arguments' kinds (f, w, t; c is a constant number) and the kind of the result
SIGNATURES: dict[str, tuple[str, Kind]] = {
    "constant": ("c", "float"), "number": ("c", "word"), "argument": ("c", "float"), "given": ("c", "word"),
    "add": ("ff", "float"), "sub": ("ff", "float"), "mul": ("ff", "float"), "div": ("ff", "float"), "neg": ("f", "float"),
    "abs": ("f", "float"), "sqrt": ("f", "float"), "max": ("ff", "float"), "min": ("ff", "float"),
    "lt": ("ff", "truth"), "le": ("ff", "truth"), "eq": ("ff", "truth"), "and": ("tt", "truth"), "or": ("tt", "truth"),
    "select": ("tff", "float"), "bits": ("f", "word"), "from_bits": ("w", "float"), "to_float": ("w", "float"),
    "wadd": ("ww", "word"), "wsub": ("ww", "word"), "wmul": ("ww", "word"), "whigh": ("ww", "word"), "wxor": ("ww", "word"),
    "wand": ("ww", "word"), "wor": ("ww", "word"), "wshl": ("wc", "word"), "wshr": ("wc", "word"),
}  # fmt: skip
"""Beside these, ``call`` takes the name of a function and floats. ``max(a, b)`` is b if b > a, else a, so that a stays where it is no
number; ``min`` likewise. ``whigh`` is the upper half of a product, ``to_float`` the nearest float to a word below 2³¹. A float constant
is a float32; a word is reckoned modulo 2³²."""


@dataclass(frozen=True, eq=False)
class Value:
    """The result of the operation ``name``. Operators of Python build further ones."""

    name: str
    args: tuple[Value | float | int | str, ...]
    kind: Kind

    def __add__(self, other: Value | float) -> Value:
        return binary("add", self, other)

    def __radd__(self, other: float) -> Value:
        return binary("add", other, self)

    def __sub__(self, other: Value | float) -> Value:
        return binary("sub", self, other)

    def __rsub__(self, other: float) -> Value:
        return binary("sub", other, self)

    def __mul__(self, other: Value | float) -> Value:
        return binary("mul", self, other)

    def __rmul__(self, other: float) -> Value:
        return binary("mul", other, self)

    def __truediv__(self, other: Value | float) -> Value:
        return binary("div", self, other)

    def __rtruediv__(self, other: float) -> Value:
        return binary("div", other, self)

    def __neg__(self) -> Value:
        return operation("neg", self)

    def __lt__(self, other: Value | float) -> Value:
        return binary("lt", self, other)

    def __le__(self, other: Value | float) -> Value:
        return binary("le", self, other)

    def __gt__(self, other: Value | float) -> Value:
        return binary("lt", other, self)

    def __ge__(self, other: Value | float) -> Value:
        return binary("le", other, self)

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The values that it reads."""
        return tuple(argument for argument in self.args if isinstance(argument, Value))


_KNOWN: dict[tuple[object, ...], Value] = {}


def operation(name: str, *args: Value | float | int | str) -> Value:
    """The result of an operation; the same object for the same arguments."""
    kinds, kind = SIGNATURES[name] if name != "call" else ("c" + "f" * (len(args) - 1), "float")
    for wanted, given in zip(kinds, args, strict=True):
        if (wanted == "c") == isinstance(given, Value) or (isinstance(given, Value) and given.kind[0] != wanted):
            raise TypeError(f"{name} takes {kinds}, not {given}")
    key = (name, *((id(argument),) if isinstance(argument, Value) else (type(argument), repr(argument)) for argument in args))
    return _KNOWN.setdefault(key, Value(name, args, kind))


@dataclass(frozen=True)
class Pass:
    """A loop over the rows of a table: ``columns`` are arguments with a number for each row, ``collected`` arguments with what they are
    before the first row, and what they become in a row, all at once."""

    columns: tuple[tuple[Value, tuple[float, ...]], ...]
    collected: tuple[tuple[Value, float, Value], ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.columns[0][1])

    @property
    def results(self) -> tuple[Value, ...]:
        """What is computed in a row."""
        return tuple(after for _, _, after in self.collected)


@dataclass(frozen=True)
class Function:
    """A function of floats that is called by ``name``: the arguments of its definition, and its value. ``doc`` says what it is. Its value
    may read what ``passes`` collect, one after the other."""

    name: str
    arguments: tuple[Value, ...]
    result: Value
    doc: str
    passes: tuple[Pass, ...] = ()

    @property
    def results(self) -> tuple[Value, ...]:
        """All that is computed."""
        return (*(after for one in self.passes for after in one.results), self.result)


FUNCTIONS: dict[str, Function] = {}


def define(name: str, build: Callable[..., Value], doc: str, names: tuple[str, ...] = ("x",)) -> None:
    """A function called ``name``, unless there is one. ``build`` makes its value from the arguments called ``names``."""
    if name not in FUNCTIONS:
        arguments = tuple(argument(n) for n in names)
        FUNCTIONS[name] = Function(name, arguments, build(*arguments), doc)


def function(build: Callable[[Value], Value]) -> Callable[[Value], Value]:
    """A decorator: what ``build`` writes is a function of its own, defined where it is first called."""
    name = build.__name__

    @wraps(build)
    def call(x: Value) -> Value:
        define(name, build, (build.__doc__ or "").strip())
        return operation("call", name, x)

    return call


def functions(*results: Value) -> tuple[Function, ...]:
    """The functions that are called, each after those that it calls itself."""
    found: dict[str, Function] = {}

    def visit(value: Value) -> None:
        for node in in_order(value):
            name = node.args[0] if node.name == "call" else None
            if isinstance(name, str) and name not in found:
                for inner in FUNCTIONS[name].results:
                    visit(inner)
                found[name] = FUNCTIONS[name]

    for result in results:
        visit(result)
    return tuple(found.values())


def operations(result: Value) -> int:
    """How many operations a value takes, those of functions among them."""
    counts: dict[str, int] = {}

    def count(value: Value) -> int:
        return sum(counts[str(node.args[0])] if node.name == "call" else 1 for node in in_order(value) if node.inputs)

    for known in functions(result):
        in_rows = sum(one.rows * sum(map(count, one.results)) for one in known.passes)
        counts[known.name] = count(known.result) + in_rows
    return count(result)


def loops(*results: Value) -> bool:
    """Whether they take loops over tables."""
    return any(known.passes for known in functions(*results))


def constant(number: float) -> Value:
    """A float32."""
    return operation("constant", float(number))


def word(number: int) -> Value:
    """A word."""
    return operation("number", number & 0xFFFFFFFF)


def argument(name: str) -> Value:
    """A float that is given."""
    return operation("argument", name)


def given(name: str) -> Value:
    """A word that is given."""
    return operation("given", name)


def lifted(number: Value | float) -> Value:
    """A value, where numbers stand for constants."""
    return number if isinstance(number, Value) else constant(number)


def binary(name: str, a: Value | float, b: Value | float) -> Value:
    """An operation on two floats; what adds 0 or multiplies by 1 is left out."""
    left, right = lifted(a), lifted(b)
    if name in ("add", "mul"):
        neutral = constant(0.0 if name == "add" else 1.0)
        if left is neutral or right is neutral:
            return right if left is neutral else left
    if (name == "sub" and right is constant(0.0)) or (name == "div" and right is constant(1.0)):
        return left
    return operation(name, left, right)


def select(condition: Value, taken: Value | float, other: Value | float) -> Value:
    """``taken`` where the condition holds, else ``other``."""
    first, second = lifted(taken), lifted(other)
    return first if first is second else operation("select", condition, first, second)


def power(x: Value, exponent: int, start: Value | float = 1.0) -> Value:
    """``start`` times x to a whole power from 0 on, by squaring."""
    result, square = lifted(start), x
    while exponent:
        if exponent % 2:
            result = result * square
        square, exponent = square * square, exponent // 2
    return result


def maximum(a: Value | float, b: Value | float) -> Value:
    """The larger; no number where ``a`` is none, or either beside a constant."""
    return operation("max", *_constant_last(a, b))


def minimum(a: Value | float, b: Value | float) -> Value:
    """The smaller; no number where ``a`` is none, or either beside a constant."""
    return operation("min", *_constant_last(a, b))


def _constant_last(a: Value | float, b: Value | float) -> tuple[Value, Value]:
    left, right = lifted(a), lifted(b)
    return (right, left) if left.name == "constant" else (left, right)


def both(a: Value, b: Value) -> Value:
    """Whether both hold."""
    return operation("and", a, b)


def in_order(*results: Value) -> Iterator[Value]:
    """Every value that ``results`` need, once, after what it reads."""
    seen: set[Value] = set()
    stack = [(value, False) for value in reversed(results)]
    while stack:
        value, ready = stack.pop()
        if value in seen:
            continue
        if ready:
            seen.add(value)
            yield value
        else:
            stack.append((value, True))
            stack += [(inner, False) for inner in reversed(value.inputs) if inner not in seen]


def replaced(results: tuple[Value, ...], places: Mapping[Value, Value]) -> tuple[Value, ...]:
    """The same arithmetic with other values in the places of some."""
    known = dict(places)
    for value in in_order(*results):
        if value not in known:
            args = (known[a] if isinstance(a, Value) else a for a in value.args)
            known[value] = operation(value.name, *args) if value.inputs else value
    return tuple(known[result] for result in results)
