"""cgc: a symbolic compiler from chain graphs to neural networks.

The names below are the Python face of the commands; each is imported on first use, so that
``import cgc`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cgc.api import check as check
    from cgc.api import compile as compile
    from cgc.api import inspect as inspect
    from cgc.api import query as query
    from cgc.derived import derive as derive

__all__ = ["__version__", "check", "compile", "derive", "inspect", "query"]


def __getattr__(name: str) -> object:
    if name in ("check", "compile", "inspect", "query"):
        return getattr(importlib.import_module("cgc.api"), name)
    if name == "derive":
        # the package cgc.derive, which is callable
        return importlib.import_module("cgc.derive")
    raise AttributeError(f"module 'cgc' has no attribute {name!r}")
