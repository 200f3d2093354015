"""``cgc diff``: two specs side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cgc.graph.independences import Independences
from cgc.graph.query import holds
from cgc.program.ir import Contribution, Layer
from cgc.program.parameters import learned_size, parameters
from cgc.source.diagnostics import SpecError

if TYPE_CHECKING:
    from cgc.compiler import Model, Reading

SHOWN = 20
"""So many statements that follow from missing edges are shown as text."""


@dataclass(frozen=True)
class Row:
    """One difference: what it is about, the thing, and how it changed.

    For statements ``before`` and ``after`` say whether they hold: `yes`, `no`, or `cannot be said` with the reason.
    """

    what: str
    text: str
    change: str
    before: str | None = None
    after: str | None = None


def difference(before: Model, after: Model) -> tuple[Row, ...]:
    """Assumptions, components, edges, formulas, size and weights that differ, in this order."""
    parts = (_components, _edges, _formulas, _size, _weights)
    return (*assumed(before, after), *(row for part in parts for row in part(before, after)))


def assumed(before: Reading, after: Reading) -> tuple[Row, ...]:
    """Assumptions that differ: all that can be told of specs that cannot be compiled."""
    return tuple(_assumptions(before, after))


def diff_text(rows: tuple[Row, ...]) -> str:
    """A table; one line that says so if there is nothing to show."""
    if not rows:
        return "no difference\n"
    width = max(len(row.what) for row in rows)
    implied = [row for row in rows if row.what == "implied"]
    hidden = {id(row) for row in implied[SHOWN:]}
    lines = []
    for row in rows:
        if id(row) not in hidden:
            lines.append(f"{row.what:<{width}}  {row.text}  {row.change}".rstrip() + "\n")
        if hidden and row is implied[-1]:
            lines.append(f"{row.what:<{width}}  and {len(hidden)} more; --json lists all\n")
    return "".join(lines)


def _assumptions(before: Reading, after: Reading) -> list[Row]:
    """Statements whose standing differs: those of the specs, then what their missing edges imply."""
    old, new = ({" ".join(s.text.split()): s.text for s in model.spec.independence} for model in (before, after))
    rows = []
    for shown, text in {**old, **new}.items():
        row = _judged("assume", shown, text, before, after)
        stated = "stated in both" if shown in old and shown in new else "added" if shown in new else "removed"
        if stated != "stated in both" or row.before != row.after:
            rows.append(replace(row, change=f"{stated}; {row.change}"))
    implied = [dict.fromkeys(Independences(model.graph).missing_edges()[0]) for model in (before, after)]
    for text in dict.fromkeys([*implied[0], *implied[1]]):
        if (text in implied[0]) != (text in implied[1]) and text not in old and text not in new:
            row = _judged("implied", text, text, before, after)
            if row.before != row.after:
                rows.append(row)
    return rows


def _judged(what: str, shown: str, text: str, before: Reading, after: Reading) -> Row:
    held, holds = _held(before, text), _held(after, text)
    return Row(what, shown, f"holds in {after.spec.name}: {holds}, held in {before.spec.name}: {held}", held, holds)


def _held(model: Reading, statement: str) -> str:
    try:
        return "yes" if holds(model.graph, statement) else "no"
    except SpecError as error:
        return f"cannot be said, {error.diagnostics[0].message}"


def _components(before: Model, after: Model) -> list[Row]:
    old = {layer.name: (layer.nodes, _normalised(before, layer)) for layer in before.program.layers()}
    new = {layer.name: (layer.nodes, _normalised(after, layer)) for layer in after.program.layers()}
    rows = []
    for name in dict.fromkeys([*old, *new]):
        if name not in old or name not in new:
            rows.append(Row("component", name, "added" if name in new else "removed"))
            continue
        if old[name][0] != new[name][0]:
            rows.append(Row("component", name, f"{_extents(old[name][0])} -> {_extents(new[name][0])} nodes"))
        if old[name][1] != new[name][1]:
            rows.append(Row("component", name, f"normalisation: {old[name][1]} -> {new[name][1]}"))
    return rows


def _normalised(model: Model, layer: Layer) -> str:
    normalize = model.spec.component(layer.component).normalize
    if normalize is None or normalize.kind == "weight":
        return "no" if normalize is None else "weight"
    groups = f", {normalize.groups} groups" if normalize.kind == "group" else ""
    return f"{normalize.kind}, {normalize.over}{groups}"


def _extents(nodes: tuple[int, ...]) -> str:
    return " x ".join(map(str, nodes))


def _edges(before: Model, after: Model) -> list[Row]:
    old, new = _edge_texts(before), _edge_texts(after)
    rows = []
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            rows.append(Row("edge", key, f"{old.get(key, 'absent')}  ->  {new.get(key, 'absent')}"))
    return rows


def _edge_texts(model: Model) -> dict[str, str]:
    return {
        f"{layer.name} <- {c.source}{f' @ t-{c.lag}' if c.lag else ''} ({c.name})": _edge(c)
        for layer in model.program.layers()
        for c in layer.contributions
    }


def _edge(c: Contribution) -> str:
    p = c.product
    size = f"{p.outputs}" if p.kind in ("elementwise", "identity") else f"{p.inputs} x {p.outputs}"
    return f"{p.kind} {size}" + (f", {c.dropout.kind} gate" if c.dropout else f", gate {c.opening.source}" if c.opening else "")


def _formulas(before: Model, after: Model) -> list[Row]:
    def formulas(model: Model) -> dict[str, str]:
        found = {}
        for layer in model.program.layers():
            law = model.program.law(layer.law)
            near = f", computed as {law.approximation.name}" if law.approximation else ""
            found[layer.name] = f"E = {law.expectation_text}{near}"
        return found

    old, new = formulas(before), formulas(after)
    return [Row("formula", name, f"{old[name]}  ->  {new[name]}") for name in old if name in new and old[name] != new[name]]


def _size(before: Model, after: Model) -> list[Row]:
    old, new = learned_size(before.program), learned_size(after.program)
    if old == new:
        return []
    return [Row("size", f"{old:,} -> {new:,} parameters".replace(",", " "), f"({100 * (new - old) / old:+.1f} %)" if old else "")]


def _weights(before: Model, after: Model) -> list[Row]:
    old = {p.key: list(p.shape) for p in parameters(before.program)}
    new = {p.key: list(p.shape) for p in parameters(after.program)}
    changed = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    rows = [Row("weights", key, f"{old.get(key, 'absent')} -> {new.get(key, 'absent')}") for key in changed]
    return [*rows, Row("weights", "checkpoints cannot be exchanged", "")] if rows else rows
