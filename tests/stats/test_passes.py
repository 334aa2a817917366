from __future__ import annotations

from itertools import combinations
from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import StatisticsError
from headgate.stats import pass_at_k
from headgate.stats.passes import pass_noise

SEEDS = st.lists(st.booleans(), min_size=1, max_size=7)


def every_draw(seeds, k, fold):
    return mean(float(fold(drawn)) for drawn in combinations(seeds, k))


@given(SEEDS, st.integers(1, 7))
def test_it_is_the_share_of_all_draws(seeds, k):
    for every, fold in ((False, any), (True, all)):
        (found,) = pass_at_k([len(seeds)], [sum(seeds)], k, every=every)
        assert np.isnan(found) if k > len(seeds) else found == pytest.approx(every_draw(seeds, k, fold), abs=1e-12)


@given(st.floats(0, 1), st.integers(1, 4), st.integers(4, 8))
def test_it_is_without_bias(p, k, n):
    """Over all that can come of n seeds, its mean is the chance itself."""
    passed = np.arange(n + 1)
    weights = [float(len(list(combinations(range(n), c)))) * p**c * (1 - p) ** (n - c) for c in passed]
    for every, truth in ((False, 1 - (1 - p) ** k), (True, p**k)):
        found = pass_at_k(np.full(n + 1, n), passed, k, every=every)
        assert float(np.dot(weights, found)) == pytest.approx(truth, abs=1e-12)


@given(SEEDS, st.integers(1, 6), st.booleans())
def test_the_noise_is_the_jackknife_over_seeds(seeds, k, every):
    noise = pass_noise([len(seeds)], [sum(seeds)], k, every=every)
    n, fold = len(seeds), all if every else any
    if n <= k:
        assert (noise.seeds.tolist(), noise.squares.tolist()) == ([1], [0])
        return
    whole = every_draw(seeds, k, fold)
    left_out = [every_draw(seeds[:i] + seeds[i + 1 :], k, fold) for i in range(n)]
    pseudo = [n * whole - (n - 1) * one for one in left_out]
    assert mean(pseudo) == pytest.approx(whole)
    assert noise.squares[0] == pytest.approx(sum((one - whole) ** 2 for one in pseudo), abs=1e-9)


def test_of_one_it_is_the_mean():
    n, passed = np.array([3, 4, 5]), np.array([0, 1, 5])
    assert pass_at_k(n, passed, 1).tolist() == pytest.approx((passed / n).tolist())


@pytest.mark.parametrize(("n", "passed", "k"), [([2], [3], 1), ([2], [-1], 1), ([2], [1], 0)])
def test_what_cannot_be(n, passed, k):
    with pytest.raises(StatisticsError):
        pass_at_k(n, passed, k)
