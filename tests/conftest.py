"""Options of the whole suite."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

# derivations are kept in this checkout, for all workers and for the commands that tests run
os.environ.setdefault("CGC_CACHE", str(Path(__file__).parents[1] / ".tmp" / "derivations"))
os.environ.setdefault("CGC_KERNEL_CACHE", str(Path(__file__).parents[1] / ".tmp" / "kernels"))
# kernels for GPUs run on arrays in memory; it has to be said before Triton is first imported
os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write what is expected anew, to be read in the diff")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test marked ``every_other``, every other case is left to slow runs."""
    cases: Counter[str] = Counter()
    for item in items:
        if item.get_closest_marker("every_other"):
            name = item.nodeid.split("[")[0]
            if cases[name] % 2:
                item.add_marker(pytest.mark.slow)
            cases[name] += 1


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether expected texts are to be written instead of compared."""
    return bool(request.config.getoption("--update"))
