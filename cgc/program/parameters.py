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
            shape = contribution.product.weight_shape
            if shape is not None:
                found.append(Parameter(f"{layer.name}.{contribution.name}.weight", shape))
        if layer.normalised != "no":
            found.append(Parameter(f"{layer.name}.normalize.weight", (layer.biases,)))
            found += [Parameter(f"{layer.name}.normalize.{name}", (layer.biases,), False) for name in ("running_mean", "running_var")]
        if layer.lines is not None:
            found.append(Parameter(f"{layer.name}.lines.weight", layer.lines.weight_shape))
            if layer.lines.end_shape is not None:
                found += [Parameter(f"{layer.name}.lines.{end}", layer.lines.end_shape) for end in ("start", "end")]
    return tuple(found)


def learned_size(program: Program) -> int:
    """Number of learned numbers."""
    return sum(parameter.size for parameter in parameters(program) if parameter.learned)
