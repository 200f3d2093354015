"""Accuracy on real data: compiles specs, trains them over seeds, prints a table and writes ``benchmarks/results/accuracy_<set>.json``.

    python benchmarks/accuracy.py digits                          a few minutes on two cores
    python benchmarks/accuracy.py library [--only SPEC ...]       a quarter of an hour; beside peers, see library.py
    python benchmarks/accuracy.py mnist --data-dir data/mnist     about half an hour; needs the four IDX files

Digits: test accuracy at the checkpoint that is best on validation. MNIST: test error at the last of 10 epochs. Nothing is chosen on
test data. The bars stand beside the figures; the script fails if one is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import library

from cgc import compiler

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Case:
    """A row of the table: a spec with overrides, and the bar for its mean test error."""

    title: str
    spec: str
    largest_error: float
    overrides: tuple[tuple[str, str], ...] = ()


PCFF = ("inference.train.method", "pcff")
RECT = ("families.node", "rect")
RATE = "inference.train.sample_rate"
CASES = {
    "digits": (Case("digits_dense", "digits_dense", 0.025), Case("indrnn", "indrnn", 0.06)),
    "mnist": (
        Case("mnist_dense, tanh", "mnist_dense", 0.028),
        Case("mnist_dense, relu", "mnist_dense", 0.021, (RECT,)),
        Case("mnist_dense, tanh, PCFF 0.4", "mnist_dense", 0.040, (PCFF, (RATE, "0.4"))),
        Case("mnist_dense, relu, PCFF 1.0", "mnist_dense", 0.022, (RECT, PCFF, (RATE, "1"))),
    ),
}
SEEDS = {"digits": 5, "mnist": 2}
CHECKPOINT = {"digits": "best", "mnist": "last"}
OPTIONS = {"digits": [], "mnist": ["--epochs", "10"]}


def errors(case: Case, data: str, seeds: int, options: list[str]) -> list[float]:
    """Test error for each seed."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        package = compiler.compile(ROOT / "specs" / f"{case.spec}.yaml", output=folder, overrides=case.overrides)
        for seed in range(seeds):
            runs = Path(folder) / f"runs_{seed}"
            command = [sys.executable, str(package / "train.py"), "--quiet", "--seed", str(seed), "--runs-dir", str(runs), *options]
            subprocess.run([*command, *OPTIONS[data]], check=True, stdout=subprocess.DEVNULL)
            (result,) = runs.glob("*/*/test.json")
            found.append(1 - json.loads(result.read_text())[CHECKPOINT[data]]["accuracy"])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", choices=[*CASES, "library"])
    parser.add_argument("--data-dir", help="folder of the MNIST files")
    parser.add_argument("--seeds", type=int, help="how many")
    parser.add_argument("--output", type=Path, help="where the figures are written")
    parser.add_argument("--only", nargs="+", choices=list(library.CASES), default=[], help="of the library, these specs")
    arguments = parser.parse_args()
    if arguments.data == "library":
        return int(not library.measure(arguments.only, arguments.seeds or library.SEEDS, arguments.output or library.RESULTS))
    seeds = arguments.seeds or SEEDS[arguments.data]
    options = ["--data-dir", arguments.data_dir] if arguments.data_dir else []
    rows = []
    print(f"{'':<32}{'mean test error':>16}{'bar':>9}   seeds")
    for case in CASES[arguments.data]:
        found = errors(case, arguments.data, seeds, options)
        mean = sum(found) / len(found)
        rows.append(
            {"case": case.title, "checkpoint": CHECKPOINT[arguments.data], "errors": found, "mean": mean, "bar": case.largest_error}
        )
        print(
            f"{case.title:<32}{100 * mean:>14.2f} %{100 * case.largest_error:>7.1f} %   {' '.join(f'{100 * e:.2f}' for e in found)}",
            flush=True,
        )
    target = arguments.output or ROOT / "benchmarks" / "results" / f"accuracy_{arguments.data}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(rows, indent=2) + "\n")
    return int(any(row["mean"] > row["bar"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
