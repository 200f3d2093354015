"""resnet: `from resnet import Model`."""

from . import kernels, model
from .model import Model, Resnet

model.kernels = kernels

__all__ = ["Model", "Resnet"]
