"""conv: `from conv import Model`."""

from . import kernels, model
from .model import Conv, Model

model.kernels = kernels

__all__ = ["Conv", "Model"]
