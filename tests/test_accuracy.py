"""The documented accuracy on the bundled digits, all five seeds; the script's exit status says whether the bars are met."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_digits(tmp_path: Path) -> None:
    output = tmp_path / "accuracy.json"
    command = [sys.executable, "benchmarks/accuracy.py", "digits", "--output", str(output)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"OMP_NUM_THREADS": "1", "PATH": ""})
    assert result.returncode == 0, result.stdout + result.stderr
    means = {row["case"]: row["mean"] for row in json.loads(output.read_text())}
    assert means["digits_dense"] <= 0.025 and means["indrnn"] <= 0.06
