"""What is derived from a density: the frozen record that the program stage reads and that people inspect."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cgc.families.forms import Density, Law, MaxOf, Mixture, Noise, Support
from cgc.formula.scalar import Const, Op, Scalar, Var, random, walk


@dataclass(frozen=True)
class Step:
    """One step of a derivation: what was done, the formula that came out of it (text and LaTeX), and where the paper says so."""

    reason: str
    text: str
    latex: str
    source: str = ""


@dataclass(frozen=True)
class Labels:
    """Draw a label with probability softmax(e)."""

    labels: int


@dataclass(frozen=True)
class Draw:
    """A draw of the state as a formula of e with random parts. ``pathwise``: the draw carries the gradient (reparameterisation).

    ``given`` are variables of the formula, drawn before it, in this order: what is drawn once and read repeatedly. ``states`` are
    the states of a node that has finitely many.
    """

    value: Scalar
    pathwise: bool
    states: tuple[Const, ...] = ()
    given: tuple[tuple[str, Scalar], ...] = ()

    @property
    def random(self) -> bool:
        """Whether there is anything to draw."""
        return any(random(part) for part in (self.value, *(part for _, part in self.given)))


Sampling = Draw | Labels


@dataclass(frozen=True)
class Approximation:
    """A named activation in place of the exact expectation: the largest absolute error over all e, and every e where it is attained."""

    name: str
    formula: Scalar
    text: str
    max_error: float
    at: tuple[float, ...]

    @property
    def where(self) -> str:
        """The places of the largest error, in words; opposite places are put together."""
        if len(self.at) == 2 and math.isfinite(self.at[1]) and abs(self.at[0] + self.at[1]) <= 1e-9 * abs(self.at[1]):
            return f"|e| = {abs(self.at[1]):.6g}"
        words = {math.inf: "towards infinity", -math.inf: "towards minus infinity"}
        return ", ".join(words.get(e, f"e = {e:.6g}") for e in self.at)


@dataclass(frozen=True)
class Check:
    """How expectation and variance were confirmed: against what, at how many energies, and the largest relative difference."""

    against: str
    points: int
    max_difference: float
    at: float = 0.0


@dataclass(frozen=True)
class Numeric:
    """A numerical rule in place of a closed form: what it is, and the largest error that was measured, where, relative to the size of
    what is averaged. Between ``low`` and ``high`` it holds; energies beyond are taken as these."""

    rule: str
    error: float
    at: float
    low: float
    high: float


@dataclass(frozen=True)
class Derivation:
    """Everything that follows from one density.

    ``density`` is one line of text. ``expectation`` is E[T(X) | e] (exactly, unless ``numeric`` says otherwise), ``variance`` that of
    T(X); ``computed`` what the network computes for the expectation (the same, or the named approximation).
    ``log_likelihood`` is log p(x | e) as a function of x and e, None where the node has no likelihood (``no_likelihood`` says why).
    ``statistic`` is T(x), None for the identity; ``mode`` the most probable state, None where the expectation stands for it. ``names``
    are subexpressions that deserve a name where formulas are printed. ``moments`` are mean and variance of T(X) when the energy itself
    is N(m, v), as functions of m and v.
    """

    law: Law
    density: str
    steps: tuple[Step, ...]
    expectation: Scalar
    expectation_text: str
    expectation_latex: str
    variance: Scalar
    variance_text: str
    variance_latex: str
    derivative_text: str
    derivative_latex: str
    computed: Scalar
    approximation: Approximation | None
    sampling: Sampling
    sampling_text: str
    log_likelihood: Scalar | None
    log_likelihood_text: str
    no_likelihood: str
    statistic: Scalar | None
    mode: Scalar | None
    check: Check
    numeric: Numeric | None = None
    moments: tuple[Scalar, Scalar] | None = None
    names: tuple[tuple[Scalar, str], ...] = ()

    @property
    def discrete(self) -> bool:
        """Whether a draw passes no gradient on its own."""
        return not (isinstance(self.sampling, Draw) and self.sampling.pathwise)

    @property
    def limits(self) -> tuple[float, float]:
        """The energies between which the expectation holds: all, unless a numerical rule says otherwise."""
        return (self.numeric.low, self.numeric.high) if self.numeric is not None else (-math.inf, math.inf)

    @property
    def measure(self) -> str:
        """What the likelihood is: "states" (probabilities), "density", or "mixed" where some states have a probability of their own."""
        if isinstance(self.law, Density) and isinstance(self.law.support, Support):
            return "states" if self.law.support.whole else "density"
        if isinstance(self.law, MaxOf):
            return "density"
        if isinstance(self.law, Noise):
            atoms = self.log_likelihood is not None and any(
                isinstance(node, Op) and node.name == "eq" for node in walk(self.log_likelihood)
            )
            return "mixed" if atoms else "density"
        if isinstance(self.law, Mixture):
            return "mixed"
        return "states"

    @property
    def copies_energy(self) -> bool:
        """Whether the node is its energy."""
        return self.deterministic and self.computed == Var("e")

    @property
    def deterministic(self) -> bool:
        """Whether the node is a function of its energy, so that there is nothing to draw."""
        return isinstance(self.sampling, Draw) and not self.sampling.random


class Refusal(Exception):
    """A density from which nothing can be derived: ``field`` is the field at fault, ``why`` the reason."""

    def __init__(self, code: str, message: str, field: str = "", why: str = "", help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.field, self.why, self.help = code, message, field, why, help
