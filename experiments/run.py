"""Runs one of the paper's experiments: compiles each case, trains it over seeds, writes figures as JSON and SVG.

    python experiments/run.py dense --data-dir data/mnist                a smoke run: that everything works, and nothing more
    python experiments/run.py dense --data-dir data/mnist --full         the paper's budget: days on a CPU, hours on a GPU

Run it again and it goes on where it stopped: what is finished is not trained again, what was broken off is resumed. A case whose
emitted package has changed is new. Test figures are those of the checkpoint with the lowest validation loss; nothing is chosen on test
data. `--data-dir` may as well name Fashion-MNIST, whose files are called the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from definitions import EXPERIMENTS, Budget, Case, Experiment
from figure import Point, figure
from subset import subset

from cgc import compiler
from cgc.source.diagnostics import SpecError
from cgc.source.render import render

ROOT = Path(__file__).parent.parent


def compiled(experiment: Experiment, case: Case, params: dict[str, str], folder: Path) -> Path:
    """The package of a case, in a folder of its own that is called after its content. Raises SpecError."""
    spec = ROOT / "specs" / f"{experiment.spec}.yaml"
    package = compiler.inspect(spec, params | dict(case.params), case.overrides).bundle()
    content = hashlib.sha256(b"".join(data for _, data in package.files)).hexdigest()[:8]
    target = folder / f"{case.name}-{content}" / package.name
    package.write(target)
    return target


def fingerprint(data: Path) -> str:
    """What tells one data set from another: the content of its test files. Raises OSError."""
    content = hashlib.sha256()
    for path in sorted(data.iterdir()):
        if path.name.startswith(("t10k", "test", "digits")) and path.is_file():
            content.update(path.read_bytes())
    return content.hexdigest()[:8]


def trained(package: Path, seed: int, budget: Budget, data: Path, options: Sequence[str]) -> dict[str, Any]:
    """What the test of one run says: made before, resumed, or made now. Raises CalledProcessError, OSError."""
    spent = f"{budget.epochs or 'all'}_epochs-{budget.examples or 'all'}_examples"
    runs = package.parent / f"data_{fingerprint(data)}-{spent}-seed_{seed}"
    run = runs / package.name / "1"
    if not (run / "test.json").is_file():
        if not (run / "last.pt").is_file():  # broken off before there was anything to keep
            shutil.rmtree(run, ignore_errors=True)
        epochs = [] if budget.epochs is None else ["--epochs", str(budget.epochs)]
        begun = ["--resume", str(run)] if (run / "last.pt").is_file() else ["--seed", str(seed), "--runs-dir", str(runs)]
        command = [sys.executable, str(package / "train.py"), "--quiet", "--data-dir", str(data), *epochs, *begun, *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    result: dict[str, Any] = json.loads((run / "test.json").read_text())
    return result


def summary(experiment: Experiment, case: Case, tests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of a case: test error or accuracy in per cent, over the seeds."""
    values = [100 * test["best"]["accuracy"] for test in tests]
    values = [100 - value for value in values] if experiment.shows == "error" else values
    return {
        "series": case.series,
        "place": case.place,
        "spec": experiment.spec,
        "params": dict(case.params),
        "overrides": dict(case.overrides),
        f"test_{experiment.shows}_percent": [round(value, 4) for value in values],
        "epochs": [test["best"]["epoch"] for test in tests],
        "mean": round(statistics.fmean(values), 4),
        "standard_deviation": round(statistics.stdev(values), 4) if len(values) > 1 else None,
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("experiment", choices=list(EXPERIMENTS))
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--full", action="store_true", help="the paper's budget")
    parser.add_argument("--seeds", type=int, help="how many")
    parser.add_argument("--epochs", type=int, help="at most")
    parser.add_argument("--only", metavar="WORDS", help="cases whose names contain one of these words, separated by commas")
    parser.add_argument("-p", dest="params", action="append", default=[], metavar="NAME=VALUE", help="a param of the spec")
    parser.add_argument("--device", help="passed on to train.py, as is --threads")
    parser.add_argument("--threads", help="on the CPU")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), help="where packages and runs are kept")
    parser.add_argument("--output", type=Path, default=ROOT / "experiments" / "results", help="where JSON and SVG are written")
    args = parser.parse_args(argv)
    experiment = EXPERIMENTS[args.experiment]
    standard = experiment.full if args.full else experiment.smoke
    budget = Budget(args.seeds or standard.seeds, args.epochs or standard.epochs, standard.examples)
    kept = experiment.smoke_cases if not args.full else ()
    words = args.only.split(",") if args.only else [""]
    cases = [case for case in experiment.cases if (not kept or case.place in kept) and any(word in case.name for word in words)]
    if not cases:
        parser.error(f"no case is called so: {', '.join(case.name for case in experiment.cases)}")
    folder = args.runs_dir.resolve() / "experiments" / experiment.name
    options = [text for name in ("device", "threads") if getattr(args, name) for text in (f"--{name}", getattr(args, name))]
    try:
        packages = [compiled(experiment, case, dict(param.split("=", 1) for param in args.params), folder) for case in cases]
    except SpecError as error:
        print(render(error.diagnostics), file=sys.stderr)
        return 1
    kind = "a smoke run, which says nothing about the methods"
    if args.full:
        kind = "less than the paper's budget" if args.params or args.seeds or args.epochs else "the paper's budget"
    spent = f"seeds {budget.seeds}, epochs {budget.epochs or 'all'}, examples {budget.examples or 'all'}"
    spent += "".join(f", {param}" for param in args.params)
    notes = [f"{kind}: {spent}"]
    marked = args.data_dir / "NOTE.txt"  # what makes data other than those published
    notes += [" ".join(marked.read_text(encoding="utf-8").split())] if marked.is_file() else []
    print(f"{experiment.title}\n" + "\n".join(notes), flush=True)
    rows = []
    try:
        data = args.data_dir.resolve()
        if budget.examples is not None:
            data = subset(experiment.data, data, folder / f"data_{budget.examples}", budget.examples)
        for case, package in zip(cases, packages, strict=True):
            tests = [trained(package, seed, budget, data, options) for seed in range(budget.seeds)]
            rows.append(summary(experiment, case, tests))
            print(f"{case.place:<12}{case.series:<10}{rows[-1]['mean']:8.2f} %   best epochs {rows[-1]['epochs']}", flush=True)
    except (OSError, ValueError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    name = experiment.name + ("" if args.full else "_smoke")
    args.output.mkdir(parents=True, exist_ok=True)
    result = {"experiment": experiment.title, "notes": notes, "cases": rows}
    (args.output / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    values = [Point(row["series"], row["place"], tuple(row[f"test_{experiment.shows}_percent"])) for row in rows]
    drawing = figure(experiment.title, notes, f"test {experiment.shows}", values)
    (args.output / f"{name}.svg").write_text(drawing, encoding="utf-8")
    print(f"wrote {args.output / name}.json and .svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
