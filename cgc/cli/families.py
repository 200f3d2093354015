"""``cgc families``."""

from __future__ import annotations

import click

from cgc.cli.shared import json_option, print_json


@click.command()
@click.argument("kind", required=False)
@click.option("--steps", is_flag=True, help="Print every derivation step.")
@json_option
def command(kind: str | None, steps: bool, as_json: bool) -> None:
    """The families there are, each with an example and what is derived from it."""
    from cgc.derive.limit import derive_within
    from cgc.families.registry import registry, unusable
    from cgc.report.data import law_data
    from cgc.report.text import expectation_lines, step_lines

    kinds = registry()
    if kind is not None and kind not in kinds:
        raise click.UsageError(f"no family `{kind}`. There are: {', '.join(kinds)}.")
    rows = {}
    for name, cls in kinds.items():
        if kind in (None, name):
            family = cls.model_validate({"kind": name, **cls.example()}, context={"params": {}})
            rows[name] = (cls, derive_within(family.law(), family.emit, family.route is None))
    if as_json:
        print_json({name: {"example": cls.example(), **law_data(law)} for name, (cls, law) in rows.items()})
        return
    blocks = []
    for name, (cls, law) in rows.items():
        fields = ", ".join(f"{key}: {value}" for key, value in cls.example().items())
        first = (cls.__doc__ or "").strip().split("\n")[0]
        lines = [
            f"{name}  {first}",
            f"  {'example':<14}{{kind: {name}, {fields}}}",
            f"  {'density':<14}{law.density}",
            *expectation_lines(law),
        ]
        lines.append(f"  {'sampling':<14}{law.sampling_text}")
        blocks.append("\n".join(lines + (step_lines(law) if steps else [])))
    click.echo("\n\n".join(blocks + [str(plugin) for plugin in unusable()]))
