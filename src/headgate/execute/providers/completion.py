"""What the response to a chat completion says, in the shapes that servers of this format give it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.execute.answer import Answer, Failure, FailureKind
from headgate.execute.error_body import MALFORMED, read_error
from headgate.execute.providers.canonical import STOPS, TokenLogprob, encode_logprobs, encode_tool_calls
from headgate.execute.retry import classify
from headgate.execute.transport import Response

_NULL: Final = msgspec.Raw(b"null")
_FILTERED: Final = frozenset({"content_filter", "flagged_input"})
"""What an error says where a filter stopped the prompt; OpenRouter does so with 403, which else is a refused key."""

_BROKEN_OFF: Final[dict[str | None, FailureKind]] = {
    "insufficient_system_resource": "overloaded",  # DeepSeek
    "abort": "transient",  # vLLM
    "error": "transient",  # Mistral, OpenRouter
}
"""Reasons to end that are no answer: the server gave up."""


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: Any = None  # JSON in a text; some servers send the object itself
    input: str | None = None  # a custom tool's


class _ToolCall(msgspec.Struct, gc=False):
    id: str | None = None
    function: _Function | None = None
    custom: _Function | None = None


class _Thought(msgspec.Struct, gc=False):
    text: str | None = None


class _Part(msgspec.Struct, gc=False):
    text: str | None = None
    thinking: msgspec.Raw = _NULL  # Mistral


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: Any = None
    error: msgspec.Raw = _NULL


class _InputDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek


class _Completion(msgspec.Struct, gc=False):
    choices: list[_Choice]
    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = _NULL


class _Token(msgspec.Struct, gc=False):
    token: str
    logprob: float
    top_logprobs: list[TokenLogprob] | None = None


class _Logprobs(msgspec.Struct, gc=False):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None
    tokens: list[str] | None = None  # Together, as OpenAI's completions of old
    token_logprobs: list[float | None] | None = None


_NO_USAGE: Final = _Usage()
_DECODER: Final = msgspec.json.Decoder(_Completion)
_THOUGHTS: Final = msgspec.json.Decoder(str | list[_Thought] | None)


def decode(response: Response) -> Answer | Failure:
    """Decode a response into an answer, or classify why it is none.

    A refusal or a filtered answer is an answer (status ``refused``); an error inside a 200, a body without choices, and
    anything that is not the expected JSON is a failure.
    """
    if response.status != 200:
        return filtered(response) or classify(response.status, response.headers, response.body)
    try:
        completion = _DECODER.decode(response.body)
    except MALFORMED as error:
        return filtered(response) or malformed(response, error)
    if completion.error is not _NULL and _given(completion.error):
        return filtered(response) or classify(200, response.headers, response.body)
    if not completion.choices:
        return Failure(kind="bad_response", message="the response has no choices", http_status=200)
    choice = completion.choices[0]
    if choice.error is not _NULL and _given(choice.error):  # OpenRouter: the provider behind it broke off
        return classify(200, response.headers, b'{"error":' + bytes(choice.error) + b"}")
    if choice.message is None:
        return Failure(kind="bad_response", message="the response has no message", http_status=200)
    if (kind := _BROKEN_OFF.get(choice.finish_reason)) is not None:
        said = f"the server broke off: finish_reason {choice.finish_reason}"
        return Failure(kind=kind, message=said, http_status=200)
    return _answer(completion, choice, choice.message, response)


def malformed(response: Response, error: Exception) -> Failure:
    """Return the failure of a 200 whose body is not what it should be."""
    failure = classify(200, response.headers, response.body)
    if failure.kind != "bad_response" or b'"error"' in response.body[:2000]:
        return failure
    start = response.body[:80].decode("utf-8", "replace")
    return Failure(kind="bad_response", message=f"{error}; the body starts {start!r}", http_status=200)


def filtered(response: Response) -> Answer | None:
    """Return a refusal where an error says that a filter stopped the prompt."""
    if response.status not in {200, 400, 403}:
        return None
    said = read_error(response.body)
    if _FILTERED.isdisjoint(said.words):
        return None
    return Answer(
        status="refused",
        output=said.message,
        http_status=response.status,
        stop_reason="content_filter",
        ttfb_s=response.ttfb_s,
        request_id=response.headers.get("x-request-id"),
    )


def _given(value: msgspec.Raw) -> bool:
    return bytes(value) != b"null"


def _answer(completion: _Completion, choice: _Choice, message: _Message, response: Response) -> Answer:
    usage, reason = completion.usage or _NO_USAGE, choice.finish_reason
    refused = bool(message.refusal) or reason == "content_filter"
    inputs, outputs = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = usage.prompt_cache_hit_tokens
    if cached is None and inputs is not None:
        cached = inputs.cached_tokens
    if message.refusal and reason != "content_filter":
        reason = "refusal"
    text, thoughts = _content(message.content) if isinstance(message.content, list) else (message.content, None)
    # With sixteen keywords Python makes a dictionary of them first, which costs as much as all else here.
    answer = Answer(
        status="refused" if refused else "ok",
        output=message.refusal or text,
        http_status=200,
        reasoning=message.reasoning_content or message.reasoning or thoughts,
        stop_reason=reason if reason is None else STOPS.get(reason, reason),
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_tokens=cached,
        cache_write_tokens=None if inputs is None else inputs.cache_write_tokens,
        reasoning_tokens=None if outputs is None else outputs.reasoning_tokens,
        ttfb_s=response.ttfb_s,
        served_model=completion.model,
        request_id=response.headers.get("x-request-id") or completion.id,
        system_fingerprint=completion.system_fingerprint,
        tool_calls_json=_tool_calls(message) if message.tool_calls or message.function_call else None,
    )
    if choice.logprobs is None:
        return answer
    return msgspec.structs.replace(answer, logprobs_json=_logprobs(choice.logprobs))


def _content(content: list[_Part]) -> tuple[str, str | None]:
    """Return what a message in parts says, and what it thought."""
    thoughts = "".join(_thought(part.thinking) for part in content if part.thinking is not _NULL)
    return "".join(part.text or "" for part in content), thoughts or None


def _thought(thinking: msgspec.Raw) -> str:
    try:
        found = _THOUGHTS.decode(thinking)
    except MALFORMED:
        return ""
    if isinstance(found, list):
        return "".join(thought.text or "" for thought in found)
    return found or ""


def _tool_calls(message: _Message) -> str | None:
    calls: list[tuple[str | None, str | None, Any]] = []
    for call in message.tool_calls or ():
        function = call.function or call.custom or _Function()
        calls.append((call.id, function.name, function.arguments if call.function else function.input))
    if message.function_call is not None:
        calls.append((None, message.function_call.name, message.function_call.arguments))
    return encode_tool_calls(calls)


def _logprobs(found: Any) -> str | None:
    """Return the log probabilities of the answer's tokens; None where they are of no known shape."""
    try:
        logprobs = msgspec.convert(found, _Logprobs)
    except msgspec.ValidationError:
        return None
    if logprobs.tokens is not None and logprobs.token_logprobs is not None:
        pairs = zip(logprobs.tokens, logprobs.token_logprobs, strict=False)
        return encode_logprobs(TokenLogprob(token, value) for token, value in pairs if value is not None)
    tokens = logprobs.content or logprobs.refusal or ()
    return encode_logprobs(TokenLogprob(each.token, each.logprob, each.top_logprobs or []) for each in tokens)
