"""The field's own implementations of the shipped specs, in plain PyTorch, with their losses: what emitted networks are held against.

They know nothing of cgc, and start as torch's layers do; recurrent weights of one per node start as in Li et al. (2018).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Classifier(nn.Module):
    """A network whose answer is the logits of ten labels."""

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean of -log p over the examples, as for all peers."""
        return F.cross_entropy(self(x), y)

    def hits(self, x: Tensor, y: Tensor) -> Tensor:
        """Which labels, pixels or steps the most probable answer has right."""
        return self(x).argmax(-1) == y


class Dense(Classifier):
    """A multilayer perceptron with batch normalisation."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        layers = [self.layer(inputs, hidden), self.layer(hidden, hidden)]
        self.h = nn.Sequential(*layers)
        self.y = nn.Linear(hidden, 10)

    def layer(self, inputs: int, hidden: int) -> nn.Module:
        return nn.Sequential(nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.y(self.h(x))


class OddOrEven(nn.Module):
    """A logistic regression on the frozen hidden layers of another network."""

    def __init__(self, trained: Dense) -> None:
        super().__init__()
        self.h = trained.h.requires_grad_(False)
        self.y = nn.Linear(trained.y.in_features, 1)

    def train(self, mode: bool = True) -> OddOrEven:
        super().train(mode)
        self.h.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.y(self.h(x))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(self(x), y)

    def hits(self, x: Tensor, y: Tensor) -> Tensor:
        return (self(x) > 0) == y


class Conv(Classifier):
    """Two convolutions with batch normalisation, and the mean over places."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32)
        self.y = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm1(self.conv1(x)))
        return self.y(torch.relu(self.norm2(self.conv2(h))).mean((2, 3)))


class Scale(nn.Module):
    """One recurrent weight per node."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(nodes))

    def forward(self, h: Tensor) -> Tensor:
        return self.weight * h


def unrolled(drive: Tensor, recurrent: nn.Module) -> Tensor:
    """h[t] = relu(drive[t] + recurrent(h[t-1])), (batch, time, nodes), step after step."""
    h, states = torch.zeros_like(drive[:, 0]), []
    for t in range(drive.shape[1]):
        h = torch.relu(drive[:, t] + recurrent(h))
        states.append(h)
    return torch.stack(states, 1)


class Recurrent(Classifier):
    """One of torch's recurrent networks, and a linear layer on the last step."""

    def __init__(self, kind: Callable[..., nn.Module], hidden: int, **settings: Any) -> None:
        super().__init__()
        self.rnn = kind(8, hidden, batch_first=True, **settings)
        self.y = nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.y(self.rnn(x)[0][:, -1])


class Gates(Classifier):
    """torch's LSTM or GRU with a parameter for every gate in place of one for all, so that gradients can be compared one by one."""

    def __init__(self, kind: str, sizes: tuple[int, int], layers: int) -> None:
        super().__init__()
        self.kind, self.hidden = kind, sizes[1]
        self.rnn = getattr(nn, kind)(*sizes, num_layers=layers, batch_first=True)
        self.y = nn.Linear(sizes[1], 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.y(self.rnn(x)[0][:, -1])


class IndRNN(Classifier):
    """Independently recurrent layers (Li et al. 2018), with batch normalisation of what comes from below, step after step in a loop."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(nn.Linear(8 if k == 0 else hidden, hidden, bias=False) for k in range(layers))
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(layers))
        self.recurrent = nn.ModuleList(self.recurrence(hidden) for _ in range(layers))
        self.y = nn.Linear(hidden, 10)

    def recurrence(self, hidden: int) -> nn.Module:
        return Scale(hidden)

    def forward(self, x: Tensor) -> Tensor:
        for inputs, norm, recurrent in zip(self.inputs, self.norms, self.recurrent, strict=True):
            x = unrolled(norm(inputs(x).transpose(1, 2)).transpose(1, 2), recurrent)
        return self.y(x[:, -1])


class SRN(IndRNN):
    """The same, each node with a recurrent weight from every node."""

    def recurrence(self, hidden: int) -> nn.Module:
        return nn.Linear(hidden, hidden, bias=False)


class ResidualIndRNN(Classifier):
    """Residual blocks with the recurrence on the path: e <- e + W2 indrnn(W1 relu(BN(e)))."""

    def __init__(self, hidden: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Linear(8, hidden, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(2 * blocks + 1))
        self.inner = nn.ModuleList(nn.Linear(hidden, hidden, bias=False) for _ in range(2 * blocks))
        self.recurrent = nn.ModuleList(Scale(hidden) for _ in range(blocks))
        self.y = nn.Linear(hidden, 10)

    def norm(self, k: int, e: Tensor) -> Tensor:
        return self.norms[k](e.flatten(0, 1)).view_as(e)

    def forward(self, x: Tensor) -> Tensor:
        e = self.first(x)
        for k, recurrent in enumerate(self.recurrent):
            drive = self.norm(2 * k + 1, self.inner[2 * k](torch.relu(self.norm(2 * k, e))))
            e = e + self.inner[2 * k + 1](unrolled(drive, recurrent))
        return self.y(torch.relu(self.norm(len(self.norms) - 1, e))[:, -1])


class Mix(nn.Module):
    """An inception block with batch normalisation after the concatenation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.thin3, self.norm3 = nn.Conv2d(width, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.thin5, self.norm5 = nn.Conv2d(width, 4, 1, bias=False), nn.BatchNorm2d(4)
        self.one = nn.Conv2d(width, width // 4, 1, bias=False)
        self.three = nn.Conv2d(8, width // 4, 3, padding=1, bias=False)
        self.five = nn.Conv2d(4, width // 4, 5, padding=2, bias=False)
        self.pool = nn.AvgPool2d(3, stride=1, padding=1)
        self.pooled = nn.Conv2d(width, width // 4, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, h: Tensor) -> Tensor:
        thin3, thin5 = torch.relu(self.norm3(self.thin3(h))), torch.relu(self.norm5(self.thin5(h)))
        parts = [self.one(h), self.three(thin3), self.five(thin5), self.pooled(self.pool(h))]
        return torch.relu(self.norm(torch.cat(parts, 1)))


class Inception(Classifier):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.mix = nn.ModuleList([Mix(width), Mix(width)])
        self.y = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.stem(x)))
        for mix in self.mix:
            h = mix(h)
        return self.y(h.mean((2, 3)))


class PreActivation(nn.Module):
    """A pre-activation block without its own shortcut (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, e: Tensor) -> Tensor:
        return e + self.conv2(torch.relu(self.norm2(self.conv1(torch.relu(self.norm1(e))))))


class Strided(nn.Module):
    """The first block of a stage, with convolutions on both paths from the rectified maps."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.norm0 = nn.BatchNorm2d(inputs)
        self.conv1, self.norm1 = nn.Conv2d(inputs, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.skip = nn.Conv2d(inputs, width, 1, stride=2, bias=False)

    def forward(self, e: Tensor) -> Tensor:
        h = torch.relu(self.norm0(e))
        return self.conv2(torch.relu(self.norm1(self.conv1(h)))) + self.skip(h)


class ResNet20(Classifier):
    """Pre-activation ResNet-20 for CIFAR-10: three stages of three blocks, batch normalisation before every rectifier."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        w = width
        self.stem = nn.Conv2d(channels, w, 3, padding=1, bias=False)
        self.stage1 = nn.Sequential(*(PreActivation(w) for _ in range(3)))
        self.stage2 = nn.Sequential(Strided(w, 2 * w), PreActivation(2 * w), PreActivation(2 * w))
        self.stage3 = nn.Sequential(Strided(2 * w, 4 * w), PreActivation(4 * w), PreActivation(4 * w))
        self.norm = nn.BatchNorm2d(4 * w)
        self.y = nn.Linear(4 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        e = self.stage3(self.stage2(self.stage1(self.stem(x))))
        return self.y(torch.relu(self.norm(e)).mean((2, 3)))


class MaskedLinear(nn.Linear):
    """A linear layer of which only ``mask`` (outputs, inputs) is left."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    """Every pixel given those before it, by masks (Germain et al. 2015): units 2i and 2i + 1 see pixels up to i."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        pixel, unit = torch.arange(pixels), torch.arange(2 * pixels) // 2
        self.h, self.y = MaskedLinear(pixel <= unit[:, None]), MaskedLinear(unit < pixel[:, None])

    def forward(self, x: Tensor) -> Tensor:
        return self.y(F.softplus(self.h(x)))

    def loss(self, x: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(self(x), x, reduction="none").sum(1).mean()

    def hits(self, x: Tensor) -> Tensor:
        return (self(x) > 0) == x


class Tagger(nn.Module):
    """Embeddings, an independently recurrent layer and a linear-chain CRF (Lafferty et al. 2001)."""

    def __init__(self, tokens: int, tags: int, hidden: int) -> None:
        super().__init__()
        self.embed, self.h, self.recurrent = nn.Embedding(tokens, 32), nn.Linear(32, hidden), Scale(hidden)
        self.y = nn.Linear(hidden, tags)
        self.start, self.end = nn.Parameter(torch.zeros(tags)), nn.Parameter(torch.zeros(tags))
        self.moves = nn.Parameter(torch.zeros(tags, tags))  # from a tag to the next

    def forward(self, x: Tensor) -> Tensor:
        return self.y(unrolled(self.h(self.embed(x)), self.recurrent))

    def loss(self, x: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
        e, rows = self(x), torch.arange(len(x))
        valid = torch.arange(x.shape[1]) < lengths[:, None]
        score = self.start[y[:, 0]] + (e.gather(2, y[..., None])[..., 0] * valid).sum(1) + self.end[y[rows, lengths - 1]]
        score = score + (self.moves[y[:, :-1], y[:, 1:]] * valid[:, 1:]).sum(1)
        a = self.start + e[:, 0]
        for t in range(1, x.shape[1]):
            a = torch.where(valid[:, t, None], (a[:, :, None] + self.moves).logsumexp(1) + e[:, t], a)
        return ((a + self.end).logsumexp(1) - score).mean()

    def hits(self, x: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
        right = [self.decode(e[:n]) == tags[:n] for e, tags, n in zip(self(x), y, lengths.tolist(), strict=True)]
        return torch.cat(right)

    def decode(self, e: Tensor) -> Tensor:
        """The best tags of one sequence (Viterbi)."""
        a, back = self.start + e[0], []
        for row in e[1:]:
            best, before = (a[:, None] + self.moves).max(0)
            a = best + row
            back.append(before)
        tags = [(a + self.end).argmax()]
        for before in reversed(back):
            tags.append(before[tags[-1]])
        return torch.stack(tags[::-1])


class Denoiser(nn.Module):
    """An Ising model over the clean pixels, by ten damped updates of mean field, unrolled as in Zheng et al. (2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Conv2d(1, 1, 3, padding=1)
        self.coupling = nn.Parameter(torch.zeros(2))  # down and right

    def forward(self, x: Tensor) -> Tensor:
        """Fields, of which the mean spin is tanh."""
        e, m = self.x(x), torch.zeros_like(x)
        zero, (down, right) = torch.zeros((), dtype=x.dtype), self.coupling
        cross = torch.stack([zero, down, zero, right, zero, right, zero, down, zero]).reshape(1, 1, 3, 3)
        for _ in range(10):
            m = (m + F.conv2d(torch.tanh(e + m), cross, padding=1)) / 2
        return e + m

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return F.softplus(-2 * y * self(x)).sum((1, 2, 3)).mean()

    def hits(self, x: Tensor, y: Tensor) -> Tensor:
        return (self(x) > 0) == (y > 0)
