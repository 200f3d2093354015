"""The paper's experiments (section 5.1) as data: which spec, with what changed, on which examples, for how long.

``full`` is the paper's budget: three seeds and the training that the spec says. ``smoke`` shows in minutes that everything runs; its
figures say nothing about the methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Overrides = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Case:
    """One point of a figure: the method ``series`` at ``place`` (a word, or a rate), and what it changes in the spec."""

    series: str
    place: str
    overrides: Overrides = ()
    params: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """A name for folders."""
        return f"{self.place}-{self.series}".lower().replace(" ", "_")


@dataclass(frozen=True)
class Budget:
    """``examples`` of the training data (None: all), ``epochs`` (None: as the spec says) and seeds 0 … ``seeds`` - 1."""

    seeds: int
    epochs: int | None = None
    examples: int | None = None


@dataclass(frozen=True)
class Experiment:
    """A figure or table: its cases, and what is shown of each run's ``best`` checkpoint, the one with the lowest validation loss."""

    name: str
    title: str
    spec: str
    data: Literal["mnist", "cifar10"]
    shows: Literal["error", "accuracy"]
    cases: tuple[Case, ...]
    full: Budget
    smoke: Budget
    smoke_cases: tuple[str, ...] = ()
    """Places that the smoke budget keeps; all, if there are none."""


RATE = "inference.train.sample_rate"


def pcff(rate: float) -> Overrides:
    """Each node is sampled with probability ``rate`` (eq. 14)."""
    return (("inference.train.method", "pcff"), (RATE, f"{rate:g}"))


FEED_FORWARD: Overrides = (("inference.train.method", "feed_forward"), (RATE, "null"))

# every edge out of hidden nodes: dropout follows each rectifier, as in the published code of the paper's experiment. There the two edges
# out of h1 (and out of h2) share their draws; here each has its own, one D for each chain component, as equation 12 says.
_DROPPED = (
    *(f"refine.{name}.{edge}" for name in ("h1", "h2", "h3") for edge in ("through.z.parents.previous", "back")),
    *(f"components.{name}.parents.{parent}" for name, parent in (("z2", "h1"), ("h2", "z2"), ("h2", "h1"))),
    *(f"components.{name}.parents.{parent}" for name, parent in (("z3", "h2"), ("h3", "z3"), ("h3", "h2"), ("p", "h3"))),
)


def dropout(rate: float, *edges: str) -> Overrides:
    """A dropout node (eq. 12) on each of ``edges``."""
    return tuple((f"{edge}.gate", f"{{kind: bernoulli, keep_prob: {1 - rate:g}}}") for edge in edges)


def _dense() -> tuple[Case, ...]:
    cases = []
    for word, changed, rate in (("tanh", (), 0.4), ("ReLU", (("families.node", "rect"),), 1.0)):
        cases += [
            Case("None", word, changed),
            Case("Dropout", word, changed, (("keep_prob", "0.5"),)),
            Case("PCFF", word, (*changed, *pcff(rate))),
        ]
    return tuple(cases)


def _residual() -> tuple[Case, ...]:
    cases = [Case("None", "0", FEED_FORWARD)]
    for rate in (k / 10 for k in range(1, 10)):
        cases += [Case("Dropout", f"{rate:g}", (*FEED_FORWARD, *dropout(rate, *_DROPPED))), Case("PCFF", f"{rate:g}", pcff(rate))]
    return tuple(cases)


def _sequences() -> tuple[Case, ...]:
    cases = []
    for word, changed in (("sequential", ()), ("permuted", (("train.data.permute_seed", "0"),))):
        dropped = (("components.h.parents.x", "{kind: dense, gate: {kind: bernoulli, keep_prob: 0.9}}"),)
        cases += [
            Case("None", word, changed),
            Case("Dropout", word, (*changed, *dropped)),
            Case("PCFF", word, (*changed, *pcff(0.1))),
        ]
    return tuple(cases)


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "dense",
            "MNIST, two dense hidden layers of 1024 nodes (Figure 4, left)",
            "mnist_dense",
            "mnist",
            "error",
            _dense(),
            Budget(3),
            Budget(1, epochs=10),
        ),
        Experiment(
            "residual",
            "CIFAR-10, ResNet-20, over drop and sample rates (Figure 4, right)",
            "resnet20_cifar10",
            "cifar10",
            "error",
            _residual(),
            Budget(3),
            Budget(1, epochs=3, examples=5_000),
            ("0", "0.3", "0.6"),
        ),
        Experiment(
            "sequential",
            "Sequential and permuted MNIST, IndRNN of six layers (section 5.1)",
            "indrnn_pixel_mnist",
            "mnist",
            "accuracy",
            _sequences(),
            Budget(3),
            Budget(1, epochs=1, examples=2_000),
        ),
    )
}
