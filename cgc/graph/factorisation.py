"""The joint distribution of a template, written as a product over its parts (paper, eq. 1), as text or as LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cgc.graph.parts import Part
from cgc.graph.template import with_gates

MANY = 12
"""Of more copies than these the first two and the last are written out."""


def factorisation(parts: Sequence[Part], timed: bool, latex: bool = False) -> str:
    """``P(h, y | x) = prod_t P(h[t] | x[t], h[t-1]) · P(y[T] | h[T])``: what is the same at all times, at every t, at the last T.

    A part with lines along time has one factor for all times, ``P(y[0..T] | h[0..T])``.
    """
    everything = with_gates(parts)
    free = [part for part in everything if part.role != "input"]
    along = [part for part in free if _along_time(part)]
    by_name = {part.name: part for part in everything}
    hidden = _between(everything)

    def factors(chosen: Sequence[Part]) -> str:
        written = _some([p.name in hidden for p in chosen], lambda k: factor(chosen[k], everything, timed, latex, by_name), latex)
        return " ".join(written)

    once, every, last, over = (
        factors(chosen)
        for chosen in (
            [part for part in free if part.constant],
            [part for part in free if part.at == "all" and not part.constant and part not in along],
            [part for part in free if part.at == "last"],
            along,
        )
    )
    inputs = ", ".join(name(part.name, latex) for part in everything if part.role == "input")
    names = _some([part.name in hidden for part in free], lambda k: name(free[k].name, latex), latex)
    joint = f"P({', '.join(names)}{_given(latex) * bool(inputs)}{inputs})"
    product = r"\prod_{t} " if latex else "prod_t "
    dot = r" \cdot " if latex else " · "
    return f"{joint} = {dot.join(term for term in (once, f'{product}{every}' if timed and every else every, last, over) if term)}"


def _between(parts: Sequence[Part]) -> set[str]:
    """Parts that are neither among the first copies nor the last, where there are many: those in between are like them."""
    times: dict[str, int] = {}
    for part in parts:
        for owner, number in part.copies:
            times[owner] = max(times.get(owner, 0), number + 1)
    return {part.name for part in parts if any(times[owner] > MANY and 2 <= k < times[owner] - 1 for owner, k in part.copies)}


def _some(hidden: Sequence[bool], text: Callable[[int], str], latex: bool) -> list[str]:
    """The texts that are not hidden, with dots for those in between."""
    found: list[str] = []
    for k, between in enumerate(hidden):
        if not between:
            found.append(text(k))
        elif k and not hidden[k - 1]:
            found.append(r"\ldots" if latex else "...")
    return found


def factor(part: Part, parts: Sequence[Part], timed: bool, latex: bool = False, by_name: Mapping[str, Part] | None = None) -> str:
    """``P(h[t] | x[t], h[t-1])``. ``parts`` include gates; ``by_name`` are the same."""
    given = ", ".join(conditions(part, parts, timed, latex, by_name))
    return f"P({copy(part, part, 0, timed, latex)}{_given(latex) * bool(given)}{given})"


def conditions(
    part: Part, parts: Sequence[Part], timed: bool, latex: bool = False, by_name: Mapping[str, Part] | None = None
) -> tuple[str, ...]:
    """What a part depends on: ``x[t]``, ``h[t-1]``; of the levels of a refinement, where there are many, the first and the last."""
    by_name = by_name or {other.name: other for other in parts}
    present = [edge for edge in part.edges if edge.structure.kind != "absent"]
    levels = [k for k, edge in enumerate(present) if ".refine." in edge.weight and edge.weight.endswith(".back")]
    hidden = set(levels[2:-1]) if len(levels) > MANY else set()
    texts = _some(
        [k in hidden for k in range(len(present))], lambda k: copy(by_name[present[k].source], part, present[k].lag, timed, latex), latex
    )
    return tuple(dict.fromkeys(texts))


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
