"""The emitted ``train.py``, with a stand-in for the emitted model: runs, checkpoints, resuming, data and messages."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hand_made import component, make_spec

from cgc.emit.render import folder, render
from cgc.emit.training import training_context
from cgc.families.forms import FiniteExponential, Noise
from cgc.spec.model import Data, Optimizer, Prior, Schedule, Train

Load = Callable[..., ModuleType]

SGD = Optimizer("sgd", 0.05, 0.9)
ADAM = Optimizer("adam", 0.003)

# Dropout and batch statistics, so that resuming must bring back random numbers and buffers. With BLOCK=n in the environment,
# training step n makes the file BLOCKED and waits for a signal.
MODEL = """
import os
import time
from pathlib import Path

import torch
from torch import nn

steps = 0


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.h = nn.ModuleDict({"x": nn.LazyLinear(16), "normalize": nn.BatchNorm1d(16)})
        self.y = nn.Linear(16, 10)
        self.h["x"] = nn.Linear(PIXELS, 16)

    def forward(self, x):
        h = torch.relu(self.h["normalize"](self.h["x"](x.flatten(1))))
        return self.y(nn.functional.dropout(h, 0.2, self.training))

    def loss(self, x, y):
        global steps
        steps += self.training
        if self.training and steps == int(os.environ.get("BLOCK", 0)):
            Path(os.environ["BLOCKED"]).touch()
            time.sleep(600)
        return nn.functional.cross_entropy(self(x), y)

    def decode(self, x):
        return self(x).argmax(1)
"""


def emit(place: Path, *, model: str = MODEL, train: Train | None = None, output: Any = None) -> Path:
    """Writes a package with the stand-in model into ``place``."""
    train = train or Train(Data("digits", "vector"), ADAM, epochs=3, batch_size=64)
    context = training_context(make_spec(train=train, output=output or component("y", "output", (1,), "labels")))
    place.mkdir(parents=True)
    (place / "__init__.py").touch()
    (place / "model.py").write_text(model.replace("PIXELS", str(context.images.pixels)))
    (place / "train.py").write_text(render("torch/train.py.jinja", training=context))
    if context.data_file:
        shutil.copy(folder("templates") / "data" / context.data_file, place)
    return place


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Emits a package of its own name below ``tmp_path`` and imports its ``train``; the current folder is ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.set_num_threads(1)

    def load(**settings: Any) -> ModuleType:
        name = f"package_{abs(hash(str(tmp_path)))}_{len(list(tmp_path.iterdir()))}"
        emit(tmp_path / name, **settings)
        importlib.invalidate_caches()
        return importlib.import_module(f"{name}.train")

    return load


def start(package: Path, *argv: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(package / "train.py"), "--threads", "1", *argv]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, env=os.environ | environment, stdout=pipe, stderr=pipe, text=True)


def rows(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def checkpoint(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)  # type: ignore[no-any-return]


def same(a: Any, b: Any) -> bool:
    """Equal bit by bit, in all that a checkpoint holds but the clock."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a if key != "seconds")
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def test_a_run_writes_its_files_and_says_so(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load().main(["--epochs", "2"])
    run = tmp_path / "runs" / "example" / "1"
    assert sorted(file.name for file in run.iterdir()) == ["arguments.json", "best.pt", "last.pt", "metrics.jsonl", "test.json"]
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"1,079 training, 359 validation, 359 test examples; cpu; {run}"
    assert [line.split()[:2] for line in out[1:3]] == [["epoch", "1"], ["epoch", "2"]]
    tests = json.loads((run / "test.json").read_text())
    assert out[3] == f"test accuracy {tests['best']['accuracy']:.4f} at epoch {tests['best']['epoch']}, the best on validation"
    assert out[4] == f"test accuracy {tests['last']['accuracy']:.4f} at epoch 2, the last"
    assert out[5] == f"wrote best.pt, last.pt, metrics.jsonl, test.json and arguments.json in {run}"
    assert "\r" not in "".join(out), "a progress bar is for terminals"
    lines = rows(run)
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[1]["train_loss"] < lines[0]["train_loss"]
    assert 0 <= lines[1]["validation_accuracy"] <= 1
    saved = checkpoint(run / "last.pt")
    assert set(saved) == {"model", "optimizer", "history"}
    assert len(saved["history"]) == 2
    assert not any(key.startswith("module.") for key in saved["model"])
    settings = json.loads((run / "arguments.json").read_text())
    assert settings["epochs"] == 2 and settings["batch_size"] == 64 and settings["learning_rate"] == 0.003


def test_best_is_the_lowest_validation_loss(load: Load, tmp_path: Path) -> None:
    train = load(train=Train(Data("digits", "vector"), Optimizer("sgd", 0.3, 0.9), epochs=8, batch_size=16))
    train.main(["--quiet"])
    run = tmp_path / "runs" / "example" / "1"
    losses = [line["validation_loss"] for line in rows(run)]
    best = 1 + losses.index(min(losses))
    assert best < 8, "the case must have a best epoch before the last"
    assert len(checkpoint(run / "best.pt")["history"]) == best
    tests = json.loads((run / "test.json").read_text())
    assert (tests["best"]["epoch"], tests["last"]["epoch"]) == (best, 8)
    # and the figures are those of the checkpoints
    model = sys.modules[train.__name__.rpartition(".")[0] + ".model"].Model()
    x, y = train.load_data(Path(train.__file__).parent)["test"]
    for which in ("best", "last"):
        model.load_state_dict(checkpoint(run / f"{which}.pt")["model"])
        model.eval()
        assert tests[which]["accuracy"] == (model.decode(x) == y).double().mean().item()


def test_same_seed_same_run_other_seed_other_run(load: Load, tmp_path: Path) -> None:
    train = load()
    for seed in ("3", "3", "4"):
        train.main(["--quiet", "--epochs", "1", "--seed", seed])
    first, second, third = (checkpoint(tmp_path / "runs" / "example" / str(n) / "last.pt") for n in (1, 2, 3))
    assert same(first, second)
    assert not same(first["model"], third["model"])


def test_an_epoch_takes_every_example_once_in_an_order_of_its_own(load: Load, tmp_path: Path) -> None:
    record = MODEL.replace("        global steps\n", "        global steps\n        SEEN.append((self.training, x, y))\n")
    train = load(model=record.replace("steps = 0", "SEEN = []\nsteps = 0"))
    train.main(["--quiet", "--epochs", "2", "--batch-size", "77"])
    seen = [x for training, x, _ in sys.modules[train.__name__.rpartition(".")[0] + ".model"].SEEN if training]
    assert {len(x) for x in seen} == {71, 72}, "1,079 = 14 * 77 + 1 digits in 15 equal batches"
    first, second = torch.cat(seen[:15]), torch.cat(seen[15:])
    given = train.load_data(Path(train.__file__).parent)["training"][0]
    assert not torch.equal(first, second)
    for epoch in (first, second):
        assert sorted(epoch.tolist()) == sorted(given.tolist())


def test_killed_within_an_epoch_and_resumed_is_bit_identical(tmp_path: Path) -> None:
    schedule = Schedule("plateau", 0.5, patience_epochs=0)
    package = emit(tmp_path / "p", train=Train(Data("digits", "vector"), SGD, epochs=3, batch_size=32, schedule=schedule))
    whole = start(package, "--runs-dir", "whole", cwd=tmp_path)
    # 34 steps an epoch: step 50 is in the second
    broken = start(package, "--runs-dir", "broken", cwd=tmp_path, BLOCK="50", BLOCKED=str(tmp_path / "blocked"))
    while not (tmp_path / "blocked").exists():
        assert broken.poll() is None, broken.communicate()
        time.sleep(0.02)
    broken.kill()
    broken.communicate()
    run = tmp_path / "broken" / "example" / "1"
    assert len(rows(run)) == 1
    with (run / "metrics.jsonl").open("a") as file:  # as if it had died between two writes
        file.write('{"epoch": 2, "train_l')
    _, errors = whole.communicate()
    assert whole.returncode == 0, errors
    resumed = start(package, "--runs-dir", "broken", "--resume", cwd=tmp_path)
    _, errors = resumed.communicate()
    assert resumed.returncode == 0, errors
    other = tmp_path / "whole" / "example" / "1"
    assert rows(run) == rows(other)
    assert len(rows(run)) == 3
    for name in ("best.pt", "last.pt"):
        assert same(checkpoint(run / name), checkpoint(other / name))
    assert (run / "test.json").read_text() == (other / "test.json").read_text()


def test_interrupted_ends_with_a_message_and_a_checkpoint(tmp_path: Path) -> None:
    package = emit(tmp_path / "p")
    process = start(package, cwd=tmp_path, BLOCK="20", BLOCKED=str(tmp_path / "blocked"))
    while not (tmp_path / "blocked").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    run = tmp_path / "runs" / "example" / "1"
    assert (process.returncode, errors) == (130, "train.py: interrupted; --resume goes on from the last whole epoch\n")
    assert len(checkpoint(run / "last.pt")["history"]) == 1


def test_resume_continues_the_newest_run_or_the_one_named(load: Load, tmp_path: Path) -> None:
    train = load()
    train.main(["--quiet", "--epochs", "1", "--seed", "5"])
    train.main(["--quiet", "--epochs", "1", "--seed", "6"])
    one, two = tmp_path / "runs" / "example" / "1", tmp_path / "runs" / "example" / "2"
    train.main(["--quiet", "--resume", "--epochs", "2"])
    assert (len(rows(one)), len(rows(two))) == (1, 2)
    train.main(["--quiet", "--resume", str(one), "--epochs", "3"])
    assert (len(rows(one)), len(rows(two))) == (3, 2)
    assert json.loads((one / "arguments.json").read_text())["seed"] == 5
    train.main(["--quiet", "--epochs", "3", "--seed", "5"])
    assert same(checkpoint(one / "last.pt"), checkpoint(tmp_path / "runs" / "example" / "3" / "last.pt"))


def test_what_cannot_be_resumed_is_refused(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = load()
    refused(train, capsys, ["--resume"], f"train.py: there is no run to resume in {tmp_path / 'runs' / 'example'}\n")
    refused(train, capsys, ["--resume", "nowhere"], f"train.py: there is no run to resume in {tmp_path / 'nowhere'}\n")
    train.main(["--quiet", "--epochs", "1"])
    run = tmp_path / "runs" / "example" / "1"
    message = f"train.py: error: --seed is 0 in {run}, and a resumed run keeps it\n"
    assert refused(train, capsys, ["--resume", "--seed", "1"]).endswith(message)
    other = load(model=MODEL.replace("16", "8"))
    assert refused(other, capsys, ["--resume"]).startswith(f"train.py: {run / 'last.pt'} belongs to another model: ")
    assert len(rows(run)) == 1
    whole = (run / "last.pt").read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"text"):
        (run / "last.pt").write_bytes(content)
        refused(train, capsys, ["--resume"], f"train.py: {run / 'last.pt'} is no checkpoint that train.py has written\n")
    for saved in (
        [1],
        {"model": 3},
        {"model": {}},
        {key: value for key, value in torch.load(io.BytesIO(whole)).items() if key != "history"},
    ):
        torch.save(saved, run / "last.pt")
        refused(train, capsys, ["--resume"], f"train.py: {run / 'last.pt'} is no checkpoint that train.py has written\n")
    (run / "last.pt").write_bytes(whole)
    for text in ("", "[]", "{}", '{"seed": 0}'):
        (run / "arguments.json").write_text(text)
        message = f"train.py: {run / 'arguments.json'} is missing, or is not what train.py has written\n"
        refused(train, capsys, ["--resume"], message)


@pytest.mark.parametrize("device", ["meta", "nonsense"])
def test_a_device_that_cannot_compute_is_refused(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str], device: str) -> None:
    train = load()
    assert refused(train, capsys, ["--device", device]).startswith(f"train.py: --device {device} cannot be used: ")
    assert not (tmp_path / "runs").exists()


def refused(train: ModuleType, capsys: pytest.CaptureFixture[str], argv: list[str], message: str | None = None, status: int = 2) -> str:
    """Runs ``argv``, which must end with ``status`` and ``message``; returns what was said."""
    with pytest.raises(SystemExit) as caught:
        train.main(argv)
    errors = capsys.readouterr().err
    assert caught.value.code == status
    assert message is None or errors == message
    return errors


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--epochs", "0"], "--epochs and --threads must be at least 1"),
        (["--learning-rate", "nan"], "--learning-rate above 0"),
        (["--batch-size", "0"], "--batch-size must be at least 1"),
        (["--device", "abacus"], "--device abacus cannot be used"),
        (["--data-dir", "nowhere"], "nowhere/digits.csv.gz; it comes with this package"),
    ],
)
def test_bad_arguments(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], words: str) -> None:
    assert words in refused(load(), capsys, argv)
    assert not (tmp_path / "runs").exists(), "nothing is written before all is known to be well"


def test_diverging_is_said(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = load(model=MODEL.replace("cross_entropy(self(x), y)", "cross_entropy(self(x), y) * float('inf')"))
    refused(train, capsys, [], "train.py: the loss is not finite in epoch 1; try a lower --learning-rate\n", status=1)
    assert checkpoint(tmp_path / "runs" / "example" / "1" / "last.pt")["history"] == []


# validation losses that a stand-in gives in turn, whatever it has learnt
SCRIPTED = MODEL.replace(
    "        return nn.functional.cross_entropy(self(x), y)",
    "        loss = nn.functional.cross_entropy(self(x), y)\n"
    "        if self.training or len(y) != 359:\n"
    "            return loss\n"
    "        return loss * 0 + VALUES.pop(0)",
)


def scripted(values: list[float], **settings: Any) -> dict[str, Any]:
    # evaluation runs in one batch of all 359, so that each epoch takes one value; testing takes two more
    train = Train(Data("digits", "vector"), SGD, epochs=len(values), batch_size=400, **settings)
    return {"train": train, "model": SCRIPTED.replace("steps = 0", f"steps = 0\nVALUES = {[*values, 0.0, 0.0]}")}


def test_early_stop_counts_epochs_since_the_best(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = [5.0, 4.0, 4.0, 4.5, 3.0, 6.0, 3.0, 7.0, 1.0, 1.0]
    train = load(**scripted(values, early_stop_patience_epochs=3))
    train.main([])
    run = tmp_path / "runs" / "example" / "1"
    assert [line["validation_loss"] for line in rows(run)] == values[:8]
    assert "stopped early: no better validation loss than that of epoch 5" in capsys.readouterr().out
    assert len(checkpoint(run / "best.pt")["history"]) == 5


def test_plateau_waits_for_its_patience(load: Load, tmp_path: Path) -> None:
    load(**scripted([5.0, 4.0, 4.0, 4.5, 4.0, 3.0, 6.0], schedule=Schedule("plateau", 0.1, patience_epochs=2))).main(["--quiet"])
    rates = [line["learning_rate"] for line in rows(tmp_path / "runs" / "example" / "1")]
    assert rates == pytest.approx([0.05] * 5 + [0.005] * 2, rel=1e-12)


def test_steps_lower_the_rate_after_these_epochs(load: Load, tmp_path: Path) -> None:
    train = load(**scripted([1.0] * 7, schedule=Schedule("steps", 0.5, at_epochs=(2, 4))))
    train.main(["--quiet", "--epochs", "3"])
    train.main(["--quiet", "--epochs", "5", "--resume"])
    rates = [line["learning_rate"] for line in rows(tmp_path / "runs" / "example" / "1")]
    assert rates == pytest.approx([0.05, 0.05, 0.025, 0.025, 0.0125], rel=1e-12)


def test_prior_is_weight_decay_on_weights_alone(load: Load, tmp_path: Path) -> None:
    train = load(train=Train(Data("digits", "vector"), ADAM, epochs=1, batch_size=64, prior=Prior("gaussian", precision=0.25)))
    model = sys.modules[train.__name__.rpartition(".")[0] + ".model"].Model()
    decayed, free = train.parameter_groups(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert decayed["weight_decay"] == 0.25
    assert "weight_decay" not in free
    assert [names[id(p)] for p in decayed["params"]] == ["h.x.weight", "y.weight"]
    assert [names[id(p)] for p in free["params"]] == ["h.x.bias", "h.normalize.weight", "h.normalize.bias", "y.bias"]
    train.main(["--quiet"])
    groups = checkpoint(tmp_path / "runs" / "example" / "1" / "last.pt")["optimizer"]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.25, 0]


def test_gradients_are_clipped(load: Load, tmp_path: Path) -> None:
    settings = Train(Data("digits", "vector"), Optimizer("sgd", 1.0), epochs=1, batch_size=2000, gradient_clip_norm=1e-3)
    train = load(train=settings)
    train.main(["--quiet"])
    torch.manual_seed(0)
    model = sys.modules[train.__name__.rpartition(".")[0] + ".model"].Model()
    trained = checkpoint(tmp_path / "runs" / "example" / "1" / "last.pt")["model"]
    step = sum((trained[name] - value).square().sum() for name, value in model.named_parameters()) ** 0.5
    assert step.item() == pytest.approx(1e-3, rel=1e-3)


def test_runs_from_any_folder_and_as_a_module(tmp_path: Path) -> None:
    package = emit(tmp_path / "generated" / "example", model=MODEL)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    script = start(package, "--epochs", "1", cwd=elsewhere)
    command = [sys.executable, "-m", "generated.example.train", "--epochs", "1", "--threads", "1"]
    module = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    _, errors = script.communicate()
    assert (script.returncode, errors, module.returncode, module.stderr) == (0, "", 0, "")
    runs = [checkpoint(place / "runs" / "example" / "1" / "last.pt") for place in (elsewhere, tmp_path)]
    assert same(*runs)


def test_needs_no_numpy(tmp_path: Path) -> None:
    package = emit(tmp_path / "p")
    (tmp_path / "p" / "numpy.py").write_text("raise ModuleNotFoundError('no numpy here')")
    _, errors = (process := start(package, "--epochs", "1", cwd=tmp_path)).communicate()
    assert process.returncode == 0, errors


@pytest.mark.slow
def test_two_processes_share_a_batch(tmp_path: Path) -> None:
    # without batch statistics and dropout two halves of a batch are the batch, up to rounding
    model = MODEL.replace('self.h["normalize"](self.h["x"](x.flatten(1)))', 'self.h["x"](x.flatten(1))')
    model = model.replace("nn.functional.dropout(h, 0.2, self.training)", "h").replace(', "normalize": nn.BatchNorm1d(16)', "")
    package = emit(tmp_path / "p", model=model, train=Train(Data("digits", "vector"), SGD, epochs=2, batch_size=2158))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(package / "train.py")]
    shared = ["--threads", "1", "--learning-rate", "0.01"]
    both = subprocess.run([*torchrun, *shared, "--runs-dir", "two"], cwd=tmp_path, capture_output=True, text=True)
    assert both.returncode == 0, both.stderr
    assert both.stdout.count("\nepoch 1 ") == 1, "only the first process speaks"
    again = subprocess.run(
        [*torchrun, *shared, "--runs-dir", "two", "--resume", "--epochs", "3"], cwd=tmp_path, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    one = start(package, *shared, "--runs-dir", "one", "--epochs", "3", cwd=tmp_path)
    one.communicate()
    two, single = (checkpoint(tmp_path / place / "example" / "1" / "last.pt") for place in ("two", "one"))
    assert two["model"].keys() == single["model"].keys()
    for name, value in single["model"].items():
        torch.testing.assert_close(two["model"][name], value, rtol=1e-3, atol=1e-5)
    for a, b in zip(two["history"], single["history"], strict=True):
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-4)


@pytest.mark.slow
def test_two_processes_resume_bit_identically_with_samples(tmp_path: Path) -> None:
    package = emit(tmp_path / "p")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(package / "train.py")]
    for argv in (["--runs-dir", "a"], ["--runs-dir", "b", "--epochs", "1"], ["--runs-dir", "b", "--resume", "--epochs", "3"]):
        done = subprocess.run([*torchrun, "--threads", "1", *argv], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    a, b = (checkpoint(tmp_path / place / "example" / "1" / "last.pt") for place in "ab")
    assert same(a, b)


# data


def test_digits_are_split_by_row_number(load: Load) -> None:
    train = load()
    data = train.load_data(Path(train.__file__).parent)
    with gzip.open(folder("templates") / "data" / "digits.csv.gz", "rt") as file:
        table = [[int(value) for value in line.split(",")] for line in file]
    assert len(table) == 1797
    for part, rests in (("training", (0, 1, 2)), ("validation", (3,)), ("test", (4,))):
        x, y = data[part]
        chosen = [row for i, row in enumerate(table) if i % 5 in rests]
        assert y.tolist() == [row[64] for row in chosen]
        assert (x * 16).tolist() == [row[:64] for row in chosen]
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)


def test_layouts(load: Load) -> None:
    def inputs(layout: Any, **settings: Any) -> torch.Tensor:
        train = load(train=Train(Data("digits", layout, **settings), ADAM, epochs=1, batch_size=64))
        return train.load_data(Path(train.__file__).parent)["test"][0]  # type: ignore[no-any-return]

    flat = inputs("vector")
    assert flat.shape == (359, 64)
    assert torch.equal(inputs("image"), flat.reshape(359, 1, 8, 8))
    assert torch.equal(inputs("row_sequence"), flat.reshape(359, 8, 8))
    assert torch.equal(inputs("pixel_sequence"), flat.reshape(359, 64, 1))
    permuted = inputs("vector", permute_seed=7)
    assert not torch.equal(permuted, flat)
    assert torch.equal(permuted, inputs("pixel_sequence", permute_seed=7).reshape(359, 64)), "the permutation is fixed"
    assert torch.equal(permuted.sort(dim=1).values, flat.sort(dim=1).values)
    assert torch.equal(inputs("vector", threshold=0.5), (flat > 0.5).float())


def write_idx(path: Path, values: torch.Tensor, packed: bool) -> None:
    content = struct.pack(f">{1 + values.dim()}I", 0x800 + values.dim(), *values.shape) + bytes(values.flatten().tolist())
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def write_mnist(place: Path, packed: bool, train: int = 40, test: int = 6) -> dict[str, torch.Tensor]:
    place.mkdir(parents=True)
    files = {}
    for part, count in (("train", train), ("t10k", test)):
        files[f"{part}-images-idx3-ubyte"] = torch.randint(0, 256, (count, 28, 28), generator=torch.Generator().manual_seed(count))
        files[f"{part}-labels-idx1-ubyte"] = torch.arange(count) % 10
    for name, values in files.items():
        write_idx(place / name, values, packed)
    return files


MNIST = Train(Data("mnist", "vector", validation=0.2), SGD, epochs=1, batch_size=8)


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_read_from_idx_files(load: Load, tmp_path: Path, packed: bool) -> None:
    files = write_mnist(tmp_path / "data" / "mnist", packed)
    train = load(train=MNIST)
    data = train.load_data(tmp_path / "data" / "mnist")
    images, labels = files["train-images-idx3-ubyte"].reshape(40, 784) / 255, files["train-labels-idx1-ubyte"]
    assert torch.equal(data["training"][0], images[:32]) and torch.equal(data["training"][1], labels[:32])
    assert torch.equal(data["validation"][0], images[32:]) and torch.equal(data["validation"][1], labels[32:])
    assert torch.equal(data["test"][0], files["t10k-images-idx3-ubyte"].reshape(6, 784) / 255)
    train.main(["--quiet"])
    assert len(rows(tmp_path / "runs" / "example" / "1")) == 1


def test_missing_mnist_says_what_to_put_where(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = load(train=MNIST)
    place = tmp_path / "data" / "mnist"
    message = f"""\
train.py: MNIST is not complete in {place}. Put there, or name their folder with --data-dir:
  train-images-idx3-ubyte (or train-images-idx3-ubyte.gz)
  train-labels-idx1-ubyte (or train-labels-idx1-ubyte.gz)
  t10k-images-idx3-ubyte (or t10k-images-idx3-ubyte.gz)
  t10k-labels-idx1-ubyte (or t10k-labels-idx1-ubyte.gz)
"""
    refused(train, capsys, [], message)
    write_mnist(place, packed=True)
    (place / "t10k-labels-idx1-ubyte.gz").unlink()
    refused(train, capsys, [], "\n".join([*message.splitlines()[:1], *message.splitlines()[4:]]) + "\n")


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("train-images-idx3-ubyte", lambda content: content[:-1], "is not an IDX file of rank 3"),
        ("train-labels-idx1-ubyte", lambda content: gzip.compress(content)[:-9], "is not an IDX file of rank 1"),
        ("t10k-images-idx3-ubyte", lambda content: b"", "is not an IDX file of rank 3"),
        ("t10k-images-idx3-ubyte", lambda content: b"<html>" + content, "is not an IDX file of rank 3"),
        ("t10k-labels-idx1-ubyte", lambda content: content[:-1] + b"\x0a", "t10k is not images of 28 x 28 and as many labels from 0 to 9"),
        ("t10k-labels-idx1-ubyte", lambda content: struct.pack(">2I", 0x801, 3) + b"123", "t10k is not images of 28 x 28"),
    ],
)
def test_damaged_mnist(
    load: Load,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    change: Callable[[bytes], bytes],
    words: str,
) -> None:
    place = tmp_path / "data" / "mnist"
    write_mnist(place, packed=False)
    (place / file).write_bytes(change((place / file).read_bytes()))
    assert words in refused(load(train=MNIST), capsys, [])


# text


VARIANTS = [
    Train(Data("digits", "row_sequence"), ADAM, epochs=20, batch_size=64),
    Train(Data("digits", "vector", threshold=0.5, permute_seed=3), SGD, epochs=1, batch_size=1, seed=2**62),
    Train(
        Data("mnist", "pixel_sequence", permute_seed=2**31, threshold=0.123456789012345),
        Optimizer("sgd", 1.2345678901234567e-05, 0.9876543210987654),
        epochs=123456789,
        batch_size=123456789,
        seed=2**62,
        schedule=Schedule("plateau", 0.12345678901234567, patience_epochs=1000000),
        early_stop_patience_epochs=1000000,
        gradient_clip_norm=1.2345678901234567e-05,
        prior=Prior("gaussian", precision=1.2345678901234567e-05),
    ),
    Train(Data("mnist", "image", validation=0.2), ADAM, epochs=3, batch_size=32, schedule=Schedule("steps", 0.1, at_epochs=(100, 150))),
]


@pytest.mark.parametrize("train", VARIANTS)
@pytest.mark.parametrize("output", ["labels", "digit", "real"])
def test_the_text_is_clean(tmp_path: Path, train: Train, output: str) -> None:
    context = training_context(make_spec(train=train, output=component("y", "output", (1,), output)))
    file = tmp_path / "train.py"
    file.write_text(render("torch/train.py.jinja", training=replace(context, name="n" * 64)))
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--line-length", "120", str(file)]
    formatted = subprocess.run([*ruff, "format", "--diff", *options], capture_output=True, text=True)
    assert formatted.returncode == 0, formatted.stdout
    rules = ["--select", "E,F,I,B,UP,SIM,RUF", "--ignore", "RUF001,RUF002,RUF003", "--target-version", "py311"]
    checked = subprocess.run([*ruff, "check", *rules, *options], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_a_file_name_cannot_end_the_docstring() -> None:
    spec = replace(make_spec(), files=('specs/a"""\nimport os\\n.yaml',))
    assert training_context(spec).source == "n.yaml"
    spec = replace(make_spec(), files=('specs/a"""\nb.yaml',))
    assert training_context(spec).source == "a????b.yaml"


def test_values_instead_of_labels(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = MODEL.replace("nn.Linear(16, 10)", "nn.Linear(16, 1)").replace("cross_entropy", "mse_loss").replace(".argmax(1)", ".round()")
    assert isinstance(make_spec().family("digit").law, FiniteExponential)
    load(model=model, output=component("y", "output", (1,), "digit")).main(["--epochs", "1"])
    assert "test accuracy 0." in capsys.readouterr().out
    assert isinstance(make_spec().family("real").law, Noise)
    load(model=model.replace("def decode", "def expectation"), output=component("y", "output", (1,), "real")).main(["--epochs", "1"])
    assert "test mean squared error " in capsys.readouterr().out
    [row] = rows(tmp_path / "runs" / "example" / "2")
    assert "validation_accuracy" not in row and row["validation_mean_squared_error"] > 0
