"""How C99 writes typed arithmetic."""

from __future__ import annotations

import numpy as np

from cgc.kernels.code import Kind
from cgc.targets.arithmetic import ATOM, NEGATIVE, Language
from cgc.targets.c.tables import chunked, looped

_TYPES: dict[Kind, str] = {"float": "float", "word": "u32", "truth": "int"}
_FORMATS = {
    "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "neg": "-{}", "abs": "__builtin_fabsf({})",
    "sqrt": "__builtin_sqrtf({})", "max": "larger({}, {})", "min": "smaller({}, {})", "lt": "{} < {}", "le": "{} <= {}", "eq": "{} == {}",
    "and": "{} ? {} : 0", "or": "{} ? 1 : {}", "select": "{} ? {} : {}", "bits": "bits_of({})",
    "from_bits": "float_of({})", "to_float": "(float)(int){}", "wadd": "{} + {}", "wsub": "{} - {}", "wmul": "{} * {}",
    "whigh": "high_half({}, {})", "wxor": "{} ^ {}", "wand": "{} & {}", "wor": "{} | {}", "wshl": "{} << {}", "wshr": "{} >> {}",
}  # fmt: skip


def number(x: float) -> tuple[str, int]:
    """A float32 as the shortest literal that reads back exactly."""
    if x != x:
        return '__builtin_nanf("")', ATOM
    if x in (float("inf"), float("-inf")):
        return ("__builtin_inff()", ATOM) if x > 0 else ("-__builtin_inff()", NEGATIVE)
    text = f"{int(x)}.0" if x == int(x) and abs(x) < 2**24 else str(np.float32(x))
    return f"{text}f", ATOM if x >= 0 else NEGATIVE


def _opening(name: str, kind: Kind, arguments: tuple[tuple[str, Kind], ...], doc: str, tables: bool) -> tuple[str, ...]:
    assert not tables
    shown = ", ".join(f"{_TYPES[of]} {argument}" for argument, of in arguments)
    return (*((f"/* {doc} */",) if doc else ()), f"INLINE {_TYPES[kind]} {name}({shown}) {{")


C = Language(
    _FORMATS,
    _TYPES,
    frozenset({"abs", "sqrt", "max", "min", "bits", "from_bits", "whigh", "call"}),
    number,
    lambda n: f"{n:#x}u" if n > 9 else f"{n}u",
    "const {type} {name} = {text};",
    "return {};",
    "words[{place}][i] = {text};",
    _opening,
    "(void){};",
    ("}",),
    65,
    True,
    looped,
    chunked,
)
