"""max-T: the family-wise error holds, correlation is worth something, and single columns are tests of one mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

import oracles
import simulated
from headgate.errors import StatisticsError
from headgate.stats import holm
from headgate.stats.families import max_t, moments, step_down


@pytest.mark.parametrize(("alternative", "sides"), [("less", 1), ("greater", 1), ("two-sided", 2)])
def test_one_column_is_a_t_test(alternative, sides):
    values = np.random.default_rng(1).normal(0.1, 1, 400)
    found = max_t(values, alternative=alternative, resamples=40_000, confidence=0.9)
    expected = reference.ttest_1samp(values, 0, alternative=alternative)
    assert found.statistic[0] * (-1 if alternative == "less" else 1) == pytest.approx(
        expected.statistic if sides == 1 else abs(expected.statistic), rel=1e-6
    )
    assert found.p_values[0] == pytest.approx(expected.pvalue, abs=0.02)
    assert found.se[0] == pytest.approx(values.std(ddof=1) / 20, rel=1e-6)
    assert found.critical == pytest.approx(reference.norm.isf(0.1 / sides), abs=0.06)


@pytest.mark.parametrize(
    ("alternative", "variants", "table"),
    # Dunnett (1955), A multiple comparison procedure for comparing several treatments with a control, tables 1a and
    # 2a: joint 95 %, infinite degrees of freedom
    [("less", 2, 1.92), ("greater", 3, 2.06), ("less", 5, 2.23), ("two-sided", 2, 2.21), ("two-sided", 3, 2.35)],
)
def test_variants_against_one_baseline_are_dunnetts(alternative, variants, table):
    arms = np.random.default_rng(2).normal(size=(1000, variants + 1))
    found = max_t(arms[:, 1:] - arms[:, :1], alternative=alternative, resamples=10_000)
    # The table rounds to 0.01; a quantile of 10,000 resamples has a standard deviation of 0.02, the data's
    # correlations and their own 0.01.
    assert found.critical == pytest.approx(table, abs=0.06)
    bonferroni = reference.norm.isf(0.05 / variants / (2 if alternative == "two-sided" else 1))
    assert found.critical < bonferroni + 0.05


def test_what_moves_together_is_one_test():
    values = np.random.default_rng(3).normal(-0.12, 1, 300)
    alone, many = max_t(values, resamples=20_000), max_t(np.column_stack([values] * 10), resamples=20_000)
    assert many.p_values == pytest.approx(np.full(10, alone.p_values[0]), abs=0.006)
    assert many.critical == pytest.approx(alone.critical, abs=0.06)
    assert holm(many.p_values).min() > 5 * many.p_values.min()


@given(st.integers(1, 5), st.integers(1, 30), st.randoms(use_true_random=False))
def test_steps_are_those_of_the_twin(columns, resamples, random):
    statistic = np.array([random.randint(0, 4) / 2 for _ in range(columns)])
    replicates = np.array([[random.randint(0, 4) / 2 for _ in range(columns)] for _ in range(resamples)])
    assert step_down(statistic, replicates).tolist() == pytest.approx(oracles.step_down(statistic, replicates))


def test_p_values_and_limits_agree():
    columns = np.random.default_rng(4).normal([-0.5, -0.2, 0.0, 0.3], 1, (150, 4))
    less, greater, both = (max_t(columns, alternative=alternative) for alternative in ("less", "greater", "two-sided"))
    assert less.p_values[0] < 0.001
    assert (less.p_values[0], greater.p_values[3]) < (0.01, 0.01)
    assert (less.low == -math.inf).all()
    assert (greater.high == math.inf).all()
    assert ((both.low < both.value) & (both.value < both.high)).all()
    assert both.high - both.value == pytest.approx(both.critical * both.se)
    assert both.critical > less.critical
    assert less.value.tolist() == pytest.approx(columns.mean(axis=0).tolist())
    shifted = max_t(columns, null=-0.5)
    assert shifted.statistic == pytest.approx((-0.5 - columns.mean(axis=0)) / less.se)


def test_a16_rows_and_threads_change_no_bit():
    rng = np.random.default_rng(5)
    columns, cluster, order = rng.lognormal(size=(240, 3)) - 1.6, np.arange(240) // 3, rng.permutation(240)
    for groups, shuffled in ((None, None), (cluster, -cluster[order])):
        one = max_t(columns, cluster=groups, resamples=500)
        other = max_t(columns[order], cluster=shuffled, resamples=500, threads=2)
        for name in ("value", "se", "statistic", "p_values", "low", "high", "critical"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_clusters_are_units():
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(100), 4)
    values = rng.normal(size=100)[cluster] + 0.1 * rng.normal(size=400)
    found = max_t(values, cluster=cluster)
    means = values.reshape(100, 4).mean(axis=1)
    assert found.se[0] == pytest.approx(means.std(ddof=1) / 10, rel=1e-6)
    assert found.se[0] > 1.8 * max_t(values).se[0]


def test_each_resample_has_its_own_error():
    """Large clusters above the mean and small ones below it, drawn literally."""
    rng = np.random.default_rng(10)
    sizes = np.where(np.arange(120) < 30, 9, 2)
    cluster = np.repeat(np.arange(120), sizes)
    values = np.where(sizes == 9, 1.0, -4.5)[cluster] + rng.normal(size=120)[cluster]
    values -= values.mean()
    sums = np.bincount(cluster, weights=values)

    def error(drawn):
        mean = sums[drawn].sum() / sizes[drawn].sum()
        residuals = sums[drawn] - mean * sizes[drawn]
        return mean, math.sqrt(120 / 119 * (residuals**2).sum()) / sizes[drawn].sum()

    found = max_t(values, cluster=cluster, alternative="greater", confidence=0.9, resamples=20_000)
    assert found.se[0] == pytest.approx(error(np.arange(120))[1], rel=1e-6)
    ratios = [mean / se for mean, se in (error(rng.integers(0, 120, 120)) for _ in range(20_000))]
    # Two quantiles of 20,000 each have a standard deviation of 0.02 together.
    assert found.critical == pytest.approx(np.quantile(ratios, 0.9), abs=0.06)


def test_moments_are_those_of_the_units():
    rng = np.random.default_rng(11)
    sizes, sums = rng.integers(1, 9, 40).astype(float), rng.normal(1, 1, (40, 2))
    means = np.hstack([sums, sums**2, sums * sizes[:, np.newaxis], sizes[:, np.newaxis], sizes[:, np.newaxis] ** 2])
    found, variance = moments(means.mean(axis=0), units=40)
    for column in range(2):
        mean = sums[:, column].sum() / sizes.sum()
        residuals = sums[:, column] - mean * sizes
        assert found[column] == pytest.approx(mean)
        assert variance[column] == pytest.approx(40 / 39 * (residuals**2).sum() / sizes.sum() ** 2)


def any_failure(rng, *, n, metrics, p, times, resamples):
    """Share of simulations in which any metric fails though none changed: by max-T, and uncorrected."""
    found = []
    for seed in range(times):
        columns = simulated.metrics(rng, n=n, metrics=metrics, p=p)
        family = max_t(columns, resamples=resamples, seed=seed)
        found.append((family.p_values.min() <= 0.05, reference.norm.sf(family.statistic).min() <= 0.05))
    return np.mean(found, axis=0)


def test_a15_the_family_fails_as_often_as_one():
    corrected, plain = any_failure(np.random.default_rng(7), n=100, metrics=5, p=0.8, times=400, resamples=400)
    assert corrected <= 0.05 + 3 * 0.011
    assert plain >= 0.12  # what an uncorrected family does


@pytest.mark.slow
@pytest.mark.parametrize(("n", "metrics", "p"), [(50, 5, 0.7), (200, 5, 0.7), (200, 20, 0.9)])
def test_a15_the_family_fails_as_often_as_one_in_full(n, metrics, p):
    rng = np.random.default_rng(8)
    corrected, plain = any_failure(rng, n=n, metrics=metrics, p=p, times=1500, resamples=400)
    assert corrected <= 0.06  # nominal 0.05, and its standard error is 0.0056
    assert plain >= 0.12


def test_few_differences_are_no_evidence():
    """Two of two worse would have a p-value of 0.017 in a bootstrap, and of 0.25 in truth."""
    moving = np.random.default_rng(9).normal(-1, 1, 100)
    few, enough = np.zeros((2, 100))
    few[:9], enough[:10] = -1, -1
    found = max_t(np.column_stack([few, enough, moving, np.zeros(100), np.full(100, 0.2)]))
    assert found.p_values[[0, 3, 4]].tolist() == [1, 1, 1]
    assert found.high[[0, 3, 4]].tolist() == [math.inf] * 3
    assert found.statistic[[0, 3, 4]].tolist() == [0, 0, 0]
    assert found.p_values[1] < 0.05
    assert found.p_values[2] < 0.001
    still = max_t(np.zeros((60, 2)))
    assert still.p_values.tolist() == [1, 1]
    assert still.critical == math.inf


def test_a_resample_without_any_error_takes_the_observed_one():
    """Ten items of 256 differ: one resample in 22,000 holds none of them."""
    worse = np.zeros(256)
    worse[:10] = -1
    found = max_t(worse, resamples=200_000)
    held = np.arange(1, 60)  # of the ten; the t of a resample that holds so many, and none, which is far below
    t = (held - 10) / np.sqrt(held * (1 - held / 256) * 256 / 255)
    chance = reference.binom.pmf(held, 256, 10 / 256)
    assert found.critical == pytest.approx(t[np.searchsorted(np.cumsum(chance), 0.95)], rel=1e-6)
    assert found.p_values[0] == pytest.approx(chance[t >= found.statistic[0]].sum(), abs=3e-5)


def passed(rng, *, n, times):
    """Share of suites with a real drop by the margin, always in the same items, that pass as within the margin."""
    found = []
    for seed in range(times):
        drop = -(rng.random(n) < 0.05).astype(float)
        family = max_t(drop, null=-0.05, alternative="greater", resamples=200, seed=seed)
        found.append(family.p_values[0] <= 0.05)
    return np.mean(found)


@pytest.mark.parametrize("n", [60, 200, 400])
def test_rare_drops_do_not_pass(n):
    assert passed(np.random.default_rng(12), n=n, times=400) <= 0.05 + 3 * 0.011


def test_bad_input_is_refused():
    with pytest.raises(StatisticsError, match="too few"):
        max_t(np.random.default_rng(0).normal(size=(49, 2)))
    with pytest.raises(StatisticsError, match=r"columns\[:, 0\]\[2\] is nan"):
        max_t([0.0, 1.0, math.nan])
    with pytest.raises(StatisticsError, match="confidence"):
        max_t(np.arange(60.0), confidence=1.5)
