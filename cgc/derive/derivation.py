"""What is derived from a density: the frozen record that the program stage reads and that people inspect."""

from __future__ import annotations

from dataclasses import dataclass

from cgc.families.forms import Law
from cgc.formula.scalar import Const, Scalar


@dataclass(frozen=True)
class Step:
    """One step of a derivation: what was done, the formula that came out of it (text and LaTeX), and where the paper says so."""

    reason: str
    text: str
    latex: str
    source: str = ""


@dataclass(frozen=True)
class TwoStates:
    """Draw ``high`` with ``probability`` (a function of e), else ``low``."""

    low: Const
    high: Const
    probability: Scalar


@dataclass(frozen=True)
class States:
    """Draw ``states[k]`` with a probability proportional to exp(log_weights[k])."""

    states: tuple[Const, ...]
    log_weights: tuple[Scalar, ...]


@dataclass(frozen=True)
class Labels:
    """Draw a label with probability softmax(e)."""

    labels: int


@dataclass(frozen=True)
class Latent:
    """Draw standard noise n of ``base``, return value(e + scale·n). ``pathwise``: the draw carries the gradient (reparameterisation).

    ``scale`` is None for a deterministic node, which is never drawn.
    """

    base: str
    scale: Scalar | None
    value: Scalar
    pathwise: bool


Sampling = TwoStates | States | Labels | Latent


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
        if len(self.at) == 2 and abs(self.at[0] + self.at[1]) <= 1e-9 * abs(self.at[1]):
            return f"|e| = {abs(self.at[1]):.6g}"
        return "e = " + ", ".join(f"{e:.6g}" for e in self.at)


@dataclass(frozen=True)
class Check:
    """How the exact expectation was confirmed: against what, at how many energies, and the largest relative difference."""

    against: str
    points: int
    max_difference: float


@dataclass(frozen=True)
class Derivation:
    """Everything that follows from one density.

    ``density`` is one line of text. ``expectation`` is E[T(X) | e], exactly; ``computed`` what the network
    computes for it (the same, or the named approximation).
    ``log_likelihood`` is log p(x | e) as a function of x and e, None where the node has no likelihood (``no_likelihood`` says why).
    ``statistic`` is T(x), None for the identity. ``atoms`` and ``interval`` describe where X lives. ``names`` are subexpressions that
    deserve a name where formulas are printed.
    """

    law: Law
    density: str
    steps: tuple[Step, ...]
    expectation: Scalar
    expectation_text: str
    expectation_latex: str
    computed: Scalar
    approximation: Approximation | None
    sampling: Sampling
    sampling_text: str
    log_likelihood: Scalar | None
    log_likelihood_text: str
    no_likelihood: str
    statistic: Scalar | None
    check: Check
    names: tuple[tuple[Scalar, str], ...] = ()

    @property
    def discrete(self) -> bool:
        """Whether a draw passes no gradient on its own."""
        return not (isinstance(self.sampling, Latent) and self.sampling.pathwise)

    @property
    def deterministic(self) -> bool:
        """Whether the node is a function of its energy, so that there is nothing to draw."""
        return isinstance(self.sampling, Latent) and self.sampling.scale is None


class Refusal(Exception):
    """A density from which nothing can be derived: ``field`` is the field at fault, ``why`` the reason."""

    def __init__(self, code: str, message: str, field: str = "", why: str = "", help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.field, self.why, self.help = code, message, field, why, help
