"""Diagnostics → text with carets, or data for ``--json``."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cgc.source.diagnostics import Diagnostic, Label
from cgc.source.text import Source, Span

WIDTH = 140
TAB = 4
SHOWN = 100

_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "note": "\x1b[1;36m", "bold": "\x1b[1m", "line": "\x1b[34m"}
_RESET = "\x1b[0m"


@dataclass(frozen=True)
class _Mark:
    """Something to show under a line."""

    span: Span
    text: str
    primary: bool


def render(diagnostics: Sequence[Diagnostic], colour: bool = False) -> str:
    """One after another, at most ``SHOWN``, and a line that counts all of them. Empty for none."""
    if not diagnostics:
        return ""
    more = len(diagnostics) - SHOWN
    rest = [f"and {more} more\n"] if more > 0 else []
    return "\n".join([*(render_one(diagnostic, colour) for diagnostic in diagnostics[:SHOWN]), *rest, _closing(diagnostics)]) + "\n"


def render_one(diagnostic: Diagnostic, colour: bool = False) -> str:
    """One Diagnostic; ends with a line break."""
    head = _painted(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity, colour)
    lines = [f"{head}: {_painted(visible(diagnostic.message), 'bold', colour)}"]
    gutter = 0
    if diagnostic.span is not None:
        marks = [_Mark(diagnostic.span, diagnostic.label, True), *(_Mark(label.span, label.text, False) for label in diagnostic.others)]
        gutter = max(len(str(mark.span.line)) for mark in marks)
        rule = " " * gutter + " " + _painted("|", "line", colour)
        for source in dict.fromkeys(mark.span.source for mark in marks):
            here = sorted((mark for mark in marks if mark.span.source == source), key=lambda mark: (mark.span.line, mark.span.column))
            first = diagnostic.span if source == diagnostic.span.source else here[0].span
            arrow = "-->" if source == diagnostic.span.source else ":::"
            lines += [f"{' ' * gutter}{_painted(arrow, 'line', colour)} {visible(str(first))}", rule]
            lines += _excerpt(source, here, gutter, diagnostic.severity, colour)
        if diagnostic.why or diagnostic.help:
            lines.append(rule)
    for word, text in (("why", diagnostic.why), ("help", diagnostic.help)):
        if text:
            lines.append(f"{' ' * gutter} = {_painted(word, 'bold', colour)}: {visible(text)}")
    return "\n".join(lines) + "\n"


def _excerpt(source: Source, marks: Sequence[_Mark], gutter: int, severity: str, colour: bool) -> list[str]:
    """The marked lines with what is under them, a ``:`` where lines are left out."""
    rows: list[str] = []
    before: int | None = None
    for number in dict.fromkeys(mark.span.line for mark in marks):
        if before is not None and number > before + 1:
            rows.append(" " * gutter + " " + _painted(":", "line", colour))
        under = [mark for mark in marks if mark.span.line == number]
        text, starts = _window(source.line(number), [mark.span for mark in under])
        rows.append(f"{_painted(f'{number:>{gutter}} |', 'line', colour)} {text}".rstrip())
        for mark, (column, length) in zip(under, starts, strict=True):
            sign = ("^" if mark.primary else "-") * length
            note = _painted(f"{sign} {visible(mark.text)}".rstrip(), severity if mark.primary else "line", colour)
            rows.append(f"{' ' * gutter} {_painted('|', 'line', colour)} {' ' * column}{note}")
        before = number
    return rows


def _window(line: str, spans: Sequence[Span]) -> tuple[str, list[tuple[int, int]]]:
    """The line as shown, cut around the marked places if it is long; for each span its column and length on the screen."""
    start, stop = 0, len(line)
    if len(line) > WIDTH:
        first = min(span.column - 1 for span in spans)
        start = max(0, min(first - WIDTH // 3, len(line) - WIDTH))
        stop = min(len(line), start + WIDTH)
    left, right = "…" * (start > 0), "…" * (stop < len(line))
    places = []
    for span in spans:
        begin = min(max(span.column - 1, start), stop)
        end = min(max(begin, span.column - 1 + span.length), stop)
        column = _width(left) + _width(_shown(line[start:begin]))
        places.append((column, max(1, _width(_shown(line[begin:end])))))
    return left + _shown(line[start:stop]) + right, places


def _shown(text: str) -> str:
    return visible(text.replace("\t", " " * TAB))


def visible(text: str) -> str:
    """Text with control characters spelled out, so that nothing in a spec can steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def _width(text: str) -> int:
    """Columns that ``text`` takes on a screen."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _painted(text: str, style: str, colour: bool) -> str:
    return f"{_COLOURS[style]}{text}{_RESET}" if colour and text else text


def _closing(diagnostics: Sequence[Diagnostic]) -> str:
    counts = [
        f"{count} {severity}{'s' * (count != 1)}"
        for severity in ("error", "warning", "note")
        if (count := sum(diagnostic.severity == severity for diagnostic in diagnostics))
    ]
    files = len({diagnostic.span.source.name for diagnostic in diagnostics if diagnostic.span is not None})
    where = f" in {files} file{'s' * (files != 1)}" if files else ""
    return f"{', '.join(counts)}{where}. `cgc explain {diagnostics[0].code}` says more."


def as_data(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """What ``--json`` prints: lines and columns count from 1."""
    return [
        {
            "code": diagnostic.code,
            "severity": diagnostic.severity,
            "message": diagnostic.message,
            **_place(diagnostic.span),
            "label": diagnostic.label,
            "others": [_other(label) for label in diagnostic.others],
            "why": diagnostic.why,
            "help": diagnostic.help,
        }
        for diagnostic in diagnostics
    ]


def _other(label: Label) -> dict[str, Any]:
    return {**_place(label.span), "text": label.text}


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"file": None, "line": None, "column": None, "length": None}
    return {"file": span.source.name, "line": span.line, "column": span.column, "length": span.length}
