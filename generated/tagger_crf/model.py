"""tagger_crf

Made by cgc 0.1.0 from tagger_crf.yaml; do not edit, compile again. cgc claims no rights in it.
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

    def check_labels(self, x: Tensor, labels: int, axes: int) -> None:
        if x.dim() != axes + 1 or not (x.is_cuda or torch.compiler.is_compiling() or ((x >= 0) & (x < labels)).all()):
            raise ValueError(f"labels must lie in 0 ... {labels - 1}, in a tensor with {axes} axes")


class Elementwise(nn.Module):
    """One weight per node: node i of the child reads node i of the parent alone."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(nodes).uniform_(-1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


class Chain(nn.Module):
    """Nodes in a row, joined by lines: P(y | e) = exp(sum_t e[t, y[t]] + sum_t V[y[t-1], y[t]] + a[y[0]] + z[y[T]]) / Z.

    Exact, by a pass forward and one back. Energies are (..., batch, steps, states); steps behind `lengths` do not count.
    """

    def __init__(self, *shape: int, ends: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))  # V, from a step to the next
        self.start, self.end = (nn.Parameter(torch.zeros(shape[-1])) if ends else None for _ in "az")

    def potentials(self, e: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Energies state by state, with what the ends add, and V."""
        if self.start is not None:
            step = torch.arange(e.shape[-2], device=e.device)
            last = e.shape[-2] - 1 if lengths is None else lengths[:, None] - 1
            e = e + (self.start * (step == 0)[:, None] + self.end * (step == last)[..., None])
        return e, self.weight

    def sums(self, e: Tensor, pair: Tensor, reduce=torch.logsumexp) -> Tensor:
        """s[t, k] = e[t, k] + log sum_j exp(s[t-1, j] + V[j, k]); with `amax`, the best of all paths instead of the sum."""
        s = [e[..., 0, :]]
        for e_t in e[..., 1:, :].unbind(-2):
            s.append(e_t + reduce(s[-1][..., None] + pair, -2))
        return torch.stack(s, -2)

    def log_z(self, s: Tensor, lengths: Tensor | None) -> Tensor:
        rows, step = torch.arange(s.shape[-3], device=s.device), -1 if lengths is None else lengths - 1
        return s[..., rows, step, :].logsumexp(-1)

    def log_partition(self, e: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.log_z(self.sums(*self.potentials(e, lengths)), lengths)

    def log_prob(self, y: Tensor, e: Tensor, lengths: Tensor | None = None) -> Tensor:
        if kernels and kernels.fits_chain(e, self.weight, lengths):
            return kernels.chain(y, e, self.weight, self.start, self.end, lengths)
        e, pair = self.potentials(e, lengths)
        valid = None if lengths is None else torch.arange(e.shape[-2], device=e.device) < lengths[:, None]
        y = (y if valid is None else y.where(valid, 0)).expand(e.shape[:-1])
        score = e.gather(-1, y[..., None])[..., 0] + F.pad(pair[y[..., :-1], y[..., 1:]], (1, 0))
        return (score if valid is None else score.where(valid, 0)).sum(-1) - self.log_z(self.sums(e, pair), lengths)

    def expectation(self, e: Tensor, lengths: Tensor | None = None) -> Tensor:
        """P(y[t] = k | e): of the states of each step given those of the next, averaged over these; 0 behind `lengths`."""
        if kernels and kernels.fits_marginals(e, self.weight, self.start, self.end, lengths):
            return kernels.marginals(e, self.weight, self.start, self.end, lengths)
        s, pair = self.sums(*self.potentials(e, lengths)), self.weight
        valid = 1 if lengths is None else (torch.arange(e.shape[-2], device=e.device) < lengths[:, None])[..., None]
        p = [torch.softmax(s[..., -1, :], -1)]
        for t in reversed(range(s.shape[-2] - 1)):
            joined = pair if lengths is None else pair * (t + 1 < lengths)[:, None, None]
            p.append((torch.softmax(s[..., t, :, None] + joined, -2) * p[-1][..., None, :]).sum(-1))
        return torch.stack(p[::-1], -2) * valid

    def draw(self, e: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.back(e, lengths, torch.logsumexp, lambda s: torch.distributions.Categorical(logits=s).sample())

    def mode(self, e: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The most probable states together (Viterbi), by their numbers."""
        return self.back(e, lengths, torch.amax, lambda s: s.argmax(-1))

    def back(self, e: Tensor, lengths: Tensor | None, reduce, choose) -> Tensor:
        """States from the last step to the first, each chosen given that of the next step."""
        e, pair = self.potentials(e, lengths)
        s = self.sums(e, pair, reduce)
        y = [choose(s[..., -1, :])]
        for t in reversed(range(s.shape[-2] - 1)):
            y.append(choose(s[..., t, :] + pair.T[y[-1]] * (1 if lengths is None else (t + 1 < lengths)[:, None])))
        return torch.stack(y[::-1], -1)


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


class Embed(nn.Module):
    """P(embed[t] | x[t]) = prod_i P(embed[t]_i | e_i),  e = W x[t]  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Embedding(50, 32)

    def forward(self, x: Tensor) -> Tensor:
        return self.x(x)


class H(nn.Module):
    """P(h[t] | embed[t], h[t-1]) = prod_i P(h[t]_i | e_i),  e = W_embed embed[t] + h.weight * h[t-1] + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(32, 64, bias=False)
        self.h = Elementwise(64)
        self.bias = nn.Parameter(torch.empty(64).uniform_(-(32**-0.5), 32**-0.5))

    def forward(self, embed: Tensor, how: Inference, past: Tensor) -> Tensor:
        e = F.linear(embed, self.embed.weight, self.bias)
        if kernels and kernels.fits_loop(Rect(), how.rate, e):
            return kernels.recurrence(Rect(), e, self.h.weight, past, how.rate, how.straight_through)
        h = list(past.unbind(-2))  # what came before the first step
        for e_t in e.unbind(-2):
            h.append(how(Rect(), e_t + self.h(h[-1])))
        return torch.stack(h[past.shape[-2] :], -2)


class Y(nn.Module):
    """P(y[t] | h[t]) = prod_i P(y[t]_i | e_i),  e = W h[t] + b  (eq. 2, 8)"""

    def __init__(self) -> None:
        super().__init__()
        self.h = nn.Linear(64, 6, bias=False)
        self.bias = nn.Parameter(torch.empty(6).uniform_(-(64**-0.5), 64**-0.5))
        self.lines = Chain(6, 6, ends=True)

    def forward(self, h: Tensor) -> Tensor:
        return F.linear(h, self.h.weight, self.bias)


class TaggerCRF(nn.Module):
    """P(embed, h, y | x) = prod_t P(embed[t] | x[t]) P(h[t] | embed[t], h[t-1]) · P(y[0..T] | h[0..T])"""

    def __init__(self) -> None:
        super().__init__()
        self.embed = Embed()
        self.h = H()
        self.y = Y()
        self.how = [Inference(), Inference()]  # in evaluation, in training

    def energies(self, x: Tensor, how: Inference | None = None, lengths=None, past: State | None = None):
        """Energies of every draw, (draws, batch, time, 6), and the last steps."""
        how = how or self.how[self.training]
        x = x.expand(how.draws, *x.shape)
        how.check_labels(x, 50, 2)
        past = self.past(x) if past is None else past
        embed = self.embed(x)
        h = self.h(embed, how, past["h"])
        return self.y(h), {"h": keep(past["h"], h, lengths)}

    def past(self, x: Tensor) -> State:
        """What came before the first step: nothing, and that contributes 0."""
        zero = x.new_zeros(*x.shape[:2], 1, 1, dtype=next(self.parameters()).dtype)
        return {"h": zero.expand(-1, -1, 1, 64)}

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None, return_state: bool = False):
        """Unary energies of y, (batch, time, 6): their mean over the draws; `state` continues an earlier call."""
        e, state = self.energies(x, None, lengths, state)
        return (e.mean(0), state) if return_state else e.mean(0)

    def expectation(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.y.lines.expectation(self.energies(x, lengths=lengths)[0], lengths).mean(0)

    def sample(self, x: Tensor, n: int = 1, lengths: Tensor | None = None) -> Tensor:
        """n draws of y, every node below drawn as well: (n, batch, ...)."""
        return self.y.lines.draw(self.energies(x, Inference(1.0, sampled=True, draws=n), lengths=lengths)[0], lengths)

    def log_prob(self, x: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        """log P(y | x), (batch,): of the mean likelihood over the draws."""
        log_p = self.y.lines.log_prob(y, self.energies(x, lengths=lengths)[0], lengths)
        return log_p[0] if len(log_p) == 1 else log_p.logsumexp(0) - math.log(len(log_p))

    def loss(self, x: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        return -self.log_prob(x, y, lengths=lengths).mean()

    def decode(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.y.lines.mode(self(x, lengths=lengths), lengths)

    def inference(self, method: str, sample_rate: float = 1.0, gradient="block", samples=32, training=None):
        """Choose `feed_forward`, `pcff` or `sample`: for training, for evaluation, or (None) for both."""
        sampled, straight = method == "sample", {"block": False, "straight_through": True}[gradient]
        rates = {"feed_forward": 0.0, "pcff": sample_rate, "sample": 1.0}
        if method not in rates:
            raise ValueError(f"{method!r} is none of {', '.join(rates)}")
        for mode in (False, True) if training is None else (training,):
            self.how[mode] = Inference(rates[method], straight, sampled, draws=samples if sampled and not mode else 1)
        return self


Model = TaggerCRF
