"""What ``cgc compile`` writes: the files of one package as bytes, the same for the same spec."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import cgc
from cgc.emit.kernels import kernel_files
from cgc.emit.render import folder, render
from cgc.emit.training import training_context
from cgc.kernels.plan import plan
from cgc.program.ir import Program
from cgc.program.parameters import parameters
from cgc.spec.model import Spec
from cgc.targets.torch.code import Module, wrapped
from cgc.targets.torch.network import network


@dataclass(frozen=True)
class Bundle:
    """The emitted package ``name``: relative paths with contents, sorted by path."""

    name: str
    files: tuple[tuple[str, bytes], ...]

    def differences(self, directory: Path) -> tuple[str, ...]:
        """Paths whose content in ``directory`` is not what this bundle would write."""
        return tuple(path for path, content in self.files if not _same(directory / path, content))

    def write(self, directory: Path) -> tuple[Path, ...]:
        """Write every file below ``directory`` and return their paths. Files that are equal already stay untouched."""
        written = []
        for path, content in self.files:
            target = directory / path
            if not _same(target, content):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            written.append(target)
        return tuple(written)


def _same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def bundle(spec: Spec, program: Program, factorisation: str) -> Bundle:
    """The package of a program."""
    origin = ", ".join(Path(name).name for name in spec.files)
    head = f"{spec.name}: {spec.doc}" if spec.doc else spec.name
    doc = (
        *wrapped(" ".join(head.split())),
        "",
        f"Made by cgc {cgc.__version__} from {origin}; do not edit, compile again. cgc claims no rights in it.",
    )
    module = network(program, factorisation, doc)
    files: dict[str, bytes] = {
        "__init__.py": _init(spec.name, module).encode(),
        "model.py": _model(module, program).encode(),
        "spec.yaml": spec.resolved.encode(),
        **kernel_files(spec.name, plan(program), dict(module.kernels), module.cells, module.looks),
    }
    if spec.train is not None:
        training = training_context(spec, program)
        files["train.py"] = render("torch/train.py.jinja", training=training).encode()
        if training.data_file is not None:
            files[training.data_file] = (folder("templates") / "data" / training.data_file).read_bytes()
        if spec.train.reuse is not None and spec.train.reuse.spec is not None:
            # so that spec.yaml can be compiled where it is
            files.setdefault(spec.train.reuse.source, spec.train.reuse.spec.resolved.encode())
    files["manifest.json"] = _manifest(spec, program, files)
    return Bundle(spec.name, tuple(sorted(files.items())))


def _in_order(*names: str) -> list[str]:
    """As imports are sorted: what is in capitals comes first."""
    return sorted(names, key=lambda name: (not name.isupper(), name))


def _init(name: str, module: Module) -> str:
    return render("torch/init.py.jinja", name=name, names=_in_order(module.network.name, "Model"), kernels=module.fused)


def _model(module: Module, program: Program) -> str:
    text = render("torch/model.py.jinja", module=module, fused=module.fused, imports=_imports(program, module.fused))
    unused = {"import torch.nn.functional as F\n": r"\bF\.[a-z]", "from functools import partial\n": r"\bpartial\("}
    for line, use in unused.items():
        text = text if re.search(use, text) else text.replace(line, "", 1)
    return text


def _imports(program: Program, kernels: bool) -> tuple[str, ...]:
    several = len(program.outputs) > 1
    lines = [
        "import math",
        "from functools import partial",
        "from typing import NamedTuple",
        "",
        "import torch",
        "import torch.nn.functional as F",
        "from torch import Tensor, nn",
    ]
    if any(c.product.weight_norm for layer in program.layers() for c in layer.contributions):
        lines.append("from torch.nn.utils.parametrizations import weight_norm")
    if kernels:
        lines += ["", "kernels = None  # the package sets it to kernels/, where what is written here is fused"]
    if program.steps is not None:
        lines += ["", "State = dict[str, Tensor]  # component -> its last steps, (draws, batch, steps, features)"]
    if several:
        lines += ["", "", "class Outputs(NamedTuple):", '    """One entry for each output."""', ""]
        lines += [f"    {name}: Tensor" for name in program.outputs]
    return tuple(lines)


def _manifest(spec: Spec, program: Program, files: dict[str, bytes]) -> bytes:
    content = {
        "cgc": cgc.__version__,
        "name": spec.name,
        "params": dict(spec.params),
        "files": {path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())},
        "state_dict": {parameter.key: list(parameter.shape) for parameter in parameters(program)},
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
