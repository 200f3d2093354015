"""gru: `from gru import Model`."""

from .model import GRU, Model

__all__ = ["GRU", "Model"]
