"""The joint distribution of a template, written as a product over its parts (paper, eq. 1), as text or as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from cgc.graph.parts import Part
from cgc.graph.template import with_gates


def factorisation(parts: Sequence[Part], timed: bool, latex: bool = False) -> str:
    """``P(h, y | x) = prod_t P(h[t] | x[t], h[t-1]) · P(y[T] | h[T])``: what is the same at all times, at every t, at the last T.

    A part with lines along time has one factor for all times, ``P(y[0..T] | h[0..T])``.
    """
    everything = with_gates(parts)
    free = [part for part in everything if part.role != "input"]
    along = [part for part in free if _along_time(part)]
    once, every, last, over = (
        " ".join(factor(part, everything, timed, latex) for part in chosen)
        for chosen in (
            [part for part in free if part.constant],
            [part for part in free if part.at == "all" and not part.constant and part not in along],
            [part for part in free if part.at == "last"],
            along,
        )
    )
    inputs = ", ".join(name(part.name, latex) for part in everything if part.role == "input")
    joint = f"P({', '.join(name(part.name, latex) for part in free)}{_given(latex) * bool(inputs)}{inputs})"
    product = r"\prod_{t} " if latex else "prod_t "
    dot = r" \cdot " if latex else " · "
    return f"{joint} = {dot.join(term for term in (once, f'{product}{every}' if timed and every else every, last, over) if term)}"


def factor(part: Part, parts: Sequence[Part], timed: bool, latex: bool = False) -> str:
    """``P(h[t] | x[t], h[t-1])``. ``parts`` include gates."""
    given = ", ".join(conditions(part, parts, timed, latex))
    return f"P({copy(part, part, 0, timed, latex)}{_given(latex) * bool(given)}{given})"


def conditions(part: Part, parts: Sequence[Part], timed: bool, latex: bool = False) -> tuple[str, ...]:
    """What a part depends on: ``x[t]``, ``h[t-1]``."""
    by_name = {other.name: other for other in parts}
    present = [edge for edge in part.edges if edge.structure.kind != "absent"]
    return tuple(dict.fromkeys(copy(by_name[edge.source], part, edge.lag, timed, latex) for edge in present))


def copy(source: Part, part: Part, lag: int, timed: bool, latex: bool = False) -> str:
    """The copies of ``source`` that a factor of ``part`` speaks of: at its time less ``lag``, or at all times."""
    if not timed or source.constant:
        return name(source.name, latex)
    if _along_time(part):
        return name(source.name, latex) + (r"_{0 \ldots T}" if latex else "[0..T]")
    time = f"{'T' if part.at == 'last' else 't'}{-lag or ''}"
    return name(source.name, latex) + (f"_{{{time}}}" if latex else f"[{time}]")


def name(text: str, latex: bool) -> str:
    """A name in upright letters."""
    return rf"\mathrm{{{text.replace('_', chr(92) + '_')}}}" if latex else text


def _along_time(part: Part) -> bool:
    return part.lines is not None and part.lines.lag > 0


def _given(latex: bool) -> str:
    return r" \mid " if latex else " | "
