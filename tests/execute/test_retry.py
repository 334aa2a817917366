"""What is tried again, and when."""

from __future__ import annotations

import email.utils
import random
from typing import Any, get_args

import msgspec
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
        (429, "false", "quota"),  # a limit that does not pass
        (404, "false", "not_found"),
        (500, "perhaps", "transient"),
    ],
)
def test_x_should_retry_overrules(status: int, says: str, kind: str):
    assert classify(status, {"x-should-retry": says}, b"").kind == kind


def openai(code: Any, named: str | None = None, message: str = "why", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": named, "param": None, "code": code, **more}}


def anthropic(
    named: str, error_code: str | None = None, message: str = "This request would exceed your account's limit."
) -> dict[str, Any]:
    details = None if error_code is None else {"error_visibility": "user_facing", "error_code": error_code}
    error = {"details": details, "type": named, "message": message}
    return {"type": "error", "error": error, "request_id": "req_011"}


def gemini(
    *quota_ids: str,
    code: int = 429,
    delay: str | None = None,
    reason: str | None = None,
    status: str = "RESOURCE_EXHAUSTED",
    message: str = "You exceeded your current quota, please check your plan and billing details.",
) -> dict[str, Any]:
    """Return an error of Google's kind, its details in the order in which they come."""
    details: list[dict[str, Any]] = []
    google = "type.googleapis.com/google.rpc."
    if reason is not None:
        service = {"service": "generativelanguage.googleapis.com"}
        info = {"@type": google + "ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": service}
        details.append(info)
    if quota_ids:
        metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
        violations = [{"quotaMetric": metric, "quotaId": each, "quotaDimensions": {"model": "m"}} for each in quota_ids]
        details.append({"@type": google + "QuotaFailure", "violations": violations})
    details.append({"@type": google + "Help", "links": [{"description": "quotas", "url": "https://ai.google.dev"}]})
    if delay is not None:
        details.append({"@type": google + "RetryInfo", "retryDelay": delay})
    return {"error": {"code": code, "message": message, "status": status, "details": details}}


def openrouter(code: int, message: str = "why", **metadata: Any) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, "metadata": metadata}, "user_id": "u"}


PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
PER_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
SPENT = "You have reached your specified"
WAITS = {"retry-after": "3"}

SAID = [
    # what is never tried again, although some of it says 429
    (429, openai("insufficient_quota", "insufficient_quota"), {}, "quota"),
    (429, openai(None, "insufficient_quota"), {}, "quota"),
    (429, openai("insufficient_quota"), WAITS, "quota"),
    (429, openai("billing_hard_limit_reached", "invalid_request_error"), {}, "quota"),
    (403, openai("billing_not_active"), {}, "quota"),
    (429, anthropic("rate_limit_error", "enforced_spend_limit_reached"), {}, "quota"),
    (429, anthropic("rate_limit_error", "contract_spend_limit_reached"), {}, "quota"),
    (429, anthropic("rate_limit_error", "linked_organization_spend_limit_reached"), {}, "quota"),
    (402, anthropic("billing_error"), {}, "quota"),
    (400, anthropic("invalid_request_error", None, f"{SPENT} API usage limits. You will regain access"), {}, "quota"),
    (400, anthropic("invalid_request_error", None, f"{SPENT} workspace API usage limits."), {}, "quota"),
    (429, gemini(PER_DAY), {}, "quota"),
    (429, gemini(PER_MINUTE, PER_DAY, delay="45.837906927s"), {}, "quota"),
    (402, gemini(code=402), {}, "quota"),
    (429, openrouter(429, "Rate limit exceeded: free-models-per-day. Add 10 credits"), {}, "quota"),
    (402, openrouter(402), {}, "quota"),
    (403, openrouter(403, "Key limit exceeded", limit_source="key"), {}, "quota"),
    (
        402,
        {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "x"}},
        {},
        "quota",
    ),  # DeepSeek
    (402, {"detail": "Payment required"}, {}, "quota"),
    # limits that pass
    (429, openai("rate_limit_exceeded", "tokens"), WAITS, "rate_limit"),
    (429, openai("429", None, "Requests have exceeded the call rate limit of your tier"), WAITS, "rate_limit"),  # Azure
    (429, anthropic("rate_limit_error"), WAITS, "rate_limit"),
    (429, anthropic("rate_limit_error", "ramp_limit_exceeded"), WAITS, "rate_limit"),
    (429, gemini(PER_MINUTE, delay="45.837906927s"), {}, "rate_limit"),
    (429, gemini(), {}, "rate_limit"),
    (503, gemini(code=503), {}, "rate_limit"),  # a quota, whatever the status says
    (429, openai(None, "credit_limit", "You have reached the rate limit"), {}, "rate_limit"),  # Together
    (402, openrouter(402, limit_source="openrouter_in_flight_budget"), WAITS, "rate_limit"),
    (429, openrouter(429, "Rate limit exceeded: free-models-per-min."), {}, "rate_limit"),
    (200, openai("rate_limit_exceeded"), {}, "rate_limit"),
    (429, b"", {}, "rate_limit"),
    # keys, names
    (401, openai("invalid_api_key", "invalid_request_error"), {}, "auth"),
    (401, anthropic("authentication_error"), {}, "auth"),
    (403, anthropic("permission_error"), {}, "auth"),
    (400, gemini(code=400, reason="API_KEY_INVALID"), {}, "auth"),
    (403, openrouter(403), {}, "auth"),
    (404, openai("DeploymentNotFound"), {}, "not_found"),
    (404, anthropic("not_found_error"), {}, "not_found"),
    # requests
    (400, openai("context_length_exceeded", "invalid_request_error"), {}, "context_length"),
    (400, openai(400, "BadRequestError", "This model's maximum context length is 4096 tokens."), {}, "context_length"),
    (400, openai(400, "exceed_context_size_error"), {}, "context_length"),  # llama.cpp
    (
        400,
        gemini(
            code=400,
            status="INVALID_ARGUMENT",
            message="The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        {},
        "context_length",
    ),
    (
        400,
        anthropic("invalid_request_error", None, "prompt is too long: 210000 tokens > 200000 maximum"),
        {},
        "context_length",
    ),
    (400, {"error": "the input length exceeds the context length"}, {}, "context_length"),  # Ollama
    (413, openai("rate_limit_exceeded", "tokens", "Request too large"), {}, "invalid_request"),  # Groq: never fits
    (400, anthropic("invalid_request_error"), {}, "invalid_request"),
    (413, anthropic("request_too_large"), {}, "invalid_request"),
    (422, {"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, {}, "invalid_request"),
    (400, openai("400", None, "the PerDay of insufficient_quota"), {}, "invalid_request"),  # words in a text are text
    # servers
    (500, anthropic("api_error"), {}, "transient"),
    (504, anthropic("timeout_error"), {}, "transient"),
    (529, anthropic("overloaded_error"), {}, "overloaded"),
    (503, gemini(code=503, status="UNAVAILABLE", message="The model is overloaded."), {}, "overloaded"),
    (503, openai("rate_limit_exceeded"), {}, "overloaded"),
    *((status, b"", {}, "transient") for status in (408, 409, 424, 425, 500, 502, 504, 507, 520, 522, 524, 599)),
    (200, b"{}", {}, "bad_response"),
    (301, b"", {}, "invalid_request"),
    (418, b"", {}, "invalid_request"),
]


@pytest.mark.parametrize(("status", "body", "headers", "kind"), SAID)
def test_what_servers_say(status: int, body: Any, headers: dict[str, str], kind: str):
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    failure = classify(status, headers, encoded)
    assert (failure.kind, failure.http_status) == (kind, status)
    if headers:
        assert failure.retry_after_s == 3.0
    if isinstance(body, dict) and "error" in body:
        said = body["error"]
        assert failure.message == (said if isinstance(said, str) else said["message"])
        assert classify(status, headers, msgspec.json.encode([body])) == failure  # Gemini gives a list


def test_an_error_inside_a_200_has_the_status_of_its_code():
    failure = classify(200, {}, msgspec.json.encode(openrouter(502, "Provider returned error")))
    assert (failure.kind, failure.http_status, failure.message) == ("transient", 502, "Provider returned error")


@pytest.mark.parametrize(
    ("delay", "headers", "seconds"),
    [
        ("45.837906927s", {}, 45.837906927),
        ("7s", {}, 7.0),
        ("7s", {"retry-after": "2"}, 2.0),
        ("7s", {"retry-after": "soon"}, 7.0),
        ("0s", {}, None),
        ("-1s", {}, None),
        ("infs", {}, None),
        ("soon", {}, None),
        ("", {}, None),
    ],
)
def test_the_time_to_wait_that_stands_in_the_body(delay: str, headers: dict[str, str], seconds: float | None):
    assert classify(429, headers, msgspec.json.encode(gemini(PER_MINUTE, delay=delay))).retry_after_s == seconds


def test_hours_in_the_body_are_a_quota():
    assert classify(429, {}, msgspec.json.encode(gemini(PER_MINUTE, delay="3600s"))).kind == "quota"


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
