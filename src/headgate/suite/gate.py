"""What may pass, as declared: the arms, the gates on metrics, and how verdicts are made."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from headgate.suite.part import Part

BUILTIN_METRICS: tuple[str, ...] = ("latency_s", "cost_usd", "output_tokens", "error_rate", "refusal_rate")
"""Metrics that need no scorer; lower is better for all of them."""


STATUS_RATES: dict[str, str] = {"error_rate": "error", "refusal_rate": "refused"}
"""Metrics that are the share of jobs with a status: errors among all jobs, refusals among those that were answered."""


class Arm(Part):
    """One arm of a comparison: a prompt or a model."""

    prompt: str | None = Field(None, description="Name of a prompt")
    model: str | None = Field(None, description="Id of a model")

    @model_validator(mode="after")
    def _one_axis(self) -> Self:
        if (self.prompt is None) == (self.model is None):
            raise ValueError("give either `prompt` or `model`")
        return self

    @property
    def axis(self) -> Literal["prompt", "model"]:
        """The axis on which the arms differ."""
        return "prompt" if self.prompt is not None else "model"

    @property
    def value(self) -> str:
        """The name on that axis."""
        return self.prompt or self.model or ""

    def has_prompt(self, name: str) -> bool:
        """Tell whether a prompt belongs to the arm."""
        return self.prompt in {None, name}

    def has_model(self, name: str) -> bool:
        """Tell whether a model belongs to the arm."""
        return self.model in {None, name}


class Compare(Part):
    """Which two arms of this suite are compared."""

    baseline: Arm = Field(description="What is in use")
    candidate: Arm = Field(description="The change under test")

    @model_validator(mode="after")
    def _same_axis(self) -> Self:
        if self.baseline.axis != self.candidate.axis:
            raise ValueError("baseline and candidate differ on one axis: both a prompt or both a model")
        if self.baseline.value == self.candidate.value:
            raise ValueError(f"baseline and candidate are both {self.baseline.value!r}")
        return self


_RULES: tuple[Literal["margin", "min", "max", "max_ratio", "zero_tolerance"], ...] = (
    "margin",
    "min",
    "max",
    "max_ratio",
    "zero_tolerance",
)


def _is_given(value: float | bool | None) -> bool:
    # `0.0 in (None, False)` is true: a margin of 0 is a rule, and only identity tells it from False.
    return value is not None and value is not False


class Gate(Part):
    """One rule on one metric."""

    metric: str = Field(description=f"A scorer's name, or one of {', '.join(BUILTIN_METRICS)}")
    margin: float | None = Field(None, ge=0, description="Candidate not worse than baseline by more than this")
    min: float | None = Field(None, description="The candidate's mean is at least this")
    max: float | None = Field(None, description="The candidate's mean is at most this")
    max_ratio: float | None = Field(None, gt=0, description="Geometric mean of candidate / baseline is at most this")
    zero_tolerance: bool | None = Field(None, description="Any occurrence in the candidate fails")
    reproduce: str | None = Field(
        None, pattern=r"^[1-9]\d*/[1-9]\d*$", description="zero_tolerance: '2/3' asks for it in two of three seeds"
    )
    tier: Literal["blocking", "warning", "monitor"] = Field(
        "blocking", description="Whether it can fail the verdict, is only said, or only informs"
    )
    where: dict[str, str] = Field(
        default_factory=dict[str, str], description="Judge only the items whose columns have these values"
    )
    slices: list[str] = Field(
        default_factory=list[str], description="Item columns: each of their values is judged too, as a monitor"
    )
    against: Literal["baseline", "anchor"] = Field(
        "baseline", description="What a margin or ratio is measured against: the baseline, or the anchor (last release)"
    )

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        given = [rule for rule in _RULES if _is_given(getattr(self, rule))]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(_RULES)}" + (f", not {' and '.join(given)}" if given else "")
            )
        if self.reproduce is not None:
            if not self.zero_tolerance:
                raise ValueError("`reproduce` goes with `zero_tolerance`")
            wanted, of = map(int, self.reproduce.split("/"))
            if wanted > of:
                raise ValueError(f"`reproduce` {self.reproduce!r} asks for more seeds than it looks at")
        if self.against == "anchor" and self.rule not in {"margin", "max_ratio"}:
            raise ValueError(
                f"`against: anchor` goes with `margin` or `max_ratio`: `{self.rule}` compares with nothing"
            )
        if twice := sorted(set(self.where) & set(self.slices)):
            raise ValueError(f"`{twice[0]}` stands in `where` and in `slices`")
        return self

    @property
    def rule(self) -> Literal["margin", "min", "max", "max_ratio", "zero_tolerance"]:
        """The one rule that is given."""
        return next(rule for rule in _RULES if _is_given(getattr(self, rule)))


class Policy(Part):
    """How verdicts are made."""

    alpha: float = Field(0.05, gt=0, lt=0.5, description="Declared rate of false blocks and of false passes")
    on_inconclusive: Literal["keep", "pass", "fail"] = Field("keep", description="What exit code 20 becomes")
    fail_rule: Literal["worse", "beyond_margin"] = Field(
        "worse", description="A margin fails when the candidate is surely worse, or only when surely by more than it"
    )
    target: Literal["population", "suite"] = Field(
        "population", description="Whether items stand for future traffic, or the verdict is about exactly these"
    )
    max_error_rate: float = Field(
        0.01, ge=0, lt=1, description="Share of errored jobs above which the verdict is invalid"
    )
    max_seeds: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Seeds that `check` may go up to where they would decide, once all items are asked",
    )
    redraw: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the items of a stored baseline that `check` asks again, to see it has not drifted",
    )
