"""The data of emitted ``train.py``: what is read, drawn and changed, each against an oracle of its own; and what is said of bad files."""

from __future__ import annotations

import itertools
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hand_made import component, make_spec
from torch import Tensor

from cgc.emit.fit import check_data
from cgc.emit.render import folder, render
from cgc.emit.training import training_context
from cgc.spec.model import Component, Data, Optimizer, Spec, Train

ADAM = Optimizer("adam", 0.003)
BUNDLED = folder("templates") / "data"


def spec(data: Data, input: Component | None = None, output: Component | None = None, steps: int | None = None, **train: Any) -> Spec:
    train = {"epochs": 1, "batch_size": 8} | train
    return make_spec(train=Train(data, ADAM, **train), input=input, output=output, steps=steps)


def script(spec: Spec) -> ModuleType:
    """The emitted ``train.py`` as a module; its model is missing."""
    text = render("torch/train.py.jinja", training=training_context(spec)).replace("from .model import Model", "Model = object")
    module = types.ModuleType("emitted_train")
    module.__package__ = "emitted"
    exec(compile(text, "train.py", "exec"), module.__dict__)
    return module


def refused(module: ModuleType, place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        module.load_data(place)
    assert caught.value.code == 2
    return capsys.readouterr().err


# images


PHOTOS = {"vector": ((3072,), None), "image": ((3, 32, 32), None), "row_sequence": ((96,), 32), "pixel_sequence": ((3,), 1024)}


def photos(data: Data, **rest: Any) -> Spec:
    nodes, steps = PHOTOS[data.layout]
    at: Any = "last" if steps else "all"
    output = rest.pop("output", None) or component("y", "output", (1,), "labels", at=at)
    return spec(data, component("x", "input", nodes, "real"), output, steps, **rest)


def write_cifar(place: Path, count: int = 4) -> dict[str, np.ndarray[Any, Any]]:
    """Records as published: a label, then the red, green and blue of 32 rows."""
    place.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    files = {}
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        files[name] = draw.integers(0, 256, (count, 3073), dtype=np.uint8)
        files[name][:, 0] %= 10
        (place / f"{name}.bin").write_bytes(files[name].tobytes())
    return files


def plain(x: Tensor, layout: str) -> np.ndarray[Any, Any]:
    """Images (n, rows, columns, channels) from any layout."""
    n, a = len(x), x.numpy()
    match layout:
        case "vector":
            return a.reshape(n, 3, 32, 32).transpose(0, 2, 3, 1)
        case "image":
            return a.transpose(0, 2, 3, 1)
        case "row_sequence":
            return a.reshape(n, 32, 3, 32).transpose(0, 1, 3, 2)
        case _:
            return a.reshape(n, 32, 32, 3)


@pytest.mark.parametrize("layout", PHOTOS)
def test_cifar10_is_read_from_binary_batches(tmp_path: Path, layout: Any) -> None:
    files = write_cifar(tmp_path)
    fits = photos(Data("cifar10", layout, validation=0.25))
    assert check_data(fits) == []
    data = script(fits).load_data(tmp_path)
    records = np.concatenate([files[f"data_batch_{k}"] for k in range(1, 6)])
    for part, rows in (("training", records[:15]), ("validation", records[15:]), ("test", files["test_batch"])):
        x, y = data[part]
        assert x.shape[1:] == tuple(([PHOTOS[layout][1]] if PHOTOS[layout][1] else []) + list(PHOTOS[layout][0]))
        assert y.tolist() == rows[:, 0].tolist()
        images = np.stack([rows[:, 1 + 1024 * c : 1025 + 1024 * c].reshape(-1, 32, 32) for c in range(3)], 3)
        np.testing.assert_array_equal(plain(x, layout), (images / np.float32(255)).astype(np.float32))


def test_channels_are_permuted_alike(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    straight = script(photos(Data("cifar10", "pixel_sequence"))).load_data(tmp_path)["test"][0]
    permuted = script(photos(Data("cifar10", "pixel_sequence", permute_seed=3))).load_data(tmp_path)["test"][0]
    order = [(straight[0] == pixel).all(1).nonzero().item() for pixel in permuted[0]]
    assert sorted(order) == list(range(1024)) != order
    assert torch.equal(permuted, straight[:, order])


@pytest.mark.parametrize("layout", PHOTOS)
def test_standardized_by_the_training_images(tmp_path: Path, layout: Any) -> None:
    write_cifar(tmp_path)
    raw = script(photos(Data("cifar10", layout, validation=0.25))).load_data(tmp_path)
    done = script(photos(Data("cifar10", layout, validation=0.25, standardize=True))).load_data(tmp_path)
    pixels = plain(raw["training"][0], layout).astype(np.float64)
    mean, std = pixels.mean((0, 1, 2)), pixels.std((0, 1, 2), ddof=1)
    for part in raw:
        np.testing.assert_allclose(plain(done[part][0], layout), (plain(raw[part][0], layout) - mean) / std, atol=1e-5)
        assert torch.equal(done[part][1], raw[part][1])


def test_standardized_grey_images_and_constant_ones(tmp_path: Path) -> None:
    place = component("x", "input", (1, 8, 8), "real")
    x = script(spec(Data("digits", "image", standardize=True), place)).load_data(BUNDLED)["training"][0]
    assert x.mean().abs() < 1e-5 and abs(x.std() - 1) < 1e-5
    write_cifar(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(bytes(3073 * 2))
    data = script(photos(Data("cifar10", "image", standardize=True))).load_data(tmp_path)
    assert all(x.isfinite().all() for x, _ in data.values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-1], "data_batch_3.bin is not a binary batch of CIFAR-10, or is damaged"),
        (lambda content: b"", "data_batch_3.bin is not a binary batch"),
        (lambda content: b"\x0a" + content[1:], "data_batch_3.bin is not a binary batch"),
        (None, "CIFAR-10 is not complete in {place}. Put there, or name their folder with --data-dir:\n  data_batch_3.bin\n"),
    ],
)
def test_damaged_cifar10(tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, words: str) -> None:
    write_cifar(tmp_path)
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(change(path.read_bytes())) if change else path.unlink()
    assert words.format(place=tmp_path) in refused(script(photos(Data("cifar10", "image"))), tmp_path, capsys)


def test_too_few_images_are_kept_for_training(tmp_path: Path) -> None:
    write_cifar(tmp_path, 1)
    data = script(photos(Data("cifar10", "image", validation=0.99))).load_data(tmp_path)
    assert {part: len(x) for part, (x, _) in data.items()} == {"training": 1, "validation": 4, "test": 1}


@pytest.mark.parametrize(("shift", "mirror"), [(0, True), (2, False), (1, True)])
def test_augmented_images_are_moved_and_mirrored(shift: int, mirror: bool) -> None:
    module = script(photos(Data("cifar10", "image", shift_pixels=shift, mirror=mirror)))
    x = torch.rand(400, 3, 6, 5) + 1  # nothing is 0 but what comes in
    images = module.Augmented(x, torch.Generator().manual_seed(1))
    rows = torch.randperm(400)[:300]
    seen: Counter[tuple[int, int, bool]] = Counter()
    for row, found in zip(rows.tolist(), images[rows], strict=True):
        for down, right, turned in itertools.product(range(-shift, shift + 1), range(-shift, shift + 1), (False, True)):
            wanted = torch.zeros(3, 6, 5)
            source = x[row].flip(2) if turned else x[row]
            for r, c in itertools.product(range(6), range(5)):
                if 0 <= r + down < 6 and 0 <= c + right < 5:
                    wanted[:, r, c] = source[:, r + down, c + right]
            if torch.equal(found, wanted):
                seen[down, right, turned] += 1
                break
        else:
            pytest.fail("no move of the image")
    assert len(seen) == (2 * shift + 1) ** 2 * (1 + mirror)
    if mirror:
        assert 100 < sum(count for (_, _, turned), count in seen.items() if turned) < 200
    assert torch.equal(images[rows], images[rows]), "one epoch sees an image in one way"
    assert not torch.equal(module.Augmented(x, torch.Generator().manual_seed(2))[rows], images[rows])


SPIN = component("x", "input", (64,), "spin")


def test_a_threshold_gives_the_states_of_the_input() -> None:
    grey = script(spec(Data("digits"))).load_data(BUNDLED)["test"][0]
    for family, states in (("spin", (-1.0, 1.0)), ("pixel", (0.0, 1.0)), ("real", (0.0, 1.0)), ("digit", (0.0, 1.0))):
        fits = spec(Data("digits", threshold=0.3), component("x", "input", (64,), family))
        assert check_data(fits) == []
        x = script(fits).load_data(BUNDLED)["test"][0]
        assert torch.equal(x, torch.where(grey > 0.3, states[1], states[0]))


def test_flipped_pixels_with_the_clean_image_as_target() -> None:
    fits = spec(Data("digits", threshold=0.5, flip_prob=0.1, predict="image"), SPIN, component("y", "output", (64,), "pixel"))
    assert check_data(fits) == []
    data = script(fits).load_data(BUNDLED)
    clean = script(spec(Data("digits", threshold=0.5), SPIN)).load_data(BUNDLED)
    for part, (x, y) in data.items():
        assert torch.equal(2 * y - 1, clean[part][0]) and y.dtype == torch.float32
        assert set(x.unique().tolist()) == {-1, 1}
        assert 0.09 < (x != 2 * y - 1).float().mean() < 0.11
    again = script(fits).load_data(BUNDLED)
    assert torch.equal(data["training"][0], again["training"][0])
    other = script(spec(Data("digits", threshold=0.5, flip_prob=0.1, predict="image", seed=1), SPIN, fits.component("y")))
    assert not torch.equal(other.load_data(BUNDLED)["training"][0], data["training"][0])


def test_training_and_test_images_are_flipped_in_their_own_ways(tmp_path: Path) -> None:
    files = write_cifar(tmp_path)
    for name in files:
        (tmp_path / f"{name}.bin").write_bytes(bytes(3073 * 4))
    given = component("x", "input", (3072,), "pixel")
    data = script(spec(Data("cifar10", threshold=0.5, flip_prob=0.5), given)).load_data(tmp_path)
    assert not torch.equal(data["training"][0][:4], data["test"][0])


def test_grey_image_as_target_of_a_gaussian() -> None:
    fits = spec(
        Data("digits", "image", predict="image"), component("x", "input", (1, 8, 8), "real"), component("y", "output", (1, 8, 8), "real")
    )
    assert check_data(fits) == []
    x, y = script(fits).load_data(BUNDLED)["test"]
    assert torch.equal(x, y) and x.shape == (359, 1, 8, 8)


def test_relabelled() -> None:
    old = script(spec(Data("digits"))).load_data(BUNDLED)["test"][1]
    new = (4, 4, 8, 0, 0, 1, 1, 2, 3, 8)
    fits = spec(Data("digits", relabel=new), output=component("y", "output", (1,), "nine"))
    assert check_data(fits) == []
    y = script(fits).load_data(BUNDLED)["test"][1]
    assert y.tolist() == [new[label] for label in old.tolist()]
    signs = (-1, 1) * 5
    fits = spec(Data("digits", relabel=signs), output=component("y", "output", (1,), "spin"))
    assert check_data(fits) == []
    y = script(fits).load_data(BUNDLED)["test"][1]
    assert y.tolist() == [[float(signs[label])] for label in old.tolist()]


# generated


def test_adding() -> None:
    fits = spec(Data("adding", sequences=40), component("x", "input", (2,), "real"), component("y", "output", (1,), "real", at="last"), 11)
    assert check_data(fits) == []
    data = script(fits).load_data()
    assert {part: len(x) for part, (x, _) in data.items()} == {"training": 40, "validation": 10, "test": 10}
    for x, y in data.values():
        numbers, marks = x.unbind(2)
        assert ((numbers >= 0) & (numbers < 1)).all() and set(marks.unique().tolist()) == {0, 1}
        assert (marks[:, :5].sum(1) == 1).all() and (marks[:, 5:].sum(1) == 1).all()
        torch.testing.assert_close((numbers * marks).sum(1, keepdim=True), y)
    again = script(fits).load_data()
    assert all(torch.equal(a, b) for part in data for a, b in zip(data[part], again[part], strict=True))
    assert not torch.equal(data["validation"][0], data["test"][0])
    other = script(spec(Data("adding", sequences=40, seed=1), fits.component("x"), fits.component("y"), 11)).load_data()
    assert not torch.equal(data["test"][0], other["test"][0])


TAGS = Data("tags", tokens=10, tags=9, min_steps=3, max_steps=12, sequences=1000)


def tagger(data: Data = TAGS) -> Spec:
    return spec(data, component("x", "input", (1,), "labels"), component("y", "output", (1,), "nine"), 12)


def test_tags_depend_on_their_neighbours() -> None:
    assert check_data(tagger()) == []
    data = script(tagger()).load_data()
    x, y, lengths = data["training"]
    assert (x.shape, y.shape, lengths.shape) == ((1000, 12), (1000, 12), (1000,))
    assert set(lengths.tolist()) == set(range(3, 13))
    behind = torch.arange(12) >= lengths[:, None]
    assert not x[behind].any() and not y[behind].any()
    assert x[~behind].max() < 10 and y[~behind].max() < 9

    def share(keys: Any) -> float:
        """How many tags are right that are the most frequent ones given ``keys`` of a step."""
        table: dict[Any, Counter[int]] = {}
        for row, length in enumerate(lengths.tolist()):
            for t in range(1, length - 1):
                table.setdefault(keys(row, t), Counter())[int(y[row, t])] += 1
        return sum(max(counts.values()) for counts in table.values()) / sum(sum(counts.values()) for counts in table.values())

    alone = share(lambda row, t: int(x[row, t]))
    before = share(lambda row, t: (int(x[row, t]), int(y[row, t - 1])))
    both = share(lambda row, t: (int(x[row, t]), int(y[row, t - 1]), int(y[row, t + 1])))
    assert alone + 0.05 < before < both - 0.03
    again = script(tagger()).load_data()
    assert all(torch.equal(a, b) for part in data for a, b in zip(data[part], again[part], strict=True))


# arrays from files


def sequences(family: str = "real", **given: Any) -> Spec:
    """Two inputs, three outputs over time, one of which is scored against an input."""
    return make_spec(
        train=Train(Data("npz", validation=0.3), ADAM, epochs=1, batch_size=8),
        input=component("a", "input", (2,), family, **given),
        output=component("c", "output", (1,), "nine"),
        steps=5,
        more=(
            component("b", "input", (1,), "labels"),
            component("d", "output", (3,), "spin", at="last"),
            component("e", "output", (2,), "real", target="a"),
        ),
    )


def write_arrays(place: Path, **changes: Any) -> dict[str, np.ndarray[Any, Any]]:
    draw = np.random.default_rng(1)
    arrays: dict[str, Any] = {
        "a": draw.random((10, 4, 2)),
        "b": draw.integers(0, 10, (10, 4), dtype=np.uint8),
        "c": draw.integers(0, 9, (10, 4), dtype=np.int32),
        "d": draw.choice([-1, 1], (10, 3)),
        "lengths": draw.integers(1, 5, 10),
    }
    place.mkdir(exist_ok=True)
    np.savez(place / "test.npz", **arrays)
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
    np.savez(place / "train.npz", **arrays)
    return arrays


def test_arrays_from_files(tmp_path: Path) -> None:
    arrays = write_arrays(tmp_path, other=np.zeros(3))
    assert check_data(sequences()) == []
    module = script(sequences())
    data = module.load_data(tmp_path)
    for k, (name, kind) in enumerate(zip(("a", "b", "c", "d", "lengths"), "fiifi", strict=True)):
        whole = torch.cat([data["training"][k], data["validation"][k]])
        np.testing.assert_array_equal(whole.numpy(), arrays[name].astype(np.float32 if kind == "f" else np.int64))
        assert whole.dtype == (torch.float32 if kind == "f" else torch.int64)
    assert [len(data[part][0]) for part in data] == [7, 3, 10]
    write_arrays(tmp_path, lengths=None)
    assert module.load_data(tmp_path)["training"][4].tolist() == [4] * 7


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"b": None}, "train.npz has no array `b`; there is a, c, d, lengths\n"),
        ({"a": np.zeros((10, 4, 3))}, "train.npz: `a` is float64 (10, 4, 3), not numbers (any, any, 2)\n"),
        ({"c": np.zeros((10, 3), int)}, "train.npz: `c` is int64 (10, 3), not whole numbers (10, 4)\n"),
        ({"c": np.zeros((9, 4), int)}, "train.npz: `c` is int64 (9, 4), not whole numbers (10, 4)\n"),
        ({"c": np.zeros((10, 4))}, "train.npz: `c` is float64 (10, 4), not whole numbers (10, 4)\n"),
        ({"c": np.full((10, 4), 9)}, "train.npz: `c` holds something else than labels from 0 to 8\n"),
        ({"b": np.full((10, 4), -1)}, "train.npz: `b` holds something else than labels from 0 to 9\n"),
        ({"d": np.zeros((10, 3))}, "train.npz: `d` holds something else than states of the node\n"),
        ({"a": np.full((10, 4, 2), np.nan)}, "train.npz: `a` holds something else than finite numbers\n"),
        ({"lengths": np.arange(10)}, "train.npz: `lengths` holds something else than numbers from 1 to 4\n"),
        ({"a": np.full((10, 4, 2), "text")}, "train.npz: `a` is <U4 (10, 4, 2), not numbers (any, any, 2)\n"),
        ({"a": np.full((10, 4, 2), None)}, "train.npz is missing, or is not a file of named numpy arrays\n"),
        ({"a": np.zeros((0, 4, 2))}, "train.npz: `a` is float64 (0, 4, 2), not numbers (any, any, 2)\n"),
    ],
)
def test_wrong_arrays(tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str) -> None:
    write_arrays(tmp_path, **changes)
    assert refused(script(sequences()), tmp_path, capsys) == f"train.py: {tmp_path}/{words}"


def test_wrong_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = script(sequences("pixel", clamp="soft"))
    assert "train.npz is missing" in refused(module, tmp_path, capsys)
    write_arrays(tmp_path)
    whole = (tmp_path / "train.npz").read_bytes()
    for content in (whole[:-30], whole[:100], b"", b"\x93NUMPY", whole.replace(b"PK", b"KP", 1), whole[:60] + b"\xff" * 40 + whole[100:]):
        (tmp_path / "train.npz").write_bytes(content)
        assert "train.npz is missing, or is not a file of named numpy arrays" in refused(module, tmp_path, capsys)
    np.save(tmp_path / "train.npy", np.zeros(3))
    (tmp_path / "train.npy").rename(tmp_path / "train.npz")
    assert "train.npz is missing" in refused(module, tmp_path, capsys)
    write_arrays(tmp_path, a=np.full((10, 4, 2), 1.5))
    assert "`a` holds something else than numbers from 0 to 1\n" in refused(module, tmp_path, capsys)
    write_arrays(tmp_path, **{name: array[:1] for name, array in write_arrays(tmp_path).items()})
    assert "too few examples" in refused(module, tmp_path, capsys)


# text


def test_all_texts_are_clean(tmp_path: Path) -> None:
    """Whatever is combined: formatted, and without names that are not used or not known."""
    cases = [
        sequences(),
        tagger(),
        spec(Data("adding", sequences=9), SPIN, component("y", "output", (1,), "real", at="last"), 11, updates=7, epochs=None),
    ]
    target: Any = {"target": "x"}
    for name, layout, standardize, permute, relabel in itertools.product(
        ("digits", "mnist", "cifar10"), PHOTOS, (False, True), (None, 2), (None, (1,) * 10)
    ):
        data = Data(name, layout, standardize=standardize, permute_seed=permute, relabel=relabel)  # type: ignore[arg-type]
        cases.append(spec(data, steps=PHOTOS[layout][1]))
    for name, layout, flip in itertools.product(("digits", "mnist", "cifar10"), PHOTOS, (None, 0.123456789012345)):
        for given, output in itertools.product(("spin", "pixel"), repeat=2):
            data = Data(name, layout, threshold=0.123456789012345, flip_prob=flip, predict="image", seed=2**62)  # type: ignore[arg-type]
            cases.append(spec(data, component("x", "input", (64,), given), component("y", "output", (64,), output), 3))
        cases.append(spec(Data(name, layout, threshold=0.5), SPIN, component("y", "output", (64,), "spin", **target)))  # type: ignore[arg-type]
    cases.append(spec(Data("adding", sequences=10**7, seed=2**62), SPIN, component("y", "output", (1,), "real", at="last"), 10**6))
    long = Data("tags", tokens=10**6, tags=10**6, min_steps=10**6, max_steps=10**6, sequences=10**7, seed=2**62)
    cases += [tagger(long), sequences("digit"), sequences("level"), sequences("spin")]
    for shift, mirror in ((0, True), (4, True), (1000, False)):
        cases.append(photos(Data("cifar10", "image", shift_pixels=shift, mirror=mirror, standardize=True), updates=3, epochs=None))
    for k, case in enumerate(cases):
        (tmp_path / f"train_{k}.py").write_text(render("torch/train.py.jinja", training=training_context(case)))
    for command in (["format", "--diff"], ["check", "--select", "E,F,I,B,UP,SIM,RUF", "--ignore", "RUF001,RUF002,RUF003"]):
        options = ["--isolated", "--line-length", "120", "--target-version", "py311", "--no-cache", str(tmp_path)]
        done = subprocess.run([sys.executable, "-m", "ruff", *command, *options], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
