"""Looks at a growing suite spend alpha once, however many there are."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

import oracles
import simulated
from headgate.errors import StatisticsError
from headgate.stats.paired import PairedLimits
from headgate.stats.sequential import default_looks, exit_probabilities, look_levels, spending_boundaries

KINDS = ["obrien-fleming", "pocock", "power"]
MARGIN = 0.05


def evenly(n_looks):
    return np.arange(1, n_looks + 1) / n_looks


def spent(t, alpha, kind):
    z = reference.norm.isf(alpha / 2)
    return {
        "obrien-fleming": 2 * reference.norm.sf(z / np.sqrt(t)),
        "pocock": alpha * np.log(1 + (math.e - 1) * np.asarray(t)),
        "power": alpha * np.asarray(t) ** 2,
    }[kind]


rising_fractions = st.lists(st.integers(1, 1000), min_size=1, max_size=6, unique=True).map(
    lambda parts: (np.cumsum(parts) / sum(parts)).tolist()
)


@pytest.mark.parametrize(
    ("n_looks", "boundaries"),
    [
        (2, [2.538, 1.662]),
        (3, [3.200, 2.141, 1.695]),
        (4, [3.750, 2.540, 2.016, 1.720]),
        (5, [4.229, 2.888, 2.298, 1.962, 1.740]),
    ],
)
def test_the_boundaries_are_the_known_ones(n_looks, boundaries):
    assert spending_boundaries(evenly(n_looks), alpha=0.05).tolist() == pytest.approx(boundaries, abs=5e-4)


def test_published_boundaries():
    # Five even looks at a two-sided 5 %, to the digits in which textbooks list Lan and DeMets' boundaries
    found = spending_boundaries(evenly(5), alpha=0.025)
    assert found.tolist() == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=5e-4)
    found = spending_boundaries(evenly(5), alpha=0.025, kind="pocock")
    assert found.tolist() == pytest.approx([2.438, 2.427, 2.410, 2.397, 2.386], abs=5e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fractions", [evenly(5), [0.2, 0.21, 0.7, 1.0], [0.05, 0.5, 0.501, 0.93], [0.35]])
def test_every_look_spends_what_it_may(fractions, kind):
    """The twin integrates by another rule on another grid."""
    found = spending_boundaries(fractions, alpha=0.05, kind=kind)
    over, _ = oracles.exits(fractions, found, [-math.inf] * len(fractions), 0.0)
    assert np.cumsum(over) == pytest.approx(spent(np.asarray(fractions), 0.05, kind), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_boundaries_are_those_of_scipys_normal_distribution(kind):
    t = np.array([0.3, 0.55, 1.0])
    found = spending_boundaries(t, alpha=0.05, kind=kind)
    together = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    unstopped = reference.multivariate_normal.cdf(found, cov=together, maxpts=200_000, abseps=1e-7, rng=1)
    assert 1 - unstopped == pytest.approx(0.05, abs=2e-6)


@settings(max_examples=40, deadline=None)
@given(rising_fractions, st.sampled_from(KINDS), st.floats(0.001, 0.3))
def test_any_looks_spend_alpha(fractions, kind, alpha):
    found = exit_probabilities(fractions, spending_boundaries(fractions, alpha=alpha, kind=kind)).above
    assert found.sum() == pytest.approx(alpha, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(rising_fractions, st.data())
def test_looks_to_come_do_not_change_those_that_were(fractions, data):
    made = data.draw(st.integers(1, len(fractions)))
    whole, part = (spending_boundaries(t, alpha=0.05) for t in (fractions, fractions[:made]))
    assert part.tolist() == pytest.approx(whole[:made].tolist(), rel=1e-9)


def test_looks_that_are_close_together_cost_no_digits():
    found = spending_boundaries([0.2, 0.20001, 0.9999, 1.0], alpha=0.05)
    assert exit_probabilities([0.2, 0.20001, 0.9999, 1.0], found).above.sum() == pytest.approx(0.05, rel=1e-9)
    early = spending_boundaries([1e-5, 1e-3, 0.5, 1.0], alpha=0.05)
    assert early[:2].tolist() == [math.inf, math.inf]
    assert early[2:].tolist() == pytest.approx(spending_boundaries([0.5, 1.0], alpha=0.05).tolist(), rel=1e-9)


@pytest.mark.parametrize("drift", [-6.0, -1.0, 0.0, 2.5, 9.0])
def test_exits_on_both_sides_are_those_of_the_twin(drift):
    t, above, below = [0.2, 0.5, 0.6, 1.0], [3.0, 2.2, 1.9, 1.7], [-2.5, -1.0, -0.2, 1.7]
    found = exit_probabilities(t, above, below=below, drift=drift)
    over, under = oracles.exits(t, above, below, drift)
    assert found.above.tolist() == pytest.approx(over, rel=1e-6, abs=1e-12)
    assert found.below.tolist() == pytest.approx(under, rel=1e-6, abs=1e-12)
    assert found.above.sum() + found.below.sum() == pytest.approx(1, abs=1e-9)


def test_the_levels_are_the_tails_of_the_boundaries():
    found = look_levels(evenly(5), alpha=0.05, kind="pocock")
    boundaries = spending_boundaries(evenly(5), alpha=0.05, kind="pocock")
    assert found.tolist() == pytest.approx(reference.norm.sf(boundaries).tolist(), rel=1e-12)
    assert look_levels([1.0], alpha=0.05).tolist() == pytest.approx([0.05])


@pytest.mark.parametrize("n_items", [1, 99, 100, 101, 199, 200, 203, 249, 250, 400, 1001, 10**6])
def test_looks_wait_for_enough_items(n_items):
    looks = default_looks(n_items)
    assert len(looks) == (1 if n_items < 100 else 2 if n_items < 200 else 5)
    assert looks[-1] == n_items
    assert all(a < b for a, b in pairwise(looks))
    assert len(looks) == 1 or looks[0] >= max(50, n_items / 5)


@pytest.mark.parametrize(
    ("fractions", "words"),
    [
        ([], "fractions must be a vector"),
        ([[0.5, 1.0]], r"not of shape \(1, 2\)"),
        ([0.5, math.nan], r"fractions\[1\] is nan, not in \(0, 1\]"),
        ([0.0, 1.0], r"fractions\[0\] is 0, not in"),
        ([0.5, 1.1], r"fractions\[1\] is 1.1, not in"),
        ([0.5, 0.4, 1.0], r"fractions\[1\] is 0.4, not above fractions\[0\], which is 0.5"),
        ([0.5, 0.5 + 1e-9], r"fractions\[1\] is 0.5, not above"),
    ],
)
def test_fractions_rise_from_0_to_1(fractions, words):
    with pytest.raises(StatisticsError, match=words):
        spending_boundaries(fractions, alpha=0.05)


def test_what_is_no_design_is_refused():
    for alpha in (0, 0.5, math.nan):
        with pytest.raises(StatisticsError, match="alpha"):
            spending_boundaries([1.0], alpha=alpha)
    with pytest.raises(StatisticsError, match="kind 'none' is not one of"):
        look_levels([1.0], alpha=0.05, kind="none")
    with pytest.raises(StatisticsError, match="above must give one boundary for each of 2 looks"):
        exit_probabilities([0.5, 1.0], [2.0])
    with pytest.raises(StatisticsError, match=r"above\[1\] is 1 and below\[1\] 2, not in order"):
        exit_probabilities([0.5, 1.0], [2.0, 1.0], below=[0.0, 2.0])
    with pytest.raises(StatisticsError, match="n_items is 0"):
        default_looks(0)


def watched(rng, *, runs, n, p, drop=0.0):
    """Look at simulated suites: what every look would say, at its own level and naively at 5 %.

    Returns a dict of arrays of shape (runs, looks), and the looks.
    """
    looks = default_looks(n)
    levels = look_levels(np.array(looks) / n, alpha=0.05)
    candidate, baseline = simulated.pair(rng, n=(runs, n), p=p, seeds=1, drop=drop)
    said = {name: np.zeros((runs, len(looks)), bool) for name in ("pass", "fail", "naive pass", "naive fail")}
    for run in range(runs):
        for look, (size, level) in enumerate(zip(looks, levels, strict=True)):
            limits = PairedLimits.of(candidate[run, :size], baseline[run, :size], n_rows=(size, size))
            for prefix, alpha in (("", level), ("naive ", 0.05)):
                low, high = limits.at(alpha)
                said[prefix + "pass"][run, look] = low > -MARGIN
                said[prefix + "fail"][run, look] = high < 0
    return said, np.array(looks)


def ever(said):
    return float(said.any(axis=1).mean())


def length(said, looks):
    """Mean share of the items that were asked for before a look passed or failed."""
    stops = said["pass"] | said["fail"]
    stops[:, -1] = True
    return float(looks[stops.argmax(axis=1)].mean() / looks[-1])


def test_a12_looks_keep_both_promises():
    said, _ = watched(np.random.default_rng(12), runs=1200, n=400, p=0.7)
    assert ever(said["fail"]) <= 0.065
    assert ever(said["naive fail"]) >= 0.10  # the control: looking five times at 5 %
    said, _ = watched(np.random.default_rng(13), runs=1200, n=400, p=0.7, drop=MARGIN)
    assert ever(said["pass"]) <= 0.065
    assert ever(said["naive pass"]) >= 0.10
    assert said["naive fail"][:, -1].mean() - ever(said["fail"]) <= 0.03


def test_a12_looks_save_items():
    said, looks = watched(np.random.default_rng(14), runs=500, n=400, p=0.7, drop=0.10)
    assert length(said, looks) <= 0.62


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("p", [0.7, 0.9, 0.98])
@pytest.mark.parametrize("n", [200, 400, 1000])
def test_a12_looks_keep_both_promises_everywhere(n, p):
    rng = np.random.default_rng(15)
    same, _ = watched(rng, runs=4000, n=n, p=p)
    worse, _ = watched(rng, runs=4000, n=n, p=p, drop=MARGIN)
    assert ever(same["fail"]) <= 0.065
    assert ever(worse["pass"]) <= 0.065
    for said, outcome in ((same, "pass"), (worse, "fail")):
        assert said[f"naive {outcome}"][:, -1].mean() - ever(said[outcome]) <= 0.03
    if p == 0.7:
        assert ever(same["naive fail"]) >= 0.10
        assert ever(worse["naive pass"]) >= 0.10


def completed(rng, *, runs, n, p, drop, share, by_completion):
    """Mean difference at one look, and how often any look passes a drop; failed calls take 1.6 times as long."""
    looks = default_looks(n)
    levels = look_levels(np.array(looks) / n, alpha=0.05)
    candidate, baseline = simulated.pair(rng, n=(runs, n), p=p, seeds=1, drop=drop)
    seconds = [rng.lognormal(0, 0.2, arm.shape) * np.where(arm == 0, 1.6, 1.0) for arm in (candidate, baseline)]
    means, passes = [], []
    for run in range(runs):
        order = np.maximum(*(arm[run] for arm in seconds)).argsort() if by_completion else np.arange(n)
        c, b = candidate[run, order], baseline[run, order]
        means.append(float((c - b)[: round(share * n)].mean()))
        found = (PairedLimits.of(c[:k], b[:k], n_rows=(k, k)).at(a)[0] for k, a in zip(looks, levels, strict=True))
        passes.append(any(low > -MARGIN for low in found))
    return float(np.mean(means)), float(np.mean(passes))


@pytest.mark.parametrize("runs", [300, pytest.param(4000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_a14_slow_failures_do_not_pass_a_drop(runs):
    """A look at a prefix that was fixed before the start is unbiased; a look at what has completed is not."""
    rng = np.random.default_rng(16)
    mean, passed = completed(rng, runs=runs, n=1000, p=0.85, drop=MARGIN, share=0.4, by_completion=False)
    assert abs(mean + MARGIN) < 0.005
    assert passed <= 0.075
    mean, passed = completed(rng, runs=runs // 3, n=1000, p=0.85, drop=MARGIN, share=0.4, by_completion=True)
    assert mean + MARGIN > 0.03
    assert passed >= 0.50
