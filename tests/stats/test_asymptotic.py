"""Limits at any time for a mean without bounds."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
from headgate.errors import StatisticsError
from headgate.stats.asymptotic import AsymptoticSequence, half_width


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("horizon", [200, 5000])
def test_the_limits_follow_their_formula(alpha, horizon):
    values = np.random.default_rng(61).lognormal(size=300)
    found = AsymptoticSequence(alpha=alpha, horizon=horizon).update(values)
    expected = oracles.asymptotic_limits(values.tolist(), alpha, horizon)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(0, 60))
def test_values_may_come_in_any_parts(values, cut):
    parts = AsymptoticSequence(alpha=0.05)
    for part in (values[:cut], values[cut:]):
        parts = parts.update(part) if part else parts
    assert parts.n == len(values)
    assert parts.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
    assert parts.squares == pytest.approx(np.var(values) * len(values), rel=1e-9, abs=1e-3)
    assert (parts.low, parts.high, parts.empty) == (None, None, False)


def test_an_offset_costs_no_digits():
    values = np.random.default_rng(62).normal(size=400)
    near, far = AsymptoticSequence(alpha=0.05), AsymptoticSequence(alpha=0.05)
    for block in values.reshape(4, -1):
        near, far = near.update(block), far.update(block + 2.0**30)
    assert far.squares == pytest.approx(near.squares, rel=1e-6)
    assert far.low - 2.0**30 == pytest.approx(near.low, abs=1e-6)


def test_the_limits_are_tightest_near_the_horizon():
    """Of all horizons, the one at the present number of values gives the narrowest limits, to a hundredth."""
    for n in (300, 3000):
        widths = [half_width(n, alpha=0.05, horizon=horizon) for horizon in range(n // 4, 4 * n, n // 20)]
        assert half_width(n, alpha=0.05, horizon=n) <= min(widths) * 1.01
        assert max(widths) > min(widths) * 1.05


def test_limits_are_intersected_until_none_is_left():
    rng = np.random.default_rng(63)
    before = AsymptoticSequence(alpha=0.05).update(rng.normal(0, 1, 500))
    after = before.update(rng.normal(3, 1, 500))
    assert not before.empty
    assert after.empty
    assert after.high == before.high


def test_a_stored_state_goes_on():
    state = AsymptoticSequence(alpha=0.05).update(np.arange(150.0))
    again = AsymptoticSequence(**json.loads(json.dumps(dataclasses.asdict(state), allow_nan=False)))
    assert again.update([1.0]) == state.update([1.0])


def ever_wrong(runs):
    """Shares of streams of log latencies whose lower limit ever lies too high, and whose z limits ever do."""
    rng = np.random.default_rng(64)
    wrong = peeked = 0
    n = np.arange(100, 2001)
    widths = np.array([half_width(int(k), alpha=0.05, horizon=1000) for k in n])
    for _ in range(runs):
        values = rng.gamma(4.0, 0.5, 2000) - rng.gamma(4.0, 0.5, 2000)
        mean = values.cumsum()[99:] / n
        sd = np.sqrt((values**2).cumsum()[99:] / n - mean**2)
        wrong += bool((mean > sd * widths).any())
        peeked += bool((mean * np.sqrt(n) > 1.6449 * sd).any())
    return wrong / runs, peeked / runs


@pytest.mark.parametrize("runs", [1000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a13_a_mean_of_nothing_is_rarely_ever_something(runs):
    wrong, peeked = ever_wrong(runs)
    assert wrong <= 0.06
    assert peeked >= 0.15  # the control


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: AsymptoticSequence(alpha=0.5), "alpha 0.5 is not between 0 and 0.5"),
        (lambda: AsymptoticSequence(alpha=math.nan), "alpha nan"),
        (lambda: AsymptoticSequence(alpha=0.05, horizon=0), "horizon is 0"),
        (lambda: AsymptoticSequence(alpha=0.05).update([math.inf]), r"values\[0\] is inf"),
        (lambda: AsymptoticSequence(alpha=0.05).update([]), "values must be a vector"),
    ],
)
def test_what_is_no_stream_is_refused(call, words):
    with pytest.raises(StatisticsError, match=words):
        call()
