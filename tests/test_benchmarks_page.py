"""The page of measured figures says what the benchmarks wrote."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_is_what_would_be_written() -> None:
    spec = importlib.util.spec_from_file_location("page", ROOT / "benchmarks" / "page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == module.page(), "run python benchmarks/page.py"
    goals = [line for line in module.page().splitlines() if "not yet measured" in line]
    assert module.read("gpu.json") is not None or len(goals) == len(module.GPU_GOALS)
