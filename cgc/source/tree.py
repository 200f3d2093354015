"""A document as a tree in which every value and every key knows its place, whatever file or option it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cgc.source.text import Span

Scalar = None | bool | int | float | str


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of a mapping: where its key stands, and its value."""

    key: Span
    node: Node


@dataclass(frozen=True, eq=False)
class Node:
    """A scalar, a list or a mapping. The span of a quoted scalar lies between its quotes.

    ``entries`` is None unless this is a mapping, ``items`` unless it is a list. Aliases share nodes.
    """

    span: Span
    scalar: Scalar = None
    items: tuple[Node, ...] | None = None
    entries: Mapping[str, Entry] | None = field(default=None)

    def get(self, key: str) -> Node | None:
        """The value under ``key``, or None if this is no mapping or has no such key."""
        entry = (self.entries or {}).get(key)
        return entry.node if entry else None

    def plain(self) -> Any:
        """The value as plain dicts, lists and scalars."""
        if self.entries is not None:
            return {key: entry.node.plain() for key, entry in self.entries.items()}
        if self.items is not None:
            return [item.plain() for item in self.items]
        return self.scalar

    def without(self, *keys: str) -> Node:
        """This mapping without some of its keys."""
        return self.replaced({key: entry for key, entry in (self.entries or {}).items() if key not in keys})

    def replaced(self, entries: Mapping[str, Entry]) -> Node:
        """A mapping at the same place with other entries."""
        return Node(self.span, entries=entries)

    def find(self, path: Iterable[str | int]) -> tuple[Span, Node]:
        """Where ``path`` leads: the place to point at for "this entry" (its key, if it has one) and the value.

        Parts of the path that are not in the tree are skipped.
        """
        node, place = self, self.span
        for part in path:
            if node.entries is not None and part in node.entries:
                entry = node.entries[str(part)]
                node, place = entry.node, entry.key
            elif node.items is not None and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
                place = node.span
        return place, node

    def inside(self, offset: int, length: int) -> Span:
        """The place of a part of this scalar's text, or of the whole where escapes or line breaks hide it."""
        text = self.scalar if isinstance(self.scalar, str) else ""
        start = self.span.column - 1 + offset
        shown = self.span.source.line(self.span.line)[start : start + length]
        return self.span.within(offset, length) if shown and shown == text[offset : offset + length] else self.span
