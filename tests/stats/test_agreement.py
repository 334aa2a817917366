"""Kappa: values of another package, coverage, invariances, degenerate judges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import StatisticsError
from headgate.stats.agreement import cohen_kappa, fleiss_kappa

TABLE = np.array([[22, 4, 1], [3, 15, 6], [0, 5, 14]])
FIRST, SECOND = (np.repeat(index.ravel(), TABLE.ravel()) for index in np.indices(TABLE.shape))
# Fleiss (1971): fourteen judges, ten items, five categories
RATINGS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)


@pytest.mark.parametrize(
    ("weights", "kappa", "se"),
    [
        # statsmodels 0.15.0: cohens_kappa(TABLE, wt=None | "linear" | "quadratic"), kappa and std_kappa
        ("none", 0.5907692307692308, 0.07960936603260597),
        ("linear", 0.6738117427772601, 0.0679432121419415),
        ("quadratic", 0.7584692597239648, 0.06041089896594707),
    ],
)
def test_cohens_kappa_is_that_of_another_package(weights, kappa, se):
    found = cohen_kappa(FIRST, SECOND, weights=weights)
    assert (found.value, found.se) == pytest.approx((kappa, se), rel=1e-9)
    assert found.low <= kappa - 1.99 * se
    assert kappa + 1.99 * se <= found.high < 1
    assert found.n_items == 70


def test_fleiss_kappa_is_that_of_another_package():
    # statsmodels 0.15.0: fleiss_kappa(RATINGS), and the jackknife of it without each row of RATINGS
    found = fleiss_kappa(RATINGS)
    assert (found.value, found.se) == pytest.approx((0.20993070442195522, 0.10055702324497184), rel=1e-9)
    assert found.value == pytest.approx(0.210, abs=5e-4)  # as published


@pytest.mark.parametrize("n", [20, 50])
@pytest.mark.parametrize("table", [[[0.45, 0.02], [0.03, 0.5]], [[0.4, 0.1], [0.15, 0.35]]])
def test_kappa_is_covered(n, table):
    rng, p = np.random.default_rng(n), np.array(table)
    chance = p.sum(1) @ p.sum(0)
    truth = (np.trace(p) - chance) / (1 - chance)
    errors, control = [], []
    for _ in range(500):
        cell = rng.choice(4, n, p=p.ravel())
        found = cohen_kappa(cell // 2, cell % 2, categories=[0, 1])
        errors.append((found.low > truth, found.high < truth))
        control.append(abs(found.value - truth) > 1.96 * found.se)
    assert np.max(np.mean(errors, axis=0)) <= 0.025 + 0.021
    if n == 20 and truth > 0.8:
        assert np.mean(control) > 0.3  # the large-sample interval alone


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30), st.randoms())
def test_order_names_and_the_side_of_a_judge_say_nothing(pairs, random):
    first, second = np.array(pairs).T
    if len(set(first) | set(second)) == 1:
        with pytest.raises(StatisticsError, match="not defined"):
            cohen_kappa(first, second)
        return
    one = cohen_kappa(first, second)
    again = np.array(random.sample(pairs, len(pairs)))
    names = np.array(["d", "a", "c", "b"])
    for other in (cohen_kappa(second, first), cohen_kappa(names[again[:, 0]], names[again[:, 1]])):
        assert (other.value, other.low, other.high) == pytest.approx((one.value, one.low, one.high), abs=1e-9)
    ordered = cohen_kappa(first, second, weights="linear", categories=[0, 1, 2, 3])
    turned = cohen_kappa(3 - first, 3 - second, weights="linear", categories=[0, 1, 2, 3])
    assert (turned.value, turned.low) == pytest.approx((ordered.value, ordered.low), abs=1e-9)
    assert -1 <= ordered.low <= ordered.value + 1e-12
    assert ordered.value - 1e-12 <= ordered.high <= 1


def test_two_judges_are_a_case_of_several():
    rng = np.random.default_rng(1)
    counts = rng.multinomial(2, [0.2, 0.3, 0.5], 40)
    found = fleiss_kappa(counts)
    order = fleiss_kappa(counts[rng.permutation(40)][:, [2, 0, 1]])
    assert (order.value, order.low, order.high) == pytest.approx((found.value, found.low, found.high))
    assert found.low < 0 < found.high  # by chance alone


def test_judges_who_always_agree_are_not_known_to_be_perfect():
    labels = [0, 1] * 15
    for found in (cohen_kappa(labels, labels), fleiss_kappa([[3, 0], [0, 3]] * 15)):
        assert (found.value, found.high, found.se) == (1, 1, 0)
        assert 0.7 < found.low < 0.8
    rare = fleiss_kappa([[2, 0]] * 9 + [[1, 1]])
    assert math.isnan(rare.se)
    assert rare.low == -1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cohen_kappa([1, 1], [1, 1]), "one category to every item"),
        (lambda: fleiss_kappa([[2, 0], [2, 0]]), "one category to every item"),
        (lambda: cohen_kappa([1], [1]), "two or more items"),
        (lambda: cohen_kappa([1, 2], [1, 2, 3]), "shapes (2,) and (3,)"),
        (lambda: cohen_kappa([1, 2], [1, 5], categories=[1, 2]), "second[1] is 5, which is no category"),
        (lambda: cohen_kappa([1, math.nan], [1, 2]), "first[1] is nan"),
        (lambda: cohen_kappa([1, 2], [1, 2], weights="cubic"), "weights 'cubic'"),
        (lambda: fleiss_kappa([[1, 1]]), "two or more items"),
        (lambda: fleiss_kappa([[1, 1], [1.5, 0.5]]), "counts[1, 0] is 1.5"),
        (lambda: fleiss_kappa([[1, 1], [2, 1]]), "counts[1] has 3 judges"),
        (lambda: fleiss_kappa([[1, 0], [1, 0]]), "counts[0] has 1 judges"),
    ],
)
def test_what_is_no_rating_is_refused(call, words):
    with pytest.raises(StatisticsError) as refused:
        call()
    assert words in str(refused.value)
