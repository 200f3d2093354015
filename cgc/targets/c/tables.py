"""How C loops over tables: with some elements at a time, so that within a row compilers make vectors of these.

What is computed from such a loop is no expression any more. So functions that take one, and those of laws that call them, are given arrays.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

from cgc.kernels.code import FUNCTIONS, Function, Value, argument, in_order, replaced
from cgc.targets.arithmetic import Language, named

_WIDTH = 120


def looped(language: Language, function: Function, columns: dict[tuple[float, ...], str]) -> tuple[str, ...]:
    """The definition of a function that passes over tables; ``columns`` are the names of those that there are, to which it adds."""
    arrays = {str(leaf.args[0]): f"in_{leaf.args[0]}[i]" for leaf in function.arguments}
    shown = ", ".join(f"const float *restrict in_{leaf.args[0]}" for leaf in function.arguments)
    lines = []
    for numbers in (numbers for one in function.passes for _, numbers in one.columns):
        if numbers not in columns:
            columns[numbers] = f"column{len(columns)}"
            shown_numbers = textwrap.wrap(", ".join(language.number(x)[0] for x in numbers) + ",", _WIDTH, break_on_hyphens=False)
            lines += [f"static const float {columns[numbers]}[] = {{", *(f"    {line}" for line in shown_numbers), "};"]
    lines += [f"/* {function.doc} */", f"static inline void f32_{function.name}(float *restrict to, {shown}, long count) {{"]
    for one in function.passes:
        names = [str(leaf.args[0]) for leaf, _, _ in one.collected]
        lines.append(f"    float {', '.join(f'all_{name}[LANES]' for name in names)};")
        starts = (f"all_{name}[i] = {language.number(first)[0]}" for name, (_, first, _) in zip(names, one.collected, strict=True))
        lines.append(f"    for (long i = 0; i < count; i++) {', '.join(starts)};")
        lines.append(f"    for (int row = 0; row < {one.rows}; row++) {{")
        lines += [f"        const float {leaf.args[0]} = {columns[numbers]}[row];" for leaf, numbers in one.columns]
        arrays |= {name: f"all_{name}[i]" for name in names}
        places = {f"all_{name}": after for name, after in zip(names, one.results, strict=True)}
        lines += [*(f"        {line}" for line in _elements(language, places, arrays)), "    }"]
    return (*lines, *(f"    {line}" for line in _elements(language, {"to": function.result}, arrays)), *language.closing)


def chunked(language: Language, name: str, result: Value, arguments: tuple[Value, ...]) -> tuple[str, ...]:
    """A function of a law, which computes first what it takes from tables."""
    first, *others = (str(leaf.args[0]) for leaf in arguments)
    words = [str(leaf.args[0]) for leaf in arguments if leaf.kind == "word"]
    rate = [other for other in others if other not in words]
    parameters = {f"in_{first}": "const float *restrict ", **dict.fromkeys(rate, "float ")}
    parameters |= {"words": "const u32 *restrict ", "apart": "long "} if words else {}
    arrays = {first: f"in_{first}[i]"} | {word: f"words[{f'{k} * apart + ' if k else ''}i]" for k, word in enumerate(words)}
    body: list[str] = []
    places: dict[Value, Value] = {}
    for call in _loops(result):
        function, k = FUNCTIONS[str(call.args[0])], len(places)
        given = replaced(call.inputs, places)
        names = [f"given{k}_{leaf.args[0]}" for leaf in function.arguments]
        # what lies in an array already is told as it is
        told = [arrays.get(str(value.args[0]), "").removesuffix("[i]") if value.name == "argument" else "" for value in given]
        made = {name: value for name, value, there in zip(names, given, told, strict=True) if not there}
        body.append(f"float {', '.join((f'all_found{k}[LANES]', *(f'{name}[LANES] = {{0}}' for name in made)))};")
        body += _elements(language, made, arrays) if made else []
        body.append(
            f"f32_{function.name}(all_found{k}, {', '.join(there or name for name, there in zip(names, told, strict=True))}, count);"
        )
        arrays[f"found{k}"] = f"all_found{k}[i]"
        places[call] = argument(f"found{k}")
    body += _elements(language, {"to": replaced((result,), places)[0]}, arrays)
    text = "\n".join(body)
    unread = [parameter for parameter in parameters if not re.search(rf"\b{parameter}\b", text)]
    shown = ", ".join(f"{kind}{parameter}" for parameter, kind in parameters.items())
    opening = f"static inline void {name}(float *restrict to, {shown}, long count) {{"
    return (opening, *(f"    (void){one};" for one in unread), *(f"    {line}" for line in body), *language.closing)


def _loops(result: Value) -> list[Value]:
    """The calls of functions that loop, each after those that it reads."""
    return [value for value in in_order(result) if value.name == "call" and FUNCTIONS[str(value.args[0])].passes]


def _elements(language: Language, results: Mapping[str, Value], arrays: Mapping[str, str]) -> list[str]:
    """A loop over elements that computes values, by the arrays where they go; ``arrays`` is where lies what they read."""
    lines, texts = named(language, *results.values())
    leaves = [leaf for leaf in in_order(*results.values()) if leaf.name in ("argument", "given") and str(leaf.args[0]) in arrays]
    return [
        "for (long i = 0; i < count; i++) {",
        *(f"    const {language.types[leaf.kind]} {leaf.args[0]} = {arrays[str(leaf.args[0])]};" for leaf in leaves),
        *(f"    {line}" for line in lines),
        *(f"    {place}[i] = {text};" for place, text in zip(results, texts, strict=True)),
        "}",
    ]
