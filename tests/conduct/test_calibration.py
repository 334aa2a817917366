"""A judge corrected by human labels: verdicts against the truth, with and without them."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import headgate as hg
from headgate.errors import ConfigError
from judged import judged_suite

BIASED = {"sensitivity": 0.95, "specificity": 0.6}


def write_labels(path, run, *, share=1.0, by_output=False):
    """Label the answers to a share of the items as a human would: right where it is the target."""
    truth = hg.scan_scores(run).filter(pl.col("scorer") == "exact").collect()
    rows = truth.join(hg.scan(run).select("job_id", "output").collect(), on="job_id")
    items = sorted(rows["item_id"].unique())
    chosen = set(items[: round(share * len(items))])
    with path.open("w") as file:
        for row in rows.iter_rows(named=True):
            if row["item_id"] in chosen:
                named = {"output": row["output"]} if by_output else {"prompt": row["prompt"]}
                file.write(json.dumps({"item_id": row["item_id"], "label": row["value"], **named}) + "\n")


def calibrated(path, **changes):
    return judged_suite(scorer={"calibrate": {"labels": str(path)}}, **changes)


def test_labels_correct_a_biased_judge(tmp_path):
    """The judge calls four in ten wrong answers right: its mean is far above the truth, and says so surely."""
    gates = [{"metric": "right", "min": 0.8}, {"metric": "exact", "min": 0.8}]
    plain = judged_suite(n=600, judge=BIASED, gates=gates)
    run = hg.run(plain, out=tmp_path / "run")
    judged, true = hg.gate(run).metrics
    assert judged.low > true.candidate_mean  # the interval of the judge alone misses the truth
    assert "uncalibrated" in judged.flags
    assert "the judge is not calibrated" in judged.reason
    write_labels(tmp_path / "labels.jsonl", run, share=0.25)
    labelled = calibrated(tmp_path / "labels.jsonl", n=600, judge=BIASED, gates=gates)
    hg.score_run(run, suite=labelled)
    corrected = hg.gate(run, suite=labelled).metrics[0]
    assert corrected.low < true.candidate_mean < corrected.high
    assert "calibrated" in corrected.flags
    assert corrected.method.startswith("PPI++")
    assert "corrected by the labels of 150 items" in corrected.reason
    assert corrected.candidate_mean == pytest.approx(judged.candidate_mean)


def test_few_labels_correct_nothing_and_the_row_says_so(tmp_path):
    run = hg.run(judged_suite(n=100, judge=BIASED), out=tmp_path / "run")
    write_labels(tmp_path / "labels.jsonl", run, share=0.29)
    suite = calibrated(tmp_path / "labels.jsonl", n=100, judge=BIASED)
    before = hg.gate(run).metrics[0]
    hg.score_run(run, suite=suite)
    row = hg.gate(run, suite=suite).metrics[0]
    assert "few_labels" in row.flags
    assert "fewer than 30 items have a label" in row.reason
    assert (row.estimate, row.low, row.high) == (before.estimate, before.low, before.high)


def test_where_all_items_have_labels_the_judge_is_not_asked_for_its_opinion(tmp_path):
    run = hg.run(judged_suite(n=100, judge=BIASED), out=tmp_path / "run")
    write_labels(tmp_path / "labels.jsonl", run)
    suite = calibrated(tmp_path / "labels.jsonl", n=100, judge=BIASED)
    hg.score_run(run, suite=suite)
    truth = hg.scan_scores(run).filter(pl.col("scorer") == "exact").collect().group_by("prompt").agg(pl.mean("value"))
    means = dict(truth.iter_rows())
    assert hg.gate(run, suite=suite).metrics[0].estimate == pytest.approx(means["new"] - means["old"])


def test_labels_of_a_text_hold_for_that_text_alone(tmp_path):
    run = hg.run(judged_suite(n=60), out=tmp_path / "run")
    write_labels(tmp_path / "labels.jsonl", run, by_output=True)
    other = hg.run(calibrated(tmp_path / "labels.jsonl", n=60, first_seed=7), out=tmp_path / "other")
    texts = dict(hg.scan(run).select("item_id", "output").collect().iter_rows())
    known = {item: set() for item in texts}
    for item, output in hg.scan(run).select("item_id", "output").collect().iter_rows():
        known[item].add(output)
    rows = hg.scan_scores(other).filter(pl.col("scorer") == "right").collect()
    rows = rows.join(hg.scan(other).select("job_id", "output").collect(), on="job_id")
    labelled = [row["human"] is not None for row in rows.iter_rows(named=True)]
    assert labelled == [row["output"] in known[row["item_id"]] for row in rows.iter_rows(named=True)]
    assert 0 < sum(labelled) < len(labelled)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"item_id": "s1", "label": 1}', "has 2 prompts, and the labels name none"),
        ('{"item_id": "s1", "label": 2, "prompt": "new"}', r"row 1\.label: 2 is no label; give a number from 0 to 1"),
        ('{"item_id": "s1", "label": "maybe", "prompt": "new"}', "or one of yes, no"),
        ('{"item": "s1", "label": 1}', "'item_id' there is no such column"),
        ('{"item_id": ', "cannot be read"),
    ],
    ids=["whose", "far", "word", "column", "torn"],
)
def test_labels_that_cannot_be_used_are_told_before_anything_runs(tmp_path, line, said):
    path = tmp_path / "labels.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ConfigError, match=said):
        hg.run(calibrated(path), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_check_settles_nothing_before_there_are_labels_enough(tmp_path):
    """The looks ask for 60, 120, 180, 240 and 300 items; every third has a label, so the first one has 20 or so."""
    run = hg.run(judged_suite(n=300, judge=BIASED), out=tmp_path / "run")
    write_labels(tmp_path / "labels.jsonl", run, share=1 / 3)
    suite = calibrated(tmp_path / "labels.jsonl", n=300, judge=BIASED, gates=[{"metric": "right", "margin": 0.4}])
    plain = hg.check(judged_suite(n=300, judge=BIASED, gates=[{"metric": "right", "margin": 0.4}]), out=tmp_path / "p")
    assert plain.verdict.looks[-1].n_items < 180
    verdict = hg.check(suite, out=tmp_path / "check").verdict
    labelled = [look.n_items / 3 for look in verdict.looks]
    assert labelled[-1] > 25
    assert verdict.metrics[0].method.startswith("PPI++")
    assert "calibrated" in verdict.metrics[0].flags


def simulate(rng, *, runs, n, n_labels, sensitivity, specificity):
    """Judge a drop of exactly the margin, 10 points, with labels and without.

    Returns the shares of runs whose limits held the truth, and of those that passed, which is wrong: with labels, and
    without.
    """
    from headgate.decide.calibrated import decide_calibrated
    from headgate.decide.decision import Rule
    from headgate.stats.paired import PairedLimits

    rule, counts = Rule(floor=-0.1, ceiling=0.0), np.zeros(4)
    for _ in range(runs):
        # Wrong answers of the candidate please this judge: it errs by arm, which no paired design takes away.
        c, b = (rng.random(n) < 0.7).astype(float), (rng.random(n) < 0.8).astype(float)
        judged_c = np.where(c == 1, rng.random(n) < sensitivity, rng.random(n) >= specificity).astype(float)
        judged_b = np.where(b == 1, rng.random(n) < sensitivity, rng.random(n) >= 0.95).astype(float)
        labels = np.where(np.arange(n) < n_labels, c - b, np.nan)
        found = decide_calibrated(rule, judged_c - judged_b, labels, alpha=0.05, bounds=(-1.0, 1.0))
        alone = rule.decide(PairedLimits.of(judged_c, judged_b), alpha=0.05)
        for place, one in enumerate((found, alone)):
            counts[place] += one.low <= -0.1 <= one.high
            counts[2 + place] += one.verdict == "pass"
    return counts / runs


def test_a_small_simulation_of_the_verdicts():
    rng = np.random.default_rng(1)
    held, alone, passed, passed_alone = simulate(rng, runs=60, n=400, n_labels=100, sensitivity=0.95, specificity=0.5)
    assert held >= 0.8
    assert passed <= 0.15
    # The positive control: without labels the truth is missed, and a drop of the margin passes.
    assert alone <= 0.1
    assert passed_alone >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("n", "n_labels"), [(200, 40), (1000, 100), (2000, 400)])
def test_corrected_verdicts_hold_their_error_rates(n, n_labels):
    """Two one-sided limits at 5 % each: 90 % between them, and 5 % pass, within three standard errors of 1,000 runs."""
    rng = np.random.default_rng(n)
    found = simulate(rng, runs=1000, n=n, n_labels=n_labels, sensitivity=0.95, specificity=0.5)
    held, alone, passed, passed_alone = found
    print(n, n_labels, found)
    assert held >= 0.9 - 3 * np.sqrt(0.9 * 0.1 / 1000)
    assert passed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)
    assert alone < 0.1
    assert passed_alone > 0.9


@pytest.mark.slow
def test_corrected_looks_hold_their_error_rates():
    """Five looks at 1,000 items, one in five labelled: a drop of the margin passes, and no drop fails, in 5 %."""
    from headgate.decide.calibrated import decide_calibrated
    from headgate.decide.decision import Rule
    from headgate.decide.looks import plan_looks

    rng, n, runs, rule = np.random.default_rng(6), 1000, 300, Rule(floor=-0.1, ceiling=0.0)
    plan = plan_looks(n, key="0" * 32, cluster=None, strata=[], alpha=0.05, seeds=1, most_seeds=1)
    levels, wrong = plan.levels(0.05), dict.fromkeys(("pass", "fail"), 0)

    def decided(share):
        c, b = (rng.random(n) < share).astype(float), (rng.random(n) < 0.8).astype(float)
        judged_c = np.where(c == 1, rng.random(n) < 0.95, rng.random(n) >= 0.5).astype(float)
        judged_b = np.where(b == 1, rng.random(n) < 0.95, rng.random(n) >= 0.95).astype(float)
        labels = np.where(np.arange(n) % 5 == 0, c - b, np.nan)
        for number, level in enumerate(levels):
            seen = plan.n_items(number)
            found = decide_calibrated(
                rule, (judged_c - judged_b)[:seen], labels[:seen], alpha=level, bounds=(-1.0, 1.0)
            )
            if found.verdict != "inconclusive":
                return found.verdict
        return "inconclusive"

    for _ in range(runs):
        wrong["pass"] += decided(0.7) == "pass"
        wrong["fail"] += decided(0.8) == "fail"
    print(wrong)
    assert max(wrong.values()) / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
