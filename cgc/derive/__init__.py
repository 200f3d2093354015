"""How expectation, sampling rule and log-likelihood come out of a density; what a named approximation costs; the check by quadrature.

The package is callable: ``cgc.derive(family)`` is :func:`cgc.derived.derive`, whose name it shares.
"""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from cgc.derived import derive

        return derive(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
