"""What scorers have in common: a name, a weight, and where their targets come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from headgate.suite.part import Name, Part, TemplateText

TARGET = "{{ target }}"

Share = Annotated[float, Field(ge=0, le=1)]


class ScorerPart(Part):
    """Base of all scorers."""

    name: Name = Field(description="Name of the metric")
    negate: bool = Field(False, description="1 - score")
    weight: float = Field(1.0, ge=0, description="Its share in the `weighted` scorers that name it")


class Called(ScorerPart):
    """A scorer that calls somebody's code, which says what it gives and how fast it may be asked."""

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


class Targeted(ScorerPart):
    """A scorer that compares with one target."""

    target: TemplateText = Field(TARGET, description="Template over the item's columns")


class SeveralTargets(ScorerPart):
    """A scorer that compares with one target or with several."""

    target: TemplateText | Annotated[list[TemplateText], Field(min_length=1)] = Field(
        TARGET, description="Template over the item's columns, or several of them"
    )
    several: bool = Field(False, description="The target is a JSON list, and each of its entries is a target")


class Thresholded(SeveralTargets):
    """A scorer of degrees, from 0 to 1."""

    threshold: Share | None = Field(None, description="1 when the score is at least this, else 0")


def check_limits(low: float | None, high: float | None) -> None:
    """Raise ValueError unless there is a lower limit, an upper one above it, or both."""
    if low is None and high is None:
        raise ValueError("give `min`, `max` or both")
    if low is not None and high is not None and low > high:
        raise ValueError("`min` is greater than `max`")
