"""Picoschema, dotprompt's short form of JSON Schema.

The language: https://google.github.io/dotprompt/reference/picoschema/
"""

from __future__ import annotations

import re
from typing import Any, Final

_SCALARS: Final = ("any", "boolean", "integer", "null", "number", "string")
_WILDCARD: Final = "(*)"
_KEY: Final = re.compile(r"(?P<name>[^(?]*)(?P<optional>\?)?(?:\((?P<kind>[^,)]*)(?:,\s*(?P<about>[^)]*))?\))?")


class UnknownSchema(ValueError):
    """A schema that is named, and stands in the application and not in the file."""


def json_schema(schema: Any) -> dict[str, Any]:
    """Return the JSON Schema of a Picoschema; what is JSON Schema already stays.

    Raises
    ------
    UnknownSchema
        If it names a schema.
    ValueError
        If it is neither.

    Examples
    --------
    >>> json_schema({"name": "string, who", "tags?(array)": "string"})["properties"]
    {'name': {'type': 'string', 'description': 'who'}, 'tags': {'type': ['array', 'null'], 'items': {'type': 'string'}}}
    """
    if isinstance(schema, dict):
        if schema.get("type") in (*_SCALARS, "object", "array"):
            return schema
        if isinstance(schema.get("properties"), dict):
            return {**schema, "type": "object"}
    elif isinstance(schema, str):
        name, about = _described(schema)
        if name in _SCALARS:
            return _with({"type": name}, about)
    return _schema(schema)


def _schema(schema: Any) -> dict[str, Any]:
    if isinstance(schema, str):
        name, about = _described(schema)
        if name not in _SCALARS:
            raise UnknownSchema(name)
        return _with({} if name == "any" else {"type": name}, about)
    if not isinstance(schema, dict):
        raise ValueError(f"{schema!r} is no Picoschema: write a type or a mapping of fields")  # noqa: TRY004  # as all
    made: dict[str, Any] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    for key, value in schema.items():
        if key == _WILDCARD:
            made["additionalProperties"] = _schema(value)
            continue
        found = _KEY.fullmatch(key)
        if found is None:
            raise ValueError(f"{key!r} is no field of a Picoschema")
        made["properties"][found["name"]] = _field(found, value)
        if not found["optional"]:
            made["required"].append(found["name"])
    if not made["required"]:
        del made["required"]
    return made


def _field(key: re.Match[str], value: Any) -> dict[str, Any]:
    kind, optional = key["kind"], key["optional"] is not None
    if kind == "array":
        made: dict[str, Any] = {"type": "array", "items": _schema(value)}
    elif kind == "enum":
        made = {"enum": [*value, None] if optional and None not in value else list(value)}
    elif kind in {None, "object"}:
        made = _schema(value)
    else:
        raise ValueError(f"{kind!r} is none of array, enum and object")
    if optional and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return _with(made, key["about"])


def _described(text: str) -> tuple[str, str | None]:
    name, comma, about = text.partition(",")
    return name, about.lstrip(" ") if comma else None


def _with(made: dict[str, Any], about: str | None) -> dict[str, Any]:
    return {**made, "description": about} if about else made
