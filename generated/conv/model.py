"""conv

Made by cgc 0.1.0 from conv.yaml; do not edit, compile again. cgc claims no rights in it.
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


class Conv2d(nn.Conv2d):
    """A convolution of nodes whose indices (map, *extents) are flat, or (rows, maps, ...) as it gives."""

    def __init__(self, extents: tuple[int, ...], *sizes: int, **settings) -> None:
        super().__init__(*sizes, bias=False, **settings)
        self.extents = extents

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        maps = x if x.dim() > 2 else x.reshape(x.shape[0], self.in_channels, *self.extents)
        return F.conv2d(maps, self.weight, bias, self.stride, self.padding, self.dilation, self.groups)


class BatchNorm(nn.Module):
    """Batch normalisation of maps (section 3); its shift is the component's bias."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(maps))
        self.register_buffer("running_mean", torch.zeros(maps))
        self.register_buffer("running_var", torch.ones(maps))

    def forward(self, a: Tensor, bias: Tensor | None) -> Tensor:
        training = self.training and a.numel() > len(self.weight)  # one value has no variance
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


class Categorical:
    """p(k | e) ∝ exp(e[k]), k = 0 … 9: E[1[X = k] | e] = softmax(e[k])  (section 3)"""

    def expectation(self, e: Tensor) -> Tensor:
        return torch.softmax(e, -1)

    def draw(self, e: Tensor) -> Tensor:
        return torch.distributions.Categorical(logits=e).sample()

    def log_prob(self, x: Tensor, e: Tensor) -> Tensor:
        return torch.log_softmax(e, -1).gather(-1, x.expand(e.shape[:-1]).unsqueeze(-1)).squeeze(-1)


class H1(nn.Module):
    """P(h1 | x) = prod_i P(h1_i | e_i),  e = BN(W ⋆ x) + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.x = Conv2d((8, 8), 1, 16, 3, padding=1)
        self.bias = nn.Parameter(torch.zeros(16))
        self.normalize = BatchNorm(16)

    def forward(self, x: Tensor, how: Inference) -> Tensor:
        return how.over_batch(Rect(), self.normalize, self.x(x), self.bias)


class H2(nn.Module):
    """P(h2 | h1) = prod_i P(h2_i | e_i),  e = BN(W ⋆ h1) + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.h1 = Conv2d((8, 8), 16, 32, 3, stride=2, padding=1)
        self.bias = nn.Parameter(torch.zeros(32))
        self.normalize = BatchNorm(32)

    def forward(self, h1: Tensor, how: Inference) -> Tensor:
        return how.over_batch(Rect(), self.normalize, self.h1(h1), self.bias)


class Y(nn.Module):
    """P(y | p) = prod_i P(y_i | e_i),  e = W p + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Linear(32, 10, bias=False)
        self.bias = nn.Parameter(torch.empty(10).uniform_(-(32**-0.5), 32**-0.5))

    def forward(self, p: Tensor) -> Tensor:
        return F.linear(p, self.p.weight, self.bias)


class Conv(nn.Module):
    """P(h1, h2, p, y | x) = P(h1 | x) P(h2 | h1) P(p | h2) P(y | p)"""

    def __init__(self) -> None:
        super().__init__()
        self.h1 = H1()
        self.h2 = H2()
        self.y = Y()
        self.how = [Inference(), Inference()]  # in evaluation, in training

    def energies(self, x: Tensor, how: Inference | None = None) -> Tensor:
        """Energies of every draw, (draws, batch, 10)."""
        how = how or self.how[self.training]
        return self._rows(x.expand(how.draws, *x.shape).flatten(0, 1), how).unflatten(0, (how.draws, -1))

    def _rows(self, x: Tensor, how: Inference) -> Tensor:
        x = x.flatten(1)
        x = how.soft_clamp(x, 0, 1)
        h1 = self.h1(x, how)
        h2 = self.h2(h1, how)
        p = h2.mean((2, 3))
        return self.y(p)

    def forward(self, x: Tensor) -> Tensor:
        """Energies of y, (batch, 10): their mean over the draws."""
        return self.energies(x).mean(0)

    def expectation(self, x: Tensor) -> Tensor:
        return Categorical().expectation(self.energies(x)).mean(0)

    def sample(self, x: Tensor, n: int = 1) -> Tensor:
        """n draws of y, every node below drawn as well: (n, batch, ...)."""
        return Categorical().draw(self.energies(x, Inference(1.0, sampled=True, draws=n)))

    def log_prob(self, x: Tensor, y: Tensor) -> Tensor:
        """log P(y | x), (batch,): of the mean likelihood over the draws."""
        log_p = Categorical().log_prob(y, self.energies(x))
        return log_p[0] if len(log_p) == 1 else log_p.logsumexp(0) - math.log(len(log_p))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        if self.how[self.training].draws > 1:
            return -self.log_prob(x, y).mean()
        return F.cross_entropy(self._rows(x, self.how[self.training]), y)

    def decode(self, x: Tensor) -> Tensor:
        return self(x).argmax(-1)

    def inference(self, method: str, sample_rate: float = 1.0, gradient="block", samples=32, training=None):
        """Choose `feed_forward`, `pcff` or `sample`: for training, for evaluation, or (None) for both."""
        sampled, straight = method == "sample", {"block": False, "straight_through": True}[gradient]
        rates = {"feed_forward": 0.0, "pcff": sample_rate, "sample": 1.0}
        if method not in rates:
            raise ValueError(f"{method!r} is none of {', '.join(rates)}")
        for mode in (False, True) if training is None else (training,):
            self.how[mode] = Inference(rates[method], straight, sampled, draws=samples if sampled and not mode else 1)
        return self


Model = Conv
