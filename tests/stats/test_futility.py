"""Stopping because nothing can be decided any more."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.decide.paired import decide_items
from headgate.errors import StatisticsError
from headgate.stats.futility import conditional_power, curtailed, futile

PAIRS = [(0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)]


@pytest.mark.parametrize("drift", [None, 0.0, 3.0])
@pytest.mark.parametrize(("z", "fraction"), [(1.0, 0.5), (-0.5, 0.8), (2.5, 0.2)])
def test_conditional_power_is_how_often_the_last_look_rejects(z, fraction, drift):
    true = z / math.sqrt(fraction) if drift is None else drift
    rest = np.random.default_rng(31).normal(true * (1 - fraction), math.sqrt(1 - fraction), 200_000)
    share = (z * math.sqrt(fraction) + rest >= 1.74).mean()
    assert conditional_power(z, fraction, boundary=1.74, drift=drift) == pytest.approx(share, abs=0.0045)


def test_a_boundary_that_is_reached_on_the_way_is_a_coin():
    # The current trend leads exactly to the boundary.
    assert conditional_power(1.96 * math.sqrt(0.5), 0.5, boundary=1.96) == pytest.approx(0.5)


def test_nothing_is_futile_early_or_while_one_side_may_decide():
    assert futile(0.7, 0.3, 0.8, boundary=1.74)
    assert futile(0.3, 0.7, 0.8, boundary=1.74)
    assert not futile(0.7, 0.3, 0.49, boundary=5.0)
    assert futile(0.7, 0.3, 0.5, boundary=5.0)
    assert not futile(1.6, 0.0, 0.8, boundary=1.74)
    assert not futile(0.0, 1.6, 0.8, boundary=1.74)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: conditional_power(math.nan, 0.5, boundary=1.7), "z is nan"),
        (lambda: conditional_power(1.0, 0.5, boundary=math.inf), "boundary is inf"),
        (lambda: conditional_power(1.0, 0.5, boundary=1.7, drift=math.nan), "drift is nan"),
        (lambda: conditional_power(1.0, 1.0, boundary=1.7), "fraction 1.0 is not between 0 and 1"),
        (lambda: futile(1.0, math.nan, 0.5, boundary=1.7), "z is nan"),
        (lambda: curtailed([1.0], -1, outcomes=[0, 1], decides=len), "n_left is -1"),
        (lambda: curtailed([1.0], 1, outcomes=[], decides=len), r"outcomes of shape \(0,\)"),
        (lambda: curtailed([1.0], 1, outcomes=PAIRS, decides=len), "do not continue items of shape"),
        (lambda: curtailed([1.0, math.nan], 1, outcomes=[0, 1], decides=len), r"seen\[1\] is nan"),
        (lambda: curtailed([1.0], 1, outcomes=[0, math.inf], decides=len), r"outcomes\[1\] is inf"),
    ],
)
def test_what_is_no_number_is_refused(call, words):
    with pytest.raises(StatisticsError, match=words):
        call()


def gate(items):
    n = len(items)
    arms = items[:, 0].copy(), items[:, 1].copy()
    rule = {"margin": 0.1, "alpha": 0.05, "cluster": None, "bounds": (0.0, 1.0), "n_rows": (n, n)}
    return decide_items(*arms, **rule).verdict


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(PAIRS), min_size=20, max_size=60), st.integers(0, 3))
def test_a_curtailed_verdict_is_that_of_every_completion(seen, n_left):
    every = {gate(np.array([*seen, *rest])) for rest in product(PAIRS, repeat=n_left)}
    found = curtailed(seen, n_left, outcomes=PAIRS, decides=gate)
    assert found == (every.pop() if len(every) == 1 else None)


def test_both_ends_of_a_verdict():
    perfect, broken, mixed = np.ones((60, 2)), np.tile([0.0, 1.0], (60, 1)), np.array(PAIRS * 15)
    assert curtailed(perfect, 2, outcomes=PAIRS, decides=gate) == "pass"
    assert curtailed(perfect, 8, outcomes=PAIRS, decides=gate) is None
    assert curtailed(broken, 8, outcomes=PAIRS, decides=gate) == "fail"
    assert curtailed(mixed, 1, outcomes=PAIRS, decides=gate) == "inconclusive"


def test_the_extreme_completions_are_not_enough():
    def flat(items):
        return bool(items.std() < 0.1)

    assert flat(np.zeros(2))
    assert flat(np.ones(2))
    assert curtailed([], 2, outcomes=[0.0, 1.0], decides=flat) is None


def test_too_many_completions_leave_the_verdict_open():
    asked = []
    assert curtailed([], 10**6, outcomes=PAIRS[0], decides=asked.append) is None
    assert not asked
