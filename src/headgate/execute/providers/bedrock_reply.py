"""What Bedrock's ``Converse`` answers: a message, or an error by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from headgate.execute.answer import Answer, Failure, FailureKind
from headgate.execute.error_body import MALFORMED
from headgate.execute.providers.canonical import encode_tool_calls
from headgate.execute.providers.chat import joined
from headgate.execute.retry import classify, with_request
from headgate.execute.transport import Response

_STOPS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "model_context_window_exceeded": "context_length",
}
_KINDS: Final[Mapping[str, FailureKind]] = {
    "ExpiredTokenException": "auth",
    "IncompleteSignature": "auth",
    "IncompleteSignatureException": "auth",
    "InvalidSignatureException": "auth",
    "ModelNotReadyException": "overloaded",  # 429, and no limit: it is being loaded
    "NotAuthorized": "auth",
    "RequestExpired": "auth",
    "ServiceQuotaExceededException": "rate_limit",
    "ThrottlingException": "rate_limit",
    "UnrecognizedClientException": "auth",
}
_NO_MODEL: Final = ("model identifier is invalid", "on-demand throughput isn")


class _ToolUse(msgspec.Struct, gc=False, rename="camel"):
    tool_use_id: str | None = None
    name: str | None = None
    input: Any = {}


class _ReasoningText(msgspec.Struct, gc=False):
    text: str | None = None


class _Reasoning(msgspec.Struct, gc=False, rename="camel"):
    reasoning_text: _ReasoningText | None = None


class _Block(msgspec.Struct, gc=False, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None


class _Said(msgspec.Struct, gc=False):
    content: list[_Block] = []


class _Output(msgspec.Struct, gc=False):
    message: _Said


class _Usage(msgspec.Struct, gc=False, rename="camel"):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None


class _Router(msgspec.Struct, gc=False, rename="camel"):
    invoked_model_id: str | None = None


class _Trace(msgspec.Struct, gc=False, rename="camel"):
    prompt_router: _Router | None = None


class _Reply(msgspec.Struct, gc=False, rename="camel"):
    output: _Output
    stop_reason: str | None = None
    usage: _Usage | None = None
    trace: _Trace | None = None


class _Error(msgspec.Struct, gc=False):
    name: str | None = msgspec.field(default=None, name="__type")
    capital: str | None = msgspec.field(default=None, name="Message")


_NO_USAGE: Final = _Usage()
_DECODER: Final = msgspec.json.Decoder(_Reply)
_ERRORS: Final = msgspec.json.Decoder(_Error)


def decode(response: Response) -> Answer | Failure:
    """Decode a response into an answer, or classify why it is none.

    An answer that a filter or a guardrail stopped is an answer, with status ``refused``.
    """
    request_id = response.headers.get("x-amzn-requestid")
    if response.status != 200:
        return with_request(_failure(response), request_id)
    try:
        reply = _DECODER.decode(response.body)
    except MALFORMED:
        return with_request(classify(200, response.headers, response.body), request_id)
    return _answer(reply, response, request_id)


def _failure(response: Response) -> Failure:
    """Classify an error by its name, which stands in a header or in the body; else by its status."""
    status, body = response.status, response.body
    try:
        said = _ERRORS.decode(body)
    except MALFORMED:
        said = _Error()
    name = (response.headers.get("x-amzn-errortype") or said.name or "").partition(":")[0].rpartition("#")[2]
    if said.capital is not None:
        body = msgspec.json.encode({"message": said.capital})
    failure = classify(status, response.headers, body)
    kind, message = _KINDS.get(name, failure.kind), failure.message
    if kind == "rate_limit" and "per day" in message:
        kind = "quota"
    if status == 400 and any(text in message for text in _NO_MODEL):
        kind = "not_found"
    return msgspec.structs.replace(failure, kind=kind, message=f"{name}: {message}" if name else message)


def _answer(reply: _Reply, response: Response, request_id: str | None) -> Answer:
    usage, blocks = reply.usage or _NO_USAGE, reply.output.message.content
    cached, written = usage.cache_read_input_tokens, usage.cache_write_input_tokens
    stop_reason = _STOPS.get(reply.stop_reason or "", reply.stop_reason)
    router = reply.trace.prompt_router if reply.trace else None
    uses = [block.tool_use for block in blocks if block.tool_use is not None]
    return Answer(
        status="refused" if stop_reason == "content_filter" else "ok",
        output=joined(block.text for block in blocks),
        http_status=200,
        reasoning=joined(_reasoning(block) for block in blocks),
        stop_reason=stop_reason,
        input_tokens=None if usage.input_tokens is None else usage.input_tokens + (cached or 0) + (written or 0),
        output_tokens=usage.output_tokens,
        cached_tokens=cached,
        cache_write_tokens=written,
        ttfb_s=response.ttfb_s,
        served_model=router.invoked_model_id if router else None,
        request_id=request_id,
        tool_calls_json=encode_tool_calls((use.tool_use_id, use.name, use.input) for use in uses),
    )


def _reasoning(block: _Block) -> str | None:
    said = block.reasoning_content
    return said.reasoning_text.text if said is not None and said.reasoning_text is not None else None
