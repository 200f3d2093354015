"""Which parts of a program are computed by kernels: nodes of single energies, loops over time in which every node reads itself, and sums
over the states of a chain."""

from __future__ import annotations

from dataclasses import dataclass

from cgc.derive.derivation import Derivation, Labels
from cgc.kernels.expand import Unsupported
from cgc.kernels.node import Node, node
from cgc.program.ir import Layer, Module, Program, Refine, Repeat, Scan, Stage
from cgc.program.loops import inside, outside, reads_itself_alone

MOST_STATES = 64
"""Chains with more states are torch's: their loops are written out, and take long to compile."""


@dataclass(frozen=True)
class LawKernel:
    """The arithmetic of the law ``name``; ``recurrent``: also for layers whose nodes read their own past."""

    name: str
    density: str
    node: Node
    recurrent: bool


@dataclass(frozen=True)
class Kernels:
    """What kernels there are: by law, and for chains by the number of states."""

    laws: tuple[LawKernel, ...]
    chains: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.laws or self.chains)


def plan(program: Program) -> Kernels:
    """The kernels of a program."""
    recurrent = {layer.law for layer in _recurrent(program.stages, program)}
    used = {layer.law for layer in program.layers() if not layer.output}
    found = []
    for name, law in program.laws:
        # a node that is a function of its energy is torch's, unless it reads itself
        if name in used and (name in recurrent or not law.deterministic):
            known = supported(law)
            if known is not None:
                found.append(LawKernel(name, law.density, known, name in recurrent))
    return Kernels(tuple(found), tuple(sorted({layer.lines.count for layer in program.layers() if layer.lines and fused_chain(layer)})))


def supported(law: Derivation) -> Node | None:
    """The arithmetic of a law, if it has one."""
    if isinstance(law.sampling, Labels):
        return None
    try:
        return node(law)
    except Unsupported:
        return None


def fused_loop(layer: Layer, group: tuple[str, ...], law: Derivation) -> bool:
    """Whether a layer's loop over time is a recurrence of single nodes: each reads what it was one step before, and all else is known."""
    if not group or not reads_itself_alone(layer, group) or layer.labels is not None or layer.output:
        return False
    waits = inside(layer, group)
    if len(waits) != 1 or not outside(layer, group) or layer.normalised == "energy":
        return False
    (c,) = waits
    own = c.source == layer.name and c.lag == 1 and c.gate is None and c.block is None
    # nodes that are their energies have no class in model.py that a kernel could be told
    return own and c.product.kind in ("elementwise", "identity") and not law.copies_energy and supported(law) is not None


def fused_chain(layer: Layer) -> bool:
    """Whether a layer's lines are chains, which are summed exactly."""
    return layer.lines is not None and layer.lines.method == "chain" and layer.lines.count <= MOST_STATES


def _recurrent(stages: tuple[Stage, ...], program: Program) -> list[Layer]:
    found: list[Layer] = []
    for stage in stages:
        match stage:
            case Scan():
                group = tuple(layer.name for layer in stage.layers)
                found += [layer for layer in stage.layers if fused_loop(layer, group, program.law(layer.law))]
            case Module() | Repeat():
                found += _recurrent(stage.stages, program)
            case Refine():
                for level in stage.levels:
                    found += _recurrent((level.module,), program)
    return found
