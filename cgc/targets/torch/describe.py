"""What emitted classes say of themselves: the factor of the joint distribution that each computes, and the energies in it."""

from __future__ import annotations

from collections.abc import Sequence

from cgc.program.ir import Contribution, Layer, Map, Module, Opening, Program, Refine, Repeat, Scan, layers_of
from cgc.targets.torch.reads import local
from cgc.targets.torch.scalar import number_text
from cgc.targets.torch.scopes import Scope, base_of, one_by_one, refine_reads

MOST = 12
"""So many factors of a module are written out."""


def layer_doc(layer: Layer, timed: bool, alike: Sequence[str]) -> str:
    """The factor of one layer: P(h[t] | x[t], h[t-1]) = prod_i P(h[t]_i | e_i), e = ...; ``alike`` are all that have the same."""
    time = timed and not layer.last
    own = f"{local(layer.component) if len(alike) == 1 else 'X'}{'[t]' if time else ''}"
    start = "" if len(alike) == 1 else f"X = {', '.join(alike)}: "
    given = ", ".join(dict.fromkeys(_read(c.name, c.lag, time) for c in layer.contributions))
    opened = any(c.opening for c in layer.contributions)
    sources = "eq. 2, 8" + (", 12" if opened else ", 13" if any(c.gate for c in layer.contributions) else "")
    return f"{start}P({own} | {given}) = prod_i P({own}_i | e_i),  e = {_energy(layer, layer.contributions, timed)}  ({sources})"


def refine_doc(stage: Refine, timed: bool) -> str:
    """The same for a refined layer, whose energy its levels add to."""
    layer, base = stage.layer, base_of(stage)
    time = timed and not layer.last
    own = f"{local(layer.component)}{'[t]' if time else ''}"
    given = ", ".join(dict.fromkeys(_read(c.name, c.lag, time) for c in base))
    direct = [c for c in base if not (c.lag and layer.normalised == "inputs")]
    shared = ["b"] if layer.normalised == "no" and stage.levels[0].copy.bias is True else []
    total = " + ".join([_sum(direct, len(base) > 1, timed, layer.last), *shared])
    energy = f"{total} + sum_k R_k(X̃_k)"
    if layer.normalised != "no":
        late = [c for c in base if c not in direct]
        after = [*(["b"] if layer.bias is True else []), *([_sum(late, True, timed, layer.last)] if late else [])]
        energy = " + ".join([f"{_normaliser(layer)}({energy})", *after])
    return f"P({own} | {given}) = prod_i P({own}_i | e_i),  e = {energy}  (section 4.1)"


def network_doc(program: Program, factorisation: str) -> str:
    """The joint distribution: factor by factor, or with a factor for every module and refined layer, whose classes tell theirs."""
    if all(
        isinstance(stage, (Map, Scan)) or (isinstance(stage, Repeat) and not isinstance(stage.stages[0], Module))
        for stage in program.stages
    ):
        return factorisation
    names: dict[str, str] = {}
    factors: list[tuple[str, str]] = []
    for stage in one_by_one(program.stages):
        match stage:
            case Module():
                names |= {layer.name: stage.name for layer in layers_of(stage)}
                read = dict.fromkeys(a.source for a in stage.arguments)
                factors.append((stage.name, ", ".join(dict.fromkeys(names.get(source, source) for source in read))))
            case Refine():
                read = dict.fromkeys(source for source, _ in refine_reads(stage))
                factors.append((stage.layer.name, ", ".join(dict.fromkeys(names.get(source, source) for source in read))))
            case _:
                for layer in layers_of(stage):
                    last = "[T]" if layer.last and program.steps is not None else ""
                    read = dict.fromkeys(names.get(source, source) + last for source, _ in layer.sources if source != layer.name)
                    factors.append((layer.name, ", ".join(read)))
    inputs = ", ".join(item.name for item in program.inputs)
    left = f"P({', '.join(_some([name for name, _ in factors]))} | {inputs})"
    return f"{left} = {' '.join(_some([f'P({name} | {given})' for name, given in factors]))}"


def _some(texts: list[str]) -> list[str]:
    return texts if len(texts) <= MOST else [*texts[: MOST - 1], "...", texts[-1]]


def module_doc(stage: Module, program: Program, scope: Scope) -> str:
    """The factors of a module's layers, of every time step where there is time."""
    timed = program.steps is not None
    names = {a.source: a.name for a in stage.arguments}
    factors = []
    for layer in layers_of(stage):
        read = dict.fromkeys((source, lag) for source, lag in layer.sources)
        conditions = ", ".join(_read(names.get(source) or scope.relative(source), lag, timed) for source, lag in read)
        factors.append(f"P({scope.relative(layer.name)}{'[t]' if timed else ''} | {conditions})")
    return ("prod_t " if timed else "") + " ".join(_some(factors))


def _read(name: str, lag: int, time: bool) -> str:
    return f"{name}{(f'[t-{lag}]' if lag else '[t]') if time else ''}"


def _normaliser(layer: Layer) -> str:
    return "BN" if layer.groups is None else "LN" if layer.groups == 1 else "GN"


def _energy(layer: Layer, contributions: Sequence[Contribution], timed: bool) -> str:
    several = len(contributions) > 1
    bias = ["b"] if layer.bias is True else [number_text(float(layer.bias))] if layer.bias else []
    match layer.normalised:
        case "no":
            return " + ".join([_sum(contributions, several, timed, layer.last), *bias])
        case "energy":
            return " + ".join([f"{_normaliser(layer)}({_sum(contributions, several, timed, layer.last)})", *bias])
        case _:
            direct = [c for c in contributions if not c.lag]
            late = [c for c in contributions if c.lag]
            text = f"{_normaliser(layer)}({_sum(direct, several, timed, layer.last)})"
            return " + ".join([text, *bias, *([_sum(late, several, timed, layer.last)] if late else [])])


def _sum(contributions: Sequence[Contribution], several: bool, timed: bool, last: bool) -> str:
    plain = [_term(c, several, timed, last) for c in contributions if c.block is None]
    blocks: dict[str, list[str]] = {}
    for c in contributions:
        if c.block is not None:
            blocks.setdefault(c.block[0], []).append(_term(c, several, timed, last))
    parts = [f"[{', '.join(' + '.join(terms) for terms in blocks.values())}]"] if blocks else []
    return " + ".join([*plain, *parts])


def _term(c: Contribution, several: bool, timed: bool, last: bool) -> str:
    letter = "T" if last else "t"
    when = (f"[{letter}-{c.lag}]" if c.lag else f"[{letter}]") if timed else ""
    name = c.name if c.block is None else f"{c.block[0]}_{c.name}"
    weight = f"W_{name}" if several else "W"
    value = f"{'D_' + c.name + ' * ' if c.dropout else ''}{c.name}{when}"
    if isinstance(c.gate, Opening):
        value = f"P({local(c.gate.source)}{f'[{letter}]' if timed else ''} = {_state(c.gate)}) {value}"
    match c.product.kind:
        case "elementwise":
            return f"{c.name}.weight * {value}"
        case "identity":
            return value if c.product.fixed in (None, 1) else f"{c.product.fixed:g} {value}"
        case "convolution":
            return f"{weight} ⋆ {value}"
        case "average":
            return f"mean({value})"
        case _:
            return f"{weight} {value}"


def _state(gate: Opening) -> str:
    """The state that opens: where the probability is 1."""
    return str(gate.label) if gate.label is not None else f"{(1 - gate.shift) / gate.scale:g}"
