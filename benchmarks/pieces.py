"""Where the time of a training step goes, by leaving pieces out: what the figures of steps.py that miss their goals are made of.

    python benchmarks/pieces.py    writes benchmarks/results/pieces_cpu.json

PCFF at a rate of 0.3, in units of a step without draws: with draws; with all of their Python but nothing computed in C, where what is
normalised goes back as it came; with nothing but torch's normalisation and a ``torch.autograd.Function`` of two lines in place of each
node's kernel, which is what a kernel with a derivative in Python costs.
``transfer``, feed-forward, in units of the step by hand: whole, and without looking at targets and at inputs. Kernels on their own, in
units of what kernels.py measures: the C alone, on arrays that are there already; and what torch does beside it. Medians over steps in turn,
on one thread.
"""

from __future__ import annotations

import ctypes
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import kernels as alone
import library
import steps
import torch
import torch.nn.functional as F
from torch import Tensor

del sys.modules["kernels"]  # which is the name of a package's own too
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
    """A library of kernels, of which those forward write zeros, and those that normalise pass on what comes back."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        instead = {"_forward": zeros, "_normalised": normalised_zeros, "_normalised_backward": passed_on}
        return next((it for ending, it in instead.items() if name.endswith(ending)), None) or getattr(self.real, name)


def zeros(_: int, h: int, slopes: int | None, count: int, *__: Any) -> None:
    for place in (h, slopes):
        if place:
            ctypes.memset(place, 0, 4 * count)


def normalised_zeros(*given: Any) -> None:
    h, slopes, rows, features, inner = given[6:11]
    zeros(0, h, slopes, rows * features * inner)


def passed_on(g: int, *given: Any) -> None:
    gx, gweight, gbias, rows, features, inner = given[3:9]
    ctypes.memmove(gx, g, 4 * rows * features * inner)
    zeros(0, gweight, gbias, features)


def made(name: str, folder: Path) -> tuple[Any, Any, tuple[Tensor, ...], Any]:
    """The script of a spec, a model, a batch of its data, and what the script is told."""
    case = library.CASES[name]
    script = library.script(library.compiled(case, folder))
    written = script.arguments(["--reuse", "none"] if case.reuse else [])
    torch.manual_seed(0)
    return script, script.Model(), steps.batch_of(script, written), written


def shares(ways: dict[str, Callable[[], Any]], unit: str) -> dict[str, float]:
    """Medians in units of one of them, with which each other runs in turn."""
    found = {key: steps.in_turn([way, ways[unit]], TURNS) for key, way in ways.items()}
    return {key: median(row[0] for row in rows) / median(row[1] for row in rows) for key, rows in found.items()}


def draws(name: str, folder: Path) -> dict[str, float]:
    """A step under PCFF, and what is left of it."""
    script, model, batch, written = made(name, folder)
    kernels = script.Model.forward.__globals__["kernels"]
    step, silent = steps.step_of(model, batch, written.learning_rate), Silent(kernels.library())
    usual = {name: getattr(kernels, name) for name in ("node", "library", "normalised")}

    def way(rate: float, **instead: Any) -> Callable[[], None]:
        def run() -> None:
            model.inference("pcff", rate) if rate else model.inference("feed_forward")
            vars(kernels).update(usual | instead)
            step()
            vars(kernels).update(usual)

        return run

    ways = {
        "without draws": way(0.0),
        "with draws": way(steps.RATE),
        "nothing computed in C": way(steps.RATE, library=lambda: silent),
        "a bare function a node": way(steps.RATE, node=lambda law, e, rate, straight: Bare.apply(e), normalised=lambda *_: None),
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


def drawn_nodes(kernels: Any) -> dict[str, float]:
    """PCFF nodes with states -1 and 1, (32, 1024), with a bias."""
    z, b, g = torch.randn(32, 1024).requires_grad_(), torch.randn(1024).requires_grad_(), torch.randn(32, 1024)
    with torch.no_grad():
        e, h, slopes, to = z + b, *(torch.empty_like(z) for _ in range(3))
    run = kernels.library().Spin_forward

    def c() -> None:
        run(e.data_ptr(), h.data_ptr(), slopes.data_ptr(), e.numel(), 0, steps.RATE, 7, 1)

    def beside() -> None:
        with torch.no_grad():
            torch.add(z, b, out=e)
            torch.mul(e, slopes, out=h)
            torch.mul(g, slopes, out=to).sum(0)

    whole = alone.back(lambda: kernels.node(alone.Spin(), z + b, steps.RATE, False), g, z, b)
    return shares({"whole": whole, "C": c, "sums and products in torch": beside}, "whole")


def loops(kernels: Any) -> dict[str, float]:
    """A recurrence of rectified nodes, forward and backward, (32, 784, 128)."""
    rows, count, width = 32, 784, 128
    x, w = torch.randn(rows, count, width).requires_grad_(), torch.rand(width).requires_grad_()
    past, g, h, gx = torch.zeros(rows, width), torch.randn(x.shape), torch.empty(x.shape), torch.empty(x.shape)
    gw, gpast, known = torch.empty(rows, width), torch.empty(rows, width), kernels.library()

    def c() -> None:
        p = [tensor.data_ptr() for tensor in (x, w, past, h, g, gx, gw, gpast)]
        known.Rect_recur(*p[:4], None, rows, count, width, 0, 0.0, 0, 1)
        known.Rect_recur_backward(p[4], None, None, *p[1:4], *p[5:], rows, count, width, 0, 0, 1)

    def fresh() -> None:
        torch.empty(x.shape).fill_(0), torch.empty(x.shape).fill_(0)

    def filled() -> None:
        h.fill_(0), gx.fill_(0)

    whole = alone.back(lambda: kernels.recurrence(alone.Rect(), x, w, past[:, None], 0.0, False), g, x, w)
    ways = {"whole": whole, "C": c, "two such arrays, new": fresh, "two such arrays, old": filled}
    return shares(ways, "whole")


def chain(states: int) -> dict[str, float]:
    """Loss and gradient of a CRF, T = 100, batch 32."""
    package = alone.package(states)
    kernels, crf = package.kernels, package.model.Chain(states, states, ends=True)
    e, y = torch.randn(32, 100, states).requires_grad_(), torch.randint(states, (32, 100))
    pair, ends, g = torch.rand(states, states), torch.zeros(states), torch.ones(32)
    with torch.no_grad():
        _, *kept = made = kernels._chain(e.detach(), pair, ends, ends, y, None)
    forward, backward = (getattr(kernels.library(), f"chain_{states}_{half}") for half in ("forward", "backward"))
    room = torch.empty(32, 100, states), *(torch.empty_like(like) for like in (kept[0], kept[0], pair, pair))

    def c() -> None:
        p = [None if tensor is None else tensor.data_ptr() for tensor in (e, pair, ends, ends, y, None, *made, g, *room)]
        forward(*p[:10], 32, 100, 1)
        backward(p[10], *p[7:10], p[1], p[4], None, *p[11:], 32, 100, 1)

    def whole() -> None:
        e.grad = None
        (-crf.log_prob(y, e[None])).sum().backward()

    return shares({"whole": whole, "C": c}, "whole")


def main() -> None:
    torch.set_num_threads(1)
    kernels = alone.package().kernels
    single = {
        "PCFF nodes (32, 1024)": drawn_nodes(kernels),
        "relu recurrence (784, 32, 128)": loops(kernels),
        "CRF (100, 32, 10)": chain(10),
        "CRF (100, 32, 50)": chain(50),
    }
    with tempfile.TemporaryDirectory() as folder:
        found = {"draws": {name: draws(name, Path(folder)) for name in SPECS}, "checks": checks(Path(folder))}
    found["kernels"] = single
    for name, row in [*found["draws"].items(), ("transfer", found["checks"]), *single.items()]:
        print(f"{name:<31}", *(f"{key}: {value:.3f} " for key, value in row.items()))
    RESULTS.write_text(json.dumps({"torch": torch.__version__, "threads": 1, **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
