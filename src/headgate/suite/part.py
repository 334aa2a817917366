"""What all parts of a suite have in common: frozen data, strict types, no unknown keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from headgate.errors import ConfigError
from headgate.identity import canonical_json
from headgate.suite.templates import Template

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$", max_length=64)]
"""A name that is safe as a file stem, a column and an id."""


def _template(source: str) -> str:
    try:
        Template(source)
    except ConfigError as error:
        raise ValueError(error.problem) from error
    return source


def _json_data(value: dict[str, Any]) -> dict[str, Any]:
    try:
        canonical_json(value)
    except TypeError as error:
        raise ValueError(f"is not JSON data: {error}") from error
    return value


TemplateText = Annotated[str, AfterValidator(_template)]
"""A jinja2 template whose syntax was checked."""

Params = Annotated[dict[str, Any], AfterValidator(_json_data)]
"""JSON data that is sent as it stands."""


class Part(BaseModel):
    """Base of all parts: frozen, unknown keys are errors, no conversions; pydantic repeats no value in its errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        arbitrary_types_allowed=True,
        validate_default=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )
