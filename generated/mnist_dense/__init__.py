"""mnist_dense: `from mnist_dense import Model`."""

from .model import MnistDense, Model

__all__ = ["MnistDense", "Model"]
