"""``cgc dump``."""

from __future__ import annotations

import click

from cgc.cli.shared import params_option, set_option

STAGES = ("spec", "graph", "derivation", "program", "kernels")


@click.command()
@click.argument("spec")
@click.option("--stage", type=click.Choice(STAGES), required=True)
@params_option
@set_option
def command(spec: str, stage: str, params: tuple[tuple[str, str], ...], overrides: tuple[tuple[str, str], ...]) -> None:
    """What one stage of the compiler hands to the next, as stable text."""
    from cgc.compiler import model, read
    from cgc.derive.dump import dump as dump_derivations
    from cgc.graph.dump import dump as dump_graph
    from cgc.kernels.dump import dump as dump_kernels
    from cgc.kernels.plan import plan
    from cgc.program.dump import dump as dump_program

    known = read(spec, dict(params), overrides)
    match stage:
        case "spec":
            click.echo(known.spec.resolved, nl=False)
        case "graph":
            click.echo(dump_graph(known.graph), nl=False)
        case "derivation":
            click.echo(dump_derivations(known.derivations), nl=False)
        case "program":
            click.echo(dump_program(model(known).program), nl=False)
        case "kernels":
            click.echo(dump_kernels(plan(model(known).program)), nl=False)
