"""Typed arithmetic as C: one statement for what is read repeatedly, the rest inside the expressions that read it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from cgc.kernels.code import Function, Value, constant, in_order, operation

WIDTH = 130
_TYPES = {"float": "float", "word": "u32", "truth": "int"}
_FORMATS = {
    "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "neg": "-{}", "abs": "__builtin_fabsf({})",
    "sqrt": "__builtin_sqrtf({})", "max": "larger({}, {})", "min": "smaller({}, {})", "lt": "{} < {}", "le": "{} <= {}", "eq": "{} == {}",
    "and": "{} & {}", "or": "{} | {}", "select": "{} ? {} : {}", "bits": "bits_of({})",
    "from_bits": "float_of({})", "to_float": "(float)(int){}", "wadd": "{} + {}", "wsub": "{} - {}", "wmul": "{} * {}",
    "whigh": "high_half({}, {})", "wxor": "{} ^ {}", "wand": "{} & {}", "wor": "{} | {}", "wshl": "{} << {}", "wshr": "{} >> {}",
}  # fmt: skip
# what needs no brackets as an operand: sums left of sums, products in sums, and what is one word
_NEGATIVE, _SUM, _PRODUCT, _ATOM = range(4)
_BINDING = {"add": _SUM, "sub": _SUM, "mul": _PRODUCT, "div": _PRODUCT, "neg": 0, "to_float": 0}
_LEAVES = ("constant", "number", "argument", "given")
_CALLS = {"abs", "sqrt", "max", "min", "bits", "from_bits", "whigh", "call"}


@dataclass
class _Printer:
    counts: Counter[Value]
    names: dict[Value, str]
    lines: list[str]

    def text(self, value: Value) -> tuple[str, int]:
        """The expression, and how tightly it binds."""
        if value in self.names:
            return self.names[value], _ATOM
        match value.name:
            case "constant":
                return number(float(str(value.args[0])))
            case "number":
                return f"{int(str(value.args[0])):#x}u" if int(str(value.args[0])) > 9 else f"{value.args[0]}u", _ATOM
            case "argument" | "given":
                return str(value.args[0]), _ATOM
            case "call":
                inside = ", ".join(self.text(a)[0] for a in value.inputs)
                return f"f32_{value.args[0]}({inside})", _ATOM
        if value.name == "add" and value.inputs[1].name == "constant" and float(str(value.inputs[1].args[0])) < 0:
            return self.text(operation("sub", value.inputs[0], constant(-float(str(value.inputs[1].args[0])))))
        binding = _ATOM if value.name in _CALLS else _BINDING.get(value.name, 0)
        shown = [self.operand(value, k, a) if isinstance(a, Value) else str(a) for k, a in enumerate(value.args)]
        return _FORMATS[value.name].format(*shown), binding

    def operand(self, value: Value, place: int, inner: Value) -> str:
        text, binding = self.text(inner)
        if value.name in _CALLS:
            return text
        if binding == _NEGATIVE and value.name in ("mul", "div") and inner.name == "constant":
            return text
        if value.name in ("add", "sub") and (binding > _SUM or (binding == _SUM and place == 0)):
            return text
        if value.name in ("mul", "div") and (binding == _ATOM or (binding == _PRODUCT and place == 0)):
            return text
        return text if binding == _ATOM else f"({text})"

    def name(self, value: Value) -> None:
        text, _ = self.text(value)
        self.names[value] = f"{value.kind[0]}{len(self.names)}"
        self.lines.append(f"const {_TYPES[value.kind]} {self.names[value]} = {text};")


def number(x: float) -> tuple[str, int]:
    """A float32 as the shortest literal that reads back exactly."""
    if x != x:
        return '__builtin_nanf("")', _ATOM
    if x in (float("inf"), float("-inf")):
        return ("__builtin_inff()", _ATOM) if x > 0 else ("-__builtin_inff()", 0)
    text = f"{int(x)}.0" if x == int(x) and abs(x) < 2**24 else str(np.float32(x))
    return f"{text}f", _ATOM if x >= 0 else _NEGATIVE


def statements(result: Value) -> tuple[str, ...]:
    """Lines that compute a value and return it."""
    order = list(in_order(result))
    counts: Counter[Value] = Counter(inner for value in order for inner in value.inputs)
    printer = _Printer(counts, {}, [])
    for value in order:
        if value is result or value.name in _LEAVES:
            continue
        if counts[value] > 1 or value.kind == "truth" or len(printer.text(value)[0]) > WIDTH // 2:
            printer.name(value)
    return (*printer.lines, f"return {printer.text(result)[0]};")


def called(function: Function) -> tuple[str, ...]:
    """The definition of a function, comment first."""
    arguments = ", ".join(f"float {a.args[0]}" for a in function.arguments)
    lines = [f"/* {function.doc} */", f"static inline float f32_{function.name}({arguments}) {{"]
    return (*lines, *(f"    {line}" for line in statements(function.result)), "}")


def defined(name: str, result: Value, arguments: tuple[Value, ...]) -> tuple[str, ...]:
    """A function of ``arguments``, whether it reads them or not."""
    shown = ", ".join(f"{_TYPES[leaf.kind]} {leaf.args[0]}" for leaf in arguments)
    read = set(in_order(result))
    unread = [f"(void){leaf.args[0]};" for leaf in arguments if leaf not in read]
    lines = (*unread, *statements(result))
    return (f"static inline {_TYPES[result.kind]} {name}({shown}) {{", *(f"    {line}" for line in lines), "}")


def in_words(results: tuple[Value, ...], places: list[str]) -> tuple[str, ...]:
    """Lines that put several values where they belong."""
    order = list(in_order(*results))
    counts: Counter[Value] = Counter(inner for value in order for inner in value.inputs)
    printer = _Printer(counts, {}, [])
    for value in order:
        if counts[value] > 1 and value.name not in _LEAVES:
            printer.name(value)
    return (*printer.lines, *(f"{place} = {printer.text(value)[0]};" for place, value in zip(places, results, strict=True)))
