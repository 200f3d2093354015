"""resnet: `from resnet import Model`."""

from .model import Model, Resnet

__all__ = ["Model", "Resnet"]
