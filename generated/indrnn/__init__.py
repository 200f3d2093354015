"""indrnn: `from indrnn import Model`."""

from .model import IndRNN, Model

__all__ = ["IndRNN", "Model"]
