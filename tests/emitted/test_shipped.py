"""The specs that come with cgc: what is written for them, and what that is equal to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from packages import ROOT, SPECS, Package, emit
from torch import Tensor, nn

from cgc.compiler import inspect

NAMES = sorted(path.stem for path in SPECS.glob("*.yaml"))
SMALL = {"hidden": 6}


@pytest.mark.parametrize("name", NAMES)
def test_generated_is_what_would_be_written(name: str) -> None:
    bundle = inspect(SPECS / f"{name}.yaml").bundle()
    assert bundle.differences(ROOT / "generated" / name) == (), "run `make generated`"


def test_generated_text_is_formatted_and_clean() -> None:
    for command in (["format", "--check", "--isolated", "--line-length", "120"], ["check", "--isolated", "--select", "E9,F,I,B,UP"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, str(ROOT / "generated")], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_dense_network_is_short() -> None:
    text = (ROOT / "generated" / "mnist_dense" / "model.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 180


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Package, Package]:
    folder = tmp_path_factory.mktemp("pair")
    return emit(folder, SPECS / "indrnn.yaml", SMALL), emit(folder, SPECS / "srn.yaml", SMALL)


@pytest.mark.parametrize("training", [False, True])
def test_indrnn_is_the_masked_srn(pair: tuple[Package, Package], training: bool) -> None:
    sparse, dense = (package.model(seed).train(training) for seed, package in enumerate(pair))
    weights = sparse.state_dict()
    for key in [key for key in weights if key.endswith(".h.weight") and key.startswith("h.")]:
        weights[key] = torch.diag(weights[key])
    dense.load_state_dict(weights)
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(5, 8, 8, dtype=torch.float64, generator=generator)
    y = torch.randint(10, (5,), generator=generator)
    torch.testing.assert_close(sparse(x), dense(x), rtol=1e-12, atol=1e-12)
    for model in (sparse, dense):
        model.loss(x, y).backward()
    full = dict(dense.named_parameters())
    for key, parameter in sparse.named_parameters():
        wanted = full[key].grad
        wanted = torch.diagonal(wanted) if wanted.shape != parameter.shape else wanted
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-12, atol=1e-12)
    offdiagonal = full["h.0.h.weight"].grad - torch.diag(torch.diagonal(full["h.0.h.weight"].grad))
    assert offdiagonal.abs().max() > 1e-6, "the mask is what makes the difference"


class HandWritten(nn.Module):
    """The IndRNN as someone would write it without cgc."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.weights = weights
        self.norms = nn.ModuleList(nn.BatchNorm1d(6, dtype=torch.float64) for _ in range(2))
        for k, norm in enumerate(self.norms):
            norm.load_state_dict(
                {
                    "weight": weights[f"h.{k}.normalize.weight"],
                    "bias": weights[f"h.{k}.bias"],
                    "running_mean": weights[f"h.{k}.normalize.running_mean"],
                    "running_var": weights[f"h.{k}.normalize.running_var"],
                    "num_batches_tracked": torch.tensor(0),
                }
            )

    def forward(self, x: Tensor) -> Tensor:
        for k, norm in enumerate(self.norms):
            drive = norm((x @ self.weights[f"h.{k}.x.weight"].T).transpose(1, 2)).transpose(1, 2)
            h, steps = torch.zeros_like(drive[:, 0]), []
            for t in range(x.shape[1]):
                h = torch.relu(drive[:, t] + self.weights[f"h.{k}.h.weight"] * h)
                steps.append(h)
            x = torch.stack(steps, 1)
        return x[:, -1] @ self.weights["y.h.weight"].T + self.weights["y.bias"]


@pytest.mark.parametrize("training", [False, True])
def test_indrnn_is_what_one_writes_by_hand_with_torchs_batch_norm(pair: tuple[Package, Package], training: bool) -> None:
    model = pair[0].model()
    hand = HandWritten({key: value.clone() for key, value in model.state_dict().items()}).train(training)
    model.train(training)
    x = torch.rand(7, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(model(x), hand(x), rtol=1e-12, atol=1e-12)
    for k, norm in enumerate(hand.norms):
        torch.testing.assert_close(model.h[k].normalize.running_mean, norm.running_mean, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(model.h[k].normalize.running_var, norm.running_var, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("training", [False, True])
def test_padded_steps_change_nothing(pair: tuple[Package, Package], training: bool) -> None:
    """Outputs, statistics and gradients are those of the valid steps, whatever stands behind them."""
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(3, 6, 8, dtype=torch.float64, generator=generator)
    other = x.clone()
    lengths = torch.tensor([6, 2, 4])
    for row, length in enumerate(lengths):
        other[row, length:] = torch.rand(6 - int(length), 8, dtype=torch.float64, generator=generator)
    results = []
    for given in (x, other):
        model = pair[1].model().train(training)
        loss = model.loss(given, torch.tensor([1, 2, 3]), lengths=lengths)
        loss.backward()
        results.append((loss, {k: v.clone() for k, v in model.state_dict().items()}, [p.grad for p in model.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)
    if not training:
        model = pair[1].model()
        alone = torch.cat([model(x[row : row + 1, :length]) for row, length in enumerate(lengths)])
        torch.testing.assert_close(model(x, lengths=lengths), alone, rtol=1e-12, atol=1e-12)
    else:
        model = pair[1].model().train()
        model(x, lengths=lengths)
        rows = torch.cat([x[row, :length] for row, length in enumerate(lengths)]) @ model.h[0].x.weight.T
        wanted = 0.9 * pair[1].model().h[0].normalize.running_mean + 0.1 * rows.mean(0)
        torch.testing.assert_close(model.h[0].normalize.running_mean, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pieces", [[1] * 8, [3, 5], [7, 1]])
def test_a_stream_in_pieces_is_the_whole(pair: tuple[Package, Package], pieces: list[int]) -> None:
    for package in pair:
        model = package.model()
        x = torch.rand(2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
        state = None
        for piece in x.split(pieces, 1):
            e, state = model(piece, state=state, return_state=True)
        torch.testing.assert_close(e, model(x), rtol=1e-12, atol=1e-12)


def test_the_state_is_that_of_the_last_valid_step(pair: tuple[Package, Package]) -> None:
    model = pair[1].model()
    generator = torch.Generator().manual_seed(6)
    x, more = torch.rand(2, 5, 8, dtype=torch.float64, generator=generator), torch.rand(2, 3, 8, dtype=torch.float64, generator=generator)
    lengths = torch.tensor([2, 5])
    _, state = model(x, lengths=lengths, return_state=True)
    together = [model(torch.cat([x[row : row + 1, :n], more[row : row + 1]], 1)) for row, n in enumerate(lengths)]
    torch.testing.assert_close(model(more, state=state), torch.cat(together), rtol=1e-12, atol=1e-12)


def test_any_number_of_steps(pair: tuple[Package, Package]) -> None:
    for steps in (1, 3, 20):
        assert pair[0].model()(torch.rand(2, steps, 8, dtype=torch.float64)).shape == (2, 10)


@pytest.mark.parametrize("name", ["indrnn", "mnist_dense", "srn"])
def test_bfloat16_under_autocast(tmp_path: Path, name: str) -> None:
    package = emit(tmp_path, SPECS / f"{name}.yaml", SMALL)
    model = package.model(dtype=torch.float32).train()
    x = torch.rand(4, 784) if name == "mnist_dense" else torch.rand(4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(x, torch.arange(4))
    loss.backward()
    exact = model.loss(x, torch.arange(4))
    assert abs(loss - exact) < 0.1 * exact
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["indrnn", "mnist_dense"])
def test_compiles_as_one_graph(tmp_path: Path, name: str) -> None:
    model = emit(tmp_path, SPECS / f"{name}.yaml", SMALL).model()
    x = torch.rand(4, 784, dtype=torch.float64) if name == "mnist_dense" else torch.rand(4, 8, 8, dtype=torch.float64)
    compiled = torch.compile(model, fullgraph=True)
    torch.testing.assert_close(compiled(x), model(x), rtol=1e-12, atol=1e-12)
    assert set(compiled._orig_mod.state_dict()) == set(model.state_dict())


def test_exports(tmp_path: Path) -> None:
    model = emit(tmp_path, SPECS / "mnist_dense.yaml", SMALL).model()
    x = torch.rand(4, 784, dtype=torch.float64)
    exported = torch.export.export(model, (x,)).module()
    torch.testing.assert_close(exported(x), model(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["conv", "resnet", "inception", "lstm", "tagger_crf", "denoise_crf", "indrnn_residual", "causal"])
def test_no_examples_have_no_answers(tmp_path: Path, name: str) -> None:
    """As with torch's modules: a batch may be empty."""
    package = emit(tmp_path, SPECS / f"{name}.yaml")
    model, (given,) = package.model(0), package.compiled.program.inputs
    steps = [7] if package.compiled.program.steps else []
    shape = (0, *steps, *(() if given.labels else given.nodes))
    x = torch.zeros(shape, dtype=torch.long if given.labels else torch.float64)
    assert model(x).shape[0] == model.expectation(x).shape[0] == model.decode(x).shape[0] == 0
    y = () if any(layer.target for layer in package.compiled.program.layers()) else (model.decode(x),)
    assert model.log_prob(x, *y).shape == (0,)
