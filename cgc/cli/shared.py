"""Options and output that commands share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cgc.source.diagnostics import Diagnostic

Command = TypeVar("Command", bound=Callable[..., Any])


class _Assignment(click.ParamType[tuple[str, str]]):
    """``name=value``."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        name, equals, text = value.partition("=")
        if not equals or not name:
            self.fail(f"`{value}` is not of the form name=value", param, ctx)
        return name, text


params_option = click.option("-p", "params", multiple=True, type=_Assignment(), help="Value of one of the spec's params.")
set_option = click.option("--set", "overrides", multiple=True, type=_Assignment(), help="Value of anything else, by dotted path.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print data instead of text.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print findings only.")


def spec_options(command: Command) -> Command:
    """``-p``, ``--set``, ``--json`` and ``-q``."""
    for option in (quiet_option, json_option, set_option, params_option):
        command = option(command)
    return command


def show(diagnostics: Sequence[Diagnostic]) -> None:
    """Findings on stderr, in colour on a terminal; as JSON on stdout where the command was asked for JSON."""
    from cgc.source.render import as_data, render

    if not diagnostics:
        return
    context = click.get_current_context(silent=True)
    if "--json" in sys.argv if context is None else context.params.get("as_json"):
        print_json({"diagnostics": as_data(diagnostics)})
        return
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    click.echo(render(diagnostics, colour), err=True, nl=False)


def print_json(data: Any) -> None:
    """Data on stdout."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those that are errors."""
    return [diagnostic for diagnostic in diagnostics if diagnostic.severity == "error"]
