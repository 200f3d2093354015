"""Kernels on a GPU beside what would be written in torch, and beside what its memory allows; run by gpu.sh, after its checks.

    python benchmarks/gpu.py             writes benchmarks/results/gpu.json
    python benchmarks/gpu.py small       on whatever device, at sizes that Triton's interpreter can do, and only printed

Both sides in one run, in turn, and both right. Times are medians of runs between events of the device; what is shorter than its launch is
repeated inside a CUDA graph. Absolute times stand beside the bandwidth of a copy that was measured in the same run.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RESULTS = Path(__file__).parent / "results" / "gpu.json"
SMALL = "small" in sys.argv
CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
Step = Callable[[], Any]
rows: list[dict[str, Any]] = []


def operations(name: str) -> Any:
    """The kernels of a package for this device; without a GPU, Triton's interpreter."""
    return importlib.import_module(f"{name}.kernels").gpu()


def once(step: Step) -> float:
    """Seconds of one run."""
    if not CUDA:
        start = time.perf_counter()
        step()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    step()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1e3


def graphed(step: Step, times: int = 20) -> Step:
    """The step, so many times in a CUDA graph: what the device takes, without launches."""
    if not CUDA:
        return step
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            step()

    def replay() -> None:
        graph.replay()

    replay.times = times  # type: ignore[attr-defined]
    return replay


def timed(*steps: Step, count: int = 15) -> list[float]:
    """Medians of runs in turn; of graphs, for one of the steps inside."""
    for _ in range(1 if SMALL else 3):
        for step in steps:
            step()
    found = [[once(step) / getattr(step, "times", 1) for step in steps] for _ in range(1 if SMALL else count)]
    return [median(row[k] for row in found) for k in range(len(steps))]


def tell(what: str, value: float, goal: str, **more: float) -> None:
    rows.append({"what": what, "value": value, "goal": goal, **more})
    print(f"{what:<96}{value:10.3f}   goal {goal}", flush=True)


def alike(mine: Any, other: Any, rtol: float = 1e-3, atol: float = 1e-3) -> None:
    for a, b in zip(mine, other, strict=True):
        torch.testing.assert_close(a.float(), b.float(), rtol=rtol, atol=atol)


def copied(elements: int) -> float:
    """Bytes a second that a copy reads and writes."""
    a, b = torch.randn(elements, device=DEVICE), torch.empty(elements, device=DEVICE)
    return 8 * elements / timed(lambda: b.copy_(a))[0]


def recurrence(bandwidth: float) -> None:
    """Rectified recurrences, forward and backward: five arrays are moved."""
    gpu, law = operations("indrnn"), "Rect"

    def both(x: Tensor, w: Tensor, past: Tensor, g: Tensor) -> Step:
        def step() -> Any:
            h = gpu.recurrence(x, w, past, law, 0.0, None)
            return gpu.recurrence_backward(g, h, w, past, h, law, 0, 0.0, None)

        return step

    steps, batch, nodes = (16, 2, 64) if SMALL else (512, 256, 1024)
    times = {}
    for kind in (torch.float32, torch.bfloat16):
        x, g = (torch.randn(batch, steps, nodes, device=DEVICE, dtype=kind) for _ in range(2))
        past, w = torch.zeros(batch, nodes, device=DEVICE, dtype=kind), torch.rand(nodes, device=DEVICE)
        (times[kind],) = timed(both(x, w, past, g))
        share = 5 * x.numel() * x.element_size() / times[kind] / bandwidth
        tell(f"recurrence ({steps}, {batch}, {nodes}), {kind}: share of copy bandwidth", share, ">= 0.85", seconds=times[kind])
    tell("  bfloat16 / float32, as fast", times[torch.float32] / times[torch.bfloat16], ">= 1.9")

    steps, batch, nodes = (12, 2, 8) if SMALL else (784, 32, 128)
    x, g = (torch.randn(batch, steps, nodes, device=DEVICE) for _ in range(2))
    past, w = torch.zeros(batch, nodes, device=DEVICE), torch.rand(nodes, device=DEVICE)
    leaves = x.clone().requires_grad_(), w.clone().requires_grad_()

    def loop() -> Any:
        h, kept = past, []
        for e in leaves[0].unbind(1):
            h = torch.relu(e + leaves[1] * h)
            kept.append(h)
        return torch.autograd.grad(torch.stack(kept, 1), leaves, g)

    alike(both(x, w, past, g)()[:2], loop())
    ours, graph, plain = timed(graphed(both(x, w, past, g)), graphed(loop, 1), loop, count=7)
    what = f"recurrence ({steps}, {batch}, {nodes})"
    tell(f"{what}: microseconds, forward and backward", 1e6 * ours, "<= 100")
    tell(f"{what}: unbind loop / ours", plain / ours, ">= 150")
    tell(f"{what}: unbind loop in a CUDA graph / ours", graph / ours, ">= 10")

    steps, batch, nodes = (20, 1, 8) if SMALL else (4096, 1, 256)
    x, past = torch.randn(batch, steps, nodes, device=DEVICE), torch.zeros(batch, nodes, device=DEVICE)
    w, chunks = torch.rand(nodes, device=DEVICE) * 2 - 1, gpu.chunks
    scanned = (lambda *_: ((1,), {"CHUNK": 8, "BLOCK": 8})) if SMALL else chunks

    def forward(way: Any) -> Step:
        def step() -> Tensor:
            gpu.chunks = way
            return gpu.recurrence(x, w, past, law, 0.0, None)

        return step

    sequential = forward(lambda *_: None)
    alike([forward(scanned)()], [sequential()], 1e-3, 1e-4)
    fast, slow = timed(graphed(forward(scanned)), graphed(sequential))
    gpu.chunks = chunks
    tell(f"clamp-scan ({steps}, {batch}, {nodes}): sequential / scan, forward", slow / fast, ">= 4", microseconds=1e6 * fast)


def nodes(bandwidth: float) -> None:
    """PCFF nodes with states -1 and 1, forward and backward: five arrays are moved."""
    gpu, known = operations("mnist_dense"), importlib.import_module("mnist_dense.kernels").LAWS
    law = next(name for name, one in known.items() if one.discrete)
    size, seed = 3000 if SMALL else 2**25, torch.tensor(5, device=DEVICE)
    for kind, goal in ((torch.float32, ">= 0.85"), (torch.bfloat16, ">= 0.65")):
        e, g = (torch.randn(size, device=DEVICE, dtype=kind) for _ in range(2))

        def ours(e: Tensor = e, g: Tensor = g) -> Tensor:
            h = gpu.node(e, law, 0.3, seed)
            return gpu.node_backward(g, h, law, 0, 0.3, seed)

        leaf = e.clone().requires_grad_()

        def composed(leaf: Tensor) -> Tensor:
            q = torch.tanh(leaf)
            drawn = 2 * torch.bernoulli(torch.sigmoid(2 * leaf.float())).to(leaf.dtype) - 1
            return torch.where(torch.rand_like(q) < 0.3, drawn.detach(), q)

        def theirs(run: Any = composed, leaf: Tensor = leaf, g: Tensor = g) -> Any:
            return torch.autograd.grad(run(leaf), leaf, g)

        assert abs(float((gpu.node(e, law, 0.3, seed).abs() == 1).float().mean()) - 0.3) < 0.05
        steps: list[Step] = [ours, theirs]
        if CUDA:
            whole = torch.compile(composed)
            steps.append(lambda run=whole, theirs=theirs: theirs(run))
        found = timed(*steps)
        short = str(kind).removeprefix("torch.")
        tell(f"PCFF, {size} nodes, {short}: share of copy bandwidth", 5 * size * e.element_size() / found[0] / bandwidth, goal)
        tell(f"PCFF, {size} nodes, {short}: composed / ours", found[1] / found[0], "-")
        if CUDA:
            tell(f"PCFF, {size} nodes, {short}: torch.compile of the composed form / ours", found[2] / found[0], ">= 1.5")


class PlainChain(nn.Module):
    """A CRF's loss in plain torch, its forward algorithm in logarithms."""

    def __init__(self, pair: Tensor, start: Tensor, end: Tensor) -> None:
        super().__init__()
        self.pair, self.start, self.end = pair, start, end

    def forward(self, e: Tensor, y: Tensor) -> Tensor:
        score = e.gather(-1, y[..., None]).sum((1, 2)) + self.pair[y[:, :-1], y[:, 1:]].sum(1) + self.start[y[:, 0]] + self.end[y[:, -1]]
        s = self.start + e[:, 0]
        for now in e.unbind(1)[1:]:
            s = (s[:, :, None] + self.pair).logsumexp(1) + now
        return score - (s + self.end).logsumexp(1)


def chains() -> None:
    """Loss and gradient of a CRF, beside the plain form (which is held equal to pytorch-crf on a processor)."""
    gpu = operations("tagger_crf")
    states, steps, batch = importlib.import_module("tagger_crf.kernels").CHAINS[0], 6 if SMALL else 100, 2 if SMALL else 32
    e, y = torch.randn(batch, steps, states, device=DEVICE), torch.randint(states, (batch, steps), device=DEVICE)
    weights = [torch.randn(*shape, device=DEVICE).requires_grad_() for shape in ((states, states), (states,), (states,))]
    leaf, g, plain = e.clone().requires_grad_(), torch.ones(batch, device=DEVICE), PlainChain(*weights)
    given = [w.detach() for w in weights]

    def ours() -> Any:
        log_p, *kept = gpu.chain(e, *given, y, None)
        return log_p, gpu.chain_backward(g, *kept, given[0], y, None)

    def theirs() -> Any:
        log_p = plain(leaf, y)
        return log_p, torch.autograd.grad(log_p.sum(), (leaf, weights[0]))

    (a, back), (b, other) = ours(), theirs()
    alike([a, *back], [b.detach(), *other])
    fast, graph, slow = timed(graphed(ours), graphed(theirs, 1), theirs, count=7)
    what = f"CRF loss and gradient ({steps}, {batch}, {states})"
    tell(f"{what}: microseconds", 1e6 * fast, "<= 45 for 10 states")
    tell(f"{what}: plain torch / ours", slow / fast, ">= 100")
    tell(f"{what}: plain torch in a CUDA graph / ours", graph / fast, "-")


class Dense(nn.Sequential):
    """784-1024-1024-10 by hand."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(784, 1024), nn.Tanh(), nn.Linear(1024, 1024), nn.Tanh(), nn.Linear(1024, 10))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(self(x), y)


def dense() -> None:
    """A training step with PCFF, batch 32."""
    package = importlib.import_module("mnist_dense")
    batch = torch.rand(32, 784, device=DEVICE), torch.randint(10, (32,), device=DEVICE)
    ours, hand = package.Model().to(DEVICE).train(), Dense().to(DEVICE)
    ours.inference("pcff", 0.3)
    names = package.Model.forward.__globals__
    kernels = names["kernels"]

    def step_of(model: Any, on: bool = True) -> Step:
        optimizer = torch.optim.Adam(model.parameters(), capturable=CUDA)

        def step() -> None:
            names["kernels"] = kernels if on else None
            optimizer.zero_grad(set_to_none=False)
            model.loss(*batch).backward()
            optimizer.step()

        step()
        return step

    graph, eager, plain = timed(graphed(step_of(ours), 1), step_of(ours, False), graphed(step_of(hand), 1))
    names["kernels"] = kernels
    tell("dense step, batch 32: eager composed form / ours in a CUDA graph", eager / graph, ">= 8", microseconds=1e6 * graph)
    tell("dense step, batch 32: ours / the same network without PCFF, both in CUDA graphs", graph / plain, "<= 1.15")


def main() -> None:
    torch.manual_seed(0)
    bandwidth = copied(2**16 if SMALL else 2**28)
    print(f"{torch.cuda.get_device_name() if CUDA else 'no GPU'}: a copy moves {bandwidth / 1e9:.0f} GB/s")
    recurrence(bandwidth)
    nodes(bandwidth)
    chains()
    dense()
    if not SMALL:
        found = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "python": platform.python_version()}
        found |= {"copy_bytes_per_second": bandwidth, "rows": rows}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
