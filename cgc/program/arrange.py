"""Layers → stages: what belongs together stays together, recurrent groups become loops over time, all else runs over all steps at once.

A module of the spec becomes a ``Module`` unless what lies between its layers is computed outside of it; a refined component and its
copies become a ``Refine``.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

import networkx as nx

from cgc.graph.copies import part_name
from cgc.program.ir import Argument, Layer, Level, Map, Module, Refine, Scan, Stage
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.spec.model import Spec


def arrange(spec: Spec, layers: Mapping[str, Layer]) -> tuple[Stage, ...]:
    """The stages of ``layers``, which come in an order in which a time step can compute them.

    Raises SpecError (CG620) for a refinement that is part of a loop over time.
    """
    return _Arranger(spec, layers).stages(list(layers), 0)


class _Arranger:
    def __init__(self, spec: Spec, layers: Mapping[str, Layer]) -> None:
        self.spec, self.layers = spec, layers
        self.place = _places(spec, layers)
        self.outputs = {module.name: module.output for module in spec.modules}
        self.bases = {refinement.base: refinement for refinement in spec.refinements}
        self.scopes = {name: self.scopes_of(layer) for name, layer in layers.items()}
        self.readers: dict[str, list[str]] = {}
        for layer in layers.values():
            for source, _ in layer.sources:
                self.readers.setdefault(source, []).append(layer.name)

    def scopes_of(self, layer: Layer) -> list[tuple[str, str]]:
        """The modules and refined components around a layer, outermost first: the name of each without and with numbers of copies."""
        words = layer.component.split(".")
        beginnings = [".".join(words[: k + 1]) for k in range(len(words))]
        return [(b, part_name(b, dict(layer.copies))) for b in beginnings if b in self.outputs or b in self.bases]

    def stages(self, names: Sequence[str], depth: int) -> tuple[Stage, ...]:
        """The stages of the layers ``names``, which share ``depth`` scopes."""
        unit = {name: self.scopes[name][depth][1] if len(self.scopes[name]) > depth else name for name in names}
        found: list[Stage] = []
        for group in self.groups(names, unit):
            units = dict.fromkeys(unit[name] for name in group)
            if len(units) > 1 or len(self.scopes[group[0]]) <= depth:
                found += self.flat(group)
            elif (component := self.scopes[group[0]][depth][0]) in self.bases:
                found.append(self.refine(component, group))
            else:
                found.append(self.module(component, next(iter(units)), group, depth))
        return tuple(found)

    def groups(self, names: Sequence[str], unit: Mapping[str, str]) -> list[list[str]]:
        """The layers in groups of units that depend on each other, by any lag, in an order in which they can be computed."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(dict.fromkeys(unit[name] for name in names))
        for name in names:
            layer = self.layers[name]
            before = [source for source, _ in layer.sources] + ([layer.onto] if layer.onto else [])
            graph.add_edges_from((unit[source], unit[name]) for source in before if source in unit)
        members: dict[str, list[str]] = {}
        for name in names:
            members.setdefault(unit[name], []).append(name)
        joined = nx.condensation(graph)
        inside = {c: sorted((n for u in joined.nodes[c]["members"] for n in members[u]), key=self.place.__getitem__) for c in joined}
        firsts = {c: unit[inside[c][0]] for c in joined}
        return [inside[c] for c in _stack_after_stack(joined, {c: self.place[inside[c][0]] for c in joined}, firsts)]

    def flat(self, names: Sequence[str]) -> list[Stage]:
        """Layers without regard to modules."""
        found: list[Stage] = []
        for group in self.groups(names, {name: name for name in names}):
            layers = tuple(self.layers[name] for name in group)
            recurrent = any(source in group for layer in layers for source, _ in layer.sources)
            if recurrent and (refined := [layer for layer in layers if layer.onto or layer.component in self.bases]):
                raise SpecError(self.in_a_loop(refined[0]))
            found += [Scan(layers)] if recurrent else [Map(layer) for layer in layers]
        return found

    def in_a_loop(self, layer: Layer) -> Diagnostic:
        base = layer.component
        why = "something that depends on it is read at a later step by what it depends on"
        message = f"the refinement of `{base}` is part of a loop over time, which this version of cgc cannot compile"
        return Diagnostic("CG620", message, self.bases[base].span, why=why, help="put the recurrence on the refining path")

    def module(self, component: str, name: str, names: Sequence[str], depth: int) -> Module:
        output = self.outputs[component]
        read = [n for n in names if any(reader not in names for reader in self.readers.get(n, ()))]
        outputs = sorted(read, key=lambda n: (self.layers[n].component != output, self.place[n]))
        copies = dict(self.layers[names[0]].copies)
        index = copies.get(component)
        return Module(name, component, index, self.arguments(names), self.stages(names, depth + 1), tuple(outputs))

    def arguments(self, names: Iterable[str]) -> tuple[Argument, ...]:
        """What layers read from outside, named as the first edge that reads it."""
        inside = set(names)
        found: dict[tuple[str, int], str] = {}
        for name in names:
            for c in self.layers[name].contributions:
                for k, (source, lag) in enumerate(c.sources):
                    if source in inside or (source, lag) in found:
                        continue
                    wanted = c.name if k == 0 else next(iter(reversed(self.component(source).split("."))))
                    wanted = f"{wanted}_{lag}" if lag else wanted
                    while wanted in found.values():
                        wanted += "_"
                    found[source, lag] = wanted
        return tuple(Argument(wanted, source, lag) for (source, lag), wanted in found.items())

    def component(self, name: str) -> str:
        return self.layers[name].component if name in self.layers else name

    def refine(self, component: str, names: Sequence[str]) -> Refine:
        """A refined layer with its levels. ``names`` end with the layer itself."""
        final = next(self.layers[name] for name in reversed(names) if self.layers[name].component == component)
        refinement = self.bases[component]
        owner = f"{component}.refine"
        levels = []
        for k in range(refinement.times):
            chosen = {**dict(final.copies), owner: k}
            name = part_name(owner, chosen)
            path = [n for n in names if n.startswith(f"{name}.")]
            beyond = {n for n in names if n not in path and n != name}
            if any(source in beyond for n in path for source, _ in self.layers[n].sources):
                raise SpecError(self.in_a_loop(final))
            last = part_name(refinement.through[-1], chosen)
            stages = tuple(self.flat(path))
            levels.append(Level(self.layers[name], Module(name, owner, k, self.arguments(path), stages, (last,))))
        return Refine(final, tuple(levels), refinement.independent)


def _stack_after_stack(graph: nx.DiGraph[int], place: Mapping[int, int], names: Mapping[int, str]) -> list[int]:
    """An order in which each follows what it depends on: the next copy of a stack as soon as that can be, else the first by ``place``."""
    waiting = {c: graph.in_degree(c) for c in graph}
    ready = [(place[c], c) for c in graph if not waiting[c]]
    heapq.heapify(ready)
    by_name = {names[c]: c for c in graph}
    found: list[int] = []
    done: set[int] = set()
    while ready:
        _, chosen = heapq.heappop(ready)
        following: int | None = chosen
        while following is not None and following not in done and not waiting[following]:
            found.append(following)
            done.add(following)
            for after in graph.successors(following):
                waiting[after] -= 1
                if not waiting[after]:
                    heapq.heappush(ready, (place[after], after))
            stack, _, number = names[following].rpartition(".")
            following = by_name.get(f"{stack}.{int(number) + 1}") if number.isdecimal() else None
    return found


def _places(spec: Spec, layers: Mapping[str, Layer]) -> dict[str, int]:
    """An order in which a time step can compute the layers, the same for all copies: those of one module before the next."""
    order = {component.name: k for k, component in enumerate(spec.components)}
    numbers = {name: k for k, name in enumerate(layers)}
    step: nx.DiGraph[str] = nx.DiGraph()
    step.add_nodes_from(layers)
    for layer in layers.values():
        before = [source for source, lag in layer.sources if not lag] + ([layer.onto] if layer.onto else [])
        step.add_edges_from((source, layer.name) for source in before if source in layers)

    def key(name: str) -> tuple[tuple[int, ...], int, int]:
        layer = layers[name]
        return tuple(k for _, k in layer.copies), order[layer.component], numbers[name]

    return {name: k for k, name in enumerate(nx.lexicographical_topological_sort(step, key=key))}
