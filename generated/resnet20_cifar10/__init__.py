"""resnet20_cifar10: `from resnet20_cifar10 import Model`."""

from .model import Model, Resnet20Cifar10

__all__ = ["Model", "Resnet20Cifar10"]
