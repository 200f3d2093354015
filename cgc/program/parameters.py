"""The parameters and buffers of a program: keys and shapes of the emitted module's state dict."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from cgc.program.ir import Program


@dataclass(frozen=True)
class Parameter:
    """One entry of the state dict. ``learned`` is False for buffers."""

    key: str
    shape: tuple[int, ...]
    learned: bool = True

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


def parameters(program: Program) -> tuple[Parameter, ...]:
    """Every entry, layer by layer in the order of computation."""
    found = []
    for layer in program.layers():
        if layer.bias is True:
            found.append(Parameter(f"{layer.name}.bias", (layer.biases,)))
        for contribution in layer.contributions:
            shape, name = contribution.product.weight_shape, f"{layer.name}.{contribution.name}"
            if shape is not None and contribution.product.weight_norm:
                # as torch calls them: the lengths g, one for each node (or map), and the directions v
                lengths = (1, shape[1]) if contribution.product.kind == "embedding" else (shape[0], *(1 for _ in shape[1:]))
                keys = (f"{name}.parametrizations.weight.original{k}" for k in range(2))
                found += [Parameter(key, size) for key, size in zip(keys, (lengths, shape), strict=True)]
            elif shape is not None:
                found.append(Parameter(f"{name}.weight", shape))
        if layer.normalised != "no":
            found.append(Parameter(f"{layer.name}.normalize.weight", (layer.biases,)))
        if layer.over_batch:
            found += [Parameter(f"{layer.name}.normalize.{name}", (layer.biases,), False) for name in ("running_mean", "running_var")]
    return tuple(found)


def learned_size(program: Program) -> int:
    """Number of learned numbers."""
    return sum(parameter.size for parameter in parameters(program) if parameter.learned)
