"""One of several places that serve a model: where it is, what it costs there, and what it can do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from headgate.suite.part import Name, Part
from headgate.suite.price import Price
from headgate.suite.secret import REFERENCES, SECRET_REFERENCE, check_reference

Capability = Literal["images", "tools", "json", "logprobs"]
"""What not every server of a model offers: a job that needs it goes only where it is."""

RouteName = Literal["primary", "fallback", "weighted", "cost_first"]
"""How a job's first endpoint is chosen, and whether others stand in for it."""


class Endpoint(Part):
    """One place that serves the model that it stands in; what it leaves out is the model's own."""

    name: Name = Field(description="What rows and lanes call it")
    provider: str | None = Field(None, description="Which API it speaks; default: the model's provider")
    model: str | None = Field(None, description="The model's name at this place; default: the model's")
    base_url: str | None = Field(None, description="Where the API lives; it is never taken from another endpoint")
    api_key: str | None = Field(
        None,
        description=f"Reference to the key of this place: {REFERENCES}; never the key itself",
        json_schema_extra={"pattern": SECRET_REFERENCE.pattern},
    )
    api_version: str | None = Field(
        None, min_length=1, description="Version of the API at this place, where it has versions; default: the model's"
    )
    price: Price | None = Field(None, description="What tokens cost here; default: what is published, where it is")
    weight: float = Field(1.0, gt=0, description="route weighted: its share of the items, beside the others' weights")
    capabilities: list[Capability] | None = Field(
        None, description="What it offers of images, tools, json and logprobs; default: all of it"
    )
    substitute: Name | None = Field(
        None,
        description="Name of another model that answers here: only with `allow_substitution`, when nothing else does; "
        "its rows are not the model's",
    )

    @field_validator("api_key")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        return check_reference(value)
