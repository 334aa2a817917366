"""What one attempt brings: an answer of the model, or a classified failure."""

from __future__ import annotations

from typing import Literal

import msgspec

from headgate.execute.quota import Quota

FailureKind = Literal[
    "rate_limit",
    "overloaded",
    "transient",
    "timeout",
    "connect",
    "dropped",
    "bad_response",
    "quota",
    "auth",
    "not_found",
    "context_length",
    "invalid_request",
    "callable",
]


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the model said; the fields are those of :class:`headgate.result.Result`.

    Attributes
    ----------
    input_tokens : int, optional
        All of them: ``cached_tokens`` and ``cache_write_tokens`` are among them.
    metadata_json : str, optional
        What a gateway says of the server behind it, as JSON.
    fallback : bool
        Whether the gateway turned to another server than the first.
    quota : Quota, optional
        What the server says of its limits.
    """

    status: Literal["ok", "refused"] = "ok"
    output: str | None
    http_status: int | None = None
    reasoning: str | None = None
    stop_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    ttfb_s: float | None = None
    served_model: str | None = None
    request_id: str | None = None
    system_fingerprint: str | None = None
    tool_calls_json: str | None = None
    logprobs_json: str | None = None
    metadata_json: str | None = None
    fallback: bool = False
    quota: Quota | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why an attempt brought no answer.

    Attributes
    ----------
    kind : str
        Decides what happens next; see :mod:`headgate.execute.retry`.
    retry_after_s : float, optional
        What the server asked for.
    """

    kind: FailureKind
    message: str
    http_status: int | None = None
    retry_after_s: float | None = None
    ttfb_s: float | None = None
    quota: Quota | None = None
