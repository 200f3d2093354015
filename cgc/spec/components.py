"""Components and their edges: read piece by piece, then checked against each other, then built."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cgc.families.forms import FiniteExponential, free_energies
from cgc.formula.fields import kind_of
from cgc.source.diagnostics import Label
from cgc.source.text import Span
from cgc.source.tree import Entry, Node
from cgc.spec import surface
from cgc.spec.families import read_family, unknown_family
from cgc.spec.lines import read_lines
from cgc.spec.model import (
    Block,
    Component,
    ComponentGate,
    Copies,
    DropoutGate,
    Edge,
    Family,
    Filter,
    Gate,
    Init,
    Lines,
    Normalisation,
    Numbers,
    Prior,
    SameAs,
)
from cgc.spec.names import bad_name
from cgc.spec.priors import build_prior
from cgc.spec.targets import check_target
from cgc.spec.validate import Reader, misspelt, suggestion, whole

WrittenEdge = surface.Dense | surface.Elementwise | surface.Identity | surface.Conv1d | surface.Conv2d | surface.AveragePool
_Weighted = (surface.Dense, surface.Elementwise, surface.Conv1d, surface.Conv2d)

# what only makes sense for nodes that are not given, and only for nodes that are
_NOT_FOR_INPUTS = ("parents", "bias", "at", "stack", "normalize")
_ONLY_FOR_INPUTS = ("clamp", "independent")


@dataclass
class EdgeDraft:
    """An edge as written; ``edge`` is None if it has an error of its own.

    ``block`` is the group of nodes that it leads to, where a component has several. ``source`` and ``gate`` are the components, by their
    whole names, that parent and gate stand for, and the copies of these that are named (``cgc.spec.modules`` finds them out).
    """

    parent: str
    place: Span
    node: Node
    edge: WrittenEdge | None
    name: str
    block: str | None = None
    source: str = ""
    numbers: Numbers = ()
    gate: str = ""
    gate_numbers: Numbers = ()
    same_as: str = ""
    prior: Prior | None = None


@dataclass
class Draft:
    """A component as written; ``body`` and ``family`` are None where they have an error of their own.

    ``name`` is the whole name, ``cell.i`` for one inside a module, and ``module`` that of the module. ``copies`` are filled in last.
    """

    name: str
    place: Span
    node: Node
    body: surface.ComponentBody | None
    family: Family | None
    edges: list[EdgeDraft] = field(default_factory=list)
    lines: Lines | None = None
    module: str = ""
    copies: tuple[Copies, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether all of it could be read."""
        return self.body is not None and self.family is not None and all(edge.edge is not None for edge in self.edges)

    def at(self, *path: str | int) -> Span:
        """The place of a field's value, or of the component."""
        place, value = self.node.find(path)
        return self.place if value is self.node else whole(value, place)

    def key(self, name: str) -> Span:
        """The place of a field's name."""
        return self.node.find((name,))[0]

    @property
    def stack_input(self) -> str | None:
        """The parent that the layer below replaces: as written, or the only parent without lag."""
        if self.body is None or self.body.stack is None:
            return None
        if self.body.stack.input is not None:
            return self.body.stack.input
        free = list(dict.fromkeys(edge.parent for edge in self.edges if edge.edge is not None and edge.edge.lag == 0))
        return free[0] if len(free) == 1 else None


def read_component(
    reader: Reader, name: str, entry: Entry, families: dict[str, Family | None], declared: Sequence[str], module: str = ""
) -> Draft:
    """One component as written, inside ``module``. An inline family is added to ``families`` under the component's name."""
    local = name.removeprefix(f"{module}.")
    wrong = bad_name(local, "a component", entry.key)
    if wrong:
        reader.findings.append(wrong)
    node = entry.node
    if node.entries is None:
        found = kind_of(node.plain())
        reader.error("CG305", f"expected a mapping, found {found}", whole(node, entry.key), help="as in `{nodes: 8, …}`")
        return Draft(name, entry.key, node, None, None, module=module)
    blocks = node.get("blocks")
    rest = node.without("family", "parents", "blocks")
    if blocks is not None:
        rest = rest.replaced({**(rest.entries or {}), "blocks": Entry(node.find(("blocks",))[0], _without_parents(blocks))})
    kind = surface.ComponentBody if blocks is None else surface.BlockedBody
    body = reader.read(kind, rest, ("components", local), f"component `{local}`", entry.key)
    family = _family(reader, name.replace(".", "_"), node, entry.key, families, declared, local)
    edges = _edges(reader, local, node)
    for block, part in (blocks.entries or {}).items() if blocks is not None else ():
        wrong = bad_name(block, "a block", part.key)
        reader.findings += [wrong] if wrong else []
        if part.node.entries is not None:
            edges += [replace(edge, block=block) for edge in _edges(reader, f"{local}.{block}", part.node)]
    if isinstance(body, surface.BlockedBody):
        body = _with_nodes(reader, body, node)
    return Draft(name, entry.key, node, body, family, edges, module=module)


def _without_parents(blocks: Node) -> Node:
    entries = {
        name: Entry(e.key, e.node.without("parents") if e.node.entries is not None else e.node)
        for name, e in (blocks.entries or {}).items()
    }
    return blocks.replaced(entries) if blocks.entries is not None else blocks


def _with_nodes(reader: Reader, body: surface.BlockedBody, node: Node) -> surface.ComponentBody | None:
    """The component with the nodes of its blocks together, one after the other on the first index."""
    shapes = [tuple(int(n) for n in block.nodes) for block in body.blocks.values()]
    places = [node.find(("blocks", name, "nodes"))[1].span for name in body.blocks]
    for shape, place in zip(shapes, places, strict=True):
        if shape[1:] != shapes[0][1:]:
            others = (Label(places[0], "the first block"),)
            why = "the nodes of blocks follow each other on the first index, and agree on all others"
            reader.error(
                "CG360", "these blocks do not fit together", place, others=others, why=why, help="give all the same further extents"
            )
            return None
    together = (sum(shape[0] for shape in shapes), *shapes[0][1:])
    if body.nodes is not None and tuple(int(n) for n in body.nodes) != together:
        shown = " x ".join(str(n) for n in together)
        reader.error("CG360", f"the blocks have {shown} nodes together", node.find(("nodes",))[1].span, help="leave out `nodes`")
        return None
    return body.model_copy(update={"nodes": together})


def _family(
    reader: Reader, name: str, node: Node, place: Span, families: dict[str, Family | None], declared: Sequence[str], component: str
) -> Family | None:
    written = node.get("family")
    if written is None:
        keys = node.entries or {}
        if "family" not in misspelt(keys, list(surface.Component.model_fields)):
            help = "name one of `families`, or write one as `{kind: …}`"
            reader.error("CG302", f"component `{component}` needs `family`", place, help=help)
        return None
    if isinstance(written.scalar, str):
        if written.scalar not in declared:
            unknown_family(reader, written.scalar, written.span, list(declared))
            return None
        return families[written.scalar]
    if written.entries is None:
        reader.error("CG305", f"expected a family, found {kind_of(written.plain())}", whole(written, node.find(("family",))[0]))
        return None
    family = read_family(reader, name, written, ("components", name, "family"), written.span)
    if name in declared:
        message = f"`{name}` would be the name of two families"
        reader.error("CG311", message, place, why="a family written inside a component has its name", help="rename one of the two")
        return None
    families[name] = family
    return family


def _edges(reader: Reader, name: str, node: Node) -> list[EdgeDraft]:
    parents = node.get("parents")
    if parents is None or parents.plain() is None:
        return []
    if parents.entries is None:
        found = kind_of(parents.plain())
        place = whole(parents, node.find(("parents",))[0])
        reader.error("CG305", f"expected parents with their edges, found {found}", place, help="as in `parents: {x: dense}`")
        return []
    drafts = []
    for parent, entry in parents.entries.items():
        items = entry.node.items
        for index, item in enumerate(items if items is not None else (entry.node,)):
            path = ("components", name, "parents", parent) + ((index,) if items is not None else ())
            place = entry.key if items is None else item.span
            edge = reader.read(surface.EdgeField, item, path, f"the edge from `{parent}` to `{name}`", place)
            drafts.append(EdgeDraft(parent, place, item, edge, (edge and edge.name) or parent.replace(".", "_")))
            if edge is not None and items is not None and len(items) > 1 and edge.name is None:
                why = "weights are called after their edge"
                reader.error("CG336", f"several edges from `{parent}` need a `name` each", place, why=why, help="add `name: …`")
            wrong = bad_name(edge.name, "an edge", item.find(("name",))[1].span) if edge is not None and edge.name is not None else None
            if wrong:
                reader.findings.append(wrong)
        if items == ():
            reader.error("CG306", "the list of edges is empty", entry.key, help="remove it, or add an edge")
    return drafts


def check_components(reader: Reader, drafts: Mapping[str, Draft], timed: bool, place: Span) -> None:
    """What components say about each other; nothing about parts that could not be read. Cycles and shapes, ``cgc.graph`` checks."""
    for draft in drafts.values():
        _check_role(reader, draft, timed)
        _check_edges(reader, draft, drafts, timed)
        _check_stack(reader, draft)
        _check_normalisation(reader, draft)
        if draft.body is not None and draft.body.lines is not None:
            draft.lines = read_lines(reader, draft.name, draft.node, draft.body, draft.family, timed)
        if draft.body is not None and draft.body.target is not None and draft.family is not None:
            check_target(reader, draft, draft.body, draft.family.law, drafts)
    bodies = [draft.body for draft in drafts.values()]
    for draft in drafts.values():
        if draft.module and draft.body is not None and draft.body.role != "hidden":
            why = "inputs and outputs are those of the whole spec"
            reader.error("CG331", f"a component inside a module is no {draft.body.role}", draft.at("role"), why=why, help="remove `role`")
        if draft.module and draft.body is not None and draft.body.at == "last" and not draft.module.endswith(".refine"):
            why = "a module is there at every step"
            reader.error(
                "CG362", "a component inside a module is not `at: last`", draft.at("at"), why=why, help="say it of what reads the module"
            )
    if all(body is not None for body in bodies):
        for role, word in (("input", "an input"), ("output", "an output")):
            if not any(body is not None and body.role == role for body in bodies):
                reader.error("CG330", f"no component is {word}", place, help=f"write `role: {role}` in one")


def _check_role(reader: Reader, draft: Draft, timed: bool) -> None:
    body = draft.body
    if body is None:
        return
    written = draft.node.entries or {}
    if body.role == "input":
        for name in _NOT_FOR_INPUTS:
            if name in written:
                reader.error("CG331", f"an input has no `{name}`", draft.key(name), why="inputs are given", help="remove it")
    else:
        for name in _ONLY_FOR_INPUTS:
            if name in written:
                reader.error("CG331", f"`{name}` is for inputs", draft.key(name), help="remove it, or write `role: input`")
        parents = draft.node.get("parents")
        if not draft.edges and (parents is None or parents.plain() in (None, {})):
            why = "a component that is no input depends on something"
            reader.error("CG332", f"component `{draft.name}` has no parents", draft.place, why=why, help="as in `parents: {x: dense}`")
    size = 1
    for extent in body.nodes:
        size *= extent
    if size > surface.MAX_NODES:
        reader.error("CG306", f"{size:,} nodes are too many", draft.at("nodes"), help=f"at most {surface.MAX_NODES:,}")
    if body.role == "input" and body.clamp == "soft" and draft.family is not None:
        law = draft.family.law
        if not (isinstance(law, FiniteExponential) and len(law.support) == 2):
            why = "a value between two states is read as the expectation of a node with these states (section 2.3)"
            message = "`clamp: soft` needs a family with two states"
            reader.error("CG337", message, draft.at("clamp"), why=why, help="remove it, or use `binary`")
    if body.role != "input" and body.at == "last" and not timed:
        reader.error("CG333", "`at: last` needs time steps", draft.at("at"), help="add `time: {steps: …}`")


def _check_edges(reader: Reader, draft: Draft, drafts: Mapping[str, Draft], timed: bool) -> None:
    if draft.body is not None and draft.body.role == "input":
        return
    names: dict[tuple[str | None, str], Span] = {}
    for item in draft.edges:
        edge = item.edge
        if edge is None or not item.source:
            continue
        # a refining path starts at a copy of what it refines
        parent = drafts.get(item.source) or drafts[item.source.removesuffix(".refine")]
        place = item.node.find(("name",))[1].span if edge.name is not None else item.place
        # several edges without a name were told when they were read
        key = (item.block, item.name)
        if key in names and (edge.name is not None or item.parent not in [e.parent for e in draft.edges if e is not item]):
            others = (Label(names[key], "first here"),)
            why = "weights are called after their edge"
            message = f"two edges of `{draft.name}` are called `{item.name}`"
            reader.error("CG336", message, place, others=others, why=why, help="give one another `name`")
        names.setdefault(key, place)
        check_edge(reader, draft, item, parent, timed)
    blocks = draft.body.blocks if isinstance(draft.body, surface.BlockedBody) else {}
    for block in blocks:
        if not any(item.block in (block, None) for item in draft.edges):
            why = "a component that is no input depends on something"
            place = draft.node.find(("blocks", block))[0]
            reader.error("CG332", f"block `{block}` has no parents", place, why=why, help="as in `parents: {x: dense}`")
        if block in {item.name for item in draft.edges if item.block is None}:
            why = "both are parts of names of weights"
            reader.error("CG336", f"a block and an edge are called `{block}`", draft.node.find(("blocks", block))[0], why=why)


def check_edge(reader: Reader, draft: Draft, item: EdgeDraft, parent: Draft, timed: bool) -> None:
    """What an edge must not have, whatever it joins; fills in its prior."""
    _check_time(reader, draft, item, parent, timed)
    _check_weight(reader, item)
    _check_filter(reader, item)


def _check_time(reader: Reader, draft: Draft, item: EdgeDraft, parent: Draft, timed: bool) -> None:
    edge = item.edge
    if edge is None:
        return
    lag = item.node.get("lag")
    lag_place = lag.span if lag else item.place
    if edge.lag > 0 and not timed:
        reader.error("CG333", "a lag needs time steps", lag_place, help="add `time: {steps: …}`")
    elif edge.lag == 0 and item.source == draft.name:
        why = "within one step this would be a cycle"
        reader.error("CG334", f"`{draft.name}` is its own parent", lag_place, why=why, help="add `lag: 1` for the step before")
    elif edge.lag > 0 and parent.body is not None and parent.body.at == "last":
        others = (Label(parent.at("at"), f"{parent.name} is there at the last step only"),)
        reader.error("CG333", f"`{parent.name}` has no earlier steps", item.place, others=others, help="remove `at: last`")
    noise = edge.gate if not isinstance(edge.gate, surface.ComponentGate) else None
    if noise is not None and noise.share == "time" and not timed:
        reader.error("CG333", "`share: time` needs time steps", item.node.find(("gate", "share"))[1].span, help="remove it")


def _check_weight(reader: Reader, item: EdgeDraft) -> None:
    if not isinstance(item.edge, _Weighted):
        return
    item.prior = build_prior(reader, item.edge.prior, item.node)
    init, weight = item.edge.init, item.edge.weight
    if weight is not None and item.edge.prior is not None:
        why = "`weight` fixes it" if weight.same_as is None else "it is that of another edge"
        reader.error("CG342", "a fixed weight has no prior", item.node.find(("prior",))[0], why=why, help="remove one of the two")
    if weight is not None and (weight.value is None) == (weight.same_as is None):
        place = item.node.find(("weight",))[0]
        reader.error("CG342", "a weight is a number, or `{same_as: …}`", place, help="as in `weight: 1` or `weight: {same_as: h.x}`")
    if weight is not None and init is not None:
        why = "`weight` fixes it" if weight.same_as is None else "it is that of another edge"
        reader.error("CG342", "a fixed weight has no start value", item.node.find(("init",))[0], why=why, help="remove one of the two")
    if isinstance(init, surface.UniformInit) and init.low >= init.high:
        place = item.node.find(("init", "high"))[1].span
        reader.error("CG306", f"`high` is {init.high:g}, not above `low`, {init.low:g}", place, help="exchange them")


def _check_filter(reader: Reader, item: EdgeDraft) -> None:
    """As many numbers as there are axes, or one for all of them."""
    edge = item.edge
    if not isinstance(edge, (surface.Conv1d, surface.Conv2d, surface.AveragePool)):
        return
    if isinstance(edge, surface.AveragePool) and edge.kernel_size == "all":
        for name in ("stride", "padding"):
            if name in (item.node.entries or {}):
                reader.error("CG343", f"`{name}` has no meaning beside `kernel_size: all`", item.node.find((name,))[0], help="remove it")
        return
    names = ["kernel_size", "stride", "padding", *(["dilation"] if edge.kind != "avg_pool" else [])]
    counts = {name: len(value) for name in names if (value := getattr(edge, name)) is not None and value != "all"}
    axes = {"conv1d": 1, "conv2d": 2, "avg_pool": max(counts.values())}[edge.kind]
    for name, count in counts.items():
        if count not in (1, axes):
            message = f"`{name}` has {count} numbers, and the windows have {axes} {'axis' if axes == 1 else 'axes'}"
            reader.error("CG343", message, item.node.find((name,))[1].span, help="write one number, or one for each axis")


def _check_stack(reader: Reader, draft: Draft) -> None:
    body = draft.body
    if body is None or body.stack is None or body.role == "input" or any(item.edge is None for item in draft.edges) or not draft.edges:
        return
    free = list(dict.fromkeys(item.parent for item in draft.edges if item.edge is not None and item.edge.lag == 0))
    chosen = body.stack.input
    if chosen is not None:
        if chosen not in free:
            help = suggestion(chosen, free, "parents without lag")
            reader.error("CG335", f"`{chosen}` is not a parent of `{draft.name}` without lag", draft.at("stack", "input"), help=help)
    elif len(free) != 1:
        why = "from the second layer on, the layer below takes the place of one parent without lag; here are " + (", ".join(free) or "none")
        help = "say which: `stack: {times: …, input: …}`" if free else "add a parent without lag"
        reader.error("CG335", f"which parent do the layers of `{draft.name}` replace?", draft.at("stack"), why=why, help=help)
    name = draft.stack_input
    doubled = [item for item in draft.edges if item.parent == name]
    if len(doubled) > 1:
        others = (Label(doubled[0].place, "one edge"),)
        why = "the layer below takes the place of one edge"
        reader.error("CG335", f"the stack's input `{name}` has several edges", doubled[1].place, others=others, why=why, help="keep one")


def _check_normalisation(reader: Reader, draft: Draft) -> None:
    body = draft.body
    if body is None or body.normalize is None or body.role == "input" or not draft.edges:
        return
    normalize, message = body.normalize, f"nothing of `{draft.name}` is normalised"
    if isinstance(normalize, surface.WeightNormalisation):
        _check_weight_normalisation(reader, draft, message)
        return
    if normalize.over == "inputs" and all(item.edge is not None and item.edge.lag > 0 for item in draft.edges):
        why = "it acts on the contributions without lag, and there are none"
        groups = f"groups: {normalize.groups}, " if isinstance(normalize, surface.GroupNormalisation) else ""
        help = f"write `normalize: {{kind: {normalize.kind}, {groups}over: energy}}`"
        reader.error("CG338", message, draft.at("normalize"), why=why, help=help)
    if draft.family is not None and not isinstance(normalize, surface.BatchNormalisation):
        _check_groups(reader, draft, body.nodes, getattr(normalize, "groups", 1), free_energies(draft.family.law))


def _check_weight_normalisation(reader: Reader, draft: Draft, message: str) -> None:
    """Weights with a direction, which do not start at 0."""
    weighted = [item for item in draft.edges if isinstance(item.edge, _Weighted) and not isinstance(item.edge, surface.Elementwise)]
    free = [item for item in weighted if isinstance(item.edge, _Weighted) and item.edge.weight is None]
    if not free and all(item.edge is not None for item in draft.edges):
        why = "it acts on the direction of learned weights, and a single weight or a fixed one has none"
        reader.error("CG338", message, draft.at("normalize"), why=why, help="remove it, or add a dense edge")
    for item in free:
        match item.edge.init if isinstance(item.edge, _Weighted) else None:
            case surface.ConstantInit(value=0) | surface.NormalInit(mean=0, std=0):
                why, place = "weight normalisation divides the weights of a node by their length", item.node.find(("init",))[0]
                reader.error("CG364", "weights that start at 0 have no direction", place, why=why, help="start elsewhere")


def _check_groups(reader: Reader, draft: Draft, nodes: tuple[int, ...], groups: int, energies: int) -> None:
    """Equal groups of several energies; ``energies`` is their number per node."""
    place = draft.at("normalize")
    if nodes[0] % groups:
        message = f"{nodes[0]} does not divide into {groups} equal groups"
        reader.error("CG364", message, place, others=(Label(draft.at("nodes"), "groups are parts of the first axis"),))
    elif groups > 1 and energies > 1:
        why = "a node with labels has several energies"
        reader.error("CG364", "nodes with labels are not normalised in groups", place, why=why, help="write `normalize: layer`")
    elif math.prod(nodes) * energies == groups:
        why = "a value less its own mean is 0, whatever the node's parents are"
        help = "write `normalize: batch`, or give it more nodes" if groups == 1 else "use fewer groups, or give it more nodes"
        reader.error("CG364", "normalised on its own, every energy is 0", place, why=why, help=help)


def build_component(draft: Draft) -> Component:
    """The record of a component without errors."""
    body, family = draft.body, draft.family
    assert body is not None and family is not None
    return Component(
        name=draft.name,
        role=body.role,
        nodes=body.nodes,
        family=family.name,
        span=draft.place,
        parents=tuple(build_edge(item) for item in draft.edges),
        bias=body.bias,
        clamp=body.clamp,
        at=body.at,
        copies=draft.copies,
        target=body.target,
        normalize=_build_normalisation(body.normalize) if body.normalize else None,
        independent=body.independent,
        lines=draft.lines,
        nodes_span=draft.at("nodes"),
        blocks=_build_blocks(body),
    )


def _build_normalisation(written: surface.NormalisationField) -> Normalisation:
    if isinstance(written, surface.WeightNormalisation):
        return Normalisation("weight")
    return Normalisation(written.kind, written.over, written.groups if isinstance(written, surface.GroupNormalisation) else 1)


def _build_blocks(body: surface.ComponentBody) -> tuple[Block, ...]:
    found: list[Block] = []
    for name, block in body.blocks.items() if isinstance(body, surface.BlockedBody) else ():
        start = found[-1].stop if found else 0
        found.append(Block(name, start, start + int(block.nodes[0])))
    return tuple(found)


def build_edge(item: EdgeDraft) -> Edge:
    """The record of an edge without errors."""
    edge = item.edge
    assert edge is not None
    weighted = edge if isinstance(edge, _Weighted) else None
    weight = float(weighted.weight.value) if weighted and weighted.weight and weighted.weight.value is not None else None
    init = _build_init(weighted.init) if weighted and weighted.init else None
    gate = _build_gate(edge.gate, item)
    same_as = None
    if item.same_as:
        assert weighted is not None and weighted.weight is not None
        same_as = SameAs(item.same_as, weighted.weight.same_as or "")
    return Edge(
        item.source,
        item.name,
        edge.kind,
        item.place,
        edge.lag,
        weight,
        init,
        gate,
        _build_filter(edge),
        item.block,
        same_as,
        item.prior,
        item.numbers,
    )


def _build_filter(edge: WrittenEdge) -> Filter | None:
    match edge:
        case surface.Conv1d() | surface.Conv2d():
            axes = 1 if edge.kind == "conv1d" else 2
            kernel, stride, padding = (_each(numbers, axes) for numbers in (edge.kernel_size, edge.stride, edge.padding))
            return Filter(kernel, stride, padding, _each(edge.dilation, axes), edge.groups)
        case surface.AveragePool(kernel_size="all"):
            return Filter(None, (), (), ())
        case surface.AveragePool():
            kernel = tuple(int(n) for n in edge.kernel_size)
            axes = max(len(numbers) for numbers in (kernel, edge.stride or (), edge.padding))
            kernel, stride = _each(kernel, axes), _each(edge.stride or kernel, axes)
            return Filter(kernel, stride, _each(edge.padding, axes), (1,) * axes)
        case _:
            return None


def _each(numbers: tuple[int, ...], axes: int) -> tuple[int, ...]:
    """One number for every axis."""
    return tuple(int(n) for n in numbers) * (axes if len(numbers) == 1 else 1)


def _build_init(init: surface.UniformInit | surface.NormalInit | surface.ConstantInit) -> Init:
    match init:
        case surface.UniformInit():
            return Init("uniform", low=float(init.low), high=float(init.high))
        case surface.NormalInit():
            return Init("normal", mean=float(init.mean), std=float(init.std))
        case surface.ConstantInit():
            return Init("constant", low=float(init.value))


def _build_gate(gate: surface.BernoulliGate | surface.GaussianGate | surface.ComponentGate | None, item: EdgeDraft) -> Gate | None:
    match gate:
        case surface.BernoulliGate() if gate.keep_prob < 1:
            return DropoutGate("bernoulli", keep_prob=float(gate.keep_prob), share=gate.share)
        case surface.GaussianGate() if gate.std > 0:
            return DropoutGate("gaussian", std=float(gate.std), share=gate.share)
        case surface.ComponentGate():
            return ComponentGate(item.gate, float(gate.open), item.gate_numbers)
        case _:
            return None
