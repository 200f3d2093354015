"""What derives, as JSON and back, without pickle: records by name and field, trees as a list in which equal parts stand once."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

import mpmath
from mpmath import mp

from cgc.derive.derivation import Approximation, Check, Derivation, Draw, Labels, Numeric, Step
from cgc.derive.guard import Guarded, Series
from cgc.families.forms import Law
from cgc.formula.scalar import Const, Op, Over, Var

_KINDS = (Approximation, Check, Derivation, Draw, Guarded, Labels, Numeric, Series, Step, Const, Op, Over, Var)
_RECORDS: dict[str, Any] = {kind.__name__: kind for kind in _KINDS}


def written(value: Any) -> str:
    """One JSON text for records, tuples, numbers and texts. A law is not in it: whoever reads has it. Raises TypeError for other things."""
    table: list[Any] = []
    known: dict[Any, int] = {}

    def go(value: Any) -> Any:
        if is_dataclass(value) and not isinstance(value, type):
            if value not in known:
                row: Any = [type(value).__name__, *(None if f.name == "law" else go(getattr(value, f.name)) for f in fields(value))]
                table.append(row)
                known[value] = len(table) - 1
            return {"at": known[value]}
        if isinstance(value, Fraction):
            return {"fraction": str(value)}
        if isinstance(value, mpmath.mpf):
            return {"mpf": [int(part) for part in value._mpf_]}
        if isinstance(value, tuple):
            return [go(item) for item in value]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise TypeError(f"no way to write {type(value).__name__}")

    root = go(value)
    return json.dumps({"table": table, "root": root})


def read(text: str, law: Law | None = None) -> Any:
    """What :func:`written` wrote. Raises ValueError for anything else."""
    try:
        content = json.loads(text)
        rows: list[Any] = []

        def go(value: Any) -> Any:
            if isinstance(value, dict):
                if "mpf" in value:
                    return mp.make_mpf(tuple(value["mpf"]))
                return rows[value["at"]] if "at" in value else Fraction(value["fraction"])
            return tuple(go(item) for item in value) if isinstance(value, list) else value

        for name, *values in content["table"]:
            kind = _RECORDS[name]
            rows.append(kind(*(law if f.name == "law" else go(value) for f, value in zip(fields(kind), values, strict=True))))
        return go(content["root"])
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"not what derives: {error}") from None


def encode(derivation: Derivation) -> str:
    """A derivation as one JSON text."""
    return written(derivation)


def decode(text: str, law: Law) -> Derivation:
    """The derivation of ``law`` that :func:`encode` wrote. Raises ValueError for anything else."""
    found = read(text, law)
    if not isinstance(found, Derivation):
        raise ValueError("not a derivation")
    return found
