"""``cgc query``."""

from __future__ import annotations

import click

from cgc.cli.shared import json_option, params_option, print_json, set_option


@click.command()
@click.argument("spec")
@click.argument("statement")
@click.option("--property", "markov", type=click.Choice(["lwf", "amp"]), default="lwf", show_default=True, help="What lines mean.")
@params_option
@set_option
@json_option
def command(
    spec: str, statement: str, markov: str, params: tuple[tuple[str, str], ...], overrides: tuple[tuple[str, str], ...], as_json: bool
) -> None:
    """Does the graph of a spec imply a statement? `cgc query SPEC 'h[i,t] ⟂ h[j,0] | parents'`

    Times are `t`, `t-1`, …, numbers from 0, and `T` for the last step. Nothing is taken out of the graph.
    """
    from cgc.compiler import graph
    from cgc.graph.query import ask
    from cgc.report.query import query_data, query_text

    answer = ask(graph(spec, dict(params), overrides), statement, "amp" if markov == "amp" else "lwf")
    if as_json:
        print_json(query_data(answer))
    else:
        click.echo(query_text(answer), nl=False)
