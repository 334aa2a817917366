"""Bets on the mean of bounded values."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles
from headgate.errors import StatisticsError
from headgate.stats.betting import BETS, BettingSequence, MeanTest
from headgate.stats.evalues import log_e_threshold

VALUES = [(7 * i * i + 3 * i) % 11 / 10 for i in range(40)]
scores = st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("null", "up", "down"),
    [
        (0.3, [0.09711710771702918, 1.1150735608851317], [-0.4186521463909851, -0.8813035565078216]),
        (0.5, [-0.5211379750403764, -1.0366631275594052], [0.0615625833778531, 0.7083058863899799]),
    ],
)
def test_the_wealth_is_that_of_confseq(null, up, down):
    # confseq 70b1ef3: log of diversified_betting_mart(VALUES, null, bets, trunc_scale=1, theta=1 for up and 0 for down)
    # after 10 and 40 values, with the eight constant bets share / null up and share / (1 - null) down
    after_10 = MeanTest(null=null).update(VALUES[:10])
    after_40 = after_10.update(VALUES[10:])
    assert [after_10.log_e_up, after_40.log_e_up] == pytest.approx(up, rel=1e-12)
    assert [after_10.log_e_down, after_40.log_e_down] == pytest.approx(down, rel=1e-12)


@settings(deadline=None)
@given(scores, st.floats(0.01, 0.99))
def test_the_wealth_is_that_of_the_twin(values, null):
    found = MeanTest(null=null).update(values)
    up = oracles.wealth(values, null, BETS)
    down = oracles.wealth([1 - value for value in values], 1 - null, BETS)
    assert (found.log_e_up, found.log_e_down) == pytest.approx((math.log(up[-1]), math.log(down[-1])), abs=1e-9)
    peaks = (max(0, math.log(max(up))), max(0, math.log(max(down))))
    assert (found.peak_up, found.peak_down) == pytest.approx(peaks, abs=1e-9)


@settings(deadline=None)
@given(scores, st.integers(0, 60))
def test_values_may_come_in_any_parts(values, cut):
    whole, parts = MeanTest(null=0.4).update(values), MeanTest(null=0.4)
    for part in (values[:cut], values[cut:]):
        parts = parts.update(part) if part else parts
    assert parts.n == whole.n
    assert [*parts.up, *parts.down] == pytest.approx([*whole.up, *whole.down], abs=1e-9)
    assert (parts.peak_up, parts.peak_down) == pytest.approx((whole.peak_up, whole.peak_down), abs=1e-9)


@settings(deadline=None)
@given(scores)
def test_bounds_are_a_change_of_units(values):
    one = MeanTest(null=0.4).update(values)
    moved = MeanTest(null=-0.2, bounds=(-1, 1)).update([2 * value - 1 for value in values])
    assert [*moved.up, *moved.down] == pytest.approx([*one.up, *one.down], abs=1e-9)
    mirrored = MeanTest(null=0.6).update([1 - value for value in values])
    assert [*mirrored.down, *mirrored.up] == pytest.approx([*one.up, *one.down], abs=1e-9)


def test_the_limits_are_the_outermost_means_that_lost():
    found = BettingSequence(alpha=0.1, n_nulls=400).update(VALUES * 5)
    nulls = (np.arange(400) + 0.5) / 400
    tests = [MeanTest(null=null).update(VALUES * 5) for null in nulls.tolist()]
    below = [null for null, test in zip(nulls, tests, strict=True) if test.log_e_up >= math.log(10)]
    above = [null for null, test in zip(nulls, tests, strict=True) if test.log_e_down >= math.log(10)]
    assert below == nulls[: len(below)].tolist()  # no gaps
    assert above == nulls[400 - len(above) :].tolist()
    assert (found.low, found.high) == pytest.approx((below[-1], above[0]))
    assert found.low < np.mean(VALUES) < found.high


def test_limits_only_ever_tighten_and_start_at_the_bounds():
    state = BettingSequence(alpha=0.05, bounds=(1, 5))
    assert (state.low, state.high, state.empty) == (1, 5, False)
    seen = [state]
    for _ in range(20):
        seen.append(seen[-1].update([1 + 4 * value for value in VALUES]))
    lows, highs = [one.low for one in seen], [one.high for one in seen]
    assert lows == sorted(lows)
    assert highs == sorted(highs, reverse=True)
    assert 1 < lows[-1] < 1 + 4 * np.mean(VALUES) < highs[-1] < 5
    assert highs[-1] - lows[-1] < 0.7


def test_a_mean_that_moves_leaves_none():
    state = BettingSequence(alpha=0.05).update([0.2, 0.0] * 200)
    assert not state.empty
    assert state.update([0.9, 0.7] * 400).empty


def stored(state):
    return json.dumps(dataclasses.asdict(state), allow_nan=False)


def test_a_stored_state_goes_on():
    assert json.loads(stored(BettingSequence(alpha=0.05)))["low"] == 0
    for fresh in (BettingSequence(alpha=0.05, n_nulls=20), MeanTest(null=0.5)):
        state = fresh.update(VALUES)
        again = type(state)(**json.loads(stored(state)))
        assert stored(again.update(VALUES)) == stored(state.update(VALUES))


def ever_wrong(runs):
    """Shares of runs in which bets that the mean is higher ever win, and in which a z test at 5 % ever says so."""
    rng = np.random.default_rng(51)
    won = peeked = 0
    for _ in range(runs):
        difference = (rng.random(2000) < 0.85).astype(float) - (rng.random(2000) < 0.85)
        won += MeanTest(null=0.0, bounds=(-1, 1)).update(difference).peak_up >= log_e_threshold(0.05)
        n = np.arange(1, 2001)
        mean = difference.cumsum() / n
        sd = np.sqrt(np.maximum((difference**2).cumsum() / n - mean**2, 1e-12))
        peeked += bool((mean * np.sqrt(n) > 1.6449 * sd)[19:].any())
    return won / runs, peeked / runs


@pytest.mark.parametrize("runs", [500, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_a13_a_mean_of_nothing_is_rarely_ever_something(runs):
    won, peeked = ever_wrong(runs)
    assert won <= 0.06
    assert peeked >= 0.15  # the control


def test_limits_are_rarely_ever_wrong():
    rng = np.random.default_rng(52)
    wrong = []
    for _ in range(200):
        state = BettingSequence(alpha=0.05, n_nulls=100)
        for block in (rng.random((20, 100)) < 0.9).astype(float):
            state = state.update(block)
        wrong.append((state.low > 0.9, state.high < 0.9))
        assert state.high - state.low < 0.12
    assert np.mean(wrong, axis=0).max() <= 0.05


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: MeanTest(null=1.0), "null 1.0 is not within the bounds 0 to 1"),
        (lambda: MeanTest(null=math.nan), "null nan"),
        (lambda: MeanTest(null=0.5, bounds=(1, 0)), "bounds"),
        (lambda: MeanTest(null=0.5).update([0.5, math.nan]), r"values\[1\] is nan"),
        (lambda: MeanTest(null=0.5).update([1.5]), r"values\[0\] is 1.5, outside the bounds 0 to 1"),
        (lambda: BettingSequence(alpha=0.05).update([]), "values must be a vector"),
        (lambda: BettingSequence(alpha=0.0), "alpha 0.0"),
        (lambda: BettingSequence(alpha=0.05, n_nulls=1), "n_nulls is 1"),
        (lambda: BettingSequence(alpha=0.05, bounds=(0, math.inf)), "bounds"),
    ],
)
def test_what_is_no_bet_is_refused(call, words):
    with pytest.raises(StatisticsError, match=words):
        call()
