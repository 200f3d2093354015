"""Kernels beside what would be written in torch: both in one run, on one thread, in turn, and both right.

    python benchmarks/kernels.py             a few minutes; writes benchmarks/results/kernels_cpu.json
    python benchmarks/kernels.py chains      some of it, only printed

A ratio is the median over pairs of runs that follow each other. Absolute times are in the file for the record: they say nothing about
other machines.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from cgc import compiler

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "kernels_cpu.json"
SPEC = """cgc: 1
name: benchmarked_LABELS
families: {spin: {kind: binary, values: [-1, 1]}, rect: {kind: rectified_gaussian, std: tanh(e), emit: relu}}
time: {steps: 4}
components:
  x: {role: input, nodes: 3, family: {kind: gaussian, std: 1}}
  a: {nodes: 4, family: spin, parents: {x: dense, a: {kind: elementwise, lag: 1}}}
  b: {nodes: 4, family: rect, parents: {a: dense, b: {kind: elementwise, lag: 1}}}
  c: {nodes: 4, family: spin, parents: {b: dense}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: LABELS}, lines: {kind: chain, ends: true}, parents: {c: dense}}
"""
Step = Callable[[], Any]


class Spin:
    """Kernels know laws by the name of their class."""


class Rect:
    """Likewise."""


def package(labels: int = 10) -> ModuleType:
    """A package with kernels for both laws, and for chains of so many labels."""
    folder = Path(tempfile.mkdtemp())
    (folder / "spec.yaml").write_text(SPEC.replace("LABELS", str(labels)))
    compiler.compile(folder / "spec.yaml", output=folder)
    sys.path.insert(0, str(folder))
    return importlib.import_module(f"benchmarked_{labels}")


def pairs(ours: Step, theirs: Step, count: int) -> list[tuple[float, float]]:
    """Seconds of runs in turn, the first of each being warm."""
    for step in (ours, theirs, ours, theirs):
        step()
    found = []
    for _ in range(count):
        times = []
        for step in (ours, theirs):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        found.append((times[0], times[1]))
    return found


def compare(name: str, ours: Step, theirs: Step, goal: str, count: int = 21) -> dict[str, Any]:
    """The ratio theirs / ours, and its spread; printed."""
    found = pairs(ours, theirs, count)
    ratios = sorted(b / a for a, b in found)
    row = {
        "name": name,
        "ratio": median(ratios),
        "low": ratios[len(ratios) // 10],
        "high": ratios[-1 - len(ratios) // 10],
        "goal": goal,
        "ours_ms": median(a for a, _ in found) * 1e3,
        "theirs_ms": median(b for _, b in found) * 1e3,
        "pairs": count,
    }
    print(f"{name:<74} {row['ratio']:7.2f} x  [{row['low']:.2f}, {row['high']:.2f}]  goal {goal}", flush=True)
    return row


def gradients(step: Step, *leaves: Tensor) -> list[Tensor]:
    for leaf in leaves:
        leaf.grad = None
    step()
    return [leaf.grad.clone() for leaf in leaves if leaf.grad is not None]


def back(forward: Callable[[], Tensor], g: Tensor, *leaves: Tensor) -> Step:
    """Forward and backward, gradients from nothing."""

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        forward().backward(g)

    return step


def ahead(forward: Callable[[], Tensor]) -> Step:
    """Forward alone."""

    def step() -> None:
        with torch.no_grad():
            forward()

    return step


def recurrence(kernels: ModuleType, law: object, function: Callable[[Tensor], Tensor]) -> list[dict[str, Any]]:
    """An IndRNN's loop: T = 784, batch 32, 128 nodes."""
    steps, batch, nodes = 784, 32, 128
    x = torch.randn(batch, steps, nodes).requires_grad_()
    w = torch.rand(nodes).requires_grad_()
    past, g = torch.zeros(batch, 1, nodes), torch.randn(batch, steps, nodes)

    def loop() -> Tensor:
        h, kept = past[:, 0], []
        for e in x.unbind(1):
            h = function(e + w * h)
            kept.append(h)
        return torch.stack(kept, 1)

    def fused() -> Tensor:
        return kernels.recurrence(law, x, w, past, 0.0, False)

    torch.testing.assert_close(fused(), loop(), rtol=1e-4, atol=1e-5)
    ours, theirs = back(fused, g, x, w), back(loop, g, x, w)
    for mine, other in zip(gradients(ours, x, w), gradients(theirs, x, w), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)
    what = f"{function.__name__} recurrence (784, 32, 128)"
    rows = [compare(f"{what}, forward and backward: unbind loop", ours, theirs, "8", 41)]
    rows.append(compare(f"{what}, forward: unbind loop", ahead(fused), ahead(loop), "8", 41))
    if function is torch.relu:
        a, b, c, d, e = (torch.randn(batch, steps, nodes) for _ in range(5))

        def stream() -> None:
            b.copy_(a)  # x to h
            torch.add(c, d, out=e)  # h and the gradient to that of x

        rows.append(compare(f"{what}, forward and backward: streaming five such arrays", ours, stream, "0.4", 41))
    return rows


def peers(kernels: ModuleType) -> list[dict[str, Any]]:
    """The relu recurrence in torch's other ways. What is compiled has 64 steps, as compiling takes time in proportion."""
    from torch._higher_order_ops.scan import scan

    batch, nodes, rows = 32, 128, []
    torch.manual_seed(1)

    def beside(steps: int, name: str, other: Callable[[Tensor, Tensor], Tensor]) -> None:
        x = torch.randn(batch, steps, nodes).requires_grad_()
        w = torch.rand(nodes).requires_grad_()
        past, g = torch.zeros(batch, 1, nodes), torch.randn(batch, steps, nodes)
        ours = back(lambda: kernels.recurrence(Rect(), x, w, past, 0.0, False), g, x, w)
        theirs = back(lambda: other(x, w), g, x, w)
        for mine, found in zip(gradients(ours, x, w), gradients(theirs, x, w), strict=True):
            torch.testing.assert_close(mine, found, rtol=1e-3, atol=1e-3)
        rows.append(compare(f"relu recurrence ({steps}, 32, 128), forward and backward: {name}", ours, theirs, "-", 11))

    def loop(x: Tensor, w: Tensor) -> Tensor:
        h, kept = torch.zeros(batch, nodes), []
        for e in x.unbind(1):
            h = torch.relu(e + w * h)
            kept.append(h)
        return torch.stack(kept, 1)

    def step(h: Tensor, given: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h = torch.relu(given[0] + given[1] * h)
        return h, h.clone()

    def scanned(x: Tensor, w: Tensor) -> Tensor:
        each = x.transpose(0, 1), w.expand(x.shape[1], nodes)
        found: Tensor = scan(step, torch.zeros(batch, nodes), each)[1]
        return found.transpose(0, 1)

    beside(64, "torch.compile of the loop", torch.compile(loop))
    beside(64, "scan", scanned)  # compiling its backward pass fails in torch 2.13

    # torch's own recurrent layer has whole weights: a product each step, which IndRNNs do without
    x = torch.randn(batch, 784, nodes).requires_grad_()
    w, g, past = torch.rand(nodes).requires_grad_(), torch.randn(batch, 784, nodes), torch.zeros(batch, 1, nodes)
    rnn = torch.nn.RNN(nodes, nodes, nonlinearity="relu", batch_first=True)
    layer = torch.nn.Linear(nodes, nodes)
    with torch.no_grad():
        layer.weight.copy_(rnn.weight_ih_l0)
        layer.bias.copy_(rnn.bias_ih_l0)
        rnn.weight_hh_l0.copy_(torch.diag(w))
        rnn.bias_hh_l0.zero_()
    ours = back(lambda: kernels.recurrence(Rect(), layer(x), w, past, 0.0, False), g, x, w)
    theirs = back(lambda: rnn(x)[0], g, x, rnn.weight_hh_l0)
    mine, other = gradients(ours, x, w), gradients(theirs, x, rnn.weight_hh_l0)
    torch.testing.assert_close(mine[0], other[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(mine[1], other[1].diagonal(), rtol=1e-3, atol=1e-2)
    rows.append(compare("relu layer and recurrence (784, 32, 128), forward and backward: torch.nn.RNN", ours, theirs, "-", 11))
    return rows


def inferred(kernels: ModuleType, batch: int) -> list[dict[str, Any]]:
    """PCFF nodes with states -1 and 1, sample rate 0.3: bias, expectation, draw and choice."""
    shape = (batch, 1024)
    z, b, g = torch.randn(shape).requires_grad_(), torch.randn(1024).requires_grad_(), torch.randn(shape)

    def composed() -> Tensor:
        e = z + b
        q = torch.tanh(e)
        drawn = 2 * torch.bernoulli(torch.sigmoid(2 * e)) - 1
        return torch.where(torch.rand_like(q) < 0.3, drawn.detach(), q)

    def fused() -> Tensor:
        return kernels.node(Spin(), z + b, 0.3, False)

    def plain() -> Tensor:
        return torch.tanh(z + b)

    for way in (composed, fused):
        h, q = way().detach(), plain().detach()
        drawn = h.abs() == 1
        assert abs(float(drawn.float().mean()) - 0.3) < 0.02
        torch.testing.assert_close(h[~drawn], q[~drawn], rtol=1e-5, atol=1e-6)
        slopes = gradients(back(way, torch.ones_like(g), z, b), z)[0]
        assert abs(float((slopes == 0).float().mean()) - 0.3) < 0.02
    count, goal = (41, "10") if batch == 32 else (11, "18")
    ours = back(fused, g, z, b)
    what = f"PCFF nodes {shape}, forward and backward"
    return [
        compare(f"{what}: bernoulli, where, tanh", ours, back(composed, g, z, b), goal, count),
        compare(f"{what}: tanh(z + b)", ours, back(plain, g, z, b), "1", count),
    ]


def chains(states: int) -> list[dict[str, Any]]:
    """Loss and gradient of a CRF: T = 100, batch 32; pytorch-crf, if it is installed."""
    try:
        from torchcrf import CRF
    except ImportError:
        print("pytorch-crf is not installed: pip install pytorch-crf")
        return []
    ours, theirs = package(states).model.Chain(states, states, ends=True), CRF(states, batch_first=True)
    alike = ((ours.weight, theirs.transitions), (ours.start, theirs.start_transitions), (ours.end, theirs.end_transitions))
    with torch.no_grad():
        for mine, other in alike:
            mine.copy_(other.uniform_(-1, 1))
    e, y = torch.randn(32, 100, states).requires_grad_(), torch.randint(states, (32, 100))

    def fused() -> None:
        e.grad = None
        (-ours.log_prob(y, e[None])).sum().backward()

    def library() -> None:
        e.grad = None
        (-theirs(e, y)).backward()

    torch.testing.assert_close(-ours.log_prob(y, e[None]).sum(), -theirs(e, y), rtol=1e-5, atol=1e-4)
    found = gradients(fused, e, *(a for a, _ in alike)), gradients(library, e, *(b for _, b in alike))
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)
    what = f"CRF loss and gradient (100, 32, {states})"
    return [compare(f"{what}: pytorch-crf", fused, library, "30" if states == 10 else "25", 15)]


def overhead(kernels: ModuleType) -> list[dict[str, Any]]:
    """A kernel that draws 512 elements beside a bare autograd.Function that does not (undrawn, tanh is torch's)."""

    class Bare(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, e: Tensor) -> Tensor:
            h = torch.tanh(e)
            ctx.save_for_backward(h)
            return h

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            (h,) = ctx.saved_tensors
            return g * (1 - h * h)

    z, g = torch.randn(512).requires_grad_(), torch.randn(512)

    def step(forward: Callable[[], Tensor]) -> Step:
        def run() -> None:
            z.grad = None
            forward().backward(g)

        return run

    fused, bare = step(lambda: kernels.node(Spin(), z, 0.3, False)), step(lambda: Bare.apply(z))
    return [compare("overhead, 512 drawn elements: a bare autograd.Function", fused, bare, "0.71", 201)]


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", "where received a uint8 condition tensor")  # of pytorch-crf
    kernels = package().kernels
    assert kernels.library() is not None
    parts: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "recurrences": lambda: [*recurrence(kernels, Rect(), torch.relu), *recurrence(kernels, Spin(), torch.tanh)],
        "peers": lambda: peers(kernels),
        "nodes": lambda: [*inferred(kernels, 32), *inferred(kernels, 4096)],
        "chains": lambda: [*chains(10), *chains(50)],
        "overhead": lambda: overhead(kernels),
    }
    chosen = sys.argv[1:] or list(parts)
    rows = [row for name in chosen for row in parts[name]()]
    if sys.argv[1:]:
        return
    found = {"torch": torch.__version__, "machine": platform.machine(), "threads": 1, "rows": rows}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
