"""The share of false discoveries: scipy's values, and its promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from headgate.errors import StatisticsError
from headgate.stats.multiplicity import benjamini_hochberg, holm

P_VALUES = st.lists(st.floats(0, 1), max_size=15)


@given(P_VALUES)
def test_adjusted_p_values_are_scipys(p_values):
    theirs = reference.false_discovery_control(p_values) if p_values else []
    assert benjamini_hochberg(p_values) == pytest.approx(theirs, rel=1e-9)


@given(P_VALUES, st.randoms())
def test_order_says_nothing_and_holm_is_stricter(p_values, random):
    order = random.sample(range(len(p_values)), len(p_values))
    one = benjamini_hochberg(p_values)
    assert benjamini_hochberg([p_values[i] for i in order]) == pytest.approx([one[i] for i in order])
    assert (np.array(p_values) <= one + 1e-12).all()
    assert (one <= holm(p_values) + 1e-12).all()


def test_the_false_share_is_kept():
    rng = np.random.default_rng(1)
    shares, plain = [], []
    for _ in range(2000):
        z = rng.standard_normal(50)
        z[:10] += 3
        p = reference.norm.sf(z)
        for found, kept in ((benjamini_hochberg(p) <= 0.1, shares), (p <= 0.1, plain)):
            kept.append(found[10:].sum() / max(found.sum(), 1))
    assert np.mean(shares) <= 0.1 * 40 / 50 + 0.01
    assert np.mean(plain) > 0.2


@pytest.mark.parametrize("wrong", [1.1, -0.1, math.nan])
def test_a_p_value_is_a_probability(wrong):
    with pytest.raises(StatisticsError, match=r"p_values\[1\]"):
        benjamini_hochberg([0.1, wrong])
