"""lstm: `from lstm import Model`."""

from .model import LSTM, Model

__all__ = ["LSTM", "Model"]
