"""inception: `from inception import Model`."""

from .model import Inception, Model

__all__ = ["Inception", "Model"]
