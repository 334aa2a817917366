"""How the simulated provider behaves, as declared."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from headgate.suite.part import Part


class Faults(Part):
    """Shares of requests that the simulated provider spoils, each drawn independently by (job, attempt)."""

    rate_limit: float = Field(0.0, ge=0, le=1, description="429 with Retry-After")
    server_error: float = Field(0.0, ge=0, le=1, description="500")
    overloaded: float = Field(0.0, ge=0, le=1, description="503")
    drop: float = Field(0.0, ge=0, le=1, description="The connection closes without a response")
    truncate: float = Field(0.0, ge=0, le=1, description="The body ends in the middle")
    html: float = Field(0.0, ge=0, le=1, description="200 with an HTML page")
    empty: float = Field(0.0, ge=0, le=1, description="200 with an empty body")
    hang: float = Field(0.0, ge=0, le=1, description="No answer until the client gives up")
    refusal: float = Field(0.0, ge=0, le=1, description="The model declines: an answer, not a fault to retry")

    @model_validator(mode="after")
    def _at_most_all(self) -> Self:
        if sum(self.model_dump().values()) > 1:
            raise ValueError("the shares add up to more than 1")
        return self


class JudgeSimulation(Part):
    """How a simulated judge errs; an answer is right where it is the target."""

    sensitivity: float = Field(1.0, ge=0, le=1, description="Share of right answers that it calls right")
    specificity: float = Field(1.0, ge=0, le=1, description="Share of wrong answers that it calls wrong")
    position_bias: float = Field(0.0, ge=0, le=1, description="Share of pairs of which it takes the first, unread")
    unparsable: float = Field(0.0, ge=0, le=1, description="Share of verdicts that are no verdict")
    jitter: float = Field(0.0, ge=0, le=1, description="Share of errors that are drawn anew for each repeat")


class Simulation(Part):
    """How a simulated model behaves."""

    accuracy: float | dict[str, float] = Field(
        0.9, description="Mean probability of a right answer; or one per prompt name"
    )
    spread: float = Field(
        1.0, ge=0, le=10, description="Item difficulty: standard deviation of the probit over items (0: all alike)"
    )
    latency_s: float = Field(0.005, ge=0, le=60, description="Median latency in seconds")
    latency_spread: float = Field(0.2, ge=0, le=3, description="Standard deviation of log latency")
    wrong_latency_ratio: float = Field(1.0, gt=0, description="Latency of wrong answers relative to right ones")
    requests_per_second: float | None = Field(None, gt=0, description="Enforced limit; above it the server says 429")
    faults: Faults = Field(Faults.model_construct(), description="Shares of requests that are spoiled")
    judge: JudgeSimulation | None = Field(None, description="It grades answers, and does not answer questions")

    @field_validator("accuracy")
    @classmethod
    def _probabilities(cls, value: float | dict[str, float]) -> float | dict[str, float]:
        for probability in value.values() if isinstance(value, dict) else (value,):
            if not 0 <= probability <= 1:
                raise ValueError(f"accuracy {probability} is not between 0 and 1")
        return value
