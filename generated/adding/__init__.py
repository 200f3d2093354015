"""adding: `from adding import Model`."""

from .model import Adding, Model

__all__ = ["Adding", "Model"]
