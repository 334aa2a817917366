"""Gates replayed on stored scores."""

from __future__ import annotations

import numpy as np
import pytest

import simulated
from headgate.decide import replay_paired
from headgate.errors import StatisticsError
from headgate.stats import paired_interval


def scores(rng, *, n, p, seeds):
    difficulty = rng.standard_normal(n)
    return [simulated.item_scores(rng, n=n, p=p, seeds=seeds, difficulty=difficulty) for _ in range(2)]


def test_the_declared_rate_is_measured_on_stored_data():
    c, b = scores(np.random.default_rng(1), n=300, p=0.85, seeds=1)
    replay = replay_paired(c, b, margin=0.05, runs=600)
    assert 0.01 <= replay.false_block <= 0.075
    at = {round(outcomes.drop, 3): outcomes for outcomes in replay.curve}
    assert list(at) == [0, 0.025, 0.05, 0.075, 0.1]
    assert at[0.05].passes <= 0.08  # what is worse by the margin
    assert [outcomes.fails for outcomes in replay.curve] == sorted(outcomes.fails for outcomes in replay.curve)
    assert at[0.1].fails > 0.9
    for outcomes in replay.curve:
        assert outcomes.passes + outcomes.fails + outcomes.inconclusive == pytest.approx(1)


def test_a_real_difference_in_the_stored_run_is_no_false_block():
    """The arms are swapped at random: a run in which the candidate was far worse still replays as equal arms."""
    rng = np.random.default_rng(2)
    b = (rng.random(200) < 0.9).astype(float)
    c = np.where(np.arange(200) < 30, 0.0, b)
    assert paired_interval(c, b).high < 0
    assert replay_paired(c, b, margin=0.05, drops=[], runs=400).false_block <= 0.08


def test_clusters_are_drawn_whole():
    rng = np.random.default_rng(3)
    values, cluster = simulated.clustered(rng, clusters=40, skew=0.5)
    other = np.clip(values + 0.05 * rng.standard_normal(40)[cluster], 0, 1)
    replay = replay_paired(values, other, margin=0.05, cluster=cluster, drops=[0.05], runs=300)
    assert replay.false_block <= 0.09


def test_the_same_seed_is_the_same_replay_and_scores_shrink_where_they_are_no_counts():
    rng = np.random.default_rng(4)
    c, b = rng.beta(8, 2, (2, 80))
    one, same, other = (replay_paired(c, b, margin=0.05, runs=100, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert one.curve[-1].fails > one.curve[0].fails


def test_seeds_are_kept():
    c, b = scores(np.random.default_rng(5), n=100, p=0.9, seeds=5)
    rows = [np.repeat(np.rint(arm * 5), 5) > np.tile(np.arange(5), 100) for arm in (c, b)]
    replay = replay_paired(*rows, items=np.repeat(np.arange(100), 5), margin=0.05, drops=[0.1], runs=200)
    assert replay.false_block <= 0.1
    assert replay.curve[1].fails > 0.9


def test_more_than_there_is_cannot_be_lost():
    with pytest.raises(StatisticsError, match=r"drops\[1\] is 0.6"):
        replay_paired([1, 0, 1, 0], [1, 0, 0, 1], margin=0.1, drops=[0.1, 0.6])
