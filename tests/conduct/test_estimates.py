"""Metrics over items: chances to pass, in what `show` says and in verdicts."""

from __future__ import annotations

import random

import polars as pl
import pytest

import headgate as hg
from headgate.conduct.estimates import compare_cells, summarize_run
from headgate.errors import ConfigError
from headgate.stats import pass_at_k

SEEDS = 4


def answer(messages, seed):
    """Right in a share of the seeds that the item names."""
    word, share = messages[-1]["content"].split()
    draw = random.Random(f"{word} {seed}").random()
    return "right" if draw < float(share) else "wrong"


def suite(**changes):
    declared = {
        "name": "passing",
        "items": [{"id": f"{n:03}", "word": f"w{n}", "share": n % 10 / 10, "target": "right"} for n in range(80)],
        "prompts": {"old": "{{ word }} {{ share }}", "new": "{{ word }}x {{ share }}"},
        "models": [{"id": "m", "provider": "python", "call": answer}],
        "seeds": SEEDS,
        "scorers": [
            {"name": "right", "type": "exact_match"},
            {"name": "pass2", "type": "pass_at_k", "of": "right", "k": 2},
            {"name": "always2", "type": "pass_at_k", "of": "right", "k": 2, "all": True},
        ],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": [
            {"metric": "pass2", "margin": 0.3},
            {"metric": "pass2", "min": 0.3},
            {"metric": "always2", "max": 0.6},
        ],
    }
    return hg.Suite(**{**declared, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return hg.run(suite(), out=tmp_path_factory.mktemp("passing") / "run")


def by_hand(run, prompt, k, *, every=False):
    rows = hg.scan_scores(run).filter(scorer="right", prompt=prompt).group_by("item_id").agg(pl.col("value").sum())
    passed = rows.collect()["value"]
    return float(pass_at_k([SEEDS] * len(passed), passed, k, every=every).mean())


def test_chances_to_pass_are_metrics_of_the_run(run):
    estimates = {(one.metric, one.prompt): one.estimate for one in summarize_run(run.path)}
    found = {key: one.value for key, one in estimates.items() if one is not None}
    assert found["pass2", "new"] == pytest.approx(by_hand(run, "new", 2))
    assert found["always2", "old"] == pytest.approx(by_hand(run, "old", 2, every=True))
    assert found["always2", "new"] < found["right", "new"] < found["pass2", "new"]
    (both,) = [one.estimate for one in compare_cells(run.path, run.path, "pass2") if one.prompt == "new"]
    assert both.value == 0


def test_gates_judge_them(run):
    verdict = hg.gate(run)
    assert verdict.verdict == "pass", verdict.reason
    first, second, third = verdict.metrics
    assert (first.candidate_mean, first.baseline_mean) == pytest.approx(
        (by_hand(run, "new", 2), by_hand(run, "old", 2))
    )
    assert (first.n_items, first.n_jobs, second.rule, third.name) == (80, 2 * 80 * SEEDS, "min", "always2")
    assert first.low < first.estimate < first.high


def test_a_check_judges_them_look_by_look(tmp_path):
    assert hg.check(suite(), out=tmp_path / "early").verdict.verdict == "pass"
    close = suite(gates=[{"metric": "pass2", "margin": 0.0}])  # all items are asked before that is known
    checked = hg.check(close, out=tmp_path / "whole")
    (row,) = checked.verdict.metrics
    assert row.n_items == 80
    assert row.candidate_mean == pytest.approx(by_hand(checked.run.path, "new", 2))


def test_negated_it_is_the_chance_that_none_passes(run):
    scorers = [*suite().scorers[:1], {"name": "never2", "type": "pass_at_k", "of": "right", "k": 2, "negate": True}]
    declared = suite(scorers=scorers, gates=[{"metric": "never2", "max": 0.7}])
    assert hg.gate(run, suite=declared).metrics[0].candidate_mean == pytest.approx(1 - by_hand(run, "new", 2))


def test_the_suites_own_mean_asks_for_more_seeds_than_k(run):
    fixed = {"policy": {"target": "suite"}}
    verdict = hg.gate(run, suite=suite(gates=[{"metric": "pass2", "min": 0.3}], **fixed))
    assert verdict.verdict == "pass"
    scorers = [*suite().scorers[:1], {"name": "pass4", "type": "pass_at_k", "of": "right", "k": 4}]
    verdict = hg.gate(run, suite=suite(scorers=scorers, gates=[{"metric": "pass4", "min": 0.1}], **fixed))
    assert (verdict.verdict, "have one row" in verdict.reason) == ("invalid", True)


def test_zero_tolerance_looks_at_answers_and_not_at_chances(run):
    with pytest.raises(ConfigError, match=r"looks at single answers.*name 'right', or give a `min`"):
        hg.gate(run, suite=suite(gates=[{"metric": "pass2", "zero_tolerance": True}]))


def test_scores_between_0_and_1_do_not_pass_or_fail(tmp_path):
    scorers = [
        {"name": "right", "type": "string_similarity", "metric": "jaro"},
        {"name": "pass2", "type": "pass_at_k", "of": "right", "k": 2},
    ]
    verdict = hg.gate(hg.run(suite(scorers=scorers, gates=[{"metric": "pass2", "min": 0.3}]), out=tmp_path / "run"))
    assert verdict.verdict == "invalid"
    assert "pass2 asks for scores of 0 and 1" in verdict.reason


def test_what_is_missing_passes_at_worst_and_at_best(tmp_path):
    def grade(output, item):
        return None if item["word"] == "w0" else output == "right"

    scorers = [
        {"name": "right", "type": "python", "call": grade},
        {"name": "pass2", "type": "pass_at_k", "of": "right", "k": 2},
    ]
    verdict = hg.gate(hg.run(suite(scorers=scorers, gates=[{"metric": "pass2", "min": 0.3}]), out=tmp_path / "run"))
    (row,) = verdict.metrics
    assert (row.verdict, row.n_items, "missing_at_bounds" in row.flags) == ("pass", 80, True)
