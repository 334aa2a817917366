"""F1 and Matthews' correlation against scikit-learn; what answers count in them against derivatives and a jackknife."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef

from headgate.stats import confusion, f1_values, matthews_values
from headgate.stats.classification import LinearLimits
from headgate.stats.intervals import student, wilson_limits

LABELS = st.integers(2, 4).flatmap(
    lambda n: st.tuples(
        st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(-1, n - 1)), min_size=1, max_size=30)
    )
)
STATISTICS = (f1_values, lambda shares: f1_values(shares, 1), matthews_values)


def shares_of(pairs, n):
    true, said = np.array(pairs).T
    return confusion(true, said, np.ones(len(true)), n_classes=n)


@given(LABELS)
@settings(deadline=None, max_examples=50)  # the first example imports
def test_all_are_those_of_scikit_learn(drawn):
    n, pairs = drawn
    true, said = np.array(pairs).T
    shares = shares_of(pairs, n)
    labels = list(range(n))
    assert f1_values(shares).value == pytest.approx(
        f1_score(true, said, labels=labels, average="macro", zero_division=0), abs=1e-12
    )
    each = f1_score(true, said, labels=labels, average=None, zero_division=0)
    assert [f1_values(shares, label).value for label in labels] == pytest.approx(each, abs=1e-12)
    several = len(set(true)) > 1 and len(set(said)) > 1
    found = matthews_values(shares)
    assert found.value == pytest.approx(matthews_corrcoef(true, said) if several else 0, abs=1e-9)
    assert found.smooth is several


@given(LABELS)
@settings(deadline=None, max_examples=50)
def test_what_answers_count_has_the_metric_as_its_mean_and_is_its_derivative(drawn):
    n, pairs = drawn
    shares = shares_of(pairs, n)
    for statistic in STATISTICS:
        found = statistic(shares)
        if not found.smooth:
            continue
        assert (shares * found.values).sum() == pytest.approx(found.value * shares.sum(), abs=1e-9)
        for cell in zip(*np.nonzero(shares), strict=True):  # towards answers that there are
            moved, step = -shares, 1e-6
            moved[cell] += 1
            slope = (statistic(shares + step * moved).value - statistic(shares - step * moved).value) / (2 * step)
            assert found.values[cell] - found.value == pytest.approx(slope, abs=1e-4)


def test_they_are_the_pseudo_values_of_a_jackknife():
    rng = np.random.default_rng(1)
    true = rng.choice(3, 400, p=[0.6, 0.3, 0.1])
    said = np.where(rng.random(400) < 0.8, true, rng.integers(-1, 3, 400))
    pairs = np.column_stack([true, said])
    for statistic in STATISTICS:
        found = statistic(shares_of(pairs, 3))
        left_out = [statistic(shares_of(np.delete(pairs, i, axis=0), 3)).value for i in range(400)]
        pseudo = 400 * found.value - 399 * np.array(left_out)
        ours = found.values[true, said]
        assert np.corrcoef(pseudo, ours)[0, 1] > 0.9999
        assert ours.std() == pytest.approx(pseudo.std(), rel=0.02)


def test_the_order_of_answers_changes_no_bit():
    rng = np.random.default_rng(2)
    true, said, weights = rng.integers(0, 3, 500), rng.integers(-1, 3, 500), 1 / rng.integers(1, 6, 500)
    order = rng.permutation(500)
    assert np.array_equal(
        confusion(true, said, weights, n_classes=3), confusion(true[order], said[order], weights[order], n_classes=3)
    )


def test_where_nothing_varies_the_limits_are_those_of_what_was_not_seen():
    limits = LinearLimits.of(np.ones(80), reach=1.0, bounds=(0, 1))
    t = student(0.05, 79)
    assert limits.at(0.05) == pytest.approx((wilson_limits(1.0, t * t / 80)[0], 1.0))
    assert f1_values(np.diag([0.9, 0.1]) @ np.eye(2, 3)).reach == pytest.approx((1 / 0.2 + 1 / 1.8) / 2)


def test_limits_of_more_items_are_those_of_more_items():
    rng = np.random.default_rng(3)
    values, reach = rng.normal(0, 1, 200), 3.0
    few = LinearLimits.of(values, reach=reach, bounds=(-9, 9))
    many = LinearLimits.of(np.tile(values, 4), reach=reach, bounds=(-9, 9))
    assert few.scaled(4).at(0.05) == pytest.approx(many.at(0.05), rel=0.01)


def test_one_item_says_nothing():
    assert LinearLimits.of(np.ones(1), reach=1.0, bounds=(-1, 1)).at(0.05) == (-1, 1)


def test_the_chance_to_pass_is_that_of_estimates_about_0():
    rng = np.random.default_rng(4)
    values, reach = rng.normal(0, 1, 100), 2.0
    limits = LinearLimits.of(values, reach=reach, bounds=(-9, 9))
    drawn = [LinearLimits.of(rng.choice(values - values.mean(), 100), reach=reach, bounds=(-9, 9)) for _ in range(2000)]
    passes = np.mean([one.at(0.05)[0] > -0.25 for one in drawn])
    assert limits.pass_probability(0.25, alpha=0.05) == pytest.approx(passes, abs=0.04)
    seen = np.mean([one.at(0.05)[1] < limits.mde(alpha=0.05, power=0.8) for one in drawn])
    assert seen == pytest.approx(0.8, abs=0.04)
