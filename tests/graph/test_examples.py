"""The examples in docstrings of the package, run as they stand."""

from __future__ import annotations

import doctest

import cgc.graph


def test_the_examples_of_chain_graphs() -> None:
    failed, tried = doctest.testmod(cgc.graph)
    assert (failed, tried) == (0, 11)
