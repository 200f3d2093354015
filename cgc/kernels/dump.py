"""Kernels as stable text: every function, then every law and every step of a loop, an operation a line."""

from __future__ import annotations

from cgc.kernels.cell import Cell
from cgc.kernels.code import Pass, Value, functions, in_order
from cgc.kernels.plan import Kernels


def dump(kernels: Kernels) -> str:
    """The arithmetic of all kernels."""
    laws = [(law, {name: value for name, value in _parts(law.node).items() if value is not None}) for law in kernels.laws]
    cells = {" ".join(group): _halves(cell) for group, cell in kernels.cells}
    every = [value for _, parts in laws for value in parts.values()]
    every += [value for halves in cells.values() for half in halves.values() for value in half.values()]
    lines: list[str] = []
    for function in functions(*every):
        lines.append(f"function {function.name}({', '.join(str(a.args[0]) for a in function.arguments)})")
        for one in function.passes:
            lines += _pass(one)
        lines += _operations(function.result)
    for law, parts in laws:
        lines.append(f"law {law.name}{' recurrent' * law.recurrent}: {law.density}")
        for name, value in parts.items():
            lines += [f"  {name}", *_operations(value, "    ")]
    for layers, halves in cells.items():
        lines.append(f"step of {layers}")
        for name, half in halves.items():
            lines += [f"  {name}", *(line for result, value in half.items() for line in (f"    {result}", *_operations(value, "      ")))]
    return "".join(f"{line}\n" for line in lines)


def _parts(node: object) -> dict[str, Value | None]:
    names = ("expectation", "slope", "slope_of_value", "inferred", "drawn_slope")
    return {name: getattr(node, name) for name in names}


def _halves(cell: Cell) -> dict[str, dict[str, Value]]:
    names = ("forward", "backward", "drawn", "drawn_backward")
    return {name: dict(half) for name in names if (half := getattr(cell, name)) is not None}


def _pass(one: Pass) -> list[str]:
    columns = ", ".join(str(leaf.args[0]) for leaf, _ in one.columns)
    lines = [f"  over {one.rows} rows of {columns}"]
    for leaf, first, after in one.collected:
        lines += [f"    {leaf.args[0]}, at first {first:g}", *_operations(after, "      ")]
    return lines


def _operations(result: Value, indent: str = "  ") -> list[str]:
    numbers: dict[Value, str] = {}
    lines: list[str] = []
    for value in in_order(result):
        if value.name in ("constant", "number", "argument", "given"):
            numbers[value] = str(value.args[0])
            continue
        numbers[value] = f"%{len(lines)}"
        shown = [numbers[a] if isinstance(a, Value) else str(a) for a in value.args]
        lines.append(f"{indent}%{len(lines)} = {value.name}({', '.join(shown)})")
    return [*lines, f"{indent}return {numbers[result]}"]
