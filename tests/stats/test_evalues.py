"""Evidence that may be looked at after every block does not lie more often than declared."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats as reference

import oracles
from headgate.errors import StatisticsError
from headgate.stats.evalues import RateTest, log_e_threshold, merge_log_e, nearest_rates

rates = st.floats(0.001, 0.999)
sizes = st.integers(1, 4)


def stream(x, y, *, size=1, test=None):
    """Feed two arrays of 0 and 1, so many of each arm to a block, and return the log evidence after every block."""
    test, found = test or RateTest(), []
    for x_hits, y_hits in zip(x.reshape(-1, size).sum(1).tolist(), y.reshape(-1, size).sum(1).tolist(), strict=True):
        test = test.update(x_hits, size, y_hits, size)
        found.append(test.log_e)
    return test, found


def naive_peeks(x, y):
    """Whether a pooled z test at 5 % ever says that x is higher, looking after every pair from the twentieth on."""
    n = np.arange(1, x.size + 1)
    a, b = x.cumsum() / n, y.cumsum() / n
    se = np.sqrt(np.maximum((a + b) / 2 * (1 - (a + b) / 2), 1e-12) * 2 / n)
    return bool(((a - b)[19:] > 1.6449 * se[19:]).any())


@settings(deadline=None)
@given(st.tuples(rates, rates), st.tuples(rates, rates), st.tuples(sizes, sizes), st.floats(-0.5, 0.5))
def test_a_bet_is_never_favourable_under_the_hypothesis(bet_on, true, trials, shift):
    """The mean of the e-value over all outcomes of a block is at most 1 for every pair of rates it tests."""
    (x, y), (x_true, y_true), (x_trials, y_trials) = bet_on, true, trials
    assume(x > y + shift)
    x_true = min(x_true, y_true + shift)
    assume(x_true >= 0)
    x_null, y_null = nearest_rates(x, y, x_weight=x_trials, y_weight=y_trials, shift=shift)
    assert x_null == pytest.approx(y_null + shift)
    factors = [
        [
            reference.binom.pmf(k, n, true) * (bet / null) ** k * ((1 - bet) / (1 - null)) ** (n - k)
            for k in range(n + 1)
        ]
        for n, true, bet, null in ((x_trials, x_true, x, x_null), (y_trials, y_true, y, y_null))
    ]
    assert sum(factors[0]) * sum(factors[1]) <= 1 + 1e-7


def test_a_bet_is_favourable_where_the_hypothesis_is_wrong():
    """The control of the test above: the same sum at the rates that are bet on."""
    x_null, y_null = nearest_rates(0.9, 0.7, x_weight=1, y_weight=1, shift=-0.05)
    gains = [p * p / q + (1 - p) ** 2 / (1 - q) for p, q in ((0.9, x_null), (0.7, y_null))]
    assert gains[0] * gains[1] > 1.05


@pytest.mark.parametrize("shift", [0.0, -0.05, 0.1])
def test_the_evidence_is_that_of_the_twin(shift):
    rng = np.random.default_rng(41)
    trials = rng.integers(1, 30, (6, 2))
    hits = rng.binomial(trials, [0.9, 0.6])
    blocks = [(int(a), int(n), int(b), int(m)) for (a, b), (n, m) in zip(hits, trials, strict=True)]
    test, found = RateTest(shift=shift), []
    for block in blocks:
        test = test.update(*block)
        found.append(test.log_e)
    assert found == pytest.approx(oracles.rate_log_e(blocks, shift, 0.5), abs=1e-5)
    assert found[-1] > 1
    assert test.peak == pytest.approx(max(found))
    assert test.p_value == pytest.approx(math.exp(-max(found)))


def test_a_stored_state_goes_on():
    test = RateTest(shift=-0.02).update(9, 10, 7, 10).update(10, 10, 6, 10)
    again = RateTest(**json.loads(json.dumps(dataclasses.asdict(test), allow_nan=False)))
    assert again == test
    assert again.update(1, 1, 0, 1) == test.update(1, 1, 0, 1)


def false_alarms(runs, n, p, *, size, shift=0.0):
    rng = np.random.default_rng(42)
    x, y = (rng.random((runs, n)) < p + shift).astype(int), (rng.random((runs, n)) < p).astype(int)
    threshold = log_e_threshold(0.05)
    return np.mean(
        [stream(*pair, size=size, test=RateTest(shift=shift))[0].peak >= threshold for pair in zip(x, y, strict=True)]
    )


@pytest.mark.parametrize(
    ("runs", "size"), [(400, 10), pytest.param(1000, 1, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
@pytest.mark.parametrize("p", [0.6, 0.95])
def test_a13_two_equal_rates_rarely_ever_differ(runs, size, p):
    assert false_alarms(runs, 2000, p, size=size) <= 0.06
    assert false_alarms(runs, 2000, p, size=size, shift=-0.03) <= 0.06


def test_control_peeking_at_a_z_test_does_not_keep_its_level():
    rng = np.random.default_rng(43)
    pairs = ((rng.random((2, 2000)) < 0.95).astype(int) for _ in range(400))
    assert np.mean([naive_peeks(*pair) for pair in pairs]) >= 0.15


def test_a_drop_is_found():
    """5 points at 95 % are found in all of 60 canaries of 3,000 per arm, 2 points in more than four of ten."""
    rng = np.random.default_rng(44)
    for drop, least in ((0.05, 1.0), (0.02, 0.45)):
        pairs = [(rng.random((2, 3000)) < [[0.95], [0.95 - drop]]).astype(int) for _ in range(60)]
        found = [stream(*pair, size=20)[0].peak >= log_e_threshold(0.05) for pair in pairs]
        assert np.mean(found) >= least


def test_evidence_is_merged_by_its_average():
    assert merge_log_e([3.0]) == 3.0
    assert merge_log_e([math.log(3), math.log(1), -math.inf]) == pytest.approx(math.log(4 / 3))
    assert merge_log_e([1000.0, 0.0]) == pytest.approx(1000 - math.log(2))
    assert merge_log_e([-math.inf, -math.inf]) == -math.inf
    assert log_e_threshold(0.05) == pytest.approx(math.log(20))
    assert log_e_threshold(0.05, n_tests=4) == pytest.approx(math.log(80))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: merge_log_e([]), "log_e must be a vector"),
        (lambda: merge_log_e([0.0, math.nan]), r"log_e\[1\] is nan"),
        (lambda: merge_log_e([math.inf]), r"log_e\[0\] is inf"),
        (lambda: log_e_threshold(1.0), "alpha 1.0 is not between 0 and 1"),
        (lambda: log_e_threshold(0.05, n_tests=0), "n_tests is 0"),
        (lambda: RateTest(shift=math.nan), "shift nan"),
        (lambda: RateTest(shift=1.0), "shift 1.0"),
        (lambda: RateTest().update(2, 1, 0, 1), "x has 2 successes in 1 trials"),
        (lambda: RateTest().update(0, 1, 0, 0), "y has 0 successes in 0 trials"),
        (lambda: RateTest().update(0, 1, -1, 1), "y has -1 successes"),
    ],
)
def test_what_is_no_evidence_is_refused(call, words):
    with pytest.raises(StatisticsError, match=words):
        call()
