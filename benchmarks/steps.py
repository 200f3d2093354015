"""Training steps of the library's specs beside the same networks written by hand (``tests/emitted/peers.py``), in turn, in one run.

    python benchmarks/steps.py                       all; writes benchmarks/results/steps_cpu.json
    python benchmarks/steps.py indrnn mnist_dense    some

A step is loss, gradients and the update of the spec's optimizer on one batch of the data that it trains on, or on noise where these are not
bundled. Feed-forward: the ratio is ours / by hand. The peers of ``lstm``, ``adding_lstm`` and ``gru`` are torch.nn.LSTM and torch.nn.GRU,
which are one operation each; beside them the same cells as loops.
PCFF, at a sample rate of 0.3: the ratio is composed / ours, where *composed* is our model without kernels, so that draws are made of
torch's operations; beside it, what leaving sampling out altogether would give. Medians over pairs, with the interval that holds the
median of 95 % of resamples.
"""

from __future__ import annotations

import copy
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import library
import torch
from by_hand import AddingIndRNN, AddingLSTM, Dense, Loop
from torch import Tensor, nn

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "steps_cpu.json"
PAIRS = 75
COPIES = 5  # of models: where the memory of one lies makes it slower or faster than another
RATE = 0.3
Step = Callable[[], Any]


@dataclass(frozen=True)
class Way:
    """How models learn: by Adam, or, with a momentum, by stochastic gradient descent."""

    learning_rate: float
    momentum: float = 0.0
    pairs: int = PAIRS

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """As training scripts make it."""
        learned = [p for p in model.parameters() if p.requires_grad]
        if self.momentum:
            return torch.optim.SGD(learned, lr=self.learning_rate, momentum=self.momentum)
        return torch.optim.Adam(learned, lr=self.learning_rate, fused=True)


def step_of(model: Any, batch: tuple[Tensor, ...], way: Way) -> Step:
    """One update of a model."""
    optimizer = way.optimizer(model)
    model.train()

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = model.loss(*batch)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def in_turn(steps: list[Step], pairs: int) -> list[list[float]]:
    """Seconds of each step, one after the other, ``pairs`` times, warm."""
    for _ in range(3):
        for step in steps:
            step()
    found = []
    for _ in range(pairs):
        times = []
        for step in steps:
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        found.append(times)
    return found


def interval(values: list[float]) -> tuple[float, float]:
    """95 % of the medians of resamples."""
    rng = random.Random(0)
    medians = sorted(median(rng.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[-51]


def ratio(found: list[list[float]], above: int, below: int) -> dict[str, float]:
    """The median ratio of two columns, and its interval."""
    values = [row[above] / row[below] for row in found]
    low, high = interval(values)
    return {"ratio": median(values), "low": low, "high": high}


def peer_of(case: library.Case) -> nn.Module:
    """The network by hand; one that reuses another has it untrained."""
    below = [peer_of(library.CASES[case.reuse])] if case.reuse else []
    return case.peer(*below)


def batch_of(script: Any, written: Any) -> tuple[Tensor, ...]:
    """The first batch that a script trains on; ``written`` is what it is told."""
    data = script.load_data(Path(written.data_dir)) if hasattr(written, "data_dir") else script.load_data()
    return tuple(a[: written.batch_size] for a in data["training"])


def of_copies(model: Any, peer: Any, batch: tuple[Tensor, ...], way: Way) -> list[list[float]]:
    """Seconds of pairs of steps, of several copies of both, of which now one, now the other is made first."""
    found = []
    for turn in range(COPIES):
        both: list[tuple[nn.Module, nn.Module]] = [(one, copy.deepcopy(one)) for one in ((model, peer) if turn % 2 else (peer, model))]
        steps = [step_of(own, batch, way) for _, own in both]
        for one, own in both:
            for first, second in zip(one.modules(), own.modules(), strict=True):
                second.training = first.training  # what is frozen stays as it is
        found += in_turn(steps if turn % 2 else steps[::-1], way.pairs // COPIES)
    return found


def measured(name: str, folder: Path) -> dict[str, Any]:
    """Feed-forward beside the peer, and PCFF beside what it is composed of."""
    case = library.CASES[name]
    script = library.script(library.compiled(case, folder))
    written = script.arguments([] if case.reuse is None else ["--reuse", "none"])
    batch = batch_of(script, written)
    torch.manual_seed(0)
    model, peer = script.Model(), peer_of(case)
    frozen = [model.get_submodule(part).requires_grad_(False) for part in getattr(script, "REUSED", ())]
    counts = [sum(p.numel() for p in m.parameters()) for m in (model, peer)]
    row: dict[str, Any] = {"spec": name, "batch": written.batch_size, "parameters": counts}
    return row | beside(script, model, peer, batch, Way(written.learning_rate), frozen)


def beside(script: Any, model: Any, peer: Any, batch: tuple[Tensor, ...], way: Way, frozen: Sequence[nn.Module] = ()) -> dict[str, Any]:
    """The ratios of a model and its peer."""
    row: dict[str, Any] = {}
    model.inference("feed_forward")
    ours, hand = step_of(model, batch, way), step_of(peer, batch, way)
    for part in frozen:
        part.eval()
    first = [float(ours()), float(hand())]
    assert abs(first[0] - first[1]) < 0.35 * abs(first[1]), first
    row["feed_forward"] = ratio(of_copies(model, peer, batch, way), 0, 1)
    if hasattr(peer, "rnn"):
        loop = Loop(peer)
        torch.testing.assert_close(loop(batch[0]), peer(batch[0]), rtol=1e-4, atol=1e-5)
        row["loop"] = ratio(of_copies(model, loop, batch, way), 0, 1)
    names = script.Model.forward.__globals__
    kernels = names.get("kernels")
    if kernels is not None:

        def pcff(on: bool, rate: float) -> Step:
            def step() -> None:
                names["kernels"] = kernels if on else None
                model.inference("pcff", rate) if rate else model.inference("feed_forward")
                ours()
                names["kernels"] = kernels

            return step

        found = in_turn([pcff(True, RATE), pcff(False, RATE), pcff(True, 0.0)], way.pairs)
        row["pcff"] = ratio(found, 1, 0)
        row["free_sampling"] = ratio(found, 1, 2)
    return row


def dense(folder: Path) -> dict[str, Any]:
    """``mnist_dense``: batch 32 of noise, as the images are not bundled."""
    script = library.script(library.compiled(library.Case("mnist_dense", "", Dense), folder))
    batch = torch.rand(32, 784), torch.randint(10, (32,))
    torch.manual_seed(0)
    row: dict[str, Any] = {"spec": "mnist_dense", "batch": 32}
    return row | beside(script, script.Model(), Dense(), batch, Way(0.01, 0.9))


def pixels(folder: Path) -> dict[str, Any]:
    """``indrnn_pixel_mnist``, 784 steps of one pixel, on noise: beside plain loops, and beside a step that leaves its recurrences out."""
    script = library.script(library.compiled(library.Case("indrnn_pixel_mnist", "", nn.Module), folder))
    batch = torch.rand(32, 784, 1), torch.randint(10, (32,))
    torch.manual_seed(0)
    model = script.Model()
    names = script.Model.forward.__globals__
    kernels = names["kernels"]
    ours = step_of(model, batch, Way(1e-3))
    loop = kernels.recurrence

    def way(rate: float, on: bool, recurrence: Callable[..., Tensor]) -> Step:
        def step() -> None:
            model.inference("pcff", rate) if rate else model.inference("feed_forward")
            names["kernels"], kernels.recurrence = kernels if on else None, recurrence
            ours()
            names["kernels"], kernels.recurrence = kernels, loop

        return step

    def left_out(law: object, x: Tensor, *more: Any) -> Tensor:
        return x if len(more) < 5 else more[4].normalize(x, more[4].bias, *more[5:])

    row: dict[str, Any] = {"spec": "indrnn_pixel_mnist", "batch": 32}
    for key, free, rate in (("feed_forward", "free_recurrence", 0.0), ("pcff", "free_sampling", RATE)):
        composed = in_turn([way(rate, True, loop), way(rate, False, loop), way(rate, True, left_out)], 15)
        row[f"loops_{key}"], row[f"loops_{free}"] = ratio(composed, 1, 0), ratio(composed, 1, 2)
    return row


def adding(name: str, peer: Any, folder: Path) -> dict[str, Any]:
    """The adding problem: batch 50 of 100 steps; both from the same parameters, with the same loss."""
    script = library.script(library.compiled(library.Case(name, "", nn.Module), folder))
    batch = batch_of(script, script.arguments([]))
    torch.manual_seed(0)
    model = script.Model()
    peer.like(model)
    torch.testing.assert_close(model.loss(*batch), peer.loss(*batch), rtol=1e-4, atol=1e-4)
    return {"spec": name, "batch": len(batch[0])} | beside(script, model, peer, batch, Way(1e-3))


def resnet20(folder: Path) -> dict[str, Any]:
    """``resnet20_cifar10``: batch 16 of noise, as the images are not bundled, and fewer pairs, as a step takes long."""
    script = library.script(library.compiled(library.Case("resnet20_cifar10", "", nn.Module), folder))
    batch = torch.rand(16, 3, 32, 32), torch.randint(10, (16,))
    torch.manual_seed(0)
    row: dict[str, Any] = {"spec": "resnet20_cifar10", "batch": 16}
    return row | beside(script, script.Model(), library.peers.ResNet20(3, 16), batch, Way(0.1, 0.9, 25))


OTHERS = {
    "mnist_dense": dense, "resnet20_cifar10": resnet20, "adding": partial(adding, "adding", AddingIndRNN()),
    "adding_lstm": partial(adding, "adding_lstm", AddingLSTM()), "indrnn_pixel_mnist": pixels,
}  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    names = sys.argv[1:] or [*library.CASES, *OTHERS]
    before = {row["spec"]: row for row in json.loads(RESULTS.read_text())["rows"]} if RESULTS.exists() else {}
    print(f"{'':<16} {'ours / by hand':<28} {'PCFF: composed / ours':<28} {'composed / free sampling':<28} ours / loop by hand")
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            row = before[name] = OTHERS[name](Path(folder)) if name in OTHERS else measured(name, Path(folder))
            if name == "indrnn_pixel_mnist":
                for key in (key for key in row if key.startswith("loops_")):
                    print(f"{name:<16} {key:<24} {row[key]['ratio']:.2f}  [{row[key]['low']:.2f}, {row[key]['high']:.2f}]", flush=True)
                continue
            cells = [row.get(key) for key in ("feed_forward", "pcff", "free_sampling", "loop")]
            shown = [f"{c['ratio']:.3f}  [{c['low']:.3f}, {c['high']:.3f}]" if c else "-" for c in cells]
            print(f"{name:<16} {shown[0]:<28} {shown[1]:<28} {shown[2]:<28} {shown[3]}", flush=True)
    rows = [before[name] for name in [*library.CASES, *OTHERS] if name in before]
    RESULTS.write_text(json.dumps({"torch": torch.__version__, "threads": 1, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
