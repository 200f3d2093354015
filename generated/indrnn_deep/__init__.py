"""indrnn_deep: `from indrnn_deep import Model`."""

from .model import IndRNNDeep, Model

__all__ = ["IndRNNDeep", "Model"]
