"""Shared resamples: the same bits however they are made, the right spread, and refusals."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats as reference

import oracles
from headgate.errors import StatisticsError
from headgate.stats.bootstrap import MeanDistribution
from headgate.stats.resample import (
    adaptive_limit,
    f1_score,
    mean_difference,
    mean_ratio,
    resample_means,
    win_rate,
)


def first(means):
    return means[..., 0]


def table(n=300, columns=3, seed=1):
    return np.random.default_rng(seed).lognormal(size=(n, columns))


@pytest.mark.parametrize("clustered", [False, True])
def test_a16_threads_blocks_and_row_order_change_no_bit(clustered):
    columns, rng = table(), np.random.default_rng(2)
    cluster = np.arange(300) // 4 if clustered else None
    expected = resample_means(columns, cluster=cluster, resamples=600, seed=7)
    for threads in (1, 2, 8):
        for block in (8, 64, 256):
            order = rng.permutation(300)
            names = None if cluster is None else [f"cluster {-label}" for label in cluster[order]]
            found = resample_means(columns[order], cluster=names, resamples=600, seed=7, threads=threads, block=block)
            assert np.array_equal(found.means, expected.means)
            assert np.array_equal(found.observed, expected.observed)
            assert found.interval(mean_ratio, method="bca") == expected.interval(mean_ratio, method="bca")


def test_without_a_grid_the_order_would_change_bits():
    """The control of A16: the same sums of plain values are not the same bits."""
    columns, order = table(), np.random.default_rng(3).permutation(300)
    weights = np.random.default_rng(4).multinomial(300, np.full(300, 1 / 300), 50).astype(float)
    assert not np.array_equal(weights @ columns, weights[:, order] @ columns[order])


def test_single_clusters_are_items():
    columns = table()
    alone = resample_means(columns, cluster=np.arange(300)[::-1], resamples=50)
    assert np.array_equal(alone.means, resample_means(columns, resamples=50).means)


def test_a_resample_is_the_mean_of_the_rows_that_it_holds():
    columns, cluster = table(n=120), np.arange(120) % 60
    found = resample_means(columns, cluster=cluster, resamples=40, seed=3)
    weights = found.weights.rows(0, 40).astype(int)
    sizes, order = np.bincount(cluster), found.units.sums
    assert order[:, -1].tolist() == sizes.tolist()
    unit_means = found.units.offset + found.units.step * order[:, :-1] / order[:, -1:]
    for row, held in zip(found.means, weights, strict=True):
        assert row == pytest.approx(np.repeat(unit_means, held, axis=0).mean(axis=0))
    literal = np.array([columns[cluster == label].mean(axis=0) for label in range(60)])
    assert np.sort(unit_means, axis=0) == pytest.approx(np.sort(literal, axis=0), rel=1e-6)


def test_the_spread_is_that_of_gathered_rows():
    columns = table(n=200, columns=2)
    found = resample_means(columns, resamples=4000).means
    plain = oracles.gathered(columns, 4000, np.random.default_rng(5))
    assert found.std(axis=0) == pytest.approx(columns.std(axis=0) / math.sqrt(200), rel=0.03)
    assert found.std(axis=0) == pytest.approx(plain.std(axis=0), rel=0.05)
    assert np.cov(found.T)[0, 1] == pytest.approx(np.cov(columns.T)[0, 1] / 200, abs=4 * plain.var() / math.sqrt(4000))


def test_clusters_are_drawn_whole():
    """What all items of a cluster share does not average out within it."""
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(80), 5)
    values = rng.normal(size=80)[cluster]
    whole = resample_means(values, cluster=cluster, resamples=2000).means.std()
    alone = resample_means(values, resamples=2000).means.std()
    assert whole == pytest.approx(values.std() / math.sqrt(80), rel=0.06)
    assert whole / alone == pytest.approx(math.sqrt(5), rel=0.1)


def test_more_resamples_keep_the_first():
    few = resample_means(table(), resamples=100, seed=9)
    assert np.array_equal(few.extended(300).means, resample_means(table(), resamples=300, seed=9).means)
    assert np.array_equal(few.extended(300).means[:100], few.means)


def test_an_offset_costs_no_digits():
    values = np.round(table(columns=1) * 2**20) / 2**20
    near, far = (resample_means(values + shift, resamples=4000) for shift in (0.0, 2.0**30))
    assert far.means.std() == pytest.approx(near.means.std(), rel=0.06)  # other contents, other draws
    weights, units = far.weights.rows(0, 50), far.units
    assert units.step[0] <= np.ptp(values) * 2.0**-30
    assert (units.sums[:, 0] @ weights.T).max() < 2**53


def test_no_resample_can_round():
    """A grid that is coarser where one cluster, drawn every time, would add up to more than float64 holds."""
    cluster = np.append(np.arange(3000), np.full(3000, 3000))
    units = resample_means(table(6000, columns=2), cluster=cluster, resamples=1).units
    assert np.abs(units.sums).max() * len(units.sums) < 2**53
    assert (units.sums == np.rint(units.sums)).all()
    assert (units.step < np.ptp(table(6000, columns=2), axis=0) * 2.0**-26).all()


STATISTICS = {
    "ratio": (mean_ratio, lambda x: x[:, 0].sum() / x[:, 1].sum()),
    "difference": (mean_difference, lambda x: x[:, 0].mean() - x[:, 1].mean()),
    "f1": (f1_score, lambda x: x[:, 0].sum() / (x[:, 0].sum() + (x[:, 1].sum() + x[:, 2].sum()) / 2)),
    "wins": (win_rate, lambda x: (x[:, 0].sum() + x[:, 2].sum() / 2) / x.sum()),
}


@pytest.mark.parametrize("name", sorted(STATISTICS))
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_are_scipys(name, method):
    ours, theirs = STATISTICS[name]
    columns = np.eye(3)[np.random.default_rng(8).choice(3, 150, p=[0.6, 0.15, 0.25])]
    columns = columns if name in {"f1", "wins"} else columns + table(150)
    found = resample_means(columns, resamples=20_000, seed=1).interval(ours, method=method)
    expected = reference.bootstrap(
        (np.arange(150),),
        lambda index: theirs(columns[index]),
        n_resamples=4000,
        vectorized=False,
        method={"percentile": "percentile", "bca": "BCa"}[method],
        rng=np.random.default_rng(9),
    )
    interval = expected.confidence_interval
    assert found.value == pytest.approx(theirs(columns), rel=1e-6)
    # A limit of 4,000 resamples has a standard deviation of 0.04 se, with the bias correction 0.06.
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.24 * found.se)
    assert found.se == pytest.approx(expected.standard_error, rel=0.06)


def test_bca_follows_the_skewness():
    resampled = resample_means(table(n=100, columns=1), resamples=20_000)
    plain, corrected = (resampled.interval(first, method=method) for method in ("percentile", "bca"))
    assert corrected.low > plain.low + 0.05 * plain.se
    assert corrected.high > plain.high + 0.1 * plain.se
    exact = MeanDistribution.of(table(n=100, columns=1)[:, 0]).limits(0.025, "bca")
    assert (corrected.low, corrected.high) == pytest.approx(exact, abs=0.1 * plain.se)


def f1_coverage(rng, *, n, times, resamples):
    chance = np.array([0.5, 0.1, 0.15, 0.25])
    truth, hits = 2 * 0.5 / (2 * 0.5 + 0.1 + 0.15), 0
    for seed in range(times):
        columns = np.eye(4)[rng.choice(4, n, p=chance)][:, :3]
        found = resample_means(columns, resamples=resamples, seed=seed).interval(f1_score)
        hits += found.low <= truth <= found.high
    return hits / times


def test_f1_is_covered():
    assert f1_coverage(np.random.default_rng(10), n=100, times=200, resamples=500) >= 0.95 - 3 * 0.0154


@pytest.mark.slow
def test_f1_is_covered_by_many_samples():
    assert 0.93 <= f1_coverage(np.random.default_rng(10), n=200, times=1500, resamples=1000) <= 0.97


def flips(*, seeds, resamples, most):
    """Share of seeds that decide otherwise than infinitely many resamples, on a limit close to the point."""
    values = np.random.default_rng(11).lognormal(size=60)
    distribution = MeanDistribution.of(values)
    limit = distribution.quantile(0.05)
    near = math.sqrt(0.05 * 0.95 / resamples)  # a standard deviation of a limit of the first resamples
    point = distribution.quantile(0.05 + 0.75 * near)
    wrong, settled = [], []
    for seed in range(seeds):
        start = resample_means(values, resamples=resamples, seed=seed)
        found = adaptive_limit(start, first, point=point, most=most)
        wrong.append((found.value > point) != (limit > point))
        settled.append(found.settled)
    return np.mean(wrong), np.mean(settled)


def test_a20_the_verdict_does_not_hang_on_the_seed():
    """Sixteen times 300 here, sixteen times 10,000 in the slow test: the same distance in standard deviations."""
    assert flips(seeds=200, resamples=300, most=4800)[0] <= 0.01


def test_a20_without_more_resamples_it_would():
    assert flips(seeds=200, resamples=300, most=300)[0] >= 0.1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a20_the_verdict_does_not_hang_on_the_seed_in_full():
    assert flips(seeds=200, resamples=10_000, most=160_000)[0] <= 0.01


def test_a_limit_far_from_the_point_takes_no_more():
    start = resample_means(table(columns=1), resamples=500)
    for side, alpha in (("low", 0.05), ("high", 0.05), ("low", 0.01)):
        found = adaptive_limit(start, first, point=0.0, side=side, alpha=alpha)
        assert found.settled
        assert found.resamples == 500
        level = alpha if side == "low" else 1 - alpha
        assert found.value == np.quantile(start.means[:, 0], level)
        assert found.low < found.value < found.high
    near = adaptive_limit(start, first, point=found.value, alpha=0.01, most=3000)
    assert near.resamples == 3000
    assert near.low - near.high == pytest.approx((found.low - found.high) / math.sqrt(6), rel=0.5)


def test_what_a_bootstrap_cannot_say_is_refused():
    some = resample_means(table(n=49), resamples=20)
    with pytest.raises(StatisticsError, match="49 independent units are too few"):
        some.interval(first)
    unequal = resample_means(table(), cluster=np.minimum(np.arange(300), 60), resamples=20)
    with pytest.raises(StatisticsError, match="independent units are too few"):
        unequal.interval(first)
    ones = resample_means(np.ones((60, 2)), resamples=20)
    with pytest.raises(StatisticsError, match="1 in every resample"):
        ones.interval(mean_ratio)
    ceiling = np.column_stack([np.arange(200) >= 9, np.ones(200)])
    with pytest.raises(StatisticsError, match="only 9 of 200 units differ"):
        resample_means(ceiling, resamples=200).interval(mean_ratio)
    ceiling[9, 0] = 0
    assert resample_means(ceiling, resamples=200).interval(mean_ratio).value == pytest.approx(0.95)
    with pytest.raises(StatisticsError, match="not finite in 20 of 20"):
        resample_means(np.zeros((60, 2)), resamples=20).interval(mean_ratio)
    with pytest.raises(StatisticsError, match="shape"):
        resample_means(table(), resamples=20).interval(lambda means: means)


def test_one_side_has_no_bca():
    resampled = resample_means(table(), resamples=200)
    with pytest.raises(StatisticsError, match="one side"):
        resampled.interval(lambda means: np.abs(means[..., 0] - resampled.observed[0]), method="bca")


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ([[0.0, 1.0], [0.0, math.nan]], {}, r"columns\[:, 1\]\[1\] is nan"),
        ([[0.0, math.inf]], {}, r"columns\[:, 1\]\[0\] is inf"),
        ([], {}, "at least one row"),
        (np.zeros((2, 2, 2)), {}, "at least one row"),
        ([0.0, 1.0], {"cluster": [1]}, "one label for each of 2 rows"),
        ([0.0, 1.0], {"resamples": 0}, "resamples 0"),
        ([0.0, 1.0], {"seed": -1}, "seed -1"),
    ],
)
def test_bad_input_is_named(columns, options, message):
    with pytest.raises(StatisticsError, match=message):
        resample_means(columns, **options)


KERNELS = """
import hashlib
import numpy as np
from headgate.stats import mean_interval, paired_interval, resample_means

def bits(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()

rng = np.random.default_rng(1)
table, weights = rng.lognormal(size=(700, 4)), rng.random((500, 700))
scores, cluster = rng.random((2, 700)), np.arange(700) // 5
print(bits(resample_means(table, resamples=500, seed=3).means))
print(paired_interval(*scores, cluster=cluster), paired_interval(*scores).se.hex(), mean_interval(scores[0]).low.hex())
print(bits(weights @ table))
"""


def test_a16_another_blas_changes_no_bit():
    """OpenBLAS is several libraries in one: the kernel for each processor adds in an order of its own."""
    found = []
    for kernel in ("Prescott", "Haswell"):
        environment = {**os.environ, "OPENBLAS_CORETYPE": kernel}
        ran = subprocess.run(
            [sys.executable, "-c", KERNELS], capture_output=True, text=True, env=environment, check=True
        )
        found.append(ran.stdout.splitlines())
    (*ours, plain), (*theirs, other) = found
    assert ours == theirs
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    if platform.machine() == "x86_64" and "openblas" in built:
        assert plain != other  # the control: a plain product of matrices
