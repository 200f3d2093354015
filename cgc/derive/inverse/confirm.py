"""Forward again: what was found must have the expectation it was found for."""

from __future__ import annotations

from typing import Any

import numpy as np
from mpmath import mp
from pydantic import ValidationError

from cgc.derive.derivation import Derivation, Refusal, Step
from cgc.derive.derive import derive
from cgc.derive.inverse.curve import FARTHEST, Curve, place_text, short_text
from cgc.derive.inverse.node import Inverse, Node, NoNode
from cgc.derive.inverse.spelling import as_flow
from cgc.families.registry import registry
from cgc.formula.numeric import array, value
from cgc.formula.text import text
from cgc.source.diagnostics import InternalCompilerError

_TOLERANCE = mp.mpf(10) ** -12


def confirmed(curve: Curve, node: Node, notes: tuple[str, ...]) -> Inverse:
    """The node with its expectation derived forward. Raises NoNode where no family of it can be derived."""
    refused: list[str] = []
    for family in node.families:
        try:
            with mp.workdps(15):  # as everywhere else: what is cached must not depend on who asks
                derivation = derive(_law(family))
        except Refusal as refusal:
            refused.append(f"{as_flow(family)} would be one, but {refusal.message}" + (f" ({refusal.why})" if refusal.why else ""))
            continue
        worst = _difference(curve, derivation)
        reason = f"check: the expectation derived from the node differs at {len(_energies(curve))} energies by at most {worst:.2g}"
        drawn = rf"\mathbb{{E}}[X \mid e] = {derivation.expectation_latex}"
        last = Step(reason, f"E[X | e] = {derivation.expectation_text}", drawn, "eq. 9")
        own = node.notes if family is node.families[0] else ()
        return Inverse(node.kind, as_flow(family), family, (*node.steps, last), (*own, *notes))
    raise NoNode("; ".join(refused))


def _law(family: dict[str, object]) -> Any:
    try:
        return registry()[str(family["kind"])].model_validate(family, context={"params": {}}).law()
    except (KeyError, ValidationError) as error:
        raise InternalCompilerError("derive", f"{as_flow(family)} is no family: {error}") from None


def _energies(curve: Curve) -> list[Any]:
    """No numbers that people write, between -23 and 23 and around corners."""
    around = [corner + mp.mpf(t) * width / 100 for corner, width in curve.corners[:4] for t in (-311, -71, 73, 313)]
    return [*(mp.mpf(k) * 157 / 100 + mp.mpf(1) / 37 for k in range(-15, 16)), *around]


def _difference(curve: Curve, derivation: Derivation) -> float:
    """The largest relative difference between activation and derived expectation. Raises InternalCompilerError where they differ, and
    NoNode where they differ in a place too narrow for the search."""
    worst = mp.zero
    for e in _energies(curve):
        with mp.workdps(120):
            wanted, found = value(curve.tree, e=e), value(derivation.expectation, e=e)
            worst = max(worst, abs(found - wanted) / max(abs(wanted), mp.mpf(10) ** -35))
    if worst > _TOLERANCE:
        raise InternalCompilerError("derive", f"the node found for {text(curve.expression)} has another mean, by {float(worst):.3g}")
    side = np.sinh(np.linspace(1e-4, np.arcsinh(FARTHEST), 10_000))
    grid = np.concatenate([-side[::-1], side])
    with np.errstate(all="ignore"):
        wanted, found = (np.broadcast_to(array(tree, e=grid), grid.shape) for tree in (curve.tree, derivation.expectation))
        gap = np.nan_to_num(np.abs(wanted - found) / (1 + np.abs(wanted)), nan=0.0, posinf=0.0)
    k = int(gap.argmax())
    # floats may lose digits on the way: what they show is looked at in many
    at = mp.mpf(float(grid[k]))
    exact, derived = value(curve.tree, e=at), value(derivation.expectation, e=at)
    if gap[k] > 1e-9 and abs(exact - derived) > _TOLERANCE * (1 + abs(exact)):
        raise NoNode(f"a node comes near, but differs at {place_text(at)}: {short_text(derived)} in place of {short_text(exact)}")
    return float(worst)
