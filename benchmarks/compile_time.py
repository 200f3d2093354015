"""What the compiler itself costs, as ratios within one run: start-up against imports, 1,000 components against 100.

    python benchmarks/compile_time.py

Writes ``benchmarks/results/compile_time.json``; fails if a bar is missed or a result is wrong.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cgc import compiler
from cgc.program.parameters import learned_size

ROOT = Path(__file__).parent.parent
PAIRS = 7


def process(*arguments: str) -> float:
    """Seconds of a whole process that must succeed."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - start


def chain(components: int) -> str:
    """A spec with that many components one after another; every fourth drops its parent's nodes."""
    lines = ["cgc: 1", "name: chain", "families:", "  rect: {kind: rectified_gaussian, std: tanh(e), emit: relu}", "components:"]
    lines.append("  x: {role: input, nodes: 4, family: {kind: gaussian, std: 1}}")
    for k in range(components):
        edge = "{kind: dense, gate: {kind: bernoulli, keep_prob: 0.5}}" if k % 4 == 3 else "dense"
        lines.append(f"  h{k}: {{nodes: 4, family: rect, parents: {{{f'h{k - 1}' if k else 'x'}: {edge}}}}}")
    lines.append(f"  y: {{role: output, nodes: 1, family: {{kind: categorical, labels: 3}}, parents: {{h{components - 1}: dense}}}}")
    return "\n".join(lines) + "\n"


def compiled(path: Path, components: int) -> float:
    """Seconds from YAML to the bytes of a package."""
    start = time.perf_counter()
    model = compiler.inspect(path)
    model.bundle()
    seconds = time.perf_counter() - start
    assert learned_size(model.program) == components * 20 + 15
    return seconds


def ratio(ours: Callable[[], float], theirs: Callable[[], float]) -> float:
    """The median of interleaved pairs."""
    return statistics.median(ours() / theirs() for _ in range(PAIRS))


def main() -> int:
    rows = {}
    imports = "import sympy, networkx, pydantic"
    rows["cgc --help / python -c pass"] = (ratio(lambda: process("-m", "cgc", "--help"), lambda: process("-c", "pass")), None)
    for spec in sorted((ROOT / "specs").glob("*.yaml")):
        check = ("-m", "cgc", "check", "-q", str(spec))
        rows[f"cgc check {spec.stem} / {imports}"] = (ratio(lambda c=check: process(*c), lambda: process("-c", imports)), 3.0)
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small.yaml"), Path(folder, "large.yaml")
        small.write_text(chain(100))
        large.write_text(chain(1000))
        compiled(small, 100)  # the derivation is cached from here on
        rows["compile 1,000 components / 100"] = (ratio(lambda: compiled(large, 1000), lambda: compiled(small, 100)), 12.0)
    for name, (value, bar) in rows.items():
        print(f"{name:<70}{value:6.2f}" + (f"   at most {bar:g}" if bar else ""))
    target = ROOT / "benchmarks" / "results" / "compile_time.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps([{"ratio": n, "median": round(v, 3), "bar": b} for n, (v, b) in rows.items()], indent=2) + "\n")
    return int(any(bar is not None and value > bar for value, bar in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
