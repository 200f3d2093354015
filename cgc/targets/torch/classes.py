"""The classes of layers, modules and refined layers, in the order in which they stand, each once for all that it can serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cgc.program.ir import Contribution, Layer, Level, Map, Module, Program, Refine, Scan, Stage, layers_of
from cgc.program.loops import before
from cgc.program.repeat import layer_shape
from cgc.targets.torch.blocks import Blocks
from cgc.targets.torch.body import Body
from cgc.targets.torch.code import Class, Function, wrapped
from cgc.targets.torch.describe import layer_doc, module_doc, refine_doc
from cgc.targets.torch.layers import LayerCode, bias, finish, layer_class, modules, named, normalisation, size, sizeable
from cgc.targets.torch.names import class_name, distinct
from cgc.targets.torch.reads import local
from cgc.targets.torch.scopes import Scope, back_of, base_of, refine_reads
from cgc.targets.torch.terms import MomentTerms, Terms, Values


def write_classes(blocks: Blocks) -> None:
    """Adds the classes to ``blocks``, and how each layer, module and refined layer is made of them."""
    _Classes(blocks).stages(blocks.program.stages, None)


def made(blocks: Blocks, scope: Scope, stages: Sequence[Stage]) -> list[str]:
    """Lines of ``__init__`` that make what a scope consists of. Stacks are lists; what has no class of its own is a dict."""
    tree: dict[str, object] = {}
    for name in _members(blocks, stages):
        code = blocks.codes[name]
        *above, last = scope.relative(name).split(".")
        branch = tree
        for word in above:
            branch = branch.setdefault(word, {})  # type: ignore[assignment]
        branch[last] = f"{code.definition.name}({code.arguments})"
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


def _list(items: list[str]) -> str:
    if len(items) > 2 and len(set(items[1:])) == 1 and items[0] != items[1]:
        return f"[{items[0]}, *({items[1]} for _ in range({len(items) - 1}))]"
    if len(items) > 2 and len(set(items)) == 1:
        return f"[{items[0]} for _ in range({len(items)})]"
    return f"[{', '.join(items)}]"


class _Classes:
    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.known: dict[str, list[LayerCode]] = {}
        self.varying = _varying(blocks)
        self.alike = _alike(blocks.program)

    def stages(self, stages: Sequence[Stage], owner: Module | None) -> None:
        for stage in stages:
            match stage:
                case Map(layer):
                    self.layer(layer, (), owner)
                case Scan(layers):
                    for layer in layers:
                        self.layer(layer, tuple(other.name for other in layers), owner)
                case Module():
                    self.stages(stage.stages, stage)
                    self.module(stage)
                case Refine():
                    for level in stage.levels:
                        self.stages(level.module.stages, level.module)
                        self.level(stage, level)
                    self.refine(stage)
                case _:
                    self.stages(stage.stages, owner)

    # ---- layers

    def layer(self, layer: Layer, group: tuple[str, ...], owner: Module | None) -> None:
        blocks = self.blocks
        if blocks.inlined(layer) and not (group and before(layer, group)):
            return
        sized = self.sized(layer, owner)
        alike = self.alike.get(layer.component, (layer.component,))
        law, drawn, doc = blocks.law_call(layer), blocks.drawn(layer), layer_doc(layer, blocks.timed, [local(name) for name in alike])

        def build(name: str) -> LayerCode:
            return layer_class(name, layer, law, drawn, group, blocks.timed, doc, sized, blocks.moments)

        several = len(alike) > 1
        self.shared(layer.name, alike[0], f"{blocks.law_classes[layer.law]}Nodes" if several else class_name(local(alike[0])), build)

    def sized(self, layer: Layer, owner: Module | None) -> list[str]:
        """Names of the contributions whose input size is an argument: where it differs from copy to copy."""
        own = [c for c in layer.contributions if sizeable(c)]
        if layer.index is not None:
            return [c.name for c in own]
        given = {(a.source, a.lag): a.name for a in owner.arguments} if owner is not None else {}
        return [c.name for c in own if owner is not None and (owner.component, given.get((c.source, c.lag))) in self.varying]

    def shared(self, name: str, component: str, wanted: str, build: Callable[[str], LayerCode]) -> None:
        """One class for all copies that differ in arguments only."""
        known = self.known.setdefault(component, [])
        for code in known:
            again = build(code.definition.name)
            if again.definition == code.definition:
                self.blocks.codes[name] = again
                return
        found = build(distinct(wanted, self.blocks.taken, "Layer"))
        known.append(found)
        self.blocks.needed.update(found.parts)
        self.blocks.classes.append(found.definition)
        self.blocks.codes[name] = found

    # ---- modules

    def module(self, stage: Module) -> None:
        blocks = self.blocks
        scope = blocks.scopes.found[stage.name]
        sizes = {a.name: n for a in stage.arguments if (n := self.argument_size(stage, a.name)) is not None}

        def build(name: str) -> LayerCode:
            names = {(a.source, a.lag): a.name for a in stage.arguments}
            taken = {*names.values(), *_RESERVED}
            known = {source: names[source, 0] for source, lag in names if lag == 0}
            body = _Inside(blocks, scope, known, names, stage.arguments[0].name, taken)
            lines = [*(["kept = {}"] if scope.state or scope.inner else []), *body.lines(stage.stages)]
            outputs = ", ".join(body.names[output] for output in stage.outputs)
            whole = f"({outputs})" if len(stage.outputs) > 1 else outputs
            last = f"return {whole}, kept" if scope.stateful else f"return {outputs}"
            lines = _returned(lines, outputs, last)
            extra = _beside(scope)
            signature = f"forward({', '.join(['self', *(f'{a.name}: Tensor' for a in stage.arguments), *extra])})"
            signature += " -> Tensor" if not scope.stateful and len(stage.outputs) == 1 else ""
            made_lines = _sizes_passed(made(blocks, scope, stage.stages), blocks, stage, sizes)
            methods = [Function(signature, tuple(lines))]
            if made_lines:
                head = ", ".join(["self", *(f"{argument}: int" for argument in sizes)])
                methods.insert(0, Function(f"__init__({head}) -> None", ("super().__init__()", *made_lines)))
            doc = module_doc(stage, blocks.program, scope)
            definition = Class(name, "nn.Module", wrapped(doc), (), tuple(m.fitted() for m in methods))
            return LayerCode(definition, ", ".join(str(n) for n in sizes.values()), ())

        self.shared(stage.name, stage.component, class_name(local(stage.component)), build)

    def argument_size(self, stage: Module, name: str) -> int | None:
        """The size that a module is told of what it reads as ``name``, if it differs from copy to copy."""
        if (stage.component, name) not in self.varying:
            return None
        source = next(a.source for a in stage.arguments if a.name == name)
        found = [size(c) for layer in layers_of(stage) for c in layer.contributions if c.source == source and sizeable(c)]
        return found[0] if found else None

    # ---- refinements

    def level(self, stage: Refine, level: Level) -> None:
        blocks, copy = self.blocks, level.copy
        scope = blocks.scopes.found[level.module.name]
        back = back_of(stage, level)
        terms, late = self.terms(copy), _late(stage)

        def build(name: str) -> LayerCode:
            outside = [a for a in level.module.arguments if a.source != copy.name]
            names = {(a.source, a.lag): a.name for a in outside}
            own = distinct(local(copy.component), {*names.values(), *_RESERVED}, "_")
            taken = {own, *names.values(), *_RESERVED}
            body = _Inside(blocks, scope, {copy.name: own} | {s: n for (s, lag), n in names.items() if not lag}, names, "e", taken)
            energy = self.own_energy(terms, copy, late)
            *lines, value = finish(terms, energy, blocks.law_call(copy), blocks.drawn(copy))
            kept = body.keep(copy.name)
            lines = [*lines, f"{own} = {value.removeprefix('return ')}", *(["kept = {}"] if scope.stateful else []), *kept]
            lines += body.lines(level.module.stages)
            added = f"e + {terms.term(back, {(back.source, 0): body.names[back.source]})}"
            lines.append(f"return {added}, kept" if scope.stateful else f"return {added}")
            parts: set[str] = set()
            init = ["super().__init__()"]
            init += (bias(copy, ()) if copy.biased == copy.name else []) + normalisation(copy, parts)
            init += [*made(blocks, scope, level.module.stages), *modules([back], (), parts)]
            given = ["e: Tensor", *(["late: Tensor"] if late else []), *(f"{a.name}: Tensor" for a in outside)]
            signature = f"forward({', '.join(['self', *given, *_beside(scope)])})"
            signature += "" if scope.stateful else " -> Tensor"
            methods = (Function("__init__(self) -> None", tuple(init)), Function(signature, tuple(lines)))
            doc = f"One refinement of {local(copy.component)}: e + R(X̃), where X̃ is a copy that follows the energy e so far  (section 4.1)"
            definition = Class(name, "nn.Module", wrapped(doc), (), tuple(m.fitted() for m in methods))
            return LayerCode(definition, "", tuple(sorted(parts | terms.parts)))

        wanted = f"{class_name(local(copy.component))}Refine"
        self.shared(level.module.name, level.module.component, wanted, build)

    def refine(self, stage: Refine) -> None:
        blocks, layer = self.blocks, stage.layer
        scope = blocks.scopes.found[layer.name]
        base, first = base_of(stage), stage.levels[0].copy
        unnormalised = layer.normalised == "no"
        owner = first if unnormalised else layer
        terms, late = self.terms(first), _late(stage)
        again = self.terms(layer)

        def build(name: str) -> LayerCode:
            given = refine_reads(stage)
            names = named(base)
            others = [a for a in stage.levels[0].module.arguments if a.source != first.name]
            names = {(a.source, a.lag): a.name for a in others} | names
            values: Values = names
            direct = [c for c in base if c not in late]
            lines = [f"e = {terms.sum(direct, values, bias=unnormalised)}"]
            if late:
                lines.append(f"late = {terms.sum(late, values, bias=False)}")
            level = stage.levels[0]
            inner = blocks.scopes.found[level.module.name]
            outside = [names[a.source, a.lag] for a in level.module.arguments if a.source != level.copy.name]
            passed = ["e", *(["late"] if late else []), *outside, *(["how"] if inner.how else [])]
            passed += ['past[f"refine.{k}"]'] if inner.stateful else []
            passed += (["valid"] if inner.valid else []) + (["lengths"] if inner.stateful else [])
            if inner.stateful:
                call = f'    e, kept[f"refine.{{k}}"] = level({", ".join(passed)})'
                lines += ["kept = {}", "for k, level in enumerate(self.refine):", call]
            else:
                lines += ["for level in self.refine:", f"    e = level({', '.join(passed)})"]
            energy = self.own_energy(again, layer, late)
            *rest, value = finish(again, energy, blocks.law_call(layer), blocks.drawn(layer))
            lines += [*rest, f"{value}, kept" if scope.stateful else value]
            parts: set[str] = set()
            init = ["super().__init__()", *modules(base, (), parts), *bias(owner, ()), *normalisation(layer, parts)]
            code = blocks.codes[level.module.name]
            levels = _list([f"{blocks.codes[other.module.name].definition.name}({code.arguments})" for other in stage.levels])
            init.append(f"self.refine = nn.ModuleList({levels})")
            signature = f"forward({', '.join(['self', *(f'{names[key]}: Tensor' for key in given), *_beside(scope)])})"
            signature += "" if scope.stateful else " -> Tensor"
            methods = (Function("__init__(self) -> None", tuple(init)), Function(signature, tuple(lines)))
            definition = Class(name, "nn.Module", wrapped(refine_doc(stage, blocks.timed)), (), tuple(m.fitted() for m in methods))
            return LayerCode(definition, "", tuple(sorted(parts | terms.parts | again.parts)))

        self.shared(layer.name, layer.component, class_name(local(layer.component)), build)

    def terms(self, layer: Layer) -> Terms:
        return MomentTerms(layer) if self.blocks.moments else Terms(layer)

    def own_energy(self, terms: Terms, layer: Layer, late: Sequence[Contribution]) -> str:
        """A copy's own view of the common energy ``e``: normalised in its way."""
        if layer.normalised == "no":
            return "e"
        text = terms.normalised("e", self.blocks.scopes.masks(layer))
        return f"{text} + late" if late else text


_RESERVED = ("self", "e", "how", "past", "kept", "valid", "lengths", "late", "t", "k", "layer", "level", "now")


class _Inside(Body):
    """A body whose lagged arguments come ready."""

    def __init__(
        self, blocks: Blocks, scope: Scope, names: Mapping[str, str], given: Mapping[tuple[str, int], str], first: str, taken: set[str]
    ) -> None:
        super().__init__(blocks, scope, names, f"{first}.shape[-2]", tuple(taken))
        self.given = given

    def value(self, source: str, lag: int, last: bool = False) -> str:
        return self.given[source, lag] if (source, lag) in self.given else super().value(source, lag, last)


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


def _varying(blocks: Blocks) -> set[tuple[str, str | None]]:
    """Arguments of modules whose size differs from copy to copy, by the module and the argument's name."""
    sizes: dict[tuple[str, str | None], set[int]] = {}
    kinds: dict[tuple[str, str | None], set[bool]] = {}
    for stage in _modules(blocks.program.stages):
        for a in stage.arguments:
            for layer in layers_of(stage):
                for c in layer.contributions:
                    if (c.source, c.lag) == (a.source, a.lag) and sizeable(c):
                        sizes.setdefault((stage.component, a.name), set()).add(size(c))
                        kinds.setdefault((stage.component, a.name), set()).add(c.product.geometry is None)
    return {key for key, found in sizes.items() if len(found) > 1 and len(kinds[key]) == 1}


def _alike(program: Program) -> dict[str, tuple[str, ...]]:
    """Components side by side in a module that one class can serve, by the name of each of several."""
    found: dict[tuple[object, ...], list[str]] = {}
    for layer in program.layers():
        module = layer.component.rpartition(".")[0]
        if module and not layer.component.endswith(".refine") and ".refine." not in layer.component:
            own = tuple(c.source == layer.name for c in layer.contributions)
            found.setdefault((module, layer_shape(layer, {}), own), []).append(layer.component)
    groups = {tuple(dict.fromkeys(components)) for components in found.values()}
    return {component: group for group in sorted(groups) if len(group) > 1 for component in group}


def _modules(stages: Sequence[Stage]) -> list[Module]:
    found: list[Module] = []
    for stage in stages:
        match stage:
            case Module():
                found += [stage, *_modules(stage.stages)]
            case Refine():
                found += [inner for level in stage.levels for inner in _modules(level.module.stages)]
            case Map() | Scan():
                pass
            case _:
                found += _modules(stage.stages)
    return found


def _sizes_passed(lines: list[str], blocks: Blocks, stage: Module, sizes: Mapping[str, int]) -> list[str]:
    """The lines with the names of sizes in place of the numbers, where layers inside are told them."""
    if not sizes:
        return lines
    given = {(a.source, a.lag): a.name for a in stage.arguments}
    for layer in layers_of(stage):
        code = blocks.codes.get(layer.name)
        if code is None or not code.arguments:
            continue
        told = [given.get((c.source, c.lag)) for c in layer.contributions if sizeable(c) and given.get((c.source, c.lag)) in sizes]
        word = local(layer.name)
        numbers = f"{code.definition.name}({code.arguments})"
        named_ = f"{code.definition.name}({', '.join(str(name) for name in told)})"
        lines = [line.replace(numbers, named_) if line.startswith(f"self.{word} = ") else line for line in lines]
    return lines
