"""tagger_crf: `from tagger_crf import Model`."""

from . import kernels, model
from .model import Model, TaggerCRF

model.kernels = kernels

__all__ = ["Model", "TaggerCRF"]
