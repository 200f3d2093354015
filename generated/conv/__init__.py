"""conv: `from conv import Model`."""

from .model import Conv, Model

__all__ = ["Conv", "Model"]
