"""Few labels and a judge: values of another package, coverage, degenerate judges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, ndtri

from headgate.errors import StatisticsError
from headgate.stats import mean_interval, paired_interval
from headgate.stats.intervals import student
from headgate.stats.ppi import PpiLimits, ppi_mean

AT = np.arange(460.0)
HUMAN = (np.sin(AT) > -0.3).astype(float)
JUDGE = np.clip(HUMAN + 0.4 * np.cos(3 * AT) - 0.1, 0, 1)
R = 600


def published(y, f, rest):
    """Return the estimate, weight and standard error of PPI++ as published: one weight, chosen by all labels."""
    variance, covariance = np.concatenate([f, rest]).var(ddof=1), np.cov(y, f, ddof=0)[0, 1]
    weight = min(max(covariance / (variance * (1 + y.size / rest.size)), 0.0), 1.0) if variance else 0.0
    error = y - weight * f
    se = math.sqrt(weight**2 * rest.var(ddof=1) / rest.size + error.var(ddof=1) / y.size)
    return weight * rest.mean() + error.mean(), weight, se


def test_the_estimate_is_that_of_another_package_less_what_a_label_does_to_its_own_weight():
    # ppi_py 0.2.3: ppi_mean_pointestimate(Y, Yhat, Yhat_unlabeled), its lam, and half of ppi_mean_ci(alpha=0.1) over
    # the normal quantile, for the first 60 labels. Its standard deviations divide by n.
    y, f, rest = HUMAN[:60], JUDGE[:60], JUDGE[60:]
    value, weight, se = published(y, f, rest)
    assert (value, weight) == (pytest.approx(0.60203148, abs=5e-9), pytest.approx(0.9416087190253352))
    parts = (weight * rest).var() / 400, (y - weight * f).var() / 60
    assert math.sqrt(sum(parts)) == pytest.approx(0.03330872, abs=5e-9)
    found = ppi_mean(y, f, rest, bounds=None)
    others = [published(*(np.delete(x, i) for x in (y, f)), rest)[1] for i in range(60)]
    assert found.value == pytest.approx((y - others * (f - rest.mean())).mean(), rel=1e-9)
    assert found.value == pytest.approx(value, abs=0.1 * se)
    assert se < found.se < 1.03 * se
    assert found.method == "PPI++ (judge weight 0.943)"


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
        value, _, se = published(*data)
        plain.append(value - student(0.05, n - 1) * se > p)
    assert np.max(np.mean(errors, axis=0)) <= 0.05 + 0.027  # three standard errors of 600
    if p != 0.98:
        assert np.mean(naive) > 0.3  # a biased judge alone
    if n == 30:
        assert np.mean(plain) > 0.12  # Student's interval, near the ceiling


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


def scored(rng, shape, *, p, kind):
    """Human scores of mean p on the scale of 0 to 1: right or wrong, or five grades; alike within the last axis."""
    alike = np.sqrt(0.5) * (rng.standard_normal(shape)[..., None] + rng.standard_normal((*shape, len(p))))
    if kind == "binary":
        return (alike < ndtri(p)).astype(float)
    centre = [brentq(lambda c, q=q: expit(c + 1.2 * NORMAL).mean() - q, -9, 9) for q in p]
    return rng.binomial(4, expit(centre + 1.2 * alike)) / 4


NORMAL = ndtri((np.arange(4000) + 0.5) / 4000)
JUDGES = {
    "good": ((0.97, 0.95), (0.0, 0.12)),
    "bad": ((0.95, 0.5), (0.3, 0.25)),
    "flatterer": ((1.0, 0.93), (0.1, 0.08)),
}


def judged(rng, y, *, kind, judge):
    """What a judge says of human scores: some are wrong; or grades that are raised, and rounded."""
    (sensitivity, specificity), (raised, noise) = JUDGES[judge]
    if kind == "binary":
        return (rng.random(y.shape) < np.where(y == 1, sensitivity, 1 - specificity)).astype(float)
    return np.round(np.clip(y + raised * (1 - y) + noise * rng.standard_normal(y.shape), 0, 1) * 4) / 4


def missed(rng, *, runs, n, most, p, kind, judge, paired):
    """Return the shares of runs whose limits at 5 % lie above and below the truth, of ours and of Student's.

    A pair is a candidate whose judge is this one, and a baseline that is better and has a good judge.
    """
    shares = (round(p - DROPS[p], 2), p) if paired else (p,)
    y = scored(rng, (runs, most), p=shares, kind=kind)
    f = np.stack(
        [judged(rng, y[..., arm], kind=kind, judge="good" if arm else judge) for arm in range(len(shares))], -1
    )
    truth, bounds = (shares[0] - p, (-1, 1)) if paired else (p, (0, 1))
    y, f = (scores[..., 0] - scores[..., 1] if paired else scores[..., 0] for scores in (y, f))
    counts = np.zeros((2, 2))
    for labels, scores in zip(y, f, strict=True):
        limits = PpiLimits.of(labels[:n], scores[:n], scores[n:], bounds=bounds).at(0.05)
        value, _, se = published(labels[:n], scores[:n], scores[n:])
        half = student(0.05, n - 1) * se
        for place, (low, high) in enumerate((limits, (value - half, value + half))):
            counts[place] += low > truth + 1e-12, high < truth - 1e-12
    return counts / runs


DROPS = {0.5: 0.1, 0.8: 0.1, 0.95: 0.05}


def test_a_small_simulation_of_what_is_missed():
    rng = np.random.default_rng(8)
    ours, students = missed(rng, runs=300, n=40, most=200, p=0.95, kind="grade", judge="bad", paired=False)
    assert ours.max() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    assert students[0] > 0.08


@pytest.mark.slow
@pytest.mark.parametrize(("n", "times"), [(30, 5), (40, 5), (100, 5), (400, 5), (30, 40), (100, 40)])
def test_no_limit_misses_more_than_declared(n, times):
    """Two arms and one, right or wrong and grades, near the ceiling and far, judges that err rarely, often, one way."""
    rng, runs, found = np.random.default_rng((n, times)), 1000, []
    for kind in ("binary", "grade"):
        for judge in JUDGES:
            for p in DROPS:
                for paired in (False, True):
                    case = {"p": p, "kind": kind, "judge": judge, "paired": paired}
                    found.append(missed(rng, runs=runs, n=n, most=n * times, **case))
                    print(n, times, case, found[-1].ravel())
    ours, students = (np.array(found)[:, place] for place in (0, 1))
    assert ours.max() <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / runs)  # the most of 72, of which each may err by chance
    assert ours.mean(axis=0).max() <= 0.05
    assert students.max() > 0.1  # the positive control
