"""srn: `from srn import Model`."""

from .model import SRN, Model

__all__ = ["SRN", "Model"]
