"""One section of a spec against its pydantic model: what pydantic finds, as Diagnostics with places, one per mistake."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from cgc.families.registry import registry, trouble
from cgc.formula.fields import kind_of
from cgc.source.diagnostics import Diagnostic
from cgc.source.suggest import nearest
from cgc.source.text import Span
from cgc.source.tree import Entry, Node
from cgc.spec.model import Number
from cgc.spec.unsupported import not_yet

Path = tuple[str | int, ...]

# pydantic's error type → what was expected; for lists and mappings the same words that users read elsewhere
_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "list_type": "a list",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "text",
    "tuple_type": "a list",
}


def suggestion(word: str, options: Sequence[str], what: str = "known") -> str:
    """Help for a word that is not among ``options``."""
    close = nearest(word, options)
    return f"did you mean `{close}`?" if close else (f"{what}: " + ", ".join(options) if options else "")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class Reader:
    """Reads sections of a spec as values of surface types, with the params known so far, and keeps what is wrong with them."""

    def __init__(self) -> None:
        self.params: dict[str, Number] = {}
        self.findings: list[Diagnostic] = []

    def error(self, code: str, message: str, span: Span | None, **rest: Any) -> None:
        """Adds an error; ``rest`` are fields of Diagnostic."""
        self.findings.append(Diagnostic(code, message, span, **rest))

    def read(self, kind: Any, node: Node, path: Path, where: str, place: Span) -> Any:
        """``node`` as a value of the type ``kind``; None, with Diagnostics, if it is not one.

        ``path`` is where the section stands in the spec, ``where`` the same in words, ``place`` what to point at for the whole of it.
        """
        unsupported = not_yet(node, path)
        if unsupported:
            self.findings += unsupported
            return None
        try:
            return _adapter(kind).validate_python(node.plain(), context={"params": self.params})
        except ValidationError as error:
            self.findings += _diagnostics(kind, node, where, place, error)
        return None

    def section(self, document: Node, name: str) -> Mapping[str, Entry]:
        """The entries of a top-level section that maps names of the user's; empty, perhaps with a Diagnostic, if it is none."""
        entry = (document.entries or {}).get(name)
        if entry is None:
            return {}
        if entry.node.entries is None:
            self.error("CG305", f"expected a mapping, found {kind_of(entry.node.plain())}", whole(entry.node, entry.key))
        return entry.node.entries or {}


def misspelt(keys: Iterable[str], known: Sequence[str]) -> set[str]:
    """The known fields that unknown ``keys`` were probably meant to be: these are not also missing."""
    return {close for key in keys if key not in known and (close := nearest(key, known)) is not None}


def _diagnostics(kind: Any, node: Node, where: str, place: Span, error: ValidationError) -> Iterator[Diagnostic]:
    slips = error.errors(include_url=False)
    meant = _meant(kind, slips)
    for slip in slips:
        if slip["type"] == "missing" and slip["loc"] in meant.values():
            continue
        found = _diagnostic(kind, node, where, place, slip)
        if slip["loc"] in meant and slip["type"] == "extra_forbidden":
            found = replace(found, help=f"did you mean `{meant[slip['loc']][-1]}`?")
        yield found


def _meant(kind: Any, slips: Sequence[Any]) -> dict[Path, Path]:
    """Unknown fields with the missing ones they were probably meant to be: by their letters, or because one of each is left."""
    missing = [slip["loc"] for slip in slips if slip["type"] == "missing"]
    meant: dict[Path, Path] = {}
    for loc in (slip["loc"] for slip in slips if slip["type"] == "extra_forbidden"):
        section = loc[:-1]
        lacking = [other for other in missing if other[:-1] == section]
        close = nearest(str(loc[-1]), fields_at(kind, section))
        strangers = [slip for slip in slips if slip["type"] == "extra_forbidden" and slip["loc"][:-1] == section]
        if close is not None and (*section, close) in lacking:
            meant[loc] = (*section, close)
        elif close is None and len(lacking) == len(strangers) == 1:
            meant[loc] = lacking[0]
    return meant


def _diagnostic(kind: Any, node: Node, where: str, place: Span, slip: Any) -> Diagnostic:
    loc: Path = slip["loc"]
    code: str = slip["type"]
    context: dict[str, Any] = slip.get("ctx", {})
    key, value = node.find(loc)
    if value is node:
        key = place
    if re.fullmatch(r"CG\d{3}", code):
        offset = context["offset"]
        span = value.inside(offset, context["length"]) if offset is not None else whole(value, key)
        return Diagnostic(code, slip["msg"], span, label="in this expression" if code.startswith("CG2") else "", help=context["help"])
    named = _section(node, loc[:-1], where)
    match code:
        case "extra_forbidden":
            known = fields_at(kind, loc[:-1])
            return Diagnostic("CG301", f"unknown field `{loc[-1]}` in {named}", key, help=suggestion(str(loc[-1]), known, "fields"))
        case "missing":
            return Diagnostic("CG302", f"{named} needs `{loc[-1]}`", key, help=f"add `{loc[-1]}: …`")
        case "union_tag_invalid":
            found = value.get("kind") or value
            kinds = re.findall(r"'([^']*)'", context["expected_tags"])
            why = trouble() if kinds == list(registry()) else ""
            return Diagnostic(
                "CG303", f"unknown kind `{context['tag']}`", found.span, why=why, help=suggestion(context["tag"], kinds, "kinds")
            )
        case "union_tag_not_found":
            wanted = tags_at(kind, loc)
            tag = value.get("kind")
            if tag is not None:
                return Diagnostic("CG305", f"expected a word for `kind`, found {kind_of(tag.plain())}", whole(tag, key))
            return Diagnostic("CG302", f"{_section(node, loc, where)} needs `kind`", key, help="kinds: " + ", ".join(wanted))
        case "literal_error":
            words = re.findall(r"'([^']*)'", context["expected"])
            if not isinstance(value.scalar, str):
                help = "one of: " + ", ".join(words)
                return Diagnostic("CG305", f"expected a word, found {kind_of(value.plain())}", whole(value, key), help=help)
            return Diagnostic("CG304", f"unknown value `{value.scalar}`", value.span, help=suggestion(value.scalar, words, "one of"))
        case "too_short" | "too_long":
            bound = context.get("min_length", context.get("max_length"))
            words_ = f"at {'least' if code == 'too_short' else 'most'} {bound} value{'s' * (bound != 1)}"
            return Diagnostic("CG305", f"expected {words_}, found {context['actual_length']}", whole(value, key))
        case "model_attributes_type" if kinds := tags_at(kind, loc):
            message = f"expected a word, or a mapping with `kind`, found {kind_of(value.plain())}"
            return Diagnostic("CG305", message, whole(value, key), help="kinds: " + ", ".join(kinds))
    if code in _EXPECTED:
        return Diagnostic("CG305", f"expected {_EXPECTED[code]}, found {kind_of(value.plain())}", whole(value, key))
    return Diagnostic("CG305", slip["msg"].lower(), whole(value, key))


def whole(value: Node, key: Span) -> Span:
    """What to point at for a value: a block mapping or list by its key, anything else by itself."""
    block = value.entries is not None or value.items is not None
    opens = value.span.source.line(value.span.line)[value.span.column - 1 : value.span.column]
    empty = value.scalar is None and not block
    return key if empty or (block and opens not in ("{", "[")) else value.span


def _section(node: Node, loc: Path, where: str) -> str:
    """The section at ``loc`` in words: the name of the last key on the way, or ``where`` at the top."""
    name = where
    for part in loc:
        if node.entries is not None and part in node.entries:
            node = node.entries[str(part)].node
            name = f"`{part}`"
        elif node.items is not None and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
    return name


def _descend(kind: Any, loc: Path) -> Any:
    """The type that pydantic used at ``loc``, whose parts are fields, keys, indices and tags of unions."""
    for part in loc:
        kind = _members(kind)
        if isinstance(kind, tuple):
            kind = next((member for member in kind if part in tags_of(member)), None)
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found = [info.annotation for name, info in kind.model_fields.items() if part in (name, info.alias)]
            kind = found[0] if found else None
        elif get_origin(kind) in (dict, tuple, list):
            kind = get_args(kind)[get_origin(kind) is dict]
    return _members(kind)


def _members(kind: Any) -> Any:
    """Without Annotated and None; a tuple of types for a union of several."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        members = tuple(member for member in get_args(kind) if member is not type(None))
        return _members(members[0]) if len(members) == 1 else members
    return kind


def tags_of(kind: Any) -> tuple[str, ...]:
    """The values of ``kind`` that lead to a model."""
    info = kind.model_fields.get("kind") if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return get_args(info.annotation) if info is not None and get_origin(info.annotation) is Literal else ()


def tags_at(kind: Any, loc: Path) -> list[str]:
    """The kinds that a union at ``loc`` knows."""
    members = _descend(kind, loc)
    return [tag for member in (members if isinstance(members, tuple) else (members,)) for tag in tags_of(member)]


def fields_at(kind: Any, loc: Path) -> list[str]:
    """The fields that the section at ``loc`` knows, as users write them."""
    model = _descend(kind, loc)
    return [info.alias or name for name, info in model.model_fields.items()] if hasattr(model, "model_fields") else []
