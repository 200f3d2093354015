"""What a family file defines, and the registry of those that there are: every module beside this one, and plug-ins."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema

import cgc.families
from cgc.families.forms import Law
from cgc.formula.activations import ACTIVATIONS
from cgc.formula.fields import mistake
from cgc.source.suggest import nearest


def _known_activation(name: str) -> str:
    if name not in ACTIVATIONS:
        close = nearest(name, ACTIVATIONS)
        hint = f"did you mean `{close}`?" if close else "known: " + ", ".join(ACTIVATIONS)
        raise mistake("CG304", f"unknown activation `{name}`", help=hint)
    return name


EmitName = Annotated[str, AfterValidator(_known_activation), WithJsonSchema({"enum": list(ACTIVATIONS)})]


class Family(BaseModel):
    """A node family: its fields as a spec writes them, and its density in one of the general forms.

    A subclass declares ``kind: Literal["…"]``, its fields, and :meth:`law`; its docstring's first line is what ``cgc families`` shows.
    ``emit`` names the approximation of the expectation that the network should compute; ``route: quadrature`` has moments computed
    numerically where closed forms would be too large.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    emit: EmitName | None = None
    route: Literal["quadrature"] | None = None

    def law(self) -> Law:
        """The density, in a general form."""
        raise NotImplementedError

    @classmethod
    def example(cls) -> dict[str, object]:
        """Field values for ``cgc families``, beyond the defaults."""
        return {}


@cache
def registry() -> dict[str, type[Family]]:
    """Every family by its ``kind``, in alphabetical order: the modules of this package and the entry points ``cgc.families``."""
    found: dict[str, type[Family]] = {}
    modules = [importlib.import_module(f"cgc.families.{m.name}") for m in pkgutil.iter_modules(cgc.families.__path__)]
    modules += [point.load() for point in sorted(entry_points(group="cgc.families"), key=lambda point: point.name)]
    for module in modules:
        for member in vars(module).values():
            if isinstance(member, type) and issubclass(member, Family) and member is not Family:
                (kind,) = get_args(member.model_fields["kind"].annotation)
                found[kind] = member
    return dict(sorted(found.items()))
