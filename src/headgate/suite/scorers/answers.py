"""Scorers that find the answer in the output first: a number, a letter, a label."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from headgate.suite.scorers.base import Targeted


class Numeric(Targeted):
    """1 when the last number in the output equals the target within the tolerance, else 0.

    Currency signs, thousands separators, exponents and words such as million are read; dates and times are passed over.
    """

    type: Literal["numeric"] = Field(description="The kind of scorer")
    tolerance: float = Field(0.0, ge=0, description="Absolute tolerance")
    relative_tolerance: float = Field(1e-9, ge=0, description="Tolerance relative to the target")
    take: Literal["last", "first"] = Field("last", description="Which number of the output is the answer")
    decimal: Literal[".", ","] = Field(".", description="The decimal sign; the other one separates thousands")
    percent: Literal["number", "fraction"] = Field("number", description="Whether 50% is read as 50 or as 0.5")


class MultipleChoice(Targeted):
    """1 when the letter that the output chooses is the target's, else 0; the label is the letter."""

    type: Literal["multiple_choice"] = Field(description="The kind of scorer")
    choices: int = Field(10, ge=2, le=26, description="How many letters there are, from A on")


class Classification(Targeted):
    """1 when the label that the output gives is the target, else 0; the label stands in the scores.

    Scorers of type `f1` and `matthews_correlation` make metrics of the labels.
    """

    type: Literal["classification"] = Field(description="The kind of scorer")
    labels: Annotated[list[str], Field(min_length=2)] = Field(description="The labels; case does not count")

    @property
    def names(self) -> list[str]:
        """The labels as they stand in the scores."""
        return [label.strip() for label in self.labels]

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if len({label.strip().casefold() for label in self.labels}) < len(self.labels):
            raise ValueError("two labels are the same")
        if any(not label.strip() for label in self.labels):
            raise ValueError("a label is empty")
        return self
