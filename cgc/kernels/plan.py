"""Which parts of a program are computed by kernels: nodes of single energies, loops over time in which every node reads itself, steps of
other loops, and sums over the states of a chain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cgc.derive.derivation import Derivation, Labels
from cgc.kernels.cell import Cell, cell
from cgc.kernels.expand import Unsupported
from cgc.kernels.gates import Gate, gate_name, gate_node, gates, in_words
from cgc.kernels.node import Node, node
from cgc.program.ir import Layer, Module, Program, Refine, Repeat, Scan, Stage
from cgc.program.loops import inside, outside, reads_itself_alone

MOST_STATES = 64
"""Chains with more states are torch's: their loops are written out, and take long to compile."""


@dataclass(frozen=True)
class LawKernel:
    """The arithmetic of the law ``name``; ``recurrent``: for layers whose nodes read their own past; ``plain``: for others;
    ``normalised``: for some of these, energies are normalised over a batch at once. ``gate``: it is what features become behind these
    dropout nodes."""

    name: str
    density: str
    node: Node
    recurrent: bool
    plain: bool = True
    normalised: bool = False
    gate: Gate | None = None


@dataclass(frozen=True)
class CellKernel:
    """The step ``cell`` under a name, with the names of its ``layers`` and parameters in the module that runs it.

    ``inputs`` are weights and biases of what is one product before the loop, ``weights`` those of each source in turn, layer by layer,
    ``vectors`` those of single nodes.
    """

    name: str
    cell: Cell
    layers: tuple[str, ...]
    inputs: tuple[tuple[str, ...], ...]
    weights: tuple[tuple[str, ...], ...]
    vectors: tuple[str, ...]


@dataclass(frozen=True)
class Kernels:
    """What kernels there are: by law, for chains by the number of states, and for loops by the names of their layers."""

    laws: tuple[LawKernel, ...]
    chains: tuple[int, ...] = ()
    cells: tuple[tuple[tuple[str, ...], Cell], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.laws or self.chains or self.cells)


def plan(program: Program) -> Kernels:
    """The kernels of a program."""
    groups = [stage.layers for stage in _scans(program.stages)]
    looped = [la for layers in groups for la in layers if fused_loop(la, _names(layers), program.law(la.law))]
    cells = tuple(_cells(groups, program))
    elsewhere = {layer.name for layer in looped} | {name for group, _ in cells for name in group}
    recurrent = {layer.law for layer in looped}
    # a node that is a function of its energy is torch's, unless it reads itself
    plain = {la.law for la in program.layers() if not la.output and la.name not in elsewhere and not program.law(la.law).deterministic}
    normalised = {la.law for la in program.layers() if normalises(la, program)}
    found = []
    for name, law in program.laws:
        known = supported(law) if name in recurrent or name in plain else None
        if known is not None:
            found.append(LawKernel(name, law.density, known, name in recurrent, name in plain, name in normalised))
    # where values may be moments, no gate is drawn together with a product
    drawn = () if program.eval.method == "moments" else dict.fromkeys(gate for layer in program.layers() for gate in gates(layer))
    found += [LawKernel(f"gate {gate_name(gate)}", in_words(gate), gate_node(gate), False, gate=gate) for gate in drawn]
    chains = sorted({layer.lines.count for layer in program.layers() if layer.lines and fused_chain(layer)})
    return Kernels(tuple(found), tuple(chains), cells)


def supported(law: Derivation) -> Node | None:
    """The arithmetic of a law, if it has one."""
    if isinstance(law.sampling, Labels):
        return None
    try:
        return node(law)
    except Unsupported:
        return None


def normalises(layer: Layer, program: Program) -> bool:
    """Whether a layer's energies are normalised over a batch where its nodes are inferred."""
    inferred = not layer.output and not program.law(layer.law).deterministic
    return layer.over_batch and inferred and program.eval.method != "moments" and supported(program.law(layer.law)) is not None


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


def _cells(groups: list[tuple[Layer, ...]], program: Program) -> Iterator[tuple[tuple[str, ...], Cell]]:
    """The loops whose steps are kernels, with these."""
    rated = program.train.sample_rates or program.eval.sample_rates
    if rated or program.eval.method == "moments":
        return
    # steps of loops are expressions, which loops over tables are not
    known = {name: (law, node) for name, law in program.laws if (node := supported(law)) is not None and not node.tabled}
    for layers in groups:
        group = _names(layers)
        if any(fused_loop(layer, group, program.law(layer.law)) for layer in layers):
            continue
        read = {name for layer in program.layers() for name, lag in layer.sources if layer.name not in group or lag}
        found = cell(layers, known, [name for name in group if name in read])
        if found is not None:
            yield group, found


def _names(layers: tuple[Layer, ...]) -> tuple[str, ...]:
    return tuple(layer.name for layer in layers)


def _scans(stages: tuple[Stage, ...]) -> Iterator[Scan]:
    for stage in stages:
        match stage:
            case Scan():
                yield stage
            case Module() | Repeat():
                yield from _scans(stage.stages)
            case Refine():
                for level in stage.levels:
                    yield from _scans((level.module,))
