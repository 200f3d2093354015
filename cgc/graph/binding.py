"""Statements held against the parts of a spec: which nodes each term names, layer by layer, and which pairs a statement names.

A stack's name in a statement stands for each of its layers in turn, the same one in all terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from cgc.graph import predicate
from cgc.graph.copies import part_name
from cgc.graph.geometry import Axes
from cgc.graph.parts import Part, child_axes, parent_axes
from cgc.graph.predicate import Constant, Expression, Index, Predicate, Truth, compare, conjunction
from cgc.graph.statement import Anchor, Keyword, Selector, Slice, Statement, Term, selector_names, selector_text, time_text
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.suggest import nearest


@dataclass(frozen=True)
class BoundTerm:
    """Some nodes of ``part`` at time t + ``time`` (0 without time): one selector per axis, constants and slice bounds made non-negative.

    In queries a time may count from another ``anchor`` than t.

    ``name`` is what the part is called in its statement: ``h`` where a statement speaks of any layer of ``h``.
    """

    part: Part
    name: str
    selectors: tuple[Selector, ...]
    time: int
    timed: bool
    anchor: Anchor = "t"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The indices that the selectors speak of, in order."""
        return tuple(name for selector in self.selectors for name in selector_names(selector))

    def __str__(self) -> str:
        indices = [selector_text(s) for s in self.selectors] + ([time_text(self.time, self.anchor)] if self.timed else [])
        return f"{self.name}[{','.join(indices)}]"


@dataclass(frozen=True)
class Instance:
    """A statement about certain layers. ``layers`` are the parts that the names of stacks stand for."""

    layers: tuple[str, ...]
    left: tuple[BoundTerm, ...]
    right: tuple[BoundTerm, ...]
    given: tuple[BoundTerm | Keyword, ...]
    condition: Predicate

    @property
    def terms(self) -> tuple[BoundTerm, ...]:
        """All terms."""
        return (*self.left, *self.right, *(g for g in self.given if isinstance(g, BoundTerm)))

    def index_axes(self) -> dict[str, int]:
        """Names and extents of the indices of the left and the right side. A name on several axes runs over the shortest."""
        extents: dict[str, int] = {}
        for term in (*self.left, *self.right):
            for selector, extent in zip(term.selectors, term.part.extents, strict=True):
                if isinstance(selector, Index):
                    extents[selector.name] = min(extent, extents.get(selector.name, extent))
        return extents


def bind(statement: Statement, names: Names, timed: bool) -> tuple[Instance, ...]:
    """The statement for every layer that it may be about.

    Raises SpecError: CG411 for an unknown name, CG412 for the number of indices, CG413 for a time that is missing or meaningless, CG414
    for an index of the condition that a pair of terms lacks, CG415 for an index out of range, CG417 for numbers that may grow too large.
    """
    terms = [term for term in (*statement.left, *statement.right, *statement.given) if isinstance(term, Term)]
    findings = [finding for term in terms for finding in term_errors(term, names, timed)]
    if findings:
        raise SpecError(*findings)
    instances = tuple(_instance(statement, names, chosen, timed) for chosen in names.choices(term.name for term in terms))
    if findings := list(_condition_errors(statement, instances[0])):
        raise SpecError(*findings)
    return instances


def named_pairs(instance: Instance, child: BoundTerm, parent: BoundTerm) -> Predicate:
    """Which pairs the statement names, of a node in ``child`` and one in ``parent``, in the indices of masks."""
    axes = (*child_axes(child.part.extents), *parent_axes(parent.part.extents))
    selectors = (*child.selectors, *parent.selectors)
    values: dict[str, Expression] = {}
    equal: list[Predicate] = []
    for (variable, _), selector in zip(axes, selectors, strict=True):
        if isinstance(selector, Index) and values.setdefault(selector.name, Index(variable)) != Index(variable):
            equal.append(compare("==", Index(variable), values[selector.name]))
    inside = [_selected(selector, Index(variable), values) for (variable, _), selector in zip(axes, selectors, strict=True)]
    return conjunction(*equal, *inside, predicate.substitute(instance.condition, values))


def _selected(selector: Selector, variable: Index, values: dict[str, Expression]) -> Predicate:
    """Whether a slice or a constant selects the value of ``variable``; an index name selects any."""
    match selector:
        case Constant():
            return compare("==", variable, selector)
        case Slice(start, stop, step):
            first = Constant(0) if start is None else predicate.replace(start, values)
            parts = [] if first == Constant(0) else [compare(">=", variable, first)]
            if stop is not None:
                parts.append(compare("<", variable, predicate.replace(stop, values)))
            if step > 1:
                beyond = variable if first == Constant(0) else predicate.arithmetic("-", variable, first)
                parts.append(compare("==", predicate.arithmetic("%", beyond, Constant(step)), Constant(0)))
            return conjunction(*parts)
        case _:
            return conjunction()


class Names:
    """What the names of terms may stand for: a part (``parts`` include gates), or, where numbers of copies are left out, any of several.

    A module's name stands for its output (``modules`` has the whole names of both). What lies on a refining path may go by its own name
    or after that of what it refines: ``h.refine.z``, ``h.z`` or, where nothing else is called so, ``z``.
    """

    def __init__(self, parts: Sequence[Part], modules: Sequence[tuple[str, str]] = ()) -> None:
        self.parts = {part.name: part for part in parts}
        self.copies: dict[str, list[int]] = {}
        self._named: dict[str, dict[tuple[tuple[str, int], ...], Part]] = {}
        short: dict[str, list[str]] = {}
        for part in parts:
            for owner, number in part.copies:
                numbers = self.copies.setdefault(owner, [])
                if number == len(numbers):
                    numbers.append(number)
            for name, free in _spellings(part):
                self._named.setdefault(name, {})[free] = part
            if ".refine." in part.generic:
                short.setdefault(part.generic.rpartition(".")[2], []).append(part.generic)
                self._also(part.generic.replace(".refine.", "."), part.generic)
        for name, full in short.items():
            if len(set(full)) == 1:
                self._also(name, full[0])
        for _, output in modules:
            for name in [name for name in self._named if _same(name, output)]:
                self._also(name.rpartition(".")[0], name)

    def _also(self, name: str, meant: str) -> None:
        if meant in self._named:
            self._named.setdefault(name, self._named[meant])

    def free(self, name: str) -> tuple[str, ...]:
        """The owners of copies whose number a name leaves open."""
        found = self._named.get(name, {})
        return tuple(owner for owner, _ in next(iter(found), ()))

    def part(self, name: str, chosen: Mapping[str, int]) -> Part:
        """The part called ``name`` in the copies ``chosen``."""
        return self._named[name][tuple((owner, chosen[owner]) for owner in self.free(name))]

    def every(self, name: str) -> list[Part]:
        """All parts that a name may stand for. Raises KeyError for an unknown name."""
        return list(self._named[name].values())

    def known(self, name: str) -> Part | None:
        """The first part that a name may stand for."""
        return next(iter(self._named.get(name, {}).values()), None)

    def choices(self, names: Iterable[str]) -> Iterator[dict[str, int]]:
        """Every way to choose the copies that ``names`` leave open, the same for all of them."""
        owners = tuple(dict.fromkeys(owner for name in names for owner in self.free(name)))
        for numbers in product(*(self.copies[owner] for owner in owners)):
            yield dict(zip(owners, numbers, strict=True))


def _spellings(part: Part) -> Iterator[tuple[str, tuple[tuple[str, int], ...]]]:
    """A part's name with and without the number of each copy, and the copies whose number is left out."""
    for shown in product((True, False), repeat=len(part.copies)):
        free = tuple(copy for copy, number in zip(part.copies, shown, strict=True) if not number)
        pinned = {owner: k for (owner, k), number in zip(part.copies, shown, strict=True) if number}
        yield part_name(part.generic, pinned), free


def _same(name: str, generic: str) -> bool:
    """Whether a name is ``generic`` but for numbers."""
    return ".".join(word for word in name.split(".") if not word.isdecimal()) == generic


def _instance(statement: Statement, names: Names, chosen: dict[str, int], timed: bool) -> Instance:
    def bound(terms: Sequence[Term | Keyword]) -> Iterator[BoundTerm | Keyword]:
        for term in terms:
            if not isinstance(term, Term):
                yield term
                continue
            part = names.part(term.name, chosen)
            selectors = [_normal(s, n) for s, n in zip(term.selectors or (Slice(),) * len(part.extents), part.extents, strict=True)]
            yield BoundTerm(part, term.name, tuple(selectors), term.time or 0, timed and not part.constant, term.anchor)

    left, right, given = (tuple(bound(terms)) for terms in (statement.left, statement.right, statement.given))
    sides = [tuple(term for term in side if isinstance(term, BoundTerm)) for side in (left, right)]
    return Instance(tuple(part_name(owner, chosen) for owner in chosen), sides[0], sides[1], given, statement.condition)


def _normal(selector: Selector, extent: int) -> Selector:
    """Constants that count from the end, as in Python, counted from the start; slices cut to the extent."""
    match selector:
        case Constant(value):
            return Constant(value % extent) if -extent <= value < extent else selector
        case Slice(start, stop, step):
            return Slice(_bound(start, extent), _bound(stop, extent), step)
        case _:
            return selector


def _bound(value: Expression | None, extent: int) -> Expression | None:
    if not isinstance(value, Constant):
        return value
    return Constant(min(extent, value.value if value.value >= 0 else max(0, extent + value.value)))


def term_errors(term: Term, names: Names, timed: bool) -> Iterator[Diagnostic]:
    part = names.known(term.name)
    if part is None:
        yield _unknown(term, names)
        return
    layers = names.every(term.name)
    axes = len(part.extents)
    timed = timed and not part.constant
    count = len(term.selectors or ())
    if count and any(len(layer.extents) != axes for layer in layers):
        help = f"name one layer, such as `{part.name}`"
        yield Diagnostic("CG412", f"`{term.name}` has other nodes in other layers", term.span, help=help)
        return
    shape = " x ".join(str(n) for n in part.extents)
    if term.time is not None and not timed:
        reason = "the spec has no `time`" if not part.constant else f"`{term.name}` is the same at all times"
        yield Diagnostic("CG413", f"`{term}` has a time, and {reason}", term.span, help="leave out the time")
    elif count and count != axes:
        wanted = f"{axes} {'index' if axes == 1 else 'indices'}" + (" and a time" if timed else "")
        example = f"{term.name}[{','.join([f'i{k}' for k in range(axes)] if axes > 1 else ['i'])}{',t' if timed else ''}]"
        yield Diagnostic("CG412", f"`{term.name}` takes {wanted}: it has {shape} nodes", term.span, help=f"write it as `{example}`")
    elif count and timed and term.time is None and part.at == "all":
        yield Diagnostic("CG413", f"`{term}` has no time", term.span, help=f"write `{str(term)[:-1]},t]`")
    else:
        extents = [min(layer.extents[axis] for layer in layers) for axis in range(axes)]
        for selector, extent in zip(term.selectors or (), extents, strict=bool(count)):
            yield from _range_errors(term, selector, extent)


def _range_errors(term: Term, selector: Selector, extent: int) -> Iterator[Diagnostic]:
    help = f"the indices of `{term.name}` run from 0 to {extent - 1}"
    match _normal(selector, extent):
        case Constant(value) if not 0 <= value < extent:
            yield Diagnostic("CG415", f"there is no node {value} in `{term}`", term.span, help=help)
        case Slice(start, stop, _):
            bounds = (start or Constant(0), stop or Constant(extent))
            if all(isinstance(b, Constant) for b in bounds) and compare(">=", *bounds) == Truth(True):
                yield Diagnostic("CG415", f"the slice `{selector_text(selector)}` in `{term}` is empty", term.span, help=help)


def _unknown(term: Term, names: Names) -> Diagnostic:
    words = term.name.split(".")
    # the longest beginning that numbers of copies could follow
    for end in range(len(words) - 1, 0, -1):
        owner = ".".join(word for word in words[:end] if not word.isdecimal())
        if owner in names.copies:
            count = len(names.copies[owner])
            layers = f"it has the layers {owner}.0 to {owner}.{count - 1}" if count > 1 else f"its only layer is {owner}.0"
            return Diagnostic("CG411", f"`{owner}` has no part `{term.name}`", term.span, help=layers)
    known = dict.fromkeys([part.component for part in names.parts.values() if part.role != "gate"])
    near = nearest(term.name, known)
    help = f"did you mean `{near}`?" if near else "there are " + ", ".join(f"`{name}`" for name in known)
    return Diagnostic("CG411", f"there is no component `{term.name}`", term.span, help=help)


def _condition_errors(statement: Statement, instance: Instance) -> Iterator[Diagnostic]:
    """At most one mistake in the condition or in the bounds of slices, for any pair of a left and a right term."""
    for left, right in product(instance.left, instance.right):
        selectors = (*left.selectors, *right.selectors)
        own = {s.name for s in selectors if isinstance(s, Index)}
        used = [name for part in (*_bounds(selectors), instance.condition) for name in predicate.names(part)]
        if free := [name for name in used if name not in own]:
            message = f"`{free[0]}` is an index of neither `{left}` nor `{right}`"
            yield Diagnostic("CG414", message, statement.span, help="write a statement for each of these terms")
            return
        try:
            named = named_pairs(instance, left, right)
        except ZeroDivisionError:
            yield Diagnostic("CG417", "a divisor is 0", statement.condition_span)
            return
        axes: Axes = (*child_axes(left.part.extents), *parent_axes(right.part.extents))
        if predicate.largest(named, dict(axes)) > predicate.LARGEST:
            yield Diagnostic("CG417", "numbers in this condition may exceed 64 bits", statement.condition_span, help="use smaller factors")
            return
    for term in instance.terms:
        if any(predicate.largest(bound, instance.index_axes()) > predicate.LARGEST for bound in _bounds(term.selectors)):
            yield Diagnostic("CG417", f"numbers in `{term}` may exceed 64 bits", statement.span, help="use smaller factors")
            return


def _bounds(selectors: Sequence[Selector]) -> list[Expression]:
    return [bound for s in selectors if isinstance(s, Slice) for bound in (s.start, s.stop) if bound is not None]
