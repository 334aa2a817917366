"""Sums that no order of their values changes, against exact ones."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headgate.stats.sums import group_sums, steady_mean, steady_square, steady_sum

FINITE = st.floats(-1e12, 1e12, allow_subnormal=False)
VECTORS = hnp.arrays(np.float64, st.integers(1, 60), elements=FINITE)


def ulps(values):
    """What a sum in any order may be off by."""
    return np.spacing(np.abs(values).sum()) * values.size


@given(VECTORS, st.randoms(use_true_random=False))
def test_no_order_changes_a_bit(values, random):
    order = np.array(random.sample(range(values.size), values.size))
    for function in (steady_sum, steady_mean, steady_square):
        assert function(values) == function(values[order])
    codes = np.arange(values.size) % 3
    counts = np.bincount(codes)
    same = group_sums(values, codes, counts) == group_sums(values[order], codes[order], counts)
    assert same.all()


@given(VECTORS)
def test_they_are_the_exact_sums(values):
    assert abs(steady_sum(values) - math.fsum(values)) <= ulps(values)
    assert abs(steady_square(values) - math.fsum(values * values)) <= ulps(values * values)
    assert abs(steady_mean(values) - math.fsum(values) / values.size) <= ulps(values)
    codes = np.arange(values.size) % 2
    for group, found in enumerate(group_sums(values, codes, np.bincount(codes))):
        assert abs(found - math.fsum(values[codes == group])) <= ulps(values)


def test_a_plain_sum_depends_on_the_order():
    values = np.random.default_rng(1).normal(size=10_000) * 10.0 ** np.random.default_rng(2).integers(-8, 8, 10_000)
    assert float(values.sum()) != float(np.sort(values).sum())
    assert steady_sum(values) == steady_sum(np.sort(values))
    assert steady_sum(values) == math.fsum(values)


def test_one_large_value_among_many_small_ones_hides_none():
    values = np.full(1_000_000, 1e-7)
    values[500] = 1e6
    assert math.isclose(steady_sum(values) - 1e6, 0.0999999, abs_tol=1e-6)


def test_the_largest_numbers_do_not_overflow_on_the_way():
    assert steady_sum(np.array([1e305, 1e305, -1e305])) == 1e305
