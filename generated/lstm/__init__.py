"""lstm: `from lstm import Model`."""

from . import kernels, model
from .model import LSTM, Model

model.kernels = kernels

__all__ = ["LSTM", "Model"]
