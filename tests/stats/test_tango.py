"""Paired proportions from four counts: published values, exact coverage, invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multinomial

import oracles
from headgate.errors import StatisticsError
from headgate.stats.tango import newcombe_paired_interval, tango_interval

COUNTS = st.tuples(*[st.integers(0, 30)] * 4).filter(sum)
BOTH = [tango_interval, newcombe_paired_interval]


def test_published_values():
    # Fagerland, Lydersen and Laake (2014), airway hyper-responsiveness of 21 children before and after transplantation
    assert tango_interval(1, 1, 7, 12) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert newcombe_paired_interval(1, 1, 7, 12) == pytest.approx((-0.507, -0.026), abs=5e-4)
    # Newcombe (1998), paired data, table II, method 10
    assert newcombe_paired_interval(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=5e-5)


@pytest.mark.parametrize("interval", BOTH)
@pytest.mark.parametrize("n", [20, 50, 400])
def test_no_discordant_item_is_no_certainty(interval, n):
    z2 = 1.959963984540054**2
    for counts in ((n, 0, 0, 0), (0, 0, 0, n)):
        assert interval(*counts) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)), rel=1e-9)
    assert n != 50 or interval(n, 0, 0, 0)[1] == pytest.approx(0.0713, abs=5e-5)  # not its half


@settings(max_examples=40)
@given(COUNTS, st.sampled_from([0.8, 0.95, 0.99]))
def test_tangos_limits_are_those_of_the_twin(counts, confidence):
    found = tango_interval(*counts, confidence=confidence)
    assert found == pytest.approx(oracles.tango(counts[1], counts[2], sum(counts), confidence), abs=2e-6)


@pytest.mark.parametrize("interval", BOTH)
@given(counts=COUNTS)
def test_swapped_arms_negate_and_relabelled_answers_stay(interval, counts):
    both, ours, theirs, neither = counts
    low, high = interval(*counts)
    assert -1 <= low <= (ours - theirs) / sum(counts) + 1e-12
    assert (ours - theirs) / sum(counts) - 1e-12 <= high <= 1
    swapped = interval(both, theirs, ours, neither)
    assert (-swapped[1], -swapped[0]) == pytest.approx((low, high), abs=1e-12)
    wrong = interval(neither, theirs, ours, both)
    assert (-wrong[1], -wrong[0]) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize("n", [20, 50])
def test_coverage_is_exact_to_count(n):
    """Every pair of discordant counts, weighted by its probability; Wald's interval is the control."""
    pairs = [(i, j) for i in range(n + 1) for j in range(n + 1 - i)]
    tango = np.array([tango_interval(0, i, j, n - i - j) for i, j in pairs])
    plus, minus = np.array(pairs).T
    d = (plus - minus) / n
    half = 1.96 * np.sqrt((plus + minus) / n - d * d) / math.sqrt(n)
    covered, control = [], []
    for p, q in ((0.1, 0.1), (0.1, 0.05), (0.02, 0.07), (0.3, 0.2), (0.0, 0.05), (0.0, 0.02)):
        weight = multinomial.pmf(np.column_stack([plus, minus, n - plus - minus]), n, [p, q, 1 - p - q])
        covered.append(weight[(tango[:, 0] <= p - q) & (p - q <= tango[:, 1])].sum())
        control.append(weight[(d - half <= p - q) & (p - q <= d + half)].sum())
    assert min(covered) >= 0.925, covered
    assert min(control) < 0.7


@pytest.mark.parametrize("interval", BOTH)
def test_what_is_no_count_is_refused(interval):
    with pytest.raises(StatisticsError, match="baseline_only is -1"):
        interval(1, 1, -1, 1)
    with pytest.raises(StatisticsError, match=r"both is 0\.5"):
        interval(0.5, 1, 1, 1)
    with pytest.raises(StatisticsError, match="neither is nan"):
        interval(1, 1, 1, math.nan)
    with pytest.raises(StatisticsError, match="no items"):
        interval(0, 0, 0, 0)
    with pytest.raises(StatisticsError, match="confidence"):
        interval(1, 1, 1, 1, confidence=95)
