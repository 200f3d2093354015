"""The folder ``kernels/`` of a package."""

from __future__ import annotations

import hashlib

from cgc.emit.render import render
from cgc.kernels.plan import CellKernel, Kernels
from cgc.targets.c.language import C
from cgc.targets.fused import source
from cgc.targets.triton.language import TRITON


def kernel_files(
    name: str, kernels: Kernels, classes: dict[str, str], cells: tuple[CellKernel, ...] = (), looks: bool = False
) -> dict[str, bytes]:
    """Relative paths with contents; ``classes`` are the names of laws in model.py, ``cells`` the steps that it calls; ``looks``: it also
    asks whether all of an array lies between two numbers."""
    if not kernels:
        return {}
    cpu = render("c/cpu.c.jinja", kernels=source(name, kernels, classes, cells, C), looks=looks).encode()
    for_gpu = source(name, kernels, classes, cells, TRITON)
    cuda = render("triton/cuda.py.jinja", kernels=for_gpu).encode()
    namespace = f"cgc_{hashlib.sha256(cpu + cuda).hexdigest()[:12]}"
    init = render("torch/kernels/init.py.jinja", kernels=for_gpu, namespace=namespace, looks=looks).encode()
    return {"kernels/__init__.py": init, "kernels/cpu.c": cpu, "kernels/cuda.py": cuda}
