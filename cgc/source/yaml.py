"""YAML text → a tree with places. A strict YAML 1.2 core: what is ambiguous, dangerous or boundless is refused with a Diagnostic."""

from __future__ import annotations

import re

import yaml

from cgc.source.diagnostics import Diagnostic, Label, SpecError
from cgc.source.text import Source, Span
from cgc.source.tree import Entry, Node, Scalar

MAX_BYTES = 1_000_000
MAX_LINE = 100_000
MAX_DEPTH = 50
MAX_NODES = 100_000
MAX_DIGITS = 30

# the YAML 1.2 core schema: tag → pattern of plain scalars, and what they may start with
CORE = {
    "null": (r"~|null|Null|NULL|", ("~", "n", "N", "")),
    "bool": (r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", tuple("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        tuple("-+.0123456789"),
    ),
    "merge": (r"<<", ("<",)),
}
# what cannot stand in a file: control characters, and the line breaks that editors do not count
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]|\r(?!\n)")


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of the YAML 1.2 core schema, and with bounds on depth and size while it composes."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's protocol)
    depth = 0
    count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise _Refusal("CG107", f"the tag `{tag}` is not allowed", event.start_mark, "leave it out: values have no tags here")
        self.depth += 1
        self.count += 1
        if self.depth > MAX_DEPTH:
            raise _Refusal("CG106", f"the text is nested more than {MAX_DEPTH} deep", event.start_mark, "a spec needs about ten levels")
        if self.count > MAX_NODES:
            raise _Refusal("CG106", f"the text has more than {MAX_NODES:,} values", event.start_mark, "say it with fewer")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _name, (_pattern, _first) in CORE.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"), list(_first))


class _Refusal(Exception):
    """A bound that was exceeded while composing."""

    def __init__(self, code: str, message: str, mark: yaml.Mark, help: str) -> None:
        super().__init__(message)
        self.code, self.message, self.mark, self.help = code, message, mark, help


def parse(source: Source, shown: Source | None = None) -> Node:
    """The tree of one YAML document. Raises SpecError with all that is wrong with it (codes CG1xx).

    ``shown`` is the source that places refer to, where it differs from what is parsed.
    """
    source_shown = shown or source
    check_text(source)
    loader = _Loader(source.text)
    try:
        root = loader.get_single_node()
    except _Refusal as error:
        raise SpecError(Diagnostic(error.code, error.message, _at(source_shown, error.mark), help=error.help)) from None
    except yaml.MarkedYAMLError as error:
        raise SpecError(_syntax(source_shown, error)) from None
    except yaml.YAMLError as error:
        raise SpecError(Diagnostic("CG101", "this is not YAML", Span(source_shown, 1, 1), help=str(error))) from None
    finally:
        loader.dispose()
    if root is None:
        raise SpecError(Diagnostic("CG109", f"{source.name} is empty", help="start with `cgc: 1` and `name: …`"))
    reader = _Reader(source_shown, source.text)
    tree = reader.node(root)
    if reader.findings:
        raise SpecError(*reader.findings)
    _bound(tree)
    return tree


def check_text(source: Source) -> None:
    """Raises SpecError for text that no editor shows as it is, or that is too long to show."""
    text = source.text
    if len(text) > MAX_BYTES:
        raise SpecError(Diagnostic("CG105", f"{source.name} is larger than {MAX_BYTES:,} characters"))
    found = _FORBIDDEN.search(text)
    if found:
        start = text.rfind("\n", 0, found.start()) + 1
        span = Span(source, text.count("\n", 0, found.start()) + 1, found.start() - start + 1)
        raise SpecError(Diagnostic("CG104", f"the control character U+{ord(found[0]):04X} is not allowed", span, help="remove it"))
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE:
            raise SpecError(Diagnostic("CG105", f"line {number} has more than {MAX_LINE:,} characters", Span(source, number, 1)))


def _at(source: Source, mark: yaml.Mark, length: int = 1) -> Span:
    return Span(source, mark.line + 1, mark.column + 1, length)


def _bound(root: Node) -> None:
    """Aliases share nodes; what they stand for together is bounded before anything walks over it."""
    sizes: dict[int, tuple[int, int]] = {}

    def measure(node: Node) -> tuple[int, int]:
        known = sizes.get(id(node))
        if known is None:
            below = [measure(child) for child in _children(node)]
            known = (1 + sum(size for size, _ in below), 1 + max((depth for _, depth in below), default=0))
            sizes[id(node)] = known
            if known[0] > MAX_NODES:
                message = f"with its aliases, this stands for more than {MAX_NODES:,} values"
                raise SpecError(Diagnostic("CG106", message, node.span, help="write out what is meant, without nested aliases"))
            if known[1] > MAX_DEPTH:
                raise SpecError(Diagnostic("CG106", f"with its aliases, this is nested more than {MAX_DEPTH} deep", node.span))
        return known

    measure(root)


def _children(node: Node) -> list[Node]:
    return [entry.node for entry in (node.entries or {}).values()] + list(node.items or ())


class _Reader:
    """PyYAML's nodes → ours, collecting what is wrong."""

    def __init__(self, source: Source, text: str) -> None:
        self.source = source
        self.text = text
        self.findings: list[Diagnostic] = []
        self.done: dict[int, Node] = {}
        self.open: set[int] = set()

    def node(self, raw: yaml.Node) -> Node:
        known = self.done.get(id(raw))
        if known is None:
            if id(raw) in self.open:
                self.error("CG103", "an alias refers to the value that it is part of", self.span(raw), "remove the alias")
                return Node(self.span(raw))
            self.open.add(id(raw))
            known = self.convert(raw)
            self.open.discard(id(raw))
            self.done[id(raw)] = known
        return known

    def error(self, code: str, message: str, span: Span, help: str = "", others: tuple[Label, ...] = (), label: str = "") -> None:
        self.findings.append(Diagnostic(code, message, span, label, others, help=help))

    def span(self, raw: yaml.Node) -> Span:
        start, end = raw.start_mark, raw.end_mark
        line = self.source.line(start.line + 1)
        column = start.column
        stop = end.column if end.line == start.line else len(line.rstrip())
        if isinstance(raw, yaml.ScalarNode) and raw.style in ("'", '"'):
            column, stop = column + 1, max(column + 2, stop - (end.line == start.line))
        return Span(self.source, start.line + 1, column + 1, max(1, stop - column))

    def convert(self, raw: yaml.Node) -> Node:
        if isinstance(raw, yaml.MappingNode):
            return Node(self.span(raw), entries=self.mapping(raw))
        if isinstance(raw, yaml.SequenceNode):
            values = [value for value, _ in self.unsplit([(value, value) for value in raw.value])] if raw.flow_style else raw.value
            return Node(self.span(raw), items=tuple(self.node(value) for value in values))
        return Node(self.span(raw), scalar=self.scalar(raw) if isinstance(raw, yaml.ScalarNode) else None)

    def mapping(self, raw: yaml.MappingNode) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key, value in self.unsplit(raw.value) if raw.flow_style else raw.value:
            if key.tag.endswith(":merge") and isinstance(key, yaml.ScalarNode) and key.style is None:
                merged = self.merge(value) | merged
                continue
            name = key.value if isinstance(key, yaml.ScalarNode) and (key.style is not None or key.tag.endswith(":str")) else None
            if name is None:
                self.error("CG108", "a key must be text", self.span(key), "quote it, if it is meant as text")
                continue
            if name in entries:
                first = Label(entries[name].key, "first here")
                self.error("CG102", f"the key `{name}` stands twice", self.span(key), "remove one of them", (first,), "and again here")
                continue
            entries[name] = Entry(self.span(key), self.node(value))
        return {name: entry for name, entry in merged.items() if name not in entries} | entries

    def merge(self, raw: yaml.Node) -> dict[str, Entry]:
        result: dict[str, Entry] = {}
        for source in raw.value if isinstance(raw, yaml.SequenceNode) else [raw]:
            node = self.node(source)
            if node.entries is None:
                self.error("CG108", "`<<` merges mappings only", self.span(source), "write `<<: *name`, the name of a mapping")
                continue
            result = dict(node.entries) | result
        return result

    def unsplit(self, pairs: list[tuple[yaml.Node, yaml.Node]]) -> list[tuple[yaml.Node, yaml.Node]]:
        """Drops what a comma inside brackets has torn apart, as in ``{value: max(0, y)}``, with one Diagnostic for each such expression."""
        kept: list[tuple[yaml.Node, yaml.Node]] = []
        start: yaml.Node | None = None
        torn: list[tuple[yaml.Node, yaml.Node]] = []
        depth = 0
        for key, value in pairs:
            torn.append((key, value))
            first = value if start is None else key
            depth += _open_brackets(first)
            if start is not None and value is not key:
                depth += _open_brackets(value)
            if start is None and depth > 0:
                start = first
            elif start is not None and depth <= 0:
                end = value if _open_brackets(value) < 0 else key
                text = self.text[start.start_mark.index : end.end_mark.index]
                span = self.span(start)
                if end.end_mark.line == start.start_mark.line:
                    span = Span(span.source, span.line, span.column, end.end_mark.column - start.start_mark.column)
                help = "quote this expression: `'" + " ".join(text.split()) + "'`"
                self.error("CG110", "a comma inside `{}` or `[]` ends the value", span, help, label="taken apart at its commas")
                start, torn, depth = None, [], 0
            if start is None:
                kept += torn
                torn, depth = [], 0
        return kept + torn

    def scalar(self, raw: yaml.ScalarNode) -> Scalar:
        text: str = raw.value
        if raw.style is not None:
            return text
        match raw.tag.rpartition(":")[2]:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                if len(text) > MAX_DIGITS:
                    self.error("CG111", f"a number has at most {MAX_DIGITS} digits", self.span(raw))
                    return 0
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            case "float":
                number = float(text.replace(".inf", "inf").replace(".nan", "nan")) if text.strip("+-.").isalpha() else float(text)
                if number != number or abs(number) > 1e300:
                    self.error("CG111", "the number is not finite", self.span(raw), "numbers lie between -1e300 and 1e300")
                    return 0.0
                return number
            case _:
                return text


def _open_brackets(raw: yaml.Node) -> int:
    """How many round brackets a plain scalar leaves open (negative: closes)."""
    if not isinstance(raw, yaml.ScalarNode) or raw.style is not None:
        return 0
    text: str = raw.value
    return text.count("(") - text.count(")")


# what PyYAML's scanner and parser say → what we say, and what helps
_WORDS = (
    (r"character '\\t'", "a tab cannot indent", "use blanks"),
    (r"character '[@`]'", "a value cannot start with this character", "quote it"),
    (r"character '%'", "a value cannot start with `%`", "quote it"),
    (r"found undefined alias", "this alias has no anchor", "define it above with `&name`"),
    (r"found duplicate anchor", "this anchor is defined twice", "use another name"),
    (r"expected a single document", "one file holds one document", "remove what follows `---`"),
    (r"mapping values are not allowed here", "a `:` cannot stand here", "quote a text that contains `: `, or check the indentation"),
    (r"could not find expected ':'", "a key without `:`", "write `key: value`"),
    (r"unexpected end of stream", "the quotation mark is not closed", "close it"),
    (r"expected ',' or '[\]}]', but got '<stream end>'", "the bracket is not closed", "close it"),
    (r"expected ',' or '([\]}])'", "expected `,` or a closing bracket", "close it, or quote text that contains a comma, bracket or brace"),
    (r"expected the node content", "a value is missing or starts with a character that must be quoted", "quote it"),
    (r"expected <block end>", "this does not line up with what is above it", "indent entries of one mapping or list alike"),
    (r"expected alphabetic or numeric character", "`*` and `&` start an alias or an anchor", "quote text that starts with `*` or `&`"),
    (r"unknown escape character", "unknown escape in a text with double quotes", "use single quotes"),
    (r"sequence entries are not allowed here", "a list cannot start here", "put it on a line of its own"),
)


def _syntax(source: Source, error: yaml.MarkedYAMLError) -> Diagnostic:
    problem = " ".join(part for part in (error.context, error.problem) if part)
    mark, opening = error.problem_mark or error.context_mark, error.context_mark
    message, help = next(((m, h) for pattern, m, h in _WORDS if re.search(pattern, problem)), (f"this is not YAML: {problem}", ""))
    others: tuple[Label, ...] = ()
    if "not closed" in message and opening is not None:
        mark = opening
    elif "closing bracket" in message and opening is not None:
        others = (Label(_at(source, opening), "opened here"),)
    lines = source.text.count("\n") + 1
    span = None
    if mark is not None:
        line = min(mark.line + 1, lines)
        span = Span(source, line, mark.column + 1 if mark.line + 1 <= lines else len(source.line(line)) + 1)
    return Diagnostic("CG101", message, span, others=others, help=help)
