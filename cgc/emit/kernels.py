"""The folder ``kernels/`` of a package."""

from __future__ import annotations

import hashlib

from cgc.emit.render import render
from cgc.kernels.plan import Kernels
from cgc.targets.c.source import source


def kernel_files(name: str, kernels: Kernels, classes: dict[str, str]) -> dict[str, bytes]:
    """Relative paths with contents; ``classes`` are the names of laws in model.py."""
    if not kernels:
        return {}
    written = source(name, kernels, classes)
    cpu = render("c/cpu.c.jinja", kernels=written).encode()
    namespace = f"cgc_{hashlib.sha256(cpu).hexdigest()[:12]}"
    init = render("torch/kernels/init.py.jinja", kernels=written, namespace=namespace).encode()
    return {"kernels/__init__.py": init, "kernels/cpu.c": cpu}
