"""The classes of layers, modules and refined layers, in the order in which they stand, each once for all that it can serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cgc.program.energies import local
from cgc.program.ir import Contribution, Layer, Level, Map, Module, Refine, Scan, Stage, layers_of
from cgc.program.loops import before
from cgc.targets.torch.blocks import Blocks
from cgc.targets.torch.body import Body, with_kept
from cgc.targets.torch.code import Class, Function, wrapped
from cgc.targets.torch.describe import layer_doc, module_doc, refine_doc
from cgc.targets.torch.layers import Block, bias, finish, layer_block, modules, named, normalisation
from cgc.targets.torch.names import class_name, distinct
from cgc.targets.torch.scopes import Scope, back_of, base_of, refine_reads
from cgc.targets.torch.summed import Summed, layer_summed
from cgc.targets.torch.terms import MomentTerms, Terms, Values
from cgc.targets.torch.told import lifted, skeleton

FEW = 3
"""So many classes that are sums of whatever edges are written as one."""


def write_classes(blocks: Blocks) -> None:
    """Adds the classes to ``blocks``, and how each layer, module and refined layer is made of them."""
    _Classes(blocks).write()


def made(blocks: Blocks, scope: Scope, stages: Sequence[Stage]) -> list[str]:
    """Lines of ``__init__`` that make what a scope consists of. Stacks are lists; what has no class of its own is a dict."""
    tree: dict[str, object] = {}
    for name in _members(blocks, stages):
        *above, last = scope.relative(name).split(".")
        branch = tree
        for word in above:
            branch = branch.setdefault(word, {})  # type: ignore[assignment]
        branch[last] = blocks.codes[name]
    return [f"self.{word} = {_made(node)}" for word, node in tree.items()]


def _members(blocks: Blocks, stages: Sequence[Stage]) -> list[str]:
    names: list[str] = []
    for stage in stages:
        match stage:
            case Module():
                names.append(stage.name)
            case Refine():
                names.append(stage.layer.name)
            case Map() | Scan():
                names += [layer.name for layer in layers_of(stage) if layer.name in blocks.codes]
            case _:
                names += _members(blocks, stage.stages)
    return names


def _made(node: object) -> str:
    if not isinstance(node, dict):
        return str(node)
    if all(word.isdecimal() for word in node):
        return f"nn.ModuleList({_list([_made(inner) for inner in node.values()])})"
    entries = (f'"{word}": {_made(inner)}' for word, inner in node.items())
    return f"nn.ModuleDict({{{', '.join(entries)}}})"


def told_list(items: list[str]) -> str:
    """Several things alike, as a list."""
    return f"[{items[0]} for _ in range({len(items)})]" if len(items) > 1 and len(set(items)) == 1 else _list(items)


def _list(items: list[str]) -> str:
    if len(items) > 2 and len(set(items[1:])) == 1 and items[0] != items[1]:
        return f"[{items[0]}, *({items[1]} for _ in range({len(items) - 1}))]"
    if len(items) > 2 and len(set(items)) == 1:
        return f"[{items[0]} for _ in range({len(items)})]"
    return f"[{', '.join(items)}]"


@dataclass(frozen=True)
class _Unit:
    """Something that needs a class: what it is called, of which component, and of what it consists.

    Its class is called ``wanted`` if it is of one component, ``common`` if it is of several.
    """

    name: str
    component: str
    wanted: str
    common: str
    build: Callable[[], Block]
    doc: Callable[[Sequence[str]], str]
    summed: Callable[[], Summed | None] = lambda: None


class _Classes:
    """Finds the units level by level, those inside others first, and writes one class for all that are alike."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.levels: list[list[_Unit]] = []
        self.order: dict[str, int] = {}
        self.written: list[tuple[int, Class]] = []
        self.said: list[tuple[str, ...]] = []

    def write(self) -> None:
        self.stages(self.blocks.program.stages)
        for units in self.levels:
            found: dict[object, list[tuple[_Unit, Block]]] = {}
            for unit in units:
                block = unit.build()
                self.blocks.needed.update(block.parts)
                key = (tuple(skeleton(line) for line in block.init), block.methods)
                found.setdefault(key, []).append((unit, block))
            for alike in self.by_edges(list(found.values())):
                self.class_of(alike)
        self.blocks.classes += [definition for _, definition in sorted(self.written, key=lambda pair: pair[0])]

    def by_edges(self, found: list[list[tuple[_Unit, Block]]]) -> list[list[tuple[_Unit, Block]]]:
        """The groups, of which many that are sums of whatever edges make one."""
        # weights of others, which some have, are not told by the text of a class
        sums = [(group, group[0][0].summed() if all(unit.summed() for unit, _ in group) else None) for group in found]
        keys = [block and (tuple(skeleton(line) for line in block.init), block.methods) for _, block in sums]
        merged: dict[object, list[tuple[_Unit, Block]]] = {}
        for (group, block), key in zip(sums, keys, strict=True):
            if block is None or keys.count(key) < FEW:
                merged[len(merged)] = group
            else:
                merged.setdefault(key, []).extend((unit, unit.summed() or one) for unit, one in group)
                self.blocks.summed.update(unit.name for unit, _ in group)
        return list(merged.values())

    def class_of(self, alike: Sequence[tuple[_Unit, Block]]) -> None:
        """One class for blocks that differ in what they are told."""
        first, block = alike[0]
        components = list(dict.fromkeys(local(unit.component) for unit, _ in alike))
        name = distinct(first.wanted if len(components) == 1 else first.common, self.blocks.taken, "Layer")
        same = lifted([block.init for _, block in alike], _RESERVED)
        methods = [self.said_once(method.fitted()) for method in block.methods]
        given = ", ".join([same.parameters, *(block.given if isinstance(block, Summed) else ())])
        if same.lines:
            methods.insert(0, Function(f"__init__({given}) -> None", ("super().__init__()", *same.lines)).fitted())
        for (unit, one), arguments in zip(alike, same.arguments, strict=True):
            edges = one.arguments if isinstance(one, Summed) else ()
            self.blocks.codes[unit.name] = f"{name}({', '.join([*([arguments] if arguments else []), *edges])})"
        doc = f"X = {', '.join(components)}: {block.doc}" if isinstance(block, Summed) else first.doc(components)
        definition = Class(name, "nn.Module", wrapped(doc), (), tuple(methods))
        self.written.append((self.order[first.name], definition))

    def said_once(self, method: Function) -> Function:
        """The method without documentation that another class has given already."""
        if not method.doc or method.doc not in self.said:
            self.said.append(method.doc)
            return method
        return replace(method, doc=())

    # ---- units

    def add(self, depth: int, unit: _Unit) -> int:
        """``unit`` on its level; returns the level above it."""
        while len(self.levels) <= depth:
            self.levels.append([])
        self.levels[depth].append(unit)
        self.order[unit.name] = len(self.order)
        return depth + 1

    def stages(self, stages: Sequence[Stage]) -> int:
        """Adds the units of the stages; returns the level that may hold what they are inside of."""
        depth = 0
        for stage in stages:
            match stage:
                case Map(layer):
                    depth = max(depth, self.layer(layer, ()))
                case Scan(layers):
                    group = tuple(layer.name for layer in layers)
                    depth = max([depth, *(self.layer(layer, group) for layer in layers)])
                case Module():
                    depth = max(depth, self.module(stage, self.stages(stage.stages)))
                case Refine():
                    inside = [self.level(stage, level, self.stages(level.module.stages)) for level in stage.levels]
                    depth = max(depth, self.refine(stage, max(inside)))
                case _:
                    depth = max(depth, self.stages(stage.stages))
        return depth

    def layer(self, layer: Layer, group: tuple[str, ...]) -> int:
        blocks = self.blocks
        if blocks.inlined(layer) and not (group and before(layer, group)):
            return 0

        def build() -> Block:
            law, drawn, lines = blocks.law_call(layer), blocks.drawn(layer), blocks.lines.get(layer.name, "")
            fused = blocks.fused_loop(layer, group)
            return layer_block(layer, law, drawn, group, blocks.timed, blocks.moments, lines, fused, blocks.maps, blocks.normalises(layer))

        def doc(alike: Sequence[str]) -> str:
            return layer_doc(layer, blocks.timed, alike)

        def summed() -> Summed | None:
            if group or layer.output or blocks.rated():
                return None
            law, drawn = blocks.law_call(layer), blocks.drawn(layer)
            return layer_summed(layer, law, drawn, blocks.timed, blocks.moments, maps=blocks.maps, at_once=blocks.normalises(layer))

        common = f"{blocks.law_classes.get(layer.law, '')}Nodes"
        return self.add(0, _Unit(layer.name, layer.component, class_name(local(layer.component)), common, build, doc, summed))

    # ---- modules

    def module(self, stage: Module, depth: int) -> int:
        blocks = self.blocks
        scope = blocks.scopes.found[stage.name]

        def build() -> Block:
            names = {(a.source, a.lag): a.name for a in stage.arguments}
            known = {source: name for (source, lag), name in names.items() if lag == 0}
            body = _Inside(blocks, scope, known, names, stage.arguments[0].name, {*names.values(), *_RESERVED})
            lines = body.lines(stage.stages)
            outputs = ", ".join(body.names[output] for output in stage.outputs)
            whole = f"({outputs})" if len(stage.outputs) > 1 else outputs
            if scope.stateful:
                lines, kept = with_kept(lines)
                lines.append(f"return {whole}, {kept}")
            else:
                lines = _returned(lines, outputs, f"return {outputs}")
            signature = f"forward({', '.join(['self', *(f'{a.name}: Tensor' for a in stage.arguments), *_beside(scope)])})"
            signature += " -> Tensor" if not scope.stateful and len(stage.outputs) == 1 else ""
            return Block(tuple(made(blocks, scope, stage.stages)), (Function(signature, tuple(lines)),), ())

        def doc(alike: Sequence[str]) -> str:
            return module_doc(stage, blocks.program, scope)

        wanted = class_name(local(stage.component))
        return self.add(depth, _Unit(stage.name, stage.component, wanted, wanted, build, doc))

    # ---- refinements

    def level(self, stage: Refine, level: Level, depth: int) -> int:
        blocks, copy = self.blocks, level.copy
        scope = blocks.scopes.found[level.module.name]
        back = back_of(stage, level)

        def build() -> Block:
            terms, late = self.terms(copy), _late(stage)
            outside = [a for a in level.module.arguments if a.source != copy.name]
            names = {(a.source, a.lag): a.name for a in outside}
            taken = {"copy", *names.values(), *_RESERVED}
            body = _Inside(blocks, scope, {copy.name: "copy"} | {s: n for (s, lag), n in names.items() if not lag}, names, "e", taken)
            energy = self.own_energy(terms, copy, late, "copied" if scope.how and stage.independent else "e")
            *lines, value = finish(terms, energy, blocks.law_call(copy), blocks.drawn(copy), self.how(copy))
            total = "e" if copy.labels is None else "total"
            lines = [*lines] if copy.labels is None else ["total = e", *lines]
            lines = [*lines, f"copy = {value.removeprefix('return ')}", *body.keep(copy.name), *body.lines(level.module.stages)]
            value = f"{body.names[back.source]}{terms.flattened([back], back.source)}"
            added = f"return {total} + {terms.term(back, {(back.source, 0): value})}"
            if scope.stateful:
                lines, kept = with_kept(lines)
                added = f"{added}, {kept}"
            lines.append(added)
            parts: set[str] = set()
            init = (bias(copy) if copy.biased == copy.name else []) + normalisation(copy, parts)
            init += [*made(blocks, scope, level.module.stages), *modules([back], parts)]
            given = [
                "e: Tensor",
                *(["copied: Tensor"] if scope.how and stage.independent else []),
                *(["late: Tensor"] if late else []),
                *(f"{a.name}: Tensor" for a in outside),
            ]
            signature = f"forward({', '.join(['self', *given, *_beside(scope)])})" + ("" if scope.stateful else " -> Tensor")
            return Block(tuple(init), (Function(signature, tuple(lines)),), tuple(sorted(parts | terms.parts)))

        def doc(alike: Sequence[str]) -> str:
            return f"One refinement of {', '.join(alike)}: e + R(X̃), where X̃ is a copy that follows the energy e so far  (section 4.1)"

        wanted = f"{class_name(local(copy.component))}Refine"
        return self.add(depth, _Unit(level.module.name, copy.component, wanted, "Refinement", build, doc))

    def refine(self, stage: Refine, depth: int) -> int:
        blocks, layer = self.blocks, stage.layer
        scope = blocks.scopes.found[layer.name]
        base, first = base_of(stage), stage.levels[0].copy
        unnormalised = layer.normalised == "no"
        owner = first if unnormalised else layer
        level = stage.levels[0]
        inner = blocks.scopes.found[level.module.name]

        def build() -> Block:
            terms, again, late = self.terms(first), self.terms(layer), _late(stage)
            others = [a for a in level.module.arguments if a.source != first.name]
            names: Values = {(a.source, a.lag): a.name for a in others} | named(base)
            direct = [c for c in base if c not in late]
            read = {(source, lag): f"{name}{terms.flattened(base, source)}" for (source, lag), name in names.items()}
            lines = [f"e = {terms.sum(direct, read, bias=unnormalised)}"]
            lines += [f"late = {terms.sum(late, names, bias=False)}"] if late else []
            passed = [
                "e",
                *(["copied"] if inner.how and stage.independent else []),
                *(["late"] if late else []),
                *(names[a.source, a.lag] for a in others),
                *(["how"] if inner.how else []),
            ]
            passed += ['past[f"refine.{k}"]'] if inner.stateful else []
            passed += (["valid"] if inner.valid else []) + (["lengths"] if inner.stateful else [])
            if stage.independent and inner.how:
                lines += [
                    "",
                    "def refined(times: int, e: Tensor = e) -> Tensor:",
                    "    if times == 0:",
                    "        return e",
                    "    added = refined(times - 1)",
                    "    copied = added if how.rate == 0 else refined(times - 1)  # what is drawn is drawn anew",
                    f"    return self.refine[times - 1]({', '.join(['added', *passed[1:]])})",
                    "",
                    "e = refined(len(self.refine))",
                ]
            elif inner.stateful:
                call = f'    e, kept[f"refine.{{k}}"] = level({", ".join(passed)})'
                lines += ["kept = {}", "for k, level in enumerate(self.refine):", call]
            else:
                lines += ["for level in self.refine:", f"    e = level({', '.join(passed)})"]
            *rest, value = finish(again, self.own_energy(again, layer, late), blocks.law_call(layer), blocks.drawn(layer), self.how(layer))
            lines += [*rest, f"{value}, kept" if scope.stateful else value]
            parts: set[str] = set()
            init = [*modules(base, parts), *bias(owner), *normalisation(layer, parts)]
            init.append(f"self.refine = nn.ModuleList({_list([blocks.codes[one.module.name] for one in stage.levels])})")
            given = [f"{names[key]}: Tensor" for key in refine_reads(stage)]
            signature = f"forward({', '.join(['self', *given, *_beside(scope)])})" + ("" if scope.stateful else " -> Tensor")
            return Block(tuple(init), (Function(signature, tuple(lines)),), tuple(sorted(parts | terms.parts | again.parts)))

        def doc(alike: Sequence[str]) -> str:
            return refine_doc(stage, blocks.timed)

        def summed() -> Summed | None:
            others = any(a.source != first.name for a in level.module.arguments)
            if blocks.rated() or stage.independent or scope.stateful or others or _late(stage) or inner.valid or unnormalised:
                return None
            levels = told_list([blocks.codes[one.module.name] for one in stage.levels])
            based = replace(layer, contributions=base)
            if any(self.terms(layer).flattened(base, source) for c in base for source, _ in c.sources):
                return None
            law, drawn = blocks.law_call(layer), blocks.drawn(layer)
            return layer_summed(based, law, drawn, blocks.timed, blocks.moments, levels, inner.how, blocks.maps, blocks.normalises(layer))

        wanted = class_name(local(layer.component))
        common = f"{blocks.law_classes.get(layer.law, '')}Refined"
        return self.add(depth, _Unit(layer.name, layer.component, wanted, common, build, doc, summed))

    def terms(self, layer: Layer) -> Terms:
        blocks = self.blocks
        return MomentTerms(layer) if blocks.moments else Terms(layer, blocks.merged, blocks.maps, blocks.normalises(layer))

    def how(self, layer: Layer) -> str:
        """How the nodes of a layer are inferred: perhaps with a rate of its own."""
        if not self.blocks.rated():
            return "how"
        self.blocks.needed.add("at")
        return f'how.at("{layer.component}")'

    def own_energy(self, terms: Terms, layer: Layer, late: Sequence[Contribution], energy: str = "e") -> str:
        """A copy's own view of the common energy: normalised in its way."""
        if layer.normalised == "no":
            return energy
        text = terms.normalised(energy, self.blocks.scopes.masks(layer))
        return f"{text} + late" if late else text


_RESERVED = ("self", "e", "how", "past", "kept", "valid", "lengths", "late", "t", "k", "layer", "level", "now", "copy")


class _Inside(Body):
    """A body whose lagged arguments come ready."""

    def __init__(
        self, blocks: Blocks, scope: Scope, names: Mapping[str, str], given: Mapping[tuple[str, int], str], first: str, taken: set[str]
    ) -> None:
        super().__init__(blocks, scope, names, f"{first}.shape[-2]", tuple(taken))
        self.given = given

    def value(self, source: str, lag: int, last: bool = False) -> str:
        return self.given[source, lag] if lag and (source, lag) in self.given else super().value(source, lag, last)


def _late(stage: Refine) -> tuple[Contribution, ...]:
    """What of the base is added after normalisation."""
    return tuple(c for c in base_of(stage) if c.lag) if stage.layer.normalised == "inputs" else ()


def _beside(scope: Scope) -> list[str]:
    """Arguments beside values."""
    found = ["how: Inference"] if scope.how else []
    found += ["past: State"] if scope.stateful else []
    found += ["valid: Tensor | None"] if scope.valid else []
    return [*found, "lengths: Tensor | None"] if scope.stateful else found


def _returned(lines: list[str], outputs: str, last: str) -> list[str]:
    """The lines with a return, in place of a variable that would be returned at once."""
    start = f"{outputs} = "
    if last == f"return {outputs}" and lines and lines[-1].startswith(start):
        return [*lines[:-1], f"return {lines[-1].removeprefix(start)}"]
    return [*lines, last]
