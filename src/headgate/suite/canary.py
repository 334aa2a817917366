"""A canary as declared: where its traffic is, how rows are read and scored, and what may pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationInfo, model_validator

from headgate.suite.declaration import Declaration
from headgate.suite.gate import BUILTIN_METRICS, STATUS_RATES, Gate, Policy
from headgate.suite.model import Lane, Model
from headgate.suite.part import Name, Part
from headgate.suite.problems import Problem, Problems, did_you_mean, unknown
from headgate.suite.scorers import Derived, Scorer
from headgate.suite.scorers.judge import Judge, judge_problems
from headgate.suite.scorers.names import scorer_problems
from headgate.suite.sources import Items
from headgate.suite.suite import Budget, Suite

COLUMNS: Final = (
    "time",
    "id",
    "input",
    "output",
    "target",
    "status",
    "error_kind",
    "latency_s",
    "latency_ms",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "model",
    "prompt_digest",
    "stop_reason",
)
"""Fields of a row whose columns may be declared in ``columns``."""

_POLICY: Final = {"alpha", "on_inconclusive", "fail_rule", "max_error_rate"}


class Traffic(Part):
    """Where the rows of the two arms are: in two places, or in one with a column that tells them apart."""

    stable: str | None = Field(
        None, description="Place of stable's rows: file, folder, pattern or bucket URL. With `arm`: its value there"
    )
    canary: str | None = Field(None, description="Likewise, for the canary")
    arm: str | None = Field(
        None, min_length=1, description="Column or attribute that tells the arms apart, such as a pod-template hash"
    )
    path: str | None = Field(
        None, description="With `arm`: where the rows of both are; without it: what `headgate serve` receives"
    )

    @model_validator(mode="after")
    def _two_arms(self) -> Self:
        if self.path is not None and self.arm is None:
            raise ValueError("`path` holds both arms: name the column that tells them apart in `arm`")
        if self.stable is not None and self.stable == self.canary:
            raise ValueError(f"stable and canary are both {self.stable!r}")
        return self


class Judges(Part):
    """The models that grade live answers, how many of them, and for how much."""

    models: list[Model] = Field(min_length=1, description="Each with `role: judge`")
    lanes: list[Lane] = Field(default_factory=list[Lane], description="Quotas; a model in no lane has one of its own")
    share: float = Field(0.1, gt=0, le=1, description="Share of the rows that are graded, by hash of the id")
    max_cost_usd: float | None = Field(
        None, gt=0, description="Most US dollars; what comes after is not graded, and the verdict says so"
    )


def _default_gates() -> list[Gate]:
    latency = {"metric": "latency_s", "max_ratio": 1.2, "tier": "warning"}
    rates = ({"metric": name, "margin": 0.02} for name in STATUS_RATES)
    return [Gate.model_validate(gate) for gate in (*rates, latency)]


class Canary(Declaration):
    """A declared canary: live traffic of two versions, and what it takes to promote one or to roll it back.

    Raises
    ------
    ConfigError
        If something is wrong; one error names every problem, one a line.

    Examples
    --------
    >>> canary = Canary(name="bot", traffic={"stable": "logs/v1.jsonl", "canary": "logs/v2.jsonl"}, cluster="user")
    >>> [gate.metric for gate in canary.gates], canary.lateness_s
    (['error_rate', 'refusal_rate', 'latency_s'], 60.0)
    """

    name: Name = Field("canary", description="Name of the canary")
    traffic: Traffic = Field(Traffic.model_construct(), description="Where the rows are")
    format: Literal["plain", "otlp", "litellm"] = Field(
        "plain",
        description="Records of columns (JSONL, Parquet), OTLP/JSON of traces, or LiteLLM's StandardLoggingPayload",
    )
    columns: dict[str, str] = Field(
        default_factory=dict[str, str],
        description=f"In which column a field stands, where not in its own: {', '.join(COLUMNS)}; dots lead inwards",
    )
    cluster: str | None = Field(
        None, description="Column of the conversation or user, all of whose rows are one unit; else a row is one"
    )
    window_s: float = Field(
        1800.0, ge=0, description="Seconds from a cluster's first row on in which its rows count, as one unit"
    )
    lateness_s: float = Field(
        60.0, ge=0, description="Seconds that rows may come late; nothing is judged before, and later ones are dropped"
    )
    sample: float = Field(1.0, gt=0, le=1, description="Share of the rows that scorers see, by hash of the id")
    min_units: int = Field(100, ge=1, description="Units of each arm before a gate may pass")
    scorers: list[Scorer] = Field(default_factory=list[Scorer], description="How answers are scored")
    gates: list[Gate] = Field(
        default_factory=_default_gates,
        min_length=1,
        description="What may pass; default: errors and refusals within 2 points, and latency as a warning",
    )
    judges: Judges | None = Field(None, description="What scorers of type judge ask")
    policy: Policy = Field(Policy.model_construct(), description="How verdicts are made")

    @property
    def models(self) -> list[Model]:
        """The models that grade."""
        return [] if self.judges is None else self.judges.models

    def grading(self, *, max_cost_usd: float | None) -> Suite:
        """Return what the engine needs to ask the judges, as a suite that has nothing under test."""
        made = Suite.model_construct(
            name=self.name,
            items=Items.model_construct(rows=[]),
            prompts={},
            models=self.models,
            lanes=[] if self.judges is None else self.judges.lanes,
            budget=Budget.model_validate({"max_cost_usd": max_cost_usd}),
        )
        if self._document is not None:
            made._stand_in(self._document)  # noqa: SLF001  # what it names lies where the canary's file does
        return made

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = [*self._problems(), *self._unanswerable()]
        if found:
            raise Problems(found)
        return self

    def _problems(self) -> Iterator[Problem]:
        yield from scorer_problems(self.scorers, taken=BUILTIN_METRICS)
        yield from self._judge_problems()
        metrics = [*(scorer.name for scorer in self.scorers), *BUILTIN_METRICS]
        for index, gate in enumerate(self.gates):
            yield from unknown(("gates", index, "metric"), gate.metric, metrics)
        for name in self.columns:
            if name not in COLUMNS:
                yield Problem(("columns", name), "is no field of a row", mend=did_you_mean(name, COLUMNS))

    def _judge_problems(self) -> Iterator[Problem]:
        roles = {model.id: model.role for model in self.models}
        for index, model in enumerate(self.models):
            if model.role != "judge":
                yield Problem(("judges", "models", index, "role"), "is no judge", model.role, "declare `role: judge`")
        for problem in judge_problems(self.scorers, {**roles, "": "tested"}, compares=False):
            place = ("judges", *problem.place) if problem.place[0] == "models" else problem.place
            yield replace(problem, place=place)
        for index, scorer in enumerate(self.scorers):
            if isinstance(scorer, Judge) and scorer.calibrate is not None:
                yield Problem(("scorers", index, "calibrate"), "cannot be asked of live traffic", scorer.name)

    def _unanswerable(self) -> Iterator[Problem]:
        """Yield what live traffic has no answer to."""
        for index, scorer in enumerate(self.scorers):
            if isinstance(scorer, Derived):
                yield Problem(("scorers", index, "type"), "cannot be asked of live traffic", scorer.type)
        for index, gate in enumerate(self.gates):
            for name in ("slices", "where", "reproduce"):
                if getattr(gate, name):
                    yield Problem(("gates", index, name), "cannot be asked of live traffic", gate.metric)
            if gate.against == "anchor":
                yield Problem(("gates", index, "against"), "cannot be asked of live traffic", "anchor")
        for name, field in Policy.model_fields.items():
            if name not in _POLICY and getattr(self.policy, name) != field.default:
                yield Problem(("policy", name), "cannot be asked of live traffic")

    # The last validator stands around all others.
    @model_validator(mode="wrap")
    @classmethod
    def _own_errors(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        return cls._declared(data, handler, info)
