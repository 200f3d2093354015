"""``cgc diff``."""

from __future__ import annotations

import click

from cgc.cli.shared import json_option, params_option, print_json, set_option


@click.command()
@click.argument("before")
@click.argument("after")
@params_option
@set_option
@json_option
def command(before: str, after: str, params: tuple[tuple[str, str], ...], overrides: tuple[tuple[str, str], ...], as_json: bool) -> None:
    """What differs between two specs: assumptions, edges, formulas, size, state-dict keys."""
    from dataclasses import asdict

    from cgc.compiler import inspect
    from cgc.report.diff import diff_text, difference

    rows = difference(inspect(before, dict(params), overrides), inspect(after, dict(params), overrides))
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        click.echo(diff_text(rows), nl=False)
