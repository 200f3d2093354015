"""Training from another model's components, and training for a number of updates: whole packages, compiled, trained and resumed."""

from __future__ import annotations

import importlib
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from packages import SPECS
from test_train import checkpoint, refused, rows, same

from cgc import compiler
from cgc.source.diagnostics import SpecError

_numbers = itertools.count()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, from which packages can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.set_num_threads(1)
    return tmp_path


def trainer(place: Path, spec: str | Path, *overrides: tuple[str, str], **params: Any) -> ModuleType:
    folder = f"packages_{next(_numbers)}"
    package = compiler.compile(SPECS / f"{spec}.yaml" if isinstance(spec, str) else spec, params, place / folder, overrides)
    importlib.invalidate_caches()
    return importlib.import_module(f"{folder}.{package.name}.train")


def test_frozen_components_stay_as_they_were(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {"hidden": 12}
    trainer(place, "digits_dense", **small).main(["--quiet", "--epochs", "2"])
    source = place / "runs" / "digits_dense" / "1" / "best.pt"
    train = trainer(place, "transfer", **small)
    said = refused(train, capsys, ["--quiet"])
    assert "cgc compile digits_dense.yaml\n  python generated/digits_dense/train.py\n" in said and "--reuse FILE" in said
    assert not (place / "runs" / "transfer").exists()
    train.main(["--quiet", "--epochs", "1", "--reuse", str(source)])
    train.main(["--quiet", "--epochs", "3", "--resume"])
    train.main(["--quiet", "--epochs", "3", "--reuse", str(source)])
    before = checkpoint(source)["model"]
    one, two = (checkpoint(place / "runs" / "transfer" / n / "last.pt") for n in "12")
    assert same(one, two)
    reused = [key for key in one["model"] if key.startswith("h.")]
    assert len(reused) == 10
    assert all(torch.equal(one["model"][key], before[key]) for key in reused)
    assert rows(place / "runs" / "transfer" / "1")[2]["train_loss"] < rows(place / "runs" / "transfer" / "1")[0]["train_loss"]


def test_tuned_components_start_there_and_change(place: Path) -> None:
    trainer(place, "digits_dense", hidden=12).main(["--quiet", "--epochs", "1"])
    source = place / "runs" / "digits_dense" / "1" / "best.pt"
    train = trainer(place, "transfer", ("train.reuse.frozen", "false"), hidden=12)
    train.main(["--quiet", "--epochs", "1", "--learning-rate", "1e-12", "--reuse", str(source)])
    before, after = checkpoint(source)["model"], checkpoint(place / "runs" / "transfer" / "1" / "last.pt")["model"]
    torch.testing.assert_close(after["h.1.x.weight"], before["h.1.x.weight"], rtol=0, atol=1e-9)
    assert not torch.equal(after["h.1.normalize.running_mean"], before["h.1.normalize.running_mean"])
    train.main(["--quiet", "--epochs", "1", "--reuse", str(source)])
    after = checkpoint(place / "runs" / "transfer" / "2" / "last.pt")["model"]
    assert not torch.allclose(after["h.1.x.weight"], before["h.1.x.weight"], atol=1e-5)


@pytest.mark.parametrize(
    "prior", ["{kind: uniform, low: -0.01, high: 0.01}", "{kind: laplace, scale: 1}", "{kind: gaussian, precision: 1}"]
)
def test_priors_are_for_what_is_learned(place: Path, prior: str) -> None:
    trainer(place, "digits_dense", hidden=4).main(["--quiet", "--epochs", "1", "--batch-size", "512"])
    source = place / "runs" / "digits_dense" / "1" / "best.pt"
    train = trainer(place, "transfer", ("train.prior", prior), hidden=4)
    train.main(["--quiet", "--epochs", "1", "--batch-size", "512", "--reuse", str(source)])
    before, after = checkpoint(source)["model"], checkpoint(place / "runs" / "transfer" / "1" / "last.pt")["model"]
    assert all(torch.equal(after[key], before[key]) for key in after if key.startswith("h."))
    if "uniform" in prior:
        assert after["y.h.weight"].abs().max() <= 0.01 < before["h.0.x.weight"].abs().max()


def test_checkpoints_that_do_not_fit(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = trainer(place, "transfer", hidden=12)
    model = trainer(place, "digits_dense", hidden=12).Model().state_dict()
    file = place / "file.pt"

    def said(content: Any) -> str:
        torch.save(content, file) if not isinstance(content, bytes) else file.write_bytes(content)
        return refused(train, capsys, ["--quiet", "--reuse", str(file)])

    lacking = {key: value for key, value in model.items() if key != "h.0.bias"}
    assert said({"model": lacking}) == f"train.py: {file} does not fit this model: it lacks h.0.bias (12,)\n"
    wide = {key: torch.zeros(13, 13) if key == "h.1.x.weight" else value for key, value in model.items()}
    assert said({"model": wide}) == f"train.py: {file} does not fit this model: it lacks h.1.x.weight (12, 12)\n"
    message = f"train.py: {file} is no checkpoint that train.py has written\n"
    for content in (b"", b"PK\3\4", {"module": model}, [1], {"model": {"h.0.bias": 3}}):
        assert said(content) == message
    file.unlink()
    assert refused(train, capsys, ["--reuse", "file.pt"]) == f"train.py: there is no file {file}\n"
    assert not (place / "runs").exists()


def test_params_are_for_both_specs_and_overrides_for_one() -> None:
    reused = compiler.inspect(SPECS / "transfer.yaml", {"hidden": 5}).spec.train.reuse  # type: ignore[union-attr]
    assert reused is not None and reused.spec is not None and reused.spec.component("h").nodes == (5,)
    changes = {
        "nodes": ("components.h.nodes", "7"),
        "family": ("families.rect.emit", "null"),
        "stack or refinement": ("components.h.stack", "3"),
        "normalisation": ("components.h.normalize", "null"),
        "bias": ("components.h.bias", "false"),
        "the edge from `x`": ("components.h.parents.x", "{kind: dense, weight: 1}"),
    }
    for what, override in changes.items():
        with pytest.raises(SpecError) as caught:
            compiler.inspect(SPECS / "transfer.yaml", {}, (override,))
        [finding] = caught.value.diagnostics
        assert (finding.code, finding.why) == ("CG347", f"they differ in {what}")
        assert finding.others[0].span.source.name.endswith("digits_dense.yaml")
    # a gate is no parameter
    compiler.inspect(SPECS / "transfer.yaml", {}, (("components.h.parents.x", "{kind: dense, gate: {kind: bernoulli, keep_prob: 0.5}}"),))


OTHER = """cgc: 1
extends: {base}.yaml
name: other
components: {{y: {{family: {{kind: binary, values: [0, 1]}}}}}}
train:
  data: {{relabel: [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]}}
  reuse: {{components: [{name}], from: {base}.yaml, frozen: true}}
"""


@pytest.mark.parametrize(
    ("base", "name", "change", "why"),
    [
        ("lstm", "cell", ("components.cell.components.f.bias", "false"), "they differ in bias"),
        ("lstm", "cell", ("components.cell.stack", "3"), "they differ in stack or refinement"),
        ("lstm", "cell", ("components.cell.components.extra", "{nodes: 1, family: bit, parents: {x: dense}}"), "that consists of"),
        ("indrnn_residual", "h", ("refine.h.back", "{kind: dense, weight: 1}"), "they differ in the edge from `back`"),
        ("indrnn_residual", "h", ("independence", "[]"), ""),
    ],
)
def test_modules_and_refined_components(place: Path, base: str, name: str, change: tuple[str, str], why: str) -> None:
    shutil.copy(SPECS / f"{base}.yaml", place)
    (place / "other.yaml").write_text(OTHER.format(base=base, name=name))
    with pytest.raises(SpecError) as caught:
        compiler.inspect(place / "other.yaml", {"hidden": 3}, (change,))
    [finding] = caught.value.diagnostics
    assert finding.code == "CG347" and finding.why.startswith(why)
    if why == "they differ in bias" or not why:
        trainer(place, place / f"{base}.yaml", hidden=3).main(["--quiet", "--epochs", "1", "--batch-size", "512"])
        source = place / "runs" / base / "1" / "best.pt"
        train = trainer(place, place / "other.yaml", hidden=3)
        train.main(["--quiet", "--epochs", "1", "--batch-size", "512", "--reuse", str(source)])
        before, after = checkpoint(source)["model"], checkpoint(place / "runs" / "other" / "1" / "last.pt")["model"]
        inside = [key for key in after if key.startswith(f"{name}.")]
        assert len(inside) >= 24 and all(torch.equal(after[key], before[key]) for key in inside)


def test_training_ends_after_its_updates(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = trainer(place, "adding", ("time.steps", "6"), ("train.data.sequences", "100"), ("train.batch_size", "30"), hidden=3)
    train.main(["--updates", "10"])
    run = place / "runs" / "adding" / "1"
    assert [row["updates"] for row in rows(run)] == [4, 8, 10]
    tests = json.loads((run / "test.json").read_text())
    assert f"test mean squared error {tests['last']['mean_squared_error']:.4f} at epoch 3, the last" in capsys.readouterr().out
    train.main(["--quiet", "--updates", "8"])
    train.main(["--quiet", "--resume", "--updates", "10"])
    assert same(checkpoint(run / "last.pt"), checkpoint(place / "runs" / "adding" / "2" / "last.pt"))
    assert "--updates and --threads must be at least 1" in refused(train, capsys, ["--updates", "0"])
    train.main(["--gap", str(run / "last.pt"), "--gap-draws", "20"])
    assert "25 validation examples, 20 draws" in capsys.readouterr().out
    # the loss of the last, short epoch is a mean over its own examples
    losses = [row["train_loss"] for row in rows(run)]
    assert losses[2] > losses[1] / 2


def test_augmented_runs_resume_bit_by_bit(place: Path) -> None:
    options = (
        ("train.data.augment", "{shift_pixels: 1, mirror: true}"),
        ("components.h1.nodes", "[2, 8, 8]"),
        ("components.h2.nodes", "[4, 4, 4]"),
    )
    train = trainer(place, "conv", *options, ("components.p.nodes", "4"))
    for argv in (["--epochs", "2"], ["--epochs", "1"], ["--epochs", "2", "--resume"]):
        train.main(["--quiet", "--batch-size", "512", *argv])
    one, two = (checkpoint(place / "runs" / "conv" / n / "last.pt") for n in "12")
    assert same(one, two)
    plain = trainer(place, "conv", *options[1:], ("components.p.nodes", "4"))
    plain.main(["--quiet", "--batch-size", "512", "--epochs", "1"])
    assert rows(place / "runs" / "conv" / "3")[0]["train_loss"] != rows(place / "runs" / "conv" / "1")[0]["train_loss"]


@pytest.mark.slow
def test_two_processes(place: Path) -> None:
    """Frozen components, images that move, and sequences with lengths, under torchrun."""
    trainer(place, "digits_dense", hidden=12).main(["--quiet", "--epochs", "1"])
    source = place / "runs" / "digits_dense" / "1" / "best.pt"
    module = trainer(place, "transfer", hidden=12)
    assert module.__file__ is not None
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", module.__file__]
    command = [*torchrun, "--threads", "1", "--epochs", "2", "--reuse", str(source)]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = checkpoint(source)["model"], checkpoint(place / "runs" / "transfer" / "1" / "last.pt")["model"]
    assert all(torch.equal(after[key], before[key]) for key in after if key.startswith("h."))
