"""The kernels of all families, once for a worker, as C and as Triton."""

from __future__ import annotations

import fcntl
import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest
from made import Target, imported, written


@pytest.fixture(scope="session")
def ops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    module = imported(written(tmp_path_factory.mktemp("all")))
    # one worker compiles for all of them
    with (tmp_path_factory.getbasetemp().parent / "kernels.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert module.library() is not None
    yield module


@pytest.fixture(scope="session")
def triton_kernels(ops: ModuleType) -> Iterator[ModuleType]:
    pytest.importorskip("triton")
    yield importlib.import_module(".cuda", ops.__name__)


@pytest.fixture(scope="session")
def in_c(ops: ModuleType) -> Target:
    return Target("c", ops.LAWS, ops._back, ops.OPS)


@pytest.fixture(scope="session")
def in_triton(ops: ModuleType, triton_kernels: ModuleType) -> Target:
    return Target("triton", ops.LAWS, ops._back, triton_kernels)


@pytest.fixture(scope="session", params=["c", "triton"])
def target(request: pytest.FixtureRequest) -> Target:
    found: Target = request.getfixturevalue(f"in_{request.param}")
    return found
