"""What promptfoo's assertions expect of the text, as fields of scorers, with promptfoo's defaults."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from headgate.errors import ConfigError
from headgate.suite.documents import parse_yaml, read_document
from headgate.suite.items import column_text
from headgate.suite.plain import split_template


class NotCarriedError(Exception):
    """An assertion, or a part of it, is not carried over; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What an assertion stands in.

    Attributes
    ----------
    variables : mapping
        The item's columns, which values may name.
    base : Path
        Folder that files are relative to.
    tools : list or None
        The tools of the models, where all that have any have the same.
    embeddings : any
        The provider of embeddings that the test names; None: promptfoo's own choice.
    asks_openai : bool
        Whether a model is OpenAI's, so that its key is there, and promptfoo's choice of embeddings is known.
    judge : any
        The provider that judges, as the test names it; None: promptfoo's own choice.
    own_rubric : bool
        Whether the test has a prompt of its own for judges.
    asked : str
        What was asked, as a template over the item's columns.
    transforms : tuple of str
        What is done to the output first, one after another.
    """

    variables: Mapping[str, Any]
    base: Path = field(default_factory=Path)
    tools: list[Any] | None = None
    embeddings: Any = None
    asks_openai: bool = False
    judge: Any = None
    own_rubric: bool = False
    asked: str = ""
    transforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a scorer takes over: fields, ``type`` where it is another than the table's, the item's value, who judges."""

    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    value: str | None = None
    judge: Mapping[str, Any] | None = None


Take = Callable[[Mapping[str, Any], Setting], Taken]

_DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"


def render_plain(text: str, variables: Mapping[str, Any]) -> str:
    """Return a Nunjucks template that is plain, rendered; what Nunjucks does not know it writes as nothing.

    Raises
    ------
    NotCarriedError
        If it is not plain.
    """
    found = list[str]()
    for piece in split_template(text, "nunjucks"):
        value = variables.get(piece.text, "") if piece.kind == "variable" else piece.text
        if piece.kind == "construct" or not isinstance(value, str | int) or isinstance(value, bool):
            raise NotCarriedError("it is a template that is not plain")
        found.append(str(value))
    return "".join(found)


def nothing(assertion: Mapping[str, Any], _: Setting) -> Taken:
    """Take an assertion that expects no value."""
    if assertion.get("value") not in (None, ""):
        raise NotCarriedError("it has a value")
    return Taken()


def text(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take a text."""
    return Taken(value=text_of(assertion.get("value"), setting))


def some_text(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take a text that is not empty: promptfoo refuses one that is."""
    return Taken(value=filled(text_of(assertion.get("value"), setting)))


def text_or_json(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take a text, or JSON that the output has to be."""
    value = assertion.get("value")
    if not isinstance(value, Mapping | list):
        return text(assertion, setting)
    if not _is_json(value):
        raise NotCarriedError("its value is no JSON")
    if isinstance(value, list):
        value = [render_plain(one, setting.variables) if isinstance(one, str) else one for one in value]
    return Taken(fields={"type": "json_schema", "schema": {"const": value}})


def texts(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take several texts: a list, or one text with commas."""
    value = assertion.get("value")
    if isinstance(value, list):
        found = [text_of(one, setting) for one in value]
    else:
        found = [one.strip() for one in text_of(value, setting).split(",") if one.strip()]
        if any('"' in one for one in found):
            raise NotCarriedError("its values are quoted in one text")
    return Taken(fields={"several": True}, value=listed([filled(one) for one in found]))


def references(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take one reference or several, and the degree that is asked for: a half."""
    fields = {"threshold": threshold_of(assertion, 0.5)}
    value = assertion.get("value")
    if not isinstance(value, list):
        return Taken(fields=fields, value=text_of(value, setting))
    return Taken(fields=fields | {"several": True}, value=listed([text_of(one, setting) for one in value]))


def reference(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take one reference, and the degree that is asked for: three quarters."""
    return Taken(
        fields={"threshold": threshold_of(assertion, 0.75)}, value=filled(text_of(assertion.get("value"), setting))
    )


def distance(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take a text, and how many characters may differ: five."""
    limit = number_of(assertion.get("threshold", 5))
    return Taken(fields={"max_distance": math.floor(limit)}, value=text_of(assertion.get("value"), setting))


def called_tools(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take the names of the tools that are to be called, and the F1 that is asked for: one."""
    value = assertion.get("value")
    names = value if isinstance(value, list) else text_of(value, setting).split(",")
    found = dict.fromkeys(text_of(name, setting).strip() for name in names)
    return Taken(fields={"threshold": threshold_of(assertion, 1.0)}, value=", ".join(filled(name) for name in found))


def schema(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take a JSON Schema, where there is one: in place, as YAML in a text, or in a file; promptfoo reads draft 7."""
    value = assertion.get("value")
    if value in (None, ""):
        return Taken()
    if isinstance(value, str):
        value = _document(value, setting)
    if not isinstance(value, Mapping) or not _is_json(value):
        raise NotCarriedError("its value is no JSON Schema")
    if str(value.get("$schema", _DRAFT_7)).rstrip("#") != _DRAFT_7.rstrip("#"):
        raise NotCarriedError("its schema is of another draft than promptfoo reads")
    return Taken(fields={"type": "json_schema", "schema": {"$schema": _DRAFT_7, **value}})


def schema_inside(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take a JSON Schema of a document that stands somewhere in the output."""
    taken = schema(assertion, setting)
    return Taken(fields={**taken.fields, "extract": True})


def elements(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take the paths of the elements that are asked for, if any are."""
    value = assertion.get("value")
    value = value.get("requiredElements") if isinstance(value, Mapping) else value
    if value in (None, "", []):
        return Taken()
    paths = value if isinstance(value, list) else text_of(value, setting).split(",")
    found = [filled(text_of(path, setting).strip()) for path in paths]
    if any(step.isdecimal() for path in found for step in path.split(".")):
        raise NotCarriedError("it counts elements")
    return Taken(fields={"elements": found})


def _document(value: str, setting: Setting) -> Any:
    """Return what a text holds as YAML, or the file that it names."""
    try:
        if value.startswith("file://"):
            return read_document(setting.base / value.removeprefix("file://")).data
        return parse_yaml(render_plain(value, setting.variables), setting.base / "value").data
    except ConfigError as error:
        raise NotCarriedError(f"its schema {error.problem}") from error


def _is_json(value: Any) -> bool:
    """Tell whether data of YAML is JSON: infinity is not."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def text_of(value: Any, setting: Setting) -> str:
    """Return a value as text, rendered."""
    if isinstance(value, Mapping | list) or value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise NotCarriedError("its value is no text")
    written = column_text(value)
    assert written is not None
    if written.startswith("file://"):
        raise NotCarriedError("its value is a file")
    return render_plain(written, setting.variables)


def filled(value: str) -> str:
    """Return a text that is not empty."""
    if not value:
        raise NotCarriedError("its value is empty")
    return value


def listed(values: list[str]) -> str:
    """Return texts as a JSON list that is not empty."""
    if not values:
        raise NotCarriedError("its value is empty")
    return json.dumps(values, ensure_ascii=False)


def number_of(value: Any) -> float:
    """Return a number from 0 on."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise NotCarriedError("it has no threshold" if value is None else "its threshold is no number")
    return value


def threshold_of(assertion: Mapping[str, Any], default: float) -> float:
    """Return the threshold of a degree, from 0 to 1."""
    value = number_of(assertion.get("threshold", default))
    if value > 1:
        raise NotCarriedError("its threshold is no number from 0 to 1")
    return value
