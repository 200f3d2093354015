"""Where the time of a training step goes, by leaving pieces out: what the figures of steps.py that miss their goals are made of.

    python benchmarks/pieces.py    writes benchmarks/results/pieces_cpu.json

PCFF at a rate of 0.3, in units of a step without draws: with draws; with all of their Python but nothing computed in C; with nothing but a
``torch.autograd.Function`` of two lines in place of each node's kernel, which is what any kernel from Python costs. ``transfer``,
feed-forward, in units of the step by hand: whole, and without looking at targets and at inputs. Medians over steps in turn, on one thread.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import library
import steps
import torch
import torch.nn.functional as F
from torch import Tensor

RESULTS = steps.ROOT / "benchmarks" / "results" / "pieces_cpu.json"
SPECS = ("digits_dense", "conv", "resnet")
TURNS = 100


class Bare(torch.autograd.Function):
    """The least that a rectifier with a derivative of its own can be."""

    @staticmethod
    def forward(ctx: Any, e: Tensor) -> Tensor:
        h = torch.relu(e)
        ctx.save_for_backward(h)
        return h

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (h,) = ctx.saved_tensors
        return g * h


class Silent:
    """A library of kernels, of which those forward do nothing."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name) if name.endswith("_backward") else lambda *_: None


def made(name: str, folder: Path) -> tuple[Any, Any, tuple[Tensor, ...], Any]:
    """The script of a spec, a model, a batch of its data, and what the script is told."""
    case = library.CASES[name]
    script = library.script(library.compiled(case, folder))
    written = script.arguments(["--reuse", "none"] if case.reuse else [])
    torch.manual_seed(0)
    return script, script.Model(), steps.batch_of(script, written), written


def shares(ways: dict[str, Callable[[], Any]], unit: str) -> dict[str, float]:
    """Medians in units of one of them."""
    found = steps.in_turn(list(ways.values()), TURNS)
    times = {key: median(row[k] for row in found) for k, key in enumerate(ways)}
    return {key: time / times[unit] for key, time in times.items()}


def draws(name: str, folder: Path) -> dict[str, float]:
    """A step under PCFF, and what is left of it."""
    script, model, batch, written = made(name, folder)
    kernels = script.Model.forward.__globals__["kernels"]
    step, silent, node, library_ = (
        steps.step_of(model, batch, written.learning_rate),
        Silent(kernels.library()),
        kernels.node,
        kernels.library,
    )

    def way(rate: float, **instead: Any) -> Callable[[], None]:
        def run() -> None:
            model.inference("pcff", rate) if rate else model.inference("feed_forward")
            kernels.node, kernels.library = instead.get("node", node), instead.get("library", library_)
            step()
            kernels.node, kernels.library = node, library_

        return run

    ways = {
        "without draws": way(0.0),
        "with draws": way(steps.RATE),
        "nothing computed in C": way(steps.RATE, library=lambda: silent),
        "a bare function a node": way(steps.RATE, node=lambda law, e, rate, straight: Bare.apply(e)),
    }
    return shares(ways, "without draws")


def checks(folder: Path) -> dict[str, float]:
    """A step of ``transfer``, and what is left of it."""
    script, model, batch, written = made("transfer", folder)
    peer = steps.peer_of(library.CASES["transfer"])
    for part in script.REUSED:
        model.get_submodule(part).requires_grad_(False)
    model.inference("feed_forward")
    ours, hand = (steps.step_of(m, batch, written.learning_rate) for m in (model, peer))
    for part in script.REUSED:
        model.get_submodule(part).eval()
    whole, how = model.loss, model.how[True]

    def trusting(x: Tensor, y: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(model._rows(x, how), y)

    def blind(x: Tensor, y: Tensor) -> Tensor:
        h = x
        for layer in model.h:
            h = layer(h, how)
        return F.binary_cross_entropy_with_logits(model.y(h), y)

    assert torch.equal(whole(*batch), trusting(*batch)) and torch.equal(whole(*batch), blind(*batch))

    def way(loss: Callable[..., Tensor]) -> Callable[[], None]:
        def run() -> None:
            model.loss = loss
            ours()

        return run

    ways = {"by hand": hand, "whole": way(whole), "targets not looked at": way(trusting), "nor inputs": way(blind)}
    return shares(ways, "by hand")


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = {"draws": {name: draws(name, Path(folder)) for name in SPECS}, "checks": checks(Path(folder))}
    for name, row in [*found["draws"].items(), ("transfer", found["checks"])]:
        print(f"{name:<14}", *(f"{key}: {value:.3f} " for key, value in row.items()))
    RESULTS.write_text(json.dumps({"torch": torch.__version__, "threads": 1, **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
