"""Limits on the machine code of kernels for GPUs, which is compiled here without one."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made import TABLED, written

pytest.importorskip("triton")
pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the tools that read machine code are for x86_64")

ARCHITECTURES = [("80", "90"), ("100", "120")]
K = 8  # steps of a recurrence that are asked for ahead


def cubins(kernels: Path, which: str, laws: str, *archs: str) -> list[dict[str, Any]]:
    """What cubins.py tells of the kernels in a folder, compiled in a process of its own, where Triton's interpreter is off."""
    cache = os.environ.get("TRITON_CACHE_DIR", str(Path(__file__).parents[2] / ".tmp" / "triton"))
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": cache}
    command = [sys.executable, str(Path(__file__).with_name("cubins.py")), str(kernels), which, laws, *archs]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(kernel: dict[str, Any]) -> None:
    assert kernel["stack"] == kernel["local"] == kernel["spills"] == 0, kernel
    if kernel["kernel"] == "nodes":
        # beside arrays there is the seed, of 64 bits; what takes hundreds of operations may read as little
        # and rows of tables, of which all elements read the same number, again and again
        if str(kernel["what"]).split()[0] in (*TABLED, "Levels"):
            return
        assert set(kernel["widths"]) <= {128, 64}, kernel
        assert (128 in kernel["widths"] and kernel["narrow"] <= 1) or kernel["instructions"] > 1500, kernel
    if kernel["kernel"] in ("recur", "recur_backward"):
        assert kernel["loads_first"] >= K, kernel


@pytest.mark.parametrize("archs", ARCHITECTURES)
def test_limits(tmp_path: Path, archs: tuple[str, str]) -> None:
    laws = ["Spin", *(["SpinWithMeasure"] if archs == ARCHITECTURES[0] else []), "Relu"]
    found = cubins(written(tmp_path), "some", ",".join(laws), *archs)
    for kernel in found:
        check(kernel)
    for arch in archs:
        here = [kernel for kernel in found if kernel["arch"] == int(arch)]
        names = {kernel["kernel"] for kernel in here}
        assert names == {"nodes", "recur", "recur_backward", "scan", "scan_backward", "chain_sums", "chain_logs", "chain_shares"}
        known = {kernel["what"]: kernel["instructions"] for kernel in here}
        # heavy laws take one part after the other
        heavy = ("SpinWithMeasure bfloat16 rate 0.3", "SpinWithMeasure bfloat16 how 2") if "SpinWithMeasure" in laws else ()
        assert all(known[what] <= 2000 for what in heavy)
        # 16 elements a thread where they are drawn, else 32
        assert known["Spin float32 rate 0.3"] <= 48 * 16
        assert known["Spin float32 how 0"] <= 8 * 32 and known["Relu float32 how 0"] <= 8 * 32


@pytest.mark.parametrize("archs", ARCHITECTURES)
def test_limits_of_steps_of_loops(archs: tuple[str, str]) -> None:
    """Those of the LSTM, whose draws take five random words, each of a block that four elements share."""
    found = cubins(Path(__file__).parents[2] / "generated" / "lstm" / "kernels", "steps", "all", *archs)
    for kernel in found:
        check(kernel)
    for arch in archs:
        known = {kernel["what"]: kernel["instructions"] for kernel in found if kernel["arch"] == int(arch)}
        # of one element: seven layers, of which five have a law
        assert known["cell_forward 512"] <= 600 and known["cell_backward 512"] <= 400
        assert known["cell_drawn 512"] <= 1100 and known["cell_drawn_backward 512"] <= 470


@pytest.mark.slow
@pytest.mark.parametrize("arch", [arch for archs in ARCHITECTURES for arch in archs])
def test_limits_of_all_families(tmp_path: Path, arch: str) -> None:
    for kernel in cubins(written(tmp_path), "every", "all", arch):
        check(kernel)
