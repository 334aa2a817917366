"""OpenAI chat completions, as OpenAI, vLLM, TGI, llama.cpp and most gateways speak them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from headgate.execute.answer import Answer, Failure
from headgate.execute.error_body import MALFORMED, read_error
from headgate.execute.providers.adapter import Form
from headgate.execute.retry import classify
from headgate.execute.secret import Secret
from headgate.execute.transport import Response
from headgate.plan import Job
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

PATH: Final = "/chat/completions"
_NULL: Final = msgspec.Raw(b"null")
_REFUSALS: Final = {"content_filter"}
_FILTERED: Final = frozenset({"content_filter", "flagged_input"})
"""What an error says where a filter stopped the prompt; OpenRouter does so with 403, which else is a refused key."""


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: Any = None  # JSON in a text; some servers send the object itself


class _ToolCall(msgspec.Struct, gc=False):
    id: str | None = None
    type: str | None = None
    function: _Function | None = None


class _Part(msgspec.Struct, gc=False):
    text: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message | None = None
    finish_reason: str | None = None
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


class _Completion(msgspec.Struct, gc=False):
    choices: list[_Choice]
    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = _NULL


_NO_USAGE: Final = _Usage()
_DECODER: Final = msgspec.json.Decoder(_Completion)
_ENCODER: Final = msgspec.json.Encoder()


class ChatCompletions:
    """The adapter of this API.

    Parameters
    ----------
    simulated : bool
        Tell the server which job it is: the simulated provider answers by it.
    """

    sends_seed: Final = True
    api_version: Final = None

    def __init__(self, *, simulated: bool = False) -> None:
        self._simulated = simulated

    def form(self, model: Model, prompt: Prompt) -> Form:
        """Return what the requests of a prompt to a model share; the model's parameters go before the prompt's."""
        return Form(path=PATH, shared=encode_frame(model=model.name, params={**prompt.params, **model.params}))

    def encode(self, job: Job, form: Form) -> bytes:
        """Return the body of a job's request."""
        metadata = _metadata(job) if self._simulated else None
        return encode(job.item.messages[job.prompt.name], frame=form.shared, seed=job.seed, metadata=metadata)

    def decode(self, response: Response) -> Answer | Failure:
        """Return what a response says; see :func:`decode`."""
        return decode(response)

    def headers(self, key: Secret | None) -> Mapping[str, str]:
        """Return the headers of every request: the key is a bearer token."""
        shared = {"content-type": "application/json", "accept": "application/json"}
        return shared if key is None else {**shared, "authorization": f"Bearer {key.reveal()}"}


def _metadata(job: Job) -> Mapping[str, str]:
    known = {"item": job.item.item_id, "prompt": job.prompt.name, "job": job.job_id}
    return known if job.item.target is None else {**known, "target": job.item.target}


def encode_frame(*, model: str, params: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Encode what the requests of one prompt to one model share: what stands before their messages, and after.

    Parameters
    ----------
    params : mapping
        Sampling parameters by their wire names; a ``seed`` among them gives way to the job's.
    """
    pairs = [(_ENCODER.encode(name), _ENCODER.encode(value)) for name, value in params.items() if name != "seed"]
    after = b"".join(b",%b:%b" % pair for pair in pairs)
    return b'{"model":%b,"messages":' % _ENCODER.encode(model), after


def encode(
    messages: bytes, *, frame: tuple[bytes, bytes], seed: int | None, metadata: Mapping[str, str] | None
) -> bytes:
    """Encode a chat completion request.

    Parameters
    ----------
    messages : bytes
        The chat messages, already a JSON array; spliced in as they stand.
    frame : tuple of bytes
        From :func:`encode_frame`.
    seed : int, optional
        The sampling seed, where the server takes one.
    metadata : mapping, optional
        What the simulated provider needs to know.

    Examples
    --------
    >>> frame = encode_frame(model="m", params={"top_p": 1})
    >>> encode(b'[{"role":"user","content":"hi"}]', frame=frame, seed=2, metadata=None)
    b'{"model":"m","messages":[{"role":"user","content":"hi"}],"top_p":1,"seed":2}'
    """
    before, after = frame
    seeded = b"" if seed is None else b',"seed":%d' % seed
    described = b"" if metadata is None else b',"metadata":' + _ENCODER.encode(metadata)
    return b"".join((before, messages, after, seeded, described, b"}"))


def decode(response: Response) -> Answer | Failure:
    """Decode a response into an answer, or classify why it is none.

    A refusal or a filtered answer is an answer (status ``refused``); an error inside a 200, a body without choices, and
    anything that is not the expected JSON is a failure.
    """
    if response.status != 200:
        return _filtered(response) or classify(response.status, response.headers, response.body)
    try:
        completion = _DECODER.decode(response.body)
    except MALFORMED as error:
        return _filtered(response) or _malformed(response, error)
    if completion.error is not _NULL and _given(completion.error):
        return _filtered(response) or classify(200, response.headers, response.body)
    if not completion.choices:
        return Failure(kind="bad_response", message="the response has no choices", http_status=200)
    choice = completion.choices[0]
    if choice.error is not _NULL and _given(choice.error):  # OpenRouter: the provider behind it broke off
        return classify(200, response.headers, b'{"error":' + bytes(choice.error) + b"}")
    if choice.message is None:
        return Failure(kind="bad_response", message="the response has no message", http_status=200)
    return _answer(completion, choice, choice.message, response)


def _malformed(response: Response, error: Exception) -> Failure:
    failure = classify(200, response.headers, response.body)
    if failure.kind != "bad_response" or b'"error"' in response.body[:2000]:
        return failure
    start = response.body[:80].decode("utf-8", "replace")
    return Failure(kind="bad_response", message=f"{error}; the body starts {start!r}", http_status=200)


def _given(error: msgspec.Raw) -> bool:
    return bytes(error) != b"null"


def _answer(completion: _Completion, choice: _Choice, message: _Message, response: Response) -> Answer:
    usage = completion.usage or _NO_USAGE
    refused = bool(message.refusal) or choice.finish_reason in _REFUSALS
    inputs, outputs = usage.prompt_tokens_details, usage.completion_tokens_details
    return Answer(
        status="refused" if refused else "ok",
        output=message.refusal or _text(message.content),
        http_status=200,
        reasoning=message.reasoning_content or message.reasoning,
        stop_reason=choice.finish_reason,
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_tokens=None if inputs is None else inputs.cached_tokens,
        cache_write_tokens=None if inputs is None else inputs.cache_write_tokens,
        reasoning_tokens=None if outputs is None else outputs.reasoning_tokens,
        ttfb_s=response.ttfb_s,
        served_model=completion.model,
        request_id=response.headers.get("x-request-id") or completion.id,
        system_fingerprint=completion.system_fingerprint,
        tool_calls_json=_ENCODER.encode(message.tool_calls).decode() if message.tool_calls else None,
    )


def _text(content: str | list[_Part] | None) -> str | None:
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content


def _filtered(response: Response) -> Answer | None:
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
