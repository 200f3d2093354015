"""Emitted networks against the field's own implementations: weights mapped, outputs and all gradients compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from packages import SPECS, emit
from peers import (
    MADE,
    SRN,
    Conv,
    Denoiser,
    Dense,
    Gates,
    Inception,
    IndRNN,
    OddOrEven,
    Recurrent,
    ResidualIndRNN,
    ResNet20,
    Tagger,
)
from torch import Tensor, nn

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5}
DTYPES = list(TOLERANCES)


def agree(
    ours: Any,
    peer: Any,
    pairs: Iterable[tuple[Tensor, Tensor]],
    *example: Tensor,
    loose: float = 1.0,
    answers: bool = True,
    modes: tuple[bool, ...] = (False, True),
) -> None:
    """Copies every first tensor of ``pairs`` (ours) to the second, and compares energies (unless they differ by what they mean), losses
    and gradients, in evaluation and in training; in evaluation also what is right.
    """
    pairs = list(pairs)
    bound = TOLERANCES[next(ours.parameters()).dtype] * loose
    named = {id(parameter) for parameter in ours.parameters()}
    assert {id(a) for a, _ in pairs if isinstance(a, nn.Parameter)} == named, "some parameters have no counterpart"
    with torch.no_grad():
        for a, b in pairs:
            b.copy_(a.reshape(b.shape))
    for training in modes:
        for model in (ours.train(training), peer.train(training)):
            model.zero_grad()
        if answers:
            close(ours(example[0]), peer(example[0]), bound)
        mine, other = ours.loss(*example), peer.loss(*example)
        close(mine, other, bound)
        mine.backward()
        other.backward()
        for a, b in pairs:
            if a.requires_grad:
                assert a.grad is not None and b.grad is not None
                close(a.grad.reshape(b.shape), b.grad, bound)
        if not training:
            assert torch.equal(hits(ours, *example), peer.hits(*example))


def hits(ours: Any, x: Tensor, y: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
    """Where the most probable state is right, over valid steps."""
    right = ours.decode(x, *([] if lengths is None else [lengths])) == (x if y is None else y)
    return right if lengths is None else right[torch.arange(x.shape[1]) < lengths[:, None]]


def close(a: Tensor, b: Tensor, bound: float) -> None:
    assert a.shape == b.shape
    assert (a - b).abs().max() <= bound * b.abs().max().clamp(min=1e-30), float((a - b).abs().max() / b.abs().max())


def examples(shape: tuple[int, ...], dtype: torch.dtype, labels: int = 10, seed: int = 3) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.rand(shape, dtype=dtype), torch.randint(labels, (shape[0],))


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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("spec", "kind", "layers"), [("srn", SRN, 2), ("indrnn", IndRNN, 2), ("indrnn_deep", IndRNN, 6)])
def test_recurrent(tmp_path: Path, spec: str, kind: type[IndRNN], layers: int, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / f"{spec}.yaml", {"hidden": 9}).model(dtype=dtype)
    peer = kind(9, layers).to(dtype)
    pairs = [(ours.y.h.weight, peer.y.weight), (ours.y.bias, peer.y.bias)]
    for layer, inputs, norm, recurrent in zip(ours.h, peer.inputs, peer.norms, peer.recurrent, strict=True):
        pairs += [(layer.x.weight, inputs.weight), (layer.h.weight, recurrent.weight), *normed(layer, norm)]
    agree(ours, peer, pairs, *examples((6, 8, 8), dtype), loose=10)


def normed(layer: Any, norm: Any) -> list[tuple[Tensor, Tensor]]:
    """The parameters and statistics of a batch normalisation."""
    pairs = [(layer.normalize.weight, norm.weight), (layer.bias, norm.bias)]
    return [*pairs, (layer.normalize.running_mean, norm.running_mean), (layer.normalize.running_var, norm.running_var)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_residual_indrnn(tmp_path: Path, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "indrnn_residual.yaml", {"hidden": 6, "blocks": 3}).model(dtype=dtype)
    peer = ResidualIndRNN(6, 3).to(dtype)
    pairs = [(ours.h.x.weight, peer.first.weight), (ours.y.h.weight, peer.y.weight), (ours.y.bias, peer.y.bias)]
    for k, level in enumerate(ours.h.refine):
        pairs += [*normed(level, peer.norms[2 * k]), *normed(level.z, peer.norms[2 * k + 1]), (level.z.z.weight, peer.recurrent[k].weight)]
        pairs += [(level.z.previous.weight, peer.inner[2 * k].weight), (level.back.weight, peer.inner[2 * k + 1].weight)]
    pairs += normed(ours.h, peer.norms[-1])
    agree(ours, peer, pairs, *examples((6, 8, 8), dtype), loose=10)


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


@pytest.mark.parametrize("dtype", DTYPES)
def test_digits_dense(tmp_path: Path, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "digits_dense.yaml", {"hidden": 9}).model(dtype=dtype)
    peer = Dense(64, 9).to(dtype)
    pairs = [*trunk(ours, peer), (ours.y.h.weight, peer.y.weight), (ours.y.bias, peer.y.bias)]
    agree(ours, peer, pairs, *examples((30, 64), dtype), loose=10)


def trunk(ours: Any, peer: Any) -> list[tuple[Tensor, Tensor]]:
    """The two hidden components."""
    pairs = []
    for layer, (linear, norm, _) in zip(ours.h, peer.h, strict=True):
        pairs += [(layer.x.weight, linear.weight), *normed(layer, norm)]
    return pairs


@pytest.mark.parametrize("dtype", DTYPES)
def test_transfer(tmp_path: Path, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "transfer.yaml", {"hidden": 9}).model(dtype=dtype)
    ours.h.requires_grad_(False)
    peer = OddOrEven(Dense(64, 9)).to(dtype)
    assert not peer.train().h.training and peer.y.training
    pairs = [*trunk(ours, peer), (ours.y.h.weight, peer.y.weight), (ours.y.bias, peer.y.bias)]
    x, y = examples((30, 64), dtype, labels=2)
    agree(ours, peer, pairs, x, y[:, None].to(dtype), modes=(False,))


@pytest.mark.parametrize("dtype", DTYPES)
def test_conv(tmp_path: Path, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "conv.yaml").model(dtype=dtype)
    peer = Conv().to(dtype)
    pairs = [(ours.h1.x.weight, peer.conv1.weight), *normed(ours.h1, peer.norm1), (ours.h2.h1.weight, peer.conv2.weight)]
    pairs += [*normed(ours.h2, peer.norm2), (ours.y.p.weight, peer.y.weight), (ours.y.bias, peer.y.bias)]
    agree(ours, peer, pairs, *examples((30, 1, 8, 8), dtype), loose=10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_causal(tmp_path: Path, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "causal.yaml", {"pixels": 11}, (("train", "null"),)).model(dtype=dtype)
    peer = MADE(11).to(dtype)
    pairs = [(ours.h.x.weight, peer.h.weight), (ours.h.bias, peer.h.bias), (ours.y.h.weight, peer.y.weight), (ours.y.bias, peer.y.bias)]
    agree(ours, peer, pairs, examples((6, 11), dtype)[0].round())


@pytest.mark.parametrize("dtype", DTYPES)
def test_tagger(tmp_path: Path, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "tagger_crf.yaml", {"hidden": 7, "tokens": 12, "tags": 4}).model(dtype=dtype)
    peer = Tagger(12, 4, 7).to(dtype)
    lines = ours.y.lines
    pairs = [(ours.embed.x.weight, peer.embed.weight), (ours.h.embed.weight, peer.h.weight), (ours.h.bias, peer.h.bias)]
    pairs += [(ours.h.h.weight, peer.recurrent.weight), (ours.y.h.weight, peer.y.weight), (ours.y.bias, peer.y.bias)]
    pairs += [(lines.weight, peer.moves), (lines.start, peer.start), (lines.end, peer.end)]
    torch.manual_seed(4)
    x, y, lengths = torch.randint(12, (6, 9)), torch.randint(4, (6, 9)), torch.tensor([9, 1, 2, 5, 9, 4])
    agree(ours, peer, pairs, x, y, lengths, loose=10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_denoiser(tmp_path: Path, dtype: torch.dtype) -> None:
    ours = emit(tmp_path, SPECS / "denoise_crf.yaml").model(dtype=dtype)
    peer = Denoiser().to(dtype)
    pairs = [(ours.y.x.weight, peer.x.weight), (ours.y.bias, peer.x.bias), (ours.y.lines.weight, peer.coupling)]
    x, y = (2 * examples((5, 1, 8, 8), dtype, seed=seed)[0].round() - 1 for seed in (1, 2))
    agree(ours, peer, pairs, x, y, loose=10, answers=False)
