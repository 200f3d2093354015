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
    """The option nearest to ``word``, or None if none is near; ties go to the nearest length, then to alphabetical order."""
    limit = min(max(1, len(word) // 3), len(word) - 1)
    # lengths differ by no more than the distance
    near = [(abs(len(option) - len(word)), option) for option in options if abs(len(option) - len(word)) <= limit]
    best = min(((distance(word.lower(), option.lower()), longer, option) for longer, option in near), default=None)
    return best[2] if best and best[0] <= limit else None
