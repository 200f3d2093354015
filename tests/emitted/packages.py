"""From the text of a spec to its emitted model, imported as its users import it."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

import cgc.compiler
from cgc.compiler import Model

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"
_numbers = itertools.count()


@dataclass(frozen=True)
class Package:
    """What was understood (``compiled``), what was written (``folder``), and what that is in Python (``module``)."""

    compiled: Model
    folder: Path
    module: ModuleType

    def model(self, seed: int = 0, dtype: torch.dtype = torch.float64) -> Any:
        """A new model for evaluation, with parameters and running statistics as if it had been trained a little."""
        torch.manual_seed(seed)
        model = self.module.Model().to(dtype)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.uniform_(-0.9, 0.9)
            for name, buffer in model.named_buffers():
                if name.endswith("running_mean"):
                    buffer.uniform_(-0.5, 0.5)
                elif name.endswith("running_var"):
                    buffer.uniform_(0.5, 2)
        return model.eval()


def emit(folder: Path, spec: str | Path, params: Mapping[str, Any] | None = None, overrides: tuple[tuple[str, str], ...] = ()) -> Package:
    """The package of a spec, given by its path or as text. Raises SpecError."""
    if isinstance(spec, str):
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / "spec.yaml"
        place.write_text(spec, encoding="utf-8")
        spec = place
    compiled = cgc.compiler.inspect(spec, params or {}, overrides)
    package = folder / f"package{next(_numbers)}"
    compiled.bundle().write(package)
    return Package(compiled, package, load(package / "model.py"))


def load(path: Path) -> ModuleType:
    """The module at ``path``, under a name of its own."""
    name = f"emitted_{next(_numbers)}"
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module


def arrays(model: torch.nn.Module) -> dict[str, Any]:
    """The state dict as numpy arrays, for the interpreter."""
    return {key: value.detach().double().numpy().copy() for key, value in model.state_dict().items()}
