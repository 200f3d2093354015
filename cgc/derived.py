"""What ``cgc.derive`` hands out: a family on its own, with numbers to compute, text to read and code to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cgc.derive.closest import Fit
from cgc.derive.derivation import Derivation, Draw, Labels, Refusal
from cgc.derive.inverse import Inverse
from cgc.derive.limit import derive_within
from cgc.derive.stage import refused
from cgc.families.forms import FiniteExponential
from cgc.families.registry import registry
from cgc.formula.activations import ACTIVATIONS
from cgc.formula.numeric import array, draw
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.suggest import nearest
from cgc.source.text import Source
from cgc.source.yaml import parse
from cgc.spec.single import read_single

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Derived:
    """A node family with everything that follows from its density. ``name`` is its kind."""

    name: str
    law: Derivation

    def expectation(self, e: Any) -> Array:
        """E[T(X) | e] in float64, elementwise; for labels over the last axis."""
        return self._at(self.law.expectation, e)

    def computed(self, e: Any) -> Array:
        """What a network computes for the expectation: the same, or the named approximation."""
        return self._at(self.law.computed, e)

    def variance(self, e: Any) -> Array:
        """Var[T(X) | e] in float64, elementwise."""
        return self._at(self.law.variance, e)

    def log_likelihood(self, x: Any, e: Any) -> Array:
        """log p(x | e) in float64, elementwise. Raises ValueError for a node without likelihood, and for labels."""
        if self.law.log_likelihood is None:
            raise ValueError(f"no likelihood: {self.law.no_likelihood}")
        if isinstance(self.law.sampling, Labels):
            raise ValueError("labels have a vector of energies: take the logarithm of `expectation`")
        x, e = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(e, np.float64))
        with np.errstate(all="ignore"):
            found = np.array(np.broadcast_to(array(self.law.log_likelihood, x=x, e=e), e.shape))
        if isinstance(self.law.law, FiniteExponential):
            found[~np.isin(x, [float(state) for state in self.law.law.support])] = -np.inf
        return found

    def sample(self, e: Any, n: int = 1, seed: int = 0) -> Array:
        """n draws of T(X) at each energy, (n, *e.shape); the same for the same seed.

        For labels the last axis of e is over labels, and draws are (n, *e.shape[:-1]).
        """
        generator = np.random.default_rng(seed)
        e = np.asarray(e, np.float64)
        if isinstance(self.law.sampling, Labels):
            # the largest energy with Gumbel noise
            return np.asarray((e + generator.gumbel(size=(n, *e.shape))).argmax(-1), np.float64)
        return draw_feature(self.law, np.broadcast_to(e, (n, *e.shape)), generator)

    def code(self) -> str:
        """The emitted torch class with all that it needs, as the text of a module."""
        from cgc.emit.law import law_module

        return law_module(self.name, self.law)

    def plot(self, path: str | Path, samples: int = 200) -> None:
        """Write a picture of the exact and the sampled expectation to ``path`` (.svg, .png, .pdf). Needs matplotlib."""
        from cgc.report.plot import plot

        plot([self], path, samples)

    def text(self, steps: bool = True, latex: bool = False) -> str:
        """The derivation as ``cgc derive`` prints it."""
        from cgc.report.law import law_text

        return law_text(self.name, self.law, steps, latex)

    def data(self) -> dict[str, Any]:
        """The derivation as ``cgc derive --json`` prints it."""
        from cgc.report.data import law_data

        return law_data(self.law)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return f"```text\n{self}```"

    def _at(self, formula: Any, e: Any) -> Array:
        e = np.asarray(e, np.float64)
        with np.errstate(all="ignore"):
            return np.array(np.broadcast_to(array(formula, e=e), e.shape))


def draw_feature(law: Derivation, e: Array, generator: np.random.Generator) -> Array:
    """A draw of T(X) for every element of ``e``."""
    assert isinstance(law.sampling, Draw)
    known: dict[str, Array] = {"e": e}
    for name, drawn in law.sampling.given:
        known[name] = draw(drawn, generator, **known)
    x = draw(law.sampling.value, generator, **known)
    return x if law.statistic is None else np.asarray(np.broadcast_to(array(law.statistic, x=x), x.shape))


def derive(
    family: str | Mapping[str, Any] | None = None,
    *,
    activation: str | None = None,
    emit: str | None = None,
    params: Mapping[str, int | float] | None = None,
) -> Derived | Inverse:
    """What follows from a family, as YAML text or as a mapping: ``derive("{kind: gaussian, std: 1}")``.

    With ``activation`` (an expression in e) instead: the node that has this expectation. Raises SpecError with all findings, and
    TypeError unless exactly one of the two is given.
    """
    if (family is None) == (activation is None):
        raise TypeError("give a family, or an activation")
    if activation is not None:
        return invert_text(activation)
    assert family is not None
    if emit is not None and emit not in ACTIVATIONS:
        close = nearest(emit, ACTIVATIONS)
        help = f"did you mean `{close}`?" if close else "known: " + ", ".join(ACTIVATIONS)
        raise SpecError(Diagnostic("CG304", f"unknown activation `{emit}`", help=help))
    found = read_single(family, params)
    try:
        return Derived(found.kind, derive_within(found.law, emit or found.emit, found.closed))
    except Refusal as refusal:
        raise SpecError(refused(refusal, found)) from None


def invert_text(activation: str) -> Inverse:
    """The node whose expectation is an expression in e. Raises SpecError."""
    from cgc.derive.inverse import invert
    from cgc.families.forms import E
    from cgc.formula.parse import FormulaError
    from cgc.formula.parse import parse as parse_formula
    from cgc.source.text import Span

    source = Source("<activation>", activation)
    whole = Span(source, 1, 1, max(1, len(activation)))
    try:
        return invert(parse_formula(activation, {"e": E}))
    except FormulaError as error:
        raise SpecError(Diagnostic(error.code, error.message, Span(source, 1, error.offset + 1, error.length), help=error.help)) from None
    except Refusal as refusal:
        raise SpecError(Diagnostic(refusal.code, refusal.message, whole, why=refusal.why, help=refusal.help)) from None


def fit_text(family: str, field: str, to: str, params: Mapping[str, int | float]) -> Fit:
    """The number of a family for which a named activation is closest to its expectation. Raises SpecError."""
    from cgc.derive.closest import fit

    # the field that is fitted need not be there: any number stands for it
    node = parse(Source("<family>", family))
    if isinstance(node.scalar, str):
        content: Any = {"kind": node.scalar}
    else:
        content = node.plain()
    if not isinstance(content, dict):
        read_single(family, params)
        raise AssertionError("a family is a mapping")
    model = registry().get(str(content.get("kind")))
    if model is None or field in model.model_fields:
        content, names = {**content, field: content.get(field, 1)}, dict(params)
    else:  # a name in its formulas
        names = {**params, field: params.get(field, 1)}
    declared = read_single(content, names)
    try:
        return fit(content, field, to, params)
    except Refusal as refusal:
        raise SpecError(refused(refusal, declared)) from None


def derive_all(families: Sequence[str], emit: str | None, params: Mapping[str, int | float]) -> list[Derived]:
    """Several at once; the findings about all of them are told together."""
    results: list[Derived] = []
    findings: list[Diagnostic] = []
    for family in families:
        try:
            found = derive(family, emit=emit, params=params)
            assert isinstance(found, Derived)
            results.append(found)
        except SpecError as error:
            findings += error.diagnostics
    if findings:
        raise SpecError(*findings)
    return results
