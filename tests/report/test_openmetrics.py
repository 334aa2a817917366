"""The figures of a verdict, read back by the parser of the OpenMetrics reference client."""

from __future__ import annotations

import pytest
from hypothesis import given
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hand_made_verdicts import hostile, hostile_verdict, make_row, make_verdict
from headgate.report.openmetrics import verdict_openmetrics


def read(verdict):
    families = list(text_string_to_metric_families(verdict_openmetrics(verdict)))
    samples = [sample for family in families for sample in family.samples]
    series = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}
    assert len(series) == len(samples)
    return series


@pytest.mark.parametrize("word", ["pass", "fail", "inconclusive", "invalid"])
def test_the_verdict_is_one_of_four_states(word):
    series = read(make_verdict(make_row(word)))
    states = {key[1][1]: value for key, value in series.items() if key[0] == "headgate_verdict"}
    assert states == {other: int(other == word) for other in ("pass", "fail", "inconclusive", "invalid")}


def test_every_figure_of_a_row_has_four_digits():
    labels = (("cell", "model=small"), ("gate", "correct margin 0.1"))
    series = read(make_verdict(make_row()))
    assert {key[0]: value for key, value in series.items() if key[1:] == labels} == {
        "headgate_gate_baseline_mean": 0.9, "headgate_gate_candidate_mean": 0.8877, "headgate_gate_estimate": -0.01235,
        "headgate_gate_low": -0.0456, "headgate_gate_high": 0.0211, "headgate_gate_items": 60,
    }  # fmt: skip


def test_small_changes_change_no_text():
    first, second = make_row(estimate=0.123412), make_row(estimate=0.123399)
    assert verdict_openmetrics(make_verdict(first)) == verdict_openmetrics(make_verdict(second))


def test_what_is_not_known_has_no_series():
    assert ("headgate_gate_low" in {key[0] for key in read(make_verdict(make_row(low=None)))}) is False


def test_jobs_are_counted_by_arm_and_status():
    series = read(make_verdict(make_row()))
    jobs = {tuple(value for _, value in key[1:]): count for key, count in series.items() if key[0] == "headgate_jobs"}
    assert jobs["candidate", "ok"] == 178
    assert jobs["baseline", "errored"] == 1
    assert len(jobs) == 10


def test_a_verdict_without_rows_can_be_read():
    assert read(make_verdict(verdict="invalid"))["headgate_verdict", ("headgate_verdict", "invalid")] == 1


@given(hostile)
def test_untrusted_text_stays_in_its_label(text):
    verdict = hostile_verdict(text)
    assert len([key for key in read(verdict) if key[0] == "headgate_gate_estimate"]) == 2
    for line in verdict_openmetrics(verdict).splitlines():
        assert line.startswith(("# ", "headgate_"))
        assert line.isprintable()
        float(line.rsplit(" ", 1)[1]) if not line.startswith("#") else None  # what GitLab takes as the value
