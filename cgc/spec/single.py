"""A family on its own, without a spec around it: a YAML mapping as text, or plain Python data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cgc.families.registry import registry, trouble
from cgc.formula.fields import kind_of
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.suggest import nearest
from cgc.source.text import Source
from cgc.source.tree import Entry, Node
from cgc.source.yaml import parse
from cgc.spec.families import read_family
from cgc.spec.model import Family, Number
from cgc.spec.validate import Reader


def read_single(family: str | Mapping[str, Any], params: Mapping[str, Number] | None = None) -> Family:
    """The family that a text such as ``{kind: gaussian, std: 1}`` (or the same as a mapping) describes.

    A bare word is a kind, with its fields left at what they are by default. Raises SpecError with all findings.
    """
    written = family if isinstance(family, str) else _flow(family)
    node = parse(Source("<family>", written))
    if isinstance(node.scalar, str):
        node = _of_kind(node)
    if node.entries is None:
        raise SpecError(
            Diagnostic("CG305", f"expected a family, found {kind_of(node.plain())}", node.span, help="write `{kind: gaussian, std: 1}`")
        )
    reader = Reader()
    reader.params.update(params or {})
    found = read_family(reader, "node", node, ("families", "node"), node.span)
    if found is None or reader.findings:
        raise SpecError(*reader.findings)
    return found


def _of_kind(node: Node) -> Node:
    word = str(node.scalar)
    if word not in registry():
        close = nearest(word, registry())
        help = f"did you mean `{close}`?" if close else "kinds: " + ", ".join(registry())
        raise SpecError(Diagnostic("CG303", f"unknown kind `{word}`", node.span, why=trouble(), help=help))
    return Node(node.span, entries={"kind": Entry(node.span, node)})


def _flow(value: Any) -> str:
    """Plain data as YAML in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(inner) for inner in value) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return repr(value) if isinstance(value, (int, float)) else "'" + str(value).replace("'", "''") + "'"
