"""adding: `from adding import Model`."""

from . import kernels, model
from .model import Adding, Model

model.kernels = kernels

__all__ = ["Adding", "Model"]
