"""adding_lstm: `from adding_lstm import Model`."""

from .model import AddingLSTM, Model

__all__ = ["AddingLSTM", "Model"]
