"""The row of a job, and its times."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execute_jobs import FakeEndpoint, a_job
from headgate.execute import queue
from headgate.execute.answer import Answer, Failure
from headgate.execute.queue import Ticket
from headgate.execute.rows import make_result
from headgate.prices import declared_price
from headgate.suite.price import Price

ANSWER = Answer(output="4")
ENDPOINT = FakeEndpoint(lambda job, number: ANSWER)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(queue.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(queue.time, "time_ns", lambda: 1_700_000_000_000_000_000)
    return now


def test_an_answer_is_timed(clock: list[float]):
    ticket = Ticket.of(a_job())
    ticket.start(1000.5, 1001.0)
    ticket.end(1003.25)
    result = make_result(ticket, ANSWER, ENDPOINT, generation=1, now=1003.25)
    assert (result.latency_s, result.queued_s, result.attempts) == (2.25, 1.0, 1)
    assert result.started_at == 1_700_000_000_000_000
    assert result.finished_at == 1_700_000_003_250_000


def test_a_failure_is_timed_too(clock: list[float]):
    ticket = Ticket.of(a_job())
    ticket.start(1000.0, 1000.0)
    ticket.end(1000.5)
    failure = Failure(kind="transient", message="boom", http_status=500, ttfb_s=0.25)
    result = make_result(ticket, failure, ENDPOINT, generation=1, now=1000.5)
    assert (result.latency_s, result.ttfb_s, result.queued_s) == (0.5, 0.25, 0.0)
    assert (result.status, result.error_kind, result.error_message) == ("error", "transient", "boom")
    assert (result.http_status, result.output, result.stop_reason) == (500, None, None)


def test_latency_is_of_the_last_attempt_and_queueing_is_what_no_attempt_took(clock: list[float]):
    ticket = Ticket.of(a_job())
    for sent, ended in ((1001.0, 1004.0), (1010.0, 1010.5)):
        ticket.start(sent, sent)
        ticket.end(ended)
    result = make_result(ticket, ANSWER, ENDPOINT, generation=1, now=1010.5)
    assert (result.latency_s, result.queued_s, result.attempts) == (0.5, 7.0, 2)


def test_a_wall_clock_that_is_set_back_ends_no_job_before_it_began(monkeypatch: pytest.MonkeyPatch):
    ticket = Ticket.of(a_job())
    monkeypatch.setattr(queue.time, "time_ns", lambda: 0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    ticket.start(ticket.pulled, ticket.pulled + 1)
    ticket.end(ticket.pulled + 3)
    result = make_result(ticket, ANSWER, ENDPOINT, generation=1, now=ticket.pulled + 3)
    assert result.finished_at - result.started_at == pytest.approx(3e6, abs=1)
    assert result.started_at > 1_600_000_000_000_000


def test_a_refusal_keeps_its_status_and_the_rest_of_the_answer(clock: list[float]):
    answer = Answer(output="I cannot", status="refused", http_status=400, stop_reason="content_filter")
    result = make_result(Ticket.of(a_job(3)), answer, ENDPOINT, generation=2, now=1000.0)
    assert (result.status, result.error_kind, result.error_message) == ("refused", None, None)
    assert (result.output, result.http_status, result.stop_reason) == ("I cannot", 400, "content_filter")
    assert (result.item_id, result.job_id, result.generation) == ("i3", f"{3:032x}", 2)


PRICE = declared_price(Price(input_usd_per_million=1.0, output_usd_per_million=10.0, cached_input_usd_per_million=0.5))


def test_an_answer_has_its_cost_and_a_failure_none(clock: list[float]):
    told = Answer(output="4", input_tokens=1000, output_tokens=100, cached_tokens=200, cache_write_tokens=300)
    result = make_result(Ticket.of(a_job()), told, ENDPOINT, price=PRICE, generation=1, now=1000.0)
    assert result.cost_usd == pytest.approx((800 + 200 * 0.5 + 100 * 10) / 1e6)
    assert (result.cached_tokens, result.cache_write_tokens) == (200, 300)
    failure = Failure(kind="timeout", message="late")
    for outcome, price in ((told, None), (ANSWER, PRICE), (failure, PRICE)):
        assert (
            make_result(Ticket.of(a_job()), outcome, ENDPOINT, price=price, generation=1, now=1000.0).cost_usd is None
        )


@pytest.mark.parametrize(("seconds", "stored"), [(0.01234567, 0.0123), (0.00005, 0.0001), (0.0, 0.0), (12.0, 12.0)])
def test_times_have_four_digits(seconds: float, stored: float, clock: list[float]):
    answer = Answer(output="4", ttfb_s=seconds)
    assert make_result(Ticket.of(a_job()), answer, ENDPOINT, generation=1, now=1000.0).ttfb_s == stored


STEPS = st.lists(st.tuples(*[st.floats(0, 100)] * 4), max_size=6)


@given(steps=STEPS)
def test_all_of_a_jobs_time_is_accounted_for(steps: list[tuple[float, float, float, float]]):
    """What is neither an attempt nor held back counts against the deadline, with the attempts."""
    with pytest.MonkeyPatch.context() as patch:
        now = [1000.0]
        patch.setattr(queue.time, "monotonic", lambda: now[0])
        ticket = Ticket.of(a_job())
        attempting = held = other = 0.0
        for parked, backoff, lane, took in steps:
            ticket.park()
            now[0] += parked
            ticket.unpark()
            now[0] += backoff
            ticket.start(now[0], now[0] + lane)
            now[0] += lane + took
            ticket.end(now[0])
            attempting, held, other = attempting + took, held + parked + lane, other + backoff
        result = make_result(ticket, ANSWER, ENDPOINT, generation=1, now=now[0])
        assert result.queued_s == pytest.approx(held + other, abs=1e-3)
        assert ticket.busy_s == pytest.approx(attempting)
        assert ticket.left_s(now[0]) == pytest.approx(ticket.job.model.deadline_s - attempting - other)
        assert (result.latency_s, result.attempts) == (
            pytest.approx(steps[-1][3] if steps else 0.0, abs=1e-4),
            len(steps),
        )
