"""adding_lstm: The adding problem (adding.yaml) for one LSTM module.

Made by cgc 0.1.0 from adding_lstm.yaml, lstm.yaml; do not edit, compile again. cgc claims no rights in it.
"""

import math
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

kernels = None  # the package sets it to kernels/, where what is written here is fused

State = dict[str, Tensor]  # component -> its last steps, (draws, batch, steps, features)


class Inference(NamedTuple):
    """What q of eq. (14) is: the expectation (rate 0), a draw (rate 1), or under PCFF either, node by node."""

    rate: float = 0.0
    straight_through: bool = False
    sampled: bool = False  # the input is drawn too
    draws: int = 1

    def __call__(self, law, e: Tensor) -> Tensor:
        if self.rate == 0:
            return law.expectation(e)
        q, x = law.expectation(e), law.sample(e)
        if law.discrete:
            x = x.detach() + (q - q.detach() if self.straight_through else 0)
        return x if self.rate == 1 else torch.where(torch.rand_like(q) < self.rate, x, q)


def widened(method):
    """Half-precision tensors are computed in float32 and rounded once."""

    def wide(self, *tensors: Tensor) -> Tensor:
        dtype = tensors[-1].dtype
        if dtype in (torch.float16, torch.bfloat16):
            return method(self, *(tensor.float() for tensor in tensors)).to(dtype)
        return method(self, *tensors)

    return wide


class Bounded(torch.autograd.Function):
    """tanh (scale 1) and sigmoid (scale 1/2) with the derivative (scale / cosh(scale x))^2, which keeps its digits far out."""

    @staticmethod
    def forward(ctx, function, scale: float, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.scale = scale
        return function(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, None, Tensor]:
        (x,) = ctx.saved_tensors
        return None, None, gradient * (ctx.scale / torch.cosh(ctx.scale * x)).square()


tanh = partial(Bounded.apply, torch.tanh, 1.0)
sigmoid = partial(Bounded.apply, torch.sigmoid, 0.5)


def last(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The last valid step of (draws, batch, time, ...)."""
    return x[:, :, -1] if lengths is None else x[:, torch.arange(x.shape[1], device=x.device), lengths - 1]


def keep(past: Tensor, x: Tensor, lengths: Tensor | None) -> Tensor:
    """As many last valid steps as `past` holds, now that x has followed it."""
    depth, enough = past.shape[-2], lengths is None and x.shape[-2] >= past.shape[-2]
    x = x.to(past.dtype) if enough else torch.cat([past, x.to(past.dtype)], -2)
    if lengths is None:
        return x[..., x.shape[-2] - depth :, :]
    return x.take_along_dim((lengths[:, None] + torch.arange(depth, device=x.device))[None, ..., None], -2)


class Bit:
    """p(x | e) ∝ exp(e*x), x in {0, 1}: E[X | e] = σ(e)  (eq. 2, 7)"""

    discrete = True

    def expectation(self, e: Tensor) -> Tensor:
        return sigmoid(e)

    def sample(self, e: Tensor) -> Tensor:
        return torch.bernoulli(torch.sigmoid(e))


class Spin:
    """p(x | e) ∝ exp(e*x), x in {-1, 1}: E[X | e] = tanh(e)  (eq. 2, 7)"""

    discrete = True

    def expectation(self, e: Tensor) -> Tensor:
        return tanh(e)

    def sample(self, e: Tensor) -> Tensor:
        return 2 * torch.bernoulli(torch.sigmoid(2 * e)) - 1


class Y:
    """X = e + n*s, n ~ N(0, 1), s = 1/10: E[X | e] = e  (eq. 10)"""

    def expectation(self, e: Tensor) -> Tensor:
        return e

    def sample(self, e: Tensor) -> Tensor:
        return e + 0.1 * torch.randn_like(e)

    @widened
    def log_prob(self, x: Tensor, e: Tensor) -> Tensor:
        return 1.383646559789373 - torch.square((x - e) / 0.1) / 2

    def mode(self, e: Tensor) -> Tensor:
        """For a continuous node, its expectation."""
        return self.expectation(e)


class BitNodes(nn.Module):
    """X = i, f, o: P(X[t] | x[t], h[t-1]) = prod_i P(X[t]_i | e_i),  e = W_x x[t] + W_h h[t-1] + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Linear(2, 128, bias=False)
        self.h = nn.Linear(128, 128, bias=False)
        self.bias = nn.Parameter(torch.empty(128).uniform_(-(2**-0.5), 2**-0.5))

    def drive(self, x: Tensor) -> Tensor:
        return F.linear(x, self.x.weight, self.bias)

    def step(self, drive: Tensor, h: Tensor, how: Inference) -> Tensor:
        return how(Bit(), drive + F.linear(h, self.h.weight))


class G(nn.Module):
    """P(g[t] | x[t], h[t-1]) = prod_i P(g[t]_i | e_i),  e = W_x x[t] + W_h h[t-1] + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Linear(2, 128, bias=False)
        self.h = nn.Linear(128, 128, bias=False)
        self.bias = nn.Parameter(torch.empty(128).uniform_(-(2**-0.5), 2**-0.5))

    def drive(self, x: Tensor) -> Tensor:
        return F.linear(x, self.x.weight, self.bias)

    def step(self, drive: Tensor, h: Tensor, how: Inference) -> Tensor:
        return how(Spin(), drive + F.linear(h, self.h.weight))


class Cell(nn.Module):
    """prod_t P(i[t] | x[t], h[t-1]) P(f[t] | x[t], h[t-1]) P(g[t] | x[t], h[t-1]) P(o[t] | x[t], h[t-1]) P(c[t] |
    c[t-1], f[t], g[t], i[t]) P(m[t] | c[t]) P(h[t] | m[t], o[t])
    """

    def __init__(self) -> None:
        super().__init__()
        self.i = BitNodes()
        self.f = BitNodes()
        self.g = G()
        self.o = BitNodes()

    def forward(self, x: Tensor, how: Inference, past: State, lengths: Tensor | None):
        if kernels and kernels.fits_cell("cell", how.rate, x):
            c, h = kernels.cell("cell", self, [x], [past["c"], past["h"]], how.rate, how.straight_through)
        else:
            drives = [self.i.drive(x), self.f.drive(x), self.g.drive(x), self.o.drive(x)]
            c = list(past["c"].unbind(-2))
            h = list(past["h"].unbind(-2))
            for i_drive, f_drive, g_drive, o_drive in zip(*(each.unbind(-2) for each in drives), strict=True):
                i = self.i.step(i_drive, h[-1], how)
                f = self.f.step(f_drive, h[-1], how)
                g = self.g.step(g_drive, h[-1], how)
                o = self.o.step(o_drive, h[-1], how)
                c.append(f * c[-1] + i * g)
                m = how(Spin(), c[-1])
                h.append(o * m)
            c = torch.stack(c[1:], -2)
            h = torch.stack(h[1:], -2)
        return h, {"c": keep(past["c"], c, lengths), "h": keep(past["h"], h, lengths)}


class YLayer(nn.Module):
    """P(y | cell) = prod_i P(y_i | e_i),  e = W cell[T] + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(128, 1, bias=False)
        self.bias = nn.Parameter(torch.empty(1).uniform_(-(128**-0.5), 128**-0.5))

    def forward(self, cell: Tensor) -> Tensor:
        return F.linear(cell, self.cell.weight, self.bias)


class AddingLSTM(nn.Module):
    """P(cell.0, y | x) = P(cell.0 | x) P(y | cell.0[T])"""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.ModuleList([Cell()])
        self.y = YLayer()
        self.how = [Inference(), Inference()]  # in evaluation, in training

    def energies(self, x: Tensor, how: Inference | None = None, lengths=None, past: State | None = None):
        """Energies of every draw, (draws, batch, 1), and the last steps."""
        how = how or self.how[self.training]
        x = x.expand(how.draws, *x.shape)
        past = self.past(x) if past is None else past
        kept = {}
        cell_0, kept["cell.0"] = self.cell[0](x, how, past["cell.0"], lengths)
        return self.y(last(cell_0, lengths)), kept

    def past(self, x: Tensor) -> State:
        """What came before the first step: nothing, and that contributes 0."""
        zero = x.new_zeros(*x.shape[:2], 1, 1, dtype=next(self.parameters()).dtype)
        return {"cell.0": {"h": zero.expand(-1, -1, 1, 128), "c": zero.expand(-1, -1, 1, 128)}}

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None, return_state: bool = False):
        """Energies of y, (batch, 1): their mean over the draws; `state` continues an earlier call."""
        e, state = self.energies(x, None, lengths, state)
        return (e.mean(0), state) if return_state else e.mean(0)

    def expectation(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return Y().expectation(self.energies(x, lengths=lengths)[0]).mean(0)

    def sample(self, x: Tensor, n: int = 1, lengths: Tensor | None = None) -> Tensor:
        """n draws of y, every node below drawn as well: (n, batch, ...)."""
        return Y().sample(self.energies(x, Inference(1.0, sampled=True, draws=n), lengths=lengths)[0])

    def log_prob(self, x: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        """log P(y | x), (batch,): of the mean likelihood over the draws."""
        e = self.energies(x, lengths=lengths)[0]
        log_p = Y().log_prob(y.to(e.dtype).reshape(e.shape[1:]), e)
        log_p = log_p.flatten(2).sum(2)
        return log_p[0] if len(log_p) == 1 else log_p.logsumexp(0) - math.log(len(log_p))

    def loss(self, x: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        return -self.log_prob(x, y, lengths=lengths).mean()

    def decode(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return Y().mode(self(x, lengths=lengths))

    def inference(self, method: str, sample_rate: float = 1.0, gradient="block", samples=32, training=None):
        """Choose `feed_forward`, `pcff` or `sample`: for training, for evaluation, or (None) for both."""
        sampled, straight = method == "sample", {"block": False, "straight_through": True}[gradient]
        rates = {"feed_forward": 0.0, "pcff": sample_rate, "sample": 1.0}
        if method not in rates:
            raise ValueError(f"{method!r} is none of {', '.join(rates)}")
        for mode in (False, True) if training is None else (training,):
            self.how[mode] = Inference(rates[method], straight, sampled, draws=samples if sampled and not mode else 1)
        return self


Model = AddingLSTM
