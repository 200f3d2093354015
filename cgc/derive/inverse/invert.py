"""The sorts of nodes, tried in a fixed order."""

from __future__ import annotations

from collections.abc import Callable

import sympy
from mpmath import mp

from cgc.derive.derivation import Refusal
from cgc.derive.inverse.confirm import confirmed
from cgc.derive.inverse.curve import Curve
from cgc.derive.inverse.exponential import exponential_node
from cgc.derive.inverse.gate import gate_node
from cgc.derive.inverse.linear import certain_node, linear_node
from cgc.derive.inverse.node import Inverse, Node, NoNode
from cgc.derive.inverse.numbers import DIGITS
from cgc.derive.inverse.rectified import two_slopes_node
from cgc.derive.inverse.spelling import as_flow, sentence, spelling_of
from cgc.derive.inverse.threshold import threshold_node
from cgc.families.forms import E, Y
from cgc.formula.text import text


def invert(activation: sympy.Expr) -> Inverse:
    """The node whose expectation is ``activation``, an expression in e.

    Raises Refusal (CG513) where there is none, with the condition that fails, and where, for every sort of node.
    """
    written = text(activation)
    if not activation.has(E):
        raise Refusal("CG513", f"`{written}` is no activation", why="it does not depend on the energy e", help="write a function of e")
    reasons: list[str] = []
    notes: list[str] = []
    with mp.workdps(DIGITS):
        curve = Curve(activation)
        for name, attempt in _SORTS:
            try:
                return confirmed(curve, attempt(curve), tuple(notes))
            except NoNode as no:
                reasons.append(f"{name}: {no.reason}")
                if no.exists:
                    notes.append(sentence(no.reason))
    spelled = spelling_of(activation.subs(E, Y))
    plain = as_flow({"kind": "noise", "base": "normal", "scale": 0, "value": spelled}) if spelled else "{…, scale: 0}"
    raise Refusal(
        "CG513", f"no node with noise has the expectation `{written}`", why=". ".join(reasons),
        help=f"without noise a node is any function of its energy: {plain}",
    )  # fmt: skip


_SORTS: tuple[tuple[str, Callable[[Curve], Node]], ...] = (
    ("linear node", linear_node),
    ("node without noise", certain_node),
    ("threshold node", threshold_node),
    ("rectified node", two_slopes_node),
    ("gate", gate_node),
    ("exponential node", exponential_node),
)
