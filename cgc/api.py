"""The Python face of the commands: what ``import cgc`` offers. Results show themselves, in a notebook and on a terminal."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from cgc import compiler
from cgc.compiler import Model, Overrides, Params
from cgc.compiler import check as check
from cgc.compiler import compile as compile
from cgc.graph.query import Answer, ask
from cgc.graph.separation import Property
from cgc.report.query import query_text
from cgc.report.text import report


class Inspection(Model):
    """A :class:`~cgc.compiler.Model` that prints as ``cgc inspect`` does."""

    def __str__(self) -> str:
        return report(self)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return f"```text\n{self}```"


def inspect(path: str | Path, params: Params | None = None, overrides: Overrides = ()) -> Inspection:
    """Everything that follows from the spec at ``path``. Raises SpecError with all findings."""
    model = compiler.inspect(path, params, overrides)
    return Inspection(**{field.name: getattr(model, field.name) for field in fields(Model)})


class Reply(Answer):
    """An :class:`~cgc.graph.query.Answer` that prints as ``cgc query`` does; true if the statement holds."""

    def __str__(self) -> str:
        return query_text(self)

    __repr__ = __str__

    def __bool__(self) -> bool:
        return self.holds


def query(path: str | Path, statement: str, property: Property = "lwf", params: Params | None = None, overrides: Overrides = ()) -> Reply:
    """Whether the graph of the spec at ``path`` implies a statement. Raises SpecError if the spec or the statement cannot be read."""
    answer = ask(compiler.graph(path, params, overrides), statement, property)
    return Reply(**{field.name: getattr(answer, field.name) for field in fields(Answer)})
