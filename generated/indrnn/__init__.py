"""indrnn: `from indrnn import Model`."""

from . import kernels, model
from .model import IndRNN, Model

model.kernels = kernels

__all__ = ["IndRNN", "Model"]
