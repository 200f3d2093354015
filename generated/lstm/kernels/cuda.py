"""lstm: fused node laws as Triton kernels, for float32 and bfloat16 arrays on a GPU; in registers everything is float32.

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
def f32_exp(x):
    """e^x; 0 from -104 on, infinite from 89 on."""
    f0 = smaller(larger(x, -104.0), 90.0)
    f1 = f0 * 1.442695 + 12582912.0
    f2 = f1 - 12582912.0
    f3 = f0 - f2 * 0.6933594 - f2 * -0.00021219444
    f4 = (0.0013926919 * f3 + 0.008363767) * f3
    f5 = ((f4 + 0.04166655) * f3 + 0.16666573) * f3
    w6 = (bits_of(f1) - 0x4B400000) + 0x12C
    w7 = w6 >> 1
    f8 = (1.0 + (f3 + f3 * f3 * (f5 + 0.5))) * float_of((w7 + 0xFFFFFFE9) << 23)
    f9 = float_of(((w6 - w7) + 0xFFFFFFE9) << 23)
    return f8 * f9


@triton.jit
def f32_sigmoid(x):
    """1 / (1 + e^-x)."""
    t0 = x < 0.0
    f1 = f32_exp(-tl.abs(x))
    f2 = 1.0 / (1.0 + f1)
    f3 = f1 * f2
    return tl.where(t0, f3, f2)


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


# --- steps of loops, node by node: arrays are (rows, steps, width), of which rows and steps lie as far apart as is told


@triton.jit
def shared(base, later, seed, BLOCK: constexpr):
    """A word for each element of a program, four of a block."""
    a, b, c, d = philox(base // 4, tl.arange(0, BLOCK // 4), later, seed)
    return tl.interleave(tl.interleave(a, c), tl.interleave(b, d))


@triton.jit(do_not_specialize=["t", "rate", "straight"])
def cell_forward(
    in_p0,
    in_p1,
    in_p2,
    in_p3,
    in_v4_1,
    in_x0,
    in_x1,
    in_x2,
    in_x3,
    to_v0,
    to_v1,
    to_v2,
    to_v3,
    to_v4,
    to_v5,
    to_v6,
    apart,
    rows,
    width,
    t,
    rate,
    straight,
    seed,
    BLOCK: constexpr,
):
    """i, f, g, o, c, m, h"""
    base = tl.program_id(0).to(tl.int64) * BLOCK
    element = base + tl.arange(0, BLOCK)
    inside = element < rows * width
    row, column = element // width, element % width
    at_p0 = in_p0 + row * apart[0] + t * apart[1] + column
    at_p1 = in_p1 + row * apart[2] + t * apart[3] + column
    at_p2 = in_p2 + row * apart[4] + t * apart[5] + column
    at_p3 = in_p3 + row * apart[6] + t * apart[7] + column
    at_v4_1 = in_v4_1 + row * apart[8] + t * apart[9] + column
    at_x0 = in_x0 + row * apart[10] + t * apart[11] + column
    at_x1 = in_x1 + row * apart[12] + t * apart[13] + column
    at_x2 = in_x2 + row * apart[14] + t * apart[15] + column
    at_x3 = in_x3 + row * apart[16] + t * apart[17] + column
    at_to_v0 = to_v0 + row * apart[18] + t * apart[19] + column
    at_to_v1 = to_v1 + row * apart[20] + t * apart[21] + column
    at_to_v2 = to_v2 + row * apart[22] + t * apart[23] + column
    at_to_v3 = to_v3 + row * apart[24] + t * apart[25] + column
    at_to_v4 = to_v4 + row * apart[26] + t * apart[27] + column
    at_to_v5 = to_v5 + row * apart[28] + t * apart[29] + column
    at_to_v6 = to_v6 + row * apart[30] + t * apart[31] + column
    p0 = tl.load(at_p0, mask=inside, other=0)
    p1 = tl.load(at_p1, mask=inside, other=0)
    p2 = tl.load(at_p2, mask=inside, other=0)
    p3 = tl.load(at_p3, mask=inside, other=0)
    v4_1 = tl.load(at_v4_1, mask=inside, other=0)
    x0 = tl.load(at_x0, mask=inside, other=0)
    x1 = tl.load(at_x1, mask=inside, other=0)
    x2 = tl.load(at_x2, mask=inside, other=0)
    x3 = tl.load(at_x3, mask=inside, other=0)
    f0 = f32_sigmoid(x0 + p0)
    f1 = f32_sigmoid(x1 + p1)
    f2 = f32_tanh(x2 + p2)
    f3 = f32_sigmoid(x3 + p3)
    f4 = v4_1 * f1 + f2 * f0
    f5 = f32_tanh(f4)
    tl.store(at_to_v0, f0, mask=inside)
    tl.store(at_to_v1, f1, mask=inside)
    tl.store(at_to_v2, f2, mask=inside)
    tl.store(at_to_v3, f3, mask=inside)
    tl.store(at_to_v4, f4, mask=inside)
    tl.store(at_to_v5, f5, mask=inside)
    tl.store(at_to_v6, f5 * f3, mask=inside)


@triton.jit(do_not_specialize=["t", "rate", "straight"])
def cell_backward(
    in_g4,
    in_g6,
    in_v0,
    in_v1,
    in_v2,
    in_v3,
    in_v4_1,
    in_v5,
    to_e0,
    to_e1,
    to_e2,
    to_e3,
    to_dv4_1,
    apart,
    rows,
    width,
    t,
    rate,
    straight,
    seed,
    BLOCK: constexpr,
):
    """i, f, g, o, c, m, h"""
    base = tl.program_id(0).to(tl.int64) * BLOCK
    element = base + tl.arange(0, BLOCK)
    inside = element < rows * width
    row, column = element // width, element % width
    at_g4 = in_g4 + row * apart[0] + t * apart[1] + column
    at_g6 = in_g6 + row * apart[2] + t * apart[3] + column
    at_v0 = in_v0 + row * apart[4] + t * apart[5] + column
    at_v1 = in_v1 + row * apart[6] + t * apart[7] + column
    at_v2 = in_v2 + row * apart[8] + t * apart[9] + column
    at_v3 = in_v3 + row * apart[10] + t * apart[11] + column
    at_v4_1 = in_v4_1 + row * apart[12] + t * apart[13] + column
    at_v5 = in_v5 + row * apart[14] + t * apart[15] + column
    at_to_e0 = to_e0 + row * apart[16] + t * apart[17] + column
    at_to_e1 = to_e1 + row * apart[18] + t * apart[19] + column
    at_to_e2 = to_e2 + row * apart[20] + t * apart[21] + column
    at_to_e3 = to_e3 + row * apart[22] + t * apart[23] + column
    at_to_dv4_1 = to_dv4_1 + row * apart[24] + t * apart[25] + column
    g4 = tl.load(at_g4, mask=inside, other=0)
    g6 = tl.load(at_g6, mask=inside, other=0)
    v0 = tl.load(at_v0, mask=inside, other=0)
    v1 = tl.load(at_v1, mask=inside, other=0)
    v2 = tl.load(at_v2, mask=inside, other=0)
    v3 = tl.load(at_v3, mask=inside, other=0)
    v4_1 = tl.load(at_v4_1, mask=inside, other=0)
    v5 = tl.load(at_v5, mask=inside, other=0)
    f0 = g6 * v3 * ((v5 + 1.0) * (1.0 - v5)) + g4
    tl.store(at_to_e0, f0 * v2 * (v0 * (1.0 - v0)), mask=inside)
    tl.store(at_to_e1, f0 * v4_1 * (v1 * (1.0 - v1)), mask=inside)
    tl.store(at_to_e2, f0 * v0 * ((v2 + 1.0) * (1.0 - v2)), mask=inside)
    tl.store(at_to_e3, g6 * v5 * (v3 * (1.0 - v3)), mask=inside)
    tl.store(at_to_dv4_1, tl.load(at_to_dv4_1, mask=inside, other=0) + (f0 * v1), mask=inside)


@triton.jit(do_not_specialize=["t", "rate", "straight"])
def cell_drawn(
    in_p0,
    in_p1,
    in_p2,
    in_p3,
    in_v4_1,
    in_x0,
    in_x1,
    in_x2,
    in_x3,
    to_v0,
    to_v1,
    to_v2,
    to_v3,
    to_v4,
    to_v5,
    to_v6,
    to_s0,
    to_s1,
    to_s2,
    to_s3,
    to_s5,
    apart,
    rows,
    width,
    t,
    rate,
    straight,
    seed,
    BLOCK: constexpr,
):
    """i, f, g, o, c, m, h"""
    base = tl.program_id(0).to(tl.int64) * BLOCK
    element = base + tl.arange(0, BLOCK)
    inside = element < rows * width
    row, column = element // width, element % width
    at_p0 = in_p0 + row * apart[0] + t * apart[1] + column
    at_p1 = in_p1 + row * apart[2] + t * apart[3] + column
    at_p2 = in_p2 + row * apart[4] + t * apart[5] + column
    at_p3 = in_p3 + row * apart[6] + t * apart[7] + column
    at_v4_1 = in_v4_1 + row * apart[8] + t * apart[9] + column
    at_x0 = in_x0 + row * apart[10] + t * apart[11] + column
    at_x1 = in_x1 + row * apart[12] + t * apart[13] + column
    at_x2 = in_x2 + row * apart[14] + t * apart[15] + column
    at_x3 = in_x3 + row * apart[16] + t * apart[17] + column
    at_to_v0 = to_v0 + row * apart[18] + t * apart[19] + column
    at_to_v1 = to_v1 + row * apart[20] + t * apart[21] + column
    at_to_v2 = to_v2 + row * apart[22] + t * apart[23] + column
    at_to_v3 = to_v3 + row * apart[24] + t * apart[25] + column
    at_to_v4 = to_v4 + row * apart[26] + t * apart[27] + column
    at_to_v5 = to_v5 + row * apart[28] + t * apart[29] + column
    at_to_v6 = to_v6 + row * apart[30] + t * apart[31] + column
    at_to_s0 = to_s0 + row * apart[32] + t * apart[33] + column
    at_to_s1 = to_s1 + row * apart[34] + t * apart[35] + column
    at_to_s2 = to_s2 + row * apart[36] + t * apart[37] + column
    at_to_s3 = to_s3 + row * apart[38] + t * apart[39] + column
    at_to_s5 = to_s5 + row * apart[40] + t * apart[41] + column
    p0 = tl.load(at_p0, mask=inside, other=0)
    p1 = tl.load(at_p1, mask=inside, other=0)
    p2 = tl.load(at_p2, mask=inside, other=0)
    p3 = tl.load(at_p3, mask=inside, other=0)
    v4_1 = tl.load(at_v4_1, mask=inside, other=0)
    x0 = tl.load(at_x0, mask=inside, other=0)
    x1 = tl.load(at_x1, mask=inside, other=0)
    x2 = tl.load(at_x2, mask=inside, other=0)
    x3 = tl.load(at_x3, mask=inside, other=0)
    random0 = shared(base, t * 5 + 1, seed, BLOCK)
    random1 = shared(base, t * 5 + 2, seed, BLOCK)
    random2 = shared(base, t * 5 + 3, seed, BLOCK)
    random3 = shared(base, t * 5 + 4, seed, BLOCK)
    random4 = shared(base, t * 5 + 5, seed, BLOCK)
    f0 = tl.cast(random0 >> 8, tl.float32) * 5.9604645e-08
    t1 = f0 < rate
    f2 = f32_sigmoid(x0 + p0)
    t3 = f0 < (rate * f2)
    f4 = tl.where(t3, 1.0, 0.0)
    f5 = tl.where(t1, f4, f2)
    f6 = tl.cast(random1 >> 8, tl.float32) * 5.9604645e-08
    t7 = f6 < rate
    f8 = f32_sigmoid(x1 + p1)
    t9 = f6 < (rate * f8)
    f10 = tl.where(t9, 1.0, 0.0)
    f11 = tl.where(t7, f10, f8)
    f12 = tl.cast(random2 >> 8, tl.float32) * 5.9604645e-08
    t13 = f12 < rate
    f14 = f32_tanh(x2 + p2)
    t15 = f12 < (rate * (0.5 * f14 + 0.5))
    f16 = 2.0 * tl.where(t15, 1.0, 0.0) - 1.0
    f17 = tl.where(t13, f16, f14)
    f18 = tl.cast(random3 >> 8, tl.float32) * 5.9604645e-08
    t19 = f18 < rate
    f20 = f32_sigmoid(x3 + p3)
    t21 = f18 < (rate * f20)
    f22 = tl.where(t21, 1.0, 0.0)
    f23 = tl.where(t19, f22, f20)
    f24 = v4_1 * f11 + f17 * f5
    f25 = tl.cast(random4 >> 8, tl.float32) * 5.9604645e-08
    t26 = f25 < rate
    f27 = f32_tanh(f24)
    t28 = f25 < (rate * (0.5 * f27 + 0.5))
    f29 = 2.0 * tl.where(t28, 1.0, 0.0) - 1.0
    f30 = tl.where(t26, f29, f27)
    t31 = 0.0 < straight
    f32 = f2 * (1.0 - f2)
    f33 = tl.where(t1, 0.0, f32)
    f34 = f8 * (1.0 - f8)
    f35 = tl.where(t7, 0.0, f34)
    f36 = (f14 + 1.0) * (1.0 - f14)
    f37 = tl.where(t13, 0.0, f36)
    f38 = f20 * (1.0 - f20)
    f39 = tl.where(t19, 0.0, f38)
    f40 = (f27 + 1.0) * (1.0 - f27)
    f41 = tl.where(t26, 0.0, f40)
    tl.store(at_to_v0, f5, mask=inside)
    tl.store(at_to_v1, f11, mask=inside)
    tl.store(at_to_v2, f17, mask=inside)
    tl.store(at_to_v3, f23, mask=inside)
    tl.store(at_to_v4, f24, mask=inside)
    tl.store(at_to_v5, f30, mask=inside)
    tl.store(at_to_v6, f30 * f23, mask=inside)
    tl.store(at_to_s0, tl.where(t31, f32, f33), mask=inside)
    tl.store(at_to_s1, tl.where(t31, f34, f35), mask=inside)
    tl.store(at_to_s2, tl.where(t31, f36, f37), mask=inside)
    tl.store(at_to_s3, tl.where(t31, f38, f39), mask=inside)
    tl.store(at_to_s5, tl.where(t31, f40, f41), mask=inside)


@triton.jit(do_not_specialize=["t", "rate", "straight"])
def cell_drawn_backward(
    in_g4,
    in_g6,
    in_s0,
    in_s1,
    in_s2,
    in_s3,
    in_s5,
    in_v0,
    in_v1,
    in_v2,
    in_v3,
    in_v4_1,
    in_v5,
    to_e0,
    to_e1,
    to_e2,
    to_e3,
    to_dv4_1,
    apart,
    rows,
    width,
    t,
    rate,
    straight,
    seed,
    BLOCK: constexpr,
):
    """i, f, g, o, c, m, h"""
    base = tl.program_id(0).to(tl.int64) * BLOCK
    element = base + tl.arange(0, BLOCK)
    inside = element < rows * width
    row, column = element // width, element % width
    at_g4 = in_g4 + row * apart[0] + t * apart[1] + column
    at_g6 = in_g6 + row * apart[2] + t * apart[3] + column
    at_s0 = in_s0 + row * apart[4] + t * apart[5] + column
    at_s1 = in_s1 + row * apart[6] + t * apart[7] + column
    at_s2 = in_s2 + row * apart[8] + t * apart[9] + column
    at_s3 = in_s3 + row * apart[10] + t * apart[11] + column
    at_s5 = in_s5 + row * apart[12] + t * apart[13] + column
    at_v0 = in_v0 + row * apart[14] + t * apart[15] + column
    at_v1 = in_v1 + row * apart[16] + t * apart[17] + column
    at_v2 = in_v2 + row * apart[18] + t * apart[19] + column
    at_v3 = in_v3 + row * apart[20] + t * apart[21] + column
    at_v4_1 = in_v4_1 + row * apart[22] + t * apart[23] + column
    at_v5 = in_v5 + row * apart[24] + t * apart[25] + column
    at_to_e0 = to_e0 + row * apart[26] + t * apart[27] + column
    at_to_e1 = to_e1 + row * apart[28] + t * apart[29] + column
    at_to_e2 = to_e2 + row * apart[30] + t * apart[31] + column
    at_to_e3 = to_e3 + row * apart[32] + t * apart[33] + column
    at_to_dv4_1 = to_dv4_1 + row * apart[34] + t * apart[35] + column
    g4 = tl.load(at_g4, mask=inside, other=0)
    g6 = tl.load(at_g6, mask=inside, other=0)
    s0 = tl.load(at_s0, mask=inside, other=0)
    s1 = tl.load(at_s1, mask=inside, other=0)
    s2 = tl.load(at_s2, mask=inside, other=0)
    s3 = tl.load(at_s3, mask=inside, other=0)
    s5 = tl.load(at_s5, mask=inside, other=0)
    v0 = tl.load(at_v0, mask=inside, other=0)
    v1 = tl.load(at_v1, mask=inside, other=0)
    v2 = tl.load(at_v2, mask=inside, other=0)
    v3 = tl.load(at_v3, mask=inside, other=0)
    v4_1 = tl.load(at_v4_1, mask=inside, other=0)
    v5 = tl.load(at_v5, mask=inside, other=0)
    f0 = g6 * v3 * s5 + g4
    tl.store(at_to_e0, f0 * v2 * s0, mask=inside)
    tl.store(at_to_e1, f0 * v4_1 * s1, mask=inside)
    tl.store(at_to_e2, f0 * v0 * s2, mask=inside)
    tl.store(at_to_e3, g6 * v5 * s3, mask=inside)
    tl.store(at_to_dv4_1, tl.load(at_to_dv4_1, mask=inside, other=0) + (f0 * v1), mask=inside)


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
