"""digits_dense: `from digits_dense import Model`."""

from . import kernels, model
from .model import DigitsDense, Model

model.kernels = kernels

__all__ = ["DigitsDense", "Model"]
