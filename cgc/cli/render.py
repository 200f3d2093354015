"""``cgc render``."""

from __future__ import annotations

import click

from cgc.cli.shared import params_option, set_option


@click.command()
@click.argument("spec")
@params_option
@set_option
def command(spec: str, params: tuple[tuple[str, str], ...], overrides: tuple[tuple[str, str], ...]) -> None:
    """The spec as one YAML text: what it extends merged in, params and overrides applied."""
    from cgc.spec.load import load

    click.echo(load(spec, dict(params), overrides).resolved, nl=False)
