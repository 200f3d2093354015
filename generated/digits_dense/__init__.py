"""digits_dense: `from digits_dense import Model`."""

from .model import DigitsDense, Model

__all__ = ["DigitsDense", "Model"]
