"""indrnn_residual: `from indrnn_residual import Model`."""

from . import kernels, model
from .model import IndRNNResidual, Model

model.kernels = kernels

__all__ = ["IndRNNResidual", "Model"]
