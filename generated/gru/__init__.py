"""gru: `from gru import Model`."""

from . import kernels, model
from .model import GRU, Model

model.kernels = kernels

__all__ = ["GRU", "Model"]
