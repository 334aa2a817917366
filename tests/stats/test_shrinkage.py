"""Shrinkage: values of another package, what it is for, and what it must not change."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import StatisticsError
from headgate.stats.shrinkage import shrink

SLICES = st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 1)), min_size=1, max_size=15)


def test_the_common_mean_and_spread_are_those_of_another_package():
    # statsmodels 0.15.0: combine_effects(y, se**2, method_re="iterated", atol=1e-14, maxiter=1000), which is Paule
    # and Mandel's: tau2 and mean_effect_re
    found = shrink([0.62, 0.81, 0.55, 0.9, 0.72, 0.4], [0.05, 0.08, 0.1, 0.04, 0.06, 0.12])
    assert (found.sd**2, found.mean) == pytest.approx((0.02509009461964971, 0.6840970684076285), rel=1e-9)
    kept = found.sd**2 / (found.sd**2 + 0.05**2)
    assert found.values[0] == pytest.approx(found.mean + kept * (0.62 - found.mean))
    total = sum(1 / (found.sd**2 + se**2) for se in (0.05, 0.08, 0.1, 0.04, 0.06, 0.12))
    assert found.ses[0] == pytest.approx(math.sqrt(0.05**2 * kept + (1 - kept) ** 2 / total))


def test_shrunk_values_lie_nearer_to_the_truth():
    rng = np.random.default_rng(1)
    raw = shrunk = winner = 0.0
    for _ in range(500):
        truth = 0.8 + 0.05 * rng.standard_normal(20)
        ses = rng.uniform(0.03, 0.15, 20)
        seen = truth + ses * rng.standard_normal(20)
        found = shrink(seen, ses).values
        raw += ((seen - truth) ** 2).mean()
        shrunk += ((found - truth) ** 2).mean()
        winner += found[found.argmax()] - truth[found.argmax()]
        assert seen.max() >= found.max()
    assert shrunk < 0.5 * raw
    assert abs(winner / 500) < 0.01


def test_many_slices_are_covered_on_average():
    rng, covered = np.random.default_rng(2), []
    for _ in range(300):
        truth, ses = 0.1 * rng.standard_normal(60), rng.uniform(0.03, 0.15, 60)
        found = shrink(truth + ses * rng.standard_normal(60), ses)
        covered.append(np.abs(found.values - truth) <= 1.96 * found.ses)
    assert 0.93 < np.mean(covered) < 0.96


@given(SLICES, st.randoms(), st.floats(-10, 10))
def test_order_and_shift_say_nothing(slices, random, shift):
    x, ses = np.array(slices).T
    one = shrink(x, ses)
    order = np.array(random.sample(range(x.size), x.size))
    again = shrink(x[order] + shift, ses[order])
    assert again.values - shift == pytest.approx(one.values[order], abs=1e-6)
    assert ((one.values >= min(x.min(), one.mean) - 1e-9) & (one.values <= max(x.max(), one.mean) + 1e-9)).all()
    assert (np.abs(one.values - one.mean) <= np.abs(x - one.mean) + 1e-9).all()
    assert (one.ses <= ses + 1e-12).all()


def test_degenerate_slices():
    alone = shrink([0.7], [0.1])
    assert (alone.values[0], alone.sd) == (0.7, 0)
    same = shrink([0.7, 0.7, 0.71], [0.1, 0.2, 0.1])
    assert same.sd == 0
    assert same.values == pytest.approx([same.mean] * 3)
    assert same.ses == pytest.approx([(1 / 0.1**2 + 1 / 0.2**2 + 1 / 0.1**2) ** -0.5] * 3)
    with pytest.raises(StatisticsError, match=r"ses\[1\] is 0; a standard error is above 0"):
        shrink([0.7, 1.0], [0.1, 0.0])
    with pytest.raises(StatisticsError, match=r"estimates\[0\] is nan"):
        shrink([math.nan], [0.1])
    with pytest.raises(StatisticsError, match="estimates has 2 values and ses 1"):
        shrink([0.7, 1.0], [0.1])
