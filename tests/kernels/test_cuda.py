"""What only kernels for GPUs do: scans over time, chains in blocks, random words in programs; in Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from made import words_of, written
from torch import Tensor

triton = pytest.importorskip("triton")
tl = pytest.importorskip("triton.language")

SEED = 0xFEDCBA9876543210


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


@triton.jit
def four_words(to, base, later, seed, philox: tl.constexpr):
    lane = tl.arange(0, 256)
    words = philox(tl.load(base), lane, later, seed)
    for k in tl.static_range(4):
        tl.store(to + k * 256 + lane, words[k].to(tl.int64))


@pytest.mark.parametrize("base", [0, 512, 2**32 - 256, 2**33 + 1024])
def test_random_words_are_those_of_the_processor(triton_kernels: ModuleType, base: int) -> None:
    """Every bit, also where places of elements do not fit into 32."""
    found = torch.empty(4, 256, dtype=torch.int64)
    four_words[(1,)](found, torch.tensor([base]), 3, torch.tensor(SEED - 2**64), philox=triton_kernels.philox)
    lane = np.arange(256, dtype=np.uint64)
    expected = words_of(SEED, lane + np.uint64(base), np.full_like(lane, 3))
    for mine, theirs in zip(found.numpy(), expected, strict=True):
        np.testing.assert_array_equal(mine.astype(np.uint32), theirs)


@pytest.mark.parametrize("law", ["Relu", "Gaussian"])
@pytest.mark.parametrize(("rows", "steps", "width", "spread"), [(1, 1, 1, 1.0), (2, 33, 3, 1.0), (1, 40, 3, 2.5), (3, 16, 5, 0.5)])
def test_scans_over_time(
    triton_kernels: ModuleType, monkeypatch: pytest.MonkeyPatch, law: str, rows: int, steps: int, width: int, spread: float
) -> None:
    """As the loop over steps computes, whatever the weights' signs, and where they make values grow."""
    module, known = triton_kernels, triton_kernels.LAWS[law]
    assert known.bounds is not None
    x, w, past, g = randn(rows, steps, width), spread * randn(width), randn(rows, width), randn(rows, steps, width, seed=1)
    h = module.recurrence(x, w, past, law, 0.0, None)
    back = module.recurrence_backward(g, x, w, past, h, law, 0, 0.0, None)
    monkeypatch.setattr(module, "chunks", lambda *_: ((triton.cdiv(past.numel(), 4),), {"CHUNK": 16, "BLOCK": 4}))
    scanned = module.recurrence(x, w, past, law, 0.0, None)
    large = 1e-6 + 2e-5 * h.abs().amax(1, keepdim=True)
    assert ((scanned - h).abs() <= large).all()
    for mine, other in zip(module.recurrence_backward(g, x, w, past, h, law, 0, 0.0, None), back, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@triton.jit
def slope_between(h, tables):
    return tl.where((h > -0.5) & (h < 1.0), 1.0, 0.0)


def test_scans_of_clamps_on_both_sides(triton_kernels: ModuleType) -> None:
    """Against autograd through the steps."""
    rows, steps, width = 2, 50, 3
    x, past = randn(rows, steps, width).requires_grad_(), randn(rows, width).requires_grad_()
    w, g = (1.5 * randn(width)).requires_grad_(), randn(rows, steps, width, seed=1)
    state, states = past, []
    for t in range(steps):
        state = (x[:, t] + w * state).clamp(-0.5, 1.0)
        states.append(state)
    expected = torch.stack(states, 1)
    (expected * g).sum().backward()
    h, gx, gpast, gw = (torch.zeros_like(z) for z in (x, x, past, past))
    shape, grid, sizes = {"CHUNK": 16, "BLOCK": 4}, (2,), (rows, steps, width)
    triton_kernels.scan[grid](x.detach(), w.detach(), past.detach(), h, *sizes, LOW=-0.5, HIGH=1.0, **shape)
    torch.testing.assert_close(h, expected.detach(), rtol=1e-5, atol=1e-5)
    triton_kernels.scan_backward[grid](g, w.detach(), past.detach(), h, gx, gw, gpast, *sizes, None, LAW=slope_between, **shape)
    for mine, leaf in ((gx, x), (gw.sum(0), w), (gpast, past)):
        torch.testing.assert_close(mine, leaf.grad, rtol=1e-4, atol=1e-4)


def test_scans_are_for_long_and_narrow_clamps(triton_kernels: ModuleType) -> None:
    laws, chunks = triton_kernels.LAWS, triton_kernels.chunks
    assert chunks(laws["Relu"], 256, 4096, 0.0) and chunks(laws["Gaussian"], 256, 4096, 0.0)
    assert not chunks(laws["Relu"], 256, 4096, 0.1)
    assert not chunks(laws["Relu"], 256, 100, 0.0) and not chunks(laws["Relu"], 100_000, 4096, 0.0)
    assert not chunks(laws["Spin"], 256, 4096, 0.0)


@pytest.mark.parametrize(
    ("labelled", "cut", "ends"), [(True, True, True), (True, False, False), (False, True, False), (False, False, True)]
)
@pytest.mark.parametrize(("rows", "steps", "states", "size"), [(1, 1, 1, 1.0), (3, 7, 5, 1.0), (2, 9, 13, 2.0), (4, 12, 3, 300.0)])
def test_chains(
    ops: ModuleType, triton_kernels: ModuleType, rows: int, steps: int, states: int, size: float, labelled: bool, cut: bool, ends: bool
) -> None:
    """As in C, whose sums have tests of their own; where energies are large, rows are summed in logarithms."""
    e, g = size * randn(rows, steps, states), randn(rows)
    pair = randn(states, states) if size < 10 else (size + 1) * torch.eye(states) - size
    start, end = (randn(states, seed=2), randn(states, seed=3)) if ends else (None, None)
    generator = torch.Generator().manual_seed(rows)
    lengths = torch.randint(1, steps + 1, (rows,), generator=generator) if cut else None
    y = torch.randint(states, (rows, steps), generator=generator) if labelled else None
    given = e, pair, start, end, y, lengths
    mine, other = triton_kernels.chain(*given), ops.OPS.chain(*given)
    torch.testing.assert_close(mine[0], other[0], rtol=1e-5, atol=1e-5)
    assert mine[3].tolist() == other[3].tolist()
    assert size < 10 or cut or sum(mine[3]) > 0
    back = triton_kernels.chain_backward(g, *mine[1:], pair, y, lengths)
    for one, two in zip(back, ops.OPS.chain_backward(g, *other[1:], pair, y, lengths), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=2e-5)


def test_what_is_no_state_gives_no_number(triton_kernels: ModuleType) -> None:
    y = torch.tensor([[0, 1, 2], [0, 3, 1], [-1, 0, 0]])
    log_p, _, _, lost = triton_kernels.chain(randn(3, 3, 3), randn(3, 3), None, None, y, None)
    assert torch.isfinite(log_p[0]) and torch.isnan(log_p[1:]).all()
    assert lost.tolist() == [0, -1, -1]


def test_the_seed_is_taken_to_the_tensor(triton_kernels: ModuleType) -> None:
    """A seed that lies elsewhere is put where the kernel reads it."""
    seed = triton_kernels.told(torch.tensor(SEED - 2**64), torch.empty(0, device="meta"))
    assert seed.device.type == "meta" and seed.dtype == torch.int64
    assert triton_kernels.told(seed, torch.empty(0, device="meta")) is seed
    assert triton_kernels.told(None, torch.empty(0)) is None


WITHOUT = """
import sys, warnings
sys.modules["triton"] = None
import kernels, torch
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    assert kernels.gpu() is None and kernels.gpu() is None
    assert not kernels.compiled_here(on_gpu=True) and kernels.compiled_here(on_gpu=False)
    assert not kernels.available(torch.zeros(2, device="meta"))
assert len(told) == 1 and "without fused kernels" in str(told[0].message), [str(w.message) for w in told]
"""


def test_without_triton_it_is_said_once(tmp_path: Path) -> None:
    """The processor's kernels are there all the same."""
    environment = {**os.environ, "PYTHONPATH": str(written(tmp_path).parent)}
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


CHECKS = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "benchmarks/gpu_checks.py"]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([*CHECKS, "-k", "shape0 or Spin-1"], id="some"),
        pytest.param(CHECKS, id="checks", marks=pytest.mark.slow),
        pytest.param(["benchmarks/gpu.py", "small"], id="times", marks=pytest.mark.slow),
    ],
)
def test_what_a_gpu_runs_runs_in_the_interpreter(command: list[str]) -> None:
    """The checks and the benchmark of gpu.sh, as far as they go without a GPU."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root / "generated"), "CGC_GPU_DEVICE": "cpu", "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment, cwd=root)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
