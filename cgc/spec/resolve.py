"""A merged document → ``Spec``. Section by section, so that a mistake in one hides none in another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cgc.formula.fields import kind_of
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.suggest import nearest
from cgc.source.text import Span
from cgc.source.tree import Entry, Node
from cgc.source.write import write
from cgc.spec import surface
from cgc.spec.components import build_component, build_edge, check_components
from cgc.spec.families import read_families
from cgc.spec.model import Family, ModuleName, Refinement, Spec, StatementText
from cgc.spec.modules import Scope, Written, check_refinements, read_all
from cgc.spec.names import bad_name, bad_spec_name
from cgc.spec.training import read_inference, read_train
from cgc.spec.unsupported import FIELDS, not_yet
from cgc.spec.validate import Reader, whole

_FIELDS = [name for name in surface.Document.model_fields if name != "extends"]


# what a number in an expression may cause
_NUMERIC = ("CG208", "CG305", "CG306")


def resolve(document: Node, files: Sequence[str], sources: Sequence[str]) -> Spec:
    """The spec that ``document`` says; ``sources`` are the names of its texts, in the order in which they are told about.

    Raises SpecError with all that is wrong with it, in the order of the text.
    """
    reader = Reader()
    document = _check_fields(reader, document)
    entries = document.entries or {}
    name = _read_name(reader, document)
    doc = _read_doc(reader, entries.get("doc"))
    broken = _read_params(reader, document)
    families = read_families(reader, reader.section(document, "families"))
    steps, timed = _read_time(reader, entries.get("time"))
    written = _read_components(reader, document, families, timed)
    drafts = written.drafts
    statements = _read_statements(reader, entries.get("independence"))
    sharing = _read_statements(reader, entries.get("sharing"))
    inferences = read_inference(reader, document, drafts)
    train = read_train(reader, entries.get("train"), drafts)
    if reader.findings:
        raise SpecError(*in_order([finding for finding in reader.findings if not _follows(finding, broken)], sources))
    return Spec(
        name=name,
        doc=doc,
        params=tuple(reader.params.items()),
        families=tuple(family for family in families.values() if family is not None),
        components=tuple(build_component(draft) for draft in drafts.values()),
        steps=steps,
        independence=statements,
        sharing=sharing,
        refinements=tuple(_refinement(scope) for scope in written.scopes.values() if scope.base),
        modules=tuple(
            ModuleName(name, written.find(name, scope.outer) or "", scope.place) for name, scope in written.scopes.items() if not scope.base
        ),
        train_inference=inferences[0],
        eval_inference=inferences[1],
        train=train,
        files=tuple(files),
        resolved=write(document.replaced({key: entries[key] for key in _FIELDS if key in entries})),
        span=entries["name"].node.span,
    )


def _follows(finding: Diagnostic, broken: Sequence[str]) -> bool:
    """Whether a finding may only be there because the params ``broken`` have no right value."""
    if finding.span is None or finding.code not in _NUMERIC:
        return False
    start = finding.span.column - 1
    text = finding.span.source.line(finding.span.line)[start : start + finding.span.length]
    return _mentions(text, broken)


def _mentions(text: str, names: Sequence[str]) -> bool:
    return any(re.search(rf"\b{re.escape(name)}\b", text) for name in names)


def in_order(findings: Sequence[Diagnostic], sources: Sequence[str]) -> list[Diagnostic]:
    """Each finding once, by source, line and column."""

    def key(finding: Diagnostic) -> tuple[int, int, int]:
        if finding.span is None:
            return (-1, 0, 0)
        name = finding.span.source.name
        return (sources.index(name) if name in sources else len(sources), finding.span.line, finding.span.column)

    # what an alias shows in several places is said at the first of them
    once: dict[tuple[str, Span | None, str], Diagnostic] = {}
    for finding in findings:
        once.setdefault((finding.code, finding.span, finding.help), finding)
    return sorted(once.values(), key=key)


def _check_fields(reader: Reader, document: Node) -> Node:
    """The document with what misspelt sections were probably meant to be, so that nothing else is said because of them."""
    written = document.entries or {}
    reader.findings += not_yet(document.replaced({key: entry for key, entry in written.items() if (key,) in FIELDS}), ())
    entries = {key: entry for key, entry in written.items() if key in _FIELDS}
    for key, entry in written.items():
        if key not in _FIELDS and (key,) not in FIELDS:
            close = nearest(key, _FIELDS)
            help = f"did you mean `{close}`?" if close else "fields: " + ", ".join(_FIELDS)
            reader.error("CG301", f"unknown field `{key}` in the spec", entry.key, help=help)
            entries.setdefault(close or key, entry)
    start = Span(document.span.source, 1, 1)
    version = entries.get("cgc")
    if version is None:
        reader.error("CG315", "the version of the language is missing", start, help="start with `cgc: 1`")
    elif version.node.scalar != 1 or isinstance(version.node.scalar, bool):
        reader.error("CG315", "this version of cgc reads version 1 of the language", version.node.span, help="write `cgc: 1`")
    for key, help in (("name", "add `name: …`"), ("components", "add an input and an output under `components:`")):
        if key not in entries:
            reader.error("CG302", f"the spec needs `{key}`", start, help=help)
    return document.replaced(entries)


def _read_name(reader: Reader, document: Node) -> str:
    place, node = document.find(("name",))
    if node is document:
        return ""
    if not isinstance(node.scalar, str):
        reader.error("CG305", f"expected text, found {kind_of(node.plain())}", whole(node, place), help="quote it, if it is meant as text")
        return ""
    wrong = bad_spec_name(node.scalar, node.span)
    reader.findings += [wrong] if wrong else []
    return node.scalar


def _read_doc(reader: Reader, entry: Entry | None) -> str:
    if entry is None or isinstance(entry.node.scalar, str):
        return str(entry.node.scalar) if entry else ""
    found = kind_of(entry.node.plain())
    reader.error("CG305", f"expected text, found {found}", whole(entry.node, entry.key), help="quote it, if it is meant as text")
    return ""


def _read_params(reader: Reader, document: Node) -> list[str]:
    """Adds the params to the reader, each over those above it. Those with a mistake, or over such, are returned; one without a value
    stands in as 1.
    """
    broken: list[str] = []
    for name, entry in reader.section(document, "params").items():
        before = len(reader.findings)
        wrong = bad_name(name, "a param", entry.key)
        reader.findings += [wrong] if wrong else []
        param = reader.read(surface.Param, entry.node, ("params", name), f"param `{name}`", entry.key)
        reader.params[name] = 1 if param is None else param.default
        if param is not None:
            place = whole(entry.node.find(("default",))[1], entry.key)
            if param.min is not None and param.default < param.min:
                reader.error("CG313", f"`{name}` is {param.default:g}, and must be at least {param.min:g}", place)
            if param.max is not None and param.default > param.max:
                reader.error("CG313", f"`{name}` is {param.default:g}, and must be at most {param.max:g}", place)
        default = entry.node.find(("default",))[1].scalar
        if len(reader.findings) > before or (isinstance(default, str) and _mentions(default, broken)):
            broken.append(name)
    return broken


def _read_time(reader: Reader, entry: Entry | None) -> tuple[int | None, bool]:
    """The number of steps, and whether there is time at all."""
    if entry is None or entry.node.plain() is None:
        return None, False
    time = reader.read(surface.Time, entry.node, ("time",), "`time`", entry.key)
    return (time.steps if time else None), True


def _read_components(reader: Reader, document: Node, families: dict[str, Family | None], timed: bool) -> Written:
    section = reader.section(document, "components")
    written = read_all(reader, section, reader.section(document, "refine"), families)
    if "components" in (document.entries or {}):
        place, node = document.find(("components",))
        if written.drafts or node.entries == {}:
            check_components(reader, written.drafts, timed, place)
            check_refinements(reader, written, timed)
    return written


def _refinement(scope: Scope) -> Refinement:
    assert scope.back is not None and scope.times is not None
    return Refinement(scope.base, scope.times, tuple(scope.inner), build_edge(scope.back), scope.place, scope.independent)


def _read_statements(reader: Reader, entry: Entry | None) -> tuple[StatementText, ...]:
    if entry is None or entry.node.plain() is None:
        return ()
    if entry.node.items is None:
        found = kind_of(entry.node.plain())
        help = "one statement per line, each after `- `"
        reader.error("CG305", f"expected a list of statements, found {found}", whole(entry.node, entry.key), help=help)
        return ()
    statements = []
    for item in entry.node.items:
        if isinstance(item.scalar, str):
            statements.append(StatementText(item.scalar, item.span))
        else:
            help = "write it after `- ` on a line of its own, and quote it if it contains `: `"
            reader.error("CG305", f"expected a statement, found {kind_of(item.plain())}", item.span, help=help)
    return tuple(statements)
