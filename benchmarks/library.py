"""The library of specs beside hand-written peers (``tests/emitted/peers.py``): same data, optimizer, epochs, batch size and seeds.

    python benchmarks/accuracy.py library                   all of them, about a quarter of an hour of one core
    python benchmarks/accuracy.py library --only conv gru   some, beside the figures that are there

A spec is trained by its own ``train.py``; its peer here, by one loop for all peers, on what ``load_data`` of that script gives. Both are
tested at the checkpoint with the lowest validation loss. Peers come first: the bar is the mean of a peer, less 0.01 of accuracy or, for
``causal``, plus 0.01 nats per pixel, and stands before the spec is trained.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import math
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor, nn

from cgc import compiler

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "accuracy_library.json"
SEEDS = 3
MARGIN = 0.01

sys.path.insert(0, str(ROOT / "tests" / "emitted"))
import peers  # noqa: E402


@dataclass(frozen=True)
class Case:
    """A spec, what it is, how its peer is made, and what is measured (of ``causal``, the loss over so many pixels)."""

    spec: str
    title: str
    peer: Callable[..., Any]
    measure: str = "accuracy"
    pixels: int = 0
    weight_decay: float = 0.0
    reuse: str | None = None

    def value(self, tested: dict[str, float]) -> float:
        """The measure, given loss and accuracy."""
        return tested["loss"] / self.pixels if self.pixels else tested["accuracy"]

    def bar(self, values: Sequence[float]) -> float:
        """What the mean of the spec must reach, given the peer's values."""
        return mean(values) + (MARGIN if self.pixels else -MARGIN)

    def met(self, value: float, bar: float) -> bool:
        return value <= bar if self.pixels else value >= bar


CASES = {
    case.spec: case
    for case in (
        Case("digits_dense", "two dense components", lambda: peers.Dense(64, 128)),
        Case("conv", "two convolutions", peers.Conv),
        Case("inception", "two inception modules", lambda: peers.Inception(32)),
        Case("resnet", "residual network of 20 layers", lambda: peers.ResNet20(1, 8), weight_decay=1e-4),
        Case("srn", "two recurrent components", lambda: peers.SRN(128, 2)),
        Case("indrnn", "srn with one statement more", lambda: peers.IndRNN(128, 2)),
        Case("indrnn_deep", "six such components", lambda: peers.IndRNN(128, 6)),
        Case("indrnn_residual", "four refinements over time", lambda: peers.ResidualIndRNN(64, 4)),
        Case("lstm", "two LSTM modules", lambda: peers.Gates("LSTM", (8, 64), 2)),
        Case("gru", "two GRU modules", lambda: peers.Gates("GRU", (8, 64), 2)),
        Case("causal", "each pixel given those before", lambda: peers.MADE(64), "nats per pixel", pixels=64),
        Case("tagger_crf", "a chain of lines over time", lambda: peers.Tagger(50, 6, 64), "accuracy per token"),
        Case("denoise_crf", "a grid of lines, by mean field", peers.Denoiser, "accuracy per pixel"),
        Case("transfer", "odd or even, on digits_dense", peers.OddOrEven, reuse="digits_dense"),
    )
}


def compiled(case: Case, folder: Path) -> Path:
    """The package of the spec, in ``folder``."""
    package = folder / case.spec
    return package if package.exists() else compiler.compile(ROOT / "specs" / f"{case.spec}.yaml", output=folder)


def trained(case: Case, seed: int, folder: Path) -> Path:
    """Runs ``train.py`` and returns the folder of the run; what the spec reuses is trained first, with the same seed."""
    run = folder / f"runs_{seed}" / case.spec / "1"
    if run.exists():
        return run
    reused = ["--reuse", str(trained(CASES[case.reuse], seed, folder) / "best.pt")] if case.reuse else []
    options = ["--quiet", "--threads", "1", "--device", "cpu", "--seed", str(seed), "--runs-dir", str(folder / f"runs_{seed}")]
    command = [sys.executable, str(compiled(case, folder) / "train.py"), *options, *reused]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return run


def ours(case: Case, seed: int, folder: Path) -> float:
    """The measure of the spec, on test data."""
    return case.value(json.loads((trained(case, seed, folder) / "test.json").read_text())["best"])


@dataclass(frozen=True)
class Settings:
    """How a peer is trained."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0


def script(package: Path) -> Any:
    """``train.py`` of a package as a module, for its data and settings."""
    sys.path.insert(0, str(package))
    try:
        spec = importlib.util.spec_from_file_location(f"train_{package.name}", package / "train.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
        for name in ("model", "kernels"):
            sys.modules.pop(name, None)
    return module


def fit(peer: Any, data: dict[str, tuple[Tensor, ...]], settings: Settings) -> dict[str, float]:
    """Trains ``peer`` with Adam, goes back to the epoch with the lowest validation loss, and returns loss and accuracy on test data."""
    weights = [p for p in peer.parameters() if p.ndim > 1]
    others = [p for p in peer.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": settings.weight_decay}, {"params": others}]
    optimizer = torch.optim.Adam(groups, lr=settings.learning_rate)
    lowest, best = math.inf, {}
    for _ in range(settings.epochs):
        peer.train()
        for rows in torch.randperm(len(data["training"][0])).split(settings.batch_size):
            optimizer.zero_grad()
            peer.loss(*(a[rows] for a in data["training"])).backward()
            optimizer.step()
        loss = tested(peer, data["validation"])["loss"]
        if loss < lowest:
            lowest, best = loss, copy.deepcopy(peer.state_dict())
    peer.load_state_dict(best)
    return tested(peer, data["test"])


@torch.no_grad()
def tested(peer: Any, data: tuple[Tensor, ...]) -> dict[str, float]:
    """Mean loss, and how often the peer is right."""
    peer.eval()
    return {"loss": float(peer.loss(*data)), "accuracy": float(peer.hits(*data).double().mean())}


class Peers:
    """Trains the peers, each once per seed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: dict[tuple[str, int], tuple[nn.Module, float]] = {}

    def __call__(self, case: Case, seed: int) -> tuple[nn.Module, float]:
        """The trained peer, and its measure on test data."""
        if (case.spec, seed) not in self.done:
            module = script(compiled(case, self.folder))
            written = module.arguments([])
            settings = Settings(written.epochs, written.batch_size, written.learning_rate, case.weight_decay)
            data = module.load_data(Path(written.data_dir)) if hasattr(written, "data_dir") else module.load_data()
            below = [self(CASES[case.reuse], seed)[0]] if case.reuse else []
            torch.manual_seed(seed)
            peer = case.peer(*copy.deepcopy(below))
            self.done[case.spec, seed] = peer, case.value(fit(peer, data, settings))
        return self.done[case.spec, seed]


def row(case: Case, found: list[float], bars: list[float], seconds: float) -> dict[str, Any]:
    """A row of the results: values of all seeds, means, spreads (sample standard deviations), the bar, seconds of one core per run."""
    return {
        "spec": case.spec,
        "measure": case.measure,
        "values": found,
        "mean": mean(found),
        "spread": stdev(found),
        "peer_values": bars,
        "peer_mean": mean(bars),
        "peer_spread": stdev(bars),
        "bar": case.bar(bars),
        "seconds": round(seconds, 1),
    }


def line(found: dict[str, Any]) -> str:
    """A row as the README has it."""
    case = CASES[found["spec"]]

    def text(key: str) -> str:
        if case.pixels:
            return f"{found[f'{key}mean']:.4f} ± {found[f'{key}spread']:.4f} nats"
        return f"{100 * found[f'{key}mean']:.2f} ± {100 * found[f'{key}spread']:.2f} %"

    bar = f"{found['bar']:.4f} nats" if case.pixels else f"{100 * found['bar']:.2f} %"
    return f"| `{case.spec}` | {case.title} | {text('')} | {text('peer_')} | {bar} |"


def measure(only: Sequence[str], seeds: int, output: Path) -> bool:
    """Trains the specs ``only`` (or all), writes the results beside those that are there, and says whether all bars are met."""
    kept = {row["spec"]: row for row in json.loads(output.read_text())} if output.exists() else {}
    print("| spec | | this | peer | bar |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.set_num_threads(1)
        train_peer = Peers(folder)
        for spec, case in CASES.items():
            if only and spec not in only:
                continue
            bars = [train_peer(case, seed)[1] for seed in range(seeds)]
            for seed in range(seeds if case.reuse else 0):
                trained(CASES[case.reuse], seed, folder)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            found = [ours(case, seed, folder) for seed in range(seeds)]
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / seeds
            kept[spec] = row(case, found, bars, seconds)
            print(line(kept[spec]), flush=True)
            output.write_text(json.dumps([kept[name] for name in CASES if name in kept], indent=2) + "\n")
    return all(CASES[name].met(kept[name]["mean"], kept[name]["bar"]) for name in kept)
