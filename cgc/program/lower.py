"""From graph and derivations to the program: which products, in which order, which loops over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from cgc.derive.stage import Derivations
from cgc.families.forms import FiniteExponential, Indicators, X, features, free_energies
from cgc.graph.analysis import Graph
from cgc.graph.copies import part_name
from cgc.graph.parts import Part, PartEdge
from cgc.graph.recognise import one_key
from cgc.graph.structure import fixed_weight
from cgc.program.arrange import arrange
from cgc.program.ir import Contribution, Index, Input, Layer, Opening, Product, Program, Scan, Stage, layers_of
from cgc.program.lines import line_factors, line_limits
from cgc.program.loops import in_steps, reads_itself_alone
from cgc.program.names import IN_CALLS, IN_LAYERS, IN_MODELS
from cgc.program.normalised import not_normalised, takes_weight_norm
from cgc.program.repeat import repeat_stacks
from cgc.program.tables import Table, label_tables, labels_of
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.spec.model import ComponentGate, Spec


def lower(spec: Spec, graph: Graph, derivations: Derivations) -> Program:
    """The program of a checked spec. Raises SpecError for what this version cannot compile."""
    findings = _limits(spec, graph)
    if findings:
        raise SpecError(*findings)
    parts = {part.name: part for part in graph.parts}
    canonical = dict(derivations.canonical)
    inputs = []
    layers = {}
    tables = label_tables(spec, graph)
    for part in graph.parts:
        component = spec.component(part.component)
        law = canonical[component.family]
        if part.role == "input":
            labels = labels_of(spec, component)
            inputs.append(Input(part.name, component.nodes, law, component.clamp == "soft", labels))
        else:
            layers[part.name] = _layer(spec, part, parts, law, tables)
    order = {component.name: k for k, component in enumerate(spec.components)}
    inputs.sort(key=lambda item: order[item.name])
    outputs = sorted((layer.name for layer in layers.values() if layer.output), key=lambda name: order[name])
    stages = arrange(spec, layers)
    findings = _shared_gates(spec, stages)
    if findings:
        raise SpecError(*findings)
    program = Program(
        name=spec.name,
        doc=spec.doc,
        steps=spec.steps,
        inputs=tuple(inputs),
        stages=stages,
        outputs=tuple(outputs),
        laws=derivations.by_family,
        train=spec.train_inference,
        eval=spec.eval_inference,
    )
    return repeat_stacks(program)


def _limits(spec: Spec, graph: Graph) -> list[Diagnostic]:
    findings = []
    roles = {part.name: spec.component(part.component) for part in graph.parts}
    for part in graph.parts:
        child = spec.component(part.component)
        findings += line_limits(spec, part)
        if part.edges and all(edge.structure.kind == "absent" for edge in part.edges):
            message = f"the independence statements leave `{child.name}` without parents"
            findings.append(Diagnostic("CG605", message, child.span, help="take less out of its edges, or remove the component"))
        if child.blocks and labels_of(spec, child) is not None:
            message = f"`{child.name}` has blocks of nodes with labels, which this version of cgc cannot compile"
            findings.append(Diagnostic("CG603", message, child.span, help="make a component of each block"))
        for edge in part.edges:
            parent = roles[edge.source]
            if parent.role == "output":
                message = f"`{child.name}` reads the output `{parent.name}`, which this version of cgc cannot compile"
                findings.append(Diagnostic("CG601", message, edge.edge.span, help="let the output have no children"))
            if edge.edge.gate is not None and edge.gates is None and isinstance(spec.family(parent.family).law, Indicators):
                message = f"a gate on `{parent.name}`, whose nodes are labels, is not supported by this version of cgc"
                findings.append(Diagnostic("CG602", message, edge.edge.span, help="remove the gate"))
            labelled = any(isinstance(spec.family(c.family).law, Indicators) for c in (parent, child)) and edge.gates is None
            if labelled and not _takeslabels_of(edge):
                message = f"nodes with labels take dense edges and convolutions only: `{parent.name}` -> `{child.name}` is {_words(edge)}"
                findings.append(Diagnostic("CG603", message, edge.edge.span, help="write `dense`"))
        normalised = child.normalised != "no"
        if part.bias is not None and part.bias.block is None and (normalised or labels_of(spec, child) is not None):
            what = "is normalised" if normalised else "has labels"
            message = f"`{child.name}` {what}, and shares biases between nodes that do not follow each other"
            findings.append(Diagnostic("CG607", message, child.span, help="share them by the first indices of the nodes"))
    # the layers of a stack repeat an edge, and with it its finding
    return list(dict.fromkeys([*findings, *not_normalised(spec, graph), *_left_over(spec, graph), *_taken_names(spec)]))


def _takeslabels_of(edge: PartEdge) -> bool:
    structure = edge.structure
    if structure.kind == "tied":
        return False
    if structure.kind in ("grouped", "local", "masked", "absent"):
        return edge.edge.kind == "dense"
    return (
        structure.kind == "dense"
        or edge.edge.kind == "dense"
        or (structure.kind == "convolution" and structure.geometry is not None and structure.geometry.groups == 1)
    )


def _words(edge: PartEdge) -> str:
    if edge.structure.kind == "tied":
        return "dense with shared weights that make no convolution"
    groups = edge.structure.geometry.groups if edge.structure.geometry else 1
    return f"{edge.edge.kind} in {groups} groups" if groups > 1 and edge.edge.kind != "avg_pool" else edge.edge.kind


def _left_over(spec: Spec, graph: Graph) -> list[Diagnostic]:
    """Components from which no output can learn, and normalisation of what statements took away."""
    findings = []
    edges = {part.name: [edge for edge in part.edges if edge.structure.kind != "absent"] for part in graph.parts}
    # a component that lost all its parents has been told of already
    edges = {part.name: edges[part.name] or list(part.edges) for part in graph.parts}
    waiting = [part.name for part in graph.parts if part.role == "output"]
    reached = dict.fromkeys(waiting)
    while waiting:
        sources = [edge.source for edge in edges[waiting.pop()] if edge.source not in reached]
        reached.update(dict.fromkeys(sources))
        waiting += dict.fromkeys(sources)
    for part in graph.parts:
        component = spec.component(part.component)
        if component.normalised == "inputs" and edges[part.name] and all(edge.lag for edge in edges[part.name]):
            message = f"the independence statements leave nothing of `{part.name}` to normalise"
            findings.append(Diagnostic("CG605", message, component.span, help="take less out of its edges, or write `over: energy`"))
        if part.role == "hidden" and part.name not in reached:
            why = "it would be computed, but none of its weights could be learned"
            help = "make it the parent of something, or remove it"
            findings.append(Diagnostic("CG606", f"no output depends on `{part.name}`", component.span, why=why, help=help))
    return findings


def _taken_names(spec: Spec) -> list[Diagnostic]:
    """Names that the emitted code uses itself."""
    taken = {"input": IN_MODELS | IN_LAYERS | IN_CALLS, "hidden": IN_MODELS | IN_LAYERS, "output": IN_MODELS | IN_LAYERS}
    named = [("a component", c.name.rpartition(".")[2], c.span) for c in spec.components if c.name.rpartition(".")[2] in taken[c.role]]
    modules = [(module.name.rpartition(".")[2], module.span) for module in spec.modules]
    named += [("a module", name, span) for name, span in modules if name in taken["hidden"]]
    named += [
        ("an edge", edge.name, edge.span)
        for c in spec.components
        for edge in c.parents
        if edge.name in IN_LAYERS - {edge.parent.rpartition(".")[2]}
    ]
    why = "the emitted code uses this name itself"
    return [
        Diagnostic("CG311", f"`{name}` cannot be the name of {what}", span, why=why, help=f"choose another name, such as `{name}_`")
        for what, name, span in named
    ]


def _shared_gates(spec: Spec, stages: tuple[Stage, ...]) -> list[Diagnostic]:
    """Dropout nodes for all steps at once, where steps are computed one by one."""
    findings = []
    for stage in stages:
        layers = layers_of(stage)
        group = tuple(layer.name for layer in layers) if isinstance(stage, Scan) else ()
        for layer in layers:
            for c in in_steps(layer, group):
                if c.dropout is not None and c.dropout.share == "time" and not reads_itself_alone(layer, group):
                    message = (
                        f"`share: time` on `{c.source}` is not supported by this version of cgc: `{layer.component}` reads it step by step"
                    )
                    spans = [edge.span for edge in spec.component(layer.component).parents if edge.name == c.name]
                    span = spans[0] if spans else spec.component(layer.component).span
                    findings.append(Diagnostic("CG604", message, span, help="remove `share`"))
    return list(dict.fromkeys(findings))


def _layer(spec: Spec, part: Part, parts: dict[str, Part], law: str, tables: Mapping[tuple[str, str], Table]) -> Layer:
    component = spec.component(part.component)
    form = spec.family(component.family).law
    labels = labels_of(spec, component)
    edges = [edge for edge in part.edges if edge.structure.kind != "absent" and edge.gates is None]
    bias, biased = component.bias, part.name
    onto = None
    refinement = next((r for r in spec.refinements if r.base == part.component), None)
    if refinement is not None:
        base, levels = part.base or part.name, dict(part.copies)
        level = levels.get(f"{component.name}.refine", refinement.times)
        if component.normalised == "no":
            biased, bias = base, bias if level == 0 else False
        if level > 0:
            # the energy of the level before, and what its path adds to it; what is never normalised with it is added again
            onto = part_name(f"{component.name}.refine", {**levels, f"{component.name}.refine": level - 1})
            again = component.normalised == "inputs"
            edges = [edge for edge in edges if edge.weight == f"{onto}.back" or (again and edge.lag)]
    contributions = []
    for edge in edges:
        parent = spec.component(parts[edge.source].component)
        inputs = parent.size * features(spec.family(parent.family).law)
        outputs = math.prod(n for _, n in edge.structure.child_index) * free_energies(form)
        product = _product(edge, inputs, outputs, tables.get((edge.weight, edge.source)))
        if component.normalize is not None and component.normalize.kind == "weight":
            product = replace(product, weight_norm=takes_weight_norm(product))
        if product.weight_shape is not None:
            product = replace(product, prior=edge.edge.prior)
        block = None
        if edge.block is not None:
            inner = math.prod(component.nodes[1:])
            block = (edge.edge.block or "", edge.block[0] * inner, edge.block[1] * inner)
        own = edge.edge.same_as is None
        gate = _opening(spec, part, edge, parts) if isinstance(edge.edge.gate, ComponentGate) else edge.edge.gate
        contributions.append(Contribution(edge.edge.name, edge.source, edge.lag, product, gate, edge.weight, own, block))
    return Layer(
        name=part.name,
        component=part.component,
        copies=part.copies,
        nodes=component.nodes,
        law=law,
        contributions=tuple(contributions),
        bias=bias,
        normalised=component.normalised,
        last=component.at == "last",
        output=component.role == "output",
        target=component.target,
        free_energies=free_energies(form),
        labels=labels,
        reference_label=form.reference_label if isinstance(form, Indicators) else None,
        shared=part.bias,
        onto=onto,
        biased=biased,
        groups=component.normalize.groups if component.normalize and component.normalize.kind in ("layer", "group") else None,
        lines=line_factors(part, component, form),
    )


def _opening(spec: Spec, part: Part, edge: PartEdge, parts: dict[str, Part]) -> Opening:
    """How probable it is that an edge is open: of two states, a linear function of the expectation of the gate's statistic."""
    assert isinstance(edge.edge.gate, ComponentGate)
    link = next(other for other in part.edges if other.gates == edge.weight)
    gate, opened = spec.component(edge.edge.gate.component), spec.component(parts[edge.source].component)
    law = spec.family(gate.family).law
    if isinstance(law, Indicators):
        return Opening(link.source, gate.nodes, opened.nodes, label=round(edge.edge.gate.open))
    assert isinstance(law, FiniteExponential)
    opening = edge.edge.gate.open
    shown, other = (float(law.statistic.subs(X, state)) for state in sorted(law.support, key=lambda state: float(state) != opening))
    return Opening(link.source, gate.nodes, opened.nodes, 1 / (shown - other), -other / (shown - other))


def _product(edge: PartEdge, inputs: int, outputs: int, table: Table | None) -> Product:
    structure, written = edge.structure, edge.edge
    # energies per child node, features per parent node
    times = outputs // math.prod(n for _, n in structure.child_index), inputs // math.prod(n for _, n in structure.parent_index)
    several = times != (1, 1)
    match structure.kind:
        case "dense" if table is not None:
            return Product(table, inputs, outputs, init=written.init)
        case "dense":
            return Product("dense", inputs, outputs, fixed=written.weight, init=written.init)
        case "elementwise" if written.weight is None and not several:
            return Product("elementwise", inputs, outputs, init=written.init)
        case "elementwise" | "identity" if not several:
            return Product("identity", inputs, outputs, fixed=1.0 if written.weight is None else written.weight)
        case "convolution" if structure.geometry is not None:
            maps = structure.geometry.child_maps * times[0], structure.geometry.parent_maps * times[1]
            geometry = replace(structure.geometry, child_maps=maps[0], parent_maps=maps[1])
            return Product("convolution", inputs, outputs, fixed=written.weight, init=written.init, geometry=geometry)
        case "average" if not several:
            return Product("average", inputs, outputs, geometry=structure.geometry)
        case "grouped" | "local" if not several:
            return Product(structure.kind, inputs, outputs, fixed=fixed_weight(edge), init=written.init, geometry=structure.geometry)
        case "tied":
            key, classes = one_key(structure.joined, structure.keys or (), structure.child_index, structure.parent_index)
            index = Index(structure.child_index, structure.parent_index)
            return Product("tied", inputs, outputs, init=written.init, mask=structure.joined, index=index, key=key, classes=classes)
        case _:
            fixed = fixed_weight(edge)
            # nodes with several features or energies are joined node by node, so that equal indices are a mask too
            index = Index(structure.child_index, structure.parent_index)
            return Product("masked", inputs, outputs, fixed=fixed, init=written.init, mask=structure.joined, index=index)
