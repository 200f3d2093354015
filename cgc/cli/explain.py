"""``cgc explain``."""

from __future__ import annotations

import click

from cgc.cli.shared import json_option, print_json


@click.command()
@click.argument("code")
@json_option
def command(code: str, as_json: bool) -> None:
    """What a code such as CG201 means, with an example."""
    from cgc.source.codes import CODES
    from cgc.source.suggest import nearest

    wanted = code.upper()
    if wanted not in CODES:
        close = nearest(wanted, CODES)
        raise click.UsageError(f"no code `{code}`." + (f" Did you mean `{close}`?" if close else ""))
    entry = CODES[wanted]
    if as_json:
        print_json({"code": wanted, "title": entry.title, "text": entry.text, "bad": entry.bad, "good": entry.good})
        return
    click.echo(f"{wanted}: {entry.title}\n\n{entry.text}")
    for name, example in (("Wrong:", entry.bad), ("Right:", entry.good)):
        if example:
            click.echo(f"\n{name}\n" + "\n".join(f"    {line}" for line in example.split("\n")))
