"""The adding problem at 100 steps: validation error against updates of recurrent specs, as figures and as a picture.

    python benchmarks/adding.py [--runs-dir DIR]        about 25 minutes of one core; runs that are finished in DIR are kept

Every spec makes 3,000 updates of 50 sequences with Adam at 1e-3 and gradients clipped to norm 1, seed 0, and is validated every 200. Who
always answers 1, the mean, has the error 1/6. Writes results/adding.json and docs/adding.svg.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgc import compiler

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "adding.json"
FIGURE = ROOT / "docs" / "adding.svg"
BASELINE = 2 / 12  # the variance of the sum of two numbers, each uniform on [0, 1)


@dataclass(frozen=True)
class Series:
    """A spec with overrides, and its name in the picture."""

    name: str
    title: str
    spec: str = "adding"
    overrides: tuple[tuple[str, str], ...] = ()


DENSE = ("independence", "[]")
START = ("components.h.parents.h.init", "null")
SERIES = (
    Series("srn_from_0_1", "SRN, recurrent weights from [0, 1]", overrides=(DENSE,)),
    Series("srn_tanh", "SRN, {−1, 1} nodes (tanh)", overrides=(DENSE, START, ("families.rect", "{kind: binary, values: [-1, 1]}"))),
    Series("srn", "SRN, rectified nodes", overrides=(DENSE, START)),
    Series("indrnn", "IndRNN"),
    Series("lstm", "LSTM", "adding_lstm"),
)


def run(series: Series, folder: Path, options: list[str]) -> dict[str, Any]:
    """The curve of a series as updates and mean squared errors, no points if the loss is not finite from the first epoch on."""
    place = folder / series.name
    runs = place / "runs" / series.spec
    if not list(runs.glob("*/test.json")):
        package = compiler.compile(ROOT / "specs" / f"{series.spec}.yaml", output=place, overrides=series.overrides)
        command = [sys.executable, str(package / "train.py"), "--quiet", "--threads", "1", "--device", "cpu", "--seed", "0", *options]
        failed = subprocess.run([*command, "--runs-dir", str(place / "runs")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if failed.returncode and "not finite" not in failed.stderr:
            raise RuntimeError(failed.stderr)
    newest = max(runs.glob("*"), key=lambda path: int(path.name))
    lines = [json.loads(line) for line in (newest / "metrics.jsonl").read_text().splitlines()]
    curve = {"updates": [line["updates"] for line in lines], "error": [line["validation_mean_squared_error"] for line in lines]}
    return {"name": series.name, "finished": (newest / "test.json").exists(), **curve}


def figure(curves: list[dict[str, Any]], path: Path) -> None:
    """Writes the picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    settings = {"svg.hashsalt": "cgc", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    titles = {series.name: series.title for series in SERIES}
    with matplotlib.rc_context(settings):
        drawing, axes = pyplot.subplots(figsize=(8.4, 3.4), layout="constrained")
        axes.axhline(BASELINE, color="#999999", linestyle=":", label="the mean, always: 0.167")
        for k, curve in enumerate(curves):
            title = titles[curve["name"]] + ("" if curve["finished"] else f"\n(overflows before update {200 * len(curve['error']) + 200})")
            axes.plot(curve["updates"], curve["error"], color=f"C{k}", marker=".", linewidth=1.2, label=title)
        axes.set_yscale("log")
        axes.set_xlabel("updates")
        axes.set_ylabel("mean squared error, validation")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        drawing.savefig(path, metadata={"Date": None})
        pyplot.close(drawing)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/adding_problem"), help="where runs are kept")
    parser.add_argument("--updates", type=int, default=3000, help="of every series")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures are written")
    parser.add_argument("--figure", type=Path, default=FIGURE, help="where the picture is written")
    arguments = parser.parse_args()
    curves = []
    for series in SERIES:
        curves.append(run(series, arguments.runs_dir.resolve(), ["--updates", str(arguments.updates)]))
        lowest = min(curves[-1]["error"], default=float("nan"))
        print(f"{series.title:<40}{'' if curves[-1]['finished'] else 'not '}finished, lowest error {lowest:.4f}", flush=True)
    arguments.output.write_text(json.dumps({"baseline": BASELINE, "series": curves}, indent=2) + "\n")
    figure(curves, arguments.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
