"""What the tokens of a model cost: as the suite says, or as published; and what an answer costs at that."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from headgate.suite.model import Model
from headgate.suite.price import Price

_MILLION: Final = 1e6
_HALF_HOURS: Final = [timedelta(minutes=30 * number) for number in range(48)]
_USUAL_TIERS: Final = frozenset({None, "auto", "default", "standard"})
_NOT_BY_TOKEN: Final = frozenset({"requests_kcount", "input_mchars", "output_reasoning_mtok", "output_citation_mtok"})
"""Published prices of what rows do not count: a model that has one of them has no price here."""

_PUBLISHERS: Final[Mapping[str, str]] = {
    "openai": "openai",
    "openai-responses": "openai",
    "anthropic": "anthropic",
    "bedrock": "aws",
    "gemini": "google",
    "mistral": "mistral",
    "groq": "groq",
    "together": "together",
    "openrouter": "openrouter",
    "deepseek": "deepseek",
}
"""What genai-prices calls the providers that have an address of their own; others are looked up by theirs."""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars per million tokens, for requests with more than so many input tokens.

    Attributes
    ----------
    above_input_tokens : int
        From where on they hold, for all tokens of the request.
    """

    above_input_tokens: int = 0
    input_usd_per_million: float
    cached_input_usd_per_million: float
    cache_write_usd_per_million: float
    output_usd_per_million: float


class ModelPrice(msgspec.Struct, frozen=True, kw_only=True):
    """The price that a run computes with; it stands in the manifest.

    Attributes
    ----------
    rates : tuple of Rates
        Ascending; the first holds from the first token on.
    source : str
        Who says so: ``suite``, or the library with its version, its name of the model and the day.

    Examples
    --------
    >>> price = declared_price(Price(input_usd_per_million=2, output_usd_per_million=8, cached_input_usd_per_million=1))
    >>> price.cost_usd(1_000_000, 500_000, cached_tokens=400_000)
    5.6
    """

    rates: tuple[Rates, ...]
    source: str

    def cost_usd(
        self,
        input_tokens: float | None,
        output_tokens: float | None,
        cached_tokens: float | None = None,
        cache_write_tokens: float | None = None,
    ) -> float | None:
        """Return what an answer cost; None where a count is not known, or is none.

        Parameters
        ----------
        input_tokens : float or None
            All of them, those included that the cache held or was given; or the mean of several answers.
        output_tokens : float or None
            All of them, reasoning included.
        cached_tokens, cache_write_tokens : float, optional
            How many of the input tokens came from the provider's cache, and went into it.
        """
        if input_tokens is None or output_tokens is None or input_tokens < 0 or output_tokens < 0:
            return None
        rates = self.rates[0] if len(self.rates) == 1 else self._rates(input_tokens)
        uncached, cost = input_tokens, output_tokens * rates.output_usd_per_million
        if cached_tokens or cache_write_tokens:
            cached = min(max(cached_tokens or 0, 0), input_tokens)
            written = min(max(cache_write_tokens or 0, 0), input_tokens - cached)
            uncached = input_tokens - cached - written
            cost += cached * rates.cached_input_usd_per_million + written * rates.cache_write_usd_per_million
        return (cost + uncached * rates.input_usd_per_million) / _MILLION

    def most_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Return the most that a request can cost with at most so many tokens.

        Examples
        --------
        >>> declared_price(Price(input_usd_per_million=2, output_usd_per_million=8)).most_usd(1000, 100)
        0.0028
        """
        return max(
            (_dearest_input(rates) * input_tokens + rates.output_usd_per_million * output_tokens) / _MILLION
            for rates in self.rates
            if rates.above_input_tokens < max(input_tokens, 1)
        )

    def _rates(self, input_tokens: float) -> Rates:
        found = self.rates[0]
        for rates in self.rates:
            if input_tokens > rates.above_input_tokens:
                found = rates
        return found


def _dearest_input(rates: Rates) -> float:
    return max(rates.input_usd_per_million, rates.cached_input_usd_per_million, rates.cache_write_usd_per_million)


def find_prices(models: Iterable[Model], *, when: datetime | None = None) -> dict[str, ModelPrice | None]:
    """Return the price of each model by its id; None where it is not known, which is not zero.

    Parameters
    ----------
    models : iterable of Model
        Without a ``price`` of their own, ``python`` and ``simulated`` ones have none.
    when : datetime, optional
        Of which day; default: today.

    Notes
    -----
    Published prices are those that come with the package ``genai-prices``; nothing is fetched. A model is looked up
    under its provider's address alone, never by its name: who else serves it may charge something else. Where a price
    depends on the time of day, the dearest holds.

    Examples
    --------
    >>> find_prices([Model(id="m", provider="simulated")])
    {'m': None}
    """
    day = when or datetime.now(UTC)
    return {model.id: _find(model, day) for model in models}


def declared_price(price: Price) -> ModelPrice:
    """Return a price that the suite declares."""
    cached, written = price.cached_input_usd_per_million, price.cache_write_usd_per_million
    rates = Rates(
        input_usd_per_million=price.input_usd_per_million,
        cached_input_usd_per_million=price.input_usd_per_million if cached is None else cached,
        cache_write_usd_per_million=price.input_usd_per_million if written is None else written,
        output_usd_per_million=price.output_usd_per_million,
    )
    return ModelPrice(rates=(rates,), source="suite")


def format_usd(usd: float) -> str:
    """Return an amount as text: whole cents, or three digits of less than a dollar.

    Examples
    --------
    >>> format_usd(1234.5), format_usd(0.0123456), format_usd(0)
    ('$1,234.50', '$0.0123', '$0')
    """
    if usd >= 1 or usd <= 0:
        return f"${usd:,.2f}" if usd else "$0"
    return f"${usd:.{2 - math.floor(math.log10(usd))}f}"


def _find(model: Model, when: datetime) -> ModelPrice | None:
    if model.price is not None:
        return declared_price(model.price)
    if model.provider in {"python", "simulated", "ollama"}:
        return None
    if model.base_url is None:
        publisher = _PUBLISHERS.get(model.provider)
        return None if publisher is None else _published(model, when, provider_id=publisher)
    if model.base_url.startswith("http://"):  # nobody who publishes prices takes keys in the clear
        return None
    return _published(model, when, provider_api_url=model.base_url)


def _published(model: Model, when: datetime, **provider: str) -> ModelPrice | None:
    """Look a model up in the library, which takes a tenth of a second to load."""
    import genai_prices

    tier = model.params.get("service_tier")
    context = None if tier in _USUAL_TIERS else {"service_tier": str(tier)}

    def look_up(time: datetime) -> Any:
        return genai_prices.calc_price(
            genai_prices.Usage(), model.name, genai_request_timestamp=time, price_context=context, **provider
        )

    try:
        found = look_up(when)
    except LookupError:
        return None
    if context is not None and not any(variant.when == context for variant in found.model.price_variants or ()):
        return None
    midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
    times = [midnight + part for part in _HALF_HOURS] if _has_hours(found.model) else []
    tables = [_rates(priced.model_price) for priced in [found, *map(look_up, times)]]
    known = [table for table in tables if table is not None]
    if len(known) < len(tables):
        return None
    day = f"{when:%Y-%m-%d}" + (", at its dearest" if times else "")
    source = f"genai-prices {genai_prices.__version__}: {found.provider.id} {found.model.id}, {day}"
    return ModelPrice(rates=max(known, key=_dearness), source=source)


def _has_hours(model: Any) -> bool:
    """Tell whether a price depends on the time of day."""
    steps = model.prices if isinstance(model.prices, list) else []
    return any(hasattr(step.constraint, "start_time") for step in steps)


def _dearness(rates: tuple[Rates, ...]) -> tuple[float, float]:
    return rates[-1].output_usd_per_million, rates[-1].input_usd_per_million


def _rates(published: Any) -> tuple[Rates, ...] | None:
    """Return a published price as rates; None if its input or output has none, or it counts what rows do not."""
    if any(getattr(published, name, None) is not None for name in _NOT_BY_TOKEN):
        return None
    ours, theirs = published.input_mtok, published.output_mtok
    if ours is None or theirs is None:
        return None
    cached = ours if published.cache_read_mtok is None else published.cache_read_mtok
    written = ours if published.cache_write_mtok is None else published.cache_write_mtok
    starts = sorted({0, *(tier.start for price in (ours, theirs, cached, written) for tier in _tiers(price))})
    return tuple(
        Rates(
            above_input_tokens=start,
            input_usd_per_million=_at(ours, start),
            cached_input_usd_per_million=_at(cached, start),
            cache_write_usd_per_million=_at(written, start),
            output_usd_per_million=_at(theirs, start),
        )
        for start in starts
    )


def _tiers(price: Any) -> list[Any]:
    return getattr(price, "tiers", [])


def _at(price: Any, start: int) -> float:
    """Return a published price for requests above so many input tokens."""
    found = getattr(price, "base", price)
    for tier in _tiers(price):
        found = tier.price if start >= tier.start else found
    return float(found)
