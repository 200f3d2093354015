"""Commands import what they need: help nothing heavy, and nothing but emitted code ever torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from cgc.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 0, end.code
print("imported:", *sorted(sys.modules))
"""


def imported(folder: Path, *arguments: str) -> set[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CODE, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_imports_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    modules = imported(tmp_path, *arguments)
    assert "click" in modules
    assert not {"sympy", "torch", "numpy", "networkx", "pydantic", "jinja2", "mpmath"} & modules


@pytest.mark.parametrize("command", [("check",), ("inspect",), ("compile", "-o", "out")])
def test_no_command_imports_torch(tmp_path: Path, command: tuple[str, ...]) -> None:
    modules = imported(tmp_path, *command, str(ROOT / "specs" / "indrnn.yaml"))
    assert "sympy" in modules and "torch" not in modules
