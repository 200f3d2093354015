"""mnist_dense: Two hidden components of 1024 nodes (paper, section 5.1).

Made by cgc 0.1.0 from mnist_dense.yaml; do not edit, compile again. cgc claims no rights in it.
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

    def soft_clamp(self, x: Tensor, low: float, high: float) -> Tensor:
        """Two-state inputs given as expectations (section 2.3); where everything is drawn, their states are."""
        if x.numel() and not (torch.compiler.is_compiling() or (kernels and kernels.within(x, low, high))):
            least, most = torch.aminmax(x)
            if x.is_cuda:  # which is not waited for: an assertion ends the run there
                torch._assert_async((least >= low) & (most <= high), f"inputs must lie in [{low}, {high}]")
            elif not (least.item() >= low and most.item() <= high):
                raise ValueError(f"inputs must lie in [{low}, {high}]")
        return low + (high - low) * torch.bernoulli((x - low) / (high - low)) if self.sampled else x


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


class Spin:
    """p(x | e) ∝ exp(e*x), x in {-1, 1}: E[X | e] = tanh(e)  (eq. 2, 7)"""

    discrete = True

    def expectation(self, e: Tensor) -> Tensor:
        return tanh(e)

    def sample(self, e: Tensor) -> Tensor:
        return 2 * torch.bernoulli(torch.sigmoid(2 * e)) - 1


class Categorical:
    """p(k | e) ∝ exp(e[k]), k = 0 … 9, e[9] = 0: E[1[X = k] | e] = softmax(e[k])  (section 3)"""

    def expectation(self, e: Tensor) -> Tensor:
        return torch.softmax(e, -1)

    def draw(self, e: Tensor) -> Tensor:
        return torch.distributions.Categorical(logits=e).sample()

    def log_prob(self, x: Tensor, e: Tensor) -> Tensor:
        return torch.log_softmax(e, -1).gather(-1, x.expand(e.shape[:-1]).unsqueeze(-1)).squeeze(-1)


class H1(nn.Module):
    """P(h1 | x) = prod_i P(h1_i | e_i),  e = W x + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Linear(784, 1024, bias=False)
        self.bias = nn.Parameter(torch.empty(1024).uniform_(-(784**-0.5), 784**-0.5))

    def forward(self, x: Tensor, how: Inference) -> Tensor:
        return how(Spin(), F.linear(x, self.x.weight, self.bias))


class H2(nn.Module):
    """P(h2 | h1) = prod_i P(h2_i | e_i),  e = W h1 + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.h1 = nn.Linear(1024, 1024, bias=False)
        self.bias = nn.Parameter(torch.empty(1024).uniform_(-(1024**-0.5), 1024**-0.5))

    def forward(self, h1: Tensor, how: Inference) -> Tensor:
        return how(Spin(), F.linear(h1, self.h1.weight, self.bias))


class Y(nn.Module):
    """P(y | h2) = prod_i P(y_i | e_i),  e = W h2 + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.h2 = nn.Linear(1024, 9, bias=False)
        self.bias = nn.Parameter(torch.empty(9).uniform_(-(1024**-0.5), 1024**-0.5))

    def forward(self, h2: Tensor) -> Tensor:
        return F.pad(F.linear(h2, self.h2.weight, self.bias), (0, 1))  # the reference label's energy is 0


class MnistDense(nn.Module):
    """P(h1, h2, y | x) = P(h1 | x) P(h2 | h1) P(y | h2)"""

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
        x = how.soft_clamp(x, 0, 1)
        h1 = self.h1(x, how)
        h2 = self.h2(h1, how)
        return self.y(h2)

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


Model = MnistDense
