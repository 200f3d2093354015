"""``cgc demo``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click


@click.command()
@click.option("-o", "--output", default="generated", show_default=True, type=click.Path(file_okay=False, path_type=Path))
def command(output: Path) -> int:
    """Compile the IndRNN spec and train it on the bundled digits; offline, under a minute."""
    import importlib.util

    from cgc.compiler import inspect
    from cgc.emit.render import folder

    if importlib.util.find_spec("torch") is None:
        raise click.ClickException("the demo trains with PyTorch, which is not installed: pip install torch")
    model = inspect(folder("specs") / "indrnn.yaml")
    package = model.bundle()
    target = output / package.name
    package.write(target)
    click.echo(model.graph.factorisation())
    for layer in model.program.layers():
        law = model.program.law(layer.law)
        click.echo(f"{layer.name}: {law.density}  =>  E = {law.expectation_text}")
    for path, _ in package.files:
        click.echo(f"wrote {target / path}")
    sys.stdout.flush()
    return subprocess.run([sys.executable, str(target / "train.py"), "--threads", "1"], check=False).returncode
