"""Scorers of the text as it stands."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from headgate.suite.scorers.base import ScorerPart, SeveralTargets, Share, Thresholded, check_limits


class ExactMatch(SeveralTargets):
    """1 when the output equals a target, else 0."""

    type: Literal["exact_match"] = Field(description="The kind of scorer")
    ignore_case: bool = Field(False, description="Upper and lower case are alike")
    strip: bool = Field(True, description="Ignore white space around both")
    normalize: Literal["none", "squad"] = Field(
        "none", description="squad: case, punctuation, the articles a, an, the, and white space do not count"
    )
    pattern: str | None = Field(
        None,
        description="Regular expression whose first group is compared, where it is found; an output without is wrong",
    )


class Contains(SeveralTargets):
    """1 when the output contains the target, else 0."""

    type: Literal["contains"] = Field(description="The kind of scorer")
    match: Literal["any", "all"] = Field("any", description="Of several targets one will do, or all are asked for")
    ignore_case: bool = Field(False, description="Upper and lower case are alike")


class StartsWith(SeveralTargets):
    """1 when the output starts with a target, else 0."""

    type: Literal["starts_with"] = Field(description="The kind of scorer")
    ignore_case: bool = Field(False, description="Upper and lower case are alike")
    strip: bool = Field(True, description="Ignore white space around both")


class EndsWith(SeveralTargets):
    """1 when the output ends with a target, else 0."""

    type: Literal["ends_with"] = Field(description="The kind of scorer")
    ignore_case: bool = Field(False, description="Upper and lower case are alike")
    strip: bool = Field(True, description="Ignore white space around both")


class Regex(ScorerPart):
    """1 when the pattern is found in the output, else 0 (Rust regular expressions: no look-around)."""

    type: Literal["regex"] = Field(description="The kind of scorer")
    pattern: str = Field(description="Regular expression")
    ignore_case: bool = Field(False, description="Upper and lower case are alike")


class StringSimilarity(Thresholded):
    """How alike the output and the nearest target are, from 0 to 1 (needs `headgate[scorers]`)."""

    type: Literal["string_similarity"] = Field(description="The kind of scorer")
    metric: Literal["levenshtein", "damerau_levenshtein", "osa", "indel", "lcs", "hamming", "jaro", "jaro_winkler"] = (
        Field("levenshtein", description="The distance that is normalised: similarity is 1 - distance / most it can be")
    )
    max_distance: int | None = Field(
        None, ge=0, description="1 when the distance itself, in characters, is at most this, else 0"
    )
    ignore_case: bool = Field(False, description="Upper and lower case are alike")
    strip: bool = Field(True, description="Ignore white space around both")

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if self.max_distance is not None and self.threshold is not None:
            raise ValueError("give either `threshold` or `max_distance`")
        if self.max_distance is not None and self.metric.startswith("jaro"):
            raise ValueError(f"`max_distance` counts characters, and {self.metric} does not")
        return self


class Length(ScorerPart):
    """1 when the output is as long as asked for, else 0."""

    type: Literal["length"] = Field(description="The kind of scorer")
    unit: Literal["chars", "words", "lines", "tokens"] = Field(
        "chars", description="What is counted; tokens: as the provider counts them"
    )
    min: int | None = Field(None, ge=0, description="At least so many")
    max: int | None = Field(None, ge=0, description="At most so many")

    @model_validator(mode="after")
    def _limits(self) -> Self:
        check_limits(self.min, self.max)
        return self


class Language(SeveralTargets):
    """1 when the output is in a target's language, else 0; the label says which (needs `headgate[scorers]`)."""

    type: Literal["language"] = Field(description="The kind of scorer")
    min_probability: Share = Field(
        0.0, description="A language that is less probable than this is not told: the score is null"
    )


class Refusal(ScorerPart):
    """1 when the output declines to answer, else 0: a phrase of refusal opens it, or the provider says so."""

    type: Literal["refusal"] = Field(description="The kind of scorer")
    wanted: bool = Field(False, description="To decline is right: a higher score is better")
    phrases: list[str] = Field(
        default_factory=list[str], description="Further phrases that open a refusal, in any language; case is ignored"
    )
