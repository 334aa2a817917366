"""Declared error rates hold in simulation; rivals that should break, break."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtrit

import simulated
from headgate.decide.paired import decide_items
from headgate.stats.intervals import MeanLimits
from headgate.stats.paired import PairedLimits

R = 2000
SLACK = 0.0146  # three standard errors of a share of 5 % in 2,000


def rate(decisions):
    return float(np.mean(decisions))


def covered(rng, *, n, p, seeds):
    def one():
        means = simulated.item_scores(rng, n=n, p=p, seeds=seeds, difficulty=rng.standard_normal(n))
        low, high = MeanLimits.of(means, n_rows=n * seeds).at(0.025)
        return low <= p <= high

    return rate([one() for _ in range(R)])


def paired_rates(rng, *, n, p, seeds, drop, margin=0.05):
    """Shares of simulations with U < 0, and with L > -margin."""
    found = []
    for _ in range(R):
        c, b = simulated.pair(rng, n=n, p=p, seeds=seeds, drop=drop)
        low, high = PairedLimits.of(c, b, n_rows=(n * seeds, n * seeds)).at(0.05)
        found.append((high < 0, low > -margin))
    worse, passed = np.mean(found, axis=0)
    return float(worse), float(passed)


CELLS = [(20, 0.9, 1), (20, 0.98, 5), (50, 0.98, 3), (200, 0.7, 1)]
GRID = [(n, p, k) for n in (10, 20, 50, 100, 200, 500) for p in (0.7, 0.9, 0.98) for k in (1, 5)]


def test_a2_one_mean_is_covered():
    rng = np.random.default_rng(2)
    shares = [covered(rng, n=n, p=p, seeds=k) for n, p, k in [(20, 0.9, 1), (50, 0.98, 3), (200, 0.5, 5)]]
    assert all(0.925 <= share <= 0.995 for share in shares), shares


@pytest.mark.slow
def test_a2_one_mean_is_covered_everywhere():
    rng = np.random.default_rng(2)
    cells = [(n, p, k) for n in (20, 50, 200, 1000) for p in (0.5, 0.9, 0.98) for k in (1, 3, 5)]
    shares = [covered(rng, n=n, p=p, seeds=k) for n, p, k in cells]
    assert all(0.925 <= share <= 0.995 for share in shares), dict(zip(cells, shares, strict=True))
    assert 0.94 <= rate(shares) <= 0.97


@pytest.mark.parametrize(("n", "p", "seeds"), [(20, 0.98, 5), (50, 0.98, 3), (200, 0.98, 5)])
def test_a3_an_absolute_threshold_is_not_passed_by_luck(n, p, seeds):
    rng = np.random.default_rng(3)

    def passes():
        means = simulated.item_scores(rng, n=n, p=p, seeds=seeds, difficulty=rng.standard_normal(n))
        return MeanLimits.of(means, n_rows=n * seeds, threshold=True).at(0.05)[0] > p

    assert rate([passes() for _ in range(R)]) <= 0.06 + SLACK / 3


@pytest.mark.parametrize(("n", "p", "seeds"), CELLS)
def test_a4_a5_both_promises_hold(n, p, seeds):
    rng = np.random.default_rng(4)
    worse, _ = paired_rates(rng, n=n, p=p, seeds=seeds, drop=0.0)
    _, passed = paired_rates(rng, n=n, p=p, seeds=seeds, drop=0.05)
    assert worse <= 0.065
    assert passed <= 0.07


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a4_a5_both_promises_hold_everywhere():
    rng = np.random.default_rng(5)
    worse = {cell: paired_rates(rng, n=cell[0], p=cell[1], seeds=cell[2], drop=0.0)[0] for cell in GRID}
    passed = {cell: paired_rates(rng, n=cell[0], p=cell[1], seeds=cell[2], drop=0.05)[1] for cell in GRID}
    assert max(worse.values()) <= 0.065, worse
    assert rate(list(worse.values())) <= 0.053
    assert max(passed.values()) <= 0.07, passed
    assert rate(list(passed.values())) <= 0.053


def test_control_the_plain_t_interval_passes_what_is_worse_at_the_ceiling():
    rng = np.random.default_rng(6)

    def passes():
        c, b = simulated.pair(rng, n=20, p=0.98, seeds=1, drop=0.05)
        return PairedLimits.of(c, b, bounds=None).at(0.05)[0] > -0.05

    assert rate([passes() for _ in range(R)]) > 0.20


@pytest.mark.parametrize(("n", "margin"), [(20, 0.05), (60, 0.05), (200, 0.05), (330, 0.05), (1000, 0.01)])
@pytest.mark.parametrize("p", [0.5, 0.9, 1.0])
def test_rare_regressions_do_not_pass_because_few_were_seen(n, margin, p):
    """At temperature 0 an item either regresses or not; the drop of exactly the margin is summed over all counts."""
    right = round(p * n)
    baseline = np.repeat([1.0, 0.0], [right, n - right])
    passed = plain = 0.0
    for worse in range(min(right, int(margin * n)) + 1):
        candidate = np.where(np.arange(n) < worse, 0.0, baseline)
        chance = float(np.exp(_log_binomial(worse, n, margin)))
        passed += chance * (PairedLimits.of(candidate, baseline, n_rows=(n, n)).at(0.05)[0] > -margin)
        plain += chance * (PairedLimits.of(candidate, baseline, bounds=None).at(0.05)[0] > -margin)
    assert passed <= 0.05
    assert plain > 0.06  # control: t alone


def _log_binomial(k, n, p):
    from scipy.stats import binom

    return binom.logpmf(k, n, p)


@pytest.mark.parametrize(("clusters", "skew"), [(8, 1.4), (20, 1.4), (50, 0.0)])
def test_a10_clusters_are_not_items(clusters, skew):
    rng = np.random.default_rng(clusters)
    ours, naive = [], []
    for _ in range(R):
        values, cluster = simulated.clustered(rng, clusters=clusters, skew=skew)
        limits = MeanLimits.of(values, cluster=cluster)
        ours.append(limits.spread.known and limits.at(0.05)[1] < 0.5)
        se = values.std(ddof=1) / np.sqrt(values.size)
        naive.append(values.mean() - stdtrit(values.size - 1, 0.05) * se < 0.5)
    assert rate(ours) <= 0.075
    assert rate(naive) > 0.12


def test_a6_a7_the_gate_has_power():
    rng = np.random.default_rng(7)
    assert paired_rates(rng, n=200, p=0.9, seeds=1, drop=0.05)[0] >= 0.57 - 0.03
    assert paired_rates(rng, n=50, p=0.9, seeds=5, drop=0.10)[0] >= 0.94 - 0.02
    assert paired_rates(rng, n=200, p=0.9, seeds=3, drop=0.0)[1] >= 0.93 - 0.02


@pytest.mark.parametrize(("p", "least"), [(0.7, 0.85), (0.9, 0.95), (0.98, 0.99)])
def test_a9_a_consistent_drop_fails(p, least):
    rng = np.random.default_rng(9)

    def fails():
        c, b = simulated.pair(rng, n=200, p=p, seeds=1, drop=0.10)
        found = decide_items(c, b, margin=0.05, alpha=0.05, cluster=None, bounds=(0, 1), n_rows=(200, 200))
        return found.verdict == "fail"

    assert rate([fails() for _ in range(300)]) >= least - 0.03


@pytest.mark.parametrize("p", [0.7, 0.9])
def test_the_whole_rule_rarely_fails_what_is_no_worse(p):
    rng = np.random.default_rng(8)

    def fails():
        c, b = simulated.pair(rng, n=50, p=p, seeds=1)
        found = decide_items(c, b, margin=0.02, alpha=0.05, cluster=None, bounds=(0, 1), n_rows=(50, 50))
        return found.verdict == "fail"

    assert rate([fails() for _ in range(500)]) <= 0.05 + 0.03


def test_an_absolute_threshold_at_the_truth_is_not_failed_by_luck():
    """Wilson alone fails 8.8 % here: its upper limit is too low where a few misses make n p (1 - p) about one."""
    rng = np.random.default_rng(11)

    def fails(threshold):
        means = (rng.random(50) < 0.98).astype(float)
        return MeanLimits.of(means, n_rows=50, threshold=threshold).at(0.05)[1] < 0.98

    assert rate([fails(threshold=True) for _ in range(R)]) <= 0.05 + SLACK
    assert rate([fails(threshold=False) for _ in range(R)]) > 0.05 + SLACK


def made_clusters(rng, *, clusters, size, p, drop=0.0):
    """Both arms in clusters whose items share nearly all of their difficulty."""
    cluster = np.repeat(np.arange(clusters), size)
    difficulty = (0.95**0.5) * rng.standard_normal(clusters)[cluster] + (0.05**0.5) * rng.standard_normal(cluster.size)
    candidate = simulated.item_scores(rng, n=cluster.size, p=p - drop, seeds=1, difficulty=difficulty)
    return candidate, simulated.item_scores(rng, n=cluster.size, p=p, seeds=1, difficulty=difficulty), cluster


def test_clusters_at_the_ceiling_do_not_pass_a_threshold_by_luck():
    rng = np.random.default_rng(12)

    def passes():
        _, means, cluster = made_clusters(rng, clusters=50, size=10, p=0.98)
        return MeanLimits.of(means, cluster=cluster, n_rows=means.size, threshold=True).at(0.05)[0] > 0.98

    assert rate([passes() for _ in range(R)]) <= 0.05 + SLACK


def test_clusters_at_the_ceiling_do_not_pass_a_drop_by_luck():
    rng = np.random.default_rng(13)

    def passes():
        c, b, cluster = made_clusters(rng, clusters=20, size=10, p=0.98, drop=0.05)
        return PairedLimits.of(c, b, cluster=cluster, n_rows=(c.size, b.size)).at(0.05)[0] > -0.05

    assert rate([passes() for _ in range(R)]) <= 0.075
