"""Which failures are tried again, how long to wait, and which end an endpoint: one table for every provider."""

from __future__ import annotations

import email.utils
import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from headgate.execute.answer import Answer, Failure, FailureKind
from headgate.execute.error_body import ErrorBody, read_error
from headgate.execute.transport import TransportError

_MAX_DELAY_S: Final = 60.0
_MAX_PARK_S: Final = 900.0
_MESSAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a kind of failure leads to.

    Attributes
    ----------
    retry : bool
        Try again.
    charged : bool
        The attempt counts against ``max_attempts``; a rate limit does not, the job's deadline bounds it.
    dead : bool
        The endpoint cannot serve this run: stop, and leave the jobs to be resumed.
    base_s : float
        First backoff in seconds.
    billed : bool
        The provider may have done the work, and bill it, though nothing came back that says so.
    """

    retry: bool = False
    charged: bool = True
    dead: bool = False
    base_s: float = 0.5
    billed: bool = False


ACTIONS: Final[Mapping[FailureKind, Action]] = {
    "rate_limit": Action(retry=True, charged=False, base_s=1.0),
    "overloaded": Action(retry=True, base_s=2.0),
    "transient": Action(retry=True, billed=True),
    "timeout": Action(retry=True, billed=True),
    "connect": Action(retry=True),
    "dropped": Action(retry=True, billed=True),
    "bad_response": Action(retry=True, billed=True),
    "quota": Action(dead=True),
    "auth": Action(dead=True),
    "not_found": Action(dead=True),
    "context_length": Action(),
    "invalid_request": Action(),
    "callable": Action(billed=True),
}

_WORDS: Final[Mapping[str, FailureKind]] = {
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "enforced_spend_limit_reached": "quota",
    "contract_spend_limit_reached": "quota",
    "linked_organization_spend_limit_reached": "quota",
    "billing_error": "quota",
    "PerDay": "quota",
    "API_KEY_INVALID": "auth",
    "context_length_exceeded": "context_length",
    "string_above_max_length": "context_length",
    "exceed_context_size_error": "context_length",
}
"""What a body says that goes before the status; the first that it says. Whole words only: Together calls a rate
``credit_limit``, and Gemini's text speaks of a quota for every limit."""

_STATUS: Final[Mapping[int, FailureKind]] = {
    401: "auth",
    403: "auth",
    404: "not_found",
    408: "transient",
    409: "transient",
    413: "invalid_request",
    424: "transient",
    425: "transient",
    429: "rate_limit",
    498: "overloaded",
    503: "overloaded",
    529: "overloaded",
}
_TOO_LONG: Final = (
    "maximum context length",
    "prompt is too long",
    "exceeds the maximum number of tokens",  # Gemini
    "too long for requested model",  # Bedrock
    "exceeds the context length",  # Ollama
    "exceeds the available context size",
)
_SPENT: Final = ("You have reached your specified API usage", "You have reached your specified workspace API usage")
"""How Anthropic begins the 400 of a spend limit that the user set; documented, and nothing else tells it."""


def classify(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Classify a response that is no answer, from its status, headers and an OpenAI-shaped error body.

    Parameters
    ----------
    status : int
        HTTP status; a 200 whose body says ``error`` is classified by that error's code.
    headers : mapping
        Names in lower case.
    body : bytes
        Anything; what is no JSON is quoted.

    Examples
    --------
    >>> classify(429, {"retry-after": "2"}, b"{}").retry_after_s
    2.0
    >>> classify(429, {}, b'{"error": {"code": "insufficient_quota", "message": "pay"}}').kind
    'quota'
    """
    said = read_error(body)
    if status == 200 and said.code is not None and said.code.isdigit() and 400 <= int(said.code) <= 599:
        status = int(said.code)
    kind = _overruled(_kind(status, headers, said), headers)
    wait = retry_after(headers) or said.retry_after_s
    if wait is not None and wait > _MAX_PARK_S and kind in {"rate_limit", "overloaded"}:
        kind = "quota"  # a day's quota is spent: the run ends, and resumes when it is back
    message = said.message or (f"status {status}" if not body else body.decode("utf-8", "replace"))
    return Failure(kind=kind, message=message[:_MESSAGE], http_status=status, retry_after_s=wait)


def classify_transport(error: TransportError) -> Failure:
    """Classify an attempt that got no complete response."""
    kind: FailureKind = "connect" if error.kind in {"connect", "dns", "tls"} else error.kind  # type: ignore[assignment]
    return Failure(kind=kind, message=str(error)[:_MESSAGE])


def with_request(failure: Failure, request_id: str | None) -> Failure:
    """Return a failure whose message tells the id that the provider's support asks for.

    Examples
    --------
    >>> with_request(Failure(kind="transient", message="boom"), "req_1").message
    'boom (request req_1)'
    """
    if request_id is None:
        return failure
    return msgspec.structs.replace(failure, message=f"{failure.message} (request {request_id})")


def may_be_billed(outcome: Answer | Failure) -> bool:
    """Tell whether an attempt without usage may cost something: not where it got an error status, or went nowhere.

    Examples
    --------
    >>> may_be_billed(Failure(kind="timeout", message="")), may_be_billed(classify(500, {}, b""))
    (True, False)
    """
    if outcome.http_status is not None and outcome.http_status >= 400:
        return False
    return isinstance(outcome, Answer) or ACTIONS[outcome.kind].billed


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Return the seconds that the server asks to wait; None where it does not say, or says nonsense.

    Examples
    --------
    >>> retry_after({"retry-after-ms": "250"}), retry_after({"retry-after": "soon"})
    (0.25, None)
    """
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0), ("x-amz-retry-after", 1e-3)):
        seconds = _number(headers.get(name), scale)
        if seconds is not None:
            return seconds
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    if date is None:
        return None
    try:
        seconds = email.utils.mktime_tz(date) - (time.time() if now is None else now)
    except (OverflowError, ValueError):
        return None
    return seconds if seconds > 0 else None


def delay(failure: Failure, attempt: int, *, rng: random.Random) -> float:
    """Return the seconds to wait before the next attempt: full jitter, never below what the server asks.

    Parameters
    ----------
    attempt : int
        The attempt that failed, from 1.

    References
    ----------
    Full jitter: Brooker (2015), "Exponential Backoff And Jitter", AWS Architecture Blog.
    """
    if failure.retry_after_s is not None:
        return failure.retry_after_s + rng.uniform(0, min(0.1 * failure.retry_after_s + 0.25, 5))
    ceiling = min(_MAX_DELAY_S, ACTIONS[failure.kind].base_s * 2.0 ** min(attempt - 1, 10))
    return rng.uniform(0, ceiling)


def _kind(status: int, headers: Mapping[str, str], said: ErrorBody) -> FailureKind:
    message = said.message or ""
    for word, kind in _WORDS.items():
        if word in said.words:
            return kind
    if status == 402 or (status == 403 and "limit_source" in said.words):
        # OpenRouter: with a time to wait, too much is in flight for the credits; without, they are spent.
        return "rate_limit" if "retry-after" in headers else "quota"
    if (status == 429 and "per-day" in message) or (status == 400 and message.startswith(_SPENT)):
        return "quota"
    if status == 503 and "RESOURCE_EXHAUSTED" in said.words:
        return "rate_limit"  # Gemini
    if status in {400, 413} and any(text in message for text in _TOO_LONG):
        return "context_length"
    if status < 500 and status not in _STATUS and "rate_limit_exceeded" in said.words:
        return "rate_limit"
    return _STATUS.get(status) or _by_hundreds(status)


def _by_hundreds(status: int) -> FailureKind:
    if status >= 500:
        return "transient"
    return "bad_response" if status < 300 else "invalid_request"


def _overruled(kind: FailureKind, headers: Mapping[str, str]) -> FailureKind:
    """Heed ``x-should-retry``, where a server sends it; a limit that does not pass is a quota."""
    says = headers.get("x-should-retry")
    if says == "true" and not ACTIONS[kind].retry:
        return "transient"
    if says == "false" and ACTIONS[kind].retry:
        return "quota" if kind == "rate_limit" else "invalid_request"
    return kind


def _number(text: str | None, scale: float) -> float | None:
    try:
        seconds = float(text or "") * scale
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
