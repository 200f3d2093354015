"""transfer: Odd or even, on the hidden components that digits_dense has learned.

Made by cgc 0.1.0 from transfer.yaml, digits_dense.yaml; do not edit, compile again. cgc claims no rights in it.
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

    def over_batch(self, law, norm: "BatchNorm", a: Tensor, bias: Tensor | None) -> Tensor:
        """Nodes whose energies are normalised by the batch."""
        h = kernels and kernels.normalised(law, norm, a, bias, 1, self.rate, self.straight_through)
        return self(law, norm(a, bias)) if h is None else h

    def soft_clamp(self, x: Tensor, low: float, high: float) -> Tensor:
        """Two-state inputs given as expectations (section 2.3); where everything is drawn, their states are."""
        if x.numel() and not (torch.compiler.is_compiling() or (kernels and kernels.within(x, low, high))):
            least, most = torch.aminmax(x)
            if x.is_cuda:  # which is not waited for: an assertion ends the run there
                torch._assert_async((least >= low) & (most <= high), f"inputs must lie in [{low}, {high}]")
            elif not (least.item() >= low and most.item() <= high):
                raise ValueError(f"inputs must lie in [{low}, {high}]")
        return low + (high - low) * torch.bernoulli((x - low) / (high - low)) if self.sampled else x


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


class BatchNorm(nn.Module):
    """Batch normalisation over everything but the last axis (section 3); its shift is the component's bias."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_var", torch.ones(size))

    def forward(self, a: Tensor, bias: Tensor | None) -> Tensor:
        training = self.training and a.shape[0] > 1  # one row has no variance
        return F.batch_norm(a, self.running_mean, self.running_var, self.weight, bias, training)


class Rect:
    """X = max(0, Y), Y = e + n*s, n ~ N(0, 1), s = |tanh(e)|  (eq. 10)
    E[X | e] = e*Φ(e/s) + s*φ(e/s)
    computed as relu, max(0, e): off by at most 0.0370581 at |e| = 0.747468
    """

    discrete = False

    def expectation(self, e: Tensor) -> Tensor:
        return torch.relu(e)

    def sample(self, e: Tensor) -> Tensor:
        y = e + torch.tanh(e) * torch.randn_like(e)
        return torch.relu(y)


class Pixel:
    """p(x | e) ∝ exp(e*x), x in {0, 1}: E[X | e] = σ(e)  (eq. 2, 7)"""

    def expectation(self, e: Tensor) -> Tensor:
        return sigmoid(e)

    def sample(self, e: Tensor) -> Tensor:
        return torch.bernoulli(torch.sigmoid(e))

    @widened
    def log_prob(self, x: Tensor, e: Tensor) -> Tensor:
        require_binary(x, "states must be one of 0, 1")
        return F.logsigmoid(e * (2 * x - 1))

    def mode(self, e: Tensor) -> Tensor:
        return torch.where(e >= 0, torch.ones_like(e), 0)


class H(nn.Module):
    """P(h | x) = prod_i P(h_i | e_i),  e = BN(W x) + b  (eq. 2, 8)"""

    def __init__(self, x: int) -> None:
        super().__init__()
        self.x = nn.Linear(x, 128, bias=False)
        self.bias = nn.Parameter(torch.zeros(128))
        self.normalize = BatchNorm(128)

    def forward(self, x: Tensor, how: Inference) -> Tensor:
        return how.over_batch(Rect(), self.normalize, F.linear(x, self.x.weight), self.bias)


class Y(nn.Module):
    """P(y | h) = prod_i P(y_i | e_i),  e = W h + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.h = nn.Linear(128, 1, bias=False)
        self.bias = nn.Parameter(torch.empty(1).uniform_(-(128**-0.5), 128**-0.5))

    def forward(self, h: Tensor) -> Tensor:
        return F.linear(h, self.h.weight, self.bias)


class Transfer(nn.Module):
    """P(h.0, h.1, y | x) = P(h.0 | x) P(h.1 | h.0) P(y | h.1)"""

    def __init__(self) -> None:
        super().__init__()
        self.h = nn.ModuleList([H(64), H(128)])
        self.y = Y()
        self.how = [Inference(), Inference()]  # in evaluation, in training

    def energies(self, x: Tensor, how: Inference | None = None) -> Tensor:
        """Energies of every draw, (draws, batch, 1)."""
        how = how or self.how[self.training]
        return self._rows(x.expand(how.draws, *x.shape).flatten(0, 1), how).unflatten(0, (how.draws, -1))

    def _rows(self, x: Tensor, how: Inference) -> Tensor:
        x = how.soft_clamp(x, 0, 1)
        h = x
        for layer in self.h:
            h = layer(h, how)
        return self.y(h)

    def forward(self, x: Tensor) -> Tensor:
        """Energies of y, (batch, 1): their mean over the draws."""
        return self.energies(x).mean(0)

    def expectation(self, x: Tensor) -> Tensor:
        return Pixel().expectation(self.energies(x)).mean(0)

    def sample(self, x: Tensor, n: int = 1) -> Tensor:
        """n draws of y, every node below drawn as well: (n, batch, ...)."""
        return Pixel().sample(self.energies(x, Inference(1.0, sampled=True, draws=n)))

    def log_prob(self, x: Tensor, y: Tensor) -> Tensor:
        """log P(y | x), (batch,): of the mean likelihood over the draws."""
        e = self.energies(x)
        log_p = Pixel().log_prob(y.to(e.dtype).reshape(e.shape[1:]), e)
        log_p = log_p.flatten(2).sum(2)
        return log_p[0] if len(log_p) == 1 else log_p.logsumexp(0) - math.log(len(log_p))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        if self.how[self.training].draws > 1:
            return -self.log_prob(x, y).mean()
        e = self._rows(x, self.how[self.training])
        if y.dtype != e.dtype or y.shape != e.shape:
            y = y.to(e.dtype).reshape(e.shape)
        require_binary(y, "states must be one of 0, 1")
        return F.binary_cross_entropy_with_logits(e, y)

    def decode(self, x: Tensor) -> Tensor:
        return Pixel().mode(self(x))

    def inference(self, method: str, sample_rate: float = 1.0, gradient="block", samples=32, training=None):
        """Choose `feed_forward`, `pcff` or `sample`: for training, for evaluation, or (None) for both."""
        sampled, straight = method == "sample", {"block": False, "straight_through": True}[gradient]
        rates = {"feed_forward": 0.0, "pcff": sample_rate, "sample": 1.0}
        if method not in rates:
            raise ValueError(f"{method!r} is none of {', '.join(rates)}")
        for mode in (False, True) if training is None else (training,):
            self.how[mode] = Inference(rates[method], straight, sampled, draws=samples if sampled and not mode else 1)
        return self


Model = Transfer
