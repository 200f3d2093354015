"""Whether a data set fits a graph: what is refused, with which words, and what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hand_made import component, make_spec

from cgc.emit.fit import check_data
from cgc.emit.training import training_context
from cgc.spec.model import Component, Data, Optimizer, Spec, Train


def spec(data: Data, nodes: tuple[int, ...], *, steps: int | None = None, output: Component | None = None, **given: Any) -> Spec:
    family = given.pop("family", "pixel")
    train = Train(data, Optimizer("adam", 0.003), epochs=1, batch_size=64)
    at: Any = "last" if steps else "all"
    return make_spec(
        train=train,
        input=component("x", "input", nodes, family, **({"clamp": "soft"} | given)),
        output=output or component("y", "output", (1,), "labels", at=at),
        steps=steps,
    )


FITS = [
    spec(Data("digits", "vector"), (64,)),
    spec(Data("digits", "image"), (1, 8, 8)),
    spec(Data("digits", "row_sequence"), (8,), steps=8),
    spec(Data("digits", "pixel_sequence"), (1,), steps=64),
    spec(Data("mnist", "vector", validation=0.2), (784,)),
    spec(Data("mnist", "image"), (1, 28, 28)),
    spec(Data("mnist", "row_sequence"), (28,), steps=28),
    spec(Data("mnist", "pixel_sequence"), (1,), steps=784),
    spec(Data("digits", "vector"), (64,), family="spin"),
    spec(Data("digits", "vector", threshold=0.5), (64,), clamp="hard"),
    spec(Data("digits", "vector", threshold=0.5), (64,), family="spin", clamp="hard"),
    spec(Data("digits", "vector"), (64,), family="level", clamp="hard"),
    spec(Data("digits", "vector"), (64,), family="real", clamp="hard"),
    spec(Data("digits", "vector"), (64,), output=component("y", "output", (1,), "digit")),
    spec(Data("digits", "vector"), (64,), output=component("y", "output", (1,), "real")),
    replace(spec(Data("digits", "vector"), (3,)), train=None),
]


@pytest.mark.parametrize("spec", FITS)
def test_fits(spec: Spec) -> None:
    assert check_data(spec) == []


PIXELS = "pixels are no values of `x`"
DIGITS = Data("digits", "vector")
Y = component("y", "output", (1,), "labels", at="last")
REFUSED = [
    (spec(DIGITS, (63,)), "CG702", "digits as vector does not fit the nodes of `x`", "use `nodes: 64`, or another `as`"),
    (
        spec(Data("mnist", "image"), (28, 28)),
        "CG702",
        "mnist as image does not fit the nodes of `x`",
        "use `nodes: [1, 28, 28]`, or another `as`",
    ),
    (
        spec(Data("digits", "row_sequence"), (8,)),
        "CG703",
        "digits as row_sequence has 8 time steps, the graph none",
        "use `time: {steps: 8}`, or another `as`",
    ),
    (
        spec(Data("mnist", "pixel_sequence"), (1,), steps=64),
        "CG703",
        "mnist as pixel_sequence has 784 time steps, the graph 64",
        "use `time: {steps: 784}`, or another `as`",
    ),
    (
        spec(DIGITS, (64,), steps=8),
        "CG703",
        "digits as vector has no time, the graph 8",
        "use `as: row_sequence` or `as: pixel_sequence`",
    ),
    (
        spec(DIGITS, (64,), clamp="hard"),
        "CG704",
        PIXELS,
        "use `clamp: soft`, or `threshold: 0.5` in the data",
    ),
    (spec(Data("mnist", "vector"), (784,), family="level", clamp="hard"), "CG704", PIXELS, None),
    (spec(DIGITS, (64,), family="labels", clamp="hard"), "CG704", PIXELS, None),
    (
        spec(DIGITS, (64,), output=component("y", "output", (10,), "real")),
        "CG705",
        "`y` has 10 nodes, an example of digits has one label",
        "use `nodes: 1` with `family: {kind: categorical, labels: 10}`",
    ),
    (
        spec(Data("digits", "row_sequence"), (8,), steps=8, output=replace(Y, at="all")),
        "CG705",
        "`y` has a value at every time step, an example of digits has one label",
        "use `at: last`",
    ),
    (
        spec(DIGITS, (64,), output=replace(Y, family="nine")),
        "CG706",
        "`y` has 9 labels, digits has 10",
        "use `labels: 10`",
    ),
    (
        spec(DIGITS, (64,), output=replace(Y, family="spin")),
        "CG706",
        "the labels of digits are no values of `y`",
        "use `family: {kind: categorical, labels: 10}`",
    ),
    (spec(Data("digits", "vector", validation=0.2), (64,)), "CG707", "the split of digits is fixed", "leave out `validation`"),
]


@pytest.mark.parametrize(("spec", "code", "message", "help"), REFUSED)
def test_refused(spec: Spec, code: str, message: str, help: str | None) -> None:
    [finding] = check_data(spec)
    assert (finding.code, finding.message, finding.severity) == (code, message, "error")
    assert finding.span is not None
    assert finding.help if help is None else finding.help == help


def test_several_inputs_or_outputs_are_refused_once() -> None:
    spec = make_spec(more=(component("z", "input", (3,), "real"), component("w", "output", (1,), "labels")))
    [finding] = check_data(spec)
    assert (finding.code, finding.message) == ("CG701", "digits cannot train a graph with 2 inputs and 2 outputs")


def test_every_mistake_is_found() -> None:
    wrong = spec(Data("digits", "row_sequence"), (7,), steps=9, clamp="hard", output=replace(Y, family="nine"))
    assert [finding.code for finding in check_data(wrong)] == ["CG702", "CG703", "CG704", "CG706"]


def test_without_training_there_is_no_script() -> None:
    with pytest.raises(ValueError, match="nothing about training"):
        training_context(replace(make_spec(), train=None))
