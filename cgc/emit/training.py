"""What ``train.py`` needs to know of a spec, and whether the data that a spec trains on fit its inputs and outputs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from cgc.emit.priors import PriorContext, prior_context
from cgc.families.forms import FiniteExponential, Indicators
from cgc.program.ir import Program
from cgc.source.diagnostics import Diagnostic
from cgc.source.text import Span
from cgc.spec.model import Component, Data, Spec

DEFAULT_VALIDATION = 0.1
"""The part of MNIST's training images that is for validation when the spec does not say: nothing is ever chosen on test data."""


@dataclass(frozen=True)
class DataSet:
    """Grey-scale images with one label each: pixels lie in [0, 1] and are multiples of 1 / ``levels``.

    ``file`` is the bundled file that stands beside ``train.py``, if there is one.
    """

    title: str
    rows: int
    columns: int
    classes: int
    levels: int
    file: str | None = None


DATA_SETS = {
    "digits": DataSet("the digits that come with this package", 8, 8, 10, 16, "digits.csv.gz"),
    "mnist": DataSet("MNIST", 28, 28, 10, 255),
}


@dataclass(frozen=True)
class TrainingContext:
    """What the template ``torch/train.py.jinja`` prints; its variable is called ``training``.

    ``source`` is the spec's file name without folders. ``target`` says how labels are passed to ``loss``: as int64 of shape (batch,)
    or as float values of shape (batch, 1). ``metric`` is what is reported on test data. None stands for what the spec leaves out.
    """

    name: str
    source: str
    data: str
    data_title: str
    data_file: str | None
    layout: str
    rows: int
    columns: int
    classes: int
    threshold: float | None
    permute_seed: int | None
    validation: float
    output: str
    target: Literal["label", "value"]
    metric: Literal["accuracy", "loss"]
    optimizer: Literal["SGD", "Adam"]
    learning_rate: float
    momentum: float
    schedule: Literal["plateau", "steps"] | None
    schedule_factor: float
    schedule_patience: int
    schedule_epochs: tuple[int, ...]
    early_stop_patience: int | None
    gradient_clip_norm: float | None
    prior: PriorContext
    epochs: int
    batch_size: int
    seed: int

    @property
    def pixels(self) -> int:
        """Pixels per image."""
        return self.rows * self.columns

    @property
    def validation_percent(self) -> str:
        """``validation`` in words."""
        return f"{100 * self.validation:.3g}"


def training_context(spec: Spec, program: Program | None = None) -> TrainingContext:
    """The settings of ``spec.train``, ready to print; ``program`` tells which weights have priors of their own.

    Raises ValueError for a spec without training or without an output.
    """
    train = spec.train
    output = next((component for component in spec.components if component.role == "output"), None)
    if train is None or output is None:
        raise ValueError(f"{spec.name} says nothing about training")
    data = DATA_SETS[train.data.name]
    law = spec.family(output.family).law
    schedule = train.schedule
    validation = train.data.validation
    return TrainingContext(
        name=spec.name,
        source=_plain(spec.files[0]) if spec.files else spec.name,
        data=train.data.name,
        data_title=data.title,
        data_file=data.file,
        layout=train.data.layout,
        rows=data.rows,
        columns=data.columns,
        classes=data.classes,
        threshold=train.data.threshold,
        permute_seed=train.data.permute_seed,
        validation=DEFAULT_VALIDATION if validation is None else validation,
        output=output.name,
        target="label" if isinstance(law, Indicators) else "value",
        metric="accuracy" if isinstance(law, Indicators | FiniteExponential) else "loss",
        optimizer="SGD" if train.optimizer.kind == "sgd" else "Adam",
        learning_rate=train.optimizer.learning_rate,
        momentum=train.optimizer.momentum,
        schedule=schedule.kind if schedule else None,
        schedule_factor=schedule.factor if schedule else 1.0,
        schedule_patience=schedule.patience_epochs if schedule else 0,
        schedule_epochs=schedule.at_epochs if schedule else (),
        early_stop_patience=train.early_stop_patience_epochs,
        gradient_clip_norm=train.gradient_clip_norm,
        prior=prior_context(train.prior, program),
        epochs=train.epochs,
        batch_size=train.batch_size,
        seed=train.seed,
    )


def _plain(path: str) -> str:
    """The file name in ``path``, with a question mark for what could end a docstring or a line."""
    return re.sub(r"[^\w.+ -]", "?", re.split(r"[/\\]", path)[-1], flags=re.ASCII)


def check_data(spec: Spec) -> list[Diagnostic]:
    """What keeps the data of ``spec.train`` from being this graph's inputs and outputs; empty if nothing does (CG701 to CG707)."""
    if spec.train is None:
        return []
    data = spec.train.data
    inputs = [component for component in spec.components if component.role == "input"]
    outputs = [component for component in spec.components if component.role == "output"]
    if len(inputs) != 1 or len(outputs) != 1:
        have = f"{_count(len(inputs), 'input')} and {_count(len(outputs), 'output')}"
        why = f"an example of {data.name} is one image and its label"
        return [Diagnostic("CG701", f"{data.name} cannot train a graph with {have}", _place(spec), why=why, help="declare one of each")]
    findings = _check_split(spec, data)
    findings += _check_shape(spec, inputs[0], data)
    findings += _check_values(spec, inputs[0], data)
    findings += _check_output(spec, outputs[0], data)
    return findings


def _place(spec: Spec) -> Span:
    """What to point at for the data as a whole."""
    assert spec.train is not None
    return spec.train.data.span or spec.train.span or spec.span


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _check_split(spec: Spec, data: Data) -> list[Diagnostic]:
    if data.name != "digits" or data.validation is None:
        return []
    why = "row i is for testing if i % 5 = 4, for validation if i % 5 = 3"
    return [Diagnostic("CG707", "the split of digits is fixed", _place(spec), why=why, help="leave out `validation`")]


def _check_shape(spec: Spec, given: Component, data: Data) -> list[Diagnostic]:
    """Nodes and time steps of the input against the layout."""
    known = DATA_SETS[data.name]
    pixels = known.rows * known.columns
    nodes, steps = {
        "vector": ((pixels,), None),
        "image": ((1, known.rows, known.columns), None),
        "row_sequence": ((known.columns,), known.rows),
        "pixel_sequence": ((1,), pixels),
    }[data.layout]
    findings = []
    layout = f"{data.name} as {data.layout}"
    place = given.nodes_span or given.span
    if given.nodes != nodes:
        wanted = f"nodes: {nodes[0] if len(nodes) == 1 else list(nodes)}"
        message = f"{layout} does not fit the nodes of `{given.name}`"
        label = f"{_extent(given.nodes)} here, {_extent(nodes)} in the data"
        findings.append(Diagnostic("CG702", message, place, label, help=f"use `{wanted}`, or another `as`"))
    if spec.steps != steps:
        message = f"{layout} has {_count(steps, 'time step') if steps else 'no time'}, the graph {spec.steps or 'none'}"
        help = f"use `time: {{steps: {steps}}}`, or another `as`" if steps else "use `as: row_sequence` or `as: pixel_sequence`"
        findings.append(Diagnostic("CG703", message, _place(spec), help=help))
    return findings


def _extent(nodes: tuple[int, ...]) -> str:
    return " x ".join(str(extent) for extent in nodes)


def _check_values(spec: Spec, given: Component, data: Data) -> list[Diagnostic]:
    """The pixels' values against the states of the input."""
    law = spec.family(given.family).law
    message = f"pixels are no values of `{given.name}`"
    if isinstance(law, Indicators):
        why = "its values are labels, a pixel is a number between 0 and 1"
        return [Diagnostic("CG704", message, given.span, why=why, help="use `family: {kind: binary, values: [0, 1]}, clamp: soft`")]
    if not isinstance(law, FiniteExponential):
        return []
    states = ", ".join(str(state) for state in law.support)
    if given.clamp == "soft":
        if min(law.support) <= 0 and max(law.support) >= 1:
            return []
        why = f"pixels lie between 0 and 1, its values between {min(law.support)} and {max(law.support)}"
        return [Diagnostic("CG704", message, given.span, why=why, help="use `values: [0, 1]`")]
    levels = DATA_SETS[data.name].levels
    pixels = [Fraction(0), Fraction(1)] if data.threshold is not None else [Fraction(k, levels) for k in range(levels + 1)]
    if all(pixel in law.support for pixel in pixels):
        return []
    if data.threshold is not None:
        why = f"with a threshold a pixel is 0 or 1, its states are {states}"
        return [Diagnostic("CG704", message, given.span, why=why, help="use `values: [0, 1]`")]
    why = f"a pixel is a number between 0 and 1, its states are {states}"
    return [Diagnostic("CG704", message, given.span, why=why, help="use `clamp: soft`, or `threshold: 0.5` in the data")]


def _check_output(spec: Spec, output: Component, data: Data) -> list[Diagnostic]:
    """The labels against what the output can be."""
    law = spec.family(output.family).law
    classes = DATA_SETS[data.name].classes
    if output.size != 1:
        message = f"`{output.name}` has {output.size} nodes, an example of {data.name} has one label"
        place = output.nodes_span or output.span
        help = f"use `nodes: 1` with `family: {{kind: categorical, labels: {classes}}}`"
        return [Diagnostic("CG705", message, place, help=help)]
    if spec.steps is not None and output.at == "all":
        message = f"`{output.name}` has a value at every time step, an example of {data.name} has one label"
        return [Diagnostic("CG705", message, output.span, help="use `at: last`")]
    if isinstance(law, Indicators) and law.labels != classes:
        message = f"`{output.name}` has {law.labels} labels, {data.name} has {classes}"
        place = spec.family(output.family).place("labels")
        return [Diagnostic("CG706", message, place, help=f"use `labels: {classes}`")]
    if isinstance(law, FiniteExponential) and not all(label in law.support for label in range(classes)):
        states = ", ".join(str(state) for state in law.support)
        message = f"the labels of {data.name} are no values of `{output.name}`"
        why = f"labels are 0 to {classes - 1}, its states are {states}"
        help = f"use `family: {{kind: categorical, labels: {classes}}}`"
        return [Diagnostic("CG706", message, output.span, why=why, help=help)]
    return []
