"""Scorers of JSON: whether the output is a document, fits a schema, holds a value."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from headgate.errors import ConfigError
from headgate.identity import canonical_json
from headgate.score.callables import Score
from headgate.score.documents import NoDocument, read_json
from headgate.score.library import load_library

if TYPE_CHECKING:
    from headgate.suite.scorers import JsonField, JsonSchema, JsonValid

Check = Callable[[Any], bool]


def json_valid(spec: JsonValid) -> Callable[[str], bool]:
    """Return a function: whether an output is one JSON document, or holds one.

    Examples
    --------
    >>> from headgate.suite.scorers import JsonValid
    >>> valid = json_valid(JsonValid(name="json", type="json_valid"))
    >>> valid(' {"a": [1]} '), valid("{'a': 1}"), valid("NaN")
    (True, False, False)
    """

    def grade(output: str) -> bool:
        try:
            read_json(output, extract=spec.extract)
        except NoDocument:
            return False
        return True

    return grade


def json_schema(spec: JsonSchema) -> Callable[[str], bool | Score]:
    """Return a function: whether an output is a JSON document that fits the schema; if not, the reason.

    Examples
    --------
    >>> from headgate.suite.scorers import JsonSchema
    >>> fits = json_schema(JsonSchema(name="shape", type="json_schema", schema={"required": ["a"]}))
    >>> fits('{"a": 1}'), fits("{}").explanation, fits("a").explanation
    (True, '"a" is a required property', 'the output is no JSON document')
    """
    validator = schema_validator(spec.schema)

    def grade(output: str) -> bool | Score:
        try:
            document = read_json(output, extract=spec.extract)
        except NoDocument as error:
            return Score(0.0, explanation=str(error))
        return True if validator.is_valid(document) else Score(0.0, explanation=first_fault(validator, document))

    return grade


def first_fault(validator: Any, document: Any) -> str:
    """Return the first thing that is wrong with a document, in one line."""
    error = next(validator.iter_errors(document))
    place = "".join(f"[{part!r}]" for part in error.instance_path)
    return f"{place}: {error.message}"[:500] if place else str(error.message)[:500]


def schema_validator(schema: Any) -> Any:
    """Return the validator of a JSON Schema; schemas of one content share it.

    Raises
    ------
    ConfigError
        If it is no JSON Schema, refers to another document, or jsonschema-rs is not installed.
    """
    return _validator(canonical_json(schema))


@functools.lru_cache(maxsize=64)
def _validator(text: bytes) -> Any:
    library = load_library("jsonschema_rs")
    try:
        return library.validator_for(msgspec.json.decode(text), retriever=_refuse)
    except (ValueError, library.ReferencingError) as error:
        raise ConfigError(f"is no JSON Schema: {' '.join(str(error).split())[:300]}", field="schema") from error


def _refuse(uri: str) -> Any:
    raise ValueError(f"it refers to {uri}, and a schema is one document")


def json_field(spec: JsonField) -> Callable[[str, str | None], bool | Score | None]:
    """Return a function: whether the value at a path equals the target; numbers within the tolerance.

    The target is text; it equals a number of that value, ``true``, ``false``, ``null``, or a list or object of that
    JSON. A path that leads nowhere is wrong.

    Examples
    --------
    >>> from headgate.suite.scorers import JsonField
    >>> same = json_field(JsonField(name="sku", type="json_field", path="lines.0.n", tolerance=0.5))
    >>> same('{"lines": [{"n": 3}]}', "3.2"), same("{}", "3").explanation
    (True, "there is no 'lines' in the document")
    """
    steps = spec.path.split(".")

    def grade(output: str, target: str | None) -> bool | Score | None:
        if target is None:
            return Score(None, explanation="the item has no target to compare with")
        try:
            found = read_json(output, extract=spec.extract)
        except NoDocument as error:
            return Score(0.0, explanation=str(error))
        for step in steps:
            found = _step(found, step)
            if found is _NOTHING:
                return Score(0.0, explanation=f"there is no {step!r} in the document")
        return True if _equals(spec, found, target) else Score(0.0, explanation=f"it is {_text(found)[:200]}")

    return grade


_NOTHING: Any = object()


def _step(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, _NOTHING)  # pyright: ignore[reportUnknownMemberType]
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):  # pyright: ignore[reportUnknownArgumentType]
        return value[int(step)]
    return _NOTHING


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()


def _equals(spec: JsonField, value: Any, target: str) -> bool:
    if isinstance(value, str):
        return value.lower() == target.lower() if spec.ignore_case else value == target
    try:
        wanted = msgspec.json.decode(target)
    except (msgspec.DecodeError, RecursionError):
        return False
    if _is_number(value) and _is_number(wanted):
        allowed = max(spec.tolerance, abs(wanted) * spec.relative_tolerance)
        return bool(abs(value - wanted) <= allowed) and math.isfinite(value)
    return type(value) is type(wanted) and canonical_json(value) == canonical_json(wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
