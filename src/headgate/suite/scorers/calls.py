"""Scorers that call something: a function of the user, an embeddings endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from headgate.suite.part import Params, TemplateText
from headgate.suite.scorers.base import TARGET, Called, ScorerPart
from headgate.suite.secret import REFERENCES, SECRET_REFERENCE, check_params, check_reference


class Python(Called):
    """A sync or async function of one row: ``grade(output, item) -> float | bool | None``."""

    type: Literal["python"] = Field(description="The kind of scorer")
    call: str | SkipJsonSchema[Callable[..., Any]] = Field(
        description="'module:function'; may lie beside the suite file"
    )
    batch: bool = Field(
        False, description="The function takes lists, of outputs and of items, and returns a list of as many scores"
    )


class EmbeddingSimilarity(ScorerPart):
    """Cosine of the embeddings of output and target, from -1 to 1, by an OpenAI-shaped ``/embeddings`` endpoint."""

    type: Literal["embedding_similarity"] = Field(description="The kind of scorer")
    model: str = Field(description="The provider's name of the embedding model")
    target: TemplateText = Field(TARGET, description="Template over the item's columns")
    threshold: float | None = Field(None, ge=-1, le=1, description="1 when the cosine is at least this, else 0")
    base_url: str = Field(
        "https://api.openai.com/v1", description="Where the API lives; `/embeddings` is added to it", max_length=2000
    )
    api_key: str | None = Field(
        None,
        description=f"Reference to the key: {REFERENCES}; never the key itself",
        json_schema_extra={"pattern": SECRET_REFERENCE.pattern},
    )
    params: Params = Field(default_factory=dict, description="Further fields of the request, such as dimensions")
    batch_size: int = Field(64, ge=1, le=2048, description="Texts in one request")
    concurrency: int = Field(8, ge=1, le=256, description="Requests under way at once")
    requests_per_minute: float | None = Field(None, gt=0, description="Pace of the requests; default: unpaced")
    timeout_s: float = Field(60.0, gt=0, description="Deadline of one request in seconds")

    @field_validator("api_key")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        return check_reference(value)

    @field_validator("params")
    @classmethod
    def _no_secret(cls, value: dict[str, Any]) -> dict[str, Any]:
        return check_params(value, of="scorer")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not re.match(r"^https?://[^/\s@]+(/|$)", self.base_url):
            raise ValueError("`base_url` is not an http(s) URL without a login")  # not repeated: it may hold a password
        if self.negate and self.threshold is None:
            raise ValueError("`negate` asks for a score from 0 to 1: give a `threshold`")
        return self
