"""A price in a suite: what it may say, and what an error names."""

from __future__ import annotations

import jsonschema
import pytest

from headgate.errors import ConfigError
from headgate.suite.model import Model
from headgate.suite.schema import suite_schema
from headgate.suite.suite import Suite

PRICE = {"input_usd_per_million": 0.25, "output_usd_per_million": 2}


def suite(price):
    model = {"id": "m", "provider": "simulated", "price": price}
    return {"name": "s", "items": [{"q": 1}], "prompts": {"p": "{{ q }}"}, "models": [model]}


@pytest.mark.parametrize(
    "price", [PRICE, {**PRICE, "cached_input_usd_per_million": 0, "cache_write_usd_per_million": 1}]
)
def test_a_price_is_read_and_the_schema_takes_it(price):
    (model,) = Suite.model_validate(suite(price)).models
    assert model.price.input_usd_per_million == 0.25
    jsonschema.validate(suite(price), suite_schema())


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ({**PRICE, "input": 1}, r"models\.0\.price\.input"),
        ({"input_usd_per_million": 1}, r"models\.0\.price\.output_usd_per_million"),
        ({**PRICE, "output_usd_per_million": -1}, r"models\.0\.price\.output_usd_per_million"),
        ({**PRICE, "input_usd_per_million": "0.25"}, r"models\.0\.price\.input_usd_per_million"),
        (0.25, r"models\.0\.price"),
    ],
)
def test_a_wrong_price_is_named(price, said):
    with pytest.raises(ConfigError, match=said):
        Suite.model_validate(suite(price))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(suite(price), suite_schema())


def test_a_price_changes_no_identity():
    free, dear = (Model.model_validate(suite(price)["models"][0]) for price in (None, PRICE))
    assert free.identity == dear.identity
