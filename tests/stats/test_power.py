"""Power: against other packages, brute force and the rule itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulated
from headgate.errors import StatisticsError
from headgate.stats import paired_interval
from headgate.stats.paired import PairedLimits
from headgate.stats.power import (
    binary_power_curve,
    fewest_items,
    mde,
    needed_items,
    needed_seeds,
    pass_probability,
    power_curve,
)
from headgate.stats.seeds import PairedComponents


@pytest.mark.parametrize(
    ("n", "power", "effect"),
    [
        # statsmodels 0.15.0: TTestPower().solve_power(nobs=n, alpha=0.05, power=power, alternative="larger"),
        # which is exact (noncentral t)
        (20, 0.8, 0.5769171133190018),
        (20, 0.9, 0.6791515367211745),
        (50, 0.8, 0.35659965445056674),
        (200, 0.9, 0.2076331079396991),
        (1000, 0.8, 0.07868479616673323),
    ],
)
def test_the_detectable_effect_is_that_of_the_t_test(n, power, effect):
    assert mde(1.0, n, power=power) == pytest.approx(effect, rel=0.01)
    assert mde(3.0, n, power=power) == pytest.approx(3 * mde(1.0, n, power=power))


def test_needed_items_are_those_of_the_t_test():
    # statsmodels 0.15.0: TTestPower().solve_power(effect_size=e, alpha=0.05, power=0.8, alternative="larger")
    for effect, theirs in ((0.1, 619.6107454849233), (0.2, 155.92567158567616), (0.5, 26.137503817059283)):
        assert needed_items(1.0, effect) == pytest.approx(theirs, abs=1.01)


@given(st.floats(0.01, 2), st.floats(0.05, 1), st.floats(0.01, 0.2), st.floats(0.5, 0.95))
def test_one_item_fewer_is_too_few(sd, effect, alpha, power):
    n = needed_items(sd, effect, alpha=alpha, power=power)
    assert mde(sd, n, alpha=alpha, power=power) <= effect
    assert n == 2 or mde(sd, n - 1, alpha=alpha, power=power) > effect


@given(st.floats(0, 0.05), st.floats(0, 0.3), st.floats(0, 0.3), st.integers(20, 300), st.none() | st.integers(1, 5))
def test_one_seed_fewer_is_too_few(omega, within_c, within_b, n, baseline):
    split = PairedComponents(
        difference_variance=omega, candidate_variance=within_c, baseline_variance=within_b, n_items=n
    )

    def finds(seeds):
        return mde(split.sd_with(seeds, baseline or seeds), n) <= 0.05

    seeds = needed_seeds(split, n, 0.05, baseline_seeds=baseline)
    if seeds is None:
        assert not finds(1_000)
    elif seeds < 1_000_000:  # beyond, rounding decides
        assert finds(seeds * (1 + 1e-9))
        assert seeds == 1 or not finds(seeds - 1)


def test_the_curve_is_that_of_many_runs():
    rng = np.random.default_rng(1)
    n, sd, margin = 60, 0.4, 0.1
    for effect in (0.0, -0.05, -0.1, -0.2):
        found = power_curve(sd, n, margin, [effect])
        runs = [PairedLimits.of(rng.normal(effect, sd, n), np.zeros(n), bounds=None).at(0.05) for _ in range(3000)]
        low, high = np.array(runs).T
        assert found.passes[0] == pytest.approx(np.mean(low > -margin), abs=0.03)
        assert found.fails[0] == pytest.approx(np.mean((high < 0) & (low <= -margin)), abs=0.03)
        assert found.passes[0] + found.fails[0] + found.inconclusive[0] == pytest.approx(1)


def test_the_curve_keeps_both_promises_and_meets_the_detectable_effect():
    n, sd = 200, 0.3
    found = power_curve(sd, n, 0.05, [-0.05, 0.0, -mde(sd, n)])
    assert found.passes[0] <= 0.05
    assert found.fails[1] <= 0.05
    assert found.fails[2] == pytest.approx(0.8)
    sure = power_curve(sd, 100_000, 0.05, [0.0, -0.2])
    assert (sure.passes[0], sure.fails[1]) == pytest.approx((1, 1))
    assert sure.inconclusive == pytest.approx([0, 0], abs=1e-9)


@pytest.mark.parametrize(("n", "p", "seeds"), [(50, 0.9, 1), (50, 0.7, 3), (200, 0.98, 1), (200, 0.9, 3)])
def test_chances_through_the_rule_are_those_of_other_made_data(n, p, seeds):
    """The twin draws probit items, whose icc is about one half; A7 asks for such chances."""
    rng = np.random.default_rng(n)
    pairs = [simulated.pair(rng, n=n, p=p, seeds=seeds) for _ in range(1000)]
    passed = np.mean([PairedLimits.of(c, b, n_rows=(n * seeds, n * seeds)).at(0.05)[0] > -0.05 for c, b in pairs])
    assert pass_probability(p, n, 0.05, seeds=seeds) == pytest.approx(passed, abs=0.08)


def test_chances_through_the_rule_hold_both_promises():
    found = binary_power_curve(0.9, 50, 0.05, [0.0, -0.05, -0.3, 0.1])
    assert found.fails[0] <= 0.05 + 0.02
    assert found.passes[1] <= 0.05 + 0.02
    assert found.fails[2] > 0.95
    assert found.passes[3] > found.passes[0] > found.passes[1]
    assert found.passes + found.fails + found.inconclusive == pytest.approx(np.ones(4))


def test_more_seeds_and_more_items_pass_more_often():
    one = pass_probability(0.9, 50, 0.05)
    assert pass_probability(0.9, 50, 0.05, seeds=5) > one + 0.2
    assert pass_probability(0.9, 200, 0.05) > one + 0.2
    assert pass_probability(0.9, 50, 0.05) == one  # the same seed
    assert pass_probability(0.9, 50, 0.05, seed=1) != one


def test_items_that_are_always_right_or_wrong_never_differ():
    for icc, mean in ((1.0, 0.7), (0.5, 1.0), (0.5, 0.0)):
        assert pass_probability(mean, 54, 0.05, icc=icc, runs=50) == 1
        assert pass_probability(mean, 53, 0.05, icc=icc, runs=50) == 0
    assert pass_probability(0.9, 100, 0.05, icc=0.0) < pass_probability(0.9, 100, 0.05, icc=0.9)


@pytest.mark.parametrize(("margin", "items"), [(0.1, 27), (0.05, 54), (0.03, 90), (0.02, 135), (0.01, 270)])
def test_perfect_arms_pass_from_so_many_items(margin, items):
    assert fewest_items(margin) == items


@given(st.floats(0.003, 0.9), st.floats(0.001, 0.3))
def test_one_item_fewer_cannot_pass(margin, alpha):
    n = fewest_items(margin, alpha=alpha)
    low = [paired_interval(np.ones(k), np.ones(k), confidence=1 - 2 * alpha).low for k in (n, max(2, n - 1))]
    assert low[0] > -margin - 1e-12
    assert n == 2 or low[1] <= -margin + 1e-12


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mde(-1, 20), "sd -1 is not a finite number of 0 or more"),
        (lambda: mde(math.nan, 20), "sd nan"),
        (lambda: mde(1, 1), "n_items 1 is not 2 or more"),
        (lambda: mde(1, 20, alpha=0.5), "alpha 0.5 is not between 0 and 0.5"),
        (lambda: mde(1, 20, power=1), "power 1 is not between 0 and 1"),
        (lambda: needed_items(1, 0), "effect 0 is not a finite number above 0"),
        (lambda: needed_items(1, 1e-9), "would be enough"),
        (lambda: fewest_items(0), "margin 0 is not between 0 and 1"),
        (lambda: power_curve(0.3, 20, -0.1, [0]), "margin -0.1"),
        (lambda: power_curve(0.3, 20, 0.1, [0, math.inf]), r"effects[1] is inf"),
        (lambda: binary_power_curve(0.9, 20, 0.1, [0.2]), r"effects[0] is 0.2, outside the bounds -0.9 to 0.1"),
        (lambda: pass_probability(1.5, 20, 0.1), "mean 1.5"),
        (lambda: pass_probability(0.5, 20, 0.1, icc=math.nan), "icc nan"),
        (lambda: pass_probability(0.5, 20, 0.1, seeds=0), "seeds 0"),
        (lambda: pass_probability(0.5, 20, 0.1, runs=0), "runs 0"),
    ],
)
def test_what_cannot_be_planned_is_refused(call, words):
    with pytest.raises(StatisticsError) as refused:
        call()
    assert words in str(refused.value)
