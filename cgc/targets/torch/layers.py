"""Layers as classes: parameters in ``__init__``, energies and the node law in ``forward``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cgc.graph.geometry import Axes
from cgc.graph.parts import child_axes
from cgc.graph.predicate import Truth, names, tensor_expression, tensor_text
from cgc.kernels.plan import CellKernel
from cgc.program.energies import local
from cgc.program.ir import Contribution, Layer, Product
from cgc.program.loops import before, in_steps, inside, normalised_in_steps, outside, reads_itself_alone
from cgc.spec.model import DropoutGate, Init
from cgc.targets.torch.code import Function
from cgc.targets.torch.grids import made_on_grid
from cgc.targets.torch.maps import NO_MAPS, Maps
from cgc.targets.torch.names import distinct
from cgc.targets.torch.reads import reads
from cgc.targets.torch.scalar import number_text
from cgc.targets.torch.terms import MomentTerms, Terms, Values, module
from cgc.targets.torch.told import told


@dataclass(frozen=True)
class Block:
    """What a class of a layer or module consists of: the lines of ``__init__``, in which numbers may be told, and the other methods.

    ``parts`` are the fixed passages (template parts) that it needs.
    """

    init: tuple[str, ...]
    methods: tuple[Function, ...]
    parts: tuple[str, ...]


def layer_block(
    layer: Layer,
    law: str,
    drawn: bool,
    group: tuple[str, ...],
    timed: bool,
    moments: bool = False,
    lines: str = "",
    fused: CellKernel | bool = False,
    maps: Maps = NO_MAPS,
    at_once: bool = False,
) -> Block:
    """The class for ``layer``. ``group`` are the layers of its loop over time (empty where it has none).

    ``law`` is an expression for the node law; ``drawn`` tells whether its nodes can be drawn at all; ``moments`` whether values may
    also be means and variances. ``lines`` is an expression that makes the module of its lines, if it has any. ``fused``: there is a
    kernel for its loop over time, or this one for a step of it. ``maps``: layers whose features are (rows, maps, ...). ``at_once``: there
    is a kernel that normalises energies and infers nodes.
    """
    if layer.last:
        layer = _shared_at_once(layer)
    terms = MomentTerms(layer) if moments else Terms(layer, not timed, maps, at_once)
    parts = terms.parts
    init = [*modules(layer.contributions, parts), *bias(layer), *normalisation(layer, parts)]
    init += [f"self.lines = {lines}"] if lines else []
    masked = timed and layer.over_batch and not layer.last
    if not group:
        methods = [_map(terms, masked, law, drawn)]
    elif reads_itself_alone(layer, group):
        methods = [_loop(terms, group, masked, law, drawn, fused)]
    else:
        methods = [*([_drive(terms, group, masked)] if before(layer, group) else []), _step(terms, group, masked, law, drawn)]
    return Block(tuple(init), tuple(methods), tuple(sorted(parts)))


def normalisation(layer: Layer, parts: set[str]) -> list[str]:
    """The module ``normalize``: torch's layer normalisation where each energy has a scale of its own."""
    if layer.normalised == "no":
        return []
    if layer.over_batch:
        parts.add("batch_norm" if layer.shared is None else "batch_norm_maps")
        return [f"self.normalize = BatchNorm({_biases(layer)})"]
    if layer.groups == 1 and layer.shared is None:
        return [f"self.normalize = nn.LayerNorm({_biases(layer)}, bias=False)  # the shift is self.bias"]
    parts.add("group_norm")
    return [f"self.normalize = GroupNorm({layer.groups}, {_biases(layer)})"]


def _biases(layer: Layer) -> str:
    """How many biases, and scales, there are."""
    return told("nodes" if layer.shared is None else "maps", layer.biases)


def _shared_at_once(layer: Layer) -> Layer:
    """At a single step, a dropout node for all steps is one for each."""
    gates = (replace(c.gate, share="step") if isinstance(c.gate, DropoutGate) else c.gate for c in layer.contributions)
    return replace(layer, contributions=tuple(replace(c, gate=gate) for c, gate in zip(layer.contributions, gates, strict=True)))


def _inputs(c: Contribution) -> str:
    """The size of what is read as the module takes it: features, or maps."""
    geometry = c.product.geometry
    return told(c.name, c.product.inputs if geometry is None else geometry.parent_maps)


def modules(contributions: Sequence[Contribution], parts: set[str]) -> list[str]:
    """Lines that make the modules of edges."""
    lines: list[str] = []
    for c in contributions:
        if c.block is not None and f"self.{c.block[0]} = nn.ModuleDict()" not in lines:
            lines.append(f"self.{c.block[0]} = nn.ModuleDict()")
        lines += _modules(c, parts)
        if (
            c.block is not None
            and len([other for other in contributions if other.block == c.block]) == 1
            and lines[-2:-1] == [f"self.{c.block[0]} = nn.ModuleDict()"]
        ):
            lines[-2:] = [f'self.{c.block[0]} = nn.ModuleDict({{"{c.name}": {lines[-1].partition(" = ")[2]}}})']
    # blocks without modules need no place for them
    return [
        line for line in lines if not line.endswith(" = nn.ModuleDict()") or any(f"{line.split(' = ')[0]}[" in other for other in lines)
    ]


def _modules(c: Contribution, parts: set[str]) -> list[str]:
    lines = []
    p = c.product
    inputs, nodes = _inputs(c), told("nodes", c.product.outputs)
    match p.kind:
        case "identity" | "average":
            pass
        case "grouped" | "convolution" | "local":
            made, needed = made_on_grid(p, inputs, c.name)
            parts.update(needed)
            lines.append(f"{module(c)} = {made}")
        case "tied":
            parts.add("tied")
            assert p.key is not None
            mask, repeats = mask_lines(p)
            key = f"({tensor_expression(p.key)}).expand(mask.shape)" if names(p.key) else "torch.zeros(mask.shape, dtype=torch.long)"
            lines += [*mask, f"key = {key}", f"{module(c)} = Tied(key, mask{repeats})"]
        case _ if p.fixed is not None or p.kind == "masked":
            parts.add("masked")
            lines += _masked(c)
        case "dense":
            lines.append(f"{module(c)} = nn.Linear({inputs}, {nodes}, bias=False)")
        case "embedding" | "table":
            lines.append(f"{module(c)} = nn.Embedding({inputs}, {nodes})")
        case "elementwise":
            parts.add("elementwise")
            lines.append(f"{module(c)} = Elementwise({nodes})")
    if p.init is not None and p.weight_shape is not None:
        lines.append(f"nn.init.{_init(p.init)}".replace("(", f"({module(c)}.weight, ", 1))
    if p.weight_norm:
        lines.append(f"weight_norm({module(c)}{', dim=1' if p.kind in ('embedding', 'table') else ''})  # {c.name}.weight = g v / |v|")
    if c.dropout is not None:
        parts.add(f"{c.dropout.kind}_gate")
    return lines


def _masked(c: Contribution) -> list[str]:
    p = c.product
    fixed = "" if p.fixed is None else f", fixed={number_text(p.fixed)}"
    if p.mask is None:
        return [f"{module(c)} = Masked(torch.ones({p.outputs}, {p.inputs}, dtype=torch.bool){fixed})"]
    lines, repeats = mask_lines(p)
    return [*lines, f"{module(c)} = Masked(mask{repeats}{fixed})"]


def mask_lines(p: Product) -> tuple[list[str], str]:
    """Lines that compute the mask from its closed form, over flat node numbers."""
    assert p.mask is not None and p.index is not None
    lines = []
    sizes = []
    for axes, extra in ((p.index.child, "[:, None]"), (p.index.parent, "")):
        total = math.prod(extent for _, extent in axes)
        sizes.append(total)
        used = [name for name, _ in axes if name in (*names(p.mask), *(names(p.key) if p.key is not None else ()))]
        if len(axes) == 1 and used:
            lines.append(f"{axes[0][0]} = torch.arange({total}){extra}")
        elif used:
            flat = f"torch.arange({total})" if not extra else f"torch.arange({total}){extra}"
            stride = total
            for name, extent in axes:
                stride //= extent
                if name in used:
                    lines.append(f"{name} = {flat} // {stride} % {extent}")
    everywhere = f"torch.ones({sizes[0]}, {sizes[1]}, dtype=torch.bool)"
    lines.append(f"mask = {everywhere if p.mask == Truth(True) else f'{tensor_text(p.mask)}.expand({sizes[0]}, {sizes[1]})'}")
    rows, columns = p.outputs // sizes[0], p.inputs // sizes[1]
    return lines, f".repeat({rows}, {columns})" if (rows, columns) != (1, 1) else ""


def _init(init: Init) -> str:
    match init.kind:
        case "uniform":
            return f"uniform_({number_text(init.low)}, {number_text(init.high)})"
        case "normal":
            return f"normal_({number_text(init.mean)}, {number_text(init.std)})"
        case "constant":
            return f"constant_({number_text(init.low)})"


def bias(layer: Layer) -> list[str]:
    """Lines that make the biases, and tell which nodes share one."""
    if layer.bias is not True:
        return []
    lines = []
    if layer.shared is not None and layer.shared.key is not None:
        own = child_axes(layer.nodes)
        lines = [f"{name} = torch.arange({layer.size}){place}" for name, place in _flat(own, names(layer.shared.key))]
        lines.append(f"same = torch.unique({tensor_expression(layer.shared.key)}, return_inverse=True)[1]")
        lines.append('self.register_buffer("same", same, persistent=False)  # which nodes share a bias')
    return [*lines, *_start(layer)]


def _flat(axes: Axes, used: Sequence[str]) -> list[tuple[str, str]]:
    """Indices by name, and how they come from a flat number of a node."""
    stride = math.prod(extent for _, extent in axes)
    found = []
    for name, extent in axes:
        stride //= extent
        if name in used:
            found.append((name, "" if len(axes) == 1 else f" // {stride} % {extent}"))
    return found


def _start(layer: Layer) -> list[str]:
    """Biases as they start."""
    if layer.normalised != "no":
        return [f"self.bias = nn.Parameter(torch.zeros({_biases(layer)}))"]
    # the start values of nn.Linear's bias, for the first product without lag
    first = next((c for c in layer.contributions if not c.lag and c.product.weight_shape is not None), None)
    if first is None or first.product.kind == "elementwise":
        return [f"self.bias = nn.Parameter(torch.zeros({_biases(layer)}))"]
    fan_in, geometry = str(first.product.fan_in), first.product.geometry
    if first.product.kind in ("dense", "embedding", "table") and first.block is None:
        fan_in = _inputs(first)
    elif first.product.kind == "convolution" and geometry is not None and geometry.groups == 1 and first.block is None:
        cells = math.prod(geometry.kernel)
        fan_in = _inputs(first) if cells == 1 else f"({cells} * {_inputs(first)})"
    return [f"self.bias = nn.Parameter(torch.empty({_biases(layer)}).uniform_(-({fan_in}**-0.5), {fan_in}**-0.5))"]


def finish(terms: Terms, energy: str, law: str, drawn: bool, how: str = "how") -> tuple[str, ...]:
    """From the sum of contributions to what the layer returns: energies of an output, else features."""
    layer = terms.layer
    lines = [f"e = {energy}"]
    if layer.labels is not None:
        lines += _label_lines(layer)
    elif layer.output and len(layer.nodes) > 1:
        lines.append(f"e = e.unflatten(-1, {layer.nodes})")
    if len(lines) == 1:
        value, lines = energy, []
    elif len(lines) == 2 and lines[1].startswith("e = F.pad(e, "):
        value, lines = lines[1].removeprefix("e = ").replace("F.pad(e, ", f"F.pad({energy}, "), []
    else:
        value = "e"
    if layer.output:
        return (*lines, f"return {value}")
    comment = value[value.index("  #") :] if "  #" in value else ""
    value = value.removesuffix(comment)
    flat = ".flatten(-2)" if layer.labels is not None and layer.size > 1 else ""
    own = f"({value})" if flat and " " in value else value
    inferred = terms.inferred(how, law, value) if drawn else terms.determined(law, value) if law else own
    return (*lines, f"return {inferred}{flat}{comment}")


def _label_lines(layer: Layer) -> list[str]:
    """Energies per label: the reference label's 0 goes where it belongs; several nodes follow on an axis of their own."""
    lines = []
    many = layer.size > 1
    if many:
        lines.append(f"e = e.unflatten(-1, ({layer.free_energies}, {layer.size}))")
    reference = layer.reference_label
    if reference is not None:
        axis = -2 if many else -1
        after = (layer.labels or 0) - 1 - reference
        if after == 0:
            lines.append(f"e = F.pad(e, {'(0, 0, 0, 1)' if many else '(0, 1)'})  # the reference label's energy is 0")
        elif reference == 0:
            lines.append(f"e = F.pad(e, {'(0, 0, 1, 0)' if many else '(1, 0)'})  # the reference label's energy is 0")
        else:
            lines.append(f"before, after = e.split(({reference}, {after}), {axis})")
            lines.append(f"zero = torch.zeros_like(e.narrow({axis}, 0, 1))  # the reference label's energy")
            lines.append(f"e = torch.cat([before, zero, after], {axis})")
    if many and layer.output and len(layer.nodes) > 1:
        lines.append(f"e = e.unflatten(-1, {layer.nodes})")
    return lines


def _signature(name: str, contributions: Sequence[Contribution], extra: tuple[str, ...] = ()) -> str:
    return f"{name}({', '.join(['self', *(f'{read.name}: Tensor' for read in reads(contributions)), *extra])}) -> Tensor"


def named(contributions: Sequence[Contribution]) -> dict[tuple[str, int], str]:
    """What the contributions read, by the names of arguments."""
    return {(read.source, read.lag): read.name for read in reads(contributions)}


def _how(terms: Terms, drawn: bool) -> tuple[str, ...]:
    """The argument that tells how values are inferred, where the layer needs it."""
    return ("how: Inference",) if needs_inference(terms.layer, drawn, terms.moments) else ()


def needs_inference(layer: Layer, drawn: bool, moments: bool) -> bool:
    """Whether anything in the layer can be drawn (its nodes, or a gate), or has moments."""
    return moments or (drawn and not layer.output) or any(c.dropout for c in layer.contributions)


def drive_needs_inference(known: Sequence[Contribution], moments: bool) -> bool:
    """The same for what is ``known`` before a loop over time starts."""
    return moments or any(c.dropout for c in known)


def _map(terms: Terms, masked: bool, law: str, drawn: bool) -> Function:
    layer = terms.layer
    contributions = layer.contributions
    extra = (*_how(terms, drawn), *(("valid: Tensor | None = None",) if masked else ()))
    signature = _signature("forward", contributions, extra)
    if layer.normalised != "no" and any(c.block is not None for c in contributions) and not any(c.lag for c in contributions):
        # nodes with parents of their own make a long sum
        total = f"e = {terms.sum(contributions, named(contributions), bias=False)}"
        return Function(signature, (total, *finish(terms, terms.normalised("e", masked), law, drawn)))
    energy = terms.energy(contributions, named(contributions), masked)
    return Function(signature, finish(terms, energy, law, drawn))


def _loop(terms: Terms, group: tuple[str, ...], masked: bool, law: str, drawn: bool, fused: CellKernel | bool) -> Function:
    """One layer that reads its own past: everything else is computed for all steps at once, before the loop."""
    layer = terms.layer
    known, waits = outside(layer, group), inside(layer, group)
    read_here = [read for read in reads(layer.contributions) if read.source != layer.name]
    waiting = {(read.source, read.lag) for read in reads(waits)}
    beside = [read for read in read_here if (read.source, read.lag) in waiting]  # gates of what waits, step by step
    taken = {c.name for c in layer.contributions}
    own = distinct(local(layer.component), {read.name for read in read_here}, "_")
    extra = (*_how(terms, drawn), "past: Tensor", *(("valid: Tensor | None = None",) if masked else ()))
    given = {(read.source, read.lag): read.name for read in read_here}
    body: list[str] = []
    stepwise = {read.name: distinct(f"{read.name}_t", taken, "_") for read in beside}
    loops = []
    covered = None
    if known:
        drive = terms.energy(known, given, masked)
        covered = terms.covered(drive) if fused is True else None
        body.append(f"e = {drive}" if covered is None else f"a = {covered[0]}")
        loops.append(("e_t", "e.unbind(-2)" if covered is None else f"{terms.batch_norm(', '.join(('a', covered[1])))}.unbind(-2)"))
    loops += [(stepwise[read.name], f"{read.name}.unbind(-2)") for read in beside]
    if len(loops) == 1:
        head = "for {} in {}:".format(*loops[0])
    elif loops:
        head = f"for {', '.join(name for name, _ in loops)} in zip({', '.join(steps for _, steps in loops)}, strict=True):"
    else:
        extra = ("steps: int", *extra)
        head = "for _ in range(steps):"
    values = {(layer.name, c.lag): f"{own}[-{c.lag}]" for c in waits if c.source == layer.name}
    values |= {(read.source, read.lag): stepwise[read.name] for read in beside}
    summed = []
    for c in waits:
        gate = None
        if c.dropout is not None and c.dropout.share == "time":
            gate = distinct(f"{c.name}_gate", taken, "_")
            body.append(f"{gate} = {terms.gate(replace(c.dropout, share='step'), 'past[..., -1, :]')}  # one draw for all steps")
        summed.append(terms.term(c, values, gate))
    energy = " + ".join(["e_t", *summed]) if known else terms.shifted(summed, first=True)
    *lines, result = finish(terms, energy, law, drawn)
    if isinstance(fused, CellKernel):
        one = fused.cell.given
        sequences = [*(["e"] if known and one is None else []), *(given[read] for read in (*([one] if one else []), *fused.cell.beside))]
        body[:] = (
            [*body, *_fused_steps(fused.name, sequences, drawn)] if one is None else [*_fused_steps(fused.name, sequences, drawn), *body]
        )
    elif fused:
        body += _fused_loop(waits[0], law, drawn, "" if covered is None else f", self{', valid' * masked}")
    body += [f"{own} = list(past.unbind(-2))  # what came before the first step", head]
    body += [*(f"    {line}" for line in lines), f"    {own}.append({result.removeprefix('return ')})"]
    body.append(f"return torch.stack({own}[past.shape[-2] :], -2)")
    names = [f"{name}: Tensor" for name in given.values()]
    return Function(f"forward({', '.join(['self', *names, *extra])}) -> Tensor", tuple(body))


def _fused_loop(c: Contribution, law: str, drawn: bool, normaliser: str) -> list[str]:
    """Lines that give the whole loop to a kernel, where there is one; ``normaliser`` is what else it is told if it normalises first."""
    e = "a" if normaliser else "e"
    fixed = f"{e}.new_full({e}.shape[-1:], {number_text(c.product.fixed or 1)})"
    weight = f"{module(c)}.weight" if c.product.weight_shape is not None else fixed
    how = "how.rate, how.straight_through" if drawn else "0.0, False"
    return [
        f"if kernels and kernels.fits_loop({law}, {'how.rate' if drawn else '0.0'}, {e}):",
        f"    return kernels.recurrence({law}, {e}, {weight}, past, {how}{normaliser})",
    ]


def _fused_steps(name: str, sequences: Sequence[str], drawn: bool) -> list[str]:
    """Lines that give every step of a loop to a kernel, where there is one."""
    rate, straight = ("how.rate", "how.straight_through") if drawn else ("0.0", "False")
    return [
        f'if kernels and kernels.fits_cell("{name}", {rate}, {sequences[0]}):',
        f'    return kernels.cell("{name}", self, [{", ".join(sequences)}], [past], {rate}, {straight})[0]',
    ]


def _drive(terms: Terms, group: tuple[str, ...], masked: bool) -> Function:
    """The part of the energy that does not wait for the loop over time."""
    layer = terms.layer
    known = before(layer, group)
    how = ("how: Inference",) if drive_needs_inference(known, terms.moments) else ()
    if normalised_in_steps(layer, group):
        return Function(_signature("drive", known, how), (f"return {terms.sum(known, named(known), bias=False)}",))
    extra = (*how, *(("valid: Tensor | None = None",) if masked else ()))
    return Function(_signature("drive", known, extra), (f"return {terms.energy(known, named(known), masked)}",))


def _step(terms: Terms, group: tuple[str, ...], masked: bool, law: str, drawn: bool) -> Function:
    """Features at one time step."""
    layer = terms.layer
    arguments = in_steps(layer, group)
    known = ["drive"] if before(layer, group) else []
    waits = masked and normalised_in_steps(layer, group)
    energy = step_energy(terms, group, known, named(arguments), waits)
    names = [f"{name}: Tensor" for name in (*known, *(read.name for read in reads(arguments)))]
    extra = [*_how(terms, drawn), *(["valid: Tensor | None = None"] if waits else [])]
    signature = f"step({', '.join(['self', *names, *extra])}) -> Tensor"
    return Function(signature, finish(terms, energy, law, drawn))


def step_energy(terms: Terms, group: tuple[str, ...], known: Sequence[str], values: Values, masked: bool) -> str:
    """The energy at one time step: what was ``known`` before the loop, and what waited for it."""
    layer = terms.layer
    arguments = in_steps(layer, group)
    if not normalised_in_steps(layer, group):
        if not known:
            return terms.sum(arguments, values, bias=True)
        return " + ".join([*known, *([terms.sum(arguments, values, bias=False)] if arguments else [])])
    covered = [c for c in arguments if layer.normalised == "energy" or not c.lag]
    total = " + ".join([*known, *([terms.sum(covered, values, bias=False)] if covered else [])])
    rest = [c for c in arguments if c not in covered]
    return " + ".join([terms.normalised(total, masked), *([terms.sum(rest, values, bias=False)] if rest else [])])
