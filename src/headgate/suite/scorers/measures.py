"""Scorers of what stands beside the text in a result: log probabilities, time, tokens, cost, why it stopped."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from headgate.suite.scorers.base import ScorerPart, check_limits


class Perplexity(ScorerPart):
    """exp of the mean negative log probability of the output's tokens; lower is better."""

    type: Literal["perplexity"] = Field(description="The kind of scorer")
    normalized: bool = Field(
        False,
        description="1 / perplexity, the geometric mean of the tokens' probabilities: from 0 to 1, higher is better",
    )
    max: float | None = Field(None, ge=1, description="1 when the perplexity is at most this, else 0")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.normalized and self.max is not None:
            raise ValueError("give either `normalized` or `max`")
        if self.negate and not self.normalized and self.max is None:
            raise ValueError("`negate` asks for a score from 0 to 1: give `normalized` or `max`")
        return self


class Limit(ScorerPart):
    """1 when a number of the result is within its limits, else 0."""

    type: Literal["limit"] = Field(description="The kind of scorer")
    column: Literal[
        "latency_s",
        "ttfb_s",
        "cost_usd",
        "input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "total_tokens",
        "attempts",
    ] = Field(description="Column of the results; total_tokens: input and output together")
    min: float | None = Field(None, description="At least this")
    max: float | None = Field(None, description="At most this")

    @model_validator(mode="after")
    def _limits(self) -> Self:
        check_limits(self.min, self.max)
        return self


class StopReason(ScorerPart):
    """1 when the model stopped for one of these reasons, else 0."""

    type: Literal["stop_reason"] = Field(description="The kind of scorer")
    reasons: Annotated[list[str], Field(min_length=1)] = Field(
        ["stop"], description="As the results have them; case does not count", validate_default=True
    )
