"""One node law as a module of its own: what ``cgc derive --code`` prints."""

from __future__ import annotations

from dataclasses import dataclass

from cgc.derive.derivation import Derivation
from cgc.emit.render import render
from cgc.targets.torch.blocks import with_needs
from cgc.targets.torch.names import class_name
from cgc.targets.torch.nodes import law_class


@dataclass(frozen=True)
class _User:
    """A node that is hidden, or an output: what a law's class is written for."""

    output: bool
    size: int = 1
    nodes: tuple[int, ...] = (1,)


def law_module(name: str, law: Derivation) -> str:
    """The text of a module with the class of a law and the passages that it needs. It needs torch alone."""
    written, helpers = law_class(class_name(name), law, (_User(False), _User(True)), False, moments=True)  # type: ignore[arg-type]
    return render("torch/law.py.jinja", law=written, parts=with_needs(helpers), fused=False, doc=f"{law.density}")
