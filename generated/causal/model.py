"""causal: Every pixel given those before it. Node k of h sees pixels up to k // 2.

Made by cgc 0.1.0 from causal.yaml; do not edit, compile again. cgc claims no rights in it.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

kernels = None  # the package sets it to kernels/, where what is written here is fused


class Inference(NamedTuple):
    """What q of eq. (14) is: the expectation (rate 0), a draw (rate 1), or under PCFF either, node by node."""

    rate: float = 0.0
    straight_through: bool = False
    sampled: bool = False  # the input is drawn too
    draws: int = 1

    def __call__(self, law, e: Tensor) -> Tensor:
        if kernels and kernels.fits(law, self.rate, e):
            return kernels.node(law, e, self.rate, self.straight_through)
        if self.rate == 0:
            return law.expectation(e)
        q, x = law.expectation(e), law.sample(e)
        if law.discrete:
            x = x.detach() + (q - q.detach() if self.straight_through else 0)
        return x if self.rate == 1 else torch.where(torch.rand_like(q) < self.rate, x, q)


def require_binary(x: Tensor, reason: str) -> None:
    """States are 0 and 1; on a GPU, which is not waited for, an assertion ends the run there."""
    if x.is_cuda:
        torch._assert_async((x == x.bool()).all(), reason)
    elif torch.compiler.is_compiling() or (kernels and kernels.within(x, 0, 1, states=True)):
        return
    elif not torch.equal(torch.heaviside(x, x), x):
        raise ValueError(reason)


def widened(method):
    """Half-precision tensors are computed in float32 and rounded once."""

    def wide(self, *tensors: Tensor) -> Tensor:
        dtype = tensors[-1].dtype
        if dtype in (torch.float16, torch.bfloat16):
            return method(self, *(tensor.float() for tensor in tensors)).to(dtype)
        return method(self, *tensors)

    return wide


class Sigmoid(torch.autograd.Function):
    """The logistic function with the derivative sigmoid(x) sigmoid(-x), which keeps its digits where 1 - sigmoid(x) is 0."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.sigmoid(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * torch.sigmoid(x) * torch.sigmoid(-x)


sigmoid = Sigmoid.apply


class Masked(nn.Module):
    """A dense coupling of which only `mask` (outputs, inputs) is left; `fixed` is its weight where it is not learned."""

    def __init__(self, mask: Tensor, fixed: float | None = None) -> None:
        super().__init__()
        self.register_buffer("mask", mask.to(torch.get_default_dtype()), persistent=False)
        weight = torch.empty(mask.shape).uniform_(-(mask.shape[1] ** -0.5), mask.shape[1] ** -0.5)
        if fixed is None:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", torch.full(mask.shape, float(fixed)), persistent=False)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.linear(x, self.weight * self.mask, bias)


class Soft:
    """X = max(0, Y), Y = e + n, n ~ Logistic(0, 1): E[X | e] = softplus(e)  (eq. 7)"""

    discrete = False

    def expectation(self, e: Tensor) -> Tensor:
        return F.softplus(e, threshold=40)

    def sample(self, e: Tensor) -> Tensor:
        y = e + torch.logit(torch.rand_like(e), eps=torch.finfo(e.dtype).eps / 4)
        return torch.relu(y)


class Bit:
    """p(x | e) ∝ exp(e*x), x in {0, 1}: E[X | e] = σ(e)  (eq. 2, 7)"""

    def expectation(self, e: Tensor) -> Tensor:
        return sigmoid(e)

    def sample(self, e: Tensor) -> Tensor:
        return torch.bernoulli(torch.sigmoid(e))

    @widened
    def log_prob(self, x: Tensor, e: Tensor) -> Tensor:
        return F.logsigmoid(e * (2 * x - 1))

    def mode(self, e: Tensor) -> Tensor:
        return torch.where(e >= 0, torch.ones_like(e), 0)


class H(nn.Module):
    """P(h | x) = prod_i P(h_i | e_i),  e = W x + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        i = torch.arange(128)[:, None]
        j = torch.arange(64)
        mask = (j <= i // 2).expand(128, 64)
        self.x = Masked(mask)
        self.bias = nn.Parameter(torch.empty(128).uniform_(-(64**-0.5), 64**-0.5))

    def forward(self, x: Tensor, how: Inference) -> Tensor:
        return how(Soft(), self.x(x, self.bias))


class Y(nn.Module):
    """P(y | h) = prod_i P(y_i | e_i),  e = W h + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        i = torch.arange(64)[:, None]
        j = torch.arange(128)
        mask = (j // 2 < i).expand(64, 128)
        self.h = Masked(mask)
        self.bias = nn.Parameter(torch.empty(64).uniform_(-(128**-0.5), 128**-0.5))

    def forward(self, h: Tensor) -> Tensor:
        return self.h(h, self.bias)


class Causal(nn.Module):
    """P(h, y | x) = P(h | x) P(y | h)"""

    def __init__(self) -> None:
        super().__init__()
        self.h = H()
        self.y = Y()
        self.how = [Inference(), Inference()]  # in evaluation, in training

    def energies(self, x: Tensor, how: Inference | None = None) -> Tensor:
        """Energies of every draw, (draws, batch, 64)."""
        how = how or self.how[self.training]
        return self._rows(x.expand(how.draws, *x.shape).flatten(0, 1), how).unflatten(0, (how.draws, -1))

    def _rows(self, x: Tensor, how: Inference) -> Tensor:
        require_binary(x, "inputs must be one of (0, 1)")
        h = self.h(x, how)
        return self.y(h)

    def forward(self, x: Tensor) -> Tensor:
        """Energies of y, (batch, 64): their mean over the draws."""
        return self.energies(x).mean(0)

    def expectation(self, x: Tensor) -> Tensor:
        return Bit().expectation(self.energies(x)).mean(0)

    def sample(self, x: Tensor, n: int = 1) -> Tensor:
        """n draws of y, every node below drawn as well: (n, batch, ...)."""
        return Bit().sample(self.energies(x, Inference(1.0, sampled=True, draws=n)))

    def log_prob(self, x: Tensor) -> Tensor:
        """log P(y = x | x), (batch,): of the mean likelihood over the draws."""
        e = self.energies(x)
        log_p = Bit().log_prob(x.to(e.dtype).reshape(e.shape[1:]), e)
        log_p = log_p.flatten(2).sum(2)
        return log_p[0] if len(log_p) == 1 else log_p.logsumexp(0) - math.log(len(log_p))

    def loss(self, x: Tensor) -> Tensor:
        if self.how[self.training].draws > 1:
            return -self.log_prob(x).mean()
        e = self._rows(x, self.how[self.training])
        if x.dtype != e.dtype or x.shape != e.shape:
            x = x.to(e.dtype).reshape(e.shape)
        return F.binary_cross_entropy_with_logits(e, x, reduction="sum") / e.shape[0]

    def decode(self, x: Tensor) -> Tensor:
        return Bit().mode(self(x))

    def inference(self, method: str, sample_rate: float = 1.0, gradient="block", samples=32, training=None):
        """Choose `feed_forward`, `pcff` or `sample`: for training, for evaluation, or (None) for both."""
        sampled, straight = method == "sample", {"block": False, "straight_through": True}[gradient]
        rates = {"feed_forward": 0.0, "pcff": sample_rate, "sample": 1.0}
        if method not in rates:
            raise ValueError(f"{method!r} is none of {', '.join(rates)}")
        for mode in (False, True) if training is None else (training,):
            self.how[mode] = Inference(rates[method], straight, sampled, draws=samples if sampled and not mode else 1)
        return self


Model = Causal
