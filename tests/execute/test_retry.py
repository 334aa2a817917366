"""What is tried again, and when."""

from __future__ import annotations

import email.utils
import random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.execute.answer import Failure, FailureKind
from headgate.execute.retry import ACTIONS, classify, classify_transport, delay, retry_after
from headgate.execute.transport import TransportError, TransportKind


def test_the_table_covers_every_kind():
    assert set(ACTIONS) == set(get_args(FailureKind))


def test_what_the_table_does():
    retried = {kind for kind, action in ACTIONS.items() if action.retry}
    assert retried == {"rate_limit", "overloaded", "transient", "timeout", "connect", "dropped", "bad_response"}
    assert {kind for kind, action in ACTIONS.items() if action.dead} == {"quota", "auth", "not_found"}
    assert {kind for kind, action in ACTIONS.items() if not action.charged} == {"rate_limit"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "Mon, 99 Foo 2026"}, None),
        ({"retry-after": "Thu, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers) == seconds


def test_retry_after_as_a_date():
    now = 1_700_000_000.0
    assert retry_after({"retry-after": email.utils.formatdate(now + 30, usegmt=True)}, now=now) == 30.0
    assert retry_after({"retry-after": email.utils.formatdate(now - 30, usegmt=True)}, now=now) is None


@given(text=st.text(max_size=40))
def test_any_retry_after_gives_seconds_or_none(text: str):
    seconds = retry_after({"retry-after": text})
    assert seconds is None or 0 < seconds < float("inf")


def test_a_retry_after_beyond_a_quarter_of_an_hour_is_a_quota():
    assert classify(429, {"retry-after": "900"}, b"").kind == "rate_limit"
    assert classify(429, {"retry-after": "86400"}, b"").kind == "quota"
    assert classify(503, {"retry-after": "86400"}, b"").kind == "quota"


@pytest.mark.parametrize(
    ("status", "says", "kind"),
    [
        (400, "true", "transient"),
        (401, "true", "transient"),
        (429, "true", "rate_limit"),
        (500, "false", "invalid_request"),
        (429, "false", "invalid_request"),
        (404, "false", "not_found"),
        (500, "perhaps", "transient"),
    ],
)
def test_x_should_retry_overrules(status: int, says: str, kind: str):
    assert classify(status, {"x-should-retry": says}, b"").kind == kind


@pytest.mark.parametrize("kind", get_args(TransportKind))
def test_transport_errors(kind: TransportKind):
    failure = classify_transport(TransportError(kind, "why" * 1000))
    assert failure.kind == ("connect" if kind in {"connect", "dns", "tls"} else kind)
    assert (failure.message, failure.http_status) == (("why" * 1000)[:500], None)


KINDS = st.sampled_from([kind for kind, action in ACTIONS.items() if action.retry])


@given(kind=KINDS, attempt=st.integers(1, 10_000), seed=st.integers(0, 2**32))
def test_full_jitter_stays_below_its_ceiling(kind: FailureKind, attempt: int, seed: int):
    ceiling = min(60.0, ACTIONS[kind].base_s * 2.0 ** min(attempt - 1, 100))
    assert 0 <= delay(Failure(kind=kind, message=""), attempt, rng=random.Random(seed)) <= ceiling


@given(kind=KINDS, hint=st.floats(1e-3, 1e4), attempt=st.integers(1, 100), seed=st.integers(0, 2**32))
def test_the_delay_is_never_below_the_hint_and_little_above(kind: FailureKind, hint: float, attempt: int, seed: int):
    wait = delay(Failure(kind=kind, message="", retry_after_s=hint), attempt, rng=random.Random(seed))
    assert hint <= wait <= hint + min(0.1 * hint + 0.25, 5)


def test_the_jitter_is_full():
    rng = random.Random(1)
    waits = sorted(delay(Failure(kind="overloaded", message=""), 3, rng=rng) for _ in range(2000))
    assert waits[0] < 0.1
    assert waits[-1] > 7.9
    assert abs(sum(waits) / len(waits) - 4.0) < 4 * 8 / 12**0.5 / 2000**0.5
