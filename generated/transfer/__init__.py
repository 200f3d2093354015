"""transfer: `from transfer import Model`."""

from . import kernels, model
from .model import Model, Transfer

model.kernels = kernels

__all__ = ["Model", "Transfer"]
