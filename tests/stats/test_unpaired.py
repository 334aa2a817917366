"""Two independent arms: values of other packages, exact error rates, invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

import simulated
from headgate.errors import StatisticsError
from headgate.stats.intervals import MeanLimits
from headgate.stats.unpaired import UnpairedLimits, newcombe_interval, unpaired_interval

ARMS = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=30)


def test_published_values():
    # Newcombe (1998), Interval estimation for the difference between independent proportions, table II, method 10
    assert newcombe_interval(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe_interval(9, 10, 3, 10) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    assert newcombe_interval(6, 7, 2, 7) == pytest.approx((0.0582, 0.8062), abs=5e-5)
    assert newcombe_interval(5, 56, 0, 29) == pytest.approx((-0.0381, 0.1926), abs=5e-5)
    assert newcombe_interval(0, 10, 0, 20) == pytest.approx((-0.1611, 0.2775), abs=5e-5)
    assert newcombe_interval(10, 10, 0, 20) == pytest.approx((0.6791, 1.0), abs=5e-5)
    # statsmodels 0.15.0: confint_proportions_2indep(45, 60, 50, 55, method="newcomb", alpha=0.1)
    assert newcombe_interval(45, 60, 50, 55, confidence=0.9) == pytest.approx(
        (-0.27039666397842904, -0.042997513525312336), rel=1e-12
    )


def test_without_bounds_the_interval_is_welchs():
    rng = np.random.default_rng(1)
    x, y = rng.lognormal(size=30), rng.lognormal(1, 1, size=12)
    theirs = reference.ttest_ind(x, y, equal_var=False).confidence_interval(0.9)
    found = unpaired_interval(x, y, bounds=None, confidence=0.9)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert (found.n_items, found.n_clusters, found.method) == (42, None, "Welch t")


def test_within_bounds_it_takes_in_welchs_and_both_wilsons():
    rng = np.random.default_rng(2)
    x, y = (rng.random((2, 40)) < 0.8).astype(float)
    found = unpaired_interval(x, y, confidence=0.9)
    welch = reference.ttest_ind(x, y, equal_var=False).confidence_interval(0.9)
    t = reference.t.ppf(0.95, 39)
    arms = []
    for arm in (x, y):  # Wilson's interval of 39 rows, at Student's quantile
        p, k = arm.mean(), t * t / 39
        half = math.sqrt(k * (p * (1 - p) + k / 4)) / (1 + k)
        arms.append((p, (p + k / 2) / (1 + k) - half, (p + k / 2) / (1 + k) + half))
    (p, l1, u1), (q, l2, u2) = arms
    assert found.low == pytest.approx(min(welch.low, p - q - math.hypot(p - l1, u2 - q)), rel=1e-9)
    assert found.high == pytest.approx(max(welch.high, p - q + math.hypot(u1 - p, q - l2)), rel=1e-9)


def binary_limits(n, m):
    """Limits of every pair of counts, at 5 % a side: of the envelope, and of Welch's interval alone."""
    arms = [[MeanLimits.of((np.arange(size) < k) + 0.0, n_rows=size) for k in range(size + 1)] for size in (n, m)]
    pairs = [[UnpairedLimits(candidate=c, baseline=b) for b in arms[1]] for c in arms[0]]
    ours = np.array([[pair.at(0.05) for pair in row] for row in pairs])
    half = [[reference.t.ppf(0.95, pair.spread.df) * pair.spread.se for pair in row] for row in pairs]
    return ours, np.array([[pair.value for pair in row] for row in pairs]) - half


@pytest.mark.parametrize(("n", "m"), [(20, 20), (50, 50), (20, 100), (100, 20)])
def test_both_promises_hold_exactly(n, m):
    """All counts, weighted by their probability; the plain t interval is the control."""
    limits, welch = binary_limits(n, m)
    passed, failed, control = [], [], []
    for p in (0.5, 0.7, 0.9, 0.95, 0.98, 1.0):
        base = reference.binom.pmf(np.arange(m + 1), m, p)
        same = np.outer(reference.binom.pmf(np.arange(n + 1), n, p), base)
        worse = np.outer(reference.binom.pmf(np.arange(n + 1), n, p - 0.05), base)
        failed.append((same * (limits[:, :, 1] < 0)).sum())
        passed.append((worse * (limits[:, :, 0] > -0.05)).sum())
        control.append((worse * (welch > -0.05)).sum())
    assert max(failed) <= 0.056
    assert max(passed) <= 0.056
    if n <= 50:
        assert max(control) > 0.07


def test_clusters_and_seeds_are_not_items():
    rng = np.random.default_rng(4)

    def fails(*, known):
        (x, cx), (y, cy) = (simulated.clustered(rng, clusters=25, skew=0.5) for _ in range(2))
        groups = {"candidate_cluster": cx, "baseline_cluster": cy} if known else {}
        return unpaired_interval(x, y, confidence=0.9, **groups).high < 0

    assert np.mean([fails(known=True) for _ in range(1000)]) <= 0.065
    assert np.mean([fails(known=False) for _ in range(1000)]) > 0.12
    rows = rng.random(60)
    seeds = np.tile(np.arange(20), 3)
    again = unpaired_interval(rows, rows, candidate_items=seeds, baseline_items=seeds)
    means = rows.reshape(3, 20).mean(0)
    once = unpaired_interval(means, means)
    assert (again.low, again.high, again.n_items) == pytest.approx((once.low, once.high, 40))


@pytest.mark.parametrize(("n", "m", "p"), [(50, 50, 0.9), (50, 50, 0.98), (30, 200, 0.9)])
def test_seeds_of_an_item_are_not_rows(n, m, p):
    """Five seeds, half of whose variance lies between items; rows taken for items are the control."""
    rng, seeds, runs = np.random.default_rng(n + m), 5, 1000
    failed, passed, control = [], [], []
    for _ in range(runs):
        same, worse, base = (
            simulated.item_scores(rng, n=size, p=q, seeds=seeds, difficulty=rng.standard_normal(size))
            for size, q in ((n, p), (n, p - 0.05), (m, p))
        )
        b = MeanLimits.of(base, n_rows=m * seeds)
        failed.append(UnpairedLimits(candidate=MeanLimits.of(same, n_rows=n * seeds), baseline=b).at(0.05)[1] < 0)
        passed.append(UnpairedLimits(candidate=MeanLimits.of(worse, n_rows=n * seeds), baseline=b).at(0.05)[0] > -0.05)
        hits = [(round(float(arm.sum() * seeds)), arm.size * seeds) for arm in (same, base)]
        control.append(newcombe_interval(*hits[0], *hits[1], confidence=0.9)[1] < 0)
    assert np.mean(failed) <= 0.065
    assert np.mean(passed) <= 0.07
    assert np.mean(control) > 0.1


@given(ARMS, ARMS, st.integers(2, 4))
def test_the_same_rows_again_as_seeds_tell_nothing_new(x, y, times):
    items = [np.tile(np.arange(len(arm)), times) for arm in (x, y)]
    again = unpaired_interval(x * times, y * times, candidate_items=items[0], baseline_items=items[1])
    once = unpaired_interval(x, y)
    assert again.se == pytest.approx(once.se, rel=1e-9, abs=1e-12)
    assert again.high - again.low >= (once.high - once.low) * 0.93 - 1e-9


@given(ARMS, ARMS)
def test_swapped_arms_negate_the_limits(x, y):
    one, other = unpaired_interval(x, y), unpaired_interval(y, x)
    assert (-other.high, -other.low, -other.value) == pytest.approx((one.low, one.high, one.value), abs=1e-12)
    assert -1 <= one.low <= one.value <= one.high <= 1


@given(ARMS, ARMS, st.randoms(use_true_random=False))
def test_the_order_and_the_names_of_items_say_nothing(x, y, random):
    names = [f"item {k * 7919 % 1000}" for k in range(len(x))]
    one, other = unpaired_interval(x, y), unpaired_interval(x, random.sample(y, len(y)), candidate_items=names)
    assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=1e-9, abs=1e-9)


@given(ARMS, ARMS, st.floats(0.5, 100), st.floats(-50, 50))
def test_bounds_are_a_change_of_units(x, y, scale, shift):
    bounds = (shift, shift + scale)
    moved = [np.clip(np.array(arm) * scale + shift, *bounds) for arm in (x, y)]
    one, other = unpaired_interval(x, y), unpaired_interval(*moved, bounds=bounds)
    assert (other.low / scale, other.high / scale) == pytest.approx((one.low, one.high), rel=1e-6, abs=1e-6)


def test_more_data_of_the_kind_narrows_it():
    rng = np.random.default_rng(5)
    c, b = (MeanLimits.of((rng.random(30) < 0.8).astype(float), n_rows=30) for _ in range(2))
    few = UnpairedLimits(candidate=c, baseline=b)
    many = few.scaled(100)
    assert many.value == few.value
    assert many.spread.se == pytest.approx(few.spread.se / 10)
    assert np.diff(many.at(0.05)) == pytest.approx(np.diff(few.at(0.05)) / 10, rel=0.1)


def test_degenerate_arms():
    perfect = unpaired_interval(np.ones(50), np.ones(50), confidence=0.9)
    assert perfect.value == 0
    assert perfect.low == -perfect.high < -0.05
    opposite = unpaired_interval(np.zeros(50), np.ones(50))
    assert (opposite.value, opposite.low) == (-1, -1)
    assert opposite.high > -0.95
    one = unpaired_interval([1.0], np.ones(50))
    assert math.isnan(one.se)
    assert (one.low, one.high) == (-1, 1)
    free = unpaired_interval([1.0], np.ones(50), bounds=None)
    assert (free.low, free.high) == (-math.inf, math.inf)


def test_what_is_no_score_is_refused_by_arm_and_index():
    with pytest.raises(StatisticsError, match=r"baseline\[1\] is nan"):
        unpaired_interval([0, 1], [0, math.nan])
    with pytest.raises(StatisticsError, match=r"candidate\[0\] is 2, outside the bounds"):
        unpaired_interval([2], [0, 1])
    with pytest.raises(StatisticsError, match="no proportion"):
        newcombe_interval(3, 2, 1, 2)
