"""What ``train.py`` needs to know of a spec."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from cgc.emit.arrays import Array, arrays
from cgc.emit.data_sets import (
    DEFAULT_VALIDATION,
    IMAGES,
    TITLES,
    Images,
    Metric,
    compared,
    have_lengths,
    inputs,
    metric,
    targets,
    two_states,
)
from cgc.emit.priors import PriorContext, prior_context
from cgc.families.forms import Indicators
from cgc.program.ir import Program
from cgc.spec.model import Component, Data, Spec


@dataclass(frozen=True)
class Transfer:
    """Components that start with the parameters of another spec's checkpoint; ``spec`` is its name, ``source`` its file."""

    components: tuple[str, ...]
    spec: str
    source: str
    frozen: bool


@dataclass(frozen=True)
class TrainingContext:
    """What the template ``torch/train.py.jinja`` prints; its variable is called ``training``.

    ``source`` is the spec's file name without folders. ``given`` are the options of the data, ``images`` their sizes, if they are images.
    An example is the tensors ``names``: inputs, targets, and lengths where they differ; ``inputs`` are the names that a model's answers
    need, and ``against`` what an answer is compared with. ``target`` says how labels are passed to ``loss``: as int64 of shape (batch,)
    or as float values of shape (batch, 1). ``metric`` is what is reported on test data, ``compared`` how much of an example it compares,
    ``several`` whether a step of it has several nodes, ``merged`` whether draws are rows, ``outputs`` how many there are. ``once`` are the
    components at the last step alone.
    ``states`` are what the input's and the output's pixels become, below and above a threshold. None stands for what the spec leaves out.
    """

    name: str
    source: str
    data: str
    data_title: str
    data_file: str | None
    given: Data
    images: Images | None
    arrays: tuple[Array, ...]
    steps: int | None
    names: tuple[str, ...]
    inputs: tuple[str, ...]
    against: str
    states: tuple[tuple[str, str], tuple[str, str]]
    validation: float
    outputs: tuple[str, ...]
    once: tuple[str, ...]
    target: Literal["label", "value"]
    metric: Metric
    compared: Literal["once", "nodes", "steps"]
    several: bool
    merged: bool
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
    reuse: Transfer | None
    epochs: int | None
    updates: int | None
    batch_size: int
    seed: int

    @property
    def validation_percent(self) -> str:
        """``validation`` in words."""
        return f"{100 * self.validation:.3g}"

    def each(self, suffix: str = "") -> str:
        """The tensors of an example, each with ``suffix``: ``x[rows], y[rows]``."""
        return ", ".join(name + suffix for name in self.names)

    def packed(self, suffix: str = "") -> str:
        """The same as a tuple."""
        return f"({self.each(suffix)}{',' if len(self.names) == 1 else ''})"

    @property
    def given_alone(self) -> str:
        """The tensors of an example, as a pattern that keeps what a model's answers need."""
        kept = ", ".join(name if name in self.inputs else "_" for name in self.names)
        return f"({kept},)" if len(self.names) == 1 else kept

    def asked(self, suffix: str) -> str:
        """What a model's answers need, each with ``suffix``."""
        return ", ".join(name + suffix for name in self.inputs)

    @property
    def labelled(self) -> bool:
        """Whether the labels of images are targets."""
        return "y" in self.names and self.given.predict == "label"

    @property
    def frozen(self) -> bool:
        """Whether components of another spec's checkpoint stay as they are."""
        return self.reuse is not None and self.reuse.frozen

    @property
    def augmented(self) -> bool:
        """Whether training images are changed from epoch to epoch."""
        return bool(self.given.shift_pixels or self.given.mirror)


def training_context(spec: Spec, program: Program | None = None) -> TrainingContext:
    """The settings of ``spec.train``, ready to print; ``program`` tells which weights have priors of their own.

    Raises ValueError for a spec without training or without an output.
    """
    train = spec.train
    outputs = [component for component in spec.components if component.role == "output"]
    if train is None or not outputs:
        raise ValueError(f"{spec.name} says nothing about training")
    data, images = train.data, IMAGES.get(train.data.name)
    law = spec.family(outputs[0].family).law
    schedule = train.schedule
    x, y = _numbered("x", inputs(spec)), _numbered("y", targets(spec))
    lengths = ("lengths",) if have_lengths(spec, data) else ()
    return TrainingContext(
        name=spec.name,
        source=_plain(spec.files[0]) if spec.files else spec.name,
        data=data.name,
        data_title=TITLES[data.name],
        data_file=images.file if images else None,
        given=data,
        images=images,
        arrays=arrays(spec, (*x, *y)) if data.name == "npz" else (),
        steps=spec.steps,
        names=(*x, *y, *lengths),
        inputs=(*x, *lengths),
        against=y[0] if y else x[0],
        states=(_states(spec, inputs(spec)[0]), _states(spec, outputs[0])),
        validation=DEFAULT_VALIDATION if data.validation is None else data.validation,
        outputs=tuple(component.name for component in outputs),
        once=tuple(component.name for component in spec.components if component.at == "last"),
        target="label" if isinstance(law, Indicators) else "value",
        metric=metric(spec),
        compared=compared(spec, data),
        several=outputs[0].size > 1,
        merged=program is not None and program.draws_are_rows,
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
        reuse=_transfer(spec),
        epochs=train.epochs,
        updates=train.updates,
        batch_size=train.batch_size,
        seed=train.seed,
    )


def _numbered(letter: str, components: tuple[Component, ...]) -> tuple[str, ...]:
    """``x``, or ``x1``, ``x2``, … where there are several: names that nothing else in the script has."""
    return (letter,) if len(components) == 1 else tuple(f"{letter}{k}" for k in range(1, len(components) + 1))


def _states(spec: Spec, component: Component) -> tuple[str, str]:
    low, high = two_states(spec.family(component.family).law)
    return repr(low), repr(high)


def _transfer(spec: Spec) -> Transfer | None:
    reuse = spec.train.reuse if spec.train else None
    if reuse is None or reuse.spec is None:
        return None
    return Transfer(reuse.components, reuse.spec.name, _plain(reuse.source), reuse.frozen)


def _plain(path: str) -> str:
    """The file name in ``path``, with a question mark for what could end a docstring or a line."""
    return re.sub(r"[^\w.+ -]", "?", re.split(r"[/\\]", path)[-1], flags=re.ASCII)
