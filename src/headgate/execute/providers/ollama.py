"""Ollama's own API, ``/api/chat``: unlike its OpenAI-compatible one it takes the size of the context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from headgate.execute.answer import Answer, Failure
from headgate.execute.error_body import MALFORMED
from headgate.execute.providers.adapter import Form
from headgate.execute.providers.canonical import TokenLogprob, encode_logprobs, encode_tool_calls
from headgate.execute.providers.chat import (
    Message,
    read_image,
    read_messages,
    unknown_part,
)
from headgate.execute.providers.params import ParamReader, max_tokens, response_format, stop_sequences, tools
from headgate.execute.retry import classify
from headgate.execute.secret import Secret
from headgate.execute.transport import Response
from headgate.plan import Job
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

_PATH: Final = "/api/chat"
_WHOLE: Final = {"truncate": False, "shift": False}
"""Say so where a prompt or an answer does not fit into the context. Else the server cuts the beginning off, and answers
what is left as if nothing were amiss."""

_UNTAKEN: Final = {
    **dict.fromkeys(
        ("logit_bias", "parallel_tool_calls", "tool_choice", "verbosity"), "Ollama's API has none, and would ignore it"
    ),
    "n": "Ollama gives one answer; ask for more `seeds`",
}
_OPTIONS: Final = {name: name for name in ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty")}
_OWN: Final = frozenset({"format", "keep_alive", "options", "shift", "think", "truncate"})
_ENCODER: Final = msgspec.json.Encoder()


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: Any = {}


class _ToolCall(msgspec.Struct, gc=False):
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Token(msgspec.Struct, gc=False):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[_Token] = []


class _Reply(msgspec.Struct, gc=False):
    message: _Message
    model: str | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    logprobs: list[_Token] | None = None


_DECODER: Final = msgspec.json.Decoder(_Reply)


class OllamaChat:
    """The adapter of this API."""

    sends_seed = True
    api_version: str | None = None

    def form(self, model: Model, prompt: Prompt) -> Form:
        """Return what the requests of a prompt to a model share: the body, and the options that take the seed."""
        reader = ParamReader(model, prompt, untaken=_UNTAKEN, own=_OWN)
        reader.take("seed")  # it gives way to the job's
        options: dict[str, Any] = reader.renamed(_OPTIONS)
        if (limit := max_tokens(reader)) is not None:
            options["num_predict"] = limit
        if (stop := stop_sequences(reader)) is not None:
            options["stop"] = stop
        options |= reader.mapping("options")
        body: dict[str, Any] = {"model": model.name, "stream": False, **_WHOLE}
        body |= reader.renamed({"logprobs": "logprobs", "top_logprobs": "top_logprobs"})
        if offered := tools(reader, lambda function: {"type": "function", "function": dict(function)}):
            body["tools"] = offered
        wanted = response_format(reader)
        if wanted is not None:
            body["format"] = wanted if isinstance(wanted, str) else wanted["schema"]
        if (effort := reader.take("reasoning_effort")) is not None:
            body["think"] = False if effort == "none" else effort
        return Form(path=_PATH, shared=({**body, **reader.own()}, options), dropped=reader.dropped)

    def encode(self, job: Job, form: Form) -> bytes:
        """Return the body of a job's request."""
        shared, options = form.shared
        messages = [_message(message, job) for message in read_messages(job)]
        return _ENCODER.encode({**shared, "messages": messages, "options": {**options, "seed": job.seed}})

    def decode(self, response: Response) -> Answer | Failure:
        """Return what a response says; see :func:`decode`."""
        return decode(response)

    def headers(self, key: Secret | None) -> Mapping[str, str]:
        """Return the headers of every request; a key is for servers behind a proxy, and for Ollama's cloud."""
        shared = {"content-type": "application/json", "accept": "application/json"}
        return shared if key is None else {**shared, "authorization": f"Bearer {key.reveal()}"}


def decode(response: Response) -> Answer | Failure:
    """Decode a response into an answer, or classify why it is none.

    Its input tokens are those that the server read: it does not count what it had in its cache as cached.
    """
    if response.status != 200:
        return classify(response.status, response.headers, response.body)
    try:
        reply = _DECODER.decode(response.body)
    except MALFORMED:
        return classify(200, response.headers, response.body)
    functions = [(call.id, call.function) for call in reply.message.tool_calls or () if call.function is not None]
    calls = [(id_, function.name, function.arguments) for id_, function in functions]
    return Answer(
        output=reply.message.content,
        http_status=200,
        reasoning=reply.message.thinking or None,
        stop_reason="tool_calls" if calls and reply.done_reason == "stop" else reply.done_reason,
        input_tokens=reply.prompt_eval_count,
        output_tokens=reply.eval_count,
        ttfb_s=response.ttfb_s,
        served_model=reply.model,
        tool_calls_json=encode_tool_calls(calls),
        logprobs_json=_logprobs(reply.logprobs),
    )


def _logprobs(tokens: list[_Token] | None) -> str | None:
    return encode_logprobs(
        TokenLogprob(token.token, token.logprob, [TokenLogprob(top.token, top.logprob) for top in token.top_logprobs])
        for token in tokens or ()
    )


def _message(message: Message, job: Job) -> dict[str, Any]:
    role = "system" if message.role == "developer" else message.role
    made: dict[str, Any] = {"role": role, "content": message.text}
    images: list[str] = []
    for part in message.parts:
        if part.type == "text":
            continue
        image = read_image(part.url) if part.type == "image_url" and part.url is not None else None
        if image is None:
            raise unknown_part(job, part, takes="text, and images as data URLs")
        images.append(image[1])
    return {**made, "images": images} if images else made
