"""indrnn_deep: `from indrnn_deep import Model`."""

from . import kernels, model
from .model import IndRNNDeep, Model

model.kernels = kernels

__all__ = ["IndRNNDeep", "Model"]
