"""What the user says that a model costs."""

from __future__ import annotations

from pydantic import Field

from headgate.suite.part import Part


class Price(Part):
    """What the tokens of a model cost, in US dollars per million; it goes before the published price."""

    input_usd_per_million: float = Field(ge=0, description="US dollars for a million input tokens")
    output_usd_per_million: float = Field(
        ge=0, description="US dollars for a million output tokens, reasoning included"
    )
    cached_input_usd_per_million: float | None = Field(
        None, ge=0, description="For input tokens that the provider's cache held; default: as other input"
    )
    cache_write_usd_per_million: float | None = Field(
        None, ge=0, description="For input tokens that it put into its cache; default: as other input"
    )
