"""Several documents into one: ``extends``, and what the command line sets (``-p``, ``--set``)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.files import read
from cgc.source.text import Source, Span
from cgc.source.tree import Entry, Node
from cgc.source.yaml import parse
from cgc.spec.validate import suggestion

MAX_CHAIN = 32
_APPENDING = ("independence", "sharing")


def document(source: Source, shown: Source | None = None) -> Node:
    """One file's tree, which must be a mapping; its ``x-`` keys are left out and bare params written as ``{default: …}``."""
    root = parse(source, shown)
    if root.entries is None:
        raise SpecError(Diagnostic("CG305", "a spec is a mapping", root.span, help="start with `cgc: 1` and `name: …`"))
    entries = {key: entry for key, entry in root.entries.items() if not key.startswith("x-")}
    params = entries.get("params")
    if params is not None and params.node.entries is not None:
        long = {key: Entry(entry.key, _long_param(entry.node)) for key, entry in params.node.entries.items()}
        entries["params"] = Entry(params.key, params.node.replaced(long))
    return root.replaced(entries)


def _long_param(node: Node) -> Node:
    return Node(node.span, entries={"default": Entry(node.span, node)}) if node.scalar is not None else node


def extended(path: Path, name: str, asked: Span | None = None) -> tuple[Node, list[str], list[str]]:
    """The spec at ``path`` merged over what it extends; the files it took, outermost first, as seen from its folder, and as shown.

    ``asked`` is the place that names ``path``, where a spec does.

    Raises SpecError: CG320 (a path that leaves the folder), CG321 (a loop), and what reading and parsing raise.
    """
    if not name.isprintable():
        raise SpecError(Diagnostic("CG112", f"`{name}` cannot be the name of a file"))
    root = path.resolve().parent
    files: list[str] = []
    names: list[str] = []
    chain: list[Node] = []
    while True:
        place = path.resolve()
        shown = PurePosixPath(place.relative_to(root)).as_posix()
        if shown in files or len(files) >= MAX_CHAIN:
            loop = " → ".join([*files, shown])
            raise SpecError(Diagnostic("CG321", "the specs extend each other in a circle", asked, why=loop, help="remove one `extends`"))
        files.append(shown)
        names.append(name)
        node = document(read(path, name, asked))
        chain.append(node.without("extends"))
        target = node.get("extends")
        if target is None or node.entries is None:
            break
        asked = target.span
        if not isinstance(target.scalar, str) or not target.scalar:
            raise SpecError(Diagnostic("CG305", "expected the path of a spec", asked, help="as in `extends: srn.yaml`"))
        path, name = beside(path, target.scalar, root, asked), os.path.join(os.path.dirname(name), target.scalar)
    merged = chain.pop()
    while chain:
        merged = merge(merged, chain.pop(), appending=True)
    return merged, files, names


def beside(path: Path, target: str, root: Path, span: Span | None, field: str = "extends") -> Path:
    """The file that ``path`` names in ``field``. Raises SpecError (CG320) if it is not below ``root``."""
    reached = path.parent / target
    if os.path.isabs(target) or "\\" in target or not target.isprintable() or not reached.resolve().is_relative_to(root):
        help = "name a file in the folder of the spec, or below it"
        raise SpecError(Diagnostic("CG320", f"`{field}` leads out of the folder of the spec", span, help=help))
    return reached


def merge(base: Node, over: Node, appending: bool, key: str = "", depth: int = 0) -> Node:
    """``over`` on top of ``base``: mappings merge, ``null`` removes, anything else, or another ``kind``, replaces.

    With ``appending``, the lists ``independence`` and ``sharing`` at the top are appended to.
    """
    if over.entries is None:
        if appending and depth == 1 and key in _APPENDING and base.items is not None and over.items is not None:
            return Node(base.span, items=base.items + over.items)
        return over
    if isinstance(base.scalar, str) and "kind" not in over.entries and key != "family":
        # a bare word is short for a kind
        base = Node(base.span, entries={"kind": Entry(base.span, base)})
    if base.entries is None or _kind(base, over) != _kind(over, base):
        return over
    entries = dict(base.entries)
    for name, entry in over.entries.items():
        if entry.node.scalar is None and entry.node.items is None and entry.node.entries is None:
            entries.pop(name, None)
        elif name in entries:
            node = merge(entries[name].node, entry.node, appending, name, depth + 1)
            # a mapping that was only added to is still where it began
            entries[name] = Entry(entry.key if node is entry.node else entries[name].key, node)
        else:
            entries[name] = entry
    return base.replaced(entries)


def _kind(node: Node, other: Node) -> object:
    kind = node.get("kind") or other.get("kind")
    return kind.plain() if kind else None


def with_overrides(document_: Node, overrides: Sequence[tuple[str, str]]) -> Node:
    """The document after each ``--set path=value``. Raises SpecError with all that is wrong with them (CG322 and CG1xx)."""
    findings: list[Diagnostic] = []
    for path, value in overrides:
        try:
            document_ = _with_override(document_, path, value)
        except SpecError as error:
            findings += error.diagnostics
    if findings:
        raise SpecError(*findings)
    return document_


def _with_override(base: Node, path: str, value: str) -> Node:
    shown = Source(f"--set {path}", f"{path}={value}")
    node = parse(Source(shown.name, " " * (len(path) + 1) + value), shown) if value.strip() else Node(Span(shown, 1, len(path) + 2))
    keys, column, spans = path.split("."), 1, []
    for key in keys:
        spans.append(Span(shown, 1, column, max(1, len(key))))
        column += len(key) + 1
    if not all(keys) or keys[0] in ("extends", "cgc") or keys[0].startswith("x-"):
        raise SpecError(Diagnostic("CG322", f"`--set` cannot set `{path}`", spans[0], help="name fields with dots, as in train.epochs=5"))
    # these sections hold names of the user's: a new one would be a slip without effect
    if len(keys) > 1 and keys[0] in ("components", "families", "params"):
        known = list(getattr(base.get(keys[0]), "entries", None) or {})
        if keys[1] not in known:
            help = suggestion(keys[1], known)
            raise SpecError(Diagnostic("CG322", f"there is no `{keys[1]}` among the {keys[0]}", spans[1], help=help))
    if keys[0] == "params" and len(keys) == 2:
        node = _long_param(node)
    for key, span in reversed(list(zip(keys, spans, strict=True))):
        node = Node(span, entries={key: Entry(span, node)})
    return merge(base, node, appending=False)


def with_params(base: Node, params: Mapping[str, str | int | float]) -> Node:
    """The document with each ``-p name=value`` as the new default of that param. Raises SpecError (CG312)."""
    known = list(getattr(base.get("params"), "entries", None) or {})
    findings = []
    entries: dict[str, Entry] = {}
    for name, value in params.items():
        source = Source(f"-p {name}", f"{name}={value}")
        key, place = Span(source, 1, 1, max(1, len(name))), Span(source, 1, len(name) + 2, max(1, len(str(value))))
        if name not in known:
            help = suggestion(name, known, "params") or "the spec has no params"
            findings.append(Diagnostic("CG312", f"the spec has no param `{name}`", key, help=help))
        default = Node(place, entries={"default": Entry(place, Node(place, scalar=_number(value)))})
        entries[name] = Entry(key, default)
    if findings:
        raise SpecError(*findings)
    if not entries:
        return base
    top = Span(Source("-p", ""), 1, 1)
    return merge(base, Node(top, entries={"params": Entry(top, Node(top, entries=entries))}), appending=False)


def _number(value: str | int | float) -> str | int | float:
    """A param as written on the command line: a number if it reads as one, else an expression."""
    for read_as in (int, float):
        try:
            return read_as(value) if isinstance(value, str) and len(value) <= 30 else value
        except ValueError:
            continue
    return value
