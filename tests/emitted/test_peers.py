"""Emitted networks against the field's own implementations: weights mapped, outputs and all gradients compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from packages import SPECS, emit
from torch import Tensor, nn

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5}
DTYPES = list(TOLERANCES)


def agree(
    ours: Any, peer: nn.Module, pairs: Iterable[tuple[Tensor, Tensor]], x: Tensor, y: Tensor, loose: float = 1.0, loss: Any = None
) -> None:
    """Copies every first tensor of ``pairs`` (ours) to the second, and compares logits and gradients, in evaluation and in training."""
    pairs = list(pairs)
    bound = TOLERANCES[next(ours.parameters()).dtype] * loose
    named = {id(parameter) for parameter in ours.parameters()}
    assert {id(a) for a, _ in pairs if a.requires_grad} == named, "some parameters have no counterpart"
    with torch.no_grad():
        for a, b in pairs:
            b.copy_(a.reshape(b.shape))
    for training in (False, True):
        for model in (ours.train(training), peer.train(training)):
            model.zero_grad()
        mine, other = ours(x), peer(x)
        close(mine, other, bound)
        F.cross_entropy(mine, y).backward()
        F.cross_entropy(other, y).backward()
        for a, b in pairs:
            if a.requires_grad:
                assert a.grad is not None and b.grad is not None
                close(a.grad.reshape(b.shape), b.grad, bound)


def close(a: Tensor, b: Tensor, bound: float) -> None:
    assert a.shape == b.shape
    assert (a - b).abs().max() <= bound * b.abs().max().clamp(min=1e-30), float((a - b).abs().max() / b.abs().max())


def examples(shape: tuple[int, ...], dtype: torch.dtype, labels: int = 10, seed: int = 3) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.rand(shape, dtype=dtype), torch.randint(labels, (shape[0],))


class Recurrent(nn.Module):
    """One of torch's recurrent networks, and a linear layer on the last step."""

    def __init__(self, kind: Callable[..., nn.Module], hidden: int, **settings: Any) -> None:
        super().__init__()
        self.rnn = kind(8, hidden, batch_first=True, **settings)
        self.y = nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.y(self.rnn(x)[0][:, -1])


RNN = """
cgc: 1
name: rnn
families:
  node: {family}
time: {{steps: 6}}
components:
  x: {{role: input, nodes: 8, family: {{kind: gaussian, std: 0}}}}
  h: {{nodes: 12, family: node, stack: 3, parents: {{x: dense, h: {{kind: dense, lag: 1}}}}}}
  y: {{role: output, at: last, nodes: 1, family: {{kind: categorical, labels: 10}}, parents: {{h: dense}}}}
"""


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("nonlinearity", "family"),
    [("tanh", "{kind: binary, values: [-1, 1]}"), ("relu", "{kind: rectified_gaussian, std: tanh(e), emit: relu}")],
)
def test_rnn(tmp_path: Path, nonlinearity: str, family: str, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, RNN.format(family=family)).model(dtype=dtype)
    peer = Recurrent(nn.RNN, 12, num_layers=3, nonlinearity=nonlinearity).to(dtype)
    pairs = [(ours.y.h.weight, peer.y.weight), (ours.y.bias, peer.y.bias)]
    for k, layer in enumerate(ours.h):
        with torch.no_grad():
            getattr(peer.rnn, f"bias_hh_l{k}").zero_()
        pairs += [(layer.x.weight, getattr(peer.rnn, f"weight_ih_l{k}")), (layer.h.weight, getattr(peer.rnn, f"weight_hh_l{k}"))]
        pairs.append((layer.bias, getattr(peer.rnn, f"bias_ih_l{k}")))
    agree(ours, peer, pairs, *examples((5, 9, 8), dtype))


class Gates(nn.Module):
    """torch's LSTM or GRU with a parameter for every gate in place of one for all, so that gradients can be compared one by one."""

    def __init__(self, kind: str, sizes: tuple[int, int], layers: int) -> None:
        super().__init__()
        self.kind, self.hidden = kind, sizes[1]
        self.rnn = getattr(nn, kind)(*sizes, num_layers=layers, batch_first=True)
        self.y = nn.Linear(sizes[1], 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.y(self.rnn(x)[0][:, -1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layers", [1, 3])
def test_lstm(tmp_path: Path, layers: int, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "lstm.yaml", {"hidden": 7, "layers": layers}).model(dtype=dtype)
    peer = Gates("LSTM", (8, 7), layers).to(dtype)
    compare_gates(ours, peer, [["i", "f", "g", "o"] for _ in range(layers)], examples((4, 11, 8), dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layers", [1, 2])
def test_gru(tmp_path: Path, layers: int, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "gru.yaml", {"hidden": 6, "layers": layers}).model(dtype=dtype)
    peer = Gates("GRU", (8, 6), layers).to(dtype)
    compare_gates(ours, peer, [["r", "z", "n"] for _ in range(layers)], examples((4, 10, 8), dtype))


def compare_gates(ours: Any, peer: Gates, gates: list[list[str]], data: tuple[Tensor, Tensor]) -> None:
    """torch stacks the gates of a layer in one matrix: row blocks are compared."""
    x, y = data
    bound = TOLERANCES[x.dtype]
    blocks: list[tuple[Tensor, Tensor, slice]] = []
    for k, names in enumerate(gates):
        cell = ours.cell[k]
        ih, hh, b_ih, b_hh = (getattr(peer.rnn, f"{name}_l{k}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        with torch.no_grad():
            b_hh.zero_()
        for g, name in enumerate(names):
            rows = slice(g * peer.hidden, (g + 1) * peer.hidden)
            part = getattr(cell, name)
            recurrent = cell.u.h if name == "n" else part.h
            blocks += [(part.x.weight, ih, rows), (recurrent.weight, hh, rows), (part.bias, b_ih, rows)]
            if name == "n":
                blocks.append((cell.u.bias, b_hh, rows))
    whole = slice(None)
    blocks += [(ours.y.cell.weight, peer.y.weight, whole), (ours.y.bias, peer.y.bias, whole)]
    assert {id(a) for a, _, _ in blocks} == {id(p) for p in ours.parameters()}
    with torch.no_grad():
        for a, b, rows in blocks:
            b[rows] = a
    mine, other = ours(x), peer(x)
    close(mine, other, bound)
    F.cross_entropy(mine, y).backward()
    F.cross_entropy(other, y).backward()
    for a, b, rows in blocks:
        assert a.grad is not None and b.grad is not None
        close(a.grad, b.grad[rows], bound)


class IndRNN(nn.Module):
    """Independently recurrent layers (Li et al. 2018), with batch normalisation of what comes from below, step after step in a loop."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(nn.Linear(8 if k == 0 else hidden, hidden, bias=False) for k in range(layers))
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(layers))
        self.recurrent = nn.ParameterList(nn.Parameter(torch.zeros(hidden)) for _ in range(layers))
        self.y = nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        for inputs, norm, u in zip(self.inputs, self.norms, self.recurrent, strict=True):
            drive = norm(inputs(x).transpose(1, 2)).transpose(1, 2)
            h, states = torch.zeros_like(drive[:, 0]), []
            for t in range(x.shape[1]):
                h = torch.relu(drive[:, t] + u * h)
                states.append(h)
            x = torch.stack(states, 1)
        return self.y(x[:, -1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_indrnn_deep(tmp_path: Path, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "indrnn_deep.yaml", {"hidden": 9}).model(dtype=dtype)
    peer = IndRNN(9, 6).to(dtype)
    pairs = [(ours.y.h.weight, peer.y.weight), (ours.y.bias, peer.y.bias)]
    for layer, inputs, norm, u in zip(ours.h, peer.inputs, peer.norms, peer.recurrent, strict=True):
        pairs += [(layer.x.weight, inputs.weight), (layer.h.weight, u), *normed(layer, norm)]
    agree(ours, peer, pairs, *examples((6, 8, 8), dtype), loose=10)


def normed(layer: Any, norm: Any) -> list[tuple[Tensor, Tensor]]:
    """The parameters and statistics of a batch normalisation."""
    pairs = [(layer.normalize.weight, norm.weight), (layer.bias, norm.bias)]
    return [*pairs, (layer.normalize.running_mean, norm.running_mean), (layer.normalize.running_var, norm.running_var)]


class ResidualIndRNN(nn.Module):
    """Residual blocks with the recurrence on the path: e <- e + W2 indrnn(W1 relu(BN(e)))."""

    def __init__(self, hidden: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Linear(8, hidden, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(2 * blocks + 1))
        self.inner = nn.ModuleList(nn.Linear(hidden, hidden, bias=False) for _ in range(2 * blocks))
        self.recurrent = nn.ParameterList(nn.Parameter(torch.zeros(hidden)) for _ in range(blocks))
        self.y = nn.Linear(hidden, 10)

    def norm(self, k: int, e: Tensor) -> Tensor:
        return self.norms[k](e.flatten(0, 1)).view_as(e)

    def forward(self, x: Tensor) -> Tensor:
        e = self.first(x)
        for k, u in enumerate(self.recurrent):
            drive = self.norm(2 * k + 1, self.inner[2 * k](torch.relu(self.norm(2 * k, e))))
            z, states = torch.zeros_like(drive[:, 0]), []
            for t in range(x.shape[1]):
                z = torch.relu(drive[:, t] + u * z)
                states.append(z)
            e = e + self.inner[2 * k + 1](torch.stack(states, 1))
        return self.y(torch.relu(self.norm(len(self.norms) - 1, e))[:, -1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_residual_indrnn(tmp_path: Path, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "indrnn_residual.yaml", {"hidden": 6, "blocks": 3}).model(dtype=dtype)
    peer = ResidualIndRNN(6, 3).to(dtype)
    pairs = [(ours.h.x.weight, peer.first.weight), (ours.y.h.weight, peer.y.weight), (ours.y.bias, peer.y.bias)]
    for k, level in enumerate(ours.h.refine):
        pairs += [*normed(level, peer.norms[2 * k]), *normed(level.z, peer.norms[2 * k + 1]), (level.z.z.weight, peer.recurrent[k])]
        pairs += [(level.z.previous.weight, peer.inner[2 * k].weight), (level.back.weight, peer.inner[2 * k + 1].weight)]
    pairs += normed(ours.h, peer.norms[-1])
    agree(ours, peer, pairs, *examples((6, 8, 8), dtype), loose=10)


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


class Inception(nn.Module):
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


@pytest.mark.parametrize("dtype", DTYPES)
def test_inception(tmp_path: Path, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "inception.yaml", {"width": 8}).model(dtype=dtype)
    peer = Inception(8).to(dtype)
    pairs = [(ours.h.x.weight, peer.stem.weight), *normed(ours.h, peer.norm), (ours.y.p.weight, peer.y.weight), (ours.y.bias, peer.y.bias)]
    for a, b in zip(ours.mix, peer.mix, strict=True):
        pairs += [
            (a.thin3.h.weight, b.thin3.weight),
            *normed(a.thin3, b.norm3),
            (a.thin5.h.weight, b.thin5.weight),
            *normed(a.thin5, b.norm5),
        ]
        out = a.out
        pairs += [
            (out.one["h"].weight, b.one.weight),
            (out.three["thin3"].weight, b.three.weight),
            (out.five["thin5"].weight, b.five.weight),
        ]
        pairs += [(out.pooled["pool"].weight, b.pooled.weight), *normed(out, b.norm)]
    agree(ours, peer, pairs, *examples((5, 1, 8, 8), dtype), loose=10)


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


class ResNet20(nn.Module):
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


def resnet_pairs(ours: Any, peer: ResNet20) -> list[tuple[Tensor, Tensor]]:
    def levels(h: Any, blocks: Iterable[Any]) -> list[tuple[Tensor, Tensor]]:
        found = []
        for level, block in zip(h.refine, blocks, strict=True):
            found += [*normed(level, block.norm1), (level.z.previous.weight, block.conv1.weight), *normed(level.z, block.norm2)]
            found.append((level.back.weight, block.conv2.weight))
        return found

    pairs = [
        (ours.h1.x.weight, peer.stem.weight),
        *levels(ours.h1, peer.stage1),
        (ours.y.p.weight, peer.y.weight),
        (ours.y.bias, peer.y.bias),
    ]
    for below, z, h, strided, blocks in (
        ("h1", ours.z2, ours.h2, peer.stage2[0], peer.stage2[1:]),
        ("h2", ours.z3, ours.h3, peer.stage3[0], peer.stage3[1:]),
    ):
        main = getattr(h, "z2" if below == "h1" else "z3")
        pairs += [*normed(getattr(ours, below), strided.norm0), (getattr(z, below).weight, strided.conv1.weight), *normed(z, strided.norm1)]
        pairs += [(main.weight, strided.conv2.weight), (getattr(h, below).weight, strided.skip.weight), *levels(h, blocks)]
    return [*pairs, *normed(ours.h3, peer.norm)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_resnet20(tmp_path: Path, dtype: torch.dtype) -> None:
    overrides = (("inference", "null"), ("train", "null"))
    ours = emit(tmp_path, SPECS / "resnet20_cifar10.yaml", {"width": 4, "size": 16}, overrides).model(dtype=dtype)
    peer = ResNet20(3, 4).to(dtype)
    agree(ours, peer, resnet_pairs(ours, peer), *examples((6, 3, 16, 16), dtype), loose=10)
