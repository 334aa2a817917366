"""What Anthropic's API answers: a message of several blocks."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.execute.answer import Answer, Failure
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
    "model_context_window_exceeded": "context_length",
}


class _Block(msgspec.Struct, gc=False):
    type: str
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = {}


class _StopDetails(msgspec.Struct, gc=False):
    explanation: str | None = None


class _OutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Reply(msgspec.Struct, gc=False):
    content: list[_Block]
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None
    usage: _Usage | None = None


_NO_USAGE: Final = _Usage()
_DECODER: Final = msgspec.json.Decoder(_Reply)


def decode(response: Response) -> Answer | Failure:
    """Decode a response into an answer, or classify why it is none; a refusal is an answer."""
    request_id = response.headers.get("request-id")
    if response.status != 200:
        return with_request(classify(response.status, response.headers, response.body), request_id)
    try:
        reply = _DECODER.decode(response.body)
    except MALFORMED:
        return with_request(classify(200, response.headers, response.body), request_id)
    return _answer(reply, response, request_id)


def _answer(reply: _Reply, response: Response, request_id: str | None) -> Answer:
    usage, refused = reply.usage or _NO_USAGE, reply.stop_reason == "refusal"
    written, cached = usage.cache_creation_input_tokens, usage.cache_read_input_tokens
    explained = reply.stop_details.explanation if reply.stop_details else None
    calls = [(block.id, block.name, block.input) for block in reply.content if block.type == "tool_use"]
    return Answer(
        status="refused" if refused else "ok",
        output=joined(block.text for block in reply.content) or (explained if refused else None),
        http_status=200,
        reasoning=joined(block.thinking for block in reply.content),
        stop_reason=_STOPS.get(reply.stop_reason or "", reply.stop_reason),
        input_tokens=None if usage.input_tokens is None else usage.input_tokens + (written or 0) + (cached or 0),
        output_tokens=usage.output_tokens,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else None,
        ttfb_s=response.ttfb_s,
        served_model=reply.model,
        request_id=request_id or reply.id,
        tool_calls_json=encode_tool_calls(calls),
    )
