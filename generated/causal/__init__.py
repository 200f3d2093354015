"""causal: `from causal import Model`."""

from .model import Causal, Model

__all__ = ["Causal", "Model"]
