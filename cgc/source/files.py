"""Reading a text file that a user names."""

from __future__ import annotations

import stat
from pathlib import Path

from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.suggest import nearest
from cgc.source.text import Source, Span
from cgc.source.yaml import MAX_BYTES


def read(path: Path, name: str, asked: Span | None = None) -> Source:
    """The text of ``path``, called ``name`` in messages; ``asked`` is the place that names it. Raises SpecError (CG112, CG105, CG104)."""

    def refuse(code: str, message: str, help: str = "") -> SpecError:
        return SpecError(Diagnostic(code, message, asked, help=help))

    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise refuse("CG112", f"{name} is a folder", "name a file in it")
        if not stat.S_ISREG(mode):
            raise refuse("CG112", f"{name} is not a file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        there = sorted(other.name for other in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        close = nearest(path.name, there)
        help = f"did you mean `{close}`?" if close else "there is: " + ", ".join(there[:8]) if there else ""
        raise refuse("CG112", f"{name} does not exist", help) from None
    except (OSError, ValueError) as error:
        raise refuse("CG112", f"{name} cannot be read", getattr(error, "strerror", None) or "") from None
    if len(data) > MAX_BYTES:
        raise refuse("CG105", f"{name} is larger than {MAX_BYTES:,} bytes", "a spec is a few kilobytes")
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refuse("CG104", f"{name} is not UTF-8 text (line {line})", "save it as UTF-8") from None
