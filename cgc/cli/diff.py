"""``cgc diff``."""

from __future__ import annotations

import click

from cgc.cli.shared import json_option, params_option, print_json, set_option, show
from cgc.source.diagnostics import Diagnostic, SpecError


@click.command()
@click.argument("before")
@click.argument("after")
@params_option
@set_option
@json_option
def command(before: str, after: str, params: tuple[tuple[str, str], ...], overrides: tuple[tuple[str, str], ...], as_json: bool) -> int:
    """What differs between two specs: assumptions, edges, formulas, size, state-dict keys.

    Of specs that cannot be compiled yet, the assumptions, and why.
    """
    from dataclasses import asdict

    from cgc.compiler import model, read
    from cgc.report.diff import assumed, diff_text, difference
    from cgc.source.render import as_data

    known = [read(path, dict(params), overrides) for path in (before, after)]
    findings: tuple[Diagnostic, ...] = ()
    try:
        rows = difference(model(known[0]), model(known[1]))
    except SpecError as error:
        rows, findings = assumed(*known), error.diagnostics
    data = [asdict(row) for row in rows]
    if as_json:
        print_json({"rows": data, "diagnostics": as_data(findings)} if findings else data)
    else:
        click.echo(diff_text(rows), nl=False)
        show(findings)
    return int(bool(findings))
