"""How Triton loops over tables: with a block of elements at once. Their columns are one array on the GPU, ``tables``, which functions are
told."""

from __future__ import annotations

from cgc.kernels.code import Function
from cgc.targets.arithmetic import Language, named, statements

_WIDTH = 120


def looped(language: Language, function: Function, columns: dict[tuple[float, ...], str]) -> tuple[str, ...]:
    """The definition of a function that passes over tables; ``columns`` tells where those begin that there are, to which it adds."""
    arguments = tuple((str(leaf.args[0]), leaf.kind) for leaf in function.arguments)
    lines = list(language.opening(f"f32_{function.name}", "float", arguments, function.doc, True))
    for one in function.passes:
        for _, numbers in one.columns:
            columns.setdefault(numbers, f"tables + {sum(map(len, columns))}" if columns else "tables")
        names = [str(leaf.args[0]) for leaf, _, _ in one.collected]
        for name, (_, first, _) in zip(names, one.collected, strict=True):
            lines.append(f"    {name} = tl.full({arguments[0][0]}.shape, {language.number(first)[0]}, tl.float32)")
        lines.append(f"    for row in range({one.rows}):")
        lines += [f"        {leaf.args[0]} = tl.load({columns[numbers]} + row)" for leaf, numbers in one.columns]
        inner, texts = named(language, *one.results)
        lines += [f"        {line}" for line in inner]
        together = f"        {', '.join(names)} = {', '.join(texts)}"
        # what is too long for a line is laid out as formatters do
        apart = (f"        {', '.join(names)} = (", *(f"            {text}," for text in texts), "        )")
        lines += [together] if len(together) <= _WIDTH else apart
    return (*lines, *(f"    {line}" for line in statements(language, function.result)), *language.closing)
