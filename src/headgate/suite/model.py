"""What answers, as declared: models and the quotas that they share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, Self, get_args

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from headgate.suite.callables import callable_name
from headgate.suite.endpoint import Endpoint, RouteName
from headgate.suite.part import Name, Params, Part
from headgate.suite.price import Price
from headgate.suite.secret import REFERENCES, SECRET_REFERENCE, check_params, check_reference
from headgate.suite.simulation import Simulation

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
