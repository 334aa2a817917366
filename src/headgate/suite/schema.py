"""The JSON Schemas of the suite file and of the canary file, for editors and for the reference pages."""

from __future__ import annotations

from typing import Any, Final

from headgate.suite.canary import COLUMNS, Canary
from headgate.suite.suite import Suite

SCHEMA_ID: Final = "urn:headgate:suite:v1"
CANARY_ID: Final = "urn:headgate:canary:v1"

_ONE_OF: Final = {
    "Items": ("path", "rows"),
    "PromptSource": ("path", "text", "messages"),
    "Arm": ("prompt", "model"),
    "Gate": ("margin", "min", "max", "max_ratio", "zero_tolerance"),
}


def suite_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the suite file, with its short forms.

    Returns
    -------
    dict
        The same as the published ``suite-v1.json``.

    Examples
    --------
    >>> schema = suite_schema()
    >>> schema["required"], schema["additionalProperties"]
    (['name', 'items', 'prompts', 'models'], False)
    """
    made = Suite.model_json_schema(ref_template="#/$defs/{model}")
    fields, parts = made["properties"], made["$defs"]
    fields["items"] = {
        "title": "Items",
        "description": "A CSV, JSONL or Parquet file, the rows themselves, or a mapping with options",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}, {"$ref": "#/$defs/Items"}],
    }
    (pattern,) = fields["prompts"].pop("patternProperties")
    fields["prompts"]["propertyNames"]["pattern"] = pattern
    fields["prompts"]["additionalProperties"] = {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"$ref": "#/$defs/Message"}, "minItems": 1},
            {"$ref": "#/$defs/PromptSource"},
        ]
    }
    fields["$schema"] = {"title": "Schema", "type": "string", "description": "Where this schema lies, for editors"}
    for name, part in parts.items():
        _drop_titles(part["properties"])
        if name in _ONE_OF:
            part["oneOf"] = [{"required": [field]} for field in _ONE_OF[name]]
    _drop_titles(fields)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, "title": "headgate suite"}
    return (
        made | head | {"description": "A declared evaluation: what is asked, of whom, how it is scored, what may pass"}
    )


def canary_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the canary file.

    Examples
    --------
    >>> canary_schema()["additionalProperties"]
    False
    """
    made = Canary.model_json_schema(ref_template="#/$defs/{model}")
    fields, parts = made["properties"], made["$defs"]
    fields["columns"]["propertyNames"] = {"enum": list(COLUMNS)}
    fields["$schema"] = {"title": "Schema", "type": "string", "description": "Where this schema lies, for editors"}
    for name, part in parts.items():
        _drop_titles(part["properties"])
        if name in _ONE_OF:
            part["oneOf"] = [{"required": [field]} for field in _ONE_OF[name]]
    _drop_titles(fields)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": CANARY_ID, "title": "headgate canary"}
    return made | head | {"description": "A declared canary: where its traffic is, and what it takes to promote it"}


def _drop_titles(fields: dict[str, Any]) -> None:
    """Drop the titles that only repeat the names of the fields."""
    for field in fields.values():
        field.pop("title", None)
