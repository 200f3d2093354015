"""transfer: `from transfer import Model`."""

from .model import Model, Transfer

__all__ = ["Model", "Transfer"]
