"""The parameters and buffers of a program: keys and shapes of the emitted module's state dict."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from cgc.program.ir import Program


@dataclass(frozen=True)
class Parameter:
    """One entry of the state dict. ``learned`` is False for buffers, and where it is the parameter ``same_as`` once more."""

    key: str
    shape: tuple[int, ...]
    learned: bool = True
    same_as: str | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


def parameters(program: Program) -> tuple[Parameter, ...]:
    """Every entry, layer by layer in the order of computation. A weight that several edges have is learned under its owner's name."""
    found: dict[str, Parameter] = {}
    for layer in program.layers():
        if layer.bias is True:
            found[f"{layer.biased}.bias"] = Parameter(f"{layer.biased}.bias", (layer.biases,))
        for contribution in layer.contributions:
            shape, name = contribution.product.weight_shape, contribution.weight
            if shape is not None and contribution.own and contribution.product.weight_norm:
                # as torch calls them: the lengths g, one for each node (or map), and the directions v
                lengths = (1, shape[1]) if contribution.product.kind in ("embedding", "table") else (shape[0], *(1 for _ in shape[1:]))
                for k, size in enumerate((lengths, shape)):
                    key = f"{name}.parametrizations.weight.original{k}"
                    found.setdefault(key, Parameter(key, size))
            elif shape is not None and contribution.own:
                found.setdefault(f"{name}.weight", Parameter(f"{name}.weight", shape))
            elif shape is not None:
                block = f".{contribution.block[0]}" if contribution.block else ""
                key = f"{layer.biased}{block}.{contribution.name}.weight"
                found.setdefault(key, Parameter(key, shape, False, f"{name}.weight"))
        if layer.normalised != "no":
            found[f"{layer.name}.normalize.weight"] = Parameter(f"{layer.name}.normalize.weight", (layer.biases,))
        for statistic in ("running_mean", "running_var") if layer.over_batch else ():
            key = f"{layer.name}.normalize.{statistic}"
            found[key] = Parameter(key, (layer.biases,), False)
        if layer.lines is not None:
            shapes = {"weight": layer.lines.weight_shape}
            shapes |= {} if layer.lines.end_shape is None else dict.fromkeys(("start", "end"), layer.lines.end_shape)
            found |= {f"{layer.name}.lines.{name}": Parameter(f"{layer.name}.lines.{name}", size) for name, size in shapes.items()}
    return tuple(found.values())


def learned_size(program: Program) -> int:
    """Number of learned numbers."""
    return sum(parameter.size for parameter in parameters(program) if parameter.learned)
