"""``cgc inspect``."""

from __future__ import annotations

import click

from cgc.cli.shared import print_json, show, spec_options


@click.command()
@click.argument("spec")
@click.argument("component", required=False)
@click.option("--steps", is_flag=True, help="Print every derivation step, with equation numbers of the paper.")
@click.option("--latex", is_flag=True, help="Print the steps' formulas as LaTeX.")
@spec_options
def command(
    spec: str,
    component: str | None,
    steps: bool,
    latex: bool,
    params: tuple[tuple[str, str], ...],
    overrides: tuple[tuple[str, str], ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Formulas, graph, factorisation, structure and shapes of a spec, or of one of its components."""
    from cgc.compiler import inspect
    from cgc.report.data import as_data
    from cgc.report.text import report
    from cgc.source.suggest import nearest

    model = inspect(spec, dict(params), overrides)
    names = [c.name for c in model.spec.components]
    if component is not None and component not in names:
        close = nearest(component, names)
        raise click.UsageError(
            f"no component `{component}`." + (f" Did you mean `{close}`?" if close else f" There are: {', '.join(names)}.")
        )
    if as_json:
        print_json(as_data(model, component))
        return
    show(model.diagnostics)
    if not quiet:
        click.echo(report(model, component, steps or latex, latex), nl=False)
