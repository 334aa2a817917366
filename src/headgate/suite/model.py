"""What the user declares: the suite and its parts, frozen and validated.

Field names here are the keys of the suite file; the JSON Schema is generated from these classes. Nothing in this
module touches a file: paths stay text until :mod:`headgate.suite.items` and :mod:`headgate.registry` open them,
relative to ``Suite.base``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from headgate.identity import digest
from headgate.suite.declaration import Declaration
from headgate.suite.endpoint import Endpoint, RouteName
from headgate.suite.part import Name, Params, Part, TemplateText
from headgate.suite.price import Price
from headgate.suite.problems import Problem, Problems, repeated, unknown
from headgate.suite.scorers import (
    Contains,
    ExactMatch,
    JsonValid,
    Numeric,
    OverLabels,
    PassAtK,
    Python,
    Regex,
    Scorer,
)
from headgate.suite.scorers.evaluator import Evaluator, evaluator_problems
from headgate.suite.scorers.judge import Judge, judge_problems
from headgate.suite.scorers.names import scorer_problems
from headgate.suite.secret import REFERENCES, SECRET_REFERENCE, check_params, check_reference

__all__ = [
    "BUILTIN_METRICS",
    "STATUS_RATES",
    "Arm",
    "Budget",
    "Compare",
    "Contains",
    "ContentPart",
    "Endpoint",
    "Evaluator",
    "ExactMatch",
    "Faults",
    "Gate",
    "Items",
    "JsonValid",
    "Judge",
    "JudgeSimulation",
    "Lane",
    "Message",
    "Model",
    "Name",
    "Numeric",
    "Part",
    "Policy",
    "Price",
    "PromptSource",
    "Python",
    "Regex",
    "Scorer",
    "Simulation",
    "Store",
    "Suite",
    "callable_name",
]

BUILTIN_METRICS: tuple[str, ...] = ("latency_s", "cost_usd", "output_tokens", "error_rate", "refusal_rate")
"""Metrics that need no scorer; lower is better for all of them."""

STATUS_RATES: dict[str, str] = {"error_rate": "error", "refusal_rate": "refused"}
"""Metrics that are the share of jobs with a status: errors among all jobs, refusals among those that were answered."""


class Items(Part):
    """Where the items come from: a file (CSV, JSONL, Parquet) or rows written in the suite."""

    path: str | None = Field(None, description="CSV, JSONL or Parquet file, relative to the suite file")
    rows: list[dict[str, Any]] | None = Field(None, description="The items themselves, one mapping each")
    id: str = Field("id", description="Column that identifies an item; without such a column the row number does")
    target: str = Field("target", description="Column with the expected answer")
    cluster: str | None = Field(None, description="Column that groups items which are not independent")
    where: dict[str, Any] = Field(default_factory=dict, description="Keep only rows whose columns equal these values")
    limit: int | None = Field(None, ge=1, description="Use the first N rows that remain")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.rows is None):
            raise ValueError("give either `path` or `rows`")
        return self


class ContentPart(Part):
    """A part of a message: text, or an image."""

    text: TemplateText | None = Field(None, description="Template over the item's columns")
    image: TemplateText | None = Field(
        None, description="Template of an http(s) URL, a data URL, or the path of a file, relative to the suite file"
    )
    detail: Literal["low", "high", "auto"] | None = Field(
        None, description="How closely the model looks at the image, where it may choose"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.text is None) == (self.image is None):
            raise ValueError("give either `text` or `image`")
        if self.detail is not None and self.image is None:
            raise ValueError("`detail` goes with `image`")
        return self


class Message(Part):
    """One chat message; the content is a template, or parts."""

    role: Literal["system", "developer", "user", "assistant"] = Field(description="Who speaks")
    content: TemplateText | list[ContentPart] = Field(
        description="Template over the item's columns; or parts, such as [{text: ...}, {image: ...}]"
    )

    @model_validator(mode="after")
    def _users_show(self) -> Self:
        if isinstance(self.content, list):
            if not self.content:
                raise ValueError("`content` holds no part")
            if self.role != "user" and any(part.image is not None for part in self.content):
                raise ValueError(f"an image stands in a message of the user, not of the {self.role}")
        return self


class PromptSource(Part):
    """Where a prompt comes from: a file, inline text (one user message), or inline messages."""

    path: str | None = Field(
        None,
        description="Prompt file: .txt, .md, .j2, .prompt.yml, .prompt, .prompty, .json or .yaml",
    )
    text: TemplateText | None = Field(None, description="Template of the single user message")
    messages: list[Message] | None = Field(None, description="Chat messages with templates", min_length=1)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(part is not None for part in (self.path, self.text, self.messages)) != 1:
            raise ValueError("give exactly one of `path`, `text` and `messages`")
        return self


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


ProviderName = Literal[
    "anthropic",
    "bedrock",
    "gemini",
    "ollama",
    "openai",
    "openai-responses",
    "azure",
    "mistral",
    "groq",
    "together",
    "openrouter",
    "deepseek",
    "vllm",
    "tgi",
    "llama-cpp",
    "openai-compatible",
    "python",
    "simulated",
]
"""What :mod:`headgate.execute.providers.catalogue` has a record of."""

_HOMELESS = frozenset({"azure", "vllm", "tgi", "llama-cpp", "openai-compatible"})
"""Providers that have no address of their own."""

_VERSIONED = frozenset({"anthropic", "azure", "gemini"})
"""Providers whose API has versions that a model may name."""


class Model(Part):
    """What answers: provider, model name and sampling parameters."""

    id: Name = Field(description="Name of the model in results and gates")
    provider: ProviderName = Field(description="Which API it speaks")
    model: str | None = Field(None, description="The provider's name of the model; default: the id")
    base_url: str | None = Field(None, description="Where the API lives, such as http://vllm:8000/v1")
    api_version: str | None = Field(
        None, min_length=1, description="Version of the API, where it has versions (anthropic, azure, gemini); recorded"
    )
    api_key: str | None = Field(
        None,
        description=f"Reference to the key: {REFERENCES}; never the key itself",
        json_schema_extra={"pattern": SECRET_REFERENCE.pattern},
    )
    params: Params = Field(default_factory=dict, description="Sampling parameters, sent as they stand")
    on_unsupported: Literal["error", "drop"] = Field(
        "error", description="What becomes of a parameter that the API does not take; what is dropped is recorded"
    )
    price: Price | None = Field(None, description="What its tokens cost; default: what is published, where it is")
    role: Literal["tested", "judge"] = Field(
        "tested", description="Whether it is under test, or grades answers for scorers that ask a model"
    )
    call: str | SkipJsonSchema[Callable[..., Any]] | None = Field(
        None, description="provider python: 'module:function' of a sync or async callable"
    )
    simulate: Simulation | None = Field(None, description="provider simulated: how it behaves")
    timeout_s: float = Field(120.0, gt=0, description="Deadline of one attempt in seconds")
    max_attempts: int = Field(6, ge=1, le=100, description="HTTP tries per job")
    deadline_s: float = Field(900.0, gt=0, description="Deadline of one job over all attempts in seconds")
    endpoints: list[Endpoint] = Field(
        default_factory=list[Endpoint], description="Places that serve this very model, where there are several"
    )
    route: str | SkipJsonSchema[Callable[..., Any]] = Field(
        "fallback",
        description="Which endpoint a job goes to: fallback (the first that works), primary (the first, always), "
        "weighted (by its item's hash), cost_first, or 'module:function'",
    )
    route_seed: int = Field(1, ge=0, description="route weighted: another seed deals the items out anew")
    allow_substitution: bool = Field(False, description="Whether endpoints may name a `substitute`, another model")
    prefix_order: Literal["auto", "off"] = Field(
        "auto", description="Whether the first request with a long prefix goes ahead, so that the others find it cached"
    )

    @field_validator("route")
    @classmethod
    def _known_route(cls, value: str | Callable[..., Any]) -> str | Callable[..., Any]:
        if isinstance(value, str) and value not in get_args(RouteName) and ":" not in value:
            raise ValueError(f"is none of {', '.join(get_args(RouteName))}, and no 'module:function'")
        return value

    @field_validator("params")
    @classmethod
    def _no_secret(cls, value: dict[str, Any]) -> dict[str, Any]:
        return check_params(value, of="model")

    @field_validator("api_key")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        return check_reference(value)

    @model_validator(mode="after")
    def _fits_provider(self) -> Self:
        if (self.provider == "python") != (self.call is not None):
            raise ValueError("`call` goes with provider python, and provider python needs it")
        if self.simulate is not None and self.provider != "simulated":
            raise ValueError("`simulate` goes with provider simulated")
        if self.endpoints:
            if self.role == "judge":
                raise ValueError("a judge has no `endpoints`: one and the same is to grade all answers")
            self._check_endpoints()
            return self
        if self.provider in _HOMELESS and self.base_url is None:
            raise ValueError(f"provider {self.provider} needs `base_url`")
        if self.api_version is not None and self.provider not in _VERSIONED:
            raise ValueError(f"`api_version` goes with provider {' and '.join(sorted(_VERSIONED))}")
        if self.provider == "azure" and "/openai" in (self.base_url or ""):
            raise ValueError("`base_url` of azure ends with the host: https://NAME.openai.azure.com")
        if self.base_url is not None and not re.match(r"^https?://[^/\s]+", self.base_url):
            raise ValueError("`base_url` is not an http(s) URL")  # not repeated: it may hold a password
        return self

    def _check_endpoints(self) -> None:
        """Refuse what makes no set of places that serve one model."""
        if self.provider == "python":
            raise ValueError("a callable has no `endpoints`")
        if self.base_url is not None or self.api_key is not None or self.price is not None:
            raise ValueError("with `endpoints`, `base_url`, `api_key` and `price` stand in each of them")
        names = [endpoint.name for endpoint in self.endpoints]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two endpoints are called {name!r}")
        strangers = [endpoint for endpoint in self.endpoints if endpoint.substitute is not None]
        if strangers and not self.allow_substitution:
            raise ValueError(
                f"endpoint {strangers[0].name!r} is another model, {strangers[0].substitute!r}: "
                "say `allow_substitution: true`, or leave it out"
            )
        if len(strangers) == len(self.endpoints):
            raise ValueError("no endpoint serves the model itself: all are substitutes")
        for endpoint in self.endpoints:
            if endpoint.provider == "python":
                raise ValueError(f"endpoint {endpoint.name!r}: a callable is no endpoint")
            try:
                Model.model_validate(self._fields_at(endpoint))
            except ValidationError as error:
                said = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise ValueError(f"endpoint {endpoint.name!r}: {said}") from None

    def _fields_at(self, endpoint: Endpoint) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in self.model_fields_set - {"endpoints", "route"}}
        given = {name: getattr(endpoint, name) for name in ("base_url", "api_key", "price")}
        where = {"provider": endpoint.provider or self.provider, "model": endpoint.model or self.name}
        given["api_version"] = endpoint.api_version or (
            self.api_version if where["provider"] == self.provider else None
        )
        return {**own, **given, **where, "simulate": self.simulate if where["provider"] == "simulated" else None}

    @property
    def places(self) -> tuple[Model, ...]:
        """The model at each of its endpoints, with an id of its own such as ``small@azure``; itself without any."""
        if not self.endpoints:
            return (self,)
        made = [Model.model_validate(self._fields_at(endpoint)) for endpoint in self.endpoints]
        ids = [f"{self.id}@{endpoint.name}" for endpoint in self.endpoints]
        return tuple(model.model_copy(update={"id": name}) for model, name in zip(made, ids, strict=True))

    @property
    def name(self) -> str:
        """The provider's name of the model."""
        return self.model or self.id

    @property
    def identity(self) -> dict[str, Any]:
        """What the digest of the model covers: what is sent, not where it is served, nor limits and deadlines.

        What a model leaves out is left out here too, so that digests outlast options that come later.
        """
        call = self.call if isinstance(self.call, str) or self.call is None else callable_name(self.call)
        behaviour = None if self.simulate is None else self.simulate.model_dump()
        if behaviour is not None and behaviour["judge"] is None:
            del behaviour["judge"]
        return {
            "provider": self.provider,
            "model": self.name,
            "params": self.params,
            "call": call,
            "simulate": behaviour,
            **({} if self.api_version is None else {"api_version": self.api_version}),
            **({} if self.on_unsupported == "error" else {"on_unsupported": self.on_unsupported}),
        }


class Lane(Part):
    """A quota boundary: the models that share it and what it allows."""

    models: list[str] = Field(min_length=1, description="Ids of the models that share this quota")
    requests_per_minute: float | None = Field(None, gt=0, description="What the provider allows")
    tokens_per_minute: float | None = Field(
        None, gt=0, description="What the provider allows, input and output together"
    )
    input_tokens_per_minute: float | None = Field(None, gt=0, description="What the provider allows of input alone")
    output_tokens_per_minute: float | None = Field(None, gt=0, description="What the provider allows of output alone")
    request_burst_s: float = Field(
        0.01,
        gt=0,
        le=0.1,
        description="Seconds of the limit that may go at once, beside one request: little, as "
        "several providers enforce a minute's limit by the second",
    )
    token_burst_s: float = Field(1.5, gt=0, le=10, description="Seconds of the limits of tokens that may go at once")
    concurrency: int = Field(64, ge=1, le=10_000, description="Requests under way at once")


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


class Budget(Part):
    """What a run may spend."""

    max_cost_usd: float | None = Field(
        None, gt=0, description="Most US dollars: every model needs a price then, and a limit of its output"
    )
    max_tokens: int | None = Field(
        None, gt=0, description="Most tokens, input and output together: every model needs a limit of its output then"
    )
    max_minutes: float | None = Field(None, gt=0, description="Most minutes")


class Store(Part):
    """What a run keeps of what models say."""

    outputs: Literal["keep", "hash", "drop"] = Field(
        "keep", description="Outputs as they are; or once they are scored only a hash of each, or nothing"
    )
    redact: list[str] = Field(
        default_factory=list[str],
        description="Regular expressions (Python's); what matches in an output or an error is `[redacted]` before it "
        "is scored, logged or stored",
    )

    @field_validator("redact")
    @classmethod
    def _patterns(cls, value: list[str]) -> list[str]:
        for pattern in value:
            try:
                matches_nothing = re.compile(pattern).search("") is not None
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
            if matches_nothing:
                raise ValueError(f"{pattern!r} matches where nothing stands, and so everywhere")
        return value


class Suite(Declaration):
    """The declared evaluation.

    Attributes
    ----------
    name : str
        Name of the suite.
    items : str, list of dict, or Items
        A path, the rows themselves, or both with options.
    prompts : dict of str to str, dict or PromptSource
        Prompt name to source. A plain text is a path when it names a file type, else the template itself.
    models, lanes, scorers, gates : list
        See the classes of the same name.
    seeds : int
        Replicates of every (item, prompt, model).
    first_seed : int
        Their numbers are ``first_seed`` and up.
    compare : Compare, optional
        The two arms.

    Raises
    ------
    ConfigError
        If something is wrong; one error names every problem, one a line.

    Examples
    --------
    >>> suite = Suite(
    ...     name="sums",
    ...     items=[{"question": "1+1?", "target": "2"}],
    ...     prompts={"plain": "{{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated"}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ... )
    >>> suite.prompts["plain"].text, suite.models[0].name, suite.seeds
    ('{{ question }}', 'small', 1)
    """

    name: Name = Field(description="Name of the suite")
    items: Items = Field(description="A path, the rows themselves, or a mapping with options")
    prompts: dict[Name, PromptSource] = Field(
        min_length=1, description="By name: a path, the text of one user message, a list of messages, or a mapping"
    )
    models: list[Model] = Field(min_length=1, description="What answers")
    lanes: list[Lane] = Field(default_factory=list, description="Quotas; a model in no lane has one of its own")
    seeds: int = Field(1, ge=1, le=1000, description="Replicates of every (item, prompt, model)")
    first_seed: int = Field(1, ge=1, le=1_000_000, description="Number of the first seed; others draw independently")
    scorers: list[Scorer] = Field(default_factory=list, description="How answers are scored")
    compare: Compare | None = Field(
        None, description="The two arms; without it gates are absolute, or meet another run"
    )
    gates: list[Gate] = Field(default_factory=list, description="What may pass")
    policy: Policy = Field(Policy.model_construct(), description="How verdicts are made")
    budget: Budget = Field(Budget.model_construct(), description="What a run may spend")
    store: Store = Field(Store.model_construct(), description="What a run keeps of what models say")

    @property
    def places(self) -> list[Model]:
        """All models at all of their endpoints; see :attr:`Model.places`."""
        return [place for model in self.models for place in model.places]

    @property
    def tested(self) -> list[Model]:
        """The models under test: all but the judges."""
        return [model for model in self.models if model.role == "tested"]

    @property
    def judges(self) -> list[Model]:
        """The models that grade answers."""
        return [model for model in self.models if model.role == "judge"]

    @field_validator("items", mode="before")
    @classmethod
    def _short_items(cls, value: Any) -> Any:
        if isinstance(value, str | Path):
            return {"path": str(value)}
        return {"rows": value} if isinstance(value, list) else value

    @field_validator("prompts", mode="before")
    @classmethod
    def _short_prompts(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: _prompt_source(source) for name, source in value.items()}  # pyright: ignore[reportUnknownVariableType]

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        found = [*self._repeated(), *self._unresolved()]
        if found:
            raise Problems(found)
        return self

    def _repeated(self) -> Iterator[Problem]:
        yield from repeated([(("models", index, "id"), model.id) for index, model in enumerate(self.models)])
        shared = [
            (("lanes", i, "models", k), name) for i, lane in enumerate(self.lanes) for k, name in enumerate(lane.models)
        ]
        yield from repeated(shared)
        identities: dict[tuple[str, str], str] = {}
        for index, model in enumerate(self.models):
            twin = identities.setdefault((model.role, digest(model.identity)), model.id)
            if twin != model.id:
                mend = "give one of them another `model` or `params`, or use `seeds` to repeat"
                yield Problem(("models", index), f"asks the same of the same model as {twin!r}", model.id, mend)

    def _unresolved(self) -> Iterator[Problem]:
        models, tested = [model.id for model in self.models], [model.id for model in self.tested]
        metrics = [*(scorer.name for scorer in self.scorers), *BUILTIN_METRICS]
        places = [place.id for place in self.places]
        for index, lane in enumerate(self.lanes):
            for place, name in enumerate(lane.models):
                yield from unknown(("lanes", index, "models", place), name, list(dict.fromkeys([*models, *places])))
        for side in ("baseline", "candidate") if self.compare else ():
            arm: Arm = getattr(self.compare, side)
            yield from unknown(("compare", side, arm.axis), arm.value, tested if arm.axis == "model" else self.prompts)
        roles = {model.id: model.role for model in self.models}
        yield from judge_problems(self.scorers, roles, compares=self.compare is not None)
        if self.store.outputs != "keep" and any(getattr(scorer, "asked", ()) for scorer in self.scorers):
            said = "cannot be with judges: what they are asked holds the answers, and stays in the run"
            yield Problem(("store", "outputs"), said, self.store.outputs, "keep outputs, or redact what is sensitive")
        yield from evaluator_problems(self.scorers, roles)
        whole = {scorer.name for scorer in self.scorers if isinstance(scorer, OverLabels)}
        for index, gate in enumerate(self.gates):
            yield from unknown(("gates", index, "metric"), gate.metric, metrics)
            if gate.metric in whole and gate.rule in {"max_ratio", "zero_tolerance"}:
                said = "looks at items one by one, and this metric is one of all of them together"
                yield Problem(("gates", index, gate.rule), said, gate.metric, "give a `margin`, `min` or `max`")
        yield from scorer_problems(self.scorers, taken=BUILTIN_METRICS)
        for index, scorer in enumerate(self.scorers):
            if isinstance(scorer, PassAtK) and scorer.k > self.seeds:
                mend = f"give the suite at least {scorer.k} seeds"
                yield Problem(("scorers", index, "k"), f"needs more seeds than {self.seeds}", scorer.k, mend)

    # The last validator stands around all others.
    @model_validator(mode="wrap")
    @classmethod
    def _own_errors(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        return cls._declared(data, handler, info)


_PROMPT_FILE = re.compile(r"\.(txt|md|jinja|jinja2|j2|yml|yaml|json|jsonl|prompt|prompty)(#[1-9][0-9]*)?$")


def callable_name(call: Callable[..., Any]) -> str:
    """Return ``module:qualname`` of a callable (its class where an instance is called)."""
    named = call if hasattr(call, "__qualname__") else type(call)
    return f"{named.__module__}:{named.__qualname__}"


def _prompt_source(source: Any) -> Any:
    if isinstance(source, list):
        return {"messages": source}
    if not isinstance(source, str | Path):
        return source
    text = str(source)
    # A word with a slash or a suffix is no prompt: better a missing file than a path that is sent as a prompt.
    is_word = not re.search(r"\s|{[{%]", text) and re.search(r"/|\.\w+(#[1-9][0-9]*)?$", text)
    is_path = is_word or ("\n" not in text and "{{" not in text and _PROMPT_FILE.search(text))
    return {"path": text} if is_path else {"text": text}
