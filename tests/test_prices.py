"""Prices: what the suite says, what is published, and what an answer costs at that."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.prices import ModelPrice, Rates, declared_price, find_prices, format_usd
from headgate.suite.model import Model
from headgate.suite.price import Price

DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
PLAIN = Price(input_usd_per_million=2.0, output_usd_per_million=8.0, cached_input_usd_per_million=0.5)
TOKENS = st.integers(0, 10**7)


def openai(name: str, **fields) -> Model:
    return Model(id="m", provider="openai", model=name, **fields)


def served(name: str, base_url: str, **fields) -> Model:
    return Model(id="m", provider="openai-compatible", model=name, base_url=base_url, **fields)


def price_of(model: Model, when: datetime = DAY) -> ModelPrice | None:
    return find_prices([model], when=when)["m"]


# What an answer costs


def test_cached_tokens_are_counted_once():
    """They are among the input tokens, and cost less."""
    price = declared_price(PLAIN)
    assert price.cost_usd(1_000_000, 0) == 2.0
    assert price.cost_usd(1_000_000, 0, cached_tokens=1_000_000) == 0.5
    assert price.cost_usd(1_000_000, 1_000_000, cached_tokens=500_000) == 1.0 + 0.25 + 8.0


def test_what_went_into_the_cache_costs_what_that_costs():
    price = declared_price(PLAIN.model_copy(update={"cache_write_usd_per_million": 2.5}))
    assert price.cost_usd(1_000_000, 0, cached_tokens=200_000, cache_write_tokens=400_000) == 0.8 + 0.1 + 1.0


@pytest.mark.parametrize("tokens", [(None, 5), (5, None), (None, None), (-1, 5), (5, -1)])
def test_what_is_not_counted_has_no_cost(tokens):
    assert declared_price(PLAIN).cost_usd(*tokens) is None


@given(TOKENS, TOKENS, st.integers(-10, 10**8), st.integers(-10, 10**8))
def test_no_count_that_a_server_makes_up_costs_less_than_nothing_or_more_than_the_most(
    inputs, outputs, cached, written
):
    price = declared_price(PLAIN.model_copy(update={"cache_write_usd_per_million": 2.5}))
    cost = price.cost_usd(inputs, outputs, cached_tokens=cached, cache_write_tokens=written)
    assert 0 <= cost <= price.most_usd(inputs, outputs) * (1 + 1e-12)


def test_what_costs_nothing_is_known_to():
    free = declared_price(Price(input_usd_per_million=0.0, output_usd_per_million=0.0))
    assert free.cost_usd(100, 100) == 0.0


@settings(deadline=None)  # the first call loads the library
@given(TOKENS, TOKENS, st.floats(0, 1), st.floats(0, 1))
def test_long_requests_cost_what_the_library_says(inputs, outputs, cached_share, written_share):
    """Against the library itself, in decimals: a model with rates for long requests, a cache, and writes into it."""
    cached = int(inputs * cached_share)
    written = int((inputs - cached) * written_share)
    usage = Usage(input_tokens=inputs, output_tokens=outputs, cache_read_tokens=cached, cache_write_tokens=written)
    theirs = calc_price(usage, "gpt-6-sol", provider_id="openai", genai_request_timestamp=DAY).total_price
    price = price_of(openai("gpt-6-sol"))
    assert price is not None
    assert len(price.rates) > 1
    ours = price.cost_usd(inputs, outputs, cached_tokens=cached, cache_write_tokens=written)
    assert ours == pytest.approx(float(theirs), rel=1e-12, abs=1e-18)


@given(st.integers(1, 10**6), st.integers(1, 10**5), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_no_request_costs_more_than_the_most(inputs, outputs, used, cached, written):
    price = price_of(openai("gpt-6-sol"))
    assert price is not None
    real = int(inputs * used)
    cost = price.cost_usd(
        real, outputs, cached_tokens=int(real * cached), cache_write_tokens=int(real * (1 - cached) * written)
    )
    assert cost <= price.most_usd(inputs, outputs) * (1 + 1e-12)


def test_the_most_is_what_the_dearest_rates_within_reach_ask():
    """A longer request may cost less a token; it is the short one that may come."""
    steps = [
        Rates(above_input_tokens=start, input_usd_per_million=rate, cached_input_usd_per_million=rate,
              cache_write_usd_per_million=rate, output_usd_per_million=0.0)
        for start, rate in ((0, 9.0), (100, 1.0))
    ]  # fmt: skip
    price = ModelPrice(rates=tuple(steps), source="test")
    assert price.most_usd(1000, 0) == pytest.approx(9e-3)
    assert price.cost_usd(100, 0) == pytest.approx(9e-4)
    assert price.cost_usd(101, 0) == pytest.approx(1.01e-4)


# Which price holds


def test_the_suite_goes_before_what_is_published():
    price = price_of(openai("gpt-5-mini", price=PLAIN.model_dump()))
    assert price == declared_price(PLAIN)
    assert price.source == "suite"
    (rates,) = price.rates
    assert (rates.cached_input_usd_per_million, rates.cache_write_usd_per_million) == (0.5, 2.0)


def test_published_prices_say_where_they_come_from(monkeypatch):
    def no_network(*_):
        raise AssertionError("a price was fetched")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    price = price_of(openai("gpt-5-mini"))
    assert price is not None
    (rates,) = price.rates
    usage = Usage(input_tokens=10**6, output_tokens=10**6, cache_read_tokens=10**6)
    asked = calc_price(usage, "gpt-5-mini", provider_id="openai", genai_request_timestamp=DAY)
    told = (rates.cached_input_usd_per_million, rates.output_usd_per_million)
    assert told == (float(asked.input_price), float(asked.output_price))
    assert rates.cached_input_usd_per_million < rates.input_usd_per_million
    assert price.source.startswith("genai-prices ")
    assert price.source.endswith(": openai gpt-5-mini, 2026-11-20")


@pytest.mark.parametrize(
    "model",
    [
        Model(id="m", provider="simulated", model="gpt-5-mini"),
        Model(id="m", provider="python", call="bot:answer", model="gpt-5-mini"),
        openai("a-model-that-nobody-knows"),
        openai("gpt-5-mini", base_url="https://gateway.internal/v1"),
        served("gpt-5-mini", "http://vllm:8000/v1"),
        served("sonar", "https://api.perplexity.ai"),  # asks for each request too
        openai("text-embedding-3-small"),  # brings nothing
        openai("gpt-5-mini", params={"service_tier": "no-such-tier"}),
    ],
    ids=lambda model: f"{model.provider} {model.name} {model.base_url}",
)
def test_what_is_not_known_is_none(model):
    assert price_of(model) is None


def test_the_address_tells_who_asks_the_price():
    host = served("deepseek-reasoner", "https://api.deepseek.com/v1")
    assert price_of(host) is not None
    assert price_of(host).source.partition(": ")[2].startswith("deepseek ")


@pytest.mark.parametrize(
    ("model", "publisher"),
    [
        (Model(id="m", provider="openai-responses", model="gpt-5-mini"), "openai"),
        (Model(id="m", provider="mistral", model="mistral-large-latest"), "mistral"),
        (Model(id="m", provider="groq", model="llama-3.3-70b-versatile"), "groq"),
        (Model(id="m", provider="together", model="meta-llama/Llama-3.3-70B-Instruct-Turbo"), "together"),
        (Model(id="m", provider="openrouter", model="openai/gpt-5-mini"), "openrouter"),
        (Model(id="m", provider="deepseek", model="deepseek-reasoner"), "deepseek"),
        (Model(id="m", provider="azure", model="gpt-4o", base_url="https://x.openai.azure.com"), "azure"),
    ],
    ids=lambda value: getattr(value, "provider", value),
)
def test_who_has_an_address_of_its_own_is_known_by_name(model, publisher):
    price = price_of(model)
    assert price is not None
    assert price.source.partition(": ")[2].startswith(f"{publisher} ")


@pytest.mark.parametrize("provider", ["vllm", "tgi", "llama-cpp"])
def test_what_one_serves_oneself_has_no_published_price(provider):
    for url in ("http://gpu:8000/v1", "https://gpu.internal/v1"):
        assert price_of(Model(id="m", provider=provider, model="gpt-5-mini", base_url=url)) is None


def test_a_declared_service_tier_has_its_own_price():
    standard, flex = (price_of(openai("o3", params={"service_tier": tier})) for tier in ("default", "flex"))
    assert standard == price_of(openai("o3"))
    usage, context = Usage(output_tokens=10**6), {"service_tier": "flex"}
    asked = calc_price(usage, "o3", provider_id="openai", genai_request_timestamp=DAY, price_context=context)
    assert flex.rates[0].output_usd_per_million == float(asked.total_price) < standard.rates[0].output_usd_per_million


def test_where_the_hour_decides_the_dearest_holds():
    """At night and by day the same: a run may last over both."""
    model = served("deepseek-v4-pro", "https://api.deepseek.com/v1")
    prices = [price_of(model, when=DAY.replace(hour=hour)) for hour in (2, 12, 22)]
    assert prices[0] == prices[1] == prices[2]
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    hours = [DAY.replace(hour=hour) for hour in range(24)]
    told = [calc_price(usage, model.name, provider_id="deepseek", genai_request_timestamp=hour) for hour in hours]
    asked = [float(price.total_price) for price in told]
    assert len(set(asked)) > 1
    assert prices[0].cost_usd(1_000_000, 1_000_000) == pytest.approx(max(asked))
    assert prices[0].source.endswith(", at its dearest")


@pytest.mark.parametrize(
    ("usd", "said"), [(0, "$0"), (0.5, "$0.500"), (0.00012345, "$0.000123"), (1, "$1.00"), (1e6, "$1,000,000.00")]
)
def test_amounts_are_short(usd, said):
    assert format_usd(usd) == said


# Other providers


@pytest.mark.parametrize(
    ("provider", "name", "base_url", "known_as", "theirs"),
    [
        ("anthropic", "claude-sonnet-5", None, "anthropic", "claude-sonnet-5"),
        ("anthropic", "claude-sonnet-5", "https://api.anthropic.com", "anthropic", "claude-sonnet-5"),
        ("gemini", "gemini-2.5-pro", None, "google", "gemini-2.5-pro"),
        ("bedrock", "us.amazon.nova-lite-v1:0", None, "aws", "us.amazon.nova-lite-v1:0"),
        (
            "bedrock",
            "us.anthropic.claude-sonnet-5-v1:0",
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
            "aws",
            "us.anthropic.claude-sonnet-5-v1:0",
        ),
    ],
)
def test_other_providers_have_their_published_prices(provider, name, base_url, known_as, theirs):
    """Cache reads and writes included, against the library itself."""
    price = price_of(Model(id="m", provider=provider, model=name, base_url=base_url))
    assert price is not None
    usage = Usage(input_tokens=100_000, output_tokens=5000, cache_read_tokens=60_000, cache_write_tokens=20_000)
    expected = calc_price(usage, theirs, provider_id=known_as, genai_request_timestamp=DAY).total_price
    assert price.cost_usd(100_000, 5000, cached_tokens=60_000, cache_write_tokens=20_000) == pytest.approx(
        float(expected)
    )
    assert f" {known_as} " in price.source


def test_what_runs_at_home_has_no_published_price():
    assert price_of(Model(id="m", provider="ollama", model="qwen3:4b")) is None
