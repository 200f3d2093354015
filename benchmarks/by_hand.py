"""Networks by hand that ``steps.py`` times beside ours, where the tests have no such peer."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from library import peers
from torch import Tensor, nn


class Loop(nn.Module):
    """torch's LSTM or GRU as one would write it by hand: all gates in one product, step after step."""

    def __init__(self, peer: Any) -> None:
        super().__init__()
        self.rnn, self.y = copy.deepcopy(peer.rnn), copy.deepcopy(peer.y)
        self.kind = type(peer)

    def forward(self, x: Tensor) -> Tensor:
        for k in range(self.rnn.num_layers):
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            w, u, b, c = (getattr(self.rnn, f"{name}_l{k}") for name in names)
            x = (self.lstm if self.rnn.mode == "LSTM" else self.gru)(x, w, u, b, c)
        return self.y(x[:, -1])

    def lstm(self, x: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor) -> Tensor:
        h = cell = x.new_zeros(len(x), u.shape[1])
        kept = []
        for e in nn.functional.linear(x, w, b + c).unbind(1):
            i, f, g, o = (e + h @ u.T).chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(cell)
            kept.append(h)
        return torch.stack(kept, 1)

    def gru(self, x: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor) -> Tensor:
        h, kept = x.new_zeros(len(x), u.shape[1]), []
        for e in nn.functional.linear(x, w, b).unbind(1):
            (r, z, n), (a, d, m) = e.chunk(3, 1), nn.functional.linear(h, u, c).chunk(3, 1)
            z = torch.sigmoid(z + d)
            h = (1 - z) * torch.tanh(n + torch.sigmoid(r + a) * m) + z * h
            kept.append(h)
        return torch.stack(kept, 1)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return self.kind.loss(self, x, y)


class Dense(nn.Sequential):
    """What ``mnist_dense`` is, by hand: the last label's energy is 0."""

    def __init__(self) -> None:
        layers = [nn.Linear(784, 1024), nn.Tanh(), nn.Linear(1024, 1024), nn.Tanh(), nn.Linear(1024, 9)]
        super().__init__(*layers)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(nn.functional.pad(self(x), (0, 1)), y)


class Number(nn.Module):
    """A network whose answer is the mean of a normal number with a standard deviation of 0.1."""

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        error = nn.functional.mse_loss(self(x), y.reshape(len(x), 1))
        return 50 * error + math.log(0.1) + math.log(2 * math.pi) / 2


class AddingIndRNN(Number):
    """What ``adding`` is, by hand: two independently recurrent layers, step after step."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs = nn.ModuleList((nn.Linear(2, 128), nn.Linear(128, 128)))
        self.recurrent = nn.ModuleList((peers.Scale(128), peers.Scale(128)))
        self.y = nn.Linear(128, 1)

    def like(self, ours: Any) -> None:
        """Takes our parameters."""
        for inputs, recurrent, h in zip(self.inputs, self.recurrent, ours.h, strict=True):
            inputs.weight, inputs.bias, recurrent.weight = (nn.Parameter(p.detach().clone()) for p in (h.x.weight, h.bias, h.h.weight))
        self.y.weight, self.y.bias = (nn.Parameter(p.detach().clone()) for p in (ours.y.h.weight, ours.y.bias))

    def forward(self, x: Tensor) -> Tensor:
        for inputs, recurrent in zip(self.inputs, self.recurrent, strict=True):
            x = peers.unrolled(inputs(x), recurrent)
        return self.y(x[:, -1])


class AddingLSTM(Number):
    """What ``adding_lstm`` is: torch's LSTM, whose second vector of biases stays 0 at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.y = nn.LSTM(2, 128, batch_first=True), nn.Linear(128, 1)

    def like(self, ours: Any) -> None:
        """Takes our parameters."""
        gates = [getattr(ours.cell[0], gate) for gate in "ifgo"]
        with torch.no_grad():
            self.rnn.weight_ih_l0.copy_(torch.cat([gate.x.weight for gate in gates]))
            self.rnn.weight_hh_l0.copy_(torch.cat([gate.h.weight for gate in gates]))
            self.rnn.bias_ih_l0.copy_(torch.cat([gate.bias for gate in gates]))
            self.rnn.bias_hh_l0.zero_()
            self.y.weight.copy_(ours.y.cell.weight)
            self.y.bias.copy_(ours.y.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.y(self.rnn(x)[0][:, -1])
