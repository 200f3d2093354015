"""indrnn_pixel_mnist: `from indrnn_pixel_mnist import Model`."""

from .model import IndRNNPixelMnist, Model

__all__ = ["IndRNNPixelMnist", "Model"]
