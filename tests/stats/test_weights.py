"""Weights of a resample follow from its number, and from nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from headgate.errors import StatisticsError
from headgate.stats.weights import SharedWeights, content_order, fitting_block

B = 20_000


def lag_one(replicates):
    centred = replicates - replicates.mean()
    return float((centred[1:] @ centred[:-1]) / (centred @ centred))


def test_every_unit_is_drawn_as_often_as_the_others():
    weights = SharedWeights(n_units=50, seed=3).rows(0, B)
    assert (weights.sum(axis=1) == 50).all()
    assert reference.chisquare(weights.sum(axis=0)).pvalue > 1e-3
    assert weights.var(axis=0).mean() == pytest.approx(1 - 1 / 50, rel=0.01)
    counts = np.bincount(weights.ravel().astype(int), minlength=8)[:6] / weights.size
    assert counts == pytest.approx(reference.binom.pmf(np.arange(6), 50, 1 / 50), abs=0.0045)


@pytest.mark.parametrize("n", [51, 1000])
def test_streams_do_not_overlap(n):
    values = np.random.default_rng(4).normal(size=n)
    means = SharedWeights(n_units=n, seed=5).apply(lambda block: block @ values / n, start=0, stop=B)
    assert means.std() == pytest.approx(values.std() / math.sqrt(n), rel=0.03)
    assert abs(lag_one(means)) < 4 / math.sqrt(B)
    for other in (SharedWeights(n_units=n, seed=6), SharedWeights(n_units=n, seed=5, stage=1)):
        again = other.apply(lambda block: block @ values / n, start=0, stop=B)
        assert abs(np.corrcoef(means, again)[0, 1]) < 4 / math.sqrt(B)


def test_streams_that_overlap_would_be_seen():
    values, stream = np.random.default_rng(4).normal(size=1000), np.random.default_rng(5).integers(0, 1000, B + 1000)
    means = np.array([values[stream[b : b + 1000]].mean() for b in range(B)])  # each the one before, moved by a draw
    assert abs(lag_one(means)) > 4 / math.sqrt(B)


@given(st.integers(1, 60), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**40))
def test_a_resample_is_made_alone(n, seed, stage, first):
    weights = SharedWeights(n_units=n, seed=seed, stage=stage)
    assert np.array_equal(weights.rows(first, first + 3)[2], weights.rows(first + 2, first + 3)[0])


def test_draws_stay_what_they_are():
    """Raw words of Philox are fixed by its definition; a change here changes every stored limit."""
    weights = SharedWeights(n_units=7, seed=2**40, stage=3).rows(10, 12)
    assert weights.astype(int).tolist() == [[0, 2, 2, 0, 1, 1, 1], [0, 1, 2, 1, 3, 0, 0]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_units", 0), ("n_units", 2**31), ("seed", -1), ("stage", 2**64), ("block", 0), ("threads", 0)],
)
def test_numbers_out_of_range_are_refused(name, value):
    with pytest.raises(StatisticsError, match=f"{name} {value}"):
        SharedWeights(**({"n_units": 5} | {name: value}))


@given(st.integers(1, 10**8))
def test_blocks_fit(width):
    rows = fitting_block(width)
    assert rows in {8, 16, 32, 64, 128, 256}
    assert rows == 8 or rows * width * 8 <= 4 << 20
    assert rows == 256 or 2 * rows * width * 8 > 4 << 20


@given(
    st.lists(st.tuples(st.sampled_from([0.0, -0.0, 1.5, 2.0]), st.floats(-5, 5)), min_size=1, max_size=12), st.data()
)
def test_the_order_follows_from_the_rows(rows, data):
    columns = np.array(rows)
    order = np.array(data.draw(st.permutations(range(len(rows)))))
    one, other = columns[content_order(columns, None)], columns[order][content_order(columns[order], None)]
    assert np.array_equal(one, other)


def test_zeros_are_zeros():
    signed = np.array([[-0.0, 1.0], [2.0, -0.0], [3.0, 3.0], [-0.0, -0.0]])
    assert content_order(signed, None).tolist() == content_order(np.abs(signed), None).tolist()


@given(st.lists(st.integers(0, 4), min_size=2, max_size=20), st.data())
def test_the_order_of_units_knows_no_names(labels, data):
    _, unit = np.unique(labels, return_inverse=True)
    columns = np.arange(2.0 * len(labels)).reshape(-1, 2)
    names = np.array(data.draw(st.permutations(range(int(unit.max()) + 1))))
    order = np.array(data.draw(st.permutations(range(len(labels)))))
    renamed = names[unit]
    expected = [names[found] for found in content_order(columns, unit)]
    assert content_order(columns[order], renamed[order]).tolist() == expected
