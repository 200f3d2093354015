"""``cgc inspect``."""

from __future__ import annotations

import click

from cgc.cli.shared import print_json, show, spec_options


@click.command()
@click.argument("spec")
@click.argument("component", required=False)
@click.option("--steps", is_flag=True, help="Print every derivation step, with equation numbers of the paper.")
@click.option("--latex", is_flag=True, help="Print factors and steps as LaTeX.")
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
) -> int:
    """Formulas, graph, factorisation, structure and shapes of a spec, or of one of its components.

    Of a spec that cannot be compiled yet, what is known without that, and why.
    """
    from cgc.compiler import model, read
    from cgc.report.data import as_data
    from cgc.report.text import report
    from cgc.source.diagnostics import SpecError
    from cgc.source.render import as_data as diagnostics_data
    from cgc.source.suggest import nearest

    known = read(spec, dict(params), overrides)
    names = [*(c.name for c in known.spec.components), *(module.name for module in known.spec.modules)]
    if component is not None and component not in names:
        close = nearest(component, names)
        raise click.UsageError(
            f"no component `{component}`." + (f" Did you mean `{close}`?" if close else f" There are: {', '.join(names)}.")
        )
    findings = known.diagnostics
    failed = False
    try:
        known = model(known)
    except SpecError as error:
        failed, findings = True, (*findings, *error.diagnostics)
    if as_json:
        print_json(as_data(known, component) | {"diagnostics": diagnostics_data(findings)})
    else:
        if not quiet:
            click.echo(report(known, component, steps or latex, latex), nl=False)
        show(findings)
    return int(failed)
