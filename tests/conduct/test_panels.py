"""Pairs in both orders, panels and repeats, through the simulated provider: what a run's verdict says of its judges."""

from __future__ import annotations

import polars as pl
import pytest

import headgate as hg
from headgate.errors import ConfigError
from judged import JUDGE, judged_suite

SMALL = {"id": "small", "provider": "simulated", "simulate": {"accuracy": 0.7, "latency_s": 0.0}}


def simulated_judge(name, **judge):
    return {**JUDGE, "id": name, "simulate": {"latency_s": 0.0, "judge": judge}}


def pairwise(**changes):
    """The candidate is right where the baseline, a weaker prompt, is often wrong."""
    small = {**SMALL, "simulate": {"accuracy": {"old": 0.5, "new": 0.8}, "latency_s": 0.0}}
    models = [small, simulated_judge("judge-small", **changes)]
    return judged_suite(n=200, models=models, scorer={"kind": "pairwise"}, gates=[{"metric": "right", "margin": 0.1}])


def test_the_better_arm_wins_and_the_order_of_a_pair_shows_no_bias(tmp_path):
    run = hg.run(pairwise(), out=tmp_path / "run")
    found = hg.scan_scores(run).collect()
    exact, right = (
        found.filter(scorer=name).pivot("prompt", index="item_id", values="value") for name in ("exact", "right")
    )
    joined = exact.join(right, on="item_id", suffix="_right")
    assert joined.select((pl.col("new_right") == (1 + pl.col("new") - pl.col("old")) / 2).all()).item()
    assert joined.select((pl.col("new_right") + pl.col("old_right") == 1).all()).item()
    verdict = hg.gate(run)
    assert verdict.verdict == "pass"
    [judge] = [row for row in verdict.judges if row.cell["prompt"] == "new"]
    assert (judge.position_bias, judge.flips) == (0, 0)
    assert hg.scan(f"{run.path}/judges/*/*").collect().height == 400  # each pair in both orders


def test_a_bias_for_the_first_place_is_found_and_evens_out(tmp_path):
    run = hg.run(pairwise(position_bias=0.5), out=tmp_path / "run")
    verdict = hg.gate(run)
    [judge] = [row for row in verdict.judges if row.cell["prompt"] == "new"]
    assert judge.position_bias_low > 0.3
    assert judge.flips > 0.15
    assert "first place +0." in str(verdict)
    fair = hg.gate(hg.run(pairwise(), out=tmp_path / "fair")).metrics[0]
    row = verdict.metrics[0]
    assert 0 < row.estimate < fair.estimate  # half of the verdicts say nothing, and favour nobody


def test_an_answer_against_one_that_failed_is_not_asked_about(tmp_path):
    def call(messages, item, prompt):
        return None if prompt == "old" and item["id"] == "s1" else str(item["target"])

    models = [{"id": "small", "provider": "python", "call": call}, simulated_judge("judge-small")]
    suite = judged_suite(n=4, models=models, scorer={"kind": "pairwise"})
    run = hg.run(suite, out=tmp_path / "run")
    found = hg.scan_scores(run).filter((pl.col("scorer") == "right") & (pl.col("item_id") == "s1")).collect()
    assert dict(found.select("prompt", "value").iter_rows()) == {"old": 0.0, "new": 1.0}
    assert hg.scan(f"{run.path}/judges/*/*").collect().height == 6


def test_one_arm_alone_is_no_pair(tmp_path):
    with pytest.raises(ConfigError, match="compares the answers of both arms"):
        hg.run(pairwise(), out=tmp_path / "run", arm="candidate")


def test_a_panel_has_the_mean_or_the_majority_and_says_how_far_it_agrees(tmp_path):
    judges = [simulated_judge(name, sensitivity=0.8, specificity=0.8) for name in ("j1", "j2", "j3")]
    judges = [{**judge, "model": judge["id"]} for judge in judges]

    def run(panel):
        scorer = {"model": None, "models": ["j1", "j2", "j3"], "panel": panel}
        suite = judged_suite(n=150, models=[SMALL, *judges], scorer=scorer)
        return hg.run(suite, out=tmp_path / panel)

    mean, majority = run("mean"), run("majority")
    values = {
        name: hg.scan_scores(run).filter(scorer="right").collect()["value"]
        for name, run in {"mean": mean, "majority": majority}.items()
    }
    assert set(values["mean"].round(3)) == {0.0, 0.333, 0.667, 1.0}
    assert set(values["majority"]) == {0.0, 1.0}
    exact = hg.scan_scores(majority).filter(scorer="exact").collect()["value"]
    assert (values["majority"] == exact).mean() > 0.85  # each alone is right in 80 of 100
    verdict = hg.gate(mean)
    [judge] = [row for row in verdict.judges if row.cell["prompt"] == "new"]
    assert judge.judges == ["j1", "j2", "j3"]
    assert 0 < judge.panel_kappa_low < judge.panel_kappa < judge.panel_kappa_high < 1
    assert 0 < verdict.metrics[0].judge_share < 1
    # Another way to join them asks nobody again.
    before = hg.scan(f"{mean.path}/judges/*/*").collect().height
    hg.score_run(
        mean,
        suite=judged_suite(
            n=150, models=[SMALL, *judges], scorer={"model": None, "models": ["j1", "j2", "j3"], "panel": "majority"}
        ),
    )
    assert hg.scan(f"{mean.path}/judges/*/*").collect().height == before == 900


def test_repeats_tell_the_judges_own_share_and_what_to_spend_next(tmp_path):
    """A model that never varies, under a judge that tosses coins: only more grades help."""
    sure = {"id": "small", "provider": "simulated", "simulate": {"accuracy": 1.0, "latency_s": 0.0}}
    noisy = simulated_judge("judge-small", sensitivity=0.5, jitter=1.0)
    suite = judged_suite(
        n=100, models=[sure, noisy], scorer={"repeats": 3}, gates=[{"metric": "right", "margin": 0.01}]
    )
    row = hg.gate(hg.run(suite, out=tmp_path / "run")).metrics[0]
    assert row.judge_share > 0.7
    assert row.seed_share is None
    assert row.verdict == "inconclusive"
    assert "more repeats, or a larger panel, tell most" in row.reason
    steady = [sure, simulated_judge("judge-small", sensitivity=0.5)]
    suite = judged_suite(n=100, models=steady, scorer={"repeats": 3}, gates=[{"metric": "right", "margin": 0.01}])
    row = hg.gate(hg.run(suite, out=tmp_path / "steady")).metrics[0]
    assert row.judge_share == 0
    assert "more of them tell most" in row.reason


def test_in_a_check_pairs_are_compared_look_by_look(tmp_path):
    verdict = hg.check(pairwise(), out=tmp_path / "run").verdict
    assert (verdict.verdict, verdict.errors.candidate.unscored) == ("pass", 0)
