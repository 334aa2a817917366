"""Halving finds where a condition starts to hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.stats.bisection import bisect


@given(st.floats(-1, 1))
def test_the_place_is_found(place):
    assert bisect(lambda x: x >= place, -1.0, 1.0) == pytest.approx(place, abs=2e-13)
