"""denoise_crf: Clean pixels given flipped ones; neighbouring pixels are linked.

Made by cgc 0.1.0 from denoise_crf.yaml; do not edit, compile again. cgc claims no rights in it.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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

    def check_states(self, x: Tensor, *states: float) -> None:
        known = x == states[0]
        for state in states[1:]:
            known = known | (x == state)
        require(known, f"inputs must be one of {states}")


def require(holds: Tensor, reason: str) -> None:
    """On a GPU, which is not waited for, an assertion ends the run there."""
    if holds.is_cuda:
        torch._assert_async(holds.all(), reason)
    elif not torch.compiler.is_compiling() and not holds.all():
        raise ValueError(reason)


def widened(method):
    """Half-precision tensors are computed in float32 and rounded once."""

    def wide(self, *tensors: Tensor) -> Tensor:
        dtype = tensors[-1].dtype
        if dtype in (torch.float16, torch.bfloat16):
            return method(self, *(tensor.float() for tensor in tensors)).to(dtype)
        return method(self, *tensors)

    return wide


class Tanh(torch.autograd.Function):
    """tanh with the derivative 1 / cosh(x)^2, which keeps its digits where 1 - tanh(x)^2 is 0."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient / torch.cosh(x).square()


tanh = Tanh.apply


class Conv2d(nn.Conv2d):
    """A convolution of nodes whose indices (map, *extents) are flat, or (rows, maps, ...) as it gives."""

    def __init__(self, extents: tuple[int, ...], *sizes: int, **settings) -> None:
        super().__init__(*sizes, bias=False, **settings)
        self.extents = extents

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        maps = x if x.dim() > 2 else x.reshape(x.shape[0], self.in_channels, *self.extents)
        return F.conv2d(maps, self.weight, bias, self.stride, self.padding, self.dilation, self.groups)


class Spin:
    """p(x | e) ∝ exp(e*x), x in {-1, 1}: E[X | e] = tanh(e)  (eq. 2, 7)"""

    def expectation(self, e: Tensor) -> Tensor:
        return tanh(e)

    def sample(self, e: Tensor) -> Tensor:
        return 2 * torch.bernoulli(torch.sigmoid(2 * e)) - 1

    @widened
    def log_prob(self, x: Tensor, e: Tensor) -> Tensor:
        require((x == -1) | (x == 1), "states must be one of -1, 1")
        return F.logsigmoid(2 * e * x)

    def mode(self, e: Tensor) -> Tensor:
        return torch.where(2 * e >= 0, torch.ones_like(e), -1)


class YLines(nn.Module):
    """P(y | e) = exp(sum_t e_t y_t + sum over lines s - t of w y_s y_t) / Z, by mean field: approximately q(y) =
    prod_t P(y_t | e_t + m_t), where m_t is what the expectations of the neighbours add to e_t. 10 parallel
    updates, of which each keeps 0.5 of m.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))  # for each axis, from a node to the next

    def forward(self, e: Tensor) -> Tensor:
        """Energies with what the neighbours add, from expectations that the node law itself gives."""
        m = torch.zeros_like(e)
        for _ in range(10):
            m = 0.5 * m + 0.5 * self.messages(Spin().expectation(e + m))
        return e + m

    def messages(self, x: Tensor) -> Tensor:
        """What the neighbours of every node add to its energy, given their features."""
        m = torch.zeros_like(x)
        for w, axis in zip(self.weight, (-2, -1), strict=True):
            n = x.shape[axis] - 1
            before, after = x.narrow(axis, 0, n), x.narrow(axis, 1, n)
            m.narrow(axis, 1, n).add_(w * before)
            m.narrow(axis, 0, n).add_(w * after)
        return m


class Y(nn.Module):
    """P(y | x) = prod_i P(y_i | e_i),  e = W ⋆ x + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.x = Conv2d((8, 8), 1, 1, 3, padding=1)
        self.bias = nn.Parameter(torch.empty(1).uniform_(-(9**-0.5), 9**-0.5))
        self.lines = YLines()

    def forward(self, x: Tensor) -> Tensor:
        e = self.x(x, self.bias).flatten(1)
        e = e.unflatten(-1, (1, 8, 8))
        return e


class DenoiseCRF(nn.Module):
    """P(y | x) = P(y | x)
    Approximate, by mean field: every answer about y; the loss is -sum log q.
    """

    def __init__(self) -> None:
        super().__init__()
        self.y = Y()
        self.how = [Inference(), Inference()]  # in evaluation, in training

    def energies(self, x: Tensor, how: Inference | None = None) -> Tensor:
        """Energies of every draw, (draws, batch, 1, 8, 8)."""
        how = how or self.how[self.training]
        x = x.flatten(1)
        x = x if how.draws == 1 else torch.cat([x] * how.draws)
        how.check_states(x, -1, 1)
        return self.y(x).unflatten(0, (how.draws, -1))

    def forward(self, x: Tensor) -> Tensor:
        """Unary energies of y, (batch, 1, 8, 8): their mean over the draws."""
        return self.energies(x).mean(0)

    def expectation(self, x: Tensor) -> Tensor:
        return Spin().expectation(self.y.lines(self.energies(x))).mean(0)

    def sample(self, x: Tensor, n: int = 1) -> Tensor:
        """n draws of y, every node below drawn as well: (n, batch, ...)."""
        return Spin().sample(self.y.lines(self.energies(x, Inference(1.0, sampled=True, draws=n))))

    def log_prob(self, x: Tensor, y: Tensor) -> Tensor:
        """Approximately log P(y | x), (batch,): of the mean likelihood over the draws."""
        e = self.energies(x)
        log_p = Spin().log_prob(y.to(e.dtype).reshape(e.shape[1:]), self.y.lines(e))
        log_p = log_p.flatten(2).sum(2)
        return log_p[0] if len(log_p) == 1 else log_p.logsumexp(0) - math.log(len(log_p))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return -self.log_prob(x, y).mean()

    def decode(self, x: Tensor) -> Tensor:
        return Spin().mode(self.y.lines(self(x)))

    def inference(self, method: str, sample_rate: float = 1.0, gradient="block", samples=32, training=None):
        """Choose `feed_forward`, `pcff` or `sample`: for training, for evaluation, or (None) for both."""
        sampled, straight = method == "sample", {"block": False, "straight_through": True}[gradient]
        rates = {"feed_forward": 0.0, "pcff": sample_rate, "sample": 1.0}
        if method not in rates:
            raise ValueError(f"{method!r} is none of {', '.join(rates)}")
        for mode in (False, True) if training is None else (training,):
            self.how[mode] = Inference(rates[method], straight, sampled, draws=samples if sampled and not mode else 1)
        return self


Model = DenoiseCRF
