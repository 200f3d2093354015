"""``cgc compile``."""

from __future__ import annotations

from pathlib import Path

import click

from cgc.cli.shared import print_json, show, spec_options


@click.command()
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option(
    "-o", "--output", default="generated", show_default=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of packages."
)
@click.option("--check", "check_only", is_flag=True, help="Write nothing; exit 1 if what is there differs from what would be written.")
@click.option("--dry-run", is_flag=True, help="Write nothing; list what would be written.")
@spec_options
def command(
    specs: tuple[str, ...],
    output: Path,
    check_only: bool,
    dry_run: bool,
    params: tuple[tuple[str, str], ...],
    overrides: tuple[tuple[str, str], ...],
    as_json: bool,
    quiet: bool,
) -> int:
    """Write a PyTorch package for each spec."""
    from cgc.compiler import Model, inspect
    from cgc.source.diagnostics import Diagnostic, SpecError
    from cgc.source.render import as_data

    # every spec is understood before anything is written
    models: list[Model] = []
    findings: list[Diagnostic] = []
    failed = False
    for spec in specs:
        try:
            model = inspect(spec, dict(params), overrides)
        except SpecError as error:
            findings += error.diagnostics
            failed = True
            continue
        models.append(model)
        findings += model.diagnostics
    rows: list[tuple[str, bool]] = []
    for model in [] if failed else models:
        package = model.bundle()
        folder = output / package.name
        differing = package.differences(folder)
        if not (check_only or dry_run):
            package.write(folder)
        rows += [(str(folder / path), path in differing) for path, _ in package.files]
    differs = check_only and any(changed for _, changed in rows)
    if as_json:
        print_json({"diagnostics": as_data(findings), "files": [{"path": path, "changed": stale} for path, stale in rows]})
    else:
        show(findings)
        verb = "differs" if check_only else "would write" if dry_run else "wrote"
        for path, stale in rows:
            if stale and not quiet:
                click.echo(f"{verb} {path}")
        if rows and not any(stale for _, stale in rows) and not quiet:
            click.echo(f"{', '.join(str(output / model.spec.name) for model in models)}: up to date")
    return 1 if failed or differs else 0
