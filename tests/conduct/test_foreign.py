"""A gate on results of other tools: the verdict that the statistics give on the same numbers, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import headgate as hg
from foreign_results import SHARED, inspect_samples, lm_eval, needs_data, promptfoo, write_eval
from headgate.decide import decide_paired
from headgate.errors import ConfigError


def write(path, **columns):
    pl.DataFrame(columns).write_csv(path)
    return path


def arms(tmp_path, *, n=200, drop=0.0, seed=1):
    rng = np.random.default_rng(seed)
    old = (rng.random(n) < 0.8).astype(int)
    new = np.where(rng.random(n) < drop, 0, old)
    ids = [f"q{i}" for i in range(n)]
    shuffled = rng.permutation(n)
    baseline = write(tmp_path / "baseline.csv", item_id=ids, score=old)
    candidate = write(tmp_path / "candidate.csv", item_id=[ids[i] for i in shuffled], score=new[shuffled])
    return candidate, baseline, new, old


@pytest.mark.parametrize("drop", [0.0, 0.08, 0.4], ids=str)
def test_the_verdict_is_that_of_the_statistics_whatever_the_order_of_rows(tmp_path, drop):
    candidate, baseline, new, old = arms(tmp_path, drop=drop)
    verdict = hg.gate_scores(candidate, baseline=baseline, margin=0.05)
    expected = decide_paired(new, old, margin=0.05)
    (row,) = verdict.metrics
    assert verdict.verdict == expected.verdict
    assert (row.estimate, row.n_items, row.cell) == (pytest.approx(expected.value), 200, {})
    if verdict.verdict != "fail":  # the limits of a failure stand at Holm's level
        assert (row.low, row.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_lower_can_be_better_and_scores_of_any_size(tmp_path):
    rng = np.random.default_rng(1)
    old = rng.normal(5, 1, 100)
    file = write(tmp_path / "a.csv", id=range(100), old=old, new=old + 1)
    kind = {"score": "new", "baseline_score": "old", "bounds": None, "margin": 0.5}
    assert hg.gate_scores(file, **kind).verdict == "pass"
    assert hg.gate_scores(file, **kind, higher_is_better=False).verdict == "fail"
    assert hg.gate_scores(file, score="new", bounds=(-10, 20), max=8).verdict == "pass"
    assert hg.gate_scores(file, score="new", bounds=(-10, 20), min=8).verdict == "fail"
    positive = hg.gate_scores(file, **{**kind, "margin": None}, higher_is_better=False, max_ratio=1.1)
    assert (positive.verdict, positive.metrics[0].rule) == ("fail", "max_ratio")


def test_clusters_and_seeds_count(tmp_path):
    rng = np.random.default_rng(2)
    text, seed = np.repeat(np.arange(100), 2), np.tile([0, 1], 100)
    scores = {"a": rng.integers(0, 2, 200), "b": rng.integers(0, 2, 200)}
    file = write(tmp_path / "a.csv", item=text, trial=seed, user=text // 5, **scores)
    verdict = hg.gate_scores(file, item="item", seed="trial", cluster="user", score="a", baseline_score="b", margin=0.3)
    (row,) = verdict.metrics
    expected = decide_paired(scores["a"], scores["b"], items=text, cluster=text // 5, margin=0.3)
    assert (row.n_items, row.n_clusters, row.n_jobs) == (100, 20, 400)
    assert (row.low, row.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_a_null_is_missing_and_takes_both_ends(tmp_path):
    old = [1] * 100
    baseline = write(tmp_path / "b.csv", id=range(100), score=old)
    candidate = write(tmp_path / "c.csv", id=range(100), score=[None] * 30 + [1] * 70)
    verdict = hg.gate_scores(candidate, baseline=baseline, margin=0.05)
    assert verdict.verdict == "inconclusive"
    assert (verdict.errors.candidate.unscored, verdict.metrics[0].flags) == (
        30,
        ["missing_values_decide", "missing_at_bounds"],
    )


def test_requests_that_failed_make_it_invalid(tmp_path):
    for name, scores in {"b": [1] * 100, "c": [None] * 5 + [1] * 95}.items():
        (tmp_path / name).write_text(json.dumps(promptfoo(scores)))
    verdict = hg.gate_scores(tmp_path / "c", baseline=tmp_path / "b", margin=0.1)
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert verdict.errors.candidate.kinds == {"request_failed": 5}


def test_a_seed_that_an_item_lacks_was_not_run(tmp_path):
    file = write(tmp_path / "a.csv", id=[1, 1, 2], s=[1, 2, 1], score=[1, 1, 1])
    verdict = hg.gate_scores(file, seed="s", min=0.1)
    assert (verdict.verdict, verdict.errors.candidate.not_run) == ("inconclusive", 1)


@pytest.mark.parametrize(
    ("ids", "clusters", "message"),
    [
        (["a", "b", "d"], [1, 1, 1], r"1 only in the candidate \(d\), 1 only in the baseline \(c\)"),
        (["a", "b", "c"], [1, 1, 2], r"1 with another content or cluster \(c\)"),
    ],
    ids=["ids", "clusters"],
)
def test_files_that_do_not_hold_the_same_items_are_invalid_and_named(tmp_path, ids, clusters, message):
    baseline = write(tmp_path / "b.csv", id=["a", "b", "c"], g=[1, 1, 1], score=[1, 0, 1])
    candidate = write(tmp_path / "c.csv", id=ids, g=clusters, score=[1, 0, 1])
    verdict = hg.gate_scores(candidate, baseline=baseline, cluster="g", margin=0.1)
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert re.search(message, verdict.reason)


def test_documents_of_one_number_that_ask_something_else_do_not_pair(tmp_path):
    (tmp_path / "b").write_text(lm_eval([1, 0]))
    (tmp_path / "c").write_text(lm_eval([1, 0]).replace("hash 1", "hash 7"))
    verdict = hg.gate_scores(tmp_path / "c", baseline=tmp_path / "b", margin=0.1)
    assert "1 with another content or cluster (1)" in verdict.reason


def test_cells_pair_by_prompt_and_model_and_single_ones_whatever_they_are_called(tmp_path):
    both = promptfoo([1, 0] * 30, model="small")
    both["results"]["results"] += promptfoo([1, 1] * 30, model="large")["results"]["results"]
    (tmp_path / "both").write_text(json.dumps(both))
    (tmp_path / "other").write_text(json.dumps(promptfoo([1, 0] * 30, model="new", prompt="other")))
    verdict = hg.gate_scores(tmp_path / "both", baseline=tmp_path / "both", margin=0.1)
    assert [row.cell for row in verdict.metrics] == [{"prompt": "p", "model": name} for name in ("small", "large")]
    (row,) = hg.gate_scores(
        tmp_path / "other", baseline=tmp_path / "both", baseline_where={"model": "small"}, margin=0.2
    ).metrics
    assert (row.cell, row.estimate) == ({"prompt": "other", "model": "new"}, 0)
    with pytest.raises(ConfigError, match="pair by name"):
        hg.gate_scores(tmp_path / "other", baseline=tmp_path / "both", margin=0.1)
    both["results"]["results"].append(promptfoo([1], model="large", prompt="q")["results"]["results"][0])
    (tmp_path / "both").write_text(json.dumps(both))
    with pytest.raises(ConfigError, match="not every prompt was asked of every model; choose one"):
        hg.gate_scores(tmp_path / "both", min=0.1)


def test_a_score_of_some_tests_alone_is_judged_and_the_reason_says_so(tmp_path):
    file = tmp_path / "a.json"
    document = promptfoo([1] * 400)
    for row in document["results"]["results"][:300]:
        row["namedScores"] = {}
    file.write_text(json.dumps(document))
    verdict = hg.gate_scores(file, score="tone", min=0.2)
    assert (verdict.verdict, verdict.metrics[0].n_items) == ("pass", 100)
    assert verdict.reason.endswith("; tone stands in 100 of 400 rows")
    suite = hg.Suite(
        name="s",
        items=[{"q": 1}],
        prompts={"p": "{{ q }}"},
        models=[{"id": "m", "provider": "simulated"}],
        scorers=[{"name": "tone", "type": "json_valid"}],
        gates=[{"metric": "tone", "min": 0.1}, {"metric": "latency_s", "max": 2.0}],
    )
    with pytest.raises(ConfigError, match="has tone, latency_s for different items; gate each of them alone"):
        hg.gate_scores(file, suite=suite)


def test_the_time_that_a_tool_measured_is_the_built_in_metric(tmp_path):
    log = write_eval(tmp_path / "log", inspect_samples(["C"] * 30))
    verdict = hg.gate_scores(log, baseline=log, score="latency_s", max_ratio=1.2)
    assert (verdict.verdict, verdict.metrics[0].name) == ("pass", "latency_s")


def test_a_suite_can_say_the_gates(tmp_path):
    suite = hg.Suite(
        name="s",
        items=[{"q": 1}],
        prompts={"p": "{{ q }}"},
        models=[{"id": "m", "provider": "simulated"}],
        scorers=[
            {"name": "right", "type": "exact_match"},
            {"name": "stars", "type": "python", "call": "x:y", "bounds": [1, 5]},
        ],
        gates=[{"metric": "right", "margin": 0.1}, {"metric": "stars", "min": 3}, {"metric": "error_rate", "max": 0.1}],
        policy={"alpha": 0.01},
    )
    file = write(tmp_path / "a.csv", id=range(200), right=[1] * 200, stars=[4, 5] * 100)
    verdict = hg.gate_scores(file, baseline=file, suite=suite)
    assert [(row.name, row.verdict) for row in verdict.metrics] == [
        ("right", "pass"),
        ("stars", "pass"),
        ("error_rate", "pass"),
    ]
    assert verdict.alpha == 0.01
    with pytest.raises(ConfigError, match="names one column for several metrics"):
        hg.gate_scores(file, baseline=file, suite=suite, score="right")
    gates = [gate.model_copy(update={"slices": ["topic"]}) for gate in suite.gates]
    with pytest.raises(ConfigError, match="chooses items by their columns"):
        hg.gate_scores(file, suite=suite.model_copy(update={"gates": gates}))


def test_a_metric_over_seeds_is_made_of_the_score_that_it_names(tmp_path):
    suite = hg.Suite(
        name="s",
        items=[{"q": 1}],
        prompts={"p": "{{ q }}"},
        models=[{"id": "m", "provider": "simulated"}],
        seeds=2,
        scorers=[
            {"name": "right", "type": "exact_match"},
            {"name": "both", "type": "pass_at_k", "of": "right", "k": 2, "all": True},
        ],
        gates=[{"metric": "both", "min": 0.3}, {"metric": "right", "min": 0.5}],
    )
    ids, seeds = [n // 2 for n in range(400)], [1, 2] * 200
    file = write(tmp_path / "a.csv", id=ids, seed=seeds, right=[1, 1, 1, 0] * 100)
    both, right = hg.gate_scores(file, seed="seed", suite=suite).metrics
    assert (both.estimate, right.estimate) == (0.5, 0.75)
    assert (both.name, both.verdict, right.verdict) == ("both", "pass", "pass")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "there is nothing to decide by; give one of margin, min, max, max_ratio"),
        ({"margin": 0.1}, "needs a baseline, and there is none"),
        ({"margin": -1}, "margin: -1.0 is less than 0"),
        ({"min": 0.5, "alpha": 0.7}, "alpha: 0.7 is not less than 0.5"),
        ({"min": 0.5, "bounds": (1, 0)}, "the smallest score comes first"),
    ],
    ids=range(5),
)
def test_rules_that_say_nothing_are_refused(tmp_path, options, message):
    file = write(tmp_path / "a.csv", id=[1, 2], score=[1, 0])
    with pytest.raises(ConfigError, match=message):
        hg.gate_scores(file, **options)


def test_a_run_is_no_file_of_scores(tmp_path):
    file = write(tmp_path / "a.csv", id=[1, 2], score=[1, 0])
    with pytest.raises(
        ConfigError, match="is a folder, and scores stand in a file; scores of a run are written to one"
    ):
        hg.gate_scores(file, baseline=tmp_path, margin=0.1)


def test_two_files_need_ids_and_one_does_not(tmp_path):
    a, b = (write(tmp_path / name, x=[1, 0] * 50, y=[1, 0] * 50) for name in ("a.csv", "b.csv"))
    verdict = hg.gate_scores(a, score="x", baseline_score="y", margin=0.2)
    assert (verdict.verdict, verdict.candidate.run, verdict.baseline.run) == ("pass", f"{a}: x", f"{a}: y")
    with pytest.raises(ConfigError, match="has no column that identifies items, and two files need one"):
        hg.gate_scores(a, baseline=b, score="x", margin=0.2)


_MEASURE = r"""
import pathlib, re, sys
import headgate as hg
verdict = hg.gate_scores(sys.argv[1], score="score", baseline_score="old", margin=0.05)
status = pathlib.Path("/proc/self/status").read_text()
print(verdict.metrics[0].n_items, int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_file_is_streamed(tmp_path, ending):
    """100 MB of texts take no more memory than 4 MB of them: what is held are ids and scores."""
    taken = []
    for size in (40, 1000):
        file = tmp_path / f"{size}.{ending}"
        frame = pl.DataFrame({"id": range(100_000)}).with_columns(
            score=(pl.col("id") % 10 < 9).cast(pl.Int64),
            old=(pl.col("id") % 7 < 6).cast(pl.Int64),
            output=pl.lit("x" * size) + pl.col("id").cast(pl.String),
        )
        if ending == "parquet":
            frame.write_parquet(file, compression="uncompressed", row_group_size=10_000)
        else:
            getattr(frame, {"jsonl": "write_ndjson", "csv": "write_csv"}[ending])(file)
        ran = subprocess.run([sys.executable, "-c", _MEASURE, file], capture_output=True, text=True, check=True)
        items, megabytes = map(int, ran.stdout.split())
        assert items == 100_000
        taken.append(megabytes)
    assert file.stat().st_size > 100e6
    assert taken[1] < taken[0] + 30, taken


@needs_data
def test_a_better_model_is_told_from_a_worse_one_in_stored_outputs():
    file = SHARED / "outputs/gsm8k_4models_correctness.jsonl"
    better, worse = "175b_verification.is_correct", "6b_finetuning.is_correct"
    assert hg.gate_scores(file, item="question", score=better, baseline_score=worse, margin=0.05).verdict == "pass"
    assert hg.gate_scores(file, item="question", score=worse, baseline_score=better, margin=0.05).verdict == "fail"
