"""``cgc independences``."""

from __future__ import annotations

import click

from cgc.cli.shared import json_option, params_option, print_json, set_option


@click.command()
@click.argument("spec")
@click.option(
    "--mode",
    type=click.Choice(["missing_edge", "local", "all_pairs"]),
    help="Only one of the three lists: pairwise and local Markov property, a separator for every pair of components.",
)
@params_option
@set_option
@json_option
def command(
    spec: str, mode: str | None, params: tuple[tuple[str, str], ...], overrides: tuple[tuple[str, str], ...], as_json: bool
) -> None:
    """What the graph of a spec implies, as statements of the language; `cgc query` says yes to each."""
    from cgc.compiler import graph
    from cgc.graph.independences import Independences
    from cgc.report.independences import MODES, independences_data, independences_text

    found = Independences(graph(spec, dict(params), overrides))
    modes = [one for one in MODES if mode in (None, one)]
    if as_json:
        print_json(independences_data(found, modes))
    else:
        click.echo(independences_text(found, modes), nl=False)
