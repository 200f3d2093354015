"""What is said to a user about a mistake, as data. ``render.py`` turns it into text.

A mistake of the user is a :class:`Diagnostic`; anything else is an :class:`InternalCompilerError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cgc.source.text import Span

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Label:
    """A further place that belongs to a message, with a few words about it."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One finding: its code (see ``codes.py``), what is wrong, where, why, and what helps.

    ``label`` stands after the caret of ``span``; ``others`` are further places, shown in the order of their lines.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    others: tuple[Label, ...] = ()
    why: str = ""
    help: str = ""
    severity: Severity = "error"


class SpecError(Exception):
    """Carries the Diagnostics of a stage that could not produce its result."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("; ".join(d.message for d in diagnostics))
        self.diagnostics = diagnostics


class InternalCompilerError(Exception):
    """A bug of ours: names the stage in which it showed."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(f"internal error in {stage}: {message}")
        self.stage = stage
