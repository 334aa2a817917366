"""Quantiles: order statistics by their formula, ratios by drawn items, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

import oracles
from headgate.errors import StatisticsError
from headgate.stats.quantiles import quantile_interval, quantile_ratio_interval
from headgate.stats.weights import SharedWeights, content_order


@settings(deadline=None)
@given(st.integers(1, 80), st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.95, 0.99]), st.sampled_from([0.5, 0.9, 0.95]))
def test_limits_are_those_of_the_binomial_formula(n, q, confidence):
    found = quantile_interval(range(1, n + 1), q, confidence=confidence)
    low, high = oracles.order_statistics(n, q, (1 - confidence) / 2)
    assert found.low == (low or -math.inf)
    assert found.high == (high if high <= n else math.inf)
    assert found.value == oracles.quantile_of(range(1, n + 1), q)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_limits_are_scipys(q, confidence):
    values = np.random.default_rng(1).lognormal(size=211)
    found = quantile_interval(values, q, confidence=confidence)
    expected = reference.quantile_test(values, p=q).confidence_interval(confidence)
    assert (found.low, found.high) == (expected.low, expected.high)


def test_59_items_bound_a_p95():
    assert quantile_interval(range(58), 0.95, confidence=0.9).high == math.inf
    assert quantile_interval(range(59), 0.95, confidence=0.9).high == 58
    assert quantile_interval(range(59), 0.05, confidence=0.9).low == 0
    assert quantile_interval([3.0], 0.5).low == -math.inf
    assert math.isnan(quantile_interval([3.0], 0.5).se)


@pytest.mark.parametrize("n", [20, 59, 300])
@pytest.mark.parametrize("q", [0.5, 0.95])
def test_each_limit_is_covered_with_and_without_ties(n, q):
    rng = np.random.default_rng(2)
    truth = float(np.exp(reference.norm.ppf(q)))
    for grain in (0.0, 0.5):
        exact = math.ceil(truth / grain) * grain if grain else truth
        misses = np.zeros(2)
        for _ in range(500):
            values = rng.lognormal(size=n)
            found = quantile_interval(np.ceil(values / grain) * grain if grain else values, q, confidence=0.9)
            misses += (found.low > exact, found.high < exact)
        assert (misses / 500 <= 0.05 + 3 * 0.0097).all(), (grain, misses)


def test_millions_of_values():
    values = np.random.default_rng(3).random(10**6)
    found = quantile_interval(values, 0.95)
    assert found.low < found.value < found.high
    half = 1.96 * math.sqrt(0.95 * 0.05 / 10**6)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.05)


def arms(rng, n, *, ratio=1.0):
    """Latencies that share what makes an item slow."""
    item = rng.normal(0, 0.8, n)
    return ratio * np.exp(item + rng.normal(0, 0.4, n)), np.exp(item + rng.normal(0, 0.4, n))


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_a_ratio_is_that_of_repeated_rows(q):
    candidate, baseline = arms(np.random.default_rng(4), 80)
    items = np.arange(80) % 60
    found = quantile_ratio_interval(candidate, baseline, q, items=items, resamples=4000)
    rng, log_ratios = np.random.default_rng(5), []
    rows = [np.flatnonzero(items == item) for item in range(60)]
    for _ in range(4000):
        drawn = np.concatenate([rows[item] for item in rng.integers(0, 60, 60)])
        c, b = (oracles.quantile_of(np.sort(arm[drawn]), q) for arm in (candidate, baseline))
        log_ratios.append(math.log(c / b))
    expected = np.exp(np.quantile(log_ratios, [0.025, 0.975]))
    assert found.se == pytest.approx(np.std(log_ratios), rel=0.08)
    # Two limits of 4,000 resamples each: a standard deviation of 0.06 se; the values are few, so they jump.
    assert np.log([found.low, found.high]) == pytest.approx(np.log(expected), abs=0.3 * found.se)
    c, b = (oracles.quantile_of(np.sort(arm), q) for arm in (candidate, baseline))
    assert found.value == pytest.approx(c / b)


def test_resamples_are_those_of_the_weights():
    candidate, baseline = arms(np.random.default_rng(6), 60)
    found = quantile_ratio_interval(candidate, baseline, 0.9, resamples=300, seed=8)
    order = content_order(np.column_stack([candidate, baseline]), None)
    log_ratios = []
    for row in SharedWeights(n_units=60, seed=8).rows(0, 300).astype(int):
        c, b = (oracles.quantile_of(np.sort(np.repeat(arm[order], row)), 0.9) for arm in (candidate, baseline))
        log_ratios.append(math.log(c / b))
    assert (found.low, found.high) == pytest.approx(np.exp(np.quantile(log_ratios, [0.025, 0.975])), rel=1e-12)
    assert found.se == pytest.approx(np.std(log_ratios), rel=1e-12)


@pytest.mark.parametrize("kind", ["rows", "items", "clusters"])
def test_a16_rows_names_and_threads_change_no_bit(kind):
    rng = np.random.default_rng(9)
    candidate, baseline = arms(rng, 240)
    items, cluster = np.arange(240) // 2, np.arange(240) // 4
    order = rng.permutation(240)
    one = {"rows": {}, "items": {"items": items}, "clusters": {"items": items, "cluster": cluster}}[kind]
    other = {name: [f"n{-label}" for label in labels[order]] for name, labels in one.items()}
    expected = quantile_ratio_interval(candidate, baseline, 0.9, resamples=300, **one)
    for threads in (1, 2, 8):
        found = quantile_ratio_interval(candidate[order], baseline[order], 0.9, resamples=300, threads=threads, **other)
        assert found == expected
    assert expected.n_clusters == (60 if kind == "clusters" else None)
    assert expected.n_items == (240 if kind == "rows" else 120)


def test_swapped_arms_turn_the_ratio_round():
    candidate, baseline = arms(np.random.default_rng(10), 200, ratio=1.3)
    one = quantile_ratio_interval(candidate, baseline, 0.9, resamples=8000)
    other = quantile_ratio_interval(baseline, candidate, 0.9, resamples=8000)
    assert one.value == pytest.approx(1 / other.value)
    assert np.log([one.low, one.high]) == pytest.approx(-np.log([other.high, other.low]), abs=0.2 * one.se)


def test_the_same_rows_again_as_seeds_tell_nothing_new():
    candidate, baseline = arms(np.random.default_rng(11), 100)
    once = quantile_ratio_interval(candidate, baseline, 0.9, resamples=4000)
    twice = quantile_ratio_interval(
        np.tile(candidate, 2), np.tile(baseline, 2), 0.9, items=np.tile(np.arange(100), 2), resamples=4000
    )
    assert twice.se == pytest.approx(once.se, rel=0.06)
    wrong = quantile_ratio_interval(np.tile(candidate, 2), np.tile(baseline, 2), 0.9, resamples=4000)
    assert wrong.se < 0.85 * once.se  # rows that are taken for items say so wrongly


def ratio_coverage(rng, *, n, q, times, resamples):
    hits = 0
    for seed in range(times):
        candidate, baseline = arms(rng, n, ratio=1.2)
        found = quantile_ratio_interval(candidate, baseline, q, resamples=resamples, seed=seed)
        hits += found.low <= 1.2 <= found.high
    return hits / times


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_ratios_are_covered(q):
    assert ratio_coverage(np.random.default_rng(12), n=50, q=q, times=200, resamples=300) >= 0.95 - 3 * 0.0154


@pytest.mark.slow
@pytest.mark.parametrize(("n", "q"), [(50, 0.5), (50, 0.95), (200, 0.95), (250, 0.99)])
def test_ratios_are_covered_by_many_samples(n, q):
    assert 0.94 <= ratio_coverage(np.random.default_rng(13), n=n, q=q, times=1500, resamples=500) <= 0.995


def test_what_a_ratio_cannot_say_is_refused():
    candidate, baseline = arms(np.random.default_rng(14), 240)
    with pytest.raises(StatisticsError, match=r"baseline\[3\] is 0; a ratio"):
        quantile_ratio_interval([1, 1, 1, 1], [1, 1, 1, 0], 0.5)
    with pytest.raises(StatisticsError, match="49 independent units are too few for a bootstrap; 50"):
        quantile_ratio_interval(candidate[:49], baseline[:49], 0.5)
    with pytest.raises(StatisticsError, match="240 independent units are too few for a bootstrap; 250"):
        quantile_ratio_interval(candidate, baseline, 0.99)
    with pytest.raises(StatisticsError, match="in every resample"):
        quantile_ratio_interval(baseline, baseline, 0.5)
    with pytest.raises(StatisticsError, match="q 0"):
        quantile_ratio_interval(candidate, baseline, 0.0)
    with pytest.raises(StatisticsError, match="candidate has 3 values and baseline 2"):
        quantile_ratio_interval([1, 2, 3], [1, 2], 0.5)
    with pytest.raises(StatisticsError, match="an item lies in one cluster"):
        quantile_ratio_interval(candidate, baseline, 0.5, items=np.arange(240) // 2, cluster=np.arange(240))
    for q in (0.0, 1.0, math.nan):
        with pytest.raises(StatisticsError, match="q "):
            quantile_interval([1.0, 2.0], q)
    with pytest.raises(StatisticsError, match=r"values\[1\] is inf"):
        quantile_interval([1.0, math.inf], 0.5)
