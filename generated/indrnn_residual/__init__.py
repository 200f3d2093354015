"""indrnn_residual: `from indrnn_residual import Model`."""

from .model import IndRNNResidual, Model

__all__ = ["IndRNNResidual", "Model"]
