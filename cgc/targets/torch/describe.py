"""What emitted classes say of themselves: the factor of the joint distribution that each computes, and the energies in it."""

from __future__ import annotations

from collections.abc import Sequence

from cgc.program.energies import energy_text, local, normaliser, sum_text
from cgc.program.ir import Layer, Map, Module, Program, Refine, Repeat, Scan, layers_of
from cgc.targets.torch.scopes import Scope, base_of, one_by_one, refine_reads

MOST = 12
"""So many factors of a module are written out."""


def layer_doc(layer: Layer, timed: bool, alike: Sequence[str]) -> str:
    """The factor of one layer: P(h[t] | x[t], h[t-1]) = prod_i P(h[t]_i | e_i), e = ...; ``alike`` are all that have the same."""
    time = timed and not layer.last
    own = f"{local(layer.component) if len(alike) == 1 else 'X'}{'[t]' if time else ''}"
    start = "" if len(alike) == 1 else f"X = {', '.join(alike)}: "
    opened = [_read(local(c.opening.source), 0, time) for c in layer.contributions if c.opening]
    given = ", ".join(dict.fromkeys([*(_read(c.name, c.lag, time) for c in layer.contributions), *opened]))
    sources = "eq. 2, 8" + (", 12" if opened else ", 13" if any(c.gate for c in layer.contributions) else "")
    return f"{start}P({own} | {given}) = prod_i P({own}_i | e_i),  e = {energy_text(layer, layer.contributions, timed)}  ({sources})"


def refine_doc(stage: Refine, timed: bool) -> str:
    """The same for a refined layer, whose energy its levels add to."""
    layer, base = stage.layer, base_of(stage)
    time = timed and not layer.last
    own = f"{local(layer.component)}{'[t]' if time else ''}"
    given = ", ".join(dict.fromkeys(_read(c.name, c.lag, time) for c in base))
    direct = [c for c in base if not (c.lag and layer.normalised == "inputs")]
    shared = ["b"] if layer.normalised == "no" and stage.levels[0].copy.bias is True else []
    total = " + ".join([sum_text(direct, len(base) > 1, timed, layer.last), *shared])
    energy = f"{total} + sum_k R_k(X̃_k)"
    if layer.normalised != "no":
        late = [c for c in base if c not in direct]
        after = [*(["b"] if layer.bias is True else []), *([sum_text(late, True, timed, layer.last)] if late else [])]
        energy = " + ".join([f"{normaliser(layer)}({energy})", *after])
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
    names = {a.source: a.name.removesuffix(f"_{a.lag}") if a.lag else a.name for a in stage.arguments}
    factors = []
    for layer in layers_of(stage):
        read = dict.fromkeys((source, lag) for source, lag in layer.sources)
        conditions = ", ".join(_read(names.get(source) or scope.relative(source), lag, timed) for source, lag in read)
        factors.append(f"P({scope.relative(layer.name)}{'[t]' if timed else ''} | {conditions})")
    return ("prod_t " if timed else "") + " ".join(_some(factors))


def _read(name: str, lag: int, time: bool) -> str:
    return f"{name}{(f'[t-{lag}]' if lag else '[t]') if time else ''}"
