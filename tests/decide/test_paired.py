"""The margin rule on arrays: one bad response never fails, a proven drop does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
from headgate.decide.paired import decide_items, decide_paired
from headgate.errors import StatisticsError
from headgate.stats import mcnemar_mid_p

EVERY_SIZE = [*range(5, 201), 1000, 10_000]


def regressed(n, right, worse, *, margin=0.05, alpha=0.05):
    baseline = np.arange(n) < right
    candidate = baseline & (np.arange(n) >= worse)
    return decide_items(
        candidate.astype(float),
        baseline.astype(float),
        margin=margin,
        alpha=alpha,
        cluster=None,
        bounds=(0, 1),
        n_rows=(n, n),
    )


@pytest.mark.parametrize("share", [0.5, 0.75, 0.9, 1.0])
def test_a8_one_to_three_regressions_never_fail(share):
    for n in EVERY_SIZE:
        for worse in (1, 2, 3):
            right = max(round(share * n), worse)
            found = regressed(n, right, worse, margin=0.0)  # the narrowest margin leaves most to fail
            assert found.verdict != "fail", (n, right, worse)


@pytest.mark.parametrize("n", range(20, 51))
def test_a8_four_regressions_of_a_perfect_baseline_fail(n):
    assert regressed(n, n, 4).verdict == "fail"


def test_one_regression_of_a_hundred_passes():
    assert regressed(120, 120, 1).verdict == "pass"


@pytest.mark.parametrize(("n", "margin"), [(27, 0.1), (54, 0.05), (90, 0.03), (135, 0.02), (270, 0.01)])
def test_two_perfect_arms_pass_from_this_size_on(n, margin):
    assert regressed(n, n, 0, margin=margin).verdict == "pass"
    assert regressed(n - 1, n - 1, 0, margin=margin).verdict == "inconclusive"


def test_a_pass_comes_first_and_says_that_it_regressed():
    found = regressed(5000, 5000, 40, margin=0.05)
    assert (found.verdict, found.flags) == ("pass", ("regressed_within_margin",))
    assert found.high < 0


def test_an_improvement_says_so():
    rng = np.random.default_rng(1)
    baseline = (rng.random(400) < 0.5).astype(float)
    found = decide_paired(np.maximum(baseline, rng.random(400) < 0.5), baseline, margin=0.02)
    assert (found.verdict, found.flags) == ("pass", ("improved",))


def test_swapped_arms_negate_the_decision():
    rng = np.random.default_rng(2)
    c, b = (rng.random((2, 80)) < 0.8).astype(float)
    one, other = decide_paired(c, b, margin=0.02), decide_paired(b, c, margin=0.02)
    assert (one.low, one.high, one.value) == pytest.approx((-other.high, -other.low, -other.value))


def test_seeds_that_agree_are_guarded_like_one_answer():
    items = np.repeat(np.arange(40), 5)
    baseline, candidate = np.ones(200), (items >= 3).astype(float)
    assert decide_paired(candidate, baseline, items=items, margin=0.0).verdict == "inconclusive"
    candidate = (items >= 4).astype(float)
    assert decide_paired(candidate, baseline, items=items, margin=0.05).verdict == "fail"


@given(st.integers(5, 60), st.integers(0, 12), st.integers(0, 12))
def test_the_p_value_is_the_smallest_alpha_that_fails(n, worse, better):
    n = n + worse + better
    baseline = np.arange(n) >= better
    candidate = np.where(np.arange(n) < better, True, np.arange(n) < n - worse)
    found = decide_paired(candidate, baseline, margin=0.0)
    assert found.p_value >= mcnemar_mid_p(worse, better) * (1 - 1e-9)
    if 1e-10 < found.p_value < 0.4:
        above, below = (decide_paired(candidate, baseline, margin=0.0, alpha=found.p_value * k) for k in (1.001, 0.999))
        assert (above.verdict, below.verdict) == ("fail", "inconclusive")
    assert (found.verdict == "fail") == (found.p_value <= 0.05)


def test_the_guard_is_mcnemars():
    found = regressed(50, 50, 4, margin=0.0, alpha=0.4)
    assert found.p_value == pytest.approx(max(oracles.mid_p(4, 0), found.p_value))


@pytest.mark.parametrize(
    ("clusters", "verdict", "flags"),
    [(4, "inconclusive", ("few_clusters",)), (8, "fail", ("few_clusters",)), (20, "fail", ())],
)
def test_few_clusters_decide_nothing(clusters, verdict, flags):
    cluster = np.repeat(np.arange(clusters), 10)
    found = decide_paired(np.zeros(cluster.size), np.ones(cluster.size), cluster=cluster, margin=0.05)
    assert (found.verdict, found.flags) == (verdict, flags)


def test_one_item_decides_nothing():
    found = decide_paired([0], [1], margin=0.05)
    assert (found.verdict, found.p_value, found.low, found.high) == ("inconclusive", 1.0, -1, 1)
    assert found.flags == ("one_item",)


def test_a_few_unbounded_items_decide_nothing():
    rng = np.random.default_rng(3)
    c, b = rng.normal(size=9), rng.normal(5, 1, 9)
    assert decide_paired(c, b, margin=0.1, bounds=None).verdict == "inconclusive"
    c, b = rng.normal(size=12), rng.normal(5, 1, 12)
    found = decide_paired(c, b, margin=0.1, bounds=None)
    assert (found.verdict, found.flags) == ("fail", ("few_items",))


@pytest.mark.parametrize("options", [{"margin": -0.1}, {"margin": float("nan")}, {"margin": 0.1, "alpha": 0.5}])
def test_a_margin_and_an_alpha_make_sense(options):
    with pytest.raises(StatisticsError):
        decide_paired([0, 1], [0, 1], **options)
