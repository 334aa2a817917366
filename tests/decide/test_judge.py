"""A verdict from made runs: which rows there are, what is missing, one alpha, exit codes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from headgate.decide.facts import RunFacts
from headgate.decide.judge import decide
from headgate.errors import ConfigError
from headgate.suite.gate import Arm, Compare, Policy
from made_runs import FREE, GRADE, SCORERS, TOXIC, arms, broken, changed, gate, made

PROMPTS = Compare(baseline=Arm(prompt="old"), candidate=Arm(prompt="new"))
MODELS = Compare(baseline=Arm(model="big"), candidate=Arm(model="small"))
ONES, ZEROS = np.ones(200), np.zeros(200)


def judge(candidate: RunFacts, *gates, baseline=None, compare=PROMPTS, **policy):
    return decide(candidate, baseline, gates=gates, scorers=SCORERS, compare=compare, policy=Policy(**policy))


def dropped(n, worse):
    return (np.arange(n) >= worse).astype(float)


def with_latency(facts, new, old):
    seconds = pl.when(pl.col("prompt") == "new").then(pl.lit(new)).otherwise(pl.lit(old))
    wobble = 1 + 0.1 * ((pl.col("job_id").hash(1) % 100).cast(pl.Float64) / 100)
    return changed(facts, results=facts.results.with_columns(latency_s=seconds * wobble))


# --- seeds ---


@pytest.mark.parametrize("first_seed", [4, 1000])
def test_the_numbers_of_the_seeds_weigh_nothing(first_seed):
    """A baseline that was drawn again with other seeds, as many or more: replicates within an item have no order."""
    rng = np.random.default_rng(8)
    scores = [(rng.random((150, seeds)) < 0.9).astype(float) for seeds in (3, 3, 5)]
    scores[0][:9, 1] = np.nan
    candidate = made({("new", "m"): scores[0]})
    rules = [gate(margin=0.1), gate(min=0.5), gate(zero_tolerance=True, reproduce="3/3")]
    for values in scores[1:]:
        same, apart = (made({("old", "m"): values}, first_seed=first) for first in (1, first_seed))
        assert rows_of(judge(candidate, *rules, baseline=same)) == rows_of(judge(candidate, *rules, baseline=apart))
    shifted = made({("new", "m"): scores[0]}, first_seed=first_seed)
    assert rows_of(judge(shifted, *rules, baseline=same)) == rows_of(judge(candidate, *rules, baseline=same))


def rows_of(verdict):
    return verdict.metrics, verdict.errors, verdict.items


def test_jobs_that_two_scorers_valued_are_counted_whatever_their_seeds_are_called():
    """Two gated scorers, one of which could not score five jobs."""
    run = made({("new", "m"): np.ones((40, 3)), ("old", "m"): np.ones((40, 3))}, first_seed=700)
    lost = run.scores.head(5).with_columns(value=pl.lit(None, pl.Float64))
    other = pl.concat([lost, run.scores.tail(-5)]).with_columns(scorer=pl.lit("toxic"), value=pl.col("value") * 0)
    run = changed(run, scores=pl.concat([run.scores, other]), scorers={"correct": "1", "toxic": "1"})
    verdict = judge(run, gate(margin=0.1), gate("toxic", max=0.5))
    assert (verdict.errors.candidate.unscored, verdict.errors.baseline.unscored) == (5, 0)


# --- the four words ---


def test_equal_arms_pass():
    verdict = judge(arms(ONES, ONES), gate(margin=0.05))
    (row,) = verdict.metrics
    assert (verdict.verdict, verdict.exit_code) == ("pass", 0)
    assert (row.cell, row.tier, row.rule, row.margin) == ({"model": "m"}, "blocking", "margin", 0.05)
    assert (row.estimate, row.baseline_mean, row.candidate_mean) == (0, 1, 1)
    assert (row.n_items, row.n_clusters, row.n_jobs, row.confidence) == (200, None, 400, 0.95)
    assert -0.05 < row.low < 0 < row.high


def test_a_drop_fails():
    verdict = judge(arms(dropped(200, 20), ONES), gate(margin=0.05))
    assert (verdict.verdict, verdict.exit_code) == ("fail", 1)
    assert verdict.metrics[0].estimate == pytest.approx(-0.1)
    assert verdict.metrics[0].high < 0
    assert verdict.metrics[0].p_value < 0.01
    assert verdict.metrics[0].needed_items is None


def test_too_little_data_is_inconclusive_and_says_what_would_do():
    verdict = judge(arms(np.ones(40), np.ones(40)), gate(margin=0.05))
    assert (verdict.verdict, verdict.exit_code) == ("inconclusive", 20)
    assert verdict.metrics[0].needed_items in (54, 55)
    assert verdict.metrics[0].mde > 0.05
    assert "about 5" in verdict.reason


@pytest.mark.parametrize(("word", "code"), [("keep", 20), ("pass", 0), ("fail", 1)])
def test_the_exit_code_of_inconclusive_can_be_mapped(word, code):
    verdict = judge(arms(np.ones(40), np.ones(40)), gate(margin=0.05), on_inconclusive=word)
    assert (verdict.verdict, verdict.exit_code) == ("inconclusive", code)


def test_the_worst_blocking_row_is_the_verdict():
    run = arms(dropped(200, 20), ONES)
    verdict = judge(run, gate(margin=0.05), gate(min=0.5), gate("cost_usd", max=1.0))
    assert [row.verdict for row in verdict.metrics] == ["fail", "pass", "invalid"]
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert "cost_usd" in verdict.reason
    verdict = judge(run, gate(margin=0.05), gate(min=0.89), gate("cost_usd", max=1.0, tier="warning"))
    assert [row.verdict for row in verdict.metrics] == ["fail", "inconclusive", "invalid"]
    assert verdict.verdict == "fail"


@pytest.mark.parametrize("tier", ["warning", "monitor"])
def test_only_blocking_rows_block(tier):
    verdict = judge(arms(dropped(200, 20), ONES), gate(margin=0.05, tier=tier), gate(min=0.5))
    assert verdict.metrics[0].verdict == "fail"
    assert (verdict.verdict, verdict.exit_code) == ("pass", 0)


def test_a_verdict_needs_a_gate():
    with pytest.raises(ConfigError, match="gates: there is nothing to decide by"):
        judge(arms(ONES, ONES))


# --- the rules ---


@pytest.mark.parametrize(
    ("share", "rule", "word"),
    [
        (0.9, {"min": 0.8}, "pass"),
        (0.9, {"min": 0.95}, "fail"),
        (0.9, {"min": 0.9}, "inconclusive"),
        (0.9, {"max": 0.95}, "pass"),
        (0.9, {"max": 0.8}, "fail"),
        (1.0, {"min": 0.98}, "pass"),
        (1.0, {"min": 0.99}, "inconclusive"),
    ],
)
def test_absolute_rules(share, rule, word):
    values = dropped(200, round(200 * (1 - share)))
    verdict = judge(made({("p", "m"): values.reshape(-1, 1)}), gate(**rule), compare=None)
    (row,) = verdict.metrics
    assert row.verdict == word
    assert row.cell == {"prompt": "p", "model": "m"}
    assert row.low <= row.estimate == row.candidate_mean == share <= row.high
    assert row.baseline_mean is None
    assert verdict.baseline is None


@pytest.mark.parametrize(("new", "word"), [(0.0, "pass"), (0.2, "fail")])
def test_lower_is_better_is_turned_inside_and_told_naturally(new, word):
    toxic = (np.arange(200) < 200 * new).astype(float)
    verdict = judge(arms(toxic, ZEROS, scorer="toxic"), gate("toxic", margin=0.05))
    (row,) = verdict.metrics
    assert (row.verdict, row.estimate, row.candidate_mean) == (word, new, new)
    assert row.low <= new <= row.high
    assert (row.high < 0.05) == (word == "pass")
    assert TOXIC.higher_is_better is False


@pytest.mark.parametrize(("new", "word"), [(1.0, "pass"), (1.1, "pass"), (1.5, "fail")])
def test_a_ratio_is_a_margin_on_the_log_scale(new, word):
    run = with_latency(arms(ONES, ONES), new, 1.0)
    (row,) = judge(run, gate("latency_s", max_ratio=1.2)).metrics
    assert row.verdict == word
    assert row.estimate == pytest.approx(new, rel=0.02)
    assert row.low < row.estimate < row.high
    assert row.method == "t of log ratio"


def test_a_ratio_of_zeros_is_invalid():
    (row,) = judge(arms(ONES, dropped(200, 3)), gate(max_ratio=1.2)).metrics
    assert (row.verdict, row.estimate) == ("invalid", None)
    assert "ratio is not defined" in row.reason


def test_seconds_are_judged_in_seconds():
    run = with_latency(arms(ONES, ONES), 2.0, 1.0)
    ours, most = judge(run, gate("latency_s", margin=0.5), gate("latency_s", max=3.0)).metrics
    assert (ours.verdict, most.verdict) == ("fail", "pass")
    assert ours.estimate == pytest.approx(1.05, rel=0.02)
    assert most.estimate == pytest.approx(2.1, rel=0.02)
    assert most.low < most.estimate < most.high < 3


def test_bounded_scores_keep_their_units():
    rng = np.random.default_rng(1)
    baseline = rng.integers(3, 6, 300).astype(float)
    verdict = judge(arms(baseline, baseline, scorer="grade"), gate("grade", margin=0.2), gate("grade", min=3.5))
    assert [row.verdict for row in verdict.metrics] == ["pass", "pass"]
    assert verdict.metrics[1].estimate == pytest.approx(baseline.mean())
    assert GRADE.bounds == (1, 5)


def test_unbounded_scores_are_judged_by_t():
    rng = np.random.default_rng(1)
    values = rng.normal(10, 1, 300)
    (row,) = judge(arms(values + 5, values, scorer="free"), gate("free", margin=0.2)).metrics
    assert (row.verdict, row.method, row.flags) == ("pass", "paired t", ["improved"])
    assert FREE.bounds is None


@pytest.mark.parametrize(
    ("occurring", "reproduce", "word"),
    [
        ([0, 0, 0], None, "pass"),
        ([0, 0, 1], None, "fail"),
        ([0, 0, 1], "2/3", "pass"),
        ([1, 0, 1], "2/3", "fail"),
        ([0, 0, 1], "1/2", "pass"),
    ],
)
def test_zero_tolerance_counts_what_is_reproduced(occurring, reproduce, word):
    scores = np.ones((50, 3))
    scores[7] -= occurring
    (row,) = judge(made({("p", "m"): scores}), gate(zero_tolerance=True, reproduce=reproduce), compare=None).metrics
    assert row.verdict == word
    assert row.p_value is None
    assert row.estimate == (0.02 if word == "fail" else 0)
    assert row.high > 0


def test_zero_tolerance_of_what_is_missing_is_open():
    run = made({("p", "m"): np.ones((200, 1))})
    hurt = broken(run, ["p/m/i00003/1"])
    assert judge(hurt, gate(zero_tolerance=True), compare=None).verdict == "inconclusive"


def test_reproduce_asks_for_stored_seeds():
    with pytest.raises(ConfigError, match=r"gates\.reproduce: '2/3' looks at 3 seeds and the run has 1"):
        judge(arms(ONES, ONES), gate(zero_tolerance=True, reproduce="2/3"))
    with pytest.raises(ConfigError, match="has no bounds"):
        judge(arms(ONES, ONES), gate("latency_s", zero_tolerance=True))


# --- which rows there are ---


def cells(prompts, models, value=1.0):
    return {(prompt, model): np.full((200, 1), value) for prompt in prompts for model in models}


def test_every_value_of_the_other_axis_is_a_row_per_gate():
    run = made(cells(["old", "new", "other"], ["small", "big"]))
    verdict = judge(run, gate(margin=0.05), gate(min=0.9))
    assert [row.cell for row in verdict.metrics] == [{"model": "small"}, {"model": "big"}] * 2
    verdict = judge(run, gate(margin=0.05), compare=MODELS)
    assert [row.cell for row in verdict.metrics] == [{"prompt": prompt} for prompt in ("old", "new", "other")]
    verdict = judge(run, gate(min=0.9), compare=None)
    assert len(verdict.metrics) == 6
    assert verdict.candidate.prompt_digests.keys() == {"old", "new", "other"}


def test_two_runs_pair_by_name():
    ours, theirs = made(cells(["a", "b"], ["m"], 0.0)), made(cells(["a", "b"], ["m"]), run="runs/0")
    verdict = judge(ours, gate(margin=0.05), baseline=theirs, compare=None)
    assert [row.cell for row in verdict.metrics] == [{"prompt": "a", "model": "m"}, {"prompt": "b", "model": "m"}]
    assert verdict.verdict == "fail"
    assert (verdict.candidate.run, verdict.baseline.run) == ("runs/1", "runs/0")


@pytest.mark.parametrize(("prompts", "models", "word"), [(["a"], ["m"], "'b'"), (["a", "b"], ["m", "n"], "'n'")])
def test_what_does_not_pair_is_a_mistake(prompts, models, word):
    with pytest.raises(ConfigError, match=word):
        judge(made(cells(["a", "b"], ["m"])), gate(margin=0.05), baseline=made(cells(prompts, models)), compare=None)


def test_each_arm_comes_from_its_run():
    ours = made(cells(["old", "new"], ["m"], 0.0))
    theirs = made(cells(["old"], ["m"], 1.0), run="runs/0")
    assert judge(ours, gate(margin=0.05)).verdict == "pass"
    assert judge(ours, gate(margin=0.05), baseline=theirs).verdict == "fail"


def test_an_arm_that_is_not_there_is_a_mistake():
    with pytest.raises(ConfigError, match=r"compare\.candidate\.prompt: 'new' is no prompt of the candidate run"):
        judge(made(cells(["old"], ["m"])), gate(margin=0.05))
    with pytest.raises(ConfigError, match=r"compare\.baseline\.prompt: 'old'"):
        judge(made(cells(["new"], ["m"])), gate(margin=0.05), baseline=made(cells(["new"], ["m"])))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"items_digest": "x"}, "items"),
        ({"scorers": {"correct": "2"}}, "scorers.correct"),
        ({"models": {"m": "digest of m", "n": "digest of n"}}, "models.n"),
        ({"models": {"m": "digest of a warmer m"}}, "models.m"),
    ],
)
def test_runs_that_differ_elsewhere_are_invalid_and_name_the_keys(changes, key):
    run = arms(ONES, ONES)
    verdict = judge(run, gate(margin=0.05), baseline=changed(run, **changes))
    assert (verdict.verdict, verdict.exit_code, verdict.metrics) == ("invalid", 3, [])
    assert verdict.reason.endswith(f": {key}")


def test_prompts_must_be_the_same_when_models_are_compared():
    run = made(cells(["p"], ["small", "big"]))
    other = changed(run, prompts={"p": "edited"})
    assert judge(run, gate(margin=0.05), compare=MODELS, baseline=other).reason.endswith(": prompts.p")


@pytest.mark.parametrize("rule", [{"margin": 0.1}, {"max_ratio": 1.1}])
def test_a_relative_rule_needs_a_baseline(rule):
    with pytest.raises(ConfigError, match="needs a baseline"):
        judge(made(cells(["p"], ["m"])), gate(**rule), compare=None)


def test_a_metric_must_be_known_and_scored():
    with pytest.raises(ConfigError, match="'nothing' is no metric"):
        judge(arms(ONES, ONES), gate("nothing", min=0.5))
    with pytest.raises(ConfigError, match="'grade' has no scores in run runs/1"):
        judge(arms(ONES, ONES), gate("grade", min=0.5))


def test_clusters_are_counted():
    clusters = [f"c{i // 10}" for i in range(200)]
    (row,) = judge(arms(ONES, ONES, clusters=clusters), gate(margin=0.2)).metrics
    assert (row.n_clusters, row.verdict) == (20, "pass")
    (row,) = judge(arms(ONES, ONES, clusters=clusters), gate(margin=0.05)).metrics
    assert row.verdict == "inconclusive"


# --- what is missing ---


def jobs(prompt, numbers):
    return [f"{prompt}/m/i{number:05d}/1" for number in numbers]


def test_too_many_errors_are_invalid():
    run = broken(arms(ONES, ONES), jobs("new", range(3)))
    verdict = judge(run, gate(margin=0.05))
    assert (verdict.verdict, verdict.exit_code, verdict.metrics[0].verdict) == ("invalid", 3, "invalid")
    assert "3 of 200 jobs of the candidate errored" in verdict.reason
    assert verdict.errors.candidate.errored == 3
    assert verdict.errors.candidate.kinds == {"timeout": 3}
    assert verdict.errors.baseline.kinds == {}


def test_arms_that_err_differently_are_invalid():
    scores = np.ones((2000, 1))
    run = made({("new", "m"): scores, ("old", "m"): scores})
    verdict = judge(broken(run, jobs("new", range(15))), gate(margin=0.05))
    assert verdict.verdict == "invalid"
    assert "the arms errored differently: 15 of 2000 jobs against 0 of 2000" in verdict.reason
    both = broken(run, jobs("new", range(15)) + jobs("old", range(15, 30)))
    assert judge(both, gate(margin=0.05)).verdict == "pass"


def test_errors_that_could_change_the_decision_leave_it_open():
    """54 items pass a margin of 5 points exactly; one that errored could have been a regression."""
    run = arms(np.ones(60), np.ones(60))
    assert judge(run, gate(margin=0.05)).verdict == "pass"
    verdict = judge(broken(run, jobs("new", [3])), gate(margin=0.05), max_error_rate=0.1)
    (row,) = verdict.metrics
    assert row.verdict == "inconclusive"
    assert {"missing_at_bounds", "missing_values_decide"} <= set(row.flags)
    assert row.estimate == 0
    assert row.low < -0.05


def test_errors_that_could_not_are_told():
    verdict = judge(broken(arms(np.ones(1000), np.ones(1000)), jobs("new", [3, 4])), gate(margin=0.05))
    (row,) = verdict.metrics
    assert (row.verdict, row.flags) == ("pass", ["missing_at_bounds"])
    assert (
        "2 jobs have no value"
        in judge(broken(arms(np.ones(1000), np.ones(1000)), jobs("new", [3, 4])), gate(margin=0.0)).reason
    )


def test_a_null_score_is_missing_too():
    scores = np.ones(60)
    scores[5] = np.nan
    verdict = judge(arms(scores, np.ones(60)), gate(margin=0.05))
    assert verdict.verdict == "inconclusive"
    assert (verdict.errors.candidate.unscored, verdict.errors.candidate.errored) == (1, 0)
    assert verdict.errors.candidate.ok == 60


def test_an_unbounded_metric_uses_complete_pairs_and_says_so():
    run = with_latency(arms(ONES, ONES), 1.0, 1.0)
    (row,) = judge(broken(run, jobs("new", [3])), gate("latency_s", max_ratio=1.2)).metrics
    assert (row.n_items, row.verdict, row.flags) == (199, "pass", ["complete_pairs"])


def test_jobs_that_were_not_run_leave_everything_open():
    for worse in (0, 100):
        run = arms(dropped(200, worse), ONES)
        gone = pl.col("job_id") != "new/m/i00199/1"
        part = changed(run, results=run.results.filter(gone), scores=run.scores.filter(gone))
        verdict = judge(part, gate(margin=0.05), gate(min=0.2), gate(zero_tolerance=True))
        assert [row.verdict for row in verdict.metrics[:2]] == ["inconclusive", "inconclusive"]
        assert verdict.errors.candidate.not_run == 1
        assert verdict.errors.candidate.errored == 0
        assert "1 jobs were not run" in verdict.metrics[0].reason


def test_a_run_without_rows_is_no_verdict():
    run = arms(ONES, ONES)
    verdict = judge(changed(run, results=run.results.clear(), scores=run.scores.clear()), gate(margin=0.05))
    assert (verdict.verdict, verdict.metrics[0].reason) == ("invalid", "no item has a value")


def test_the_error_rate_is_a_metric():
    run = broken(arms(ONES, ONES), jobs("new", [3]))
    low, high = judge(run, gate("error_rate", max=0.1), gate("error_rate", margin=0.1)).metrics
    assert (low.estimate, low.verdict) == (0.005, "pass")
    assert (high.estimate, high.verdict) == (0.005, "pass")


def test_the_refusal_rate_is_a_metric_of_the_answered_jobs():
    run = arms(ONES, ONES)
    refused = pl.col("job_id").is_in(jobs("new", [3, 4]))
    run = changed(
        run, results=run.results.with_columns(status=pl.when(refused).then(pl.lit("refused")).otherwise("status"))
    )
    low, high = judge(run, gate("refusal_rate", max=0.1), gate("refusal_rate", margin=0.1)).metrics
    assert (low.estimate, low.verdict) == (0.01, "pass")
    assert (high.estimate, high.verdict) == (0.01, "pass")


@pytest.mark.parametrize(
    ("value", "words"), [(1.5, "is 1.5; a score is a finite number inside 0 to 1"), (np.inf, "is inf")]
)
def test_a_score_that_cannot_be_is_named(value, words):
    scores = np.ones(60)
    scores[7] = value
    (row,) = judge(arms(scores, np.ones(60)), gate(margin=0.05)).metrics
    assert row.verdict == "invalid"
    assert "correct of item 'i00007', seed 1, new on m" in row.reason
    assert words in row.reason


def test_refusals_are_scored_and_counted():
    run = arms(ONES, ONES)
    refused = pl.when(pl.col("job_id") == "new/m/i00000/1").then(pl.lit("refused")).otherwise("status")
    verdict = judge(changed(run, results=run.results.with_columns(status=refused)), gate(margin=0.05))
    assert (verdict.errors.candidate.ok, verdict.errors.candidate.refused) == (199, 1)


# --- one alpha ---


def test_rows_share_one_alpha():
    """Four regressions have p = 0.031..0.05: enough alone, not as one of two rows."""
    run = made({("new", "m"): dropped(30, 4).reshape(-1, 1), ("old", "m"): np.ones((30, 1))})
    alone = judge(run, gate(margin=0.05))
    assert alone.verdict == "fail"
    p = alone.metrics[0].p_value
    assert 0.025 < p < 0.05
    row, other = judge(run, gate(margin=0.05), gate(min=0.5)).metrics
    assert (row.verdict, row.flags, other.verdict) == ("inconclusive", ["holm"], "pass")
    assert row.confidence == pytest.approx(0.975)
    assert row.high >= 0
    row, _ = judge(run, gate(margin=0.05), gate(min=0.5, tier="warning")).metrics
    assert row.verdict == "fail"


def test_warnings_are_a_family_of_their_own():
    run = made({("new", "m"): dropped(30, 4).reshape(-1, 1), ("old", "m"): np.ones((30, 1))})
    rows = judge(run, *[gate(margin=0.05, tier="warning")] * 2, gate(min=0.5)).metrics
    assert [row.verdict for row in rows] == ["inconclusive", "inconclusive", "pass"] or all(
        row.p_value < 0.025 for row in rows[:2]
    )
    rows = judge(run, *[gate(margin=0.05, tier="monitor")] * 2, gate(min=0.5)).metrics
    assert [row.verdict for row in rows] == ["fail", "fail", "pass"]


def test_clear_failures_all_stand():
    run = arms(dropped(200, 100), ONES)
    rows = judge(run, gate(margin=0.05), gate(min=0.9)).metrics
    assert [row.verdict for row in rows] == ["fail", "fail"]
    assert [row.confidence for row in rows] == pytest.approx([0.975, 0.975])  # both p-values are the smallest there is


def test_a15_many_rows_rarely_fail_when_nothing_changed():
    rng = np.random.default_rng(11)
    fails = 0
    for _ in range(60):
        run = made({(p, f"m{m}"): (rng.random((30, 1)) < 0.7).astype(float) for p in ("new", "old") for m in range(5)})
        fails += judge(run, gate(margin=0.02)).verdict == "fail"
    assert fails <= 8  # 60 at 5 %: above 8 has probability 0.3 %


def test_a_million_rows_are_judged_in_seconds():
    import time

    rng = np.random.default_rng(12)
    run = made({(p, "m"): (rng.random((50_000, 5)) < 0.9).astype(float) for p in ("new", "old")})
    started = time.perf_counter()
    verdict = judge(run, gate(margin=0.02), gate(min=0.8))
    assert verdict.verdict == "pass"
    assert time.perf_counter() - started < 5


def test_a_bound_of_zero_is_a_rule():
    verdict = judge(arms(ONES, ONES), gate(margin=0), gate("error_rate", max=0))
    assert [(row.rule, row.margin) for row in verdict.metrics] == [("margin", 0), ("max", 0)]


def test_a16_the_order_of_stored_rows_changes_no_bit_of_a_verdict():
    rng = np.random.default_rng(16)
    clusters = [f"c{i // 4}" for i in range(200)]
    facts = made(
        {("new", "m"): rng.random((200, 3)) * 4 + 1, ("old", "m"): rng.random((200, 3)) * 4 + 1},
        scorer="grade",
        clusters=clusters,
    )
    gates = [gate("grade", margin=0.2), gate("grade", min=2.5), gate("latency_s", max_ratio=1.5)]
    wobbly = changed(facts, results=facts.results.with_columns(latency_s=pl.Series(rng.lognormal(size=1200))))
    one = judge(wobbly, *gates)
    for seed in range(3):
        again = judge(
            changed(
                wobbly,
                results=wobbly.results.sample(fraction=1.0, shuffle=True, seed=seed),
                scores=wobbly.scores.sample(fraction=1.0, shuffle=True, seed=seed + 10),
            ),
            *gates,
        )
        assert again.metrics == one.metrics
        assert again.items == one.items
