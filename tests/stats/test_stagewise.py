"""What is said of the effect after stopping is right half of the time, and its limits as often as declared."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from scipy import stats as reference

import oracles
from headgate.errors import StatisticsError
from headgate.stats.sequential import spending_boundaries
from headgate.stats.stagewise import stagewise

LOOKS = np.arange(1, 6) / 5
ABOVE = spending_boundaries(LOOKS, alpha=0.05)
BELOW = np.array([-3.0, -1.5, -0.5, 0.3])


@pytest.mark.parametrize("z", [-2.0, 0.0, 1.3, 4.0])
def test_one_look_is_the_plain_interval(z):
    found = stagewise(z, [0.6], [], confidence=0.9)
    assert found.p_value == pytest.approx(reference.norm.sf(z), rel=1e-9)
    expected = [(z - shift) / math.sqrt(0.6) for shift in (0.0, reference.norm.isf(0.05), -reference.norm.isf(0.05))]
    assert [found.drift, found.low, found.high] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("below", [None, BELOW])
@pytest.mark.parametrize(("n_looks", "z"), [(2, 3.1), (4, 2.0), (4, -0.2), (5, 0.4), (5, 2.5)])
def test_it_inverts_the_probability_to_stop_at_least_as_high(n_looks, z, below):
    t, above = LOOKS[:n_looks], ABOVE[: n_looks - 1]
    found = stagewise(z, t, above, below=None if below is None else below[: n_looks - 1], confidence=0.8)
    under = [-math.inf] * n_looks if below is None else [*below[: n_looks - 1], -math.inf]
    for drift, share in ((0.0, found.p_value), (found.drift, 0.5), (found.low, 0.1), (found.high, 0.9)):
        over, _ = oracles.exits(t, [*above, z], under, drift)
        assert sum(over) == pytest.approx(share, rel=1e-6)


def test_stopping_earlier_says_more():
    """Each outcome of a higher order has a higher estimate: early exits above first, early exits below last."""
    outcomes = [(2, 3.5), (2, 2.9), (3, 2.6), (4, 2.0), (5, 2.4), (5, 0.0), (4, 0.2), (3, -0.6), (2, -1.6), (2, -2.5)]
    found = [stagewise(z, LOOKS[:k], ABOVE[: k - 1], below=BELOW[: k - 1]) for k, z in outcomes]
    drifts = [one.drift for one in found]
    assert drifts == sorted(drifts, reverse=True)
    assert [one.p_value for one in found] == sorted(one.p_value for one in found)
    assert all(one.low < one.drift < one.high for one in found)


@cache
def table(n_looks):
    """z statistics at which a test may stop, with what is then said; in between it is smooth."""
    lowest, highest = (ABOVE[n_looks - 1], 9.0) if n_looks < LOOKS.size else (-5.0, 9.0)
    statistics = np.linspace(lowest, highest, 15)
    found = [stagewise(z, LOOKS[:n_looks], ABOVE[: n_looks - 1]) for z in statistics.tolist()]
    return statistics, np.array([(one.drift, one.low, one.high) for one in found])


@pytest.mark.parametrize("drift", [0.0, 2.5])
def test_the_median_is_unbiased_and_the_limits_cover(drift):
    rng = np.random.default_rng(21)
    steps = rng.normal(drift / 5, math.sqrt(1 / 5), (4000, 5))
    z = steps.cumsum(axis=1) / np.sqrt(LOOKS)
    crossed = z >= ABOVE
    crossed[:, -1] = True
    stop = crossed.argmax(axis=1)
    found, naive = np.empty((z.shape[0], 3)), np.empty(z.shape[0])
    for look in range(LOOKS.size):
        here = stop == look
        statistics, said = table(look + 1)
        naive[here] = z[here, look] / math.sqrt(LOOKS[look])
        found[here] = np.column_stack([np.interp(z[here, look], statistics, column) for column in said.T])
    assert (found[:, 0] > drift).mean() == pytest.approx(0.5, abs=0.025)
    assert (found[:, 1] > drift).mean() == pytest.approx(0.05, abs=0.012)
    assert (found[:, 2] < drift).mean() == pytest.approx(0.05, abs=0.012)
    if drift:  # the control: what is seen at the stop is too high
        assert naive.mean() > drift * 1.05
        assert (naive > drift).mean() > 0.53


def test_what_is_no_stop_is_refused():
    with pytest.raises(StatisticsError, match="z is nan"):
        stagewise(math.nan, [1.0], [])
    with pytest.raises(StatisticsError, match="above must give one boundary for each of 1 looks"):
        stagewise(1.0, [0.5, 1.0], [2.5, 1.7])
    with pytest.raises(StatisticsError, match="confidence"):
        stagewise(1.0, [1.0], [], confidence=1.0)
    with pytest.raises(StatisticsError, match=r"fractions\[1\]"):
        stagewise(1.0, [0.5, 0.5], [2.5])
