"""The data that a spec can train on: what their examples hold, in which layouts, and how targets are compared with answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cgc.families.forms import FiniteExponential, Indicators, Law, Noise, Y
from cgc.spec.model import Component, Data, Spec

DEFAULT_VALIDATION = 0.1
"""The part of the training examples that is for validation when the spec does not say: nothing is ever chosen on test data."""

TITLES = {
    "digits": "the digits that come with this package",
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "npz": "the arrays in train.npz and test.npz",
    "adding": "the adding problem",
    "tags": "generated sequences of tokens and their tags",
}


@dataclass(frozen=True)
class Images:
    """Images with one label each: pixels lie in [0, 1] and are multiples of 1 / ``levels``.

    ``file`` is the bundled file that stands beside ``train.py``, if there is one.
    """

    channels: int
    rows: int
    columns: int
    classes: int
    levels: int
    file: str | None = None

    @property
    def pixels(self) -> int:
        """Places of an image, in each of which every channel has a value."""
        return self.rows * self.columns

    def shape(self, layout: str) -> tuple[tuple[int, ...], int | None]:
        """Nodes, at each step if there are any, and time steps."""
        return {
            "vector": ((self.channels * self.pixels,), None),
            "image": ((self.channels, self.rows, self.columns), None),
            "row_sequence": ((self.channels * self.columns,), self.rows),
            "pixel_sequence": ((self.channels,), self.pixels),
        }[layout]


IMAGES = {
    "digits": Images(1, 8, 8, 10, 16, "digits.csv.gz"),
    "mnist": Images(1, 28, 28, 10, 255),
    "cifar10": Images(3, 32, 32, 10, 255),
}


def two_states(law: Law) -> tuple[float, float]:
    """What pixels become that are not, and that are, above a threshold: the states of a node that has two, else 0 and 1."""
    if isinstance(law, FiniteExponential) and len(law.support) == 2:
        low, high = sorted(float(state) for state in law.support)
        return low, high
    return 0.0, 1.0


def inputs(spec: Spec) -> tuple[Component, ...]:
    """The inputs, in the order of the spec."""
    return tuple(component for component in spec.components if component.role == "input")


def targets(spec: Spec) -> tuple[Component, ...]:
    """The outputs that need values of their own, in the order of the spec."""
    return tuple(component for component in spec.components if component.role == "output" and component.target is None)


def have_lengths(spec: Spec, data: Data) -> bool:
    """Whether the sequences of the data differ in length."""
    return data.name == "tags" or (data.name == "npz" and spec.steps is not None)


Metric = Literal["accuracy", "mean_squared_error", "loss"]


def metric(spec: Spec) -> Metric:
    """What is reported beside the loss: how often the most probable state is right, or how far the mean of a Gaussian is off."""
    outputs = [component for component in spec.components if component.role == "output"]
    law = spec.family(outputs[0].family).law
    if len(outputs) > 1:
        return "loss"
    if isinstance(law, Indicators | FiniteExponential):
        return "accuracy"
    return "mean_squared_error" if isinstance(law, Noise) and law.base == "normal" and law.value == Y else "loss"


def compared(spec: Spec, data: Data) -> Literal["once", "nodes", "steps"]:
    """How much of an example the metric compares: one value, several, or those of its valid steps."""
    output = next(component for component in spec.components if component.role == "output")
    over_time = spec.steps is not None and output.at == "all"
    if over_time and have_lengths(spec, data):
        return "steps"
    return "nodes" if over_time or output.size > 1 else "once"
