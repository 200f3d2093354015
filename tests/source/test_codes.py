"""The catalogue of codes is complete and holds nothing that is not said."""

from __future__ import annotations

import re
from pathlib import Path

import cgc
from cgc.source.codes import CODES
from cgc.spec.unsupported import FIELDS, WORDS

FILES = sorted(Path(cgc.__file__).parent.rglob("*.py"))


def test_every_code_in_use_is_explained_and_every_explained_code_is_used() -> None:
    used = {code for path in FILES if path.name != "codes.py" for code in re.findall(r"CG[1-7]\d\d", path.read_text(encoding="utf-8"))}
    assert used == set(CODES)


def test_entries() -> None:
    assert list(CODES) == sorted(CODES)
    for code, entry in CODES.items():
        assert entry.title and not entry.title.endswith("."), code
        assert len(entry.text) > len(entry.title) and all(len(line) <= 140 for line in entry.text.split("\n")), code


def test_what_is_not_supported_is_listed() -> None:
    names = {path[-1] for path in FIELDS} | {word for words in WORDS.values() for word in words}
    assert [name for name in sorted(names) if f"`{name}`" not in CODES["CG390"].text] == []
