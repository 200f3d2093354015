"""From YAML to a network that has made its first training step, kernels compiled, after imports: in seconds, phase by phase.

    python benchmarks/first_step.py                       every spec, from empty caches; writes benchmarks/results/first_step.json
    python benchmarks/first_step.py specs/indrnn.yaml     one, in this process, as a line of JSON

A second process per spec finds derivations in the cache, but compiles kernels again. What takes more than ``BAR`` seconds is marked.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "first_step.json"
BAR = 2.0
PHASES = ("compile", "import", "step")
NOISE = {"mnist_dense": (32, 784), "indrnn_pixel_mnist": (32, 784, 1), "resnet20_cifar10": (32, 3, 32, 32)}
"""Specs whose data are not bundled: they learn from noise of these shapes."""


def first_step(path: Path) -> dict[str, float]:
    """Seconds of the phases of one spec."""
    import mpmath
    import sympy
    import torch

    from cgc import compiler

    assert mpmath and sympy  # which the compiler imports when it derives

    torch.set_num_threads(1)
    # torch's own start is no part of it
    layer = torch.nn.Linear(3, 3)
    layer(torch.zeros(2, 3)).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.01).step()
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


def in_process(path: Path, derivations: str, kernels: str) -> dict[str, float]:
    """The phases in a process of their own."""
    environment = {**os.environ, "CGC_CACHE": derivations, "CGC_KERNEL_CACHE": kernels, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, __file__, str(path)], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    rows: list[dict[str, Any]] = []
    print(f"{'':<20}{'from nothing: ' + ', '.join(PHASES):<40}families known")
    for path in sorted((ROOT / "specs").glob("*.yaml")):
        row: dict[str, Any] = {"spec": path.stem}
        with tempfile.TemporaryDirectory() as derivations:
            for what in ("cold", "known"):
                with tempfile.TemporaryDirectory() as kernels:
                    row[what] = in_process(path, derivations, kernels)
        rows.append(row)
        shown = [f"{sum(row[w].values()):5.2f} = " + " + ".join(f"{row[w][p]:.2f}" for p in PHASES) for w in ("cold", "known")]
        over = "" if sum(row["cold"].values()) <= BAR else f"   over {BAR:g} s"
        print(f"{path.stem:<20}{shown[0]:<40}{shown[1]}{over}", flush=True)
    RESULTS.write_text(json.dumps({"bar": BAR, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(first_step(Path(sys.argv[1]))))
    else:
        main()
