"""What Gemini answers: candidates, or why there are none."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.execute.answer import Answer, Failure
from headgate.execute.error_body import MALFORMED
from headgate.execute.providers.canonical import TokenLogprob, encode_logprobs, encode_tool_calls
from headgate.execute.providers.chat import joined
from headgate.execute.retry import classify
from headgate.execute.transport import Response

_STOPS: Final = {"STOP": "stop", "MAX_TOKENS": "length"}
_FILTERED: Final = frozenset(
    {
        "BLOCKLIST",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "IMAGE_SAFETY",
        "MODEL_ARMOR",
        "PROHIBITED_CONTENT",
        "RECITATION",
        "SAFETY",
        "SPII",
    }
)
"""Why a filter stopped an answer; the other reasons are the model's own mistakes, and stand as they are."""


class _Call(msgspec.Struct, gc=False):
    id: str | None = None
    name: str | None = None
    args: Any = {}


class _Part(msgspec.Struct, gc=False, rename="camel"):
    text: str | None = None
    thought: bool = False
    function_call: _Call | None = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] = []


class _Token(msgspec.Struct, gc=False, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Tokens(msgspec.Struct, gc=False):
    candidates: list[_Token] = []


class _Logprobs(msgspec.Struct, gc=False, rename="camel"):
    chosen_candidates: list[_Token] = []
    top_candidates: list[_Tokens] = []


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    logprobs_result: _Logprobs | None = None


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class _Usage(msgspec.Struct, gc=False, rename="camel"):
    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None

    @property
    def inputs(self) -> int | None:
        """All input tokens, those from the cache among them."""
        if self.prompt_token_count is None:
            return None
        return self.prompt_token_count + (self.tool_use_prompt_token_count or 0)

    @property
    def outputs(self) -> int | None:
        """All output tokens, thoughts among them; what is 0 is left out by the server."""
        if self.prompt_token_count is None:
            return None
        return (self.candidates_token_count or 0) + (self.thoughts_token_count or 0)


class _Reply(msgspec.Struct, gc=False, rename="camel"):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    model_version: str | None = None
    response_id: str | None = None


_NO_USAGE: Final = _Usage()
_DECODER: Final = msgspec.json.Decoder(_Reply)


def decode(response: Response) -> Answer | Failure:
    """Decode a response into an answer, or classify why it is none.

    A prompt or an answer that a filter stopped is an answer, with status ``refused``.
    """
    if response.status != 200:
        return classify(response.status, response.headers, response.body)
    try:
        reply = _DECODER.decode(response.body)
    except MALFORMED:
        return classify(200, response.headers, response.body)
    if reply.candidates:
        return _answer(reply, reply.candidates[0], response)
    blocked = reply.prompt_feedback
    if blocked is not None and blocked.block_reason is not None:
        said = _Candidate(finish_reason="SAFETY", finish_message=blocked.block_reason_message or blocked.block_reason)
        return _answer(reply, said, response)
    failure = classify(200, response.headers, response.body)
    told = failure.kind != "bad_response" or b'"error"' in response.body[:2000]
    return failure if told else Failure(kind="bad_response", message="the response has no candidates", http_status=200)


def _answer(reply: _Reply, candidate: _Candidate, response: Response) -> Answer:
    usage, parts = reply.usage_metadata or _NO_USAGE, candidate.content.parts if candidate.content else []
    calls = [part.function_call for part in parts if part.function_call is not None]
    refused = candidate.finish_reason in _FILTERED
    text = joined(part.text for part in parts if not part.thought)
    return Answer(
        status="refused" if refused else "ok",
        output=text if text or not refused else candidate.finish_message or candidate.finish_reason,
        http_status=200,
        reasoning=joined(part.text for part in parts if part.thought),
        stop_reason=_stop_reason(candidate.finish_reason, calls=bool(calls)),
        input_tokens=usage.inputs,
        output_tokens=usage.outputs,
        cached_tokens=usage.cached_content_token_count,
        reasoning_tokens=usage.thoughts_token_count,
        ttfb_s=response.ttfb_s,
        served_model=reply.model_version,
        request_id=reply.response_id,
        tool_calls_json=encode_tool_calls((call.id, call.name, call.args) for call in calls),
        logprobs_json=_logprobs(candidate.logprobs_result),
    )


def _stop_reason(reason: str | None, *, calls: bool) -> str | None:
    if reason in _FILTERED:
        return "content_filter"
    if calls and reason in {"STOP", "FUNCTION_CALL"}:  # Google says the one, servers that imitate it the other
        return "tool_calls"
    return None if reason is None else _STOPS.get(reason, reason.lower())


def _logprobs(result: _Logprobs | None) -> str | None:
    if result is None:
        return None
    tops = [[TokenLogprob(top.token, top.log_probability) for top in each.candidates] for each in result.top_candidates]
    return encode_logprobs(
        TokenLogprob(token.token, token.log_probability, tops[place] if place < len(tops) else [])
        for place, token in enumerate(result.chosen_candidates)
    )
