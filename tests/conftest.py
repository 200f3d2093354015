"""Options of the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# derivations are kept in this checkout, for all workers and for the commands that tests run
os.environ.setdefault("CGC_CACHE", str(Path(__file__).parents[1] / ".tmp" / "derivations"))
os.environ.setdefault("CGC_KERNEL_CACHE", str(Path(__file__).parents[1] / ".tmp" / "kernels"))
# kernels for GPUs run on arrays in memory; it has to be said before Triton is first imported
os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write what is expected anew, to be read in the diff")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether expected texts are to be written instead of compared."""
    return bool(request.config.getoption("--update"))
