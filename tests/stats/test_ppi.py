"""Few labels and a judge: values of another package, coverage, degenerate judges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headgate.errors import StatisticsError
from headgate.stats import mean_interval, paired_interval
from headgate.stats.ppi import ppi_mean

AT = np.arange(460.0)
HUMAN = (np.sin(AT) > -0.3).astype(float)
JUDGE = np.clip(HUMAN + 0.4 * np.cos(3 * AT) - 0.1, 0, 1)
R = 600


def test_the_estimate_is_that_of_another_package():
    # ppi_py 0.2.3: ppi_mean_pointestimate(Y, Yhat, Yhat_unlabeled), its lam, and half of ppi_mean_ci(alpha=0.1) over
    # the normal quantile, for the first 60 labels. Its standard deviations divide by n.
    found = ppi_mean(HUMAN[:60], JUDGE[:60], JUDGE[60:], bounds=None)
    assert found.value == pytest.approx(0.60203148, abs=5e-9)
    assert found.method == "PPI++ (judge weight 0.942)"
    assert found.se == pytest.approx(0.03330872, rel=0.01)
    weight = 0.9416087190253352
    parts = (weight * JUDGE[60:]).var() / 400, (HUMAN[:60] - weight * JUDGE[:60]).var() / 60
    assert math.sqrt(sum(parts)) == pytest.approx(0.03330872, abs=5e-9)  # theirs
    assert found.se == pytest.approx(math.sqrt(parts[0] * 400 / 399 + parts[1] * 60 / 59), rel=1e-9)


def made(rng, *, n, rest, p, wrong_1, wrong_0):
    """Human labels of mean p, and a judge that gets so many of the good and of the bad wrong."""
    y = (rng.random(n + rest) < p).astype(float)
    f = np.where(rng.random(n + rest) < np.where(y == 1, wrong_1, wrong_0), 1 - y, y)
    return y[:n], f[:n], f[n:]


@pytest.mark.parametrize(
    ("n", "rest", "p", "wrong_1", "wrong_0"),
    [(30, 500, 0.9, 0.1, 0.3), (30, 500, 0.98, 0.01, 0.5), (50, 1000, 0.7, 0.2, 0.2), (200, 2000, 0.9, 0.0, 0.5)],
)
def test_the_mean_of_the_humans_is_covered(n, rest, p, wrong_1, wrong_0):
    rng = np.random.default_rng(n)
    errors, naive, plain = [], [], []
    for _ in range(R):
        data = made(rng, n=n, rest=rest, p=p, wrong_1=wrong_1, wrong_0=wrong_0)
        found, judge = ppi_mean(*data, confidence=0.9), mean_interval(data[2], confidence=0.9)
        errors.append((found.low > p, found.high < p))
        naive.append(not judge.low <= p <= judge.high)
        plain.append(ppi_mean(*data, bounds=None, confidence=0.9).low > p)
    assert np.max(np.mean(errors, axis=0)) <= 0.05 + 0.027  # three standard errors of 600
    if p != 0.98:
        assert np.mean(naive) > 0.3  # a biased judge alone
    if n == 30:
        assert np.mean(plain) > 0.12  # the plain interval, near the ceiling


def test_the_difference_of_two_arms_is_covered():
    rng = np.random.default_rng(3)
    errors, naive = [], []
    for _ in range(R):
        c, b = ((rng.random(560) < p).astype(float) for p in (0.75, 0.8))
        fc, fb = (np.where(rng.random(560) < wrong, 1 - y, y) for y, wrong in ((c, 0.02), (b, 0.2)))
        human, judge = c - b, fc - fb
        found = ppi_mean(human[:60], judge[:60], judge[60:], bounds=(-1, 1), confidence=0.9)
        errors.append((found.low > -0.05, found.high < -0.05))
        alone = paired_interval(fc, fb, confidence=0.9)
        naive.append(not alone.low <= -0.05 <= alone.high)
    assert np.max(np.mean(errors, axis=0)) <= 0.05 + 0.027
    assert np.mean(naive) > 0.3


def test_a_good_judge_sharpens_and_a_bad_one_is_left_out():
    rng = np.random.default_rng(4)
    y, f, rest = made(rng, n=200, rest=5000, p=0.8, wrong_1=0.03, wrong_0=0.03)
    alone, sharp = mean_interval(y), ppi_mean(y, f, rest)
    assert sharp.high - sharp.low < 0.7 * (alone.high - alone.low)
    noise = ppi_mean(y, rng.random(200), rng.random(5000))
    assert noise.high - noise.low < 1.15 * (alone.high - alone.low)
    assert noise.value == pytest.approx(y.mean(), abs=0.02)
    opposed = ppi_mean(y, 1 - y, 1 - rest)
    assert opposed.method == "PPI++ (judge weight 0)"
    assert opposed.value == y.mean()


def test_units_order_and_direction_say_nothing():
    rng = np.random.default_rng(5)
    y, f, rest = made(rng, n=40, rest=300, p=0.8, wrong_1=0.1, wrong_0=0.1)
    one, order = ppi_mean(y, f, rest), rng.permutation(40)
    again = ppi_mean(y[order] * 4 + 1, f[order] * 4 + 1, rng.permutation(rest) * 4 + 1, bounds=(1, 5))
    assert (again.low, again.high, again.se) == pytest.approx((4 * one.low + 1, 4 * one.high + 1, 4 * one.se))
    other = ppi_mean(1 - y, 1 - f, 1 - rest)
    assert other.value == pytest.approx(1 - one.value)
    assert (1 - other.high) == pytest.approx(one.low, abs=0.02)  # the weighted judge is not mirrored exactly


def test_degenerate_judges_and_labels():
    ones = np.ones(30)
    perfect = ppi_mean(ones, ones, np.ones(500))
    assert (perfect.value, perfect.high) == (1, 1)
    assert perfect.low < 0.9  # thirty labels may hide one in ten
    agreeing = ppi_mean(HUMAN[:30], HUMAN[:30], HUMAN[30:])
    plain = ppi_mean(HUMAN[:30], HUMAN[:30], HUMAN[30:], bounds=None)
    assert agreeing.low < plain.low - 0.02
    with pytest.raises(StatisticsError, match="29 labels are too few to calibrate a judge"):
        ppi_mean(ones[1:], ones[1:], ones)
    with pytest.raises(StatisticsError, match="labels has 30 values and judged 29"):
        ppi_mean(ones, ones[1:], ones)
    with pytest.raises(StatisticsError, match="unlabelled has 1 value"):
        ppi_mean(ones, ones, [1])
    with pytest.raises(StatisticsError, match=r"judged\[3\] is nan"):
        ppi_mean(ones, np.where(np.arange(30) == 3, math.nan, 1), ones)
