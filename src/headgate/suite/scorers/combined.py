"""Scorers made of the scores of others."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from headgate.suite.part import Name
from headgate.suite.scorers.base import ScorerPart, Share


class Weighted(ScorerPart):
    """The mean of other scorers' scores, each by its `weight`; with a threshold 0 or 1."""

    type: Literal["weighted"] = Field(description="The kind of scorer")
    of: Annotated[list[Name], Field(min_length=1)] = Field(
        description="Names of scorers whose scores are between 0 and 1, higher being better"
    )
    threshold: Share | None = Field(None, description="1 when the mean is at least this, else 0")

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        if len(set(self.of)) < len(self.of):
            raise ValueError("a scorer is named twice in `of`")
        return self


class Derived(ScorerPart):
    """A scorer without scores of its own: it is made of those of the scorer that it names."""


class PassAtK(Derived):
    """The chance that of k seeds at least one passes, or that all do: estimated per item, without bias, from its seeds.

    It has no rows of its own: it reads those of the scorer that it names, which are 0 or 1.
    """

    type: Literal["pass_at_k"] = Field(description="The kind of scorer")
    of: Name = Field(description="Name of a scorer whose scores are 0 or 1")
    k: int = Field(ge=1, le=1000, description="How many seeds are drawn; the suite has at least as many")
    all: bool = Field(False, description="All of them pass (pass^k), in place of at least one (pass@k)")


class OverLabels(Derived):
    """A metric of a whole classification: a function of the labels of all answers, and of no answer's score alone."""

    of: Name = Field(description="Name of a scorer of type `classification`")


class F1(OverLabels):
    """The mean F1 of all labels (macro F1), or the F1 of one.

    It has no rows of its own: it reads the labels of the classification that it names. An answer without a label
    misses its own, and is a false alarm of none.
    """

    type: Literal["f1"] = Field(description="The kind of scorer")
    label: str | None = Field(None, description="The F1 of this label alone; default: the mean of all")


class MatthewsCorrelation(OverLabels):
    """Matthews' correlation coefficient of a classification, from -1 to 1; of more than two labels Gorodkin's.

    It has no rows of its own: it reads the labels of the classification that it names. No label counts as one more.
    """

    type: Literal["matthews_correlation"] = Field(description="The kind of scorer")
