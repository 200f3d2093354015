"""``cgc new``."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
def command(directory: Path) -> None:
    """A folder with example specs and editor settings."""
    from cgc.emit.render import folder
    from cgc.spec.schema import schema

    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise click.UsageError(f"{directory} exists and is not an empty folder.")
    files = {f"specs/{path.name}": path.read_bytes() for path in sorted(folder("specs").glob("*.yaml"))}
    files["specs/spec.schema.json"] = _json(schema())
    files[".vscode/settings.json"] = _json({"yaml.schemas": {"./specs/spec.schema.json": "specs/*.yaml"}})
    for name, content in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        click.echo(f"wrote {target}")
    click.echo(f"\ntry: cd {directory} && cgc inspect specs/indrnn.yaml --steps")


def _json(data: object) -> bytes:
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()
