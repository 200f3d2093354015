"""Priors on weights in the emitted ``train.py``: every update against one that is written out here."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from packages import SPECS, emit

import cgc.compiler
from cgc.report.text import report
from cgc.source.diagnostics import SpecError

SPEC = """cgc: 1
name: small
families: {spin: {kind: binary, values: [-1, 1]}}
components:
  x: {role: input, nodes: 64, family: {kind: binary, values: [0, 1]}, clamp: soft}
  h: {nodes: 6, family: spin, stack: 3, NORMALIZE, parents: {x: {kind: dense, PRIOR}}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: 10}, parents: {h: {kind: dense, OUTPUT}}}
train: {data: {name: digits}, optimizer: {kind: OPTIMIZER, learning_rate: 0.1}, epochs: 1, batch_size: 128, TRAIN}
"""
GAUSSIAN, LAPLACE, UNIFORM = "{kind: gaussian, precision: 0.05}", "{kind: laplace, scale: 40}", "{kind: uniform, low: -0.05, high: 0.1}"


def spec(every: str = "", own: str = "", output: str = "", optimizer: str = "sgd", normalize: str = "batch") -> str:
    text = SPEC.replace("OPTIMIZER", optimizer).replace("NORMALIZE", f"normalize: {normalize}" if normalize else "bias: true")
    for place, prior in (("PRIOR", own), ("OUTPUT", output), ("TRAIN", every)):
        text = text.replace(f", {place}", f", prior: {prior}" if prior else "")
    return text


def trained(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType, dict[str, torch.Tensor]]:
    """The emitted modules after one epoch, and the state dict that came out of it."""
    package = emit(folder / "specs", text).folder
    monkeypatch.syspath_prepend(str(package.parent))
    train = importlib.import_module(f"{package.name}.train")
    train.main(["--quiet", "--runs-dir", str(folder / "runs"), "--threads", "1"])
    saved = torch.load(folder / "runs" / "small" / "1" / "last.pt", weights_only=True)["model"]
    return train, importlib.import_module(f"{package.name}.model"), saved


CASES = {
    "all gaussian": spec(GAUSSIAN),
    "all laplace": spec(LAPLACE),
    "all uniform": spec(UNIFORM),
    "one": spec(own=UNIFORM),
    "one other": spec(GAUSSIAN, own=LAPLACE),
    "three": spec(GAUSSIAN, own=UNIFORM, output=LAPLACE),
    "two precisions": spec(GAUSSIAN, output="{kind: gaussian, precision: 0.5}", normalize=""),
}


def penalised(name: str, weight: torch.Tensor, case: str) -> torch.Tensor:
    """The gradient that a prior adds."""
    own, output = {"one": (UNIFORM, ""), "one other": (LAPLACE, GAUSSIAN), "three": (UNIFORM, LAPLACE)}.get(case, ("", ""))
    every = {"all gaussian": GAUSSIAN, "all laplace": LAPLACE, "all uniform": UNIFORM, "two precisions": GAUSSIAN}.get(case, "")
    prior = (own if name.startswith("h") else output) or every
    if case == "two precisions" and name.startswith("y"):
        return 0.5 * weight
    return {GAUSSIAN: 0.05 * weight, LAPLACE: weight.sign() / 40}.get(prior, torch.zeros_like(weight))


def bounded(name: str, case: str) -> bool:
    return case == "all uniform" or (case in ("one", "three") and name.startswith("h"))


@pytest.mark.parametrize("case", list(CASES))
def test_every_update_is_that_of_the_prior(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, module, saved = trained(CASES[case], tmp_path, monkeypatch)
    x, y = train.load_data(Path(train.__file__).parent)["training"]
    torch.manual_seed(0)
    model = module.Model().train()

    def project() -> None:
        for name, weight in model.named_parameters():
            if name.endswith("x.weight") or name == "y.h.weight":
                weight.data = weight.data.clamp(-0.05, 0.1) if bounded(name, case) else weight.data

    project()
    torch.manual_seed(train.mix(0, 1, 0))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(train.mix(0, 1)))
    for rows in order.tensor_split(9):
        model.zero_grad()
        model.loss(x[rows], y[rows]).backward()
        for name, weight in model.named_parameters():
            prior = penalised(name, weight.detach(), case) if name.endswith("x.weight") or name == "y.h.weight" else 0
            weight.data -= 0.1 * (weight.grad + prior)
        project()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(saved[name], weight.detach(), rtol=1e-5, atol=1e-6)
        if bounded(name, case) and name.endswith("x.weight"):
            assert saved[name].min() == pytest.approx(-0.05) and saved[name].max() == pytest.approx(0.1)


def test_sgd_is_torchs_weight_decay_bit_by_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Momentum included: the groups only choose which parameters decay."""
    text = spec(GAUSSIAN, own="{kind: gaussian, precision: 0.01}").replace("learning_rate: 0.1", "learning_rate: 0.1, momentum: 0.9")
    train, module, saved = trained(text, tmp_path, monkeypatch)
    x, y = train.load_data(Path(train.__file__).parent)["training"]
    torch.manual_seed(0)
    model = module.Model().train()
    rates = {
        n: (0.01 if n.startswith("h") else 0.05) * (n.endswith(".weight") and "normalize" not in n) for n, _ in model.named_parameters()
    }
    optimizers = [torch.optim.SGD([p], lr=0.1, momentum=0.9, weight_decay=rates[n]) for n, p in model.named_parameters()]
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(train.mix(0, 1)))
    for rows in order.tensor_split(9):
        loss = model.loss(x[rows], y[rows])
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.equal(saved[name], p) for name, p in model.named_parameters())


def test_adam_takes_the_decay_as_part_of_the_gradient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, module, saved = trained(spec(GAUSSIAN, output=UNIFORM, optimizer="adam"), tmp_path, monkeypatch)
    x, y = train.load_data(Path(train.__file__).parent)["training"]
    torch.manual_seed(0)
    model = module.Model().train()
    model.y.h.weight.data.clamp_(-0.05, 0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(train.mix(0, 1)))
    for rows in order.tensor_split(9):
        optimizer.zero_grad()
        penalty = sum(0.05 / 2 * layer.x.weight.square().sum() for layer in model.h)
        (model.loss(x[rows], y[rows]) + penalty).backward()
        optimizer.step()
        model.y.h.weight.data.clamp_(-0.05, 0.1)
    for name, p in model.named_parameters():
        torch.testing.assert_close(saved[name], p.detach(), rtol=1e-3, atol=1e-4)


def test_a_gaussian_prior_on_normalised_weights_is_one_on_their_length(tmp_path: Path) -> None:
    for text in (spec(GAUSSIAN, normalize="weight"), spec(own=GAUSSIAN, normalize="weight")):
        written = (emit(tmp_path, text).folder / "train.py").read_text()
        assert "original0" in written and "original1" not in written
    for prior in (LAPLACE, UNIFORM):
        for text in (spec(prior, normalize="weight"), spec(GAUSSIAN, own=prior, normalize="weight")):
            with pytest.raises(SpecError) as error:
                emit(tmp_path, text)
            assert [d.code for d in error.value.diagnostics] == ["CG609"]
        emit(tmp_path, spec(prior, own=GAUSSIAN, normalize="weight"))


def test_the_way_back_of_a_refinement_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"""{spec(GAUSSIAN, normalize="")}refine:
  h:
    times: 2
    through: {{z: {{nodes: 3, family: spin, parents: {{previous: dense}}}}}}
    back: {{kind: dense, prior: {LAPLACE}}}
""".replace("stack: 3, ", "")
    train, module, _saved = trained(text, tmp_path, monkeypatch)
    model = module.Model()
    found = {kind: [p for p, _ in train.priors(model, kind)] for kind in ("gaussian", "laplace")}
    levels = model.h.refine
    assert all(p is level.back.weight for p, level in zip(found["laplace"], levels, strict=True))
    plain = [model.h.x.weight, model.y.h.weight, *(level.z.previous.weight for level in levels)]
    assert {id(p) for p in found["gaussian"]} == {id(p) for p in plain}


LENGTHS = {"lengths": spec(GAUSSIAN, normalize="weight"), "lengths and one": spec(UNIFORM, own=GAUSSIAN, normalize="weight")}


@pytest.mark.parametrize("case", [*CASES, *LENGTHS, "frozen"])
def test_the_text_is_clean(tmp_path: Path, case: str) -> None:
    reused = (("train.prior", LAPLACE),) if case == "frozen" else ()
    file = emit(tmp_path, SPECS / "transfer.yaml" if reused else (CASES | LENGTHS)[case], None, reused).folder / "train.py"
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--line-length", "120", str(file)]
    formatted = subprocess.run([*ruff, "format", "--diff", *options], capture_output=True, text=True)
    assert formatted.returncode == 0, formatted.stdout
    rules = ["--select", "E,F,I,B,UP,SIM,RUF", "--ignore", "RUF001,RUF002,RUF003", "--target-version", "py311"]
    checked = subprocess.run([*ruff, "check", *rules, *options], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_they_are_printed_as_what_they_are(tmp_path: Path) -> None:
    place = tmp_path / "spec.yaml"
    place.write_text(CASES["three"], encoding="utf-8")
    text = report(cgc.compiler.inspect(place))
    assert "prior         x: U(-0.05, 0.1): projected to these bounds after every update" in text
    assert "prior         h: Laplace(0, 40), an L1 penalty: sign(w) / 40 is added to the gradient" in text
    place.write_text(spec(GAUSSIAN, optimizer="adam"), encoding="utf-8")
    text = report(cgc.compiler.inspect(place))
    assert "prior         x: N(0, 1/0.05), weight decay 0.05: added to the gradient, which Adam rescales" in text
    place.write_text(spec(), encoding="utf-8")
    assert "prior" not in report(cgc.compiler.inspect(place))


def test_what_is_frozen_has_no_prior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither subgradient nor projection changes parameters that are another model's."""
    package = emit(tmp_path, SPECS / "transfer.yaml", None, (("train.prior", UNIFORM), ("train.epochs", "1"))).folder
    monkeypatch.syspath_prepend(str(tmp_path))
    train = importlib.import_module(f"{package.name}.train")
    torch.manual_seed(1)
    start = train.Model().state_dict()
    torch.save({"model": {key: value * 3 for key, value in start.items()}}, tmp_path / "start.pt")
    train.main(["--quiet", "--runs-dir", str(tmp_path / "runs"), "--threads", "1", "--reuse", str(tmp_path / "start.pt")])
    saved = torch.load(tmp_path / "runs" / "transfer" / "1" / "last.pt", weights_only=True)["model"]
    assert torch.equal(saved["h.0.x.weight"], start["h.0.x.weight"] * 3) and saved["h.0.x.weight"].abs().max() > 0.1
    assert saved["y.h.weight"].min() >= -0.05 and saved["y.h.weight"].max() <= 0.1
