"""``cgc independences`` as text, in lines that `cgc query` reads, and as data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from cgc.graph.independences import Independences, Pair

Mode = Literal["missing_edge", "local", "all_pairs"]
MODES: tuple[Mode, ...] = ("missing_edge", "local", "all_pairs")
SHOWN = 20
"""So many lines of each list are shown as text."""

_HEADS = {
    "missing_edge": "missing edges: nodes and earlier ones that no edge joins, given the GIVEN of the later",
    "local": "local basis: nodes and their non-descendants, given their GIVEN",
    "all_pairs": "all pairs: given the fewest terms that separate them, or `GIVEN` where those were not looked for or are no terms",
}


def independences_text(found: Independences, modes: Sequence[Mode] = MODES) -> str:
    """The lists asked for, each cut after ``SHOWN`` lines with a line that counts the rest."""
    blocks = []
    given = "boundary" if any(part.lines for part in found.parts) else "parents"
    within = f", up to {found.window} step{'s' * (found.window > 1)} apart" if found.window else ""
    for mode in modes:
        if mode == "all_pairs":
            lines, more = _pair_lines(found.pairs(SHOWN)), [(found.count_pairs() - SHOWN, "")]
        elif mode == "missing_edge":
            lines, count = found.missing_edges(SHOWN)
            more = [(count - SHOWN, "")]
        else:
            lines, told = [], 0
            while told < len(found.parts) and len(lines) < SHOWN:
                lines += found.local(found.parts[told])
                told += 1
            more = [(len(lines) - SHOWN, ""), (len(found.parts) - told, " components")]
            lines = lines[:SHOWN]
        left = " and ".join(f"{count:,} more{what}".replace(",", " ") for count, what in more if count > 0)
        rest = [f"and {left}; --json lists all"] if left else []
        blocks.append("\n".join([_HEADS[mode].replace("GIVEN", given) + within, *(f"  {line}" for line in [*lines, *rest] or ["none"])]))
    return "\n\n".join(blocks) + "\n"


def _pair_lines(pairs: Iterable[Pair]) -> list[str]:
    lines = []
    for pair in pairs:
        if pair.statement is None:
            why = "inputs are taken as linked" if pair.linked else "an edge joins them all"
            lines.append(f"{pair.left} and {pair.right}: always dependent, {why}")
        else:
            lines.append(pair.statement)
    return lines


def independences_data(found: Independences, modes: Sequence[Mode] = MODES) -> dict[str, Any]:
    """Everything. Of a pair that is always dependent the statement is null."""
    data: dict[str, Any] = {}
    for mode in modes:
        if mode == "all_pairs":
            data[mode] = [
                {"left": p.left, "right": p.right, "statement": p.statement, "smallest": p.smallest, "linked": p.linked}
                for p in found.pairs()
            ]
        else:
            data[mode] = (
                found.missing_edges()[0] if mode == "missing_edge" else [text for part in found.parts for text in found.local(part)]
            )
    return data
