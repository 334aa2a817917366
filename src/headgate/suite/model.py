"""What the user declares: the suite and its parts, frozen and validated.

Field names here are the keys of the suite file; the JSON Schema is generated from these classes. Nothing in this module touches a file:
paths stay text until :mod:`headgate.suite.items` and :mod:`headgate.registry` open them, relative to ``Suite.base``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

BUILTIN_METRICS: tuple[str, ...] = ("latency_s", "cost_usd", "output_tokens", "error_rate")
"""Metrics that need no scorer; lower is better for all of them."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$", max_length=64)]
"""A name that is safe as a file stem, a column and an id."""


class Part(BaseModel):
    """Base of all parts: frozen, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, validate_default=True)


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


class Message(Part):
    """One chat message; the content is a template."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str


class PromptSource(Part):
    """Where a prompt comes from: a file, inline text (one user message), or inline messages."""

    path: str | None = Field(None, description="Prompt file: .txt, .md, .jinja, .j2 or .prompt.yml")
    text: str | None = Field(None, description="Template of the single user message")
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


class Simulation(Part):
    """How a simulated model behaves."""

    accuracy: float | dict[str, float] = Field(
        0.9, description="Mean probability of a right answer; or one per prompt name"
    )
    spread: float = Field(
        1.0, ge=0, description="Item difficulty: standard deviation of the logit over items (0: all alike)"
    )
    latency_s: float = Field(0.005, ge=0, le=60, description="Median latency in seconds")
    latency_spread: float = Field(0.2, ge=0, le=3, description="Standard deviation of log latency")
    wrong_latency_ratio: float = Field(1.0, gt=0, description="Latency of wrong answers relative to right ones")
    requests_per_second: float | None = Field(None, gt=0, description="Enforced limit; above it the server says 429")
    faults: Faults = Faults.model_construct()

    @field_validator("accuracy")
    @classmethod
    def _probabilities(cls, value: float | dict[str, float]) -> float | dict[str, float]:
        for probability in value.values() if isinstance(value, dict) else (value,):
            if not 0 <= probability <= 1:
                raise ValueError(f"accuracy {probability} is not between 0 and 1")
        return value


SECRET_REFERENCE = re.compile(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")


class Model(Part):
    """What answers: provider, model name and sampling parameters."""

    id: Name = Field(description="Name of the model in results and gates")
    provider: Literal["openai", "openai-compatible", "python", "simulated"]
    model: str | None = Field(None, description="The provider's name of the model; default: the id")
    base_url: str | None = Field(None, description="Where the API lives, such as http://vllm:8000/v1")
    api_key: str | None = Field(None, description="Reference to the key: env:NAME or file:PATH; never the key itself")
    params: dict[str, Any] = Field(default_factory=dict, description="Sampling parameters, sent as they stand")
    call: str | SkipJsonSchema[Callable[..., Any]] | None = Field(
        None, description="provider python: 'module:function' of a sync or async callable"
    )
    simulate: Simulation | None = Field(None, description="provider simulated: how it behaves")
    timeout_s: float = Field(120.0, gt=0, description="Deadline of one attempt in seconds")
    max_attempts: int = Field(6, ge=1, le=100, description="HTTP tries per job")
    deadline_s: float = Field(900.0, gt=0, description="Deadline of one job over all attempts in seconds")

    @field_validator("api_key")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        if value is not None and not SECRET_REFERENCE.match(value):
            # The value is not repeated: it may be a real key.
            raise ValueError("a key is given by reference: env:NAME or file:PATH, never the key itself")
        return value

    @model_validator(mode="after")
    def _fits_provider(self) -> Self:
        if (self.provider == "python") != (self.call is not None):
            raise ValueError("`call` goes with provider python, and provider python needs it")
        if self.simulate is not None and self.provider != "simulated":
            raise ValueError("`simulate` goes with provider simulated")
        if self.provider == "openai-compatible" and self.base_url is None:
            raise ValueError("provider openai-compatible needs `base_url`")
        if self.base_url is not None and not re.match(r"^https?://[^/\s]+", self.base_url):
            raise ValueError(f"`base_url` {self.base_url!r} is not an http(s) URL")
        return self

    @property
    def name(self) -> str:
        """The provider's name of the model."""
        return self.model or self.id

    @property
    def identity(self) -> dict[str, Any]:
        """What the digest of the model covers: not where it is served, nor limits and deadlines."""
        call = self.call if isinstance(self.call, str) or self.call is None else callable_name(self.call)
        behaviour = None if self.simulate is None else self.simulate.model_dump()
        return {
            "provider": self.provider,
            "model": self.name,
            "params": self.params,
            "call": call,
            "simulate": behaviour,
        }


class Lane(Part):
    """A quota boundary: the models that share it and what it allows."""

    models: list[str] = Field(min_length=1, description="Ids of the models that share this quota")
    requests_per_minute: float | None = Field(None, gt=0)
    tokens_per_minute: float | None = Field(None, gt=0)
    concurrency: int = Field(64, ge=1, le=10_000, description="Requests under way at once")


class _Scorer(Part):
    name: Name
    negate: bool = Field(False, description="1 - score")


class ExactMatch(_Scorer):
    """1 when the output equals the target, else 0."""

    type: Literal["exact_match"]
    target: str = Field("{{ target }}", description="Template over the item's columns")
    ignore_case: bool = False
    strip: bool = Field(True, description="Ignore white space around both")


class Contains(_Scorer):
    """1 when the output contains the target, else 0."""

    type: Literal["contains"]
    target: str = Field("{{ target }}", description="Template over the item's columns")
    ignore_case: bool = False


class Regex(_Scorer):
    """1 when the pattern is found in the output, else 0 (Rust regular expressions: no look-around)."""

    type: Literal["regex"]
    pattern: str
    ignore_case: bool = False


class Numeric(_Scorer):
    """1 when the last number in the output equals the target within the tolerance, else 0."""

    type: Literal["numeric"]
    target: str = Field("{{ target }}", description="Template over the item's columns")
    tolerance: float = Field(0.0, ge=0, description="Absolute tolerance")
    relative_tolerance: float = Field(1e-9, ge=0, description="Tolerance relative to the target")


class JsonValid(_Scorer):
    """1 when the output is one JSON document, else 0."""

    type: Literal["json_valid"]


class Python(_Scorer):
    """A sync or async function of one row: ``grade(output, item) -> float | bool | None``."""

    type: Literal["python"]
    call: str | SkipJsonSchema[Callable[..., Any]] = Field(description="'module:function'; may lie beside the suite file")
    bounds: tuple[float, float] | None = Field((0.0, 1.0), description="Smallest and largest score; null: unbounded")
    higher_is_better: bool = True


Scorer = Annotated[ExactMatch | Contains | Regex | Numeric | JsonValid | Python, Field(discriminator="type")]


class Arm(Part):
    """One arm of a comparison: a prompt or a model."""

    prompt: str | None = None
    model: str | None = None

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


class Compare(Part):
    """Which two arms of this suite are compared."""

    baseline: Arm
    candidate: Arm

    @model_validator(mode="after")
    def _same_axis(self) -> Self:
        if self.baseline.axis != self.candidate.axis:
            raise ValueError("baseline and candidate differ on one axis: both a prompt or both a model")
        if self.baseline.value == self.candidate.value:
            raise ValueError(f"baseline and candidate are both {self.baseline.value!r}")
        return self


_RULES = ("margin", "min", "max", "max_ratio", "zero_tolerance")


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
    tier: Literal["blocking", "warning", "monitor"] = "blocking"

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        given = [rule for rule in _RULES if getattr(self, rule) not in (None, False)]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(_RULES)}" + (f", not {' and '.join(given)}" if given else ""))
        if self.reproduce is not None:
            if not self.zero_tolerance:
                raise ValueError("`reproduce` goes with `zero_tolerance`")
            wanted, of = map(int, self.reproduce.split("/"))
            if wanted > of:
                raise ValueError(f"`reproduce` {self.reproduce!r} asks for more seeds than it looks at")
        return self

    @property
    def rule(self) -> Literal["margin", "min", "max", "max_ratio", "zero_tolerance"]:
        """The one rule that is given."""
        return next(rule for rule in _RULES if getattr(self, rule) not in (None, False))  # type: ignore[return-value] # pyright: ignore[reportReturnType]


class Policy(Part):
    """How verdicts are made."""

    alpha: float = Field(0.05, gt=0, lt=0.5, description="Declared rate of false blocks and of false passes")
    on_inconclusive: Literal["keep", "pass", "fail"] = Field("keep", description="What exit code 20 becomes")
    max_error_rate: float = Field(0.01, ge=0, lt=1, description="Share of errored jobs above which the verdict is invalid")
    max_seeds: int | None = Field(None, ge=1, description="Most seeds that check may add (adaptive seeds)")


class Budget(Part):
    """What a run may spend."""

    max_cost_usd: float | None = Field(None, gt=0)
    max_minutes: float | None = Field(None, gt=0)


class Suite(Part):
    """The declared evaluation.

    Parameters
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
    compare : Compare, optional
        The two arms.

    Raises
    ------
    pydantic.ValidationError
        If a field is wrong; :func:`headgate.load_suite` turns it into a :class:`~headgate.errors.ConfigError`.

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

    name: Name
    items: Items
    prompts: dict[Name, PromptSource] = Field(min_length=1)
    models: list[Model] = Field(min_length=1)
    lanes: list[Lane] = Field(default_factory=list)
    seeds: int = Field(1, ge=1, le=1000)
    scorers: list[Scorer] = Field(default_factory=list)
    compare: Compare | None = None
    gates: list[Gate] = Field(default_factory=list)
    policy: Policy = Policy.model_construct()
    budget: Budget = Budget.model_construct()

    _base: Path = PrivateAttr(default_factory=Path.cwd)
    _file: Path | None = PrivateAttr(default=None)

    @property
    def base(self) -> Path:
        """Folder that relative paths start from."""
        return self._base

    @property
    def file(self) -> Path | None:
        """The file the suite was read from, if any."""
        return self._file

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
        _unique("models", [model.id for model in self.models])
        _unique("scorers", [scorer.name for scorer in self.scorers])
        models = {model.id for model in self.models}
        for index, lane in enumerate(self.lanes):
            _known(f"lanes.{index}.models", lane.models, models)
        _unique("lanes", [model for lane in self.lanes for model in lane.models])
        if self.compare is not None:
            names = set(self.prompts) if self.compare.baseline.axis == "prompt" else models
            for arm in ("baseline", "candidate"):
                _known(f"compare.{arm}", [getattr(self.compare, arm).value], names)
        metrics = {scorer.name for scorer in self.scorers} | set(BUILTIN_METRICS)
        for index, gate in enumerate(self.gates):
            _known(f"gates.{index}.metric", [gate.metric], metrics)
        clash = {scorer.name for scorer in self.scorers} & set(BUILTIN_METRICS)
        if clash:
            raise ValueError(f"scorer name {min(clash)!r} is the name of a built-in metric")
        return self


_PROMPT_FILE = re.compile(r"\.(txt|md|jinja|jinja2|j2|yml|yaml|json|prompt|prompty)$")


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
    is_path = "\n" not in text and "{{" not in text and _PROMPT_FILE.search(text)
    return {"path": text} if is_path else {"text": text}


def _unique(where: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{where}: {name!r} stands there twice")


def _known(where: str, names: list[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{where}: {name!r} is not declared; declared are {', '.join(sorted(known))}")
