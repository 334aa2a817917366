"""Slices, chosen items, the anchor, and items that fall consistently."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from headgate.decide.facts import RunFacts
from headgate.decide.judge import decide
from headgate.errors import ConfigError
from headgate.suite.gate import Arm, Compare, Policy
from made_runs import SCORERS, arms, changed, gate, made

PROMPTS = Compare(baseline=Arm(prompt="old"), candidate=Arm(prompt="new"))
ONES = np.ones(300)


def judge(candidate: RunFacts, *gates, compare=PROMPTS, anchor=None, baseline=None, **policy):
    return decide(
        candidate, baseline, anchor=anchor, gates=gates, scorers=SCORERS, compare=compare, policy=Policy(**policy)
    )


def with_topics(facts: RunFacts, topics: list[str | None]) -> RunFacts:
    ids = [f"i{i:05d}" for i in range(len(topics))]
    return changed(facts, columns=pl.DataFrame({"item_id": ids, "topic": topics}))


def billing_falls(worse: int = 15) -> RunFacts:
    """300 items of three topics, where only those about billing fall."""
    topics = ["billing", "orders", "returns"] * 100
    fallen = [index for index, topic in enumerate(topics) if topic == "billing"][:worse]
    candidate = ONES.copy()
    candidate[fallen] = 0
    return with_topics(arms(candidate, ONES), topics)


def rows(verdict):
    return {tuple(row.cell.values()): (row.tier, row.verdict, row.n_items) for row in verdict.metrics}


def test_a_slice_informs_and_does_not_decide():
    verdict = judge(billing_falls(), gate(margin=0.1, slices=["topic"]))
    assert verdict.verdict == "pass"
    assert rows(verdict) == {
        ("m",): ("blocking", "pass", 300),
        ("m", "billing"): ("monitor", "fail", 100),
        ("m", "orders"): ("monitor", "pass", 100),
        ("m", "returns"): ("monitor", "pass", 100),
    }


def test_a_slice_that_is_a_gate_decides():
    verdict = judge(billing_falls(), gate(margin=0.1), gate(margin=0.1, where={"topic": "billing"}))
    assert verdict.verdict == "fail"
    assert [row.n_items for row in verdict.metrics] == [300, 100]
    assert verdict.metrics[1].cell == {"model": "m", "topic": "billing"}
    assert verdict.metrics[1].n_jobs == 200


def test_jobs_of_other_slices_are_not_missing():
    facts = billing_falls()
    left = facts.results.filter(pl.col("item_id") != "i00001")  # about orders
    cut = changed(facts, results=left, scores=facts.scores.filter(pl.col("item_id") != "i00001"))
    verdict = judge(cut, gate(min=0.5, where={"topic": "returns"}), gate(min=0.5, where={"topic": "orders"}))
    assert [row.verdict for row in verdict.metrics] == ["pass", "inconclusive"]
    assert "not_run" in verdict.metrics[1].flags


def test_a_small_slice_is_shown_and_not_judged():
    facts = with_topics(arms(np.zeros(300), ONES), ["rare"] * 19 + ["usual"] * 281)
    verdict = judge(facts, gate(margin=0.1, slices=["topic"]))
    rare = next(row for row in verdict.metrics if row.cell.get("topic") == "rare")
    assert (rare.verdict, rare.flags, rare.estimate) == ("inconclusive", ["small_slice"], -1)
    assert "fewer than 20 items" in rare.reason


def test_what_cannot_be_sliced_is_a_mistake():
    facts = billing_falls()
    for wrong, words in (
        ({"slices": ["colour"]}, "is no column"),
        ({"where": {"topic": "Billing"}}, "no item has these values"),
    ):
        with pytest.raises(ConfigError, match=words):
            judge(changed(facts, columns=facts.columns.with_columns(colour=pl.lit(None))), gate(margin=0.1, **wrong))
    many = with_topics(arms(ONES, ONES), [f"t{i}" for i in range(300)])
    with pytest.raises(ConfigError, match="300 values, too many"):
        judge(many, gate(margin=0.1, slices=["topic"]))


def test_false_finds_among_slices_are_bounded():
    """Nothing changed in 60 slices: uncorrected, three of them would fail by chance in most runs."""
    rng = np.random.default_rng(3)
    found, alone = 0, 0
    for _ in range(12):
        c, b = (rng.random((2, 1800)) < 0.8).astype(float)
        verdict = judge(
            with_topics(arms(c, b), [f"t{i % 60}" for i in range(1800)]), gate(margin=0.2, slices=["topic"])
        )
        monitors = [row for row in verdict.metrics if row.tier == "monitor"]
        assert len(monitors) == 60
        found += any(row.verdict == "fail" for row in monitors)
        alone += any(row.p_value <= 0.05 for row in monitors)
    assert found <= 4  # at most one in ten runs, plus chance
    assert alone >= 8  # the control


# --- the anchor ---


def test_small_drops_that_add_up_are_stopped_by_the_anchor():
    """Each change lost two points; the baseline moved along, the last release did not."""
    n = 2000
    release, main, change = ((np.arange(n) >= worse).astype(float) for worse in (0, 80, 120))
    candidate = arms(change, main)
    anchor = made({("old", "m"): release[:, None]}, run="runs/v1")
    against = gate(margin=0.04, against="anchor")
    verdict = judge(candidate, gate(margin=0.04), against, anchor=anchor)
    assert [row.verdict for row in verdict.metrics] == ["pass", "fail"]
    assert verdict.verdict == "fail"
    assert [row.estimate for row in verdict.metrics] == pytest.approx([-0.02, -0.06])
    assert (verdict.anchor.run, verdict.errors.anchor.planned) == ("runs/v1", n)
    assert judge(candidate, gate(margin=0.04), anchor=anchor).anchor is None


def test_an_anchor_must_be_there_and_must_pair():
    candidate, against = arms(ONES, ONES), gate(margin=0.1, against="anchor")
    with pytest.raises(ConfigError, match="needs an anchor run"):
        judge(candidate, against)
    with pytest.raises(ConfigError, match="is no prompt of the anchor run"):
        judge(candidate, against, anchor=made({("other", "m"): ONES[:, None]}))
    other = made({("new", "m"): ONES[:, None]}, items_digest="x" * 32)
    verdict = judge(candidate, against, anchor=other)
    assert (verdict.verdict, "items" in verdict.reason) == ("invalid", True)


def test_without_a_comparison_an_anchor_pairs_by_name():
    run, anchor = made({("p", "m"): np.zeros((300, 1))}), made({("p", "m"): ONES[:, None]})
    verdict = judge(run, gate(margin=0.1, against="anchor"), compare=None, anchor=anchor)
    assert verdict.verdict == "fail"


# --- how a margin fails ---


def test_surely_worse_and_surely_worse_by_more_than_the_margin():
    facts = arms((np.arange(300) >= 15).astype(float), ONES)  # 5 points worse
    assert judge(facts, gate(margin=0.05)).verdict == "fail"
    assert judge(facts, gate(margin=0.05), fail_rule="beyond_margin").verdict == "inconclusive"
    far = arms((np.arange(300) >= 60).astype(float), ONES)
    assert judge(far, gate(margin=0.05), fail_rule="beyond_margin").verdict == "fail"


# --- seeds ---


def seeds_of(rng, share, seeds):
    return (rng.random((len(share), seeds)) < np.asarray(share)[:, None]).astype(float)


def test_seeds_that_would_decide_are_told_where_they_would():
    rng = np.random.default_rng(5)
    noisy = arms(seeds_of(rng, [0.7] * 60, 3), seeds_of(rng, [0.7] * 60, 3))
    row = judge(noisy, gate(margin=0.08)).metrics[0]
    assert row.verdict == "inconclusive"
    assert row.needed_seeds is not None
    more = row.needed_seeds
    assert 3 < more < 60
    passed = [judge(arms(*(seeds_of(rng, [0.7] * 60, more) for _ in range(2))), gate(margin=0.08)) for _ in range(20)]
    assert sum(verdict.verdict == "pass" for verdict in passed) >= 6  # about half: the estimate moves too
    settled = arms(
        np.repeat((np.arange(60) % 4 > 0)[:, None], 3, axis=1), np.repeat((np.arange(60) % 5 > 0)[:, None], 3, axis=1)
    )
    row = judge(settled, gate(margin=0.05)).metrics[0]
    assert (row.verdict, row.needed_seeds) == ("inconclusive", None)  # seeds that agree tell nothing new
    assert row.needed_items is not None
    assert judge(arms(np.ones(40), np.ones(40)), gate(margin=0.05)).metrics[0].needed_seeds is None


def test_items_that_fall_consistently_are_named_behind_a_mean_that_passes():
    rng = np.random.default_rng(6)
    old, new = seeds_of(rng, [0.95] * 400, 5), seeds_of(rng, [0.95] * 400, 5)
    new[[7, 70]] = 0
    old[[7, 70]] = 1
    verdict = judge(arms(new, old), gate(margin=0.05))
    assert verdict.verdict == "pass"
    assert sorted(item.item_id for item in verdict.items) == ["i00007", "i00070"]
    assert {(item.baseline_mean, item.candidate_mean, item.name) for item in verdict.items} == {(1.0, 0.0, "correct")}
    assert all(item.p_value <= 0.1 for item in verdict.items)
    assert "i00007: correct 1 -> 0 on m" in str(verdict)


def test_items_are_rarely_named_where_nothing_changed():
    rng = np.random.default_rng(7)
    share = rng.random(200)
    named = [
        bool(judge(arms(seeds_of(rng, share, 5), seeds_of(rng, share, 5)), gate(margin=0.2)).items) for _ in range(60)
    ]
    assert np.mean(named) <= 0.15


def test_a_verdict_on_exactly_these_items_needs_seeds_and_knows_more():
    rng = np.random.default_rng(8)
    facts = arms(seeds_of(rng, rng.random(40), 10), seeds_of(rng, rng.random(40), 10))  # every item moved by its own
    wide, narrow = (judge(facts, gate(margin=0.3), target=target).metrics[0] for target in ("population", "suite"))
    assert narrow.estimate == wide.estimate
    assert narrow.high - narrow.low < 0.7 * (wide.high - wide.low)
    assert "of seeds" in narrow.method
    single = judge(arms(ONES, ONES), gate(margin=0.1), gate(min=0.5), target="suite")
    assert [row.verdict for row in single.metrics] == ["invalid", "invalid"]
    assert "seed" in single.metrics[0].reason
