"""The order of the items and the looks: fixed by the plan alone, clusters whole, slices even."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.decide.looks import LookPlan, plan_looks


@given(st.integers(1, 1200), st.text(min_size=1, max_size=8), st.sampled_from([0.05, 0.01, 0.0005]))
def test_every_item_is_asked_once_and_the_last_look_sees_all(n, key, alpha):
    plan = plan_looks(n, key=key, alpha=alpha)
    assert sorted(plan.order.tolist()) == list(range(n))
    assert plan.sizes[-1] == n
    assert list(plan.sizes) == sorted(set(plan.sizes))
    again = plan_looks(n, key=key, alpha=alpha)
    assert again.digest == plan.digest
    assert all(level > 0 for level in plan.levels(alpha))


def test_another_plan_has_another_order():
    one, other = plan_looks(300, key="a", alpha=0.05), plan_looks(300, key="b", alpha=0.05)
    assert one.digest != other.digest
    assert one.sizes == other.sizes


@given(st.integers(0, 2**16))
def test_clusters_stay_whole(seed):
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, 40, 300)
    plan = plan_looks(300, key=str(seed), cluster=cluster, alpha=0.05)
    for size in plan.sizes:
        inside, outside = plan.order[:size], plan.order[size:]
        assert not set(cluster[inside]) & set(cluster[outside])
    ordered = cluster[plan.order]
    assert np.count_nonzero(np.diff(ordered)) + 1 == np.unique(cluster).size


def test_slices_come_evenly():
    topic = np.repeat([0, 1, 2], [60, 240, 100])
    plan = plan_looks(400, key="k", strata=[topic], alpha=0.05)
    for size in plan.sizes:
        share = np.bincount(topic[plan.order[:size]], minlength=3) / size
        assert share == pytest.approx([0.15, 0.6, 0.25], abs=0.03)
    plain = plan_looks(400, key="k", alpha=0.05)
    spread = [np.bincount(topic[plain.order[:80]], minlength=3) / 80]
    assert np.abs(np.array(spread) - [0.15, 0.6, 0.25]).max() > 0.03  # the control: chance alone does not


def test_the_order_is_chance():
    """Each item is as likely to be asked early as late."""
    places = np.array([np.argsort(plan_looks(40, key=str(key), alpha=0.05).order) for key in range(400)])
    assert places.mean(axis=0) == pytest.approx(np.full(40, 19.5), abs=2.6)  # four and a half standard errors
    assert LookPlan(order=np.arange(4), sizes=(2, 4)).fractions == [0.5, 1.0]
