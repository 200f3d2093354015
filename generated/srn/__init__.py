"""srn: `from srn import Model`."""

from . import kernels, model
from .model import SRN, Model

model.kernels = kernels

__all__ = ["SRN", "Model"]
