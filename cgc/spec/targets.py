"""``target: x``: an output that is scored against an input, so that its likelihood needs no values but those given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cgc.families.forms import FiniteExponential, Indicators, Law
from cgc.source.diagnostics import Label
from cgc.spec import surface
from cgc.spec.validate import Reader, suggestion

if TYPE_CHECKING:
    from cgc.spec.components import Draft


def check_target(reader: Reader, draft: Draft, body: surface.ComponentBody, law: Law, drafts: Mapping[str, Draft]) -> None:
    """Whether the output ``draft`` can be scored against its target: an input of the same nodes, times and values (CG346)."""
    assert body.target is not None
    place = draft.at("target")
    if body.role != "output":
        reader.error("CG331", "`target` is for outputs", draft.key("target"), help="remove it, or write `role: output`")
        return
    inputs = [name for name, other in drafts.items() if other.body is not None and other.body.role == "input"]
    if body.target not in inputs:
        what = "is no input" if body.target in drafts else "is not there"
        reader.error("CG346", f"the target `{body.target}` {what}", place, help=suggestion(body.target, inputs, "inputs"))
        return
    given = drafts[body.target]
    assert given.body is not None
    if given.family is None:
        return
    title = f"`{draft.name}` cannot be scored against `{given.name}`"
    if given.body.nodes != body.nodes:
        others = (Label(given.at("nodes"), f"the nodes of `{given.name}`"),)
        reader.error("CG346", title, draft.at("nodes"), others=others, why="they have different nodes", help="give both the same `nodes`")
    if body.at == "last":
        reader.error("CG346", title, draft.at("at"), why="the input has a value at every step", help="remove `at: last`")
    if given.body.clamp == "soft":
        why = "with `clamp: soft` its values are expectations, and these have no probability"
        reader.error("CG346", title, given.at("clamp"), why=why, help="remove `clamp: soft`, and give the data a `threshold`")
    elif not _same_values(given.family.law, law):
        others = (Label(given.at("family"), f"the family of `{given.name}`"),)
        reader.error("CG346", title, draft.at("family"), others=others, why="they have different values", help="give both one family")


def _same_values(given: Law, output: Law) -> bool:
    """Whether both have the same labels, the same states, or neither."""
    match given, output:
        case Indicators(), Indicators():
            return given.labels == output.labels
        case FiniteExponential(), FiniteExponential():
            return set(given.support) == set(output.support)
        case _:
            finite = (Indicators, FiniteExponential)
            return not isinstance(given, finite) and not isinstance(output, finite)
