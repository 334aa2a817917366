"""Ranks: values of other packages, coverage, invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

import oracles
from headgate.errors import StatisticsError
from headgate.stats.ranks import mann_whitney

X, Y = [1.1, 2.2, 3.3, 4.4, 2.5, 0.7], [0.1, 0.2, 0.3, 1.2, 2.2, 0.9, 1.1]
ARMS = st.lists(st.integers(0, 9), min_size=2, max_size=20)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (5, 7), (20, 30), (49, 49), (30, 60)])
@pytest.mark.parametrize("digits", [0, 9])
def test_the_test_is_scipys(n, m, digits):
    rng = np.random.default_rng(n)
    x, y = rng.normal(0.5, 1, n).round(digits), rng.normal(0, 1, m).round(digits)
    found = mann_whitney(x, y)
    method = "exact" if found.method == "exact" else "asymptotic"
    theirs = reference.mannwhitneyu(x, y, method=method)
    assert (found.statistic, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)
    assert (found.method == "exact") == (digits == 9 and m < 50)
    assert found.shift.value == pytest.approx(np.median(np.subtract.outer(x, y)), abs=1e-12)


def test_the_probability_is_that_of_brunner_and_munzel():
    # statsmodels 0.15.0: rank_compare_2indep(X, Y): prob1, conf_int(), sqrt(var_prob)
    found = mann_whitney(X, Y).superiority
    assert found.value == pytest.approx(0.8333333333333334)
    assert found.low <= 0.564894758716455
    assert found.high == 1  # theirs is 1.10
    assert found.se == pytest.approx(0.11853062343700818)
    wide = np.random.default_rng(1).normal(size=(2, 200))
    theirs = reference.brunnermunzel(*wide)
    ours = mann_whitney(*wide).superiority
    assert abs(ours.value - 0.5) / ours.se == pytest.approx(abs(theirs.statistic), rel=1e-9)


@pytest.mark.parametrize("theta", [0.5, 0.8, 1.0])
def test_newcombes_limits_solve_their_equation(theta):
    n, m = 12, 8
    x = np.arange(1, n + 1) + 0.0
    y = {0.5: x[:m] + 0.5, 0.8: np.full(m, 2.9), 1.0: np.zeros(m)}[theta]
    found = mann_whitney(x, y).superiority
    low, high = oracles.newcombe_2006(found.value, n, m, 0.025)
    assert found.low <= low + 1e-9
    assert found.high >= high - 1e-9
    if theta == 1.0:  # no overlap: Brunner and Munzel's variance is 0
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize(("n", "digits"), [(15, 9), (60, 9), (40, 1)])
def test_the_limits_of_the_shift_invert_the_test(n, digits):
    rng = np.random.default_rng(n)
    x, y = rng.normal(0.5, 1, n).round(digits), rng.normal(0, 1, n).round(digits)
    shift = mann_whitney(x, y).shift
    method = "exact" if digits == 9 and n < 50 else "asymptotic"

    def p(delta):
        return reference.mannwhitneyu(x - delta, y, method=method).pvalue

    nudge = 1e-7 if digits == 9 else 0.0501
    assert p(shift.low - nudge) <= 0.05 <= p(shift.low + nudge)
    assert p(shift.high + nudge) <= 0.05 <= p(shift.high - nudge)


def test_the_probability_is_covered_where_spreads_differ_and_where_arms_hardly_overlap():
    rng = np.random.default_rng(3)
    for shift, sd in ((0.0, 5.0), (1.0, 1.0), (3.0, 1.0)):
        truth = reference.norm.cdf(shift / math.hypot(1, sd))
        ours = control = 0
        for _ in range(500):
            x, y = rng.normal(shift, 1, 15), rng.normal(0, sd, 15)
            found = mann_whitney(x, y).superiority
            ours += found.low <= truth <= found.high
            control += abs(found.value - truth) <= 1.96 * found.se
        assert ours / 500 >= 0.93, (shift, sd)
        if shift == 3.0:
            assert control / 500 < 0.85


@given(ARMS, ARMS)
def test_swapped_arms_turn_it_round(x, y):
    one, other = mann_whitney(x, y), mann_whitney(y, x)
    assert other.p_value == pytest.approx(one.p_value)
    assert (-other.shift.high, -other.shift.low, -other.shift.value) == pytest.approx(
        (one.shift.low, one.shift.high, one.shift.value)
    )
    assert (1 - other.superiority.high, 1 - other.superiority.low) == pytest.approx(
        (one.superiority.low, one.superiority.high), abs=1e-9
    )
    assert one.shift.low <= one.shift.value <= one.shift.high
    assert 0 <= one.superiority.low <= one.superiority.value <= one.superiority.high <= 1


@given(ARMS, ARMS, st.randoms(use_true_random=False))
def test_only_the_order_of_scores_counts(x, y, random):
    again = mann_whitney(np.exp(random.sample(x, len(x))), np.exp(y))
    one = mann_whitney(x, y)
    assert (again.statistic, again.p_value) == (one.statistic, one.p_value)
    assert (again.superiority.low, again.superiority.high) == pytest.approx((one.superiority.low, one.superiority.high))


def test_degenerate_arms():
    same = mann_whitney([1, 1, 1], [1, 1, 1, 1])
    assert (same.p_value, same.shift.value, same.superiority.value) == (1, 0, 0.5)
    assert (same.shift.low, same.shift.high) == (-math.inf, math.inf)
    assert same.superiority.low < 0.2
    tiny = mann_whitney([1, 3], [2, 4])
    assert (tiny.shift.low, tiny.shift.high) == (-math.inf, math.inf)
    with pytest.raises(StatisticsError, match="baseline has 1 value"):
        mann_whitney([1, 2], [3])
    with pytest.raises(StatisticsError, match=r"candidate\[1\] is nan"):
        mann_whitney([1, math.nan], [3, 4])
