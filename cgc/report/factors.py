"""The factors of the joint distribution, part by part: densities over nodes, energies with their indices, potentials of lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from typing import Any

from cgc.families.forms import Density, FiniteExponential, Indicators, Law, X
from cgc.graph.analysis import Graph
from cgc.graph.factorisation import conditions, factor
from cgc.graph.parts import Part, PartEdge, child_axes, parent_axes
from cgc.graph.predicate import Constant, Expression, Predicate, Truth, names, replace, substitute
from cgc.graph.predicate import text as predicate_text
from cgc.graph.structure import fixed_weight
from cgc.graph.template import with_gates
from cgc.graph.unions import joined
from cgc.report.formula import Formula, expression, join, over, plain, subscript, symbol, variable
from cgc.report.normalised import called, normaliser
from cgc.spec.model import Component, DropoutGate, Spec


@dataclass(frozen=True)
class Factor:
    """What a part adds to the joint distribution.

    ``formulas`` are the factor, the energies, and what occurs in them; ``moral`` says which parents the moral graph joins, if there are
    several; ``alike`` are further layers of a stack of which the same is true, each with the layer below it.
    """

    part: str
    formulas: tuple[Formula, ...]
    moral: str
    alike: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        """For ``--json``."""
        formulas = [{"text": formula.text, "latex": formula.latex} for formula in self.formulas]
        return {"part": self.part, "alike": list(self.alike), "formulas": formulas, "moral": self.moral or None}


def factors(spec: Spec, graph: Graph, component: str | None = None) -> tuple[Factor, ...]:
    """One for every part that is not given, or for those of one component; layers of a stack that are alike have one together."""
    everything = with_gates(graph.parts)
    found: list[Factor] = []
    above: dict[str, tuple[Part, int]] = {}
    for part in graph.parts:
        if part.role == "input" or not within(component, part.component):
            continue
        before, place = above.get(part.generic, (None, 0))
        # the first copy has another parent than the rest; every refinement adds one
        number = part.copies[-1][1] if part.copies else 0
        if before is not None and number > 1 and (part.base is not None or _shape(before) == _shape(part)):
            one = found[place]
            found[place] = Factor(one.part, one.formulas, one.moral, (*one.alike, part.name))
        else:
            place = len(found)
            writer = _Writer(spec, part, everything, graph.timed)
            found.append(Factor(part.name, tuple(writer.formulas()), writer.moral()))
        above[part.generic] = (part, place)
    return tuple(found)


def within(component: str | None, name: str) -> bool:
    """Whether ``name`` is what is asked for: all, a component with what refines it, or what is in a module."""
    return component is None or name == component or name.startswith(f"{component}.")


def _shape(part: Part) -> tuple[object, ...]:
    return tuple((edge.edge, edge.structure) for edge in part.edges)


def _law(spec: Spec, component: Component) -> Law:
    return spec.family(component.family).law


def _letters(letter: str, part: Part) -> tuple[str, ...]:
    """The indices of a part's nodes, as in masks; none if there is one node."""
    axes = child_axes(part.extents) if letter == "i" else parent_axes(part.extents)
    return tuple(name for name, _ in axes) if part.size > 1 else ()


def _feature(law: Law, value: Formula) -> Formula:
    """What other nodes see of a state."""
    shown = (isinstance(law, FiniteExponential) and law.statistic != X) or (isinstance(law, Density) and law.feature != X)
    return plain("T(") + value + plain(")") if shown else value


class _Writer:
    """Writes the formulas of one part."""

    def __init__(self, spec: Spec, part: Part, parts: Sequence[Part], timed: bool) -> None:
        self.spec, self.part, self.parts, self.timed = spec, part, parts, timed
        self.component = spec.component(part.component)
        self.law = _law(spec, self.component)
        self.step = "T" if part.at == "last" else "t"
        self.nodes = _letters("i", part)
        # one energy per label, and not per node
        labels = ["k"] if isinstance(self.law, Indicators) else []
        self.energies = (*self.nodes, *labels)
        self.biases = (*self._classes(), *labels)
        by_name = {other.name: other for other in parts}
        # the same with its dropout nodes as parents
        self.gated = by_name[part.name]
        present = [edge for edge in part.edges if edge.structure.kind != "absent"]
        self.edges = [(edge, by_name[edge.source]) for edge in present if edge.gates is None]
        self.gates = {e.weight: by_name[f"{e.weight}.gate"] for e, _ in self.edges if isinstance(e.edge.gate, DropoutGate)}
        self.hidden = {edge.gates: by_name[edge.source] for edge in present if edge.gates is not None}

    def formulas(self) -> Iterator[Formula]:
        """The factor, then what occurs in it."""
        yield self._factor()
        yield self._energy()
        if self.component.normalize:
            yield normaliser(self.component.normalize, self.biases, self.energies)
        if isinstance(self.law, Indicators) and self.law.reference_label is not None:
            fixed = [*self.nodes, str(self.law.reference_label), *self._time(0)]
            yield symbol("e", self.part.name, *fixed) + plain(" = 0")
        if self.part.lines:
            yield from self._potentials()
        for edge, source in self.edges:
            if isinstance(gate := edge.edge.gate, DropoutGate):
                law = ("Bernoulli", f"({gate.keep_prob:g})") if gate.kind == "bernoulli" else ("Normal", f"(1, {gate.std:g}^2)")
                noise = variable(self.gates[edge.weight].name, *_letters("j", source), *self._gate_time(edge))
                yield noise + Formula(f" ~ {''.join(law)}", rf" \sim \mathrm{{{law[0]}}}{law[1]}")

    def _time(self, lag: int) -> list[str]:
        return [f"{self.step}{-lag or ''}"] if self.timed else []

    def _gate_time(self, edge: PartEdge) -> list[str]:
        return [] if self.gates[edge.weight].constant else self._time(edge.lag)

    def _node(self, *indices: str, time: list[str] | None = None) -> Formula:
        return variable(self.part.name, *indices, *(self._time(0) if time is None else time))

    def _factor(self) -> Formula:
        both = (factor(self.gated, self.parts, self.timed, latex) for latex in (False, True))
        left = Formula(*both) + plain(" = ")
        energy = symbol("e", self.part.name, *self.nodes, *self._time(0))
        lines = self.part.lines
        if lines is None:
            inside = self._node(*self.nodes) + plain(" | ", r" \mid ") + energy
            return left + over("prod", self.nodes) + plain("p(") + inside + plain(")")
        given = Formula(*(", ".join(conditions(self.gated, self.parts, self.timed, latex)) for latex in (False, True)))
        normaliser = plain("1/Z(", r"\frac{1}{Z(") + given + plain(") ", ")} ")
        along = [*self.nodes, *(["t"] if lines.lag else [])]
        nodes = over("prod", along) + plain("phi(", r"\varphi(") + self._node(*self.nodes) + plain("; ") + energy + plain(") ")
        others = _letters("j", self.part)
        if lines.lag:
            pairs = over("prod", [*self.nodes, "t<T"])
            ends = self._node(*self.nodes), self._node(*self.nodes, time=["t+1"])
        else:
            # a list of pairs has no shorter form
            pairs = over("prod", ["lines"]) if lines.written.kind == "list" else over("prod", ["lines"], lines.joined)
            ends = self._node(*self.nodes), self._node(*others)
        return left + normaliser + nodes + pairs + self._pair() + plain("(") + join(plain(", "), ends) + plain(")") + self._ends()

    def _pair(self) -> Formula:
        """The potential of a line: one for all of a chain or of each direction of a grid, else one for each line."""
        lines = self.part.lines
        assert lines is not None
        match lines.written.kind:
            case "chain":
                return plain("psi", r"\psi")
            case "grid":
                return plain("psi_d", r"\psi_{d}")
            case _:
                return plain("psi", r"\psi") + subscript((*self.nodes, *_letters("j", self.part)))

    def _ends(self) -> Formula:
        lines = self.part.lines
        if lines is None or not lines.written.ends:
            return plain("")
        if lines.lag:
            places = [self._node(*self.nodes, time=["0"]), self._node(*self.nodes, time=["T"])]
            rest = self.nodes
        else:
            (axis,) = lines.written.axes
            rest = tuple(letter for k, letter in enumerate(self.nodes) if k != axis)
            ends = (0, self.part.extents[axis] - 1)
            places = [self._node(*(str(end) if k == axis else letter for k, letter in enumerate(self.nodes))) for end in ends]
        start, end = (
            plain(f"phi_{word}(", rf"\varphi_{{\mathrm{{{word}}}}}(") + place + plain(")")
            for word, place in zip(("start", "end"), places, strict=True)
        )
        return plain(" ") + over("prod", rest) + start + plain(" ") + end

    def _potentials(self) -> Iterator[Formula]:
        """phi and psi as functions of the states of nodes."""
        lines = self.part.lines
        assert lines is not None
        own = {"chain": (), "grid": ("d",)}.get(lines.written.kind, (*self.nodes, *_letters("j", self.part)))
        exp = plain("exp(", r"\exp(")
        phi, state = plain("phi(x; e) = ", r"\varphi(x; e) = "), _feature(self.law, plain("x"))
        psi, other = self._pair() + plain("(x, x') = "), _feature(self.law, plain("x'"))
        ends = (
            [
                plain(f"phi_{word}(x) = ", rf"\varphi_{{\mathrm{{{word}}}}}(x) = ") + exp + value + plain(")")
                for word, letter in (("start", "a"), ("end", "z"))
                for value in [
                    symbol(letter, "", "x") if isinstance(self.law, Indicators) else plain(f"{letter} ", rf"{letter} \, ") + state
                ]
            ]
            if lines.written.ends
            else []
        )
        if isinstance(self.law, Indicators):
            yield phi + exp + symbol("e", "", "x") + plain(")")
            yield psi + exp + symbol("V", "", *own, "x", "x'") + plain(")")
        else:
            measure = isinstance(self.law, FiniteExponential) and self.law.base_measure != 1
            yield phi + plain("m(x) " * measure, r"m(x) \, " * measure) + exp + plain("e ", r"e \, ") + state + plain(")")
            yield psi + exp + symbol("v", "", *own) + plain(" ", r" \, ") + state + plain(" ", r" \, ") + other + plain(")")
        yield from ends

    def _energy(self) -> Formula:
        normalised = self.component.normalised
        bias = self.component.bias
        terms = []
        if bias is True:
            terms.append(symbol("b", "", *self.biases))
        elif bias:
            terms.append(plain(f"{bias:g}"))
        sums = [(edge.lag, self._contribution(edge, source)) for edge, source in self._shown()]
        inside = [term for lag, term in sums if normalised == "energy" or (normalised == "inputs" and lag == 0)]
        if inside:
            terms.append(self._normalised(join(plain(" + "), inside)))
        terms += [term for lag, term in sums if normalised == "no" or (normalised == "inputs" and lag)]
        left = symbol("e", self.part.name, *self.energies, *self._time(0))
        return left + plain(" = ") + (join(plain(" + "), terms) if terms else plain("0"))

    def _shown(self) -> list[tuple[PartEdge, Part]]:
        """The edges; of many levels of a refinement the first two and the last."""
        levels = [pair for pair in self.edges if pair[0].weight.endswith(".back") and ".refine." in pair[0].weight]
        hidden = {pair[0].weight for pair in levels[2:-1]}
        return [pair for pair in self.edges if pair[0].weight not in hidden]

    def _normalised(self, inside: Formula) -> Formula:
        assert self.component.normalize is not None
        of = self.biases if self.component.normalize.kind == "batch" else self.energies
        return called(self.component.normalize) + subscript(of) + plain("(") + inside + plain(")")

    def _contribution(self, edge: PartEdge, source: Part) -> Formula:
        """``sum_j W_x[i,j] x[j,t]``."""
        written, structure = edge.edge, edge.structure
        law = _law(self.spec, self.spec.component(source.component))
        single = structure.kind in ("elementwise", "identity")
        nodes = self.nodes if single else _letters("j", source)
        labels = ("l",) if isinstance(law, Indicators) else ()
        value = variable(source.name, *nodes, *self._time(edge.lag))
        value = plain("1[", r"\mathbf{1}[") + value + plain(" = l]") if labels else _feature(law, value)
        if isinstance(written.gate, DropoutGate):
            value = variable(self.gates[edge.weight].name, *nodes, *self._gate_time(edge)) + plain(" ", r" \, ") + value
        elif written.gate is not None:
            gate = self.hidden[edge.weight]
            indices = [name if n > 1 else "0" for name, n in zip(nodes, gate.extents, strict=True)] if gate.size > 1 else []
            opened = plain(f" = {written.gate.open:g}] ", rf" = {written.gate.open:g}] \, ")
            value = plain("1[", r"\mathbf{1}[") + variable(gate.name, *indices, *self._time(0)) + opened + value
        weight = self._weight(edge, single, (*self._weights(edge, source, () if single else nodes), *labels))
        summed = () if single else (*nodes, *labels)
        return over("sum", summed, self._where(edge, source) if summed else None) + weight + value

    def _where(self, edge: PartEdge, source: Part) -> Predicate | None:
        """The mask; the only node of a part goes without an index."""
        condition = edge.structure.predicate and substitute(edge.structure.predicate, self._alone(edge, source))
        return None if condition == Truth(True) else condition

    def _alone(self, edge: PartEdge, source: Part) -> dict[str, Expression]:
        """The indices of a part with one node, which are not written."""
        structure = edge.structure
        indices = [*(structure.child_index if self.part.size == 1 else ()), *(structure.parent_index if source.size == 1 else ())]
        return {letter: Constant(0) for letter, _ in indices}

    def _weight(self, edge: PartEdge, single: bool, indices: Sequence[str | Formula]) -> Formula:
        fixed, geometry = fixed_weight(edge), edge.structure.geometry
        if fixed is not None:
            shown = f"({fixed:g})" if fixed < 0 else f"{fixed:g}"
            if edge.structure.kind == "average" and geometry is not None:
                shown = f"1/{math.prod(geometry.kernel)}"
            return plain("") if fixed == 1 else plain(f"{shown} ", rf"{shown} \, ")
        return symbol("w" if single else "W", edge.edge.name, *indices) + plain(" ", r" \, ")

    def _weights(self, edge: PartEdge, source: Part, nodes: Sequence[str]) -> tuple[str | Formula, ...]:
        """What tells the weights of an edge apart: the indices of both nodes, or what those with equal weights have in common."""
        labels = self.energies[len(self.nodes) :]
        if edge.structure.keys is None:
            return (*self.energies, *nodes)
        shown = (replace(key, self._alone(edge, source)) for key in edge.structure.keys)
        return (*(expression(key) for key in shown if names(key)), *labels)

    def _classes(self) -> tuple[str | Formula, ...]:
        """What tells the biases apart."""
        shared = self.part.bias
        if shared is None:
            return self.nodes
        if shared.key is not None:
            return (expression(shared.key),)
        for axes in range(len(self.nodes) + 1):
            if math.prod(self.part.extents[:axes]) == shared.count:
                return self.nodes[:axes]
        return (f"{self.nodes[0]} // {shared.block}",) if len(self.nodes) == 1 else ("class",)

    def moral(self) -> str:
        """Which nodes the moral graph joins because they are parents of one chain component."""
        lines = self.part.lines
        parents = []
        present = replace_fields(self.part, edges=tuple(edge for edge, _ in self.edges))
        for edge, source in zip(joined(present).edges, (source for _, source in self.edges), strict=True):
            single = edge.structure.kind in ("elementwise", "identity") and lines is None
            mask = self._where(edge, source) if lines is None else None
            where = "" if mask is None else f" where {predicate_text(mask)}"
            nodes = self.nodes if single else _letters("j", source) if where else (":",) * len(_letters("j", source))
            time = self._time(edge.lag) if lines is None or not lines.lag else ["0..T"]
            parents.append(variable(source.name, *nodes, *time).text + where)
            if edge.weight in self.gates:
                constant = self.gates[edge.weight].constant
                parents.append(variable(self.gates[edge.weight].name, *nodes, *([] if constant else time)).text)
            elif edge.weight in self.hidden:
                gate = self.hidden[edge.weight]
                parents.append(variable(gate.name, *(nodes if gate.extents == source.extents else ()), *self._time(0)).text)
        parents = list(dict.fromkeys(parents))
        if len(parents) == 1 and ":" not in parents[0] and ".." not in parents[0] and " where " not in parents[0]:
            return ""
        if lines is None:
            child = self._node(*self.nodes).text
        elif self._connected():
            child = variable(self.part.name, *(":" for _ in self.nodes), *(["0..T"] if lines.lag else self._time(0))).text
        else:
            child = f"each connected part of {variable(self.part.name, *(['0..T'] if lines.lag else self._time(0))).text}"
        return f"joins the parents of {child}: {', '.join(parents)}"

    def _connected(self) -> bool:
        """Whether the lines make one chain component of the part."""
        lines = self.part.lines
        assert lines is not None
        if lines.lag:
            return self.part.size == 1
        return lines.written.kind != "list" and all(n == 1 or k in lines.written.axes for k, n in enumerate(self.part.extents))
