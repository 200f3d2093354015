"""Which families there are: the modules beside this one, and what other packages add through the entry point group ``cgc.families``.

An entry point names a module with subclasses of :class:`~cgc.families.base.Family`, or one such class. What cannot be loaded is left
out and remembered: it is told to whoever asks for a kind that is not there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, get_args

import cgc.families
from cgc.families.base import Family

GROUP = "cgc.families"


@dataclass(frozen=True)
class Unusable:
    """An entry point that gave no family, and why."""

    plugin: str
    reason: str

    def __str__(self) -> str:
        return f"the plug-in `{self.plugin}` cannot be used: {self.reason}"


def registry() -> dict[str, type[Family]]:
    """Every family by its ``kind``, in alphabetical order."""
    return _all()[0]


def unusable() -> tuple[Unusable, ...]:
    """The plug-ins that could not be used."""
    return _all()[1]


def trouble() -> str:
    """In words, for a Diagnostic about a kind that is not there: which plug-ins could not be used, or nothing."""
    return "; ".join(str(found) for found in unusable())


@cache
def _all() -> tuple[dict[str, type[Family]], tuple[Unusable, ...]]:
    modules = [importlib.import_module(f"{cgc.families.__name__}.{m.name}") for m in pkgutil.iter_modules(cgc.families.__path__)]
    found = {_kind(family): family for module in modules for family in _families(module)}
    failed: list[Unusable] = []
    # the same package may be seen twice, by way of two folders on the path
    for point in sorted(set(entry_points(group=GROUP)), key=lambda point: (point.name, point.value)):
        try:
            added = _load(point, found)
        except Exception as error:  # another package's code: whatever it raises is told, and stops nothing
            failed.append(Unusable(point.name, f"{type(error).__name__}: {error}"))
        else:
            found |= added
    return dict(sorted(found.items())), tuple(failed)


def _load(point: EntryPoint, known: Iterable[str]) -> dict[str, type[Family]]:
    families = {_kind(family): family for family in _families(point.load())}
    if not families:
        raise TypeError(f"`{point.value}` has no subclass of {Family.__module__}.{Family.__name__}")
    for kind in families:
        if kind in known:
            raise ValueError(f"there is a kind `{kind}` already")
    return families


def _families(source: ModuleType | Any) -> Iterator[type[Family]]:
    """The families of a module, those that it imports aside; or the one that is given."""
    members = [member for member in vars(source).values() if getattr(member, "__module__", "") == source.__name__]
    for member in members if isinstance(source, ModuleType) else [source]:
        if isinstance(member, type) and issubclass(member, Family) and member is not Family:
            yield member


def _kind(family: type[Family]) -> str:
    field = family.model_fields.get("kind")
    words = get_args(field.annotation) if field is not None else ()
    if len(words) != 1 or not isinstance(words[0], str):
        raise TypeError(f'`{family.__name__}` must declare `kind: Literal["…"]` with one word')
    return words[0]
