"""Same input, same bytes: whatever the hash seed, the locale, the folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def compile_all(folder: Path, seed: str, locale: str) -> dict[str, str]:
    """Every file that a process of its own writes, as a hash."""
    folder.mkdir(parents=True)
    for path in [*(ROOT / "specs").glob("*.yaml"), ROOT / "tests" / "emitted" / "everything.yaml"]:
        shutil.copy(path, folder)
    specs = sorted(path.name for path in folder.glob("*.yaml"))
    environment = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "cgc", "compile", *specs, "-o", "out", "-q"], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    written = sorted(path for path in (folder / "out").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in written}


def test_same_bytes(tmp_path: Path) -> None:
    runs = {
        (seed, locale): compile_all(tmp_path / seed / locale, seed, locale)
        for seed, locale in (("0", "C"), ("1", "C.UTF-8"), ("2", "C"), ("3", "de_DE.UTF-8"), ("4", "C.UTF-8"))
    }
    first, *others = runs.values()
    assert len(first) > 20 and "out/everything/model.py" in first
    for other in others:
        assert other == first
