"""The joint distribution of a template, written as a product over its parts (paper, eq. 1)."""

from __future__ import annotations

from collections.abc import Sequence

from cgc.graph.parts import Part
from cgc.graph.template import with_gates


def factorisation(parts: Sequence[Part], timed: bool) -> str:
    """``P(h, y | x) = prod_t P(h[t] | x[t], h[t-1]) · P(y[T] | h[T])``: what is the same at all times, at every t, at the last T."""
    everything = with_gates(parts)
    constant = {part.name for part in everything if part.constant}

    def factor(part: Part) -> str:
        step = "T" if part.at == "last" else "t"

        def at(name: str, lag: int = 0) -> str:
            return f"{name}[{step}{-lag or ''}]" if timed and name not in constant else name

        given = dict.fromkeys(at(edge.source, edge.lag) for edge in part.edges if edge.structure.kind != "absent")
        return f"P({' | '.join([at(part.name), *([', '.join(given)] if given else [])])})"

    free = [part for part in everything if part.role != "input"]
    once = " ".join(factor(part) for part in free if part.constant)
    every = " ".join(factor(part) for part in free if part.at == "all" and not part.constant)
    last = " ".join(factor(part) for part in free if part.at == "last")
    inputs = ", ".join(part.name for part in everything if part.role == "input")
    joint = f"P({', '.join(part.name for part in free)}{' | ' * bool(inputs)}{inputs})"
    return f"{joint} = {' · '.join(product for product in (once, f'prod_t {every}' if timed and every else every, last) if product)}"
