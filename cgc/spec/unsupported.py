"""What the language has and this version cannot compile yet. The one place that lists it; delete a line when it works."""

from __future__ import annotations

from collections.abc import Iterator

from cgc.source.diagnostics import Diagnostic
from cgc.source.text import Span
from cgc.source.tree import Node

Path = tuple[str | int, ...]

_COMPONENT = ("components", "*")
_EDGE = (*_COMPONENT, "parents", "*")

# fields, by their path
FIELDS: frozenset[tuple[str, ...]] = frozenset({})

# words, by the path of their field; a word under ``kind`` also as a short form
WORDS: dict[tuple[str, ...], tuple[str, ...]] = {}


def not_yet(node: Node, path: Path) -> list[Diagnostic]:
    """One Diagnostic (CG390) for each thing below ``node``, which stands at ``path``, that this version cannot compile."""
    return [unsupported(what, span) for what, span in _walk(node, tuple(part for part in path if isinstance(part, str)), node.span)]


def unsupported(what: str, span: Span | None) -> Diagnostic:
    """The Diagnostic for a part of the language that is not there yet."""
    return Diagnostic("CG390", f"{what} is not supported by this version of cgc", span, help="`cgc explain CG390` lists what is not")


def _walk(node: Node, path: tuple[str, ...], place: Span) -> Iterator[tuple[str, Span]]:
    if any(_matches(path, pattern) for pattern in FIELDS):
        yield f"`{path[-1]}`", place
        return
    if isinstance(node.scalar, str):
        for pattern, words in WORDS.items():
            if node.scalar in words and (_matches(path, pattern) or (pattern[-1] == "kind" and _matches(path, pattern[:-1]))):
                yield f"`{node.scalar}`", node.span
    # what stands beside a kind or name that is not there belongs to it
    for key in ("kind", "name"):
        tag = node.get(key)
        found = list(_walk(tag, (*path, key), tag.span)) if tag is not None else []
        if found:
            yield from found
            return
    for key, entry in (node.entries or {}).items():
        yield from _walk(entry.node, (*path, key), entry.key)
    for item in node.items or ():
        yield from _walk(item, path, item.span)


def _matches(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(p in ("*", q) for q, p in zip(path, pattern, strict=True))
