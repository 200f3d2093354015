"""``cgc cache``."""

from __future__ import annotations

import click

from cgc.cli.shared import json_option, print_json


@click.group()
def command() -> None:
    """Derivations that were made before: where they are, and why one will (not) be free."""


@command.command()
@click.argument("families", nargs=-1, required=True, metavar="FAMILY|SPEC...")
@json_option
def explain(families: tuple[str, ...], as_json: bool) -> None:
    """Whether the next derivation of a family, or of every family of a spec, is free; and if not, why."""
    import os

    from cgc.derive.cache import explain as why
    from cgc.spec.load import load
    from cgc.spec.single import read_single

    rows = []
    for text in families:
        found = list(load(text).families) if os.path.exists(text) else [read_single(text)]
        for family in found:
            reason = why(family.law, family.emit, family.closed)
            rows.append((family.name if os.path.exists(text) else family.kind, reason))
    if as_json:
        print_json(
            [{"family": name, "hit": r.hit, "file": str(r.path) if r.path else None, "reasons": list(r.reasons)} for name, r in rows]
        )
        return
    for name, reason in rows:
        click.echo(f"{name}: {'free, it was derived before' if reason.hit else 'will be derived: ' + '; '.join(reason.reasons)}")
        if reason.path is not None:
            click.echo(f"  {reason.path}")


@command.command()
def clear() -> None:
    """Forget all derivations."""
    from cgc.derive.cache import clear as forget

    count = forget()
    click.echo(f"forgot {count} derivation{'s' * (count != 1)}")


@command.command()
def path() -> None:
    """The folder of derivations (`CGC_CACHE` chooses another, `CGC_CACHE=off` none)."""
    from cgc.derive.cache import folder

    click.echo(folder() or "off")
