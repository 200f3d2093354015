"""``train.py --gap``: how far feed-forward is from the model itself, against sums over all states of small networks."""

from __future__ import annotations

import importlib
import itertools
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from packages import SPECS, emit

LAYERS = """cgc: 1
name: layers
families: {spin: {kind: binary, values: [-1, 1]}}
components:
  x: {role: input, nodes: 64, family: {kind: binary, values: [0, 1]}, clamp: soft}
  h: {nodes: 4, family: spin, stack: 2, parents: {x: dense}}
  y: {role: output, nodes: 1, family: {kind: categorical, labels: 10}, parents: {h: dense}}
train: {data: {name: digits}, optimizer: {kind: adam, learning_rate: 0.01}, epochs: 1, batch_size: 256}
"""
STEPS = """cgc: 1
name: steps
families: {spin: {kind: binary, values: [-1, 1]}}
time: {steps: 8}
components:
  x: {role: input, nodes: 8, family: {kind: binary, values: [0, 1]}, clamp: soft}
  h: {nodes: 3, family: spin, normalize: NORMALIZE, parents: {x: dense, h: {kind: dense, lag: 1}}}
  y: {role: output, at: last, nodes: 1, family: {kind: categorical, labels: 10}, parents: {h: dense}}
train: {data: {name: digits, as: row_sequence}, optimizer: {kind: adam, learning_rate: 0.01}, epochs: 1, batch_size: 256}
"""

LENGTHS = """cgc: 1
name: lengths
families: {spin: {kind: binary, values: [-1, 1]}, linear: {kind: gaussian, std: 0}}
time: {steps: 6}
components:
  x: {role: input, nodes: 3, family: linear}
  w: {role: input, nodes: 1, family: {kind: categorical, labels: 4}}
  h: {nodes: 3, family: spin, parents: {x: dense, w: dense, h: {kind: dense, lag: 1}}}
  g: {nodes: 2, family: spin, at: last, parents: {h: dense}}
  y: {role: output, at: last, nodes: 1, family: {kind: categorical, labels: 3}, parents: {g: dense}}
  z: {role: output, nodes: 2, family: spin, parents: {h: dense}}
train: {data: {name: npz}, optimizer: {kind: adam, learning_rate: 0.01}, epochs: 1, batch_size: 256}
"""


def emitted(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """The modules ``train`` and ``model``."""
    torch.set_num_threads(1)
    package = emit(folder / "specs", text).folder
    monkeypatch.syspath_prepend(str(package.parent))
    return tuple(importlib.import_module(f"{package.name}.{name}") for name in ("train", "model"))  # type: ignore[return-value]


def random_model(module: ModuleType, seed: int, weights: float = 0.9) -> Any:
    torch.manual_seed(seed)
    model = module.Model().double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # 64 pixels, or 8, of which half are 1
            parameter.uniform_(-weights, weights).mul_(0.3 if ".x." in name and parameter.shape[-1] > 4 else 1)
    return model


def pixels(*shape: int, count: int = 6) -> torch.Tensor:
    """Given as expectations that leave nothing open: 0 and 1."""
    return torch.randint(2, (count, *shape), generator=torch.Generator().manual_seed(1)).double()


def states(nodes: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=nodes)), dtype=torch.float64)


def of_states(e: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """P(state | e), (..., states), of nodes -1 and 1 with energies (..., nodes)."""
    return torch.sigmoid(2 * e[..., None, :] * values).prod(-1)


def rms(difference: torch.Tensor) -> float:
    return float(difference.square().mean().sqrt())


def truth_of_layers(model: Any, x: torch.Tensor) -> dict[str, float]:
    below, share, q, gaps = x[:, None], torch.ones(len(x), 1, dtype=torch.float64), x, {}
    for k, layer in enumerate(model.h):
        e = below @ layer.x.weight.T + layer.bias
        q = torch.tanh(q @ layer.x.weight.T + layer.bias)
        gaps[f"h.{k}"] = rms(q - (share[..., None] * torch.tanh(e)).sum(1))
        share = (share[..., None] * of_states(e, states(4))).sum(1)
        below = states(4)[None]
    p = (share[..., None] * torch.softmax(states(4) @ model.y.h.weight.T + model.y.bias, -1)).sum(1)
    return gaps | {"y": rms(torch.softmax(q @ model.y.h.weight.T + model.y.bias, -1) - p)}


def truth_of_steps(model: Any, x: torch.Tensor) -> dict[str, float]:
    def energies(x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        e = x @ model.h.x.weight.T + h @ model.h.h.weight.T
        return torch.nn.functional.layer_norm(e, (3,), model.h.normalize.weight, model.h.bias)

    first = torch.zeros(1, 3, dtype=torch.float64)
    below, share, q, differences = first, torch.ones(len(x), 1, dtype=torch.float64), first, []
    for t in range(8):
        e = energies(x[:, t, None], below)
        q = torch.tanh(energies(x[:, t], q))
        differences.append(q - (share[..., None] * torch.tanh(e)).sum(1))
        share = (share[..., None] * of_states(e, states(3))).sum(1)
        below = states(3)
    p = (share[..., None] * torch.softmax(states(3) @ model.y.h.weight.T + model.y.bias, -1)).sum(1)
    return {"h": rms(torch.stack(differences)), "y": rms(torch.softmax(q @ model.y.h.weight.T + model.y.bias, -1) - p)}


def truth_of_lengths(model: Any, x: torch.Tensor, k: torch.Tensor, lengths: torch.Tensor) -> dict[str, float]:
    """Sequence by sequence, without what lies behind its end."""
    differences: dict[str, list[torch.Tensor]] = {name: [] for name in "hgyz"}
    for row, labels, length in zip(x, k, lengths.tolist(), strict=True):
        below, share, q = torch.zeros(1, 3, dtype=torch.float64), torch.ones(1, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
        for t in range(length):
            at = row[t] @ model.h.x.weight.T + model.h.w.weight[labels[t]] + model.h.bias
            e = at + below @ model.h.h.weight.T
            q = torch.tanh(at + q @ model.h.h.weight.T)
            differences["h"].append(q - share @ torch.tanh(e))
            share, below = share @ of_states(e, states(3)), states(3)
            differences["z"].append(torch.tanh(model.z.h(q) + model.z.bias) - share @ torch.tanh(model.z.h(below) + model.z.bias))
        e, q = model.g.h(below) + model.g.bias, torch.tanh(model.g.h(q) + model.g.bias)
        differences["g"].append(q - share @ torch.tanh(e))
        share = share @ of_states(e, states(2))
        p = [torch.softmax(model.y.g(g) + model.y.bias, -1) for g in (q, states(2))]
        differences["y"].append(p[0] - share @ p[1])
    return {name: rms(torch.stack(values)) for name, values in differences.items()}


def test_steps_behind_the_end_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two inputs, two outputs, and a component at the last step alone."""
    train, module = emitted(tmp_path, LENGTHS, monkeypatch)
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(5, 6, 3, generator=draw, dtype=torch.float64)
    k, lengths = torch.randint(4, (5, 6), generator=draw), torch.tensor([1, 6, 3, 2, 1])
    inside = []
    for seed in range(6):
        model = random_model(module, seed)
        with torch.no_grad():
            wanted = truth_of_lengths(model, x, k, lengths)
        torch.manual_seed(seed)
        found = train.gap(model, [x, k, lengths], 64, 400)
        assert found.keys() == wanted.keys()
        inside += [low - 1e-9 <= wanted[name] <= high + 1e-9 for name, (_, low, high) in found.items()]
        assert all(estimate == pytest.approx(wanted[name], rel=0.3, abs=0.01) for name, (estimate, _, _) in found.items())
    assert sum(inside) >= 0.8 * len(inside)


@pytest.mark.parametrize("over_time", [False, True])
def test_intervals_hold_what_enumeration_gives(over_time: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = STEPS.replace("NORMALIZE", "{kind: layer, over: energy}") if over_time else LAYERS
    train, module = emitted(tmp_path, text, monkeypatch)
    x = pixels(8, 8) if over_time else pixels(64)
    inside, asked = 0, 0
    for seed in range(6):
        model = random_model(module, seed)
        with torch.no_grad():
            wanted = truth_of_steps(model, x) if over_time else truth_of_layers(model, x)
        torch.manual_seed(seed)
        found = train.gap(model, [x], 64, 200)
        assert list(found) == list(wanted)
        for name, (estimate, low, high) in found.items():
            assert low <= estimate <= high and abs(estimate - wanted[name]) <= max(2 * (high - low), 1e-9)
            inside += low - 1e-9 <= wanted[name] <= high + 1e-9
            asked += 1
    assert inside >= 0.8 * asked
    assert max(wanted.values()) > 0.05, "there is something to find"


def test_what_is_given_is_exact_and_without_weights_all_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, module = emitted(tmp_path, LAYERS, monkeypatch)
    found = train.gap(random_model(module, 0), [pixels(64)], 12, 40)
    assert max(found["h.0"]) < 1e-12 < found["h.1"][0]
    assert all(max(row) < 1e-12 for row in train.gap(random_model(module, 0, weights=0.0), [pixels(64)], 12, 40).values())


def test_nodes_without_a_module_count_for_what_they_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that nothing is learned for: in the model itself, and in modules, whatever their shapes."""
    own = "{family: spin, bias: false, nodes: [2, 8, 8], parents: {h: identity}}"
    text = f"""cgc: 1
name: without
families: {{spin: {{kind: binary, values: [-1, 1]}}}}
components:
  x: {{role: input, nodes: [1, 8, 8], family: {{kind: binary, values: [0, 1]}}, clamp: soft}}
  h: {{nodes: [2, 8, 8], family: spin, parents: {{x: {{kind: conv2d, kernel_size: 3, padding: 1}}}}}}
  a: {own}
  m:
    output: c
    components:
      b: {own.replace("h: identity", "a: identity")}
      c: {{family: spin, bias: false, nodes: [2, 4, 4], parents: {{b: {{kind: avg_pool, kernel_size: 2}}}}}}
  y: {{role: output, nodes: 1, family: {{kind: categorical, labels: 10}}, parents: {{m: dense}}}}
train: {{data: {{name: digits, as: image}}, optimizer: {{kind: adam, learning_rate: 0.01}}, epochs: 1, batch_size: 256}}
"""
    train, module = emitted(tmp_path, text, monkeypatch)
    found = train.gap(random_model(module, 0), [torch.rand(4, 1, 8, 8, dtype=torch.float64)], 64, 40)
    assert list(found)[:2] == ["h", "model"] and "m" in found and all(low <= row <= high for row, low, high in found.values())
    assert found["model"][0] > 0.01 and found["m"][0] > 0.01


def test_more_draws_narrow_the_interval_and_the_seed_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, module = emitted(tmp_path, LAYERS, monkeypatch)

    def width(draws: int) -> float:
        widths = []
        for seed in range(4):
            torch.manual_seed(seed)
            _, low, high = train.gap(random_model(module, seed), [pixels(64)], 400, draws)["h.1"]
            widths.append(high - low)
        return math.fsum(widths)

    assert width(1600) < 0.5 * width(100)
    assert width(100) == width(100)


def test_dropout_nodes_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E of tanh over D = 0 or 1, against tanh at the mean of D."""
    text = LAYERS.replace("stack: 2, ", "").replace("{x: dense}", "{x: {kind: dense, gate: {kind: bernoulli, keep_prob: 0.5}}}")
    train, module = emitted(tmp_path, text, monkeypatch)
    model = random_model(module, 0)
    x = torch.zeros(1, 64, dtype=torch.float64)
    x[0, 3] = 1
    with torch.no_grad():
        model.h.x.weight *= 8
        w, b = model.h.x.weight[:, 3], model.h.bias
        wanted = rms(torch.tanh(w / 2 + b) - (torch.tanh(w + b) + torch.tanh(b)) / 2)
    torch.manual_seed(0)
    estimate, low, high = train.gap(model, [x], 400, 4000)["h"]
    assert wanted > 0.1 and low <= wanted <= high and estimate == pytest.approx(wanted, rel=0.1)


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    train, _ = emitted(tmp_path, LAYERS, monkeypatch)
    train.main(["--quiet", "--runs-dir", str(tmp_path / "runs"), "--threads", "1"])
    best = str(tmp_path / "runs" / "layers" / "1" / "best.pt")
    capsys.readouterr()
    texts = []
    for options in ([], [], ["--gap-part", "test"], ["--seed", "1"]):
        train.main(["--gap", best, "--gap-draws", "20", "--threads", "1", *options])
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and len(set(texts)) == 3
    assert texts[0].startswith(
        "root mean square of feed-forward less the model's expectation, layer by layer: 359 validation examples, 20 draws\n"
    )
    assert [line.split()[0] for line in texts[0].splitlines()[1:]] == ["h.0", "h.1", "y"]
    for argv, words in (
        (["--gap", str(tmp_path / "nothing")], "train.py: there is no file "),
        (["--gap", best, "--gap-draws", "10"], "--gap runs in one process, with --gap-draws 20, 30, 40, ..."),
        (["--gap", best, "--gap-draws", "25"], "--gap runs in one process, with --gap-draws 20, 30, 40, ..."),
    ):
        with pytest.raises(SystemExit) as stopped:
            train.main(argv)
        assert stopped.value.code == 2 and words in capsys.readouterr().err
    (tmp_path / "text").write_text("no checkpoint", encoding="utf-8")
    with pytest.raises(SystemExit):
        train.main(["--gap", str(tmp_path / "text")])
    assert "text is no checkpoint that train.py has written" in capsys.readouterr().err
    torch.save({"model": {"h.0.bias": torch.zeros(3)}}, tmp_path / "other")
    with pytest.raises(SystemExit):
        train.main(["--gap", str(tmp_path / "other")])
    assert "other is no checkpoint of this model: " in capsys.readouterr().err
    assert sorted(p.name for p in (tmp_path / "runs" / "layers").iterdir()) == ["1"], "nothing is trained"


@pytest.mark.parametrize("name", ["adding", "causal", "tagger_crf", "transfer"])
def test_other_data(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Generated sequences, a chain of lines, images without labels, a network that is partly another's; of models that are untrained."""
    package = emit(tmp_path, SPECS / f"{name}.yaml")
    monkeypatch.syspath_prepend(str(tmp_path))
    train = importlib.import_module(f"{package.folder.name}.train")
    small = {part: tuple(a[:8] for a in example) for part, example in train.load_data(*data_folder(train)).items()}
    monkeypatch.setattr(train, "load_data", lambda *_: small)
    torch.save({"model": train.Model().state_dict()}, tmp_path / "start.pt")
    train.main(["--gap", str(tmp_path / "start.pt"), "--gap-draws", "20", "--batch-size", "64", "--threads", "1"])
    lines = capsys.readouterr().out.splitlines()
    program = package.compiled.program
    drawn = [layer.name for layer in program.layers() if layer.output or not program.law(layer.law).deterministic]
    assert "8 validation examples, 20 draws" in lines[0] and [line.split()[0] for line in lines[1:]] == drawn


def data_folder(train: ModuleType) -> tuple[Path, ...]:
    """What ``load_data`` takes: nothing where data are generated."""
    return (Path(train.__file__ or "").parent,) if train.load_data.__code__.co_argcount else ()
