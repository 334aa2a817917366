"""The table of degenerate data: an answer that is honest, or a refusal that names the cell."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headgate.errors import StatisticsError
from headgate.stats import (
    clopper_pearson,
    holm,
    item_means,
    log_ratio_interval,
    mean_interval,
    paired_interval,
    wilson,
)
from headgate.stats.intervals import MeanLimits

ONES = np.ones(50)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "values must be a vector of at least one number"),
        ([[0.5]], "not of shape (1, 1)"),
        ([0, 1, math.nan], "values[2] is nan"),
        ([0, math.inf], "values[1] is inf"),
        ([0.5, 1.5], "values[1] is 1.5, outside the bounds 0 to 1"),
        ([-0.1], "values[0] is -0.1, outside the bounds 0 to 1"),
    ],
)
def test_what_is_no_score_is_refused_by_index(values, words):
    with pytest.raises(StatisticsError) as refused:
        mean_interval(values)
    assert words in str(refused.value)


def test_arms_are_refused_by_name():
    with pytest.raises(StatisticsError, match=r"baseline\[1\] is nan"):
        paired_interval([0, 1], [0, math.nan])
    with pytest.raises(StatisticsError, match="candidate has 2 values and baseline 1"):
        paired_interval([0, 1], [0])
    with pytest.raises(StatisticsError, match=r"baseline\[0\] is 0; a ratio needs values above 0"):
        log_ratio_interval([1.0], [0.0])


def test_labels_must_fit():
    with pytest.raises(StatisticsError, match="items must give one label for each of 2 rows"):
        mean_interval([0, 1], items=["a"])
    with pytest.raises(StatisticsError, match=r"cluster\[\d\]: an item lies in one cluster"):
        mean_interval([0, 1, 1], items=["a", "a", "b"], cluster=["x", "y", "y"])
    with pytest.raises(StatisticsError, match="one label for each of 1 rows"):
        item_means([1.0], ["a", "b"])


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
def test_a_confidence_is_a_probability(confidence):
    with pytest.raises(StatisticsError, match="confidence"):
        mean_interval([0, 1], confidence=confidence)


@pytest.mark.parametrize("bounds", [(1, 0), (0, 0), (0, math.inf), (math.nan, 1)])
def test_bounds_are_in_order(bounds):
    with pytest.raises(StatisticsError, match="bounds"):
        mean_interval([0, 1], bounds=bounds)


@pytest.mark.parametrize("count", [(1, 0), (3, 2), (-1, 5), (1, math.nan)])
def test_a_count_is_a_proportion(count):
    for interval in (wilson, clopper_pearson):
        with pytest.raises(StatisticsError, match="no proportion"):
            interval(*count)


def test_a_p_value_is_a_probability():
    with pytest.raises(StatisticsError, match=r"p_values\[1\]"):
        holm([0.1, 1.1])
    assert holm([]).size == 0


@pytest.mark.parametrize("cluster", [None, [0] * 5, [0, 0, 0, 0, 1]])
def test_one_unit_has_no_error_and_the_widest_limits(cluster):
    n = 1 if cluster is None else 5
    one = mean_interval([0.5] * n, cluster=cluster, bounds=(0, 2))
    assert math.isnan(one.se)
    assert (one.value, one.low, one.high) == (0.5, 0, 2)
    two = paired_interval([1] * n, [0] * n, cluster=cluster)
    assert math.isnan(two.se)
    assert (two.value, two.low, two.high) == (1, -1, 1)
    free = paired_interval([1] * n, [0] * n, cluster=cluster, bounds=None)
    assert (free.low, free.high) == (-math.inf, math.inf)


@pytest.mark.parametrize(("n", "level"), [(27, 0.1), (54, 0.05), (90, 0.03), (135, 0.02), (270, 0.01)])
def test_perfect_arms_are_never_known_to_be_equal(n, level):
    def low(size):
        return paired_interval(np.ones(size), np.ones(size), confidence=0.9).low

    assert low(n - 1) <= -level < low(n)


def test_identical_arms_are_no_better_known_than_perfect_ones():
    half = np.tile([0.0, 1.0], 25)
    same, perfect = paired_interval(half, half), paired_interval(ONES, ONES)
    assert (same.low, same.high) == pytest.approx((perfect.low, perfect.high))


def test_an_answer_that_always_flips_is_not_known_exactly():
    found = paired_interval(np.zeros(50), ONES)
    assert found.value == -1
    assert found.se == 0
    assert found.low >= -1
    assert -0.95 < found.high < -0.85


def test_a_perfect_mean_has_a_lower_limit_below_one():
    found = mean_interval(ONES, confidence=0.9)
    assert found.high == 1
    assert 0.9 < found.low < wilson(50, 50, confidence=0.9)[0]
    clustered = mean_interval(ONES, cluster=np.repeat(np.arange(5), 10), confidence=0.9)
    assert clustered.low < 0.6  # five clusters that pass are five facts, not fifty


def test_a_nearly_constant_score_is_no_infinite_amount_of_data():
    jitter = np.array([0.1 + 0.2, 0.3] * 25)
    flat = np.full(50, 0.3)
    assert mean_interval(jitter).low == pytest.approx(mean_interval(flat).low)
    assert paired_interval(jitter, flat).low < -0.03


def test_the_cap_binds_near_the_ceiling_only():
    near = np.concatenate([np.ones(96), np.full(4, 0.8)])
    assert MeanLimits.of(near, threshold=True).n_eff == 100 < MeanLimits.of(near).n_eff
    assert mean_interval(near, threshold=True).low < mean_interval(near).low
    far = np.concatenate([np.ones(80), np.full(20, 0.8)])
    assert MeanLimits.of(far, threshold=True).n_eff == MeanLimits.of(far).n_eff > 100


def test_seeds_may_differ_by_item():
    found = mean_interval([1, 1, 1, 0], items=["a", "a", "a", "b"])
    assert found.value == 0.5
    assert found.n_items == 2


def test_more_seeds_that_differ_are_worth_something():
    rng = np.random.default_rng(2)
    rows = rng.random((60, 5)) < 0.5
    one, five = (mean_interval(rows[:, :k].ravel(), items=np.repeat(np.arange(60), k)) for k in (1, 5))
    assert five.high - five.low < 0.7 * (one.high - one.low)
