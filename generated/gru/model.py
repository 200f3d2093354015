"""gru: Equals torch.nn.GRU: b_hn is the bias of u, which r multiplies; for r and z, bias = bias_ih + bias_hh.

Made by cgc 0.1.0 from gru.yaml; do not edit, compile again. cgc claims no rights in it.
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


class Categorical:
    """p(k | e) ∝ exp(e[k]), k = 0 … 9: E[1[X = k] | e] = softmax(e[k])  (section 3)"""

    def expectation(self, e: Tensor) -> Tensor:
        return torch.softmax(e, -1)

    def draw(self, e: Tensor) -> Tensor:
        return torch.distributions.Categorical(logits=e).sample()

    def log_prob(self, x: Tensor, e: Tensor) -> Tensor:
        return torch.log_softmax(e, -1).gather(-1, x.expand(e.shape[:-1]).unsqueeze(-1)).squeeze(-1)


class BitNodes(nn.Module):
    """X = r, z: P(X[t] | x[t], h[t-1]) = prod_i P(X[t]_i | e_i),  e = W_x x[t] + W_h h[t-1] + b  (eq. 2, 8)"""

    def __init__(self, x: int) -> None:
        super().__init__()
        self.x = nn.Linear(x, 64, bias=False)
        self.h = nn.Linear(64, 64, bias=False)
        self.bias = nn.Parameter(torch.empty(64).uniform_(-(x**-0.5), x**-0.5))

    def drive(self, x: Tensor) -> Tensor:
        return F.linear(x, self.x.weight, self.bias)

    def step(self, drive: Tensor, h: Tensor, how: Inference) -> Tensor:
        return how(Bit(), drive + F.linear(h, self.h.weight))


class U(nn.Module):
    """P(u[t] | h[t-1]) = prod_i P(u[t]_i | e_i),  e = W h[t-1] + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.h = nn.Linear(64, 64, bias=False)
        self.bias = nn.Parameter(torch.zeros(64))

    def step(self, h: Tensor) -> Tensor:
        return F.linear(h, self.h.weight, self.bias)


class N(nn.Module):
    """P(n[t] | x[t], u[t], r[t]) = prod_i P(n[t]_i | e_i),  e = W_x x[t] + P(r[t] = 1) u[t] + b  (eq. 2, 8, 12)"""

    def __init__(self, x: int) -> None:
        super().__init__()
        self.x = nn.Linear(x, 64, bias=False)
        self.bias = nn.Parameter(torch.empty(64).uniform_(-(x**-0.5), x**-0.5))

    def drive(self, x: Tensor) -> Tensor:
        return F.linear(x, self.x.weight, self.bias)

    def step(self, drive: Tensor, u: Tensor, r: Tensor, how: Inference) -> Tensor:
        return how(Spin(), drive + r * u)


class Cell(nn.Module):
    """prod_t P(r[t] | x[t], h[t-1]) P(z[t] | x[t], h[t-1]) P(u[t] | h[t-1]) P(n[t] | x[t], u[t], r[t]) P(h[t] |
    n[t], z[t], h[t-1])
    """

    def __init__(self, x: int) -> None:
        super().__init__()
        self.r = BitNodes(x)
        self.z = BitNodes(x)
        self.u = U()
        self.n = N(x)

    def forward(self, x: Tensor, how: Inference, past: State, lengths: Tensor | None):
        if kernels and kernels.fits_cell("cell", how.rate, x):
            (h,) = kernels.cell("cell", self, [x], [past["h"]], how.rate, how.straight_through)
        else:
            drives = [self.r.drive(x), self.z.drive(x), self.n.drive(x)]
            h = list(past["h"].unbind(-2))
            for r_drive, z_drive, n_drive in zip(*(each.unbind(-2) for each in drives), strict=True):
                r = self.r.step(r_drive, h[-1], how)
                z = self.z.step(z_drive, h[-1], how)
                u = self.u.step(h[-1])
                n = self.n.step(n_drive, u, r, how)
                h.append((1 - z) * n + z * h[-1])
            h = torch.stack(h[1:], -2)
        return h, {"h": keep(past["h"], h, lengths)}


class Y(nn.Module):
    """P(y | cell) = prod_i P(y_i | e_i),  e = W cell[T] + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(64, 10, bias=False)
        self.bias = nn.Parameter(torch.empty(10).uniform_(-(64**-0.5), 64**-0.5))

    def forward(self, cell: Tensor) -> Tensor:
        return F.linear(cell, self.cell.weight, self.bias)


class GRU(nn.Module):
    """P(cell.0, cell.1, y | x) = P(cell.0 | x) P(cell.1 | cell.0) P(y | cell.1[T])"""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.ModuleList([Cell(8), Cell(64)])
        self.y = Y()
        self.how = [Inference(), Inference()]  # in evaluation, in training

    def energies(self, x: Tensor, how: Inference | None = None, lengths=None, past: State | None = None):
        """Energies of every draw, (draws, batch, 10), and the last steps."""
        how = how or self.how[self.training]
        x = x.expand(how.draws, *x.shape)
        past = self.past(x) if past is None else past
        cell, kept = x, {}
        for k, layer in enumerate(self.cell):
            cell, kept[f"cell.{k}"] = layer(cell, how, past[f"cell.{k}"], lengths)
        return self.y(last(cell, lengths)), kept

    def past(self, x: Tensor) -> State:
        """What came before the first step: nothing, and that contributes 0."""
        zero = x.new_zeros(*x.shape[:2], 1, 1, dtype=next(self.parameters()).dtype)
        return {f"cell.{k}": {"h": zero.expand(-1, -1, 1, 64)} for k in range(2)}

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None, return_state: bool = False):
        """Energies of y, (batch, 10): their mean over the draws; `state` continues an earlier call."""
        e, state = self.energies(x, None, lengths, state)
        return (e.mean(0), state) if return_state else e.mean(0)

    def expectation(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return Categorical().expectation(self.energies(x, lengths=lengths)[0]).mean(0)

    def sample(self, x: Tensor, n: int = 1, lengths: Tensor | None = None) -> Tensor:
        """n draws of y, every node below drawn as well: (n, batch, ...)."""
        return Categorical().draw(self.energies(x, Inference(1.0, sampled=True, draws=n), lengths=lengths)[0])

    def log_prob(self, x: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        """log P(y | x), (batch,): of the mean likelihood over the draws."""
        log_p = Categorical().log_prob(y, self.energies(x, lengths=lengths)[0])
        return log_p[0] if len(log_p) == 1 else log_p.logsumexp(0) - math.log(len(log_p))

    def loss(self, x: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        return -self.log_prob(x, y, lengths=lengths).mean()

    def decode(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self(x, lengths=lengths).argmax(-1)

    def inference(self, method: str, sample_rate: float = 1.0, gradient="block", samples=32, training=None):
        """Choose `feed_forward`, `pcff` or `sample`: for training, for evaluation, or (None) for both."""
        sampled, straight = method == "sample", {"block": False, "straight_through": True}[gradient]
        rates = {"feed_forward": 0.0, "pcff": sample_rate, "sample": 1.0}
        if method not in rates:
            raise ValueError(f"{method!r} is none of {', '.join(rates)}")
        for mode in (False, True) if training is None else (training,):
            self.how[mode] = Inference(rates[method], straight, sampled, draws=samples if sampled and not mode else 1)
        return self


Model = GRU
