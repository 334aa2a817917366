"""The share between groups, against simulated truth and a slow twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import StatisticsError
from headgate.stats import between_share


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_it_finds_the_share_that_is_there(share):
    rng = np.random.default_rng(7)
    found = []
    for _ in range(300):
        groups = np.repeat(np.arange(12), rng.integers(5, 40, 12))
        values = rng.normal(0, share**0.5, 12)[groups] + rng.normal(0, (1 - share) ** 0.5, groups.size)
        found.append(between_share(values, groups))
    assert np.mean(found) == pytest.approx(share, abs=0.04)


def test_without_groups_that_differ_it_is_near_zero_and_never_below():
    rng = np.random.default_rng(8)
    found = [between_share(rng.random(200), rng.integers(0, 2, 200)) for _ in range(200)]
    assert min(found) == 0
    assert np.quantile(found, 0.95) < 0.06


VALUES = st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 3)), min_size=1, max_size=30)


@given(VALUES)
def test_as_the_formula_says(pairs):
    """Sums of squares, group by group."""
    named = {}
    for value, group in pairs:
        named.setdefault(group, []).append(value)
    kept = [values for values in named.values() if len(values) > 1]
    found = between_share(*map(list, zip(*pairs, strict=True)))
    if len(kept) < 2:
        assert found is None
        return
    n, k = sum(map(len, kept)), len(kept)
    mean = sum(map(sum, kept)) / n
    between = sum(len(one) * (sum(one) / len(one) - mean) ** 2 for one in kept) / (k - 1)
    within = sum((x - sum(one) / len(one)) ** 2 for one in kept for x in one) / (n - k) if n > k else 0.0
    size = (n - sum(len(one) ** 2 for one in kept) / n) / (k - 1)
    total = between + (size - 1) * within
    if total < 1e-12:
        assert found is None or 0 <= found <= 1
    else:
        assert found == pytest.approx(max((between - within) / total, 0.0), abs=1e-6)
        assert 0 <= found <= 1


def test_what_cannot_be_told_and_what_is_wrong():
    assert between_share([1, 2, 3], [0, 0, 0]) is None
    assert between_share([1, 2, 3], [0, 0, 1]) is None
    assert between_share([1, 1, 1, 1], [0, 0, 1, 1]) is None
    for values, groups in (([1, float("nan")], [0, 1]), ([1, 2], [0])):
        with pytest.raises(StatisticsError):
            between_share(values, groups)
