"""The word that was probably meant: nearest by optimal string alignment."""

from __future__ import annotations

from collections.abc import Iterable


def distance(a: str, b: str) -> int:
    """Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, p in enumerate(a, 1):
        before, above, row = row, row, [i]
        if i == 1:
            older: list[int] = []
        for j, q in enumerate(b, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (p != q))
            if i > 1 and j > 1 and p == b[j - 2] and a[i - 2] == q:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        older = before
    return row[-1]


def nearest(word: str, options: Iterable[str]) -> str | None:
    """The option nearest to ``word``, or None if none is near; ties go to the first in alphabetical order."""
    best = min(((distance(word.lower(), o.lower()), o) for o in options), default=None)
    return best[1] if best and best[0] <= min(max(1, len(word) // 3), len(word) - 1) else None
