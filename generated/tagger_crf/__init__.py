"""tagger_crf: `from tagger_crf import Model`."""

from .model import Model, TaggerCRF

__all__ = ["Model", "TaggerCRF"]
