"""One dimension of a quota, against what its formulas promise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.execute.bucket import Bucket

AMOUNTS = st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(0.0, 0.5)), min_size=1, max_size=60)


def tokens(*, rate: float, burst: float = 10) -> Bucket:
    """Count input tokens, with a burst of so many."""
    return Bucket(rate=rate, burst_s=(burst - 1) / rate, weights=(0, 1, 0))


@given(rate=st.floats(0.1, 1000), burst=st.floats(1, 100), steps=AMOUNTS)
def test_it_never_admits_more_than_rate_and_burst(rate: float, burst: float, steps: list[tuple[float, float]]):
    bucket, now = tokens(rate=rate, burst=burst), 0.0
    taken: list[tuple[float, float]] = []
    for share, pause in steps:
        amount = min(share, burst)
        now = bucket.ready_at(amount, 0, now + pause)
        bucket.commit(amount, 0, now)
        taken.append((now, amount))
    for first, (start, _) in enumerate(taken):
        admitted = 0.0
        for time, amount in taken[first:]:
            admitted += amount
            assert admitted <= rate * (time - start) + burst + 1e-6 * (1 + admitted)


@given(rate=st.floats(0.1, 100), burst=st.floats(1, 50), amount=st.floats(0.5, 200))
def test_an_oversize_amount_runs_when_full_and_leaves_a_debt(rate: float, burst: float, amount: float):
    bucket = tokens(rate=rate, burst=burst)
    assert bucket.ready_at(amount, 0, 5.0) == 5.0  # full
    bucket.commit(amount, 0, 5.0)
    full_again = 5.0 + amount / rate
    assert bucket.ready_at(burst, 0, 5.0) == pytest.approx(full_again)
    assert bucket.ready_at(2 * burst, 0, 5.0) == pytest.approx(full_again)


@given(rate=st.floats(1, 100), used=st.floats(0, 30), reserved=st.floats(0, 30))
def test_settling_is_as_if_the_right_amount_had_been_taken(rate: float, used: float, reserved: float):
    one, two = tokens(rate=rate), tokens(rate=rate)
    one.commit(reserved, 0, 0.0)
    one.settle(used - reserved, 0, 0.0)
    two.commit(used, 0, 0.0)
    assert one.ready_at(10, 0, 0.0) == pytest.approx(two.ready_at(10, 0, 0.0), abs=1e-9)


def test_a_late_refund_gives_no_more_than_the_burst():
    bucket = tokens(rate=10)
    bucket.commit(10, 0, 0.0)
    bucket.settle(-10, 0, 100.0)
    bucket.commit(10, 0, 100.0)
    assert bucket.ready_at(1, 0, 100.0) == pytest.approx(100.1)


@pytest.mark.parametrize(("weights", "amount"), [((1, 0, 0), 1), ((0, 1, 1), 30), ((0, 1, 0), 10), ((0, 0, 1), 20)])
def test_what_a_request_weighs(weights: tuple[float, float, float], amount: float):
    bucket = Bucket(rate=1, burst_s=0, weights=weights)  # a burst of one
    bucket.commit(10, 20, 0.0)
    assert bucket.ready_at(10, 20, 0.0) == amount
    bucket.settle(5, -20, 0.0)
    assert bucket.ready_at(10, 20, 0.0) == amount + 5 * weights[1] - 20 * weights[2]


@given(rate=st.floats(0.1, 100), other=st.floats(0.1, 100), owed=st.floats(0, 500))
def test_a_new_rate_keeps_the_amount_that_is_owed(rate: float, other: float, owed: float):
    bucket = tokens(rate=rate, burst=1)
    bucket.commit(owed, 0, 3.0)
    bucket.retune(other, now=3.0)
    assert bucket.ready_at(1e9, 0, 3.0) == pytest.approx(3.0 + owed / other)
    assert bucket.burst == pytest.approx(1)
    bucket.retune(rate, now=3.0)
    assert bucket.ready_at(1e9, 0, 3.0) == pytest.approx(3.0 + owed / rate)


def test_a_new_rate_keeps_the_seconds_of_the_burst():
    bucket = Bucket(rate=100, burst_s=0.5, weights=(0, 1, 0))
    bucket.retune(10, now=0.0)
    bucket.commit(6, 0, 0.0)
    assert bucket.ready_at(0.5, 0, 0.0) == pytest.approx(0.05)


@given(
    rate=st.floats(0.1, 100), taken=st.floats(0, 30), remaining=st.floats(0, 30), most_s=st.floats(0, 100),
    amount=st.floats(0, 30),
)  # fmt: skip
def test_draining_never_lets_in_sooner(rate: float, taken: float, remaining: float, most_s: float, amount: float):
    bucket, twin = tokens(rate=rate), tokens(rate=rate)
    for one in (bucket, twin):
        one.commit(taken, 0, 0.0)
    bucket.drain(remaining, now=0.0, most_s=most_s)
    assert bucket.ready_at(amount, 0, 0.0) >= twin.ready_at(amount, 0, 0.0)
    assert bucket.ready_at(amount, 0, 0.0) <= max(twin.ready_at(amount, 0, 0.0), min(10 / rate, most_s)) + 1e-9
    if amount <= remaining:
        assert bucket.ready_at(amount, 0, 0.0) <= twin.ready_at(amount, 0, 0.0) + 1e-9


def test_draining_leaves_what_remains():
    bucket = tokens(rate=2)
    bucket.drain(4, now=0.0, most_s=60)
    assert bucket.ready_at(4, 0, 0.0) == pytest.approx(0)
    assert bucket.ready_at(10, 0, 0.0) == pytest.approx(3)
    bucket.drain(0, now=0.0, most_s=4)  # it is full again after 4 s, the server says
    assert bucket.ready_at(10, 0, 0.0) == pytest.approx(4)
