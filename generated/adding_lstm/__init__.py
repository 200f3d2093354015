"""adding_lstm: `from adding_lstm import Model`."""

from . import kernels, model
from .model import AddingLSTM, Model

model.kernels = kernels

__all__ = ["AddingLSTM", "Model"]
