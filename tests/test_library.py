"""The library of specs against its peers: what is written down is whole and meets its bars; trained again, it still does (slow)."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import adding  # noqa: E402
import library  # noqa: E402

ROWS: dict[str, Any] = {row["spec"]: row for row in json.loads(library.RESULTS.read_text(encoding="utf-8"))}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_spec_with_bundled_or_generated_data_is_measured() -> None:
    data = {
        path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8"))["train"]["data"] for path in ROOT.glob("generated/*/spec.yaml")
    }
    specs = {name for name, found in data.items() if found["name"] in ("digits", "tags")}
    assert len(specs) > 10 and specs == set(library.CASES) == set(ROWS)
    assert {name for name, found in data.items() if found["name"] == "adding"} == {series.spec for series in adding.SERIES}


@pytest.mark.parametrize("name", [*library.CASES, "resnet20_cifar10", "indrnn_pixel_mnist"])
def test_a_model_is_read_in_one_sitting(name: str) -> None:
    text = (ROOT / "generated" / name / "model.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 250 and max(len(line) for line in text.splitlines()) <= 160


@pytest.mark.parametrize("name", library.CASES)
def test_bars_follow_from_the_peers_and_are_met(name: str) -> None:
    case, row = library.CASES[name], ROWS[name]
    assert len(row["values"]) == len(row["peer_values"]) == library.SEEDS
    for key, values in (("", row["values"]), ("peer_", row["peer_values"])):
        assert row[f"{key}mean"] == pytest.approx(mean(values)) and row[f"{key}spread"] == pytest.approx(stdev(values))
    if name == "causal":
        assert row["bar"] == pytest.approx(row["peer_mean"] + 0.01) and row["mean"] <= row["bar"]
    else:
        assert row["bar"] == pytest.approx(row["peer_mean"] - 0.01) and row["mean"] >= row["bar"]
    assert case.met(row["bar"], row["bar"])


def test_the_readme_has_these_figures() -> None:
    assert re.findall(r"^\| `.*(?:±).*\|$", README, re.M) == [library.line(ROWS[name]) for name in library.CASES]


class Line(nn.Module):
    """A peer that is one number, or rows of numbers, with the squared distance to its examples as loss."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.ones(shape))

    def loss(self, x: Tensor) -> Tensor:
        return (self.at * 0 if self.at.ndim > 1 else self.at - x).square().mean()

    def hits(self, x: Tensor) -> Tensor:
        return x > self.at.mean()


def constant(value: float) -> tuple[Tensor, ...]:
    return (torch.full((8, 1), value),)


def test_peers_are_tested_where_validation_was_best() -> None:
    torch.manual_seed(0)
    peer = Line(1)
    data = {"training": constant(0.0), "validation": constant(0.6), "test": constant(0.6)}
    found = library.fit(peer, data, library.Settings(epochs=40, batch_size=4, learning_rate=0.05))
    assert found == {"loss": pytest.approx(0, abs=4e-3), "accuracy": float(peer.at.item() < 0.6)}
    assert peer.at.item() == pytest.approx(0.6, abs=0.06), "training goes on to 0, which is not kept"


def test_weight_decay_is_for_matrices() -> None:
    for shape, moves in (((2, 2), True), ((2,), False)):
        peer = Line(*shape)
        data = dict.fromkeys(("training", "validation", "test"), constant(1.0))
        library.fit(peer, data, library.Settings(1, 8, 0.1, weight_decay=0.5))
        assert bool((peer.at != 1).any()) == moves


@pytest.mark.slow
@pytest.mark.parametrize("name", library.CASES)
def test_trained_again_the_bar_is_met(name: str, tmp_path: Path) -> None:
    case = library.CASES[name]
    assert case.met(mean(library.ours(case, seed, tmp_path) for seed in range(library.SEEDS)), ROWS[name]["bar"])


def test_adding_as_written_down() -> None:
    found = json.loads(adding.RESULTS.read_text(encoding="utf-8"))
    assert found["baseline"] == pytest.approx(1 / 6)
    curves = {curve["name"]: curve for curve in found["series"]}
    assert list(curves) == [series.name for series in adding.SERIES]
    for name in ("indrnn", "lstm"):
        assert curves[name]["finished"] and curves[name]["updates"] == list(range(200, 3001, 200))
        assert min(curves[name]["error"]) < found["baseline"] / 4
    # what the README says of the others
    assert not curves["srn_from_0_1"]["finished"] and not curves["srn_from_0_1"]["error"]
    assert min(curves["srn_tanh"]["error"]) > 0.9 * found["baseline"] and min(curves["srn"]["error"]) < found["baseline"] / 4
    picture = adding.FIGURE.read_text(encoding="utf-8")
    assert all(series.title in picture for series in adding.SERIES)


def test_the_picture_says_what_did_not_finish(tmp_path: Path) -> None:
    curves = [
        {"name": series.name, "finished": series.name != "lstm", "updates": [200, 400], "error": [0.2, 0.1]} for series in adding.SERIES
    ]
    for name in ("a.svg", "b.svg"):
        adding.figure(curves, tmp_path / name)
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert text.count("overflows") == text.count("(overflows before update 600)") == 1
    assert text == (tmp_path / "b.svg").read_text(encoding="utf-8")


@pytest.mark.slow
def test_adding_is_learned_again(tmp_path: Path) -> None:
    series = {series.name: series for series in adding.SERIES}
    assert adding.run(series["srn_from_0_1"], tmp_path, ["--updates", "200"]) == {
        "name": "srn_from_0_1",
        "finished": False,
        "updates": [],
        "error": [],
    }
    curve = adding.run(series["indrnn"], tmp_path, ["--updates", "800"])
    assert curve["finished"] and curve["error"][-1] < 0.8 * adding.BASELINE
    assert adding.run(series["indrnn"], tmp_path, ["--updates", "800"]) == curve, "what is finished is kept"
