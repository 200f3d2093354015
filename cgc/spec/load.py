"""From a file to a ``Spec``: reads as the list of steps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.text import Span
from cgc.spec.merge import beside, extended, with_overrides, with_params
from cgc.spec.model import Spec
from cgc.spec.resolve import resolve
from cgc.spec.reuse import disagreements

Params = Mapping[str, str | int | float]


def load(path: str | os.PathLike[str], params: Params | None = None, overrides: Sequence[tuple[str, str]] = ()) -> Spec:
    """The spec at ``path``, with ``params`` (``-p name=value``) and ``overrides`` (``--set path=value``, YAML scalars or flow values).

    Raises SpecError with every Diagnostic: CG1xx (the text), CG2xx (expressions), CG3xx (the spec).
    """
    spec = _alone(path, params or {}, overrides)
    return spec if spec.train is None or spec.train.reuse is None else _with_reused(spec, Path(path), os.fspath(path), params or {})


def _with_reused(spec: Spec, path: Path, name: str, params: Params) -> Spec:
    """The spec with the one whose components it reuses: read with the same params, as far as it has them. Raises SpecError."""
    train = spec.train
    assert train is not None and train.reuse is not None
    reuse = train.reuse
    source = beside(path, reuse.source, path.resolve().parent, reuse.span, "from")
    shown = os.path.join(os.path.dirname(name), reuse.source)
    known = dict(_alone(source, {}, (), shown, reuse.span).params)
    other = _alone(source, {name: value for name, value in params.items() if name in known}, (), shown, reuse.span)
    findings = disagreements(spec, other)
    if findings:
        raise SpecError(*findings)
    return replace(spec, train=replace(train, reuse=replace(reuse, spec=other)))


def _alone(
    path: str | os.PathLike[str], params: Params, overrides: Sequence[tuple[str, str]], shown: str | None = None, asked: Span | None = None
) -> Spec:
    """The spec at ``path``, called ``shown``, without the one whose components it reuses."""
    document, files, sources = extended(Path(path), shown or os.fspath(path), asked)
    findings: list[Diagnostic] = []
    try:
        document = with_overrides(document, overrides)
    except SpecError as error:
        findings += error.diagnostics
    try:
        document = with_params(document, params)
    except SpecError as error:
        findings += error.diagnostics
    try:
        spec = resolve(document, files, sources)
    except SpecError as error:
        raise SpecError(*error.diagnostics, *findings) from None
    if findings:
        raise SpecError(*findings)
    return spec
