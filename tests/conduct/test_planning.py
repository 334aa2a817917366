"""What a suite will take, and whether its gates can pass, before anything is asked."""

from __future__ import annotations

import pytest

import headgate as hg
import headgate.errors as hg_errors
from headgate.conduct.planning import forecast_suite
from headgate.stats import fewest_items


def answer(messages, item):
    return item["target"] if int(item["target"]) % 10 else "wrong"


def suite(n=400, *, gates=None, **changes):
    fields = {
        "name": "sums",
        "items": [{"q": f"{i}?", "target": str(i)} for i in range(n)],
        "prompts": {"old": "{{ q }}", "new": "Say: {{ q }}"},
        "models": [{"id": "m", "provider": "python", "call": answer}],
        "scorers": [{"name": "correct", "type": "exact_match"}],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": gates or [{"metric": "correct", "margin": 0.05}],
    }
    return hg.Suite(**(fields | changes))


def only(found):
    (gate,) = found.gates
    return gate


@pytest.mark.parametrize("margin", [0.02, 0.05])
def test_too_few_items_can_never_pass(margin):
    least = fewest_items(margin)
    few = only(forecast_suite(suite(least - 1, gates=[{"metric": "correct", "margin": margin}])))
    assert (few.can_pass, few.is_worth_it, few.passes) == (False, False, 0.0)
    assert f"ask {least}" in few.advice
    assert "accept a margin above" in few.advice
    assert only(forecast_suite(suite(least, gates=[{"metric": "correct", "margin": margin}]))).can_pass


def test_the_margin_that_is_named_would_do():
    few = only(forecast_suite(suite(30)))
    margin = float(few.advice.rpartition(" ")[2])
    assert only(forecast_suite(suite(30, gates=[{"metric": "correct", "margin": 1.01 * margin}]))).can_pass


@pytest.mark.parametrize(
    ("rule", "n", "can"), [({"min": 0.95}, 40, False), ({"min": 0.95}, 80, True), ({"max": 0.9}, 80, True)]
)
def test_thresholds_need_items_too(rule, n, can):
    assert only(forecast_suite(suite(n, gates=[{"metric": "correct", **rule}]))).can_pass is can


def test_what_was_stored_says_more_than_an_assumption(tmp_path):
    guess = only(forecast_suite(suite(60)))
    assert guess.passes < 0.5
    assert guess.is_worth_it  # an assumption warns, and does not refuse
    guess = only(forecast_suite(suite()))
    assert "assuming 90%" in guess.basis
    assert guess.mde is None
    stored = hg.run(suite(), out=tmp_path / "run")
    known = only(forecast_suite(suite(), stored=tmp_path / "run"))
    assert known.passes == 1.0  # both prompts answer alike: nothing differs
    assert stored.counts["ok"] == 800
    noisy = [{"id": "m", "provider": "simulated", "simulate": {"accuracy": 0.8, "latency_s": 0}}]
    hg.run(suite(models=noisy), out=tmp_path / "noisy")
    seen = only(forecast_suite(suite(models=noisy), stored=tmp_path / "noisy"))
    assert 0.05 < seen.mde < 0.09
    assert 0.2 < seen.passes < 0.9
    more = only(forecast_suite(suite(1600, models=noisy), stored=tmp_path / "noisy"))
    assert more.passes > seen.passes
    assert more.mde == pytest.approx(seen.mde / 2, rel=0.02)


def test_jobs_tokens_and_time_at_the_lanes_limits():
    lanes = [{"models": ["m"], "requests_per_minute": 97, "tokens_per_minute": 1e9}]
    models = [{"id": "m", "provider": "python", "call": answer, "params": {"max_tokens": 10}}]
    found = forecast_suite(suite(100, seeds=3, lanes=lanes, models=models))
    (lane,) = found.lanes
    assert (found.items, found.seeds, found.jobs, lane.requests) == (100, 3, 600, 600)
    assert lane.output_tokens == 6000
    assert lane.input_tokens > 600 * 8
    assert found.minutes == pytest.approx(600 / (97 * 0.97))
    assert forecast_suite(suite(100)).minutes is None


def test_only_blocking_gates_decide_whether_it_is_worth_it():
    gates = [{"metric": "correct", "margin": 0.05}, {"metric": "correct", "margin": 0.001, "tier": "warning"}]
    assert forecast_suite(suite(1000, gates=gates)).is_worth_it
    gates[1]["tier"] = "blocking"
    assert not forecast_suite(suite(1000, gates=gates)).is_worth_it


def test_where_lower_is_better_and_where_ratios_are_asked(tmp_path):
    gates = [{"metric": "error_rate", "margin": 0.02}, {"metric": "latency_s", "max_ratio": 1.5}]
    hg.run(suite(gates=gates), out=tmp_path / "run")
    errors, latency = forecast_suite(suite(gates=gates), stored=tmp_path / "run").gates
    assert (errors.passes, errors.fewest_items) == (1.0, fewest_items(0.02))
    assert latency.mde > 0
    assert 0 <= latency.passes <= 1


# Money

PRICE = {"input_usd_per_million": 100.0, "output_usd_per_million": 1000.0}


def priced(n=100, *, models=None, **changes):
    model = {"id": "m", "provider": "python", "call": answer, "params": {"max_tokens": 10}, "price": PRICE}
    return suite(n, models=models or [model], **changes)


def test_what_would_make_a_gate_passable_has_a_cost():
    least = fewest_items(0.02)
    found = forecast_suite(priced(50, gates=[{"metric": "correct", "margin": 0.02}]))
    gate = only(found)
    assert gate.needed_items == least
    assert gate.needed_cost_usd == pytest.approx(found.cost_usd * least / 50)
    assert f"{least} items cost about $" in gate.advice
    unknown = only(forecast_suite(suite(50, gates=[{"metric": "correct", "margin": 0.02}])))
    assert (unknown.needed_items, unknown.needed_cost_usd) == (least, None)
    assert "cost" not in unknown.advice


def test_a_cap_below_the_forecast_is_warned_of():
    cost = forecast_suite(priced()).cost_usd
    low, high = (forecast_suite(priced(budget={"max_cost_usd": share * cost})) for share in (0.5, 2.0))
    (said,) = low.warnings
    assert "is below the forecast of $" in said
    assert (high.warnings, high.max_cost_usd) == ((), 2.0 * cost)
    (refused,) = forecast_suite(suite(budget={"max_cost_usd": 5.0})).warnings
    assert refused.startswith("a run will be refused: models.0.price: the price of 'm' is not known")


def test_a_gate_on_a_cost_that_nobody_knows_is_warned_of():
    gates = [{"metric": "cost_usd", "max_ratio": 1.1}]
    assert forecast_suite(priced(gates=gates)).warnings == ()
    (said,) = forecast_suite(suite(gates=gates)).warnings
    assert said == "a gate on cost_usd would be invalid: the price of m is not known"


def test_the_last_run_is_taken_where_it_fits(tmp_path):
    noisy = [{"id": "m", "provider": "simulated", "simulate": {"accuracy": 0.8, "latency_s": 0}}]
    out, few = tmp_path / "runs" / "sums", tmp_path / "few"
    nowhere = forecast_suite(suite(models=noisy), last=out)
    assert (nowhere.stored, only(nowhere).known) == (None, False)
    hg.run(suite(models=noisy), out=few, limit=10)
    assert forecast_suite(suite(models=noisy), last=few).stored is None  # ten items say too little
    hg.run(suite(models=noisy), out=out, limit=100)
    taken = forecast_suite(suite(models=noisy), last=out)
    assert taken.stored == str(out)
    assert only(taken).basis == f"as in {out}"
    assert only(taken).mde == only(forecast_suite(suite(models=noisy), stored=out)).mde
    other = {"old": "{{ q }}", "newer": "Say: {{ q }}"}
    compare = {"baseline": {"prompt": "old"}, "candidate": {"prompt": "newer"}}
    renamed = forecast_suite(suite(models=noisy, prompts=other, compare=compare), last=out)
    assert (renamed.stored, only(renamed).known) == (None, False)
    asked = forecast_suite(suite(models=noisy), stored=few, last=out)
    assert asked.stored == str(few)  # what was asked for goes first


def test_a_pilot_asks_a_few_items_at_random_and_the_forecast_goes_by_it(tmp_path):
    noisy = [{"id": "m", "provider": "simulated", "simulate": {"accuracy": 0.8, "latency_s": 0}, "price": PRICE}]
    ran = hg.pilot(suite(models=noisy), out=tmp_path / "pilot", items=25)
    rows = hg.scan(ran).collect()
    items = set(rows["item_id"].to_list())
    assert (ran.done, len(items), rows.height) == (50, 25, 50)
    assert max(map(int, items)) > 100  # not the first ones
    again = hg.pilot(suite(models=noisy), out=tmp_path / "again", items=25)
    assert set(hg.scan(again).collect()["item_id"].to_list()) == items
    more = hg.pilot(suite(models=noisy), out=tmp_path / "pilot", items=40)
    assert (more.done, items < set(hg.scan(more).collect()["item_id"].to_list())) == (80, True)
    found = hg.forecast(suite(models=noisy), stored=more)
    assert only(found).known
    assert found.cost_usd == pytest.approx(more.cost_usd * 800 / 80)


def test_a_pilot_of_a_small_suite_asks_all_of_it(tmp_path):
    assert hg.pilot(suite(12), out=tmp_path / "pilot").done == 24
    with pytest.raises(hg_errors.ConfigError, match="items: 1 is too few"):
        hg.pilot(suite(12), out=tmp_path / "pilot", items=1)


def test_a_pilot_keeps_to_the_cap(tmp_path):
    models = [{"id": "m", "provider": "simulated", "params": {"max_tokens": 9}, "price": PRICE}]
    with pytest.raises(hg_errors.Interrupted, match="the cap of"):
        hg.pilot(suite(models=models), out=tmp_path / "pilot", max_cost_usd=0.05)
