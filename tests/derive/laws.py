"""Node laws for the tests of this folder: from a family as a spec writes it to its derivation, and to the class that is emitted for it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cgc.derive.derivation import Derivation
from cgc.derive.limit import derive_within
from cgc.emit.render import render
from cgc.families.registry import registry
from cgc.targets.torch.blocks import with_needs
from cgc.targets.torch.nodes import law_class


def derivation(kind: str, **fields: Any) -> Derivation:
    """The derivation of a family with these fields, made once for all workers."""
    family = registry()[kind].model_validate({"kind": kind, **fields}, context={"params": {}})
    return derive_within(family.law(), family.emit)


def emitted(law: Derivation) -> Any:
    """An instance of the class that is emitted for a law whose nodes are both hidden and outputs."""
    users = [SimpleNamespace(output=output, size=1, nodes=(1,)) for output in (False, True)]
    written, helpers = law_class("Law", law, cast(Any, users), False, moments=True)
    lines = ["class Law:", *(f"    {line}" for line in written.attributes)]
    for method in written.methods:
        lines += [f"    @{method.decorator}"] if method.decorator else []
        lines += [f"    def {method.signature}:", *(f"        {line}" for line in method.body)]
    names: dict[str, Any] = {"torch": torch, "F": functional, "Tensor": Tensor, "nn": nn, "math": math}
    for name in with_needs(helpers):
        exec(render(f"torch/parts/{name}.py.jinja", fused=False), names)
    exec("\n".join(lines), names)
    return names["Law"]()


def noise(value: str = "y", scale: str = "1", base: str = "normal", **fields: Any) -> Derivation:
    """The derivation of X = value(e + scale·noise)."""
    return derivation("noise", base=base, scale=scale, value=value, **fields)


def states(*support: float, **fields: Any) -> Derivation:
    """The derivation of an exponential family on these states."""
    return derivation("exponential_family", support=list(support), **fields)
