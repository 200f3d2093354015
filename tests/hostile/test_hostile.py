"""Hostile specs end in a Diagnostic or are harmless; none takes long or much memory, none leaves anything behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hostile_cases import CASES

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("hostile") / "specs"
    folder.mkdir()
    for name, (text, _) in CASES.items():
        (folder / f"{name}.yaml").write_bytes(text.encode("utf-8"))
    before = sorted(path.name for path in folder.parent.rglob("*"))
    command = [sys.executable, str(HERE / "check_all.py"), str(folder)]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert sorted(path.name for path in folder.parent.rglob("*")) == before, "something was written"
    result: dict[str, Any] = json.loads(run.stdout)
    return result


@pytest.mark.parametrize("name", CASES)
def test_hostile(name: str, outcome: dict[str, Any]) -> None:
    expected = CASES[name][1]
    assert set(outcome["said"][name]) == ({expected} if expected else set())


def test_memory(outcome: dict[str, Any]) -> None:
    assert outcome["megabytes"] < 300
