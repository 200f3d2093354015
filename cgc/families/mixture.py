"""Finite mixtures."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, ValidationInfo, WithJsonSchema, model_validator

from cgc.families.base import Family
from cgc.families.forms import Indicators, Mixture
from cgc.families.registry import registry, trouble
from cgc.formula.fields import FormulaOfEnergy, kind_of, mistake
from cgc.source.suggest import nearest


def _family(value: Any, info: ValidationInfo) -> Family:
    """A family inside a family: its first mistake is told at the whole of it."""
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise mistake("CG305", f"expected a family, found {kind_of(value)}", help="write `{kind: gaussian, std: 1}`")
    kind = value["kind"]
    if kind not in registry():
        close = nearest(kind, registry())
        raise mistake("CG304", f"unknown kind `{kind}`", help=f"did you mean `{close}`?" if close else trouble())
    try:
        return registry()[kind].model_validate(value, context=info.context)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        code = first["type"] if first["type"].startswith("CG") else "CG305"
        raise mistake(code, f"{place}: {first['msg']}", help=str(first.get("ctx", {}).get("help", ""))) from None


class Part(BaseModel):
    """One part of a mixture."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    weight: FormulaOfEnergy
    family: Annotated[Any, PlainValidator(_family), WithJsonSchema({"type": ["object", "string"]})]


class MixtureFamily(Family):
    """X follows one of several families, with probabilities proportional to weights that may depend on e."""

    kind: Literal["mixture"]
    components: tuple[Part, ...]

    @model_validator(mode="after")
    def _plain(self) -> "MixtureFamily":
        if not 2 <= len(self.components) <= 16:
            raise mistake("CG305", f"a mixture has between 2 and 16 components, not {len(self.components)}")
        if any(isinstance(part.family.law(), Indicators) for part in self.components):
            raise mistake("CG305", "nodes with labels cannot be mixed", help="a categorical node is a mixture of its labels already")
        return self

    def law(self) -> Mixture:
        return Mixture(tuple(part.weight for part in self.components), tuple(part.family.law() for part in self.components))

    @classmethod
    def example(cls) -> dict[str, object]:
        return {
            "components": [
                {"weight": "sigmoid(e)", "family": {"kind": "gaussian", "std": 1}},
                {"weight": "sigmoid(-e)", "family": {"kind": "gaussian", "std": 3}},
            ]
        }
