"""What is tested in this folder is ``model.py`` as it is written; kernels have a folder of their own, and cost a compilation each."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGC_KERNELS", "off")
