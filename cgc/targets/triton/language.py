"""How Triton writes typed arithmetic, on blocks of elements."""

from __future__ import annotations

import numpy as np

from cgc.kernels.code import Kind
from cgc.targets.arithmetic import ATOM, NEGATIVE, Language
from cgc.targets.triton.tables import looped

_FORMATS = {
    "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "neg": "-{}", "abs": "tl.abs({})", "sqrt": "tl.sqrt({})",
    "max": "larger({}, {})", "min": "smaller({}, {})", "lt": "{} < {}", "le": "{} <= {}", "eq": "{} == {}",
    "and": "{} & {}", "or": "{} | {}", "select": "tl.where({}, {}, {})", "bits": "bits_of({})", "from_bits": "float_of({})",
    "to_float": "tl.cast({}, tl.float32)", "wadd": "{} + {}", "wsub": "{} - {}", "wmul": "{} * {}", "whigh": "tl.umulhi({}, {})",
    "wxor": "{} ^ {}", "wand": "{} & {}", "wor": "{} | {}", "wshl": "{} << {}", "wshr": "{} >> {}",
}  # fmt: skip


def number(x: float) -> tuple[str, int]:
    """A float32 as the shortest literal that reads back exactly."""
    if x != x:
        return 'float("nan")', ATOM
    if x in (float("inf"), float("-inf")):
        return ('float("inf")', ATOM) if x > 0 else ('-float("inf")', NEGATIVE)
    text = f"{int(x)}.0" if x == int(x) and abs(x) < 2**24 else str(np.float32(x))
    # Triton takes what is above the largest float32 for a float64
    text = repr(float(x)) if abs(float(text)) > float(np.finfo(np.float32).max) else text
    return text.replace("e+", "e"), ATOM if x >= 0 else NEGATIVE


def _opening(name: str, kind: Kind, arguments: tuple[tuple[str, Kind], ...], doc: str, tables: bool) -> tuple[str, ...]:
    shown = [argument for argument, of in arguments if of == "float"]
    words = [argument for argument, of in arguments if of == "word"]
    # random words come as a tuple
    shown += [*(["words"] if words else []), *(["tables"] if tables else [])]
    unpacked = f"({words[0]},)" if len(words) == 1 else ", ".join(words)
    lines = [f'    """{doc}"""'] if doc else [f"    {unpacked} = words"] if words else []
    return ("@triton.jit", f"def {name}({', '.join(shown)}):", *lines)


TRITON = Language(
    _FORMATS,
    {"float": "", "word": "", "truth": ""},
    frozenset({"abs", "sqrt", "max", "min", "bits", "from_bits", "to_float", "select", "whigh", "call"}),
    number,
    lambda n: f"0x{n:X}" if n > 9 else str(n),
    "{name} = {text}",
    "return {}",
    None,
    _opening,
    None,
    (),
    36,
    False,
    looped,
    None,
)
