"""The one place that knows Jinja: templates by name, strict about what they are given."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

import cgc


def folder(name: str) -> Path:
    """The project's folder ``templates`` or ``specs``: beside the package in a checkout, inside it once installed."""
    package = Path(cgc.__file__).parent
    for place in (package / f"_{name}", package.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"{name}/ is missing from this installation of cgc")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder("templates"), encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


_LONGEST = ("torch/train.py.jinja", "torch/kernels/init.py.jinja", "triton/cuda.py.jinja", "c/cpu.c.jinja", "torch/model.py.jinja")


def prepare() -> None:
    """Reads what every package is made from, and takes longest to read."""
    for template in _LONGEST:
        _environment().get_template(template)


def render(template: str, **context: Any) -> str:
    """The text of ``template``. Raises jinja2.UndefinedError if it asks for what ``context`` lacks."""
    return _environment().get_template(template).render(**context)
