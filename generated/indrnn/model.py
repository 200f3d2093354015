"""indrnn: Simple recurrent network that reads an image row by row (paper, section 4.2.1).

Made by cgc 0.1.0 from indrnn.yaml, srn.yaml; do not edit, compile again. cgc claims no rights in it.
"""

import math
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

    def soft_clamp(self, x: Tensor, low: float, high: float) -> Tensor:
        """Two-state inputs given as expectations (section 2.3); where everything is drawn, their states are."""
        if x.numel() and not (torch.compiler.is_compiling() or (kernels and kernels.within(x, low, high))):
            least, most = torch.aminmax(x)
            if x.is_cuda:  # which is not waited for: an assertion ends the run there
                torch._assert_async((least >= low) & (most <= high), f"inputs must lie in [{low}, {high}]")
            elif not (least.item() >= low and most.item() <= high):
                raise ValueError(f"inputs must lie in [{low}, {high}]")
        return low + (high - low) * torch.bernoulli((x - low) / (high - low)) if self.sampled else x


class Elementwise(nn.Module):
    """One weight per node: node i of the child reads node i of the parent alone."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(nodes).uniform_(-1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


class BatchNorm(nn.Module):
    """Batch normalisation of the last axis (section 3), shifted by the component's bias; one row has no variance."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_var", torch.ones(size))

    def forward(self, a: Tensor, bias: Tensor | None, valid: Tensor | None = None) -> Tensor:
        e = a.flatten(0, -2) if valid is None else a[valid]
        e = F.batch_norm(e, self.running_mean, self.running_var, self.weight, bias, self.training and e.shape[0] > 1)
        return e.view_as(a) if valid is None else a.masked_scatter(valid[..., None], e)


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


class H(nn.Module):
    """P(h[t] | x[t], h[t-1]) = prod_i P(h[t]_i | e_i),  e = BN(W_x x[t]) + b + h.weight * h[t-1]  (eq. 2, 8)"""

    def __init__(self, x: int) -> None:
        super().__init__()
        self.x = nn.Linear(x, 128, bias=False)
        self.h = Elementwise(128)
        self.bias = nn.Parameter(torch.zeros(128))
        self.normalize = BatchNorm(128)

    def forward(self, x: Tensor, how: Inference, past: Tensor, valid: Tensor | None = None) -> Tensor:
        a = F.linear(x, self.x.weight)
        if kernels and kernels.fits_loop(Rect(), how.rate, a):
            return kernels.recurrence(Rect(), a, self.h.weight, past, how.rate, how.straight_through, self, valid)
        h = list(past.unbind(-2))  # what came before the first step
        for e_t in self.normalize(a, self.bias, valid).unbind(-2):
            h.append(how(Rect(), e_t + self.h(h[-1])))
        return torch.stack(h[past.shape[-2] :], -2)


class Y(nn.Module):
    """P(y | h) = prod_i P(y_i | e_i),  e = W h[T] + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.h = nn.Linear(128, 10, bias=False)
        self.bias = nn.Parameter(torch.empty(10).uniform_(-(128**-0.5), 128**-0.5))

    def forward(self, h: Tensor) -> Tensor:
        return F.linear(h, self.h.weight, self.bias)


class IndRNN(nn.Module):
    """P(h.0, h.1, y | x) = prod_t P(h.0[t] | x[t], h.0[t-1]) P(h.1[t] | h.0[t], h.1[t-1]) · P(y[T] | h.1[T])"""

    def __init__(self) -> None:
        super().__init__()
        self.h = nn.ModuleList([H(8), H(128)])
        self.y = Y()
        self.how = [Inference(), Inference()]  # in evaluation, in training

    def energies(self, x: Tensor, how: Inference | None = None, lengths=None, past: State | None = None):
        """Energies of every draw, (draws, batch, 10), and the last steps."""
        how = how or self.how[self.training]
        x = how.soft_clamp(x.expand(how.draws, *x.shape), 0, 1)
        past = self.past(x) if past is None else past
        steps = torch.arange(x.shape[2], device=x.device)
        valid = None if lengths is None else (steps < lengths[:, None]).expand(x.shape[:3])
        h, kept = x, {}
        for k, layer in enumerate(self.h):
            h = layer(h, how, past[f"h.{k}"], valid)
            kept[f"h.{k}"] = keep(past[f"h.{k}"], h, lengths)
        return self.y(last(h, lengths)), kept

    def past(self, x: Tensor) -> State:
        """What came before the first step: nothing, and that contributes 0."""
        zero = x.new_zeros(*x.shape[:2], 1, 1, dtype=next(self.parameters()).dtype)
        return {"h.0": zero.expand(-1, -1, 1, 128), "h.1": zero.expand(-1, -1, 1, 128)}

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


Model = IndRNN
