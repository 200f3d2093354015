"""How long derivations take, checks included: each form alone in a fresh process, the list in one, and a second time from the cache.

    python benchmarks/derivation_time.py [FAMILY ...]

The bars: 2 s for each form, 30 s for the list, on one core of the machine at hand; its speed is told by the time that importing sympy
takes in the same run. Prints medians of 3 runs; in full also writes results/derivation_time.json. Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from formula_accuracy import FAMILIES

from cgc.derive import cache
from cgc.derive.derive import derive
from cgc.derive.limit import derive_within
from cgc.families.forms import Law
from cgc.spec.single import read_single

RESULTS = Path(__file__).parent / "results" / "derivation_time.json"
ALONE, TOGETHER, RUNS = 2.0, 30.0, 3


def in_a_child(work: Callable[[], Any]) -> float:
    """Seconds that ``work`` takes in a process that has imported everything and derived nothing."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        start = time.perf_counter()
        work()
        os.write(writing, repr(time.perf_counter() - start).encode())
        os._exit(0)
    os.close(writing)
    found = os.read(reading, 100)
    os.close(reading)
    if os.wait()[1] != 0 or not found:
        raise RuntimeError("a derivation failed")
    return float(found)


def importing() -> float:
    """Seconds from nothing to an imported sympy."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import sympy"], check=True)
    return time.perf_counter() - start


def from_cache(laws: list[Law]) -> tuple[float, float]:
    """Seconds for the list with an empty cache, and then with a full one; both give the same."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CGC_CACHE"] = folder
        first = in_a_child(lambda: [derive_within(law) for law in laws])
        second = in_a_child(lambda: [derive_within(law) for law in laws])
        for law in laws:
            assert cache.load(law, None, True) is not None
    return first, second


def main(names: list[str]) -> int:
    """Measure and print; 1 if a bar is missed."""
    laws = {name: read_single(FAMILIES[name]).law for name in names or FAMILIES}
    unit = statistics.median(importing() for _ in range(RUNS))
    rows = {name: statistics.median(in_a_child(lambda law=law: derive(law)) for _ in range(RUNS)) for name, law in laws.items()}
    for name, seconds in rows.items():
        print(f"{name:34}{seconds:8.2f} s{seconds / unit:8.2f} imports of sympy{'  OVER' * (seconds > ALONE)}")
    together = in_a_child(lambda: [derive(law) for law in laws.values()])
    first, second = from_cache(list(laws.values()))
    print(f"the list in one process: {together:.1f} s, {together / unit:.1f} imports of sympy ({unit:.2f} s)")
    print(f"with an empty cache {first:.1f} s, with a full one {second:.3f} s: {first / second:.0f} times faster")
    if not names:
        table = {
            "import_sympy_s": round(unit, 3), "alone_s": {name: round(seconds, 3) for name, seconds in rows.items()},
            "list_s": round(together, 2), "empty_cache_s": round(first, 2), "full_cache_s": round(second, 4),
        }  # fmt: skip
        RESULTS.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return int(max(rows.values()) > ALONE or together > TOGETHER)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
