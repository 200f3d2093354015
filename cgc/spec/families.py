"""Families as a spec declares them: read, named, aliases followed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Union

from pydantic import Field

from cgc.families.registry import registry
from cgc.formula.parse import FormulaError
from cgc.source.text import Span
from cgc.source.tree import Entry, Node
from cgc.spec.model import Family
from cgc.spec.names import bad_name
from cgc.spec.validate import Path, Reader, suggestion


@cache
def family_type() -> Any:
    """The type of an inline family: one of the registry's models, by ``kind``."""
    models = tuple(registry().values())
    return Annotated[Union[models], Field(discriminator="kind")] if len(models) > 1 else models[0]  # noqa: UP007


def read_families(reader: Reader, entries: Mapping[str, Entry]) -> dict[str, Family | None]:
    """Every declared family by its name; None for one that has an error. An alias becomes a family of its own name."""
    families: dict[str, Family | None] = {}
    aliases: dict[str, Node] = {}
    for name, entry in entries.items():
        wrong = bad_name(name, "a family", entry.key)
        if wrong:
            reader.findings.append(wrong)
        if isinstance(entry.node.scalar, str):
            aliases[name] = entry.node
            families[name] = None
        else:
            families[name] = read_family(reader, name, entry.node, ("families", name), entry.key)
    for name, node in aliases.items():
        target = _follow(reader, name, aliases, entries)
        if target in families and target not in aliases:
            original = families[target]
            families[name] = original and Family(
                name, original.kind, original.law, original.emit, node.span, original.fields, original.closed
            )
    return families


def _follow(reader: Reader, name: str, aliases: Mapping[str, Node], entries: Mapping[str, Entry]) -> str | None:
    """The family that an alias leads to; a loop or an unknown name is told where it is written, once."""
    seen = [name]
    while seen[-1] in aliases:
        node = aliases[seen[-1]]
        target = str(node.scalar)
        if target in seen:
            # every member of the loop would tell it
            if name == min(seen[seen.index(target) :]):
                loop = " → ".join([*seen[seen.index(target) :], target])
                reader.error("CG309", "these families are aliases of each other", node.span, why=loop, help="give one of them a kind")
            return None
        if target not in entries:
            if len(seen) == 1:
                unknown_family(reader, target, node.span, list(entries))
            return None
        seen.append(target)
    return seen[-1]


def unknown_family(reader: Reader, name: str, span: Span, known: list[str]) -> None:
    """Adds the Diagnostic (CG308) for a family name that stands for nothing."""
    if name in registry():
        help = f"`{name}` is a kind: write `{{kind: {name}, …}}`"
    else:
        help = suggestion(name, known, "families") or "declare it under `families`"
    reader.error("CG308", f"unknown family `{name}`", span, help=help)


def read_family(reader: Reader, name: str, node: Node, path: Path, place: Span) -> Family | None:
    """One family with its density; None, with Diagnostics, if it has an error."""
    declared = reader.read(family_type(), node, path, f"family `{name}`", place)
    if declared is None:
        return None
    fields = tuple((key, entry.node.span) for key, entry in (node.entries or {}).items())
    try:
        return Family(name, declared.kind, declared.law(), declared.emit, place, fields, declared.route is None)
    except FormulaError as error:
        reader.error(error.code, error.message, place, help=error.help)
        return None
