"""What a family file defines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema

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
