"""The experiments' machinery, on the bundled digits: what runs, what is not repeated, what is written; and that definitions compile."""

from __future__ import annotations

import gzip
import importlib
import json
import shutil
import struct
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cgc import compiler
from cgc.spec.model import DropoutGate

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "templates" / "data"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    return {name: importlib.import_module(name) for name in ("definitions", "figure", "subset", "run")}


def pretended(command: list[str], **_: Any) -> None:
    """What ``train.py`` leaves behind, without training."""
    options = dict(zip(command[3::2], command[4::2], strict=True))
    run = Path(options.get("--resume") or f"{options['--runs-dir']}/digits_dense/1")
    run.mkdir(parents=True, exist_ok=True)
    (run / "last.pt").touch()
    accuracy = 0.8 if "none" in str(run) else 0.9
    (run / "test.json").write_text(json.dumps({"best": {"accuracy": accuracy, "epoch": 1}}))


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["pretended", "trained"])
def run(request: pytest.FixtureRequest, modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """An experiment of two cases on digits, and how often it trains."""
    of = modules["definitions"]
    cases = (of.Case("None", "relu"), of.Case("PCFF", "relu", of.pcff(0.5)))
    small = of.Experiment("dense", "Digits", "digits_dense", "mnist", "error", cases, of.Budget(3), of.Budget(1, epochs=1))
    monkeypatch.setitem(of.EXPERIMENTS, "dense", small)
    commands: list[list[str]] = []
    plain = subprocess.run if request.param else pretended

    def counted(command: list[str], **options: Any) -> Any:
        commands.append(command)
        return plain(command, **options)

    monkeypatch.setattr(modules["run"].subprocess, "run", counted)

    def run(*argv: str) -> list[list[str]]:
        commands.clear()
        places = ["--data-dir", str(DIGITS), "--runs-dir", str(tmp_path / "runs"), "--output", str(tmp_path / "results")]
        assert modules["run"].main(["dense", "-p", "hidden=4", "--threads", "1", *places, *argv]) == 0
        return commands

    return run


def test_what_is_finished_is_not_repeated(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(run()) == 2
    result = json.loads((tmp_path / "results" / "dense_smoke.json").read_text())
    assert "a smoke run" in result["notes"][0] and "a smoke run" in capsys.readouterr().out
    assert [(row["series"], row["place"], len(row["test_error_percent"])) for row in result["cases"]] == [
        ("None", "relu", 1),
        ("PCFF", "relu", 1),
    ]
    tests = sorted((tmp_path / "runs").glob("**/test.json"))
    errors = sorted(100 - 100 * json.loads(path.read_text())["best"]["accuracy"] for path in tests)
    assert sorted(row["mean"] for row in result["cases"]) == pytest.approx(errors, abs=1e-3)
    assert run() == []
    assert json.loads((tmp_path / "results" / "dense_smoke.json").read_text()) == result
    # broken off: before the test, and before the first checkpoint
    tests[0].unlink()
    shutil.rmtree(tests[1].parent)
    tests[1].parent.mkdir()
    again = run()
    assert sorted("--resume" in command for command in again) == [False, True]
    assert json.loads((tmp_path / "results" / "dense_smoke.json").read_text()) == result


def test_budgets(modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is trained, without training: seeds, epochs and cases of the smoke run and of the whole."""
    machine, asked = modules["run"], []

    def trained(package: Path, seed: int, budget: Any, data: Path, options: Any) -> dict[str, Any]:
        asked.append((package.parent.name.rsplit("-", 1)[0], seed, budget.epochs))
        return {"best": {"accuracy": 0.9 + seed / 100, "epoch": 1}}

    monkeypatch.setattr(machine, "trained", trained)
    places = ["--data-dir", str(tmp_path), "--runs-dir", str(tmp_path / "runs"), "--output", str(tmp_path)]
    (tmp_path / "NOTE.txt").write_text("not those\npublished\n")
    assert machine.main(["dense", *places]) == 0
    names = [f"{word}-{method}" for word in ("tanh", "relu") for method in ("none", "dropout", "pcff")]
    assert asked == [(name, 0, 10) for name in names]
    asked.clear()
    assert machine.main(["dense", *places, "--full", "--only", "tanh-none,relu-pcff"]) == 0
    assert asked == [(name, seed, None) for name in ("tanh-none", "relu-pcff") for seed in range(3)]
    result = json.loads((tmp_path / "dense.json").read_text())
    assert result["notes"] == ["the paper's budget: seeds 3, epochs all, examples all", "not those published"]
    assert machine.main(["dense", *places, "--full", "--only", "tanh-none", "--epochs", "2", "-p", "hidden=3"]) == 0
    less = json.loads((tmp_path / "dense.json").read_text())["notes"][0]
    assert less == "less than the paper's budget: seeds 3, epochs 2, examples all, hidden=3"
    row = result["cases"][0]
    assert (row["mean"], row["standard_deviation"], row["test_error_percent"]) == (9, 1, [10, 9, 8])
    drawing = ElementTree.parse(tmp_path / "dense.svg")
    assert "not those published" in "".join(drawing.getroot().itertext())


def test_definitions_compile(modules: dict[str, ModuleType]) -> None:
    of = modules["definitions"]
    assert {name: len(experiment.cases) for name, experiment in of.EXPERIMENTS.items()} == {"dense": 6, "residual": 19, "sequential": 6}
    for experiment in of.EXPERIMENTS.values():
        spec = ROOT / "specs" / f"{experiment.spec}.yaml"
        texts = set()
        for case in experiment.cases if spec.is_file() else ():
            model = compiler.inspect(spec, dict(case.params), case.overrides)
            texts.add(b"".join(data for _, data in model.bundle().files))
        assert not spec.is_file() or len(texts) == len(experiment.cases), "each case is another model, or another training"
        assert len({case.name for case in experiment.cases}) == len(experiment.cases)
        assert set(experiment.smoke_cases) <= {case.place for case in experiment.cases}


def test_dropout_follows_every_rectifier(modules: dict[str, ModuleType]) -> None:
    """The nodes that are sampled under PCFF are those that are dropped under dropout, with the stated probability."""
    residual = modules["definitions"].EXPERIMENTS["residual"]
    case = next(case for case in residual.cases if case.name == "0.3-dropout")
    spec = compiler.inspect(ROOT / "specs" / "resnet20_cifar10.yaml", {}, case.overrides).spec
    hidden = {c.name for c in spec.components if c.role == "hidden" and c.name != "p"} | {r.base + ".refine" for r in spec.refinements}
    edges = [
        edge for edge in (*(e for c in spec.components for e in c.parents), *(r.back for r in spec.refinements)) if edge.parent in hidden
    ]
    assert len(edges) == 13
    assert {edge.gate for edge in edges} == {DropoutGate("bernoulli", 0.7)}


def test_a_failure_is_said(modules: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = modules["run"]
    assert machine.main(["dense", "--data-dir", str(tmp_path / "nowhere"), "--runs-dir", str(tmp_path), "--output", str(tmp_path)]) == 1
    assert "run.py: " in capsys.readouterr().err
    assert machine.main(["dense", "--data-dir", str(DIGITS), "-p", "hiden=3", "--runs-dir", str(tmp_path)]) == 1
    assert "did you mean `hidden`?" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.json"))


def test_subsets(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    files = {}
    for part, count in (("train", 40), ("t10k", 7)):
        files[f"{part}-images-idx3-ubyte"] = struct.pack(">4I", 0x803, count, 2, 3) + bytes(k % 251 for k in range(6 * count))
        files[f"{part}-labels-idx1-ubyte"] = struct.pack(">2I", 0x801, count) + bytes(k % 10 for k in range(count))
    for name, content in files.items():
        (source / f"{name}.gz").write_bytes(gzip.compress(content))
    small = modules["subset"].subset("mnist", source, tmp_path / "small", 25)
    images = (small / "train-images-idx3-ubyte").read_bytes()
    assert images == struct.pack(">4I", 0x803, 25, 2, 3) + files["train-images-idx3-ubyte"][16 : 16 + 150]
    assert (small / "t10k-labels-idx1-ubyte").read_bytes() == struct.pack(">2I", 0x801, 5) + bytes(range(5))
    for k in range(1, 6):
        (source / f"data_batch_{k}.bin").write_bytes(bytes([k]) * 3073 * 9)
    (source / "test_batch.bin").write_bytes(bytes(3073 * 9))
    small = modules["subset"].subset("cifar10", source, tmp_path / "few", 20)
    assert [(small / f"data_batch_{k}.bin").read_bytes() for k in range(1, 6)] == [bytes([k]) * 3073 * 4 for k in range(1, 6)]
    (source / "train-labels-idx1-ubyte.gz").write_bytes(b"no")
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte"):
        modules["subset"].subset("mnist", source, tmp_path / "other", 25)


def test_figures_show_means_where_they_are(modules: dict[str, ModuleType]) -> None:
    point = modules["figure"].Point
    points = [point("None", "a<b", (1.0, 3.0)), point("PCFF", "a<b", (4.0,)), point("PCFF", "c", (2.5, 2.5))]
    root = ElementTree.fromstring(modules["figure"].figure("T & U", ["note"], "test error", points))
    marks = [mark for mark in root.iter("{http://www.w3.org/2000/svg}circle") if len(mark)]
    heights = [float(mark.get("cy", "")) for mark in marks]
    across = [float(mark.get("cx", "")) for mark in marks]
    assert [mark[0].text for mark in marks] == ["None, a<b: 2.00 %", "PCFF, a<b: 4.00 %", "PCFF, c: 2.50 %"]
    assert heights[1] < heights[2] < heights[0] and across[0] < across[1] < across[2]
    assert heights[0] - heights[2] == pytest.approx((heights[0] - heights[1]) / 4, abs=0.2)
    assert all(0 < height < 400 for height in heights)
    same = [replace(point_, values=(5.0,)) for point_ in points]
    assert "nan" not in modules["figure"].figure("T", [], "a", same)
