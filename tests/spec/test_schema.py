"""The JSON Schema takes what the compiler takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cgc.source.text import Source
from cgc.source.yaml import parse
from cgc.spec.schema import schema

ROOT = Path(__file__).parents[2]
SCHEMA = schema()
KINDS: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def fits(value: Any, part: Any) -> bool:
    """Validation by the keywords that the schema uses; any other keyword is an error of this test."""
    known = {"title", "description", "default", "$schema", "$defs", "format", "then", "else"}
    for keyword, rule in part.items():
        match keyword:
            case "$ref":
                ok = fits(value, SCHEMA["$defs"][rule.removeprefix("#/$defs/")])
            case "anyOf":
                ok = any(fits(value, option) for option in rule)
            case "oneOf":
                ok = sum(fits(value, option) for option in rule) == 1
            case "if":
                ok = fits(value, part["then"] if fits(value, rule) else part["else"])
            case "type":
                kinds = rule if isinstance(rule, list) else [rule]
                ok = any(isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds)
            case "const" | "enum":
                ok = value in (rule if keyword == "enum" else [rule])
            case "properties":
                ok = not isinstance(value, dict) or all(fits(value[key], rule[key]) for key in value if key in rule)
            case "patternProperties":
                ok = not isinstance(value, dict) or all(
                    fits(item, sub) for key, item in value.items() for pattern, sub in rule.items() if re.search(pattern, key)
                )
            case "additionalProperties":
                free = [re.compile(pattern) for pattern in part.get("patternProperties", {})]
                rest = [
                    item
                    for key, item in (value.items() if isinstance(value, dict) else ())
                    if key not in part.get("properties", {}) and not any(pattern.search(key) for pattern in free)
                ]
                ok = all(rule is not False and (rule is True or fits(item, rule)) for item in rest)
            case "required":
                ok = not isinstance(value, dict) or all(key in value for key in rule)
            case "items":
                ok = not isinstance(value, list) or all(fits(item, rule) for item in value)
            case "prefixItems":
                ok = not isinstance(value, list) or all(fits(item, sub) for item, sub in zip(value, rule, strict=False))
            case "minItems" | "maxItems":
                ok = not isinstance(value, list) or (len(value) >= rule if keyword == "minItems" else len(value) <= rule)
            case "pattern":
                ok = not isinstance(value, str) or re.search(rule, value) is not None
            case "maxLength":
                ok = not isinstance(value, str) or len(value) <= rule
            case _:
                assert keyword in known, keyword
                ok = True
        if not ok:
            return False
    return True


def plain(text: str) -> Any:
    return parse(Source("t", text)).plain()


@pytest.mark.parametrize("path", sorted([*(ROOT / "specs").glob("*.yaml"), *(ROOT / "tests/diagnostics").glob("*.good.yaml")]), ids=str)
def test_good_specs_fit(path: Path) -> None:
    assert fits(plain(path.read_text(encoding="utf-8")), SCHEMA)


BASE = (ROOT / "tests/diagnostics/unknown_value.good.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cgc: 1", "cgc: 2"),
        ("name: small", "name: Small"),
        ("nodes: 4, ", ""),
        ("{x: dense}", "{x: dens}"),
        ("{x: dense}", "{x: {kind: dens}}"),
        ("{x: dense}", "{x: {kind: dense, lagg: 1}}"),
        ("clamp: soft", "clamp: sfot"),
        ("kind: binary", "kind: binarry"),
        ("families:", "familys:"),
        ("nodes: 4", "nodes: {a: 4}"),
    ],
)
def test_mistakes_do_not_fit(old: str, new: str) -> None:
    assert fits(plain(BASE), SCHEMA)
    assert BASE.count(old) == 1 and not fits(plain(BASE.replace(old, new)), SCHEMA)


def test_short_forms_partial_specs_and_free_keys_fit() -> None:
    assert fits(plain("cgc: 1\nextends: a.yaml\ncomponents: {h: {normalize: null, parents: {x: {lag: 1}}}}\n"), SCHEMA)
    assert fits(plain(BASE + "x-any: [1, {a: b}]\n"), SCHEMA)
    assert not fits(plain("cgc: 1\nextends: a.yaml\ncomponents: {h: {normalise: batch}}\n"), SCHEMA)


def test_the_schema_is_json_and_always_the_same() -> None:
    assert json.dumps(schema()) == json.dumps(SCHEMA)
