"""One-sided permutation tests of small groups, against all divisions and against scipy."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from headgate.errors import StatisticsError
from headgate.stats import drop_p_values

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=5)


@given(SCORES, SCORES)
def test_it_is_the_share_of_divisions_that_are_as_low(ours, theirs):
    pool = [Fraction(value) for value in ours + theirs]
    sums = [sum(pool[i] for i in chosen) for chosen in combinations(range(len(pool)), len(ours))]
    share = sum(one <= sum(pool[: len(ours)]) for one in sums) / len(sums)
    (p,), (least,) = drop_p_values([ours], [theirs])
    assert p == pytest.approx(share)
    assert least == pytest.approx(sums.count(min(sums)) / len(sums))


def test_right_and_wrong_is_fishers_test():
    for c, b in ((0, 5), (1, 4), (2, 5), (3, 3), (5, 0)):
        ours, theirs = [1.0] * c + [0.0] * (5 - c), [1.0] * b + [0.0] * (5 - b)
        exact = reference.fisher_exact([[c, 5 - c], [b, 5 - b]], alternative="less").pvalue
        assert drop_p_values([ours], [theirs])[0][0] == pytest.approx(exact)


def test_many_seeds_are_left_to_welch():
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(0.0, 1.0, 40), rng.normal(0.4, 2.0, 30)
    welch = reference.ttest_ind(ours, theirs, equal_var=False, alternative="less").pvalue
    assert drop_p_values([ours], [theirs])[0][0] == pytest.approx(welch)
    flat = np.repeat([[0.0], [1.0]], 40, axis=1)
    assert list(drop_p_values(flat, flat[::-1])[0]) == [0.0, 1.0]


def test_the_level_holds_where_nothing_changed():
    rng = np.random.default_rng(2)
    p, _ = drop_p_values(rng.random((2000, 5)) < 0.7, rng.random((2000, 5)) < 0.7)
    assert np.mean(p <= 0.05) <= 0.05
    worse, _ = drop_p_values(rng.random((2000, 5)) < 0.1, rng.random((2000, 5)) < 0.9)
    assert np.mean(worse <= 0.05) > 0.6


def test_what_is_no_pair_is_refused():
    with pytest.raises(StatisticsError, match="2 items and baseline 1"):
        drop_p_values([[1], [2]], [[1]])
    with pytest.raises(StatisticsError, match=r"candidate\[1, 0\] is nan"):
        drop_p_values([[1.0], [float("nan")]], [[1.0], [1.0]])
    with pytest.raises(StatisticsError, match="a row per item"):
        drop_p_values([1, 0], [1, 1])
