"""indrnn_pixel_mnist: `from indrnn_pixel_mnist import Model`."""

from . import kernels, model
from .model import IndRNNPixelMnist, Model

model.kernels = kernels

__all__ = ["IndRNNPixelMnist", "Model"]
