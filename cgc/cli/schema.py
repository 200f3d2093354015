"""``cgc schema``."""

from __future__ import annotations

import click

from cgc.cli.shared import print_json


@click.command()
def command() -> None:
    """The JSON Schema of the spec language, for editors."""
    from cgc.spec.schema import schema

    print_json(schema())
