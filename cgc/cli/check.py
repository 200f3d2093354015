"""``cgc check``."""

from __future__ import annotations

import click

from cgc.cli.shared import errors, print_json, show, spec_options


@click.command()
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@spec_options
def command(
    specs: tuple[str, ...], params: tuple[tuple[str, str], ...], overrides: tuple[tuple[str, str], ...], as_json: bool, quiet: bool
) -> int:
    """All findings about specs; writes nothing."""
    from cgc.compiler import check
    from cgc.source.render import as_data

    found = [diagnostic for spec in specs for diagnostic in check(spec, dict(params), overrides)]
    if as_json:
        print_json({"diagnostics": as_data(found)})
    else:
        show(found)
        if not errors(found) and not quiet:
            click.echo(f"{', '.join(specs)}: no errors")
    return 1 if errors(found) else 0
