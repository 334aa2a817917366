"""How answers are scored, as declared: one class per kind of scorer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic.json_schema import SkipJsonSchema

from headgate.suite.evaluator import Evaluator
from headgate.suite.part import Name, Part, TemplateText


class _Scorer(Part):
    name: Name = Field(description="Name of the metric")
    negate: bool = Field(False, description="1 - score")


class ExactMatch(_Scorer):
    """1 when the output equals the target, else 0."""

    type: Literal["exact_match"] = Field(description="The kind of scorer")
    target: TemplateText = Field("{{ target }}", description="Template over the item's columns")
    ignore_case: bool = Field(False, description="Upper and lower case are alike")
    strip: bool = Field(True, description="Ignore white space around both")


class Contains(_Scorer):
    """1 when the output contains the target, else 0."""

    type: Literal["contains"] = Field(description="The kind of scorer")
    target: TemplateText = Field("{{ target }}", description="Template over the item's columns")
    ignore_case: bool = Field(False, description="Upper and lower case are alike")


class Regex(_Scorer):
    """1 when the pattern is found in the output, else 0 (Rust regular expressions: no look-around)."""

    type: Literal["regex"] = Field(description="The kind of scorer")
    pattern: str = Field(description="Regular expression")
    ignore_case: bool = Field(False, description="Upper and lower case are alike")


class Numeric(_Scorer):
    """1 when the last number in the output equals the target within the tolerance, else 0."""

    type: Literal["numeric"] = Field(description="The kind of scorer")
    target: TemplateText = Field("{{ target }}", description="Template over the item's columns")
    tolerance: float = Field(0.0, ge=0, description="Absolute tolerance")
    relative_tolerance: float = Field(1e-9, ge=0, description="Tolerance relative to the target")


class JsonValid(_Scorer):
    """1 when the output is one JSON document, else 0."""

    type: Literal["json_valid"] = Field(description="The kind of scorer")


class Python(_Scorer):
    """A sync or async function of one row: ``grade(output, item) -> float | bool | None``."""

    type: Literal["python"] = Field(description="The kind of scorer")
    call: str | SkipJsonSchema[Callable[..., Any]] = Field(
        description="'module:function'; may lie beside the suite file"
    )
    bounds: tuple[float, float] | None = Field(
        (0.0, 1.0), strict=False, description="Smallest and largest score; null: unbounded"
    )
    higher_is_better: bool = Field(True, description="Which direction is an improvement")
    requests_per_minute: float | None = Field(None, gt=0, description="Pace of the calls; default: unpaced")

    @field_validator("bounds")
    @classmethod
    def _rising(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError("the smallest score comes first, and differs from the largest")
        return value


Scorer = Annotated[
    ExactMatch | Contains | Regex | Numeric | JsonValid | Python | Evaluator, Field(discriminator="type")
]
