"""How many attempts may be repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.execute.retry_budget import RetryBudget


def made(concurrency: int = 0) -> tuple[RetryBudget, list[float]]:
    now = [100.0]
    return RetryBudget(concurrency, clock=lambda: now[0]), now


def drawn(budget: RetryBudget, *, cost: float = 1.0, most: int = 10_000) -> int:
    """Return how many retries can be paid now."""
    return next(count for count in range(most) if not budget.draw(cost))


@pytest.mark.parametrize(("concurrency", "retries"), [(0, 50), (64, 62), (512, 152)])
def test_it_starts_full(concurrency: int, retries: int):
    budget, _ = made(concurrency)
    assert drawn(budget) == retries


def test_a_timeout_costs_two():
    budget, _ = made()
    assert drawn(budget, cost=2.0) == 25


@pytest.mark.parametrize(("answers", "retries"), [(4, 0), (5, 1), (101, 20), (251, 50), (10_000, 50)])
def test_five_answers_pay_for_a_retry(answers: int, retries: int):
    budget, _ = made()
    drawn(budget)
    for _ in range(answers):
        budget.succeeded()
    assert drawn(budget) == retries


@pytest.mark.parametrize(("seconds", "retries"), [(0.9, 0), (1.0, 1), (7.5, 7), (50, 50), (1e9, 50)])
def test_a_second_pays_for_a_retry(seconds: float, retries: int):
    budget, now = made()
    drawn(budget)
    now[0] += seconds
    assert drawn(budget) == retries


def test_what_cannot_be_paid_costs_nothing():
    budget, now = made()
    assert drawn(budget) == 50
    now[0] += 1.5
    assert not budget.draw(2.0)
    assert budget.draw(1.0)


STEPS = st.lists(
    st.one_of(
        st.just("answer"),
        st.tuples(st.just("wait"), st.floats(0, 20)),
        st.tuples(st.just("draw"), st.sampled_from([1.0, 2.0])),
    ),
    max_size=300,
)


@given(steps=STEPS, concurrency=st.integers(0, 50), first=st.integers(0, 70))
def test_what_is_paid_was_there_and_what_is_refused_was_not(steps: list, concurrency: int, first: int):
    """A slow twin keeps every deposit; the balance is never below 0 and never above what it starts with."""
    budget, now = made(concurrency)
    balance = most = 50 + 0.2 * concurrency
    for step in [*[("draw", 1.0)] * first, *steps]:
        if step == "answer":
            budget.succeeded()
            balance = min(most, balance + 0.2)
        elif step[0] == "wait":
            now[0] += step[1]
            balance = min(most, balance + step[1])
        elif abs(balance - step[1]) < 1e-6:  # a question of rounding
            balance -= step[1] if budget.draw(step[1]) else 0
        else:
            assert budget.draw(step[1]) == (balance > step[1])
            balance -= step[1] if balance > step[1] else 0
        assert -1e-6 <= balance <= most


@pytest.mark.parametrize("ratio", [1, 20])
def test_in_the_long_run_retries_are_a_fifth_of_the_answers_and_one_a_second(ratio: int):
    budget, now = made()
    paid = 0
    for _ in range(20_000):
        budget.succeeded()
        paid += sum(budget.draw(1.0) for _ in range(ratio))
        now[0] += 0.001
    assert paid == pytest.approx(50 + 0.2 * 20_000 + 1.0 * 20, abs=2)
