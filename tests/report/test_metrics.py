"""The metrics, read back by Prometheus' own parser."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from headgate.execute.statistics import EngineStatistics, LaneStatistics
from headgate.report.metrics import format_metrics

SMALL = LaneStatistics(
    models=("small", "mini"), concurrency=64, allowed=20, in_flight=12, waiting=3, in_backoff=2, deferred=1,
    admitted=500, requests_per_minute=600.0, tokens_per_minute=1e6, paused_s=4.25,
)  # fmt: skip
LARGE = replace(SMALL, models=("large",), requests_per_minute=None, tokens_per_minute=None, input_tokens_per_minute=5e5)
STATISTICS = EngineStatistics(
    elapsed_s=10.0, ok=480, refused=10, errors={"timeout": 8, "quota": 2}, failures={"rate_limit": 7, "timeout": 40},
    attempts=560, in_flight=24, in_backoff=4, input_tokens=123_456_789_012, output_tokens=1_200, lag_s=0.012,
    most_lag_s=0.5, cost_usd=1.25, unpriced=3, lanes=(SMALL, LARGE),
)  # fmt: skip


def text(statistics=STATISTICS, **changes):
    run = {"run_id": "20261123T000000-0a0b", "name": "sums", "version": "0.1.0"}
    return format_metrics(
        statistics, **{"jobs": 1500, "rows_pending": 7, "idle_s": 1.5, "running": True, "run": run, **changes}
    )


def read(written):
    """Return the value of every series by its name and labels."""
    samples = [sample for family in text_string_to_metric_families(written) for sample in family.samples]
    series = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}
    assert len(series) == len(samples)
    return series


def test_every_figure_is_there():
    series = read(text())
    lanes = [("lane", "small+mini"), ("lane", "large")]
    assert series == {
        ("headgate_run_info", ("name", "sums"), ("run_id", "20261123T000000-0a0b"), ("version", "0.1.0")): 1,
        ("headgate_running",): 1,
        ("headgate_jobs_planned",): 1500,
        ("headgate_rows_pending",): 7,
        ("headgate_idle_seconds",): 1.5,
        ("headgate_elapsed_seconds",): 10,
        ("headgate_jobs_total", ("status", "ok")): 480,
        ("headgate_jobs_total", ("status", "refused")): 10,
        ("headgate_jobs_total", ("status", "error")): 10,
        ("headgate_errors_total", ("kind", "timeout")): 8,
        ("headgate_errors_total", ("kind", "quota")): 2,
        ("headgate_attempts_total",): 560,
        ("headgate_failures_total", ("kind", "rate_limit")): 7,
        ("headgate_failures_total", ("kind", "timeout")): 40,
        ("headgate_tokens_total", ("type", "input")): 123_456_789_012,
        ("headgate_tokens_total", ("type", "output")): 1200,
        ("headgate_cost_usd_total",): 1.25,
        ("headgate_unpriced_total",): 3,
        ("headgate_event_loop_lag_seconds",): 0.012,
        ("headgate_event_loop_lag_max_seconds",): 0.5,
        **{("headgate_in_flight", lane): 12 for lane in lanes},
        **{("headgate_concurrency_limit", lane): 20 for lane in lanes},
        **{("headgate_waiting", lane): 3 for lane in lanes},
        **{("headgate_backoff", lane): 2 for lane in lanes},
        **{("headgate_deferred", lane): 1 for lane in lanes},
        **{("headgate_paused_seconds", lane): 4.25 for lane in lanes},
        ("headgate_limit_per_minute", ("dimension", "requests"), lanes[0]): 600,
        ("headgate_limit_per_minute", ("dimension", "tokens"), lanes[0]): 1e6,
        ("headgate_limit_per_minute", ("dimension", "input_tokens"), lanes[1]): 5e5,
    }


def test_a_cap_has_what_is_spent_and_reserved_beside_it():
    capped = read(text(replace(STATISTICS, max_cost_usd=5.0, spent_usd=2.5, reserved_usd=0.125)))
    budget = {key[1][1]: value for key, value in capped.items() if key[0] == "headgate_budget_usd"}
    assert budget == {"cap": 5, "spent": 2.5, "reserved": 0.125}


def test_every_family_has_its_type_and_a_word_of_help():
    for family in text_string_to_metric_families(text()):
        counter = any(sample.name.endswith("_total") for sample in family.samples)
        assert family.type == ("counter" if counter else "gauge"), family.name
        assert family.documentation.endswith(".")


def test_no_counter_is_rounded():
    tokens = 123_456_789_012_345
    assert read(text(replace(STATISTICS, input_tokens=tokens)))["headgate_tokens_total", ("type", "input")] == tokens


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_label_says_what_it_was_given_whatever_that_is(model):
    lanes = (replace(SMALL, models=(model,)),)
    series = read(text(replace(STATISTICS, lanes=lanes), run={"name": model}))
    assert series["headgate_in_flight", ("lane", model)] == 12
    assert series["headgate_run_info", ("name", model)] == 1


def test_the_number_of_series_does_not_grow_with_the_run():
    grown = replace(STATISTICS, ok=10**7, attempts=10**8, lanes=(replace(SMALL, admitted=10**8), LARGE))
    assert read(text()).keys() == read(text(grown, jobs=10**7)).keys()
