"""From a file to a ``Spec``: reads as the list of steps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.spec.merge import extended, with_overrides, with_params
from cgc.spec.model import Spec
from cgc.spec.resolve import resolve


def load(
    path: str | os.PathLike[str], params: Mapping[str, str | int | float] | None = None, overrides: Sequence[tuple[str, str]] = ()
) -> Spec:
    """The spec at ``path``, with ``params`` (``-p name=value``) and ``overrides`` (``--set path=value``, YAML scalars or flow values).

    Raises SpecError with every Diagnostic: CG1xx (the text), CG2xx (expressions), CG3xx (the spec).
    """
    document, files, sources = extended(Path(path), os.fspath(path))
    findings: list[Diagnostic] = []
    try:
        document = with_overrides(document, overrides)
    except SpecError as error:
        findings += error.diagnostics
    try:
        document = with_params(document, params or {})
    except SpecError as error:
        findings += error.diagnostics
    try:
        spec = resolve(document, files, sources)
    except SpecError as error:
        raise SpecError(*error.diagnostics, *findings) from None
    if findings:
        raise SpecError(*findings)
    return spec
