"""The driver, as a table of contents: from the path of a spec to the files of a package, one line a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgc.derive.stage import Derivations, begin_deriving, derive_spec
from cgc.emit.bundle import Bundle, bundle
from cgc.emit.fit import check_data
from cgc.emit.render import prepare
from cgc.graph.analysis import Graph, analyze
from cgc.graph.reuse import check_reuse
from cgc.program.ir import Program
from cgc.program.lower import lower
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.spec.load import load
from cgc.spec.model import Spec
from cgc.spec.resolve import in_order

Params = Mapping[str, str | int | float]
Overrides = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Reading:
    """A spec with its graph and its derivations. ``diagnostics`` are warnings and notes; a mistake leaves no Reading."""

    spec: Spec
    graph: Graph
    derivations: Derivations
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class Model(Reading):
    """A spec with everything that is known of it: a Reading that can be compiled."""

    program: Program

    def bundle(self) -> Bundle:
        """The package that ``cgc compile`` writes."""
        return bundle(self.spec, self.program, self.graph.factorisation())


def read(
    path: str | Path, params: Params | None = None, overrides: Overrides = (), meanwhile: Callable[[], None] = lambda: None
) -> Reading:
    """What follows from the spec at ``path`` whether or not it can be compiled; ``meanwhile`` is called while other processes derive.
    Raises SpecError with all findings."""
    spec = load(str(path), params or {}, overrides)
    if begin_deriving(spec):
        meanwhile()
    graph, derivations, _ = _together(spec, lambda: analyze(spec), lambda: derive_spec(spec), lambda: _fitting_data(spec))
    check_reuse(spec, graph)
    return Reading(spec, graph, derivations, (*graph.diagnostics, *derivations.diagnostics))


def model(reading: Reading) -> Model:
    """The same with its program. Raises SpecError for what this version cannot compile."""
    spec, graph, derivations = reading.spec, reading.graph, reading.derivations
    return Model(spec, graph, derivations, reading.diagnostics, lower(spec, graph, derivations))


def inspect(path: str | Path, params: Params | None = None, overrides: Overrides = ()) -> Model:
    """Everything that follows from the spec at ``path``. Raises SpecError with all findings."""
    return model(read(path, params, overrides, meanwhile=prepare))


def graph(path: str | Path, params: Params | None = None, overrides: Overrides = ()) -> Graph:
    """The graph of the spec at ``path``; nothing is derived. Raises SpecError."""
    return analyze(load(str(path), params or {}, overrides))


def check(path: str | Path, params: Params | None = None, overrides: Overrides = ()) -> tuple[Diagnostic, ...]:
    """All findings about the spec at ``path``: errors, warnings, notes. Never raises for a mistake in a spec."""
    try:
        return inspect(path, params, overrides).diagnostics
    except SpecError as error:
        return error.diagnostics


def compile(path: str | Path, params: Params | None = None, output: str | Path = "generated", overrides: Overrides = ()) -> Path:
    """Write the package of the spec at ``path`` to ``output``/<name>/ and return that folder. Raises SpecError, OSError."""
    package = inspect(path, params, overrides).bundle()
    folder = Path(output) / package.name
    package.write(folder)
    return folder


def _fitting_data(spec: Spec) -> None:
    findings = check_data(spec)
    if findings:
        raise SpecError(*findings)


def _together(spec: Spec, *stages: Callable[[], Any]) -> list[Any]:
    """The results of stages that do not depend on each other; if any fails, the findings of all of them."""
    results: list[Any] = []
    findings: list[Diagnostic] = []
    for stage in stages:
        try:
            results.append(stage())
        except SpecError as error:
            findings += error.diagnostics
    if findings:
        raise SpecError(*in_order(findings, spec.files))
    return results
