"""Variance between items and between seeds, and intervals for exactly these items."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

import oracles
import simulated
from headgate.errors import StatisticsError
from headgate.stats import mean_interval, paired_interval
from headgate.stats.intervals import MeanLimits
from headgate.stats.paired import PairedLimits
from headgate.stats.seeds import (
    PairedComponents,
    SeedNoise,
    paired_components,
    recommended_seeds,
    variance_components,
)

R = 1000


def test_published_components():
    # Snedecor and Cochran, Statistical Methods, 13.3: calcium in four turnip leaves, four determinations each.
    # Mean squares .2961 and .0066; components .0724 and .0066.
    leaves = [[3.28, 3.09, 3.03, 3.03], [3.52, 3.48, 3.38, 3.38], [2.88, 2.80, 2.81, 2.76], [3.34, 3.38, 3.23, 3.26]]
    found = variance_components(np.ravel(leaves), np.repeat(np.arange(4), 4))
    assert (found.msb, found.msw) == pytest.approx((0.2961, 0.0066), abs=5e-5)
    assert (found.item_variance, found.seed_variance) == pytest.approx((0.0724, 0.0066), abs=5e-5)
    assert (found.n_items, found.seeds_min, found.seeds_max) == (4, 4, 4)


@given(st.lists(st.integers(0, 6), min_size=4, max_size=40), st.randoms(use_true_random=False))
def test_components_are_those_of_the_twin(items, random):
    values = [random.random() for _ in items]
    if len(set(items)) < 2 or len(set(items)) == len(items):
        with pytest.raises(StatisticsError):
            variance_components(values, items)
        return
    found = variance_components(values, items)
    between, within = oracles.variance_components(values, items)
    assert (found.item_variance, found.seed_variance) == pytest.approx((between, within), rel=1e-9, abs=1e-12)
    order = random.sample(range(len(items)), len(items))
    again = variance_components([values[i] for i in order], [f"item {items[i]}" for i in order])
    assert again.icc == pytest.approx(found.icc, rel=1e-9, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("seeds", [2, 5])
def test_components_find_the_truth_with_any_number_of_seeds(seeds):
    rng = np.random.default_rng(seeds)
    rows = simulated.nested(rng, runs=300, n=100, seeds=seeds, between=0.3, within=0.5)
    keep = np.ones((100, seeds), dtype=bool)
    keep[:50, 1:] = False  # half of the items have one seed only
    items = np.broadcast_to(np.arange(100)[:, None], keep.shape)[keep]
    found = [variance_components(run[keep], items) for run in rows]
    assert np.mean([one.item_variance for one in found]) == pytest.approx(0.09, rel=0.05)
    assert np.mean([one.seed_variance for one in found]) == pytest.approx(0.25, rel=0.05)
    assert (found[0].seeds_min, found[0].seeds_max) == (1, seeds)


def test_a11_the_error_of_items_is_the_true_one():
    """Estimated variance over that of 20,000 runs; resampling seeds within resampled items counts them twice."""
    rng = np.random.default_rng(11)
    n, seeds = 100, 3

    def deltas(runs):
        difficulty = rng.standard_normal((runs, n, 1))
        arms = [simulated.nested(rng, runs=runs, n=n, seeds=seeds, between=0.1, within=0.5) for _ in range(2)]
        return [arm + difficulty for arm in arms]

    candidate, baseline = deltas(20_000)
    truth = float((candidate - baseline).mean((1, 2)).var(ddof=1))
    items = np.repeat(np.arange(n), seeds)
    pairs = [(c.ravel(), b.ravel()) for c, b in zip(candidate[:400], baseline[:400], strict=True)]
    found = np.mean([paired_interval(c, b, items=items, bounds=None).se ** 2 for c, b in pairs])
    split = np.mean([paired_components(c, b, items).se_with(n, seeds, seeds) ** 2 for c, b in pairs])
    assert 0.95 <= found / truth <= 1.05
    assert 0.95 <= split / truth <= 1.05
    nested = []
    for c, b in zip(candidate[:100], baseline[:100], strict=True):
        chosen = rng.integers(n, size=(100, n, 1))
        means = [arm[chosen, rng.integers(seeds, size=(100, n, seeds))].mean((1, 2)) for arm in (c, b)]
        nested.append(float((means[0] - means[1]).var(ddof=1)))
    assert np.mean(nested) / truth >= 1.25


def test_other_numbers_of_seeds_are_foreseen():
    rng = np.random.default_rng(12)
    few, many = (
        [simulated.nested(rng, runs=400, n=60, seeds=k, between=0.2, within=s) for k, s in arms]
        for arms in (((2, 0.5), (4, 0.3)), ((6, 0.5), (2, 0.3)))
    )
    truth = float((many[0].mean((1, 2)) - many[1].mean((1, 2))).var(ddof=1))
    items, baseline_items = np.repeat(np.arange(60), 2), np.repeat(np.arange(60), 4)
    found = [
        paired_components(c.ravel(), b.ravel(), items, baseline_items=baseline_items).se_with(60, 6, 2) ** 2
        for c, b in zip(*few, strict=True)
    ]
    assert np.mean(found) == pytest.approx(0.08 / 60 + 0.25 / 360 + 0.09 / 120, rel=0.03)
    assert np.mean(found) == pytest.approx(truth, rel=0.2)


def test_seeds_for_the_money():
    found = variance_components(*made(0.1, 0.3))

    def price(seeds, cost):
        return (found.item_variance + found.seed_variance / seeds) * (cost + seeds)

    for cost in (0.0, 0.5, 3.0, 40.0):
        best = min(range(1, 200), key=lambda seeds: price(seeds, cost))
        assert recommended_seeds(found, cost_item=cost, cost_seed=1) == best
    same = variance_components([1, 0, 1, 0], ["a", "a", "b", "b"])
    assert same.item_variance == 0
    assert recommended_seeds(same, cost_item=1, cost_seed=1) is None
    certain = variance_components([1, 1, 0, 0], ["a", "a", "b", "b"])
    assert recommended_seeds(certain, cost_item=9, cost_seed=1) == 1
    with pytest.raises(StatisticsError, match="cost_seed 0"):
        recommended_seeds(found, cost_item=1, cost_seed=0)
    with pytest.raises(StatisticsError, match="cost_item nan"):
        recommended_seeds(found, cost_item=math.nan, cost_seed=1)


def made(between, within):
    rng = np.random.default_rng(13)
    rows = simulated.nested(rng, runs=1, n=200, seeds=4, between=between, within=within)
    return rows.ravel(), np.repeat(np.arange(200), 4)


def test_degenerate_seeds():
    flat = variance_components([0.3, 0.1 + 0.2, 0.3, 0.3], [0, 0, 1, 1])
    assert (flat.seed_variance, flat.item_variance) == pytest.approx((0, 0), abs=1e-30)
    with pytest.raises(StatisticsError, match="run two or more of each item"):
        variance_components([0, 1], [0, 1])
    with pytest.raises(StatisticsError, match="all rows are of one item"):
        variance_components([0, 1], [0, 0])
    with pytest.raises(StatisticsError, match="not the same items"):
        paired_components([0, 1, 0], [0, 1, 0], [0, 0, 1], baseline_items=[0, 0, 2])
    with pytest.raises(StatisticsError, match="all rows are of one item"):
        paired_components([0, 1], [0, 1], [0, 0])
    with pytest.raises(StatisticsError, match=r"baseline\[1\] is nan"):
        paired_components([0, 1], [0, math.nan], [0, 1])
    split = PairedComponents(difference_variance=0.0, candidate_variance=0.1, baseline_variance=0.1, n_items=9)
    with pytest.raises(StatisticsError, match="seeds_c 0"):
        split.se_with(9, 0, 1)
    with pytest.raises(StatisticsError, match="n_items 0"):
        split.se_with(0, 1, 1)


def suites(n):
    """True probabilities of a fixed suite in both arms: spread out, mostly certain, all alike, and the truth."""
    z = ndtri((np.arange(n) + 0.5) / n)
    certain = np.where(np.arange(n) < 0.3 * n, 0.5, np.where(np.arange(n) < 0.6 * n, 0.05, 0.95))
    yield ndtr(0.4 + 1.6 * z), ndtr(0.7 + 1.6 * z)
    yield certain, certain[::-1]
    yield np.full(n, 0.98), np.full(n, 0.98)
    yield np.full(n, 0.6), np.full(n, 0.9)


def suite_limits(rng, candidate, baseline, seeds):
    (c, squares_c), (b, squares_b) = (
        simulated.fixed_suite(rng, probability=p, seeds=seeds) for p in (candidate, baseline)
    )
    k = np.full(c.size, seeds)
    within = (SeedNoise(squares=squares_c, seeds=k), SeedNoise(squares=squares_b, seeds=k))
    rows = (k.sum(), k.sum())
    suite = PairedLimits.of(c, b, n_rows=rows, within=within)
    return suite, PairedLimits.of(c, b, n_rows=rows), MeanLimits.of(c, n_rows=rows[0], within=within[0])


def suite_errors(rng, candidate, baseline, *, seeds, runs):
    """Largest one-sided miss of the suite's limits (difference, and candidate alone), and of the population's."""
    truth = (candidate.mean() - baseline.mean(), candidate.mean())
    errors, control = [], []
    for _ in range(runs):
        suite, population, mean = suite_limits(rng, candidate, baseline, seeds)
        (low, high), (below, above), wide = suite.at(0.05), mean.at(0.05), population.at(0.05)
        errors.append((low > truth[0], high < truth[0], below > truth[1], above < truth[1]))
        control.append((wide[0] > truth[0], wide[1] < truth[0]))
    return np.max(np.mean(errors, axis=0)), np.max(np.mean(control, axis=0))


@pytest.mark.parametrize(("n", "seeds"), [(10, 10), (20, 5), (50, 3)])
def test_exactly_these_items_are_covered(n, seeds):
    rng = np.random.default_rng(n)
    for candidate, baseline in suites(n):
        assert max(suite_errors(rng, candidate, baseline, seeds=seeds, runs=400)) <= 0.05 + 0.033  # three se of 400


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("n", "seeds"), [(n, k) for n in (10, 20, 50, 200) for k in (2, 5, 10)])
def test_exactly_these_items_are_covered_everywhere(n, seeds):
    rng = np.random.default_rng(n)
    for candidate, baseline in suites(n):
        suite, population = suite_errors(rng, candidate, baseline, seeds=seeds, runs=4000)
        assert suite <= 0.07
        assert population <= 0.07


def test_control_rows_of_a_population_are_not_a_suite():
    """New items every time: the suite's interval says nothing of them, and must be too narrow."""
    rng = np.random.default_rng(14)
    missed = []
    for _ in range(400):
        candidate, baseline = ndtr(0.5 + 1.6 * rng.standard_normal((2, 50)))
        suite, population, _ = suite_limits(rng, candidate, baseline, 10)
        missed.append((suite.at(0.05)[0] > 0, population.at(0.05)[0] > 0))
    suite, population = np.mean(missed, axis=0)
    assert suite > 0.2
    assert population <= 0.05 + 0.033


def test_a_suite_is_known_better_than_the_population_of_its_items():
    rng = np.random.default_rng(15)
    items = np.repeat(np.arange(50), 5)
    p = np.repeat(np.where(np.arange(50) < 15, 0.5, 0.95), 5)
    c, b = (rng.random((2, 250)) < np.array([p, p[::-1]])).astype(float)
    whole, suite = (paired_interval(c, b, items=items, target=target) for target in ("population", "suite"))
    assert suite.value == whole.value
    assert suite.high - suite.low < 0.6 * (whole.high - whole.low)
    assert suite.method == "t of seeds + MOVER-Wilson(n_eff)"
    rows_c, rows_b = c.reshape(50, 5), b.reshape(50, 5)
    variance = (rows_c.var(1, ddof=1) / 5 + rows_b.var(1, ddof=1) / 5).sum() / 50**2
    assert suite.se == pytest.approx(math.sqrt(variance), rel=1e-12)
    one = mean_interval(c, items=items, target="suite")
    assert one.se == pytest.approx(math.sqrt((rows_c.var(1, ddof=1) / 5).sum()) / 50, rel=1e-12)
    assert one.method == "Wilson(n_eff) of seeds"
    free = paired_interval(c, b, items=items, bounds=None, target="suite")
    assert (free.method, free.se) == ("t of seeds", suite.se)
    assert mean_interval(c, items=items, bounds=None, target="suite").method == "t of seeds"


def test_seeds_that_all_agree_are_no_certainty():
    items = np.repeat(np.arange(20), 5)
    perfect = np.ones(100)
    whole, suite = (paired_interval(perfect, perfect, items=items, target=target) for target in ("population", "suite"))
    assert suite == whole
    assert suite.low < -0.1
    assert mean_interval(perfect, items=items, target="suite").low < 0.9


def test_the_order_and_the_names_of_items_say_nothing_of_a_suite():
    rng = np.random.default_rng(16)
    items, (c, b) = np.repeat(np.arange(12), 4), rng.random((2, 48))
    order = rng.permutation(48)
    names = np.array([f"item {k * 7919 % 1000}" for k in range(12)])[items]
    one = paired_interval(c, b, items=items, target="suite")
    again = paired_interval(c[order], b[order], items=names[order], cluster=names[order], target="suite")
    swapped = paired_interval(b, c, items=items, target="suite")
    assert (again.low, again.high) == pytest.approx((one.low, one.high), rel=1e-9)
    assert (-swapped.high, -swapped.low) == pytest.approx((one.low, one.high), rel=1e-9)


def test_a_suite_needs_seeds_of_every_item():
    with pytest.raises(StatisticsError, match="1 of 2 items have one row"):
        mean_interval([1, 0, 1], items=[0, 0, 1], target="suite")
    with pytest.raises(StatisticsError, match=r"2 of 2 items have one row.*target='population'"):
        paired_interval([1, 0], [1, 0], target="suite")
    with pytest.raises(StatisticsError, match="target 'all'"):
        mean_interval([1, 0], target="all")
