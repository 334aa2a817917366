"""What each lane of a plan has to carry: tokens, estimated or measured, and what they cost."""

from __future__ import annotations

import pytest

import headgate as hg
from headgate.conduct.planning import forecast_suite

PRICE = {"input_usd_per_million": 100.0, "output_usd_per_million": 1000.0}


def answer(messages):
    return "x"


def suite(n, *, models=None, price=PRICE, **changes):
    model = {"id": "m", "provider": "python", "call": answer, "params": {"max_tokens": 10}, "price": price}
    fields = {
        "name": "sums",
        "items": [{"q": f"{i}?", "target": str(i)} for i in range(n)],
        "prompts": {"old": "{{ q }}", "new": "Say: {{ q }}"},
        "models": models or [model],
    }
    return hg.Suite(**(fields | changes))


def test_costs_are_estimated_by_lane_and_in_all():
    found = forecast_suite(suite(100, seeds=2))
    (lane,) = found.lanes
    assert lane.cost_usd == pytest.approx((lane.input_tokens * 100 + lane.output_tokens * 1000) / 1e6, rel=1e-3)
    assert (found.cost_usd, found.unpriced, lane.unpriced, lane.measured) == (lane.cost_usd, 0, 0, 0)
    nothing = forecast_suite(suite(100, price=None))
    assert (nothing.cost_usd, nothing.unpriced, nothing.jobs) == (None, 200, 200)


def test_what_has_no_price_is_counted_and_not_free():
    call = {"provider": "python", "params": {"max_tokens": 10}}
    models = [{**call, "id": "m", "call": answer, "price": PRICE}, {**call, "id": "n", "call": lambda messages: "x"}]
    found = forecast_suite(suite(100, models=models))
    dear, unknown = found.lanes
    assert (found.cost_usd, found.unpriced) == (dear.cost_usd, 200)
    assert (unknown.cost_usd, unknown.unpriced) == (None, 200)
    together = forecast_suite(suite(100, models=models, lanes=[{"models": ["m", "n"]}]))
    (lane,) = together.lanes
    assert (lane.cost_usd, lane.unpriced, lane.requests) == (pytest.approx(dear.cost_usd), 200, 400)


def test_a_stored_run_says_what_jobs_really_take(tmp_path):
    def chatty(messages):
        return {"output": "x", "input_tokens": 1000, "output_tokens": 7, "cached_tokens": 400}

    price = {**PRICE, "cached_input_usd_per_million": 10.0}
    models = [{"id": "m", "provider": "python", "call": chatty, "params": {"max_tokens": 500}, "price": price}]
    run = hg.run(suite(40, models=models), out=tmp_path / "run")
    found = forecast_suite(suite(200, models=models), stored=run.path)
    (lane,) = found.lanes
    assert (lane.requests, lane.measured, lane.input_tokens, lane.output_tokens) == (400, 400, 400_000, 2800)
    assert found.cost_usd == pytest.approx(run.cost_usd * 5) == pytest.approx(400 * (600 * 100 + 400 * 10 + 7000) / 1e6)
    more = {"old": "{{ q }}", "new": "Say: {{ q }}", "third": "Tell: {{ q }}"}
    partly = forecast_suite(suite(200, models=models, prompts=more), stored=run.path)
    assert (partly.lanes[0].measured, partly.lanes[0].requests) == (400, 600)
