"""The exact bootstrap against all resamples, against drawn ones, and where it must not be used."""

from __future__ import annotations

import math
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats as reference

import oracles
import simulated
from headgate.errors import StatisticsError
from headgate.stats.bootstrap import MeanDistribution, bootstrap_mean, bootstrap_quantile

LATTICES = {"binary": [0.0, 1.0], "seeds": [0.0, 1 / 3, 2 / 3, 1.0], "grades": [1.0, 2.0, 3.0, 4.0, 5.0]}


@st.composite
def lattice_values(draw, least=2, most=40):
    grid = draw(st.sampled_from(sorted(LATTICES)))
    values = draw(st.lists(st.sampled_from(LATTICES[grid]), min_size=least, max_size=most))
    return np.array(values) if len(set(values)) > 1 else np.array([*values, LATTICES[grid][0], LATTICES[grid][-1]])


any_values = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=5, unique=True)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("n", "hits"), [(2, 1), (20, 19), (50, 25), (1000, 3), (10_000, 9500)])
def test_a17_a_share_is_binomial(n, hits, confidence):
    found = bootstrap_mean(np.arange(n) < hits, confidence=confidence)
    alpha = (1 - confidence) / 2
    expected = reference.binom.ppf([alpha, 1 - alpha], n, hits / n) / n
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found.se == pytest.approx(reference.binom.std(n, hits / n) / n)


@settings(max_examples=60, deadline=None)
@given(lattice_values(most=3), st.floats(0.001, 0.999))
def test_a_lattice_is_exact(values, p):
    means = oracles.every_resample(values.tolist(), lambda drawn: math.fsum(drawn) / len(drawn))
    below = np.searchsorted(means, oracles.quantile_of(means, p) - 1e-9) / len(means)
    above = np.searchsorted(means, oracles.quantile_of(means, p) + 1e-9) / len(means)
    if below + 1e-9 < p < above - 1e-9:  # else rounding decides between two means
        assert MeanDistribution.of(values).quantile(p) == pytest.approx(oracles.quantile_of(means, p), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(any_values, st.floats(0.001, 0.999))
@example([0.0, 1.0, 3.0, 6.938], 0.2111)  # the largest mean once ran over the end of the grid
def test_any_few_values_are_near_exact(values, p):
    means = oracles.every_resample(values, lambda drawn: math.fsum(drawn) / len(drawn))
    least, most = oracles.quantile_of(means, max(p - 1e-6, 1e-12)), oracles.quantile_of(means, min(p + 1e-6, 1.0))
    near = 1e-4 * (max(values) - min(values))
    assert least - near <= MeanDistribution.of(np.array(values)).quantile(p) <= most + near


SAMPLES = {
    "lognormal": lambda rng, n: rng.lognormal(size=n),
    "normal": lambda rng, n: rng.normal(size=n),
    "mostly zero": lambda rng, n: rng.lognormal(size=n) * (rng.random(n) < 0.2),
    "one outlier": lambda rng, n: np.append(rng.normal(size=n - 1), 40.0),
    "three outliers": lambda rng, n: np.append(np.zeros(n - 3), [5.0, 6.1, 7.7]),
    "grades": lambda rng, n: rng.integers(1, 6, n).astype(float),
}


def assert_quantile(distribution, means, p):
    """The limit is the quantile of drawn means, within four standard deviations of so many."""
    limit, allowed = distribution.quantile(p), 4 * math.sqrt(p * (1 - p) / means.size)
    nudge = 2e-4 * distribution.sd  # a mean that many resamples share lies on either side by rounding
    assert np.mean(means < limit - nudge) <= p + allowed, p
    assert np.mean(means <= limit + nudge) >= p - allowed, p


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_a17_the_distribution_is_that_of_400_000_resamples(kind):
    rng = np.random.default_rng(17)
    values = SAMPLES[kind](rng, 50)
    means = np.concatenate([values[rng.integers(0, 50, (50_000, 50))].mean(axis=1) for _ in range(8)])
    distribution = MeanDistribution.of(values)
    assert distribution.sd == pytest.approx(means.std(), rel=0.005)
    for p in (0.005, 0.025, 0.05, 0.5, 0.95, 0.975, 0.995):
        assert_quantile(distribution, means, p)


@pytest.mark.parametrize("kind", ["lognormal", "grades"])
def test_bca_is_scipys(kind):
    rng = np.random.default_rng(18)
    values = SAMPLES[kind](rng, 50)
    found = bootstrap_mean(values, method="bca")
    theirs = reference.bootstrap(
        (values,), np.mean, n_resamples=200_000, batch=10_000, method="BCa", rng=rng
    ).confidence_interval
    # Four standard deviations of a limit of 200,000 resamples, bias correction included; grades: one step.
    allowed = 0.04 * found.se if kind == "lognormal" else 1.01 / 50
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=allowed)
    if kind == "lognormal":
        plain = bootstrap_mean(values)
        assert abs(plain.low - theirs.low) > 0.08 * found.se  # the same check does see a difference
        assert abs(plain.high - theirs.high) > 0.08 * found.se


@pytest.mark.parametrize(("n", "near"), [(1000, 1e-3), (10**6, 1e-4)])
def test_two_outliers_are_two_counts(n, near):
    """What no smooth curve fits: the mean of a resample counts how often it holds either."""
    values = np.zeros(n)
    values[:2] = 1, math.sqrt(2)
    chance = reference.binom.pmf(np.arange(25), n, 1 / n)
    sums = np.add.outer(np.arange(25), math.sqrt(2) * np.arange(25)).ravel()
    order = np.argsort(sums)
    cumulative = np.cumsum(np.multiply.outer(chance, chance).ravel()[order])
    distribution = MeanDistribution.of(values)
    assert not distribution.lattice
    for p in (0.1, 0.2, 0.5, 0.7, 0.9, 0.975, 0.995):
        expected = sums[order][np.searchsorted(cumulative, p)] / n
        assert distribution.quantile(p) == pytest.approx(expected, abs=near * distribution.sd), p


def test_collapsed_values_are_the_values():
    """A17: rows that are the same are counted, and that is all."""
    rng = np.random.default_rng(19)
    values = rng.choice([0.0, 0.25, 0.5, 1.0], 300)
    means = oracles.gathered(values, 20_000, rng)
    distribution = MeanDistribution.of(values)
    for p in (0.05, 0.5, 0.95):
        assert_quantile(distribution, means, p)
    centre = np.mean(means < values.mean() - 1e-9) / 2 + np.mean(means <= values.mean() + 1e-9) / 2
    assert distribution.cdf(values.mean()) == pytest.approx(centre, abs=4 * 0.5 / math.sqrt(means.size))


def seen(estimate):
    return estimate.value, estimate.low, estimate.high, estimate.se


@settings(max_examples=40, deadline=None)
@given(lattice_values() | any_values, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_bit(values, random):
    shuffled = random.sample(list(values), len(values))
    for method in ("percentile", "bca"):
        assert seen(bootstrap_mean(shuffled, method=method)) == seen(bootstrap_mean(values, method=method))
    assert seen(bootstrap_quantile(shuffled, 0.6)) == seen(bootstrap_quantile(values, 0.6))


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_units_of_measure_change_nothing(kind):
    values = SAMPLES[kind](np.random.default_rng(20), 60)
    for method in ("percentile", "bca"):
        one, other = bootstrap_mean(values, method=method), bootstrap_mean(8 * values + 100, method=method)
        assert np.array(seen(other)[:3]) == pytest.approx(8 * np.array(seen(one)[:3]) + 100, rel=1e-6)
    mirrored, one = bootstrap_mean(-values), bootstrap_mean(values)
    distribution = MeanDistribution.of(values)  # a lattice has its quantiles on the upper side of a tie
    allowed = 1.01 * distribution.step if distribution.lattice else 1e-3 * distribution.sd
    assert (-mirrored.high, -mirrored.low) == pytest.approx((one.low, one.high), abs=allowed)


def test_resamples_change_nothing():
    values = np.random.default_rng(21).lognormal(size=30)
    assert bootstrap_mean(values, resamples=1) == bootstrap_mean(values, resamples=10**6)


def test_single_precision_is_the_same_lattice():
    thirds = np.random.default_rng(22).integers(0, 4, 200) / 3
    assert MeanDistribution.of(np.asarray(thirds.astype(np.float32), dtype=float)).lattice
    assert bootstrap_mean(thirds.astype(np.float32)).low == pytest.approx(bootstrap_mean(thirds).low, abs=1e-7)


def test_an_offset_costs_no_digits():
    values = np.round(np.random.default_rng(23).normal(size=300) * 2**20) / 2**20
    near, far = bootstrap_mean(values), bootstrap_mean(values + 1e9)
    assert (far.low - 1e9, far.high - 1e9) == pytest.approx((near.low, near.high), abs=2e-6)
    assert far.se == pytest.approx(near.se, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(lattice_values() | any_values)
def test_more_confidence_is_a_wider_interval(values):
    for method in ("percentile", "bca"):
        found = [bootstrap_mean(values, confidence=level, method=method) for level in (0.5, 0.8, 0.95, 0.99)]
        for narrow, wide in pairwise(found):
            assert wide.low <= narrow.low + 1e-9
            assert narrow.high <= wide.high + 1e-9
        reach = 1e-4 * np.ptp(values)
        assert min(values) - reach <= found[-1].low <= found[-1].high <= max(values) + reach


@pytest.mark.parametrize("estimate", [bootstrap_mean, lambda values, **_: bootstrap_quantile(values, 0.5)])
def test_what_has_no_error_is_refused(estimate):
    for values in ([1.0], [0.3] * 20, [0.1 + 0.2, 0.3]):
        with pytest.raises(StatisticsError, match="every resample is the same"):
            estimate(values)
    with pytest.raises(StatisticsError, match=r"values\[1\] is nan"):
        estimate([0.0, math.nan])
    with pytest.raises(StatisticsError, match="at least one number"):
        estimate([])


def test_numbers_out_of_range_are_refused():
    for resamples in (0, -1):
        with pytest.raises(StatisticsError, match="resamples"):
            bootstrap_mean([0, 1], resamples=resamples)
    with pytest.raises(StatisticsError, match="confidence"):
        bootstrap_mean([0, 1], confidence=1.0)
    for q in (0.0, 1.0, math.nan):
        with pytest.raises(StatisticsError, match="q "):
            bootstrap_quantile([0, 1], q)


@settings(max_examples=60, deadline=None)
@given(any_values, st.floats(0.05, 0.95), st.floats(0.5, 0.99))
def test_a_quantile_has_all_its_resamples(values, q, confidence):
    found = oracles.every_resample(values, lambda drawn: oracles.quantile_of(sorted(drawn), q))
    estimate, alpha = bootstrap_quantile(values, q, confidence=confidence), (1 - confidence) / 2
    assert estimate.value == oracles.quantile_of(sorted(values), q)
    assert (estimate.low, estimate.high) == (oracles.quantile_of(found, alpha), oracles.quantile_of(found, 1 - alpha))
    assert estimate.se == pytest.approx(np.std(found), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_the_error_of_a_quantile_is_that_of_drawn_ones(q):
    rng = np.random.default_rng(24)
    values = rng.lognormal(size=101)
    drawn = np.sort(values[rng.integers(0, 101, (50_000, 101))], axis=1)[:, math.ceil(101 * q) - 1]
    found = bootstrap_quantile(values, q)
    assert found.se == pytest.approx(drawn.std(), rel=0.02)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975], method="inverted_cdf"))


def covered(rng, *, n, p, times):
    """Share of samples whose percentile interval holds the truth; one without any error does not."""
    hits = 0
    for _ in range(times):
        values = (rng.random(n) < p).astype(float)
        if 0 < values.sum() < n:
            found = bootstrap_mean(values)
            hits += found.low <= p <= found.high
    return hits / times


def test_it_covers_with_many_items_and_not_at_the_ceiling():
    rng = np.random.default_rng(25)
    assert covered(rng, n=500, p=0.7, times=1000) >= 0.95 - 0.021
    assert covered(rng, n=20, p=0.98, times=1000) <= 0.40  # conclusion 2 of the method: 33 %


def test_a_p95_of_50_items_is_covered_too_little():
    rng, truth = np.random.default_rng(26), float(np.exp(reference.norm.ppf(0.95)))
    found = [bootstrap_quantile(rng.lognormal(size=50), 0.95) for _ in range(1000)]
    share = np.mean([estimate.low <= truth <= estimate.high for estimate in found])
    assert 0.86 <= share <= 0.94  # the reason why quantile_interval exists


def test_a11_items_carry_the_error_and_nested_resampling_counts_seeds_twice():
    rng = np.random.default_rng(27)
    plain, twice = [], []
    for _ in range(500):
        scores = simulated.seeded_scores(rng, n=100, p=0.98, seeds=5)
        plain.append(bootstrap_mean(scores.mean(axis=1)).se ** 2)
        twice.append(oracles.nested(scores, 25, rng).var(ddof=1))
    truth = simulated.seeded_variance(n=100, p=0.98, seeds=5)
    assert 0.95 <= np.mean(plain) / truth <= 1.05
    assert np.mean(twice) / truth >= 1.25  # less where items differ more: 1.16 at p = 0.7


@pytest.mark.slow
def test_ten_million_values():
    rng = np.random.default_rng(28)
    for values in (rng.lognormal(size=10**7), (rng.random(10**7) < 0.9).astype(np.float64)):
        tracemalloc.start()
        found = bootstrap_mean(values)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (found.low, found.high) == pytest.approx(
            (found.value - 1.95996 * found.se, found.value + 1.95996 * found.se), abs=0.005 * found.se
        )
        assert peak <= 2 * values.nbytes + (96 << 20)  # a sorted copy, its flags, the grid
