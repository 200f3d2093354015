"""Source files and places in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@lru_cache(maxsize=8)
def _lines(text: str) -> list[str]:
    # every span of a text asks for lines of it
    return text.split("\n")


@dataclass(frozen=True)
class Source:
    """One text with the name that messages show for it.

    ``name`` is a path as the user gave it, or a description such as ``--set``.
    """

    name: str
    text: str

    def line(self, number: int) -> str:
        """The text of line ``number`` (from 1), without its line break; empty past the end."""
        lines = _lines(self.text)
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


@dataclass(frozen=True)
class Span:
    """A place in a source: line and column count from 1, ``length`` in characters (at least 1)."""

    source: Source
    line: int
    column: int
    length: int = 1

    def within(self, offset: int, length: int = 1) -> Span:
        """The part of this span that starts ``offset`` characters in."""
        return Span(self.source, self.line, self.column + offset, max(1, length))

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"
