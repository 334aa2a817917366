"""Values against scipy and the slow twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

import oracles
from headgate.stats import (
    benjamini_hochberg,
    clopper_pearson,
    discoveries,
    effective_clusters,
    fisher_exact,
    holm,
    item_means,
    log_ratio_interval,
    mcnemar_mid_p,
    mean_interval,
    paired_interval,
    smallest_alpha,
    wilson,
)

CONFIDENCES = [0.8, 0.9, 0.95, 0.99]


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize(("successes", "n"), [(0, 1), (0, 20), (1, 20), (19, 20), (20, 20), (333, 1000)])
def test_intervals_of_a_count_are_scipys(successes, n, confidence):
    test = reference.binomtest(successes, n)
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = test.proportion_ci(confidence, method=method)
        assert ours(successes, n, confidence=confidence) == pytest.approx(
            (theirs.low, theirs.high), rel=1e-9, abs=1e-12
        )


def test_published_values():
    # Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, methods 3 and 5
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert clopper_pearson(81, 263) == pytest.approx((0.2527, 0.3676), abs=5e-5)
    assert clopper_pearson(1, 29) == pytest.approx((0.0009, 0.1776), abs=5e-5)


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_unbounded_intervals_are_students(confidence):
    x, y = np.random.default_rng(1).lognormal(size=(2, 30))
    one = reference.ttest_1samp(x, 0).confidence_interval(confidence)
    two = reference.ttest_rel(x, y).confidence_interval(confidence)
    log = reference.ttest_rel(np.log(x), np.log(y)).confidence_interval(confidence)
    found = mean_interval(x, bounds=None, confidence=confidence)
    assert (found.low, found.high) == pytest.approx((one.low, one.high), rel=1e-9)
    found = paired_interval(x, y, bounds=None, confidence=confidence)
    assert (found.low, found.high) == pytest.approx((two.low, two.high), rel=1e-9)
    found = log_ratio_interval(x, y, confidence=confidence)
    assert (found.low, found.high) == pytest.approx((math.exp(log.low), math.exp(log.high)), rel=1e-9)
    assert found.value == pytest.approx(reference.gmean(x / y))


@pytest.mark.parametrize("seeds", [1, 3, 5])
@pytest.mark.parametrize("p", [0.5, 0.9, 0.98])
@pytest.mark.parametrize("n", [20, 300])
def test_bounded_intervals_follow_their_formula(n, p, seeds):
    rng = np.random.default_rng(n)
    rows = (rng.random((n, seeds)) < np.clip(rng.normal(p, 0.2, (n, 1)), 0, 1)).astype(float)
    items = np.repeat(np.arange(n), seeds)
    found = mean_interval(rows.ravel(), items=items, confidence=0.9)
    value, low, high = oracles.wilson_n_eff(rows.mean(1).tolist(), 0.05, n * seeds)
    assert (found.value, found.low, found.high) == pytest.approx((value, low, high), rel=1e-9)


@pytest.mark.parametrize("seeds", [1, 3, 5])
@pytest.mark.parametrize("p", [0.5, 0.9])
def test_the_paired_interval_is_the_envelope_where_many_items_differ(p, seeds):
    rng = np.random.default_rng(7)
    candidate, baseline = (rng.random((2, 400, seeds)) < p).astype(float)
    items = np.repeat(np.arange(400), seeds)
    found = paired_interval(candidate.ravel(), baseline.ravel(), items=items)
    low, high = oracles.paired_envelope(candidate.mean(1).tolist(), baseline.mean(1).tolist(), 0.025, 400 * seeds)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_item_means_are_those_of_the_twin(items, random):
    values = [random.random() for _ in items]
    ids, means, counts = item_means(values, items)
    twin = oracles.item_means(values, items)
    assert ids.tolist() == sorted(twin)
    for index, item in enumerate(ids.tolist()):
        assert means[index] == pytest.approx(float(twin[item][0]), rel=1e-12)
        assert counts[index] == twin[item][1]


@given(st.lists(st.integers(0, 6), min_size=4, max_size=40), st.randoms(use_true_random=False))
def test_the_cluster_error_deletes_one_cluster_at_a_time(cluster, random):
    values = [random.random() for _ in cluster]
    found = mean_interval(values, cluster=cluster)
    if effective_clusters(cluster) < 2:
        assert math.isnan(found.se)
    else:
        assert found.se == pytest.approx(oracles.jackknife_se(values, cluster), rel=1e-9)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mid_p_is_exact(worse, better):
    expected = 1.0 if worse + better == 0 else oracles.mid_p(worse, better)
    assert mcnemar_mid_p(worse, better) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_that_of_the_twin(p_values):
    assert holm(p_values).tolist() == pytest.approx(oracles.holm(p_values))


@settings(max_examples=50)
@given(st.integers(0, 12), st.integers(0, 30), st.integers(0, 12), st.integers(0, 30))
def test_fisher_is_exact(a, n, b, m):
    n, m = a + n, b + m
    assert fisher_exact(a, n, b, m) == pytest.approx(oracles.fisher(a, n, b, m), rel=1e-9)
    if n and m:
        assert fisher_exact(a, n, b, m) == pytest.approx(reference.fisher_exact([[a, n - a], [b, m - b]]).pvalue)


def test_fisher_of_a_million_jobs():
    assert fisher_exact(100, 10**6, 100, 10**6) == pytest.approx(1.0)
    assert fisher_exact(100, 10**6, 200, 10**6) == pytest.approx(
        reference.fisher_exact([[100, 10**6 - 100], [200, 10**6 - 200]]).pvalue, rel=1e-6
    )


@given(st.floats(1e-11, 0.49))
def test_the_smallest_alpha_is_found(level):
    assert smallest_alpha(lambda alpha: alpha >= level) == pytest.approx(level, rel=1e-9)


def test_false_discovery_is_that_of_scipy():
    rng = np.random.default_rng(8)
    for size in (1, 2, 40):
        p = rng.random(size) ** 2
        assert benjamini_hochberg(p) == pytest.approx(reference.false_discovery_control(p))
    assert benjamini_hochberg([]).size == 0


def test_what_could_never_be_found_does_not_weigh_on_what_could():
    """Gilbert's procedure by hand: at q = 0.1 the first K with at most K tests that can reach q / K is 2."""
    p = [0.004, 0.02, 0.3, 1.0, 1.0, 1.0]
    least = [0.004, 0.004, 0.2, 1.0, 0.5, 1.0]
    assert discoveries(p, least, q=0.1) == pytest.approx([0.008, 0.02, 1, 1, 1, 1])
    assert discoveries(p, [0.0] * 6, q=0.1) == pytest.approx(benjamini_hochberg(p))
    assert list(discoveries([1.0], [1.0], q=0.1)) == [1.0]
