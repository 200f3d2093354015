"""Derivations that were made before, by content: a density, what is asked of it, and the source of everything that derives.

One file per density in ``$CGC_CACHE`` (a folder, or ``off``), else in the user's cache folder. A file holds the key that it was
written under, part by part, so that a miss can be explained. A file that cannot be read is a miss.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mpmath
import numpy
import sympy

import cgc
from cgc.derive.codec import decode, encode
from cgc.derive.derivation import Derivation
from cgc.families.forms import Law

_SOURCES = ("families", "formula", "derive")


def folder() -> Path | None:
    """Where derivations are kept; None where they are not."""
    chosen = os.environ.get("CGC_CACHE", "")
    if chosen.lower() in ("off", "0", "no"):
        return None
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "cgc"


@cache
def compiler_parts() -> tuple[tuple[str, str], ...]:
    """What a derivation depends on beside its density: every source file of the packages that derive, and the libraries' versions."""
    root = Path(cgc.__file__).parent
    files = sorted(path for name in _SOURCES for path in (root / name).glob("*.py"))
    parts = [(f"cgc/{path.relative_to(root).as_posix()}", hashlib.sha256(path.read_bytes()).hexdigest()[:16]) for path in files]
    return (*parts, ("sympy", sympy.__version__), ("mpmath", mpmath.__version__), ("numpy", numpy.__version__))


def identity(law: Law, emit: str | None, closed: bool) -> str:
    """The name of a density and what is asked of it."""
    return hashlib.sha256(f"{law!r}\n{emit}\n{closed}".encode()).hexdigest()[:32]


def load(law: Law, emit: str | None, closed: bool) -> Derivation | None:
    """The derivation as it was made before by this very compiler, or None."""
    place = folder()
    if place is None:
        return None
    try:
        content = json.loads((place / f"{identity(law, emit, closed)}.json").read_text(encoding="utf-8"))
        if content["key"] != [list(part) for part in compiler_parts()]:
            return None
        return decode(content["derivation"], law)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store(law: Law, emit: str | None, closed: bool, derivation: Derivation) -> None:
    """Keep a derivation. A folder that cannot be written is no reason to fail."""
    place = folder()
    if place is None:
        return
    content = json.dumps({"key": compiler_parts(), "density": derivation.density, "derivation": encode(derivation)})
    try:
        place.mkdir(parents=True, exist_ok=True)
        # whole or not at all: others may read and write here
        with tempfile.NamedTemporaryFile("w", dir=place, suffix=".tmp", delete=False, encoding="utf-8") as file:
            file.write(content)
        os.replace(file.name, place / f"{identity(law, emit, closed)}.json")
    except OSError:
        return


@dataclass(frozen=True)
class Explanation:
    """Whether a derivation is there, and if not, why: ``reasons`` are the parts of the key that differ."""

    hit: bool
    path: Path | None
    reasons: tuple[str, ...]


def explain(law: Law, emit: str | None, closed: bool) -> Explanation:
    """Why the next derivation of ``law`` will be free, or not."""
    place = folder()
    if place is None:
        return Explanation(False, None, ("CGC_CACHE is off",))
    path = place / f"{identity(law, emit, closed)}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        before = {str(name): str(digest) for name, digest in content["key"]}
        decode(content["derivation"], law)
    except FileNotFoundError:
        return Explanation(False, path, ("this density has not been derived before",))
    except (OSError, ValueError, KeyError, TypeError):
        return Explanation(False, path, ("its file cannot be read",))
    now = dict(compiler_parts())
    reasons = [f"{name} has changed" for name in now if name in before and before[name] != now[name]]
    reasons += [f"{name} is new" for name in now if name not in before]
    reasons += [f"{name} is gone" for name in before if name not in now]
    return Explanation(not reasons, path, tuple(reasons))


def clear() -> int:
    """Forget all derivations; how many there were."""
    place = folder()
    files = sorted(place.glob("*.json")) if place is not None and place.is_dir() else []
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)
