"""Layers as classes: parameters in ``__init__``, energies and the node law in ``forward``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cgc.graph.geometry import Axes
from cgc.graph.parts import child_axes
from cgc.graph.predicate import Truth, names, tensor_expression, tensor_text
from cgc.program.ir import Contribution, Layer, Product
from cgc.program.loops import before, in_steps, inside, normalised_in_steps, outside, reads_itself_alone
from cgc.spec.model import Init
from cgc.targets.torch.code import Class, Function, wrapped
from cgc.targets.torch.grids import made_on_grid
from cgc.targets.torch.names import distinct
from cgc.targets.torch.scalar import number_text
from cgc.targets.torch.terms import MomentTerms, Terms


@dataclass(frozen=True)
class LayerCode:
    """A layer's class, the arguments that build this layer from it, and the fixed passages (template parts) it needs.

    ``key`` is equal for layers that one class can serve: they differ in ``arguments`` only.
    """

    definition: Class
    arguments: str
    parts: tuple[str, ...]

    @property
    def key(self) -> Class:
        """What makes two layers the same block."""
        return self.definition


def layer_class(
    name: str, layer: Layer, law: str, drawn: bool, group: tuple[str, ...], timed: bool, doc: str, moments: bool = False, lines: str = ""
) -> LayerCode:
    """The class for ``layer``. ``group`` are the layers of its loop over time (empty where it has none).

    ``law`` is an expression for the node law; ``drawn`` tells whether its nodes can be drawn at all; ``moments`` whether values may
    also be means and variances. ``lines`` is an expression that makes the module of its lines, if it has any.
    """
    if layer.last:
        layer = _shared_at_once(layer)
    terms = MomentTerms(layer) if moments else Terms(layer)
    parts = terms.parts
    sized = _sized(layer)
    init = ["super().__init__()"]
    for contribution in layer.contributions:
        init += _modules(contribution, contribution.name in sized, parts)
    init += _bias(layer, sized)
    if layer.normalised != "no":
        parts.add("batch_norm" if layer.shared is None else "batch_norm_maps")
        each = "" if layer.shared is None else f", {layer.shared.block}"
        init.append(f"self.normalize = BatchNorm({layer.biases}{each})")
    init += [f"self.lines = {lines}"] if lines else []
    arguments = ", ".join(str(_size(c)) for c in layer.contributions if c.name in sized)
    signature = ", ".join(["self", *(f"{c.name}: int" for c in layer.contributions if c.name in sized)])
    masked = timed and layer.normalised != "no" and not layer.last
    if not group:
        methods = [_map(terms, masked, law, drawn)]
    elif reads_itself_alone(layer, group):
        methods = [_loop(terms, group, masked, law, drawn)]
    else:
        methods = [*([_drive(terms, group, masked)] if before(layer, group) else []), _step(terms, group, masked, law, drawn)]
    methods = [method.fitted() for method in methods] if moments else methods
    if len(init) > 1:
        methods = [Function(f"__init__({signature}) -> None", tuple(init)), *methods]
    definition = Class(name, "nn.Module", wrapped(doc), (), tuple(methods))
    return LayerCode(definition, arguments, tuple(sorted(parts)))


def _shared_at_once(layer: Layer) -> Layer:
    """At a single step, a dropout node for all steps is one for each."""
    gates = (c.gate and replace(c.gate, share="step") for c in layer.contributions)
    return replace(layer, contributions=tuple(replace(c, gate=gate) for c, gate in zip(layer.contributions, gates, strict=True)))


def _sized(layer: Layer) -> tuple[str, ...]:
    """Names of the contributions whose input size is an argument: in a stack it differs from layer to layer."""
    if layer.index is None:
        return ()
    sized = ("dense", "embedding", "convolution")
    return tuple(c.name for c in layer.contributions if c.product.kind in sized and c.product.fixed is None and not c.lag)


def _size(c: Contribution) -> int:
    """The size of what is read as the module takes it: features, or maps."""
    geometry = c.product.geometry
    return c.product.inputs if geometry is None else geometry.parent_maps


def _modules(c: Contribution, sized: bool, parts: set[str]) -> list[str]:
    lines = []
    p = c.product
    inputs = c.name if sized else str(_size(c))
    match p.kind:
        case "identity":
            pass
        case "grouped" | "convolution" | "local" | "average":
            made, needed = made_on_grid(p, inputs)
            parts.update(needed)
            if made is not None:
                lines.append(f"self.{c.name} = {made}")
        case "tied":
            parts.add("tied")
            assert p.key is not None
            mask, repeats = mask_lines(p)
            key = f"({tensor_expression(p.key)}).expand(mask.shape)" if names(p.key) else "torch.zeros(mask.shape, dtype=torch.long)"
            lines += [*mask, f"key = {key}", f"self.{c.name} = Tied(key, mask{repeats})"]
        case _ if p.fixed is not None or p.kind == "masked":
            parts.add("masked")
            lines += _masked(c)
        case "dense":
            lines.append(f"self.{c.name} = nn.Linear({inputs}, {p.outputs}, bias=False)")
        case "embedding":
            lines.append(f"self.{c.name} = nn.Embedding({inputs}, {p.outputs})")
        case "elementwise":
            parts.add("elementwise")
            lines.append(f"self.{c.name} = Elementwise({p.outputs})")
    if p.init is not None and p.weight_shape is not None:
        lines.append(f"nn.init.{_init(p.init)}".replace("(", f"(self.{c.name}.weight, ", 1))
    if c.gate is not None:
        parts.add(f"{c.gate.kind}_gate")
    return lines


def _masked(c: Contribution) -> list[str]:
    p = c.product
    fixed = "" if p.fixed is None else f", fixed={number_text(p.fixed)}"
    if p.mask is None:
        return [f"self.{c.name} = Masked(torch.ones({p.outputs}, {p.inputs}, dtype=torch.bool){fixed})"]
    lines, repeats = mask_lines(p)
    return [*lines, f"self.{c.name} = Masked(mask{repeats}{fixed})"]


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


def _bias(layer: Layer, sized: tuple[str, ...]) -> list[str]:
    if layer.bias is not True:
        return []
    lines = []
    if layer.shared is not None and layer.shared.key is not None:
        own = child_axes(layer.nodes)
        lines = [f"{name} = torch.arange({layer.size}){place}" for name, place in _flat(own, names(layer.shared.key))]
        lines.append(f"same = torch.unique({tensor_expression(layer.shared.key)}, return_inverse=True)[1]")
        lines.append('self.register_buffer("same", same, persistent=False)  # which nodes share a bias')
    return [*lines, *_start(layer, sized)]


def _flat(axes: Axes, used: Sequence[str]) -> list[tuple[str, str]]:
    """Indices by name, and how they come from a flat number of a node."""
    stride = math.prod(extent for _, extent in axes)
    found = []
    for name, extent in axes:
        stride //= extent
        if name in used:
            found.append((name, "" if len(axes) == 1 else f" // {stride} % {extent}"))
    return found


def _start(layer: Layer, sized: tuple[str, ...]) -> list[str]:
    """Biases as they start."""
    if layer.normalised != "no":
        return [f"self.bias = nn.Parameter(torch.zeros({layer.biases}))"]
    # the start values of nn.Linear's bias, for the first product without lag
    first = next((c for c in layer.contributions if not c.lag and c.product.weight_shape is not None), None)
    if first is None or first.product.kind == "elementwise":
        return [f"self.bias = nn.Parameter(torch.zeros({layer.biases}))"]
    fan_in = str(first.product.fan_in)
    if first.name in sized:
        cells = math.prod(first.product.geometry.kernel) if first.product.geometry else 1
        fan_in = first.name if cells == 1 else f"({cells} * {first.name})"
    return [f"self.bias = nn.Parameter(torch.empty({layer.biases}).uniform_(-({fan_in}**-0.5), {fan_in}**-0.5))"]


def _finish(terms: Terms, energy: str, law: str, drawn: bool) -> tuple[str, ...]:
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
    inferred = f"how({law}, {value})" if drawn else terms.determined(law, value)
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


def _signature(name: str, contributions: tuple[Contribution, ...], extra: tuple[str, ...] = ()) -> str:
    return f"{name}({', '.join(['self', *(f'{c.name}: Tensor' for c in contributions), *extra])}) -> Tensor"


def _how(terms: Terms, drawn: bool) -> tuple[str, ...]:
    """The argument that tells how values are inferred, where the layer needs it."""
    return ("how: Inference",) if needs_inference(terms.layer, drawn, terms.moments) else ()


def needs_inference(layer: Layer, drawn: bool, moments: bool) -> bool:
    """Whether anything in the layer can be drawn (its nodes, or a gate), or has moments."""
    return moments or (drawn and not layer.output) or any(c.gate for c in layer.contributions)


def drive_needs_inference(known: tuple[Contribution, ...], moments: bool) -> bool:
    """The same for what is ``known`` before a loop over time starts."""
    return moments or any(c.gate for c in known)


def _map(terms: Terms, masked: bool, law: str, drawn: bool) -> Function:
    contributions = terms.layer.contributions
    extra = (*_how(terms, drawn), *(("valid: Tensor | None = None",) if masked else ()))
    energy = terms.energy(contributions, {c.name: c.name for c in contributions}, masked)
    return Function(_signature("forward", contributions, extra), _finish(terms, energy, law, drawn))


def _loop(terms: Terms, group: tuple[str, ...], masked: bool, law: str, drawn: bool) -> Function:
    """One layer that reads its own past: everything else is computed for all steps at once, before the loop."""
    layer = terms.layer
    known, waits = outside(layer, group), inside(layer, group)
    taken = {c.name for c in layer.contributions}
    own = distinct(layer.component, {c.name for c in known}, "_")
    extra = (*_how(terms, drawn), "past: Tensor", *(("valid: Tensor | None = None",) if masked else ()))
    body = []
    if known:
        body.append(f"e = {terms.energy(known, {c.name: c.name for c in known}, masked)}")
        head = "for e_t in e.unbind(-2):"
    else:
        extra = ("steps: int", *extra)
        head = "for _ in range(steps):"
    summed = []
    for c in waits:
        gate = None
        if c.gate is not None and c.gate.share == "time":
            gate = distinct(f"{c.name}_gate", taken, "_")
            body.append(f"{gate} = {terms.gate(replace(c.gate, share='step'), 'past[..., -1, :]')}  # one draw for all steps")
        summed.append(terms.term(c, f"{own}[-{c.lag}]", gate))
    energy = " + ".join(["e_t", *summed]) if known else terms.shifted(summed, first=True)
    *lines, result = _finish(terms, energy, law, drawn)
    body += [f"{own} = list(past.unbind(-2))  # what came before the first step", head]
    body += [*(f"    {line}" for line in lines), f"    {own}.append({result.removeprefix('return ')})"]
    body.append(f"return torch.stack({own}[past.shape[-2] :], -2)")
    return Function(_signature("forward", known, extra), tuple(body))


def _drive(terms: Terms, group: tuple[str, ...], masked: bool) -> Function:
    layer = terms.layer
    known = before(layer, group)
    values = {c.name: c.name for c in known}
    how = ("how: Inference",) if drive_needs_inference(known, terms.moments) else ()
    doc = ("The part of the energy that does not wait for the loop over time.",)
    if normalised_in_steps(layer, group):
        return Function(_signature("drive", known, how), (f"return {terms.sum(known, values, bias=False)}",), doc)
    extra = (*how, *(("valid: Tensor | None = None",) if masked else ()))
    return Function(_signature("drive", known, extra), (f"return {terms.energy(known, values, masked)}",), doc)


def _step(terms: Terms, group: tuple[str, ...], masked: bool, law: str, drawn: bool) -> Function:
    layer = terms.layer
    arguments = in_steps(layer, group)
    known = ["drive"] if before(layer, group) else []
    waits = masked and normalised_in_steps(layer, group)
    if not normalised_in_steps(layer, group):
        summed = [*known, *(terms.term(c, c.name) for c in arguments)]
        energy = " + ".join(summed) if known else terms.shifted(summed)
    else:
        covered = [c for c in arguments if layer.normalised == "energy" or not c.lag]
        total = " + ".join([*known, *(terms.term(c, c.name) for c in covered)])
        energy = " + ".join([terms.normalised(total, waits), *(terms.term(c, c.name) for c in arguments if c not in covered)])
    names = [f"{name}: Tensor" for name in (*known, *(c.name for c in arguments))]
    extra = [*_how(terms, drawn), *(["valid: Tensor | None = None"] if waits else [])]
    signature = f"step({', '.join(['self', *names, *extra])}) -> Tensor"
    return Function(signature, _finish(terms, energy, law, drawn), ("Features at one time step.",))
