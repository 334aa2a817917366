"""Scorers of structured output: JSON, SQL, markup, tool calls."""

from __future__ import annotations

import warnings
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from headgate.suite.part import Params, TemplateText
from headgate.suite.scorers.base import TARGET, ScorerPart, Share, Targeted

_EXTRACT = (
    "Take the document from a code fence, or from wherever it stands in the text; else the output is the document"
)


class JsonValid(ScorerPart):
    """1 when the output is one JSON document, else 0."""

    type: Literal["json_valid"] = Field(description="The kind of scorer")
    extract: bool = Field(False, description=_EXTRACT)


with warnings.catch_warnings():  # pydantic keeps a deprecated method of that name
    warnings.filterwarnings("ignore", message='Field name "schema"')

    class JsonSchema(ScorerPart):
        """1 when the output is a JSON document that fits a JSON Schema, else 0 (needs `headgate[scorers]`)."""

        type: Literal["json_schema"] = Field(description="The kind of scorer")
        schema: Params | str = Field(  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
            description="The schema, or the path of its file, relative to the suite's"
        )
        extract: bool = Field(False, description=_EXTRACT)


class JsonField(Targeted):
    """1 when a field of the JSON output equals the target, else 0."""

    type: Literal["json_field"] = Field(description="The kind of scorer")
    path: str = Field(
        pattern=r"^[^.]+(\.[^.]+)*$", description="Names and places from the top, joined by dots: order.lines.0.sku"
    )
    tolerance: float = Field(0.0, ge=0, description="Absolute tolerance of a number")
    relative_tolerance: float = Field(1e-9, ge=0, description="Tolerance of a number relative to the target")
    ignore_case: bool = Field(False, description="Upper and lower case are alike in text")
    extract: bool = Field(False, description=_EXTRACT)


class SqlValid(ScorerPart):
    """1 when the output is SQL that parses, else 0 (needs `headgate[scorers]`)."""

    type: Literal["sql_valid"] = Field(description="The kind of scorer")
    dialect: str | None = Field(None, description="A dialect of sqlglot, such as postgres; default: what most accept")
    statements: list[Literal["select", "insert", "update", "delete", "create", "drop", "alter", "merge"]] = Field(
        default_factory=list, description="Statements that are allowed; default: all"
    )
    tables: list[str] = Field(default_factory=list[str], description="Tables that may be named; default: all")
    extract: bool = Field(False, description=_EXTRACT)


class XmlValid(ScorerPart):
    """1 when the output is one well-formed XML document without a document type, else 0."""

    type: Literal["xml_valid"] = Field(description="The kind of scorer")
    elements: list[str] = Field(
        default_factory=list[str], description="Elements that must be there, as paths from the root: order.line"
    )
    extract: bool = Field(False, description=_EXTRACT)


class HtmlValid(ScorerPart):
    """1 when the output is HTML whose elements are closed, with no text outside of them, else 0."""

    type: Literal["html_valid"] = Field(description="The kind of scorer")
    extract: bool = Field(False, description="Ask only that there is markup somewhere in the text")


class ToolCall(ScorerPart):
    """How well the tool calls of an answer match those of the target, from 0 to 1."""

    type: Literal["tool_call"] = Field(description="The kind of scorer")
    target: TemplateText = Field(
        TARGET, description='The calls as JSON, each a name or {"name": ..., "arguments": {...}}, or names with commas'
    )
    compare: Literal["name", "arguments"] = Field(
        "arguments", description="What makes two calls the same; a target without arguments takes any"
    )
    measure: Literal["match", "f1"] = Field("match", description="match: 1 when all calls are right; f1: a degree")
    ordered: bool = Field(False, description="match: the order counts")
    threshold: Share | None = Field(None, description="1 when the score is at least this, else 0")

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.ordered and self.measure == "f1":
            raise ValueError("`ordered` goes with `measure: match`")
        return self


class ToolCallValid(ScorerPart):
    """1 when every tool call names a declared tool and fits its schema, else 0 (needs `headgate[scorers]`)."""

    type: Literal["tool_call_valid"] = Field(description="The kind of scorer")
    tools: Annotated[list[Params], Field(min_length=1)] | str = Field(
        description="The tools as OpenAI declares them, or the path of a JSON file with them"
    )
