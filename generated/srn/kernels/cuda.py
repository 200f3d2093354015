"""srn: fused node laws as Triton kernels, for float32 and bfloat16 arrays on a GPU; in registers everything is float32.

Random numbers are a function of the seed and an element's place (Philox 4x32, 7 rounds), the same as in cpu.c, and the
seed is read on the device, so that a replayed CUDA graph draws anew.
Made by cgc; do not edit, compile again.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language import constexpr

# --- arithmetic


@triton.jit
def bits_of(x):
    return tl.cast(x, tl.uint32, bitcast=True)


@triton.jit
def float_of(x):
    return tl.cast(x, tl.float32, bitcast=True)


@triton.jit
def larger(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def smaller(a, b):
    return tl.minimum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def rounds(c0, c1, later, k0, k1):
    """7 rounds of Philox 4x32."""
    w0 = (tl.umulhi(later, 0xCD9E8D57) ^ c1) ^ k0
    w1 = tl.umulhi(w0, 0xD2511F53) ^ (c0 * 0xD2511F53)
    w2 = k1 + 0xBB67AE85
    w3 = w1 ^ w2
    w4 = (tl.umulhi(c0, 0xD2511F53) ^ 0) ^ k1
    w5 = tl.umulhi(w3, 0xCD9E8D57) ^ (w4 * 0xCD9E8D57)
    w6 = k0 + 0x9E3779B9
    w7 = w6 + 0x9E3779B9
    w8 = w5 ^ w7
    w9 = tl.umulhi(w4, 0xCD9E8D57) ^ (later * 0xCD9E8D57)
    w10 = w9 ^ w6
    w11 = tl.umulhi(w8, 0xD2511F53) ^ (w10 * 0xD2511F53)
    w12 = w2 + 0xBB67AE85
    w13 = w12 + 0xBB67AE85
    w14 = w11 ^ w13
    w15 = tl.umulhi(w10, 0xD2511F53) ^ (w0 * 0xD2511F53)
    w16 = w15 ^ w12
    w17 = tl.umulhi(w14, 0xCD9E8D57) ^ (w16 * 0xCD9E8D57)
    w18 = w7 + 0x9E3779B9
    w19 = w18 + 0x9E3779B9
    w20 = w17 ^ w19
    w21 = tl.umulhi(w16, 0xCD9E8D57) ^ (w3 * 0xCD9E8D57)
    w22 = w21 ^ w18
    w23 = tl.umulhi(w20, 0xD2511F53) ^ (w22 * 0xD2511F53)
    w24 = w13 + 0xBB67AE85
    w25 = w24 + 0xBB67AE85
    w26 = w23 ^ w25
    w27 = tl.umulhi(w22, 0xD2511F53) ^ (w8 * 0xD2511F53)
    w28 = w27 ^ w24
    w29 = tl.umulhi(w26, 0xCD9E8D57) ^ (w28 * 0xCD9E8D57)
    w30 = w19 + 0x9E3779B9
    w31 = tl.umulhi(w28, 0xCD9E8D57) ^ (w14 * 0xCD9E8D57)
    w32 = w31 ^ w30
    w33 = tl.umulhi(w32, 0xD2511F53) ^ (w20 * 0xD2511F53)
    return w29 ^ (w30 + 0x9E3779B9), w26 * 0xCD9E8D57, w33 ^ (w25 + 0xBB67AE85), w32 * 0xD2511F53


@triton.jit
def philox(base, lane, later, seed):
    """Four random words for the counters (base + lane, later)."""
    low = base.to(tl.uint32) + lane.to(tl.uint32)
    high = (base >> 32).to(tl.uint32) + (low < lane.to(tl.uint32)).to(tl.uint32)
    key = tl.load(seed)
    return rounds(low, high, tl.cast(later, tl.uint32), key.to(tl.uint32), (key >> 32).to(tl.uint32))


@triton.jit
def f32_tanh(x):
    """tanh x: x P(x²) / Q(x²), and 1 from 8.3 on."""
    f0 = smaller(larger(x, -8.3), 8.3)
    f1 = f0 * f0
    f2 = (2.1548955e-11 * f1 - 1.4011997e-08) * f1
    f3 = (f2 + 9.66442e-06) * f1 + 0.0029633713
    f4 = (f3 * f1 + 0.12958588) * f1 + 0.99999994
    f5 = (0.00023404024 * f1 + 0.023936747) * f1
    f6 = f0 * (f4 / ((f5 + 0.46291894) * f1 + 1.0))
    return smaller(larger(f6, -1.0), 1.0)


@triton.jit
def f32_log_of_normal(x):
    """log x of a positive normal number, to six digits."""
    w0 = bits_of(x)
    w1 = (w0 - 0xFFB504F3) >> 23
    f2 = (tl.cast(w1, tl.float32) - 127.0) * 0.6931472
    f3 = float_of(w0 - ((w1 - 0x7F) << 23)) - 1.0
    f4 = (0.08531075 * f3 - 0.14268601) * f3 + 0.14977854
    f5 = (f4 * f3 - 0.165781) * f3 + 0.19955903
    f6 = (f5 * f3 - 0.25001347) * f3 + 0.33334193
    f7 = f3 * ((f6 * f3 - 0.49999997) * f3 + 1.0)
    return f2 + f7


@triton.jit
def f32_normal_quantile(q):
    """z with Φ(-z) = q, 0 < q ≤ ½."""
    f0 = -f32_log_of_normal(4.0 * (q - q * q))
    t1 = f0 < 6.0
    f2 = (-1.5502572e-08 * f0 + 4.0679976e-07) * f0
    f3 = (f2 - 3.471604e-06) * f0 + 2.0859494e-07
    f4 = (f3 * f0 + 0.00015956757) * f0 - 0.0004199645
    f5 = (f4 * f0 - 0.00654367) * f0 + 0.032635722
    f6 = (f5 * f0 + 0.65623957) * f0 + 2.506628
    f7 = f0 - 14.0
    f8 = (-1.32885595e-11 * f7 + 1.032533e-10) * f7
    f9 = (f8 + 1.4534697e-09) * f7 - 2.5928085e-08
    f10 = (f9 * f7 + 4.1748993e-07) * f7 - 9.559786e-06
    f11 = (f10 * f7 + 0.00023081605) * f7 - 0.006703512
    f12 = (f11 * f7 + 0.3812305) * f7 + 10.123195
    return (0.5 - q) * tl.where(t1, f6, f12)


# --- steps of loops, node by node: arrays are (rows, steps, width), of which rows and steps lie as far apart as is told


@triton.jit
def shared(base, later, seed, BLOCK: constexpr):
    """A word for each element of a program, four of a block."""
    a, b, c, d = philox(base // 4, tl.arange(0, BLOCK // 4), later, seed)
    return tl.interleave(tl.interleave(a, c), tl.interleave(b, d))


@triton.jit(do_not_specialize=["t", "rate", "straight"])
def cell_forward(
    in_p0,
    in_x0,
    to_v0,
    apart,
    rows,
    width,
    t,
    rate,
    straight,
    seed,
    BLOCK: constexpr,
):
    """h"""
    base = tl.program_id(0).to(tl.int64) * BLOCK
    element = base + tl.arange(0, BLOCK)
    inside = element < rows * width
    row, column = element // width, element % width
    at_p0 = in_p0 + row * apart[0] + t * apart[1] + column
    at_x0 = in_x0 + row * apart[2] + t * apart[3] + column
    at_to_v0 = to_v0 + row * apart[4] + t * apart[5] + column
    p0 = tl.load(at_p0, mask=inside, other=0)
    x0 = tl.load(at_x0, mask=inside, other=0)
    tl.store(at_to_v0, larger(x0 + p0, 0.0), mask=inside)


@triton.jit(do_not_specialize=["t", "rate", "straight"])
def cell_backward(
    in_g0,
    in_v0,
    to_e0,
    apart,
    rows,
    width,
    t,
    rate,
    straight,
    seed,
    BLOCK: constexpr,
):
    """h"""
    base = tl.program_id(0).to(tl.int64) * BLOCK
    element = base + tl.arange(0, BLOCK)
    inside = element < rows * width
    row, column = element // width, element % width
    at_g0 = in_g0 + row * apart[0] + t * apart[1] + column
    at_v0 = in_v0 + row * apart[2] + t * apart[3] + column
    at_to_e0 = to_e0 + row * apart[4] + t * apart[5] + column
    g0 = tl.load(at_g0, mask=inside, other=0)
    v0 = tl.load(at_v0, mask=inside, other=0)
    t0 = 0.0 < v0
    tl.store(at_to_e0, g0 * tl.where(t0, 1.0, 0.0), mask=inside)


@triton.jit(do_not_specialize=["t", "rate", "straight"])
def cell_drawn(
    in_p0,
    in_x0,
    to_v0,
    to_s0,
    apart,
    rows,
    width,
    t,
    rate,
    straight,
    seed,
    BLOCK: constexpr,
):
    """h"""
    base = tl.program_id(0).to(tl.int64) * BLOCK
    element = base + tl.arange(0, BLOCK)
    inside = element < rows * width
    row, column = element // width, element % width
    at_p0 = in_p0 + row * apart[0] + t * apart[1] + column
    at_x0 = in_x0 + row * apart[2] + t * apart[3] + column
    at_to_v0 = to_v0 + row * apart[4] + t * apart[5] + column
    at_to_s0 = to_s0 + row * apart[6] + t * apart[7] + column
    p0 = tl.load(at_p0, mask=inside, other=0)
    x0 = tl.load(at_x0, mask=inside, other=0)
    random0 = shared(base, t * 1 + 1, seed, BLOCK)
    f0 = tl.cast(random0 >> 8, tl.float32) * 5.9604645e-08
    t1 = f0 < rate
    f2 = x0 + p0
    f3 = f32_tanh(f2)
    f4 = tl.cast(random0 >> 1, tl.float32) + 0.5
    f5 = smaller(f4 * (2.3283064e-10 / rate), 0.5)
    w6 = bits_of(f32_normal_quantile(f5)) ^ ((random0 << 31) & 0x80000000)
    f7 = float_of(w6)
    f8 = f2 + f3 * f7
    f9 = larger(f8, 0.0)
    f10 = larger(f2, 0.0)
    t11 = f8 < 0.0
    f12 = 4.0 * ((1.0 - f3) * (1.0 + f3) * 0.25)
    f13 = 1.0 + f7 * f12
    f14 = tl.where(t11, 0.0, f13)
    t15 = 0.0 < f10
    f16 = tl.where(t15, 1.0, 0.0)
    tl.store(at_to_v0, tl.where(t1, f9, f10), mask=inside)
    tl.store(at_to_s0, tl.where(t1, f14, f16), mask=inside)


@triton.jit(do_not_specialize=["t", "rate", "straight"])
def cell_drawn_backward(
    in_g0,
    in_s0,
    to_e0,
    apart,
    rows,
    width,
    t,
    rate,
    straight,
    seed,
    BLOCK: constexpr,
):
    """h"""
    base = tl.program_id(0).to(tl.int64) * BLOCK
    element = base + tl.arange(0, BLOCK)
    inside = element < rows * width
    row, column = element // width, element % width
    at_g0 = in_g0 + row * apart[0] + t * apart[1] + column
    at_s0 = in_s0 + row * apart[2] + t * apart[3] + column
    at_to_e0 = to_e0 + row * apart[4] + t * apart[5] + column
    g0 = tl.load(at_g0, mask=inside, other=0)
    s0 = tl.load(at_s0, mask=inside, other=0)
    tl.store(at_to_e0, g0 * s0, mask=inside)


# --- what kernels/__init__.py calls; sizes of blocks follow from those of tensors

OPTIONS: dict[str, Any] = {"enable_fp_fusion": True}


def on(x: Tensor):
    """The device of a tensor as the current one."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


def told(seed: Tensor | None, x: Tensor) -> Tensor | None:
    """The seed where the tensor is."""
    if seed is None or seed.device == x.device:
        return seed
    return torch.full((), int(seed), dtype=torch.int64, device=x.device)


def blocks(columns: int, widest: int = 512) -> tuple[tuple[int], dict[str, int]]:
    """Many columns: 16 bytes a thread, where there are registers for it; few: as many programs as can be."""
    block, warps = (widest, 4) if columns >= 100_000 else (128, 4) if columns >= 16_384 else (32, 1)
    return (triton.cdiv(columns, block),), {"BLOCK": block, "num_warps": warps}


def stepper(name: str, arrays: list[Tensor], rate: float, straight: bool, seed: Tensor | None) -> Callable[[int], Any]:
    """What computes a step, of which the number is given; arrays are (rows, steps, nodes)."""
    rows, _, width = arrays[0].shape
    grid, shape = blocks(rows * width, 128)
    run, first = globals()[name][grid], arrays[0]
    apart = tuple(array.stride(axis) for array in arrays for axis in (0, 1))
    numbers, seed = (float(rate), float(straight)), told(seed, first)

    def step(t: int) -> None:
        with on(first):
            run(*arrays, apart, rows, width, t, *numbers, seed, **shape, **OPTIONS)

    return step if rows * width else lambda t: None
