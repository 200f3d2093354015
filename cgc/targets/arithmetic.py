"""Typed arithmetic as text of a language: one statement for what is read repeatedly, the rest inside the expressions that read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cgc.kernels.code import FUNCTIONS, Function, Kind, Value, constant, in_order, operation

# what needs no brackets as an operand: sums left of sums, products in sums, and what is one word
NEGATIVE, SUM, PRODUCT, ATOM = range(4)
_BINDING = {"add": SUM, "sub": SUM, "mul": PRODUCT, "div": PRODUCT}
_LEAVES = ("constant", "number", "argument", "given")


@dataclass(frozen=True)
class Language:
    """How operations are written. ``calls`` are those whose arguments are within brackets already; ``number`` and ``word`` write
    constants, the first with how tightly it binds. ``statement`` gives a value of ``{type}`` the ``{name}`` ``{text}``, and ``opening``
    begins the definition of a function. ``several`` is how one of several results, the ``{place}``-th, leaves, where they cannot be
    returned together. Expressions get no longer than ``width``. Where nodes are drawn, it ``packs`` these together, and computes what they
    become for them alone. ``looped`` defines a function that passes over tables, given where columns are that there are by now, and adds
    its own. What calls such a function is ``chunked``, where that is no expression; else both are told ``tables``."""

    formats: Mapping[str, str]
    types: Mapping[Kind, str]
    calls: frozenset[str]
    number: Callable[[float], tuple[str, int]]
    word: Callable[[int], str]
    statement: str
    returned: str
    several: str | None
    opening: Callable[[str, Kind, tuple[tuple[str, Kind], ...], str, bool], tuple[str, ...]]
    unread: str | None
    closing: tuple[str, ...]
    width: int
    packs: bool
    looped: Callable[[Language, Function, dict[tuple[float, ...], str]], tuple[str, ...]]
    chunked: Callable[[Language, str, Value, tuple[Value, ...]], tuple[str, ...]] | None


@dataclass
class _Printer:
    language: Language
    names: dict[Value, str]
    lines: list[str]
    taken: set[str]

    def text(self, value: Value) -> tuple[str, int]:
        """The expression, and how tightly it binds."""
        if value in self.names:
            return self.names[value], ATOM
        match value.name:
            case "constant":
                return self.language.number(float(str(value.args[0])))
            case "number":
                return self.language.word(int(str(value.args[0]))), ATOM
            case "argument" | "given":
                return str(value.args[0]), ATOM
            case "call":
                inside = [self.text(a)[0] for a in value.inputs]
                inside += ["tables"] if self.language.chunked is None and FUNCTIONS[str(value.args[0])].passes else []
                return f"f32_{value.args[0]}({', '.join(inside)})", ATOM
        if value.name in ("add", "sub") and value.inputs[1].name == "constant" and float(str(value.inputs[1].args[0])) < 0:
            opposite = "sub" if value.name == "add" else "add"
            return self.text(operation(opposite, value.inputs[0], constant(-float(str(value.inputs[1].args[0])))))
        binding = ATOM if value.name in self.language.calls else _BINDING.get(value.name, NEGATIVE)
        shown = [self.operand(value, k, a) if isinstance(a, Value) else str(a) for k, a in enumerate(value.args)]
        return self.language.formats[value.name].format(*shown), binding

    def operand(self, value: Value, place: int, inner: Value) -> str:
        text, binding = self.text(inner)
        if value.name in self.language.calls:
            return text
        if binding == NEGATIVE and value.name in ("mul", "div") and inner.name == "constant":
            return text
        if value.name in ("add", "sub") and (binding > SUM or (binding == SUM and place == 0)):
            return text
        if value.name in ("mul", "div") and (binding == ATOM or (binding == PRODUCT and place == 0)):
            return text
        return text if binding == ATOM else f"({text})"

    def name(self, value: Value) -> None:
        text, _ = self.text(value)
        count = len(self.names)
        while (name := f"{value.kind[0]}{count}") in self.taken:
            count += 1
        self.taken.add(name)
        self.names[value] = name
        self.lines.append(self.language.statement.format(type=self.language.types[value.kind], name=self.names[value], text=text))


def named(language: Language, *results: Value) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lines that compute what values consist of, and expressions for the values."""
    order = list(in_order(*results))
    counts: Counter[Value] = Counter(inner for value in order for inner in value.inputs)
    counts.update(results)
    # what stands within a choice would be computed or not, element by element, which compilers make no vectors of
    chosen = {inner for value in order if value.name == "select" for inner in value.inputs[1:]}
    printer = _Printer(language, {}, [], {str(leaf.args[0]) for leaf in order if leaf.name in ("argument", "given")})
    for value in order:
        if value.name in _LEAVES or (value in results and counts[value] == 1):
            continue
        if counts[value] > 1 or value.kind == "truth" or value in chosen or len(printer.text(value)[0]) > language.width:
            printer.name(value)
    return tuple(printer.lines), tuple(printer.text(result)[0] for result in results)


def statements(language: Language, *results: Value) -> tuple[str, ...]:
    """Lines that compute values and return them."""
    lines, texts = named(language, *results)
    if len(texts) > 1 and language.several:
        return (*lines, *(language.several.format(place=k, text=text) for k, text in enumerate(texts)))
    return (*lines, language.returned.format(", ".join(texts)))


def called(language: Language, function: Function) -> tuple[str, ...]:
    """The definition of a function, with its comment."""
    arguments = tuple((str(a.args[0]), a.kind) for a in function.arguments)
    opening = language.opening(f"f32_{function.name}", "float", arguments, function.doc, False)
    return (*opening, *(f"    {line}" for line in statements(language, function.result)), *language.closing)


def defined(language: Language, name: str, result: Value, arguments: tuple[Value, ...], tables: bool = False) -> tuple[str, ...]:
    """A function of ``arguments``, and of ``tables``, whether it reads them or not."""
    read = set(in_order(result))
    unread = [language.unread.format(leaf.args[0]) for leaf in arguments if language.unread and leaf not in read]
    opening = language.opening(name, result.kind, tuple((str(a.args[0]), a.kind) for a in arguments), "", tables)
    return (*opening, *(f"    {line}" for line in (*unread, *statements(language, result))), *language.closing)
