"""Modules, refinements and stacks: what stands inside what, what a name stands for there, and of what there are copies.

A module's components, and those on a refining path, are known by their whole names from here on: ``cell.i``, ``h.refine.z``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cgc.families.forms import FiniteExponential, Indicators
from cgc.formula.fields import kind_of
from cgc.source.diagnostics import Label
from cgc.source.text import Span
from cgc.source.tree import Entry, Node
from cgc.spec import surface
from cgc.spec.components import Draft, EdgeDraft, check_edge, read_component
from cgc.spec.model import Copies, Family, Numbers
from cgc.spec.names import bad_name
from cgc.spec.validate import Reader, suggestion, whole

PREVIOUS = "previous"
MAX_DEPTH = 16
MOST_COPIES = 4
"""So many levels may have copies that are independent."""
_NO_MODULE = ("role", "nodes", "family", "parents", "bias", "clamp", "at", "normalize", "independent", "lines", "blocks", "target")


@dataclass
class Scope:
    """A module, or the path of a refinement: names inside it come before names outside.

    ``outer`` is the scope around it ("" for the spec), ``inner`` the whole names of what stands inside. ``back`` is the edge that a
    refining path ends with, ``base`` the component that it refines.
    """

    name: str
    place: Span
    node: Node
    outer: str
    output: str = ""
    times: int | None = None
    input: str | None = None
    numbers: Numbers = ()
    inner: list[str] = field(default_factory=list)
    back: EdgeDraft | None = None
    base: str = ""
    independent: bool = False


@dataclass
class Written:
    """All components as written, and the scopes, by their whole names."""

    drafts: dict[str, Draft] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)

    def find(self, word: str, scope: str) -> str | None:
        """The component that ``word`` stands for inside ``scope``; a module's name stands for its output."""
        first, *rest = [part for part in word.split(".") if not part.isdecimal()] or [""]
        while (name := f"{scope}.{first}" if scope else first) not in self.drafts and name not in self.scopes:
            if not scope:
                return None
            scope = self.scopes[scope].outer
        for part in rest:
            name = f"{name}.{part}"
        while name in self.scopes and self.scopes[name].output:
            name = f"{name}.{self.scopes[name].output}"
        return name if name in self.drafts else None

    def numbers(self, word: str, scope: str) -> Numbers | str:
        """The copies that ``word``, which ``find`` knows, names outright, as in ``cell.0.c``; or what is wrong with them."""
        first, *rest = word.split(".")
        while (name := f"{scope}.{first}" if scope else first) not in self.drafts and name not in self.scopes:
            if not scope:
                return f"`{first}` is the number of nothing"
            scope = self.scopes[scope].outer
        found: dict[str, int] = {}
        for part in rest:
            if not part.isdecimal():
                name = f"{name}.{part}"
                continue
            times = self._times(name)
            if times is None or name in found:
                return f"`{name}` has no copies" if times is None else f"copies of `{name}` have no copies"
            if int(part) >= times:
                return f"the copies of `{name}` are 0 … {times - 1}" if times > 1 else f"the only copy of `{name}` is 0"
            found[name] = int(part)
        return tuple(found.items())

    def _times(self, name: str) -> int | None:
        if name in self.scopes:
            return None if self.scopes[name].base else self.scopes[name].times
        body = self.drafts[name].body if name in self.drafts else None
        return body.stack.times if body is not None and body.stack is not None else None

    def visible(self, scope: str) -> list[str]:
        """The words that stand for something inside ``scope``."""
        names = []
        while True:
            names += [name.removeprefix(f"{scope}.") for name in self._inside(scope)]
            if not scope:
                return list(dict.fromkeys(names))
            scope = self.scopes[scope].outer

    def _inside(self, scope: str) -> list[str]:
        if scope:
            return self.scopes[scope].inner
        modules = [name for name, inner in self.scopes.items() if not inner.base and not inner.outer]
        return [*(name for name, draft in self.drafts.items() if not draft.module), *modules]


def read_all(reader: Reader, components: Mapping[str, Entry], refine: Mapping[str, Entry], families: dict[str, Family | None]) -> Written:
    """Components, modules and refinements as written, with every name resolved."""
    written = Written()
    declared = list(families)
    _read_inside(reader, written, components, "", families, declared, 0)
    for name, entry in refine.items():
        _read_refinement(reader, written, name, entry, families, declared)
    for draft in written.drafts.values():
        for edge in draft.edges:
            _resolve(reader, written, draft, edge)
    for scope in written.scopes.values():
        if scope.back is not None:
            _resolve(reader, written, written.drafts[scope.base], scope.back)
        elif scope.times is not None:
            _resolve_input(reader, written, scope)
    for draft in written.drafts.values():
        draft.copies = tuple(_copies(written, draft))
    return written


def _read_inside(
    reader: Reader,
    written: Written,
    entries: Mapping[str, Entry],
    scope: str,
    families: dict[str, Family | None],
    declared: list[str],
    depth: int,
) -> None:
    for local, entry in entries.items():
        name = f"{scope}.{local}" if scope else local
        if entry.node.get("components") is not None:
            _read_module(reader, written, name, entry, scope, families, declared, depth + 1)
        else:
            written.drafts[name] = read_component(reader, name, entry, families, declared, scope)
        if scope:
            written.scopes[scope].inner.append(name)


def _read_module(
    reader: Reader,
    written: Written,
    name: str,
    entry: Entry,
    outer: str,
    families: dict[str, Family | None],
    declared: list[str],
    depth: int,
) -> None:
    local = name.removeprefix(f"{outer}.")
    wrong = bad_name(local, "a component", entry.key)
    reader.findings += [wrong] if wrong else []
    scope = written.scopes[name] = Scope(name, entry.key, entry.node, outer)
    place, inside = entry.node.find(("components",))
    if depth > MAX_DEPTH:
        reader.error("CG362", f"more than {MAX_DEPTH} modules inside each other", entry.key)
        return
    taken = [key for key in _NO_MODULE if key in (entry.node.entries or {})]
    for key in taken:
        why = "a module is made of components, and its nodes are theirs"
        reader.error("CG362", f"a module has no `{key}`", entry.node.find((key,))[0], why=why, help="write it in one of the components")
    body = reader.read(surface.ModuleBody, entry.node.without("components", *taken), ("components", local), f"module `{local}`", entry.key)
    if not inside.entries:
        found = kind_of(inside.plain())
        reader.error("CG305", f"expected components, found {found}", whole(inside, place), help="as in `{h: {nodes: 8, …}}`")
        return
    _read_inside(reader, written, inside.entries, name, families, declared, depth)
    if body is None:
        scope.output = next(iter(inside.entries))
        return
    scope.output = body.output
    if body.stack is not None:
        scope.times, scope.input = body.stack.times, body.stack.input
    if body.output not in inside.entries:
        help = suggestion(body.output, list(inside.entries), "components")
        reader.error("CG307", f"unknown component `{body.output}`", entry.node.find(("output",))[1].span, help=help)
        scope.output = next(iter(inside.entries))


def _read_refinement(
    reader: Reader, written: Written, base: str, entry: Entry, families: dict[str, Family | None], declared: list[str]
) -> None:
    draft = written.drafts.get(base)
    if draft is None:
        what = "is a module, and what is refined is one component" if base in written.scopes else ""
        help = (
            "refine one of its components"
            if what
            else suggestion(base, [n for n, d in written.drafts.items() if not d.module], "components")
        )
        reader.error("CG307", f"`{base}` {what}" if what else f"unknown component `{base}`", entry.key, help=help)
        return
    if draft.body is not None and draft.body.role != "hidden":
        why = "a copy of it would have to be hidden"
        reader.error("CG363", f"an {draft.body.role} cannot be refined", entry.key, why=why, help="refine a hidden component")
        return
    if entry.node.entries is None:
        reader.error("CG305", f"expected a mapping, found {kind_of(entry.node.plain())}", whole(entry.node, entry.key))
        return
    name = f"{base}.refine"
    scope = written.scopes[name] = Scope(name, entry.key, entry.node, draft.module, base=base)
    body = reader.read(surface.RefinementBody, entry.node.without("through"), ("refine", base), f"the refinement of `{base}`", entry.key)
    place, through = entry.node.find(("through",))
    if through is entry.node or not through.entries:
        help = "as in `through: {z: {nodes: 8, family: …, parents: {previous: dense}}}`"
        reader.error(
            "CG363", f"the refinement of `{base}` goes through no component", entry.key if through is entry.node else place, help=help
        )
        return
    for local, inner in through.entries.items():
        if inner.node.get("components") is not None:
            reader.error("CG363", "a refining path leads through components, not through modules", inner.key, help="write its components")
            continue
        if local in (PREVIOUS, "back"):
            why = f"`{PREVIOUS}` is the component before, and `back` the edge that the path ends with"
            reader.error("CG363", f"`{local}` cannot be the name of a component on a path", inner.key, why=why, help="choose another name")
        written.drafts[f"{name}.{local}"] = read_component(reader, f"{name}.{local}", inner, families, declared, name)
        if inner.node.get("stack") is not None:
            place, help = inner.node.find(("stack",))[0], "write its layers one after the other"
            reader.error("CG363", "a component on a refining path is no stack", place, why="the path is one of a stack already", help=help)
        scope.inner.append(f"{name}.{local}")
        if PREVIOUS not in [edge.parent for edge in written.drafts[f"{name}.{local}"].edges]:
            why = f"`{PREVIOUS}` is the component before it on the path, at first the copy of `{base}`"
            reader.error(
                "CG363", f"`{local}` does not go on from `{PREVIOUS}`", inner.key, why=why, help=f"add `{PREVIOUS}: …` to its parents"
            )
    if body is not None:
        scope.times, scope.independent = body.times, body.sample == "independent_copies"
        if scope.independent and body.times > MOST_COPIES:
            why = "copies of copies double with every level"
            help = f"refine at most {MOST_COPIES} times, or write `sample: shared`"
            reader.error("CG363", "independent copies are too many", entry.node.find(("times",))[1].span, why=why, help=help)
        place, node = entry.node.find(("back",))
        scope.back = EdgeDraft(base, place, node, body.back, "back", source=scope.inner[-1] if scope.inner else "")
        for key in ("name", "lag"):
            if key in (node.entries or {}):
                reader.error("CG363", f"the way back has no `{key}`", node.find((key,))[0], help="remove it")
        if isinstance(body.back.gate, surface.ComponentGate):
            help = "open the edge to the last component of the path"
            reader.error("CG363", "the way back has no hidden gate", node.find(("gate",))[0], help=help)
        if (weight := getattr(body.back, "weight", None)) is not None and weight.same_as is not None:
            why = "every level has one of its own"
            reader.error("CG363", "the way back has no weight of another edge", node.find(("weight",))[0], why=why, help="remove it")


def _resolve(reader: Reader, written: Written, draft: Draft, item: EdgeDraft) -> None:
    """Which components an edge, its gate and its weight speak of."""
    if not item.source and (found := _source(reader, written, draft, item)):
        item.source = found
    edge = item.edge
    if edge is None:
        return
    if isinstance(edge.gate, surface.ComponentGate):
        place = item.node.find(("gate", "component"))[1].span
        gate = written.find(edge.gate.component, draft.module)
        if gate is None:
            help = suggestion(edge.gate.component, written.visible(draft.module), "components")
            reader.error("CG307", f"unknown component `{edge.gate.component}`", place, help=help)
        else:
            item.gate = gate
            item.gate_numbers = _numbers(reader, written, edge.gate.component, draft, place)
            _check_gate(reader, written, item, edge.gate)
    weight = getattr(edge, "weight", None)
    if weight is not None and weight.same_as is not None:
        owner, _, name = weight.same_as.rpartition(".")
        place = item.node.find(("weight", "same_as"))[1].span
        source = written.find(owner, draft.module) if owner else None
        names = [other.name for other in written.drafts[source].edges] if source else []
        if source is None or name not in names:
            known = [f"{owner}.{other}" for other in names] or [
                f"{d}.{e.name}" for d, c in written.drafts.items() for e in c.edges if e is not item
            ]
            help = suggestion(weight.same_as, known, "edges")
            reader.error("CG307", f"there is no edge `{weight.same_as}`", place, help=help)
        else:
            item.same_as = f"{source}.{name}"


def _source(reader: Reader, written: Written, draft: Draft, item: EdgeDraft) -> str:
    scope = written.scopes.get(draft.module)
    if item.parent == PREVIOUS and scope is not None and scope.base:
        before = scope.inner.index(draft.name)
        return scope.inner[before - 1] if before else scope.name
    found = written.find(item.parent, draft.module)
    if found is None:
        known = [name for name in written.visible(draft.module) if name != draft.name.rpartition(".")[2]] or written.visible(draft.module)
        reader.error("CG307", f"unknown component `{item.parent}`", item.place, help=suggestion(item.parent, known, "components"))
        return ""
    item.numbers = _numbers(reader, written, item.parent, draft, item.place)
    return found if _in_reach(reader, found, draft, item) else ""


def _numbers(reader: Reader, written: Written, word: str, draft: Draft, place: Span) -> Numbers:
    """The copies that a name speaks of; adds a Diagnostic if there are none such."""
    found = written.numbers(word, draft.module)
    if isinstance(found, tuple):
        return found
    reader.error("CG307", f"unknown component `{word}`", place, why=found, help="without a number, a name means the last copy")
    return ()


def _in_reach(reader: Reader, found: str, draft: Draft, item: EdgeDraft) -> bool:
    """Whether a component is not hidden on another's refining path; adds a Diagnostic if it is."""
    path = found.rpartition(".")[0]
    if not path.endswith(".refine") or draft.module == path:
        return True
    help = f"read `{path.removesuffix('.refine')}`"
    reader.error("CG363", f"`{found}` lies on a refining path, and is read there alone", item.place, help=help)
    return False


def _check_gate(reader: Reader, written: Written, item: EdgeDraft, gate: surface.ComponentGate) -> None:
    """The gate's nodes have the state ``open``, and the probability of it follows from their expectation."""
    family = written.drafts[item.gate].family
    place = item.node.find(("gate", "open"))[1].span
    if family is None:
        return
    law = family.law
    if isinstance(law, FiniteExponential) and len(law.support) == 2:
        states = [float(state) for state in law.support]
    elif isinstance(law, Indicators):
        states = [float(k) for k in range(law.labels)]
    else:
        why = "with more states, or without labels, the expectation does not tell how probable one of them is"
        message = f"a gate needs nodes with two states or with labels, and `{gate.component}` is {family.kind}"
        reader.error("CG361", message, item.node.find(("gate", "component"))[1].span, why=why, help="use `binary` or `categorical`")
        return
    if float(gate.open) not in states:
        shown = ", ".join(f"{state:g}" for state in states)
        reader.error("CG361", f"`{gate.component}` has no state {float(gate.open):g}", place, help=f"its states are {shown}")


def _resolve_input(reader: Reader, written: Written, scope: Scope) -> None:
    """What the copies of a stacked module read in place of the one below: as said, or the only thing outside that is read without lag."""
    inside = [written.drafts[name] for name in written.drafts if name.startswith(f"{scope.name}.")]
    edges = [e for d in inside for e in d.edges if e.edge is not None and e.edge.lag == 0 and e.source]
    free = [read for read in dict.fromkeys((e.source, e.numbers) for e in edges) if not read[0].startswith(f"{scope.name}.")]
    as_written = {(e.source, e.numbers): e.parent for e in reversed(edges)}
    words = [as_written[read] if read[1] else _word(written, read[0], scope.outer) for read in free]
    place = whole(scope.node.find(("stack",))[1], scope.node.find(("stack",))[0])
    if scope.input is not None:
        place = scope.node.find(("stack", "input"))[1].span
        found = written.find(scope.input, scope.outer) or ""
        numbers = written.numbers(scope.input, scope.outer) if found else ()
        if (found, numbers) not in free:
            help = suggestion(scope.input, words, "parents without lag")
            reader.error("CG335", f"`{scope.input}` is not a parent without lag of anything in `{scope.name}`", place, help=help)
        scope.input, scope.numbers = found, numbers if isinstance(numbers, tuple) else ()
    elif len(free) == 1:
        scope.input, scope.numbers = free[0]
    elif scope.times != 1:
        why = "from the second layer on, the layer below takes the place of one parent; here are " + (", ".join(words) or "none")
        help = "say which: `stack: {times: …, input: …}`" if free else "add a parent without lag"
        reader.error("CG335", f"which parent do the layers of `{scope.name}` replace?", place, why=why, help=help)


def _word(written: Written, name: str, scope: str) -> str:
    return next((word for word in written.visible(scope) if written.find(word, scope) == name), name)


def _copies(written: Written, draft: Draft) -> list[Copies]:
    """The stacks and refinements around a component, outermost first, its own last."""
    copies: list[Copies] = []
    scope = draft.module
    while scope:
        here = written.scopes[scope]
        if here.base:
            base = written.drafts[here.base]
            own = _own(base)
            copies = [*([own] if own else []), Copies(scope, here.times or 1), *copies]
        elif here.times is not None:
            copies.insert(0, Copies(scope, here.times, here.input, written.find(scope, here.outer) or "", here.numbers))
        scope = here.outer
    own = _own(draft)
    return [*copies, *([own] if own else [])]


def _own(draft: Draft) -> Copies | None:
    """The stack that a component is itself."""
    if draft.body is None or draft.body.stack is None:
        return None
    below = next((edge for edge in draft.edges if edge.parent == draft.stack_input), None)
    times = draft.body.stack.times
    return Copies(draft.name, times, below.source, draft.name, below.numbers) if below else Copies(draft.name, times, None, draft.name)


def check_refinements(reader: Reader, written: Written, timed: bool) -> None:
    """What only a refined component must not have, and the way back, which is an edge as others are."""
    for scope in written.scopes.values():
        draft = written.drafts.get(scope.base)
        if draft is None:
            continue
        if scope.back is not None and scope.back.source:
            check_edge(reader, draft, scope.back, written.drafts[scope.back.source], timed)
        for item in draft.edges:
            if item.source == scope.base and item.edge is not None:
                others = (Label(scope.place, "refined here"),)
                why = "its copies would have different pasts, and the energy would not be common to them"
                help = "put the recurrence on the refining path"
                reader.error("CG363", f"`{scope.base}` is refined, and reads its own past", item.place, others=others, why=why, help=help)
            if item.name == "refine":
                reader.error("CG363", "an edge of a refined component cannot be called `refine`", item.place, help="add `name: …`")
        recurrent = [e for name in scope.inner for e in written.drafts[name].edges if e.edge is not None and e.edge.lag > 0]
        if scope.independent and recurrent:
            why = "every copy would have a past of its own"
            reader.error("CG363", "independent copies have no past", recurrent[0].place, why=why, help="write `sample: shared`")
        if draft.lines is not None:
            reader.error("CG363", f"`{scope.base}` is refined, and has lines", scope.place, help="remove one of the two")
        if isinstance(draft.body, surface.BlockedBody):
            reader.error("CG363", f"`{scope.base}` is refined, and has blocks", scope.place, help="refine a component that reads it")
