"""The JSON Schema of the language, for editors."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from cgc.spec.families import family_type
from cgc.spec.surface import FAMILY_SCHEMA, Document

Schema = dict[str, Any]
_REFERENCE = "#/$defs/"


class _Generator(GenerateJsonSchema):
    # a formula's default is an expression, which JSON has not
    ignored_warning_kinds: set[JsonSchemaWarningKind] = {  # noqa: RUF012 (as in the base class)
        "skipped-choice",
        "non-serializable-default",
    }


def schema() -> Schema:
    """JSON Schema (draft 2020-12) of a spec, short forms included; keys that start with ``x-`` are free.

    A spec that extends another says only what differs: for it nothing is required, and null removes.
    """
    document = Document.model_json_schema(by_alias=True, schema_generator=_Generator)
    family = TypeAdapter(family_type()).json_schema(by_alias=True, schema_generator=_Generator)
    whole = {**document.pop("$defs"), **family.pop("$defs", {}), "Family": family, "Spec": {**document, "patternProperties": {"^x-": {}}}}
    definitions = {name: _bound(part, "") for name, part in whole.items()}
    definitions |= {f"Partial{name}": _relaxed(_bound(part, "Partial")) for name, part in whole.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cgc spec",
        "if": {"required": ["extends"]},
        "then": {"$ref": f"{_REFERENCE}PartialSpec"},
        "else": {"$ref": f"{_REFERENCE}Spec"},
        "$defs": dict(sorted(definitions.items())),
    }


def _bound(part: Any, prefix: str) -> Any:
    """A copy whose references lead to definitions with ``prefix``; the placeholder for families becomes one."""
    if part == FAMILY_SCHEMA:
        return {"$ref": f"{_REFERENCE}{prefix}Family"}
    if isinstance(part, dict):
        return {
            key: f"{_REFERENCE}{prefix}{value.removeprefix(_REFERENCE)}" if key == "$ref" else _bound(value, prefix)
            for key, value in part.items()
            if key != "discriminator"
        }
    return [_bound(item, prefix) for item in part] if isinstance(part, list) else part


def _relaxed(part: Any) -> Any:
    """A copy in which nothing is required, every property may be null, and a section without ``kind`` may be of several kinds."""
    if isinstance(part, list):
        return [_relaxed(item) for item in part]
    if not isinstance(part, dict):
        return part
    relaxed = {"anyOf" if key == "oneOf" else key: _relaxed(value) for key, value in part.items() if key != "required"}
    if isinstance(relaxed.get("properties"), dict):
        relaxed["properties"] = {name: {"anyOf": [value, {"type": "null"}]} for name, value in relaxed["properties"].items()}
    if isinstance(relaxed.get("additionalProperties"), dict):
        relaxed["additionalProperties"] = {"anyOf": [relaxed["additionalProperties"], {"type": "null"}]}
    return relaxed
