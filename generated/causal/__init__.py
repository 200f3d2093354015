"""causal: `from causal import Model`."""

from . import kernels, model
from .model import Causal, Model

model.kernels = kernels

__all__ = ["Causal", "Model"]
