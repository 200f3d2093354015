"""mnist_dense: `from mnist_dense import Model`."""

from . import kernels, model
from .model import MnistDense, Model

model.kernels = kernels

__all__ = ["MnistDense", "Model"]
