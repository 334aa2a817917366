"""Counting of occurrences against its slow twin."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles
from headgate.decide.cells import Cell
from headgate.decide.metric import metric_of
from headgate.decide.tolerance import occurrences
from made_runs import SCORERS, made

SCORES = st.sampled_from([0.0, 1.0, math.nan])


@settings(max_examples=60)
@given(
    st.lists(st.lists(SCORES, min_size=3, max_size=3), min_size=1, max_size=8),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([1, 4, 900]),
)
def test_occurrences_are_those_of_the_twin(scores, wanted, of, first_seed):
    wanted = min(wanted, of)
    run, metric = made({("p", "m"): np.array(scores)}, first_seed=first_seed), metric_of("correct", SCORERS)
    found = occurrences(run, metric=metric, cell=Cell(prompt="p", model="m"), reproduce=f"{wanted}/{of}")
    rows = [
        (item, seed, None if math.isnan(value) else value)
        for item, values in enumerate(scores)
        for seed, value in enumerate(values, 1)
    ]
    assert (found.seen, found.possible) == oracles.occurrences(rows, best=1.0, wanted=wanted, of=of)
    assert (found.items, found.jobs) == (len(scores), len(scores) * of)
