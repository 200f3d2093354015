"""resnet20_cifar10: `from resnet20_cifar10 import Model`."""

from . import kernels, model
from .model import Model, Resnet20Cifar10

model.kernels = kernels

__all__ = ["Model", "Resnet20Cifar10"]
