"""causal: fused node laws as Triton kernels, for float32 and bfloat16 arrays on a GPU; in registers everything is float32.

Random numbers are a function of the seed and an element's place (Philox 4x32, 7 rounds), the same as in cpu.c, and the
seed is read on the device, so that a replayed CUDA graph draws anew.
Made by cgc; do not edit, compile again.
"""

import contextlib
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language import constexpr

LANES = constexpr(256)  # a block of random words serves elements that are so far apart


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
def f32_log1p_small(x):
    """log(1 + t) for 0 ≤ t ≤ 1: twice atanh(t / (2 + t))."""
    f0 = x / (2.0 + x)
    f1 = 2.0 * f0
    f2 = f0 * f0
    f3 = (0.10396419 * f2 + 0.087317005) * f2 + 0.11132412
    f4 = (f3 * f2 + 0.14285152) * f2 + 0.20000005
    return f1 + f1 * f2 * (f4 * f2 + 0.33333334)


@triton.jit
def f32_softplus(x):
    """log(1 + e^x)."""
    return larger(x, 0.0) + f32_log1p_small(f32_exp(-tl.abs(x)))


@triton.jit
def f32_sigmoid(x):
    """1 / (1 + e^-x)."""
    t0 = x < 0.0
    f1 = f32_exp(-tl.abs(x))
    f2 = 1.0 / (1.0 + f1)
    f3 = f1 * f2
    return tl.where(t0, f3, f2)


@triton.jit
def f32_log(x):
    """log x; -∞ at 0, no number below."""
    t0 = x <= 0.0
    t1 = x < 0.0
    f2 = tl.where(t1, float("nan"), -float("inf"))
    t3 = x < float("inf")
    t4 = x < 1.1754944e-38
    f5 = x * 8388608.0
    w6 = bits_of(tl.where(t4, f5, x))
    w7 = (w6 - 0xFFB504F3) >> 23
    f8 = tl.cast(w7, tl.float32) - tl.where(t4, 150.0, 127.0)
    f9 = float_of(w6 - ((w7 - 0x7F) << 23)) - 1.0
    f10 = f9 / (2.0 + f9)
    f11 = f10 * f10
    f12 = (0.11668406 * f11 + 0.14275293) * f11
    f13 = (f12 + 0.20000061) * f11 + 0.33333334
    f14 = f9 - f10 * (f9 - 2.0 * f11 * f13) + f8 * -0.00021219444
    f15 = f8 * 0.6933594 + f14
    f16 = tl.where(t3, f15, x)
    return tl.where(t0, f2, f16)


@triton.jit
def f32_log1p(x):
    """log(1 + x)."""
    f0 = 1.0 + x
    f1 = f0 - 1.0
    t2 = f1 == 0.0
    t3 = f0 < float("inf")
    f4 = f32_log(f0) * (x / f1)
    f5 = tl.where(t3, f4, f0)
    return tl.where(t2, x, f5)


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


# --- X = max(0, Y), Y = e + n, n ~ Logistic(0, 1)


@triton.jit
def Soft_expectation(e):
    return f32_softplus(e)


@triton.jit
def Soft_slope(e):
    return f32_sigmoid(e)


@triton.jit
def Soft_inferred(e, rate, words):
    (w0,) = words
    f0 = tl.cast(w0 >> 8, tl.float32) * 5.9604645e-08
    t1 = f0 < rate
    f2 = (tl.cast(w0 >> 1, tl.float32) + 0.5) * (2.3283064e-10 / rate)
    f3 = smaller(f2, 0.5)
    f4 = f32_log1p(-f3) - f32_log_of_normal(f3)
    w5 = bits_of(f4) ^ ((w0 << 31) & 0x80000000)
    f6 = larger(e + float_of(w5), 0.0)
    f7 = f32_softplus(e)
    return tl.where(t1, f6, f7)


@triton.jit
def Soft_drawn_slope(e, rate, words):
    (w0,) = words
    f0 = tl.cast(w0 >> 8, tl.float32) * 5.9604645e-08
    t1 = f0 < rate
    f2 = (tl.cast(w0 >> 1, tl.float32) + 0.5) * (2.3283064e-10 / rate)
    f3 = smaller(f2, 0.5)
    f4 = f32_log1p(-f3) - f32_log_of_normal(f3)
    w5 = bits_of(f4) ^ ((w0 << 31) & 0x80000000)
    t6 = (e + float_of(w5)) < 0.0
    f7 = tl.where(t6, 0.0, 1.0)
    f8 = f32_sigmoid(e)
    return tl.where(t1, f7, f8)


class Law(NamedTuple):
    """The functions of a law; an element takes `words` random words, of which there are four to a block.

    `recurrent`: also for nodes that read their past. `bounds`: the expectation is the energy, but no lower and no higher.
    """

    words: int
    expectation: Any
    slope: Any = None
    slope_of_value: Any = None
    inferred: Any = None
    drawn_slope: Any = None
    recurrent: bool = False
    bounds: tuple[float, float] | None = None

    @property
    def drawn(self) -> dict[str, Any]:
        return {"LAW": self.inferred, "WORDS": self.words}

    @property
    def expected(self) -> dict[str, Any]:
        return {"LAW": self.expectation, "WORDS": 0}

    def back(self, how: int) -> dict[str, Any]:
        """The slope: 0 of the value, 1 of the energy, 2 of what was drawn."""
        if how == 2:
            return {"LAW": self.drawn_slope, "WORDS": self.words}
        return {"LAW": self.slope if how else self.slope_of_value, "WORDS": 0}


LAWS = {
    "Soft": Law(
        1,
        Soft_expectation,
        slope=Soft_slope,
        inferred=Soft_inferred,
        drawn_slope=Soft_drawn_slope,
    ),
}


# what takes longer than to read and write elements: operations for each
HEAVY = {
    "Soft_inferred": 150,
    "Soft_drawn_slope": 137,
}


# --- nodes


@triton.jit
def nodes(e, g, to, n, rate, seed, LAW: constexpr, WORDS: constexpr, TILES: constexpr, HEAVY: constexpr):
    """LAW of n elements of e, times g where it is given; with WORDS, it is told the rate and its random words."""
    PER: constexpr = 4 // WORDS if WORDS > 0 else 8
    base = tl.program_id(0).to(tl.int64) * (TILES * LANES)
    lane = tl.arange(0, TILES * LANES)
    first = base * PER
    place = lane // LANES * (PER * LANES) + lane % LANES
    left = tl.minimum(n - first, TILES * PER * LANES).to(tl.int32)
    words = ()
    if WORDS > 0:
        words = philox(base, lane, 0, seed)
    if HEAVY:  # which would need all registers, were it written out for all parts
        for part in range(PER):
            at = place + part * LANES
            value = value_of(LAW, tl.load(e + first + at, mask=at < left), rate, words_of(words, part, WORDS))
            if g is not None:
                value = value * tl.load(g + first + at, mask=at < left).to(tl.float32)
            tl.store(to + first + at, value, mask=at < left)
    else:
        given = parts_of(e + first, place, left, PER)
        if g is not None:
            back = parts_of(g + first, place, left, PER)
        for part in tl.static_range(PER):
            at = place + part * LANES
            value = value_of(LAW, given[part], rate, words[part * WORDS : part * WORDS + WORDS])
            if g is not None:
                value = value * back[part].to(tl.float32)
            tl.store(to + first + at, value, mask=at < left)


@triton.jit
def value_of(LAW: constexpr, x, rate, words):
    if len(words) > 0:
        return LAW(x.to(tl.float32), rate, words)
    else:
        return LAW(x.to(tl.float32))


@triton.jit
def words_of(words, part, WORDS: constexpr):
    """Those of a part that is chosen as the kernel runs."""
    found = ()
    for k in tl.static_range(WORDS):
        word = words[k]
        for other in tl.static_range(1, 4 // WORDS):
            word = tl.where(part == other, words[other * WORDS + k], word)
        found = found + (word,)
    return found


@triton.jit
def parts_of(x, place, left, PER: constexpr):
    """The elements that share a block of random words."""
    found = ()
    for part in tl.static_range(PER):
        at = place + part * LANES
        found = found + (tl.load(x + at, mask=at < left),)
    return found


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


def tiles(x: Tensor, law: dict[str, Any]) -> tuple[tuple[int], dict[str, Any]]:
    """So many elements a thread that it reads 16 bytes at once. Where a law takes long, a few after the others; where very long, half as
    many of bfloat16."""
    per = 4 // law["WORDS"] if law["WORDS"] else 8
    several = 2 if x.numel() >= 2**20 else 1
    operations = HEAVY.get(law["LAW"].__name__, 0)
    warps = several * (2 if x.dtype == torch.float32 or operations > 500 else 1)
    shape = {"TILES": several, "HEAVY": operations > 0, "num_warps": warps}
    return (triton.cdiv(x.numel(), several * per * 256),), {**law, **shape, **OPTIONS}


def node(e: Tensor, law: str, rate: float, seed: Tensor | None) -> Tensor:
    e, known = e.contiguous(), LAWS[law]
    h = torch.empty_like(e)
    if e.numel():
        grid, shape = tiles(e, known.drawn if rate > 0 else known.expected)
        with on(e):
            nodes[grid](e, None, h, e.numel(), rate, told(seed, e), **shape)
    return h


def node_backward(g: Tensor, saved: Tensor, law: str, how: int, rate: float, seed: Tensor | None) -> Tensor:
    g, saved, known = g.contiguous(), saved.contiguous(), LAWS[law]
    to = torch.empty_like(g)
    if g.numel():
        grid, shape = tiles(g, known.back(how))
        with on(g):
            nodes[grid](saved, g, to, g.numel(), rate, told(seed, g), **shape)
    return to
