"""The word that was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgc.source.suggest import distance, nearest


def slow(a: str, b: str) -> int:
    """The definition, by recursion over prefixes."""
    if not a or not b:
        return len(a) + len(b)
    best = min(slow(a[:-1], b) + 1, slow(a, b[:-1]) + 1, slow(a[:-1], b[:-1]) + (a[-1] != b[-1]))
    if len(a) > 1 and len(b) > 1 and a[-1] == b[-2] and a[-2] == b[-1]:
        best = min(best, slow(a[:-2], b[:-2]) + 1)
    return best


@given(st.text("abc", max_size=5), st.text("abc", max_size=5))
def test_distance(a: str, b: str) -> None:
    assert distance(a, b) == slow(a, b)


@pytest.mark.parametrize(
    ("word", "options", "meant"),
    [
        ("tahn", ["tan", "tanh", "than"], "tanh"),
        ("Relu", ["relu", "gelu"], "relu"),
        ("famly", ["family", "doc"], "family"),
        ("xyz", ["family", "doc"], None),
        ("z", ["x", "y"], None),
        ("", ["x"], None),
    ],
)
def test_nearest(word: str, options: list[str], meant: str | None) -> None:
    assert nearest(word, options) == meant
