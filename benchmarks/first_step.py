"""From YAML to a network that has made its first training step, kernels compiled, after imports: in seconds, phase by phase.

    python benchmarks/first_step.py [SPEC ...]     every spec, or these; in full also writes benchmarks/results/first_step.json

Every run is in a copy of a process that has imported everything and done nothing: ``RUNS`` from empty caches, of which the median
counts, and one that finds derivations in the cache, but compiles kernels again. What takes more than ``BAR`` seconds is marked.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mpmath
import sympy
import torch

from cgc import compiler

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "first_step.json"
BAR, RUNS = 2.0, 3
PHASES = ("compile", "import", "step")
NOISE = {"mnist_dense": (32, 784), "indrnn_pixel_mnist": (32, 784, 1), "resnet20_cifar10": (32, 3, 32, 32)}
"""Specs whose data are not bundled: they learn from noise of these shapes."""


def first_step(path: Path) -> dict[str, float]:
    """Seconds of the phases of one spec, in a process that has done nothing yet."""
    torch.nn.Linear(3, 3)(torch.zeros(2, 3)).sum().backward()  # torch's own start is no part of it
    with tempfile.TemporaryDirectory() as folder:
        times = [time.perf_counter()]
        compiler.compile(path, output=Path(folder))
        times.append(time.perf_counter())
        sys.path.insert(0, folder)
        package = importlib.import_module(path.stem)
        train = importlib.import_module(f"{path.stem}.train")
        times.append(time.perf_counter())
        if path.stem in NOISE:
            batch = torch.rand(NOISE[path.stem]), torch.randint(10, (32,))
        else:
            written = train.arguments(["--reuse", "none"] if hasattr(train, "REUSED") else [])
            data = (train.load_data(Path(written.data_dir)) if hasattr(written, "data_dir") else train.load_data())["training"]
            batch = tuple(array[:32] for array in data)
        loaded = time.perf_counter()
        model = package.Model()
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        loss = model.loss(*batch)
        loss.backward()
        optimizer.step()
        kernels = getattr(package, "kernels", None)
        compiled = kernels is None or kernels.library() is not None  # also where so few rows did not ask for them
        end = time.perf_counter()
        assert torch.isfinite(loss) and compiled
    return {"compile": times[1] - times[0], "import": times[2] - times[1], "step": end - loaded}


def in_a_child(path: Path, derivations: str) -> dict[str, float]:
    """The phases in a process of their own, with an empty cache of kernels."""
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory() as kernels:
        if os.fork() == 0:
            try:
                os.environ |= {"CGC_CACHE": derivations, "CGC_KERNEL_CACHE": kernels}
                os.write(writing, json.dumps(first_step(path)).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as said:
            found = said.read()
        os.wait()
    if not found:
        raise SystemExit(f"{path}: no first step was made")
    return dict(json.loads(found))


def measured(path: Path) -> dict[str, Any]:
    """Both ways: from nothing, the run in the middle, and with derivations known."""
    cold = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as derivations:
            cold.append(in_a_child(path, derivations))
            known = in_a_child(path, derivations) if len(cold) == RUNS else {}
    return {"spec": path.stem, "cold": sorted(cold, key=lambda run: sum(run.values()))[RUNS // 2], "known": known}


def main(*specs: str) -> None:
    assert mpmath and sympy  # which the compiler imports when it derives
    torch.set_num_threads(1)
    torch.optim.SGD(torch.nn.Linear(3, 3).parameters(), lr=0.01)  # the first optimizer imports much of torch
    rows: list[dict[str, Any]] = []
    print(f"{'':<20}{'from nothing: ' + ', '.join(PHASES):<40}families known")
    for path in [Path(spec) for spec in specs] or sorted((ROOT / "specs").glob("*.yaml")):
        row = measured(path)
        rows.append(row)
        shown = [f"{sum(row[w].values()):5.2f} = " + " + ".join(f"{row[w][p]:.2f}" for p in PHASES) for w in ("cold", "known")]
        over = "" if sum(row["cold"].values()) <= BAR else f"   over {BAR:g} s"
        print(f"{path.stem:<20}{shown[0]:<40}{shown[1]}{over}", flush=True)
    if not specs:
        RESULTS.write_text(json.dumps({"bar": BAR, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
