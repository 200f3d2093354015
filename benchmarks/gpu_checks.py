"""Kernels on a GPU against those of the processor, or plain torch: run by gpu.sh, on packages of generated/ alone.

Where CGC_GPU_DEVICE is cpu, what Triton can say without a GPU is checked in its interpreter: the checks themselves are tested so.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

DEVICE = os.environ.get("CGC_GPU_DEVICE", "cuda")
PACKAGES = ("mnist_dense", "indrnn", "indrnn_pixel_mnist", "tagger_crf", "causal", "lstm", "resnet20_cifar10")
SEED = torch.tensor(0x0123456789ABCDEF)
SIZES = (1, 1021, 4099) if DEVICE == "cpu" else (1, 1021, 4099, 3_000_017)

if DEVICE == "cuda" and not torch.cuda.is_available():
    pytest.skip("there is no CUDA GPU", allow_module_level=True)
on_a_gpu = pytest.mark.skipif(DEVICE != "cuda", reason="needs a GPU")


def kernels_of(name: str) -> ModuleType:
    found: ModuleType = importlib.import_module(f"{name}.kernels")
    return found


def on_device(name: str) -> ModuleType:
    """The operations for the GPU."""
    found = kernels_of(name).gpu()
    assert found is not None, "there is no Triton"
    return found


LAWS = [(name, law) for name in PACKAGES for law in getattr(kernels_of(name), "LAWS", ())]
CELLS = [(name, cell) for name in (*PACKAGES, "gru", "srn") for cell in getattr(kernels_of(name), "CELLS", ())]


def here(*given: Any) -> list[Any]:
    """Tensors where kernels run."""
    return [x.to(DEVICE) if isinstance(x, Tensor) else x for x in given]


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def close(found: Tensor, expected: Tensor, decisions: int = 0, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Equal but for a few decisions, which fall otherwise where a probability is within a rounding of its number."""
    wrong = ~torch.isclose(found.cpu().float(), expected.float(), rtol=rtol, atol=atol, equal_nan=True)
    assert int(wrong.sum()) <= decisions, (int(wrong.sum()), found.cpu()[wrong][:5], expected[wrong][:5])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "law"), [(n, law) for n, law in LAWS if kernels_of(n).LAWS[law].plain])
def test_nodes(name: str, law: str, size: int) -> None:
    """Draw by draw what the processor draws."""
    ops, gpu, known = kernels_of(name).OPS, on_device(name), kernels_of(name).LAWS[law]
    e, g = 3 * randn(size), randn(size, seed=1)
    few = 2 + size // 500_000
    for rate in (0.0, 0.3, 1.0) if known.drawn else (0.0,):
        seed = SEED if rate else None
        close(gpu.node(*here(e, law, rate, seed)), ops.node(e, law, rate, seed), few if rate else 0)
    back = kernels_of(name)._back
    for how in {back(known, 0.0, False), *(back(known, 0.3, straight) for straight in (False, True) if known.drawn)}:
        seed = SEED if how == 2 else None
        mine = gpu.node_backward(*here(g, e, law, how, 0.3, seed))
        # a processor keeps slopes of draws, a GPU draws again
        other = g * ops.node_kept(e, law, 0.3, seed)[1] if how == 2 else ops.node_backward(g, e, law, how, 0.3, seed)
        close(mine, other, few if how == 2 else 0)
    half = e.bfloat16()
    close(gpu.node(*here(half, law, 0.0, None)), ops.node(half, law, 0.0, None), 0, rtol=1.6e-2)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 13, 37), (2, 40, 5)] + ([(64, 200, 257), (2, 2000, 64)] if DEVICE == "cuda" else []))
@pytest.mark.parametrize(("name", "law"), [(n, law) for n, law in LAWS if kernels_of(n).LAWS[law].recurrent])
def test_recurrences(name: str, law: str, shape: tuple[int, int, int]) -> None:
    """Sequential ones, and where they are long and narrow, scans."""
    ops, gpu, known = kernels_of(name).OPS, on_device(name), kernels_of(name).LAWS[law]
    rows, _, width = shape
    x, past, g = randn(*shape), randn(rows, width), randn(*shape, seed=1)
    w = torch.rand(width, generator=torch.Generator().manual_seed(2)) * 1.6 - 0.8
    for rate in (0.0, 0.3) if known.drawn else (0.0,):
        seed = SEED if rate else None
        h = ops.recurrence(x, w, past, law, rate, seed)
        few = x.numel() // 1000 if rate else 0  # a decision changes what follows
        close(gpu.recurrence(*here(x, w, past, law, rate, seed)), h, few, atol=1e-4)
        how = kernels_of(name)._back(known, rate, False)
        mine = gpu.recurrence_backward(*here(g, x, w, past, h, law, how, rate, seed))
        saved = ops.recurrence_kept(x, w, past, law, rate, seed)[1] if how == 2 else x
        expected = ops.recurrence_backward(g, saved, w, past, h, law, 3 if how == 2 else how, rate, None)
        for one, other in zip(mine, expected, strict=True):
            close(one, other, few, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 3, 67)] + ([(300, 4, 515)] if DEVICE == "cuda" else []))
@pytest.mark.parametrize(("name", "cell"), CELLS)
def test_steps_of_loops(name: str, cell: str, shape: tuple[int, int, int]) -> None:
    """Every array that a step writes, forward, back, and where nodes are drawn."""
    kernels, gpu = kernels_of(name), on_device(name)
    for half, arrays in kernels.CELLS[cell].arrays.items():
        given = [randn(*shape, seed=k) for k in range(len(arrays.split()))]
        there = [x.clone().to(DEVICE) for x in given]
        kernels._stepper(f"{cell}_{half}", [(x, 0) for x in given], shape[1], 0.3, False, SEED)(shape[1] - 1)
        gpu.stepper(f"{cell}_{half}", there, 0.3, False, SEED)(shape[1] - 1)
        for mine, other in zip(there, given, strict=True):
            close(mine, other, 2 + other.numel() // 500_000 if half == "drawn" else 0)


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("size", [1.0, 300.0])
def test_chains(size: float, cut: bool) -> None:
    ops, gpu, states = kernels_of("tagger_crf").OPS, on_device("tagger_crf"), kernels_of("tagger_crf").CHAINS[0]
    e, g, generator = size * randn(5, 17, states), randn(5), torch.Generator().manual_seed(3)
    pair = randn(states, states) if size < 10 else (size + 1) * torch.eye(states) - size
    start, end = randn(states, seed=1), randn(states, seed=2)
    lengths = torch.randint(1, 18, (5,), generator=generator) if cut else None
    for y in (None, torch.randint(states, (5, 17), generator=generator)):
        given = e, pair, start, end, y, lengths
        mine, other = gpu.chain(*here(*given)), ops.chain(*given)
        close(mine[0], other[0], rtol=1e-5, atol=1e-3)
        back = gpu.chain_backward(*here(g, *mine[1:], pair, y, lengths))
        for one, two in zip(back, ops.chain_backward(g, *other[1:], pair, y, lengths), strict=True):
            close(one, two, rtol=1e-3, atol=1e-4)


def batch_of(name: str) -> tuple[Tensor, ...]:
    """Noise that a model takes."""
    generator = torch.Generator().manual_seed(0)
    if name == "causal":
        return (torch.randint(2, (8, 8, 8), generator=generator).float(),)
    shapes = {"mnist_dense": (8, 784), "indrnn_pixel_mnist": (8, 784, 1), "resnet20_cifar10": (8, 3, 32, 32)}
    x = torch.rand(shapes.get(name, (8, 8, 8)), generator=generator)
    return x, torch.randint(10, (8,), generator=generator)


@on_a_gpu
@pytest.mark.parametrize(("name", "method"), [
    ("mnist_dense", "feed_forward"), ("mnist_dense", "pcff"), ("indrnn", "feed_forward"), ("indrnn", "pcff"),
    ("causal", "feed_forward"), ("lstm", "feed_forward"), ("lstm", "pcff"), ("gru", "feed_forward"), ("srn", "feed_forward"),
])  # fmt: skip
def test_models(name: str, method: str) -> None:
    """Loss and gradients as on the processor, and from the same seed the same draws."""
    module, batch, found = importlib.import_module(name), batch_of(name), []
    for device in ("cpu", "cuda"):
        torch.manual_seed(1)
        model = module.Model().train().inference(method, 0.3)
        model.to(device)
        torch.manual_seed(2)
        loss = model.loss(*(x.to(device) for x in batch))
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    for mine, other in zip(found[1], found[0], strict=True):
        close(mine, other, 0 if method == "feed_forward" else other.numel() // 50, rtol=1e-2, atol=1e-3 * float(other.abs().max() + 1e-3))


@on_a_gpu
def test_a_replayed_graph_draws_anew() -> None:
    module, (x, y) = importlib.import_module("mnist_dense"), (x.cuda() for x in batch_of("mnist_dense"))
    model = module.Model().cuda().train().inference("pcff", 0.5)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            model.loss(x, y).backward()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = model.loss(x, y)
        loss.backward()
    values = []
    for _ in range(4):
        graph.replay()
        values.append(float(loss))
    assert len(set(values)) == 4, values


@on_a_gpu
def test_compiled() -> None:
    module, (x, y) = importlib.import_module("indrnn"), (x.cuda() for x in batch_of("indrnn"))
    model = module.Model().cuda().train()
    whole = torch.compile(model.loss, fullgraph=True)
    torch.testing.assert_close(whole(x, y), model.loss(x, y), rtol=1e-4, atol=1e-5)


@on_a_gpu
def test_what_lies_beyond_ends_the_run() -> None:
    """In a process of its own, as an assertion on the device leaves none usable."""
    import subprocess
    import sys

    code = "import torch, mnist_dense as m; m.Model().cuda()(torch.full((2, 784), 2.0).cuda()); torch.cuda.synchronize()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode != 0 and "assert" in done.stderr.lower()
