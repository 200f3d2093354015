"""denoise_crf: `from denoise_crf import Model`."""

from .model import DenoiseCRF, Model

__all__ = ["DenoiseCRF", "Model"]
