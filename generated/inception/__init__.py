"""inception: `from inception import Model`."""

from . import kernels, model
from .model import Inception, Model

model.kernels = kernels

__all__ = ["Inception", "Model"]
