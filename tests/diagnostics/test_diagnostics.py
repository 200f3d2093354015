"""Every kind of mistake, as twins: ``NAME.bad.yaml`` is said exactly what ``NAME.txt`` holds, ``NAME.good.yaml`` is fine.

The first line of a spec may give options, as in ``# cgc check NAME.bad.yaml -p hidden=0``. Expected texts are written with ``--update``.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from cgc.compiler import check
from cgc.source.diagnostics import Diagnostic
from cgc.source.render import render

HERE = Path(__file__).parent
NAMES = sorted(path.name.removesuffix(".bad.yaml") for path in HERE.glob("*.bad.yaml"))
SEVERAL = {"several": 3, "sharing": 3, "windows": 2}


def findings(path: str) -> Sequence[Diagnostic]:
    """All that is said about a spec. The one place that knows how to ask."""
    first = Path(path).read_text(encoding="utf-8").split("\n")[0]
    words = shlex.split(first.removeprefix("# cgc check ")) if first.startswith("# cgc check ") else []
    options = [(option, *value.split("=", 1)) for option, value in zip(words[1::2], words[2::2], strict=True)]
    params = {name: value for option, name, value in options if option == "-p"}
    overrides = [(name, value) for option, name, value in options if option == "--set"]
    return check(path, params, overrides)


def errors(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Without warnings and notes."""
    return [diagnostic for diagnostic in found if diagnostic.severity == "error"]


@pytest.mark.parametrize("name", NAMES)
def test_bad(name: str, update: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    found = findings(f"{name}.bad.yaml")
    text = render(found)
    expected = HERE / f"{name}.txt"
    if update:
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")
    assert len(errors(found)) == SEVERAL.get(name, 1), "one mistake, one error"


@pytest.mark.parametrize("name", NAMES)
def test_good(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    assert render(errors(findings(f"{name}.good.yaml"))) == ""


def test_every_file_belongs_to_a_case() -> None:
    stems = {path.name.split(".")[0] for path in HERE.iterdir() if path.suffix in (".yaml", ".txt")}
    assert stems == set(NAMES)
    assert all((HERE / f"{name}{suffix}").exists() for name in NAMES for suffix in (".good.yaml", ".txt"))
