"""OpenAI responses: chat completions' successor, without a seed, stop sequences or several answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

import msgspec

from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.error_body import MALFORMED
from headgate.execute.providers.adapter import Form, choose_params
from headgate.execute.providers.canonical import TokenLogprob, encode_logprobs, encode_tool_calls
from headgate.execute.providers.completion import filtered, malformed
from headgate.execute.providers.dialects import EXTRAS, LIMITS
from headgate.execute.providers.openai import one_limit
from headgate.execute.retry import classify
from headgate.execute.secret import Secret
from headgate.execute.transport import Response as HttpResponse
from headgate.plan import Job
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

PATH: Final = "/responses"
_ABSENT: Final = (
    *("seed", "stop", "n", "logit_bias", "frequency_penalty", "presence_penalty", "prediction", "modalities", "audio"),
    *("functions", "function_call", *EXTRAS),
)
_UNTAKEN: Final[Mapping[str, str]] = {
    **dict.fromkeys(_ABSENT, "OpenAI's responses have no such parameter"),
    "background": "answers are waited for",
    "input": "the prompt says it",
}
_LOGPROBS: Final = "message.output_text.logprobs"
_STATUS: Final = {"server_error": 500, "vector_store_timeout": 504, "rate_limit_exceeded": 429}
"""What an error inside a 200 would have had as a status; all others are the request's."""

_POLICIES: Final = frozenset({"bio_policy", "misalignment_policy_violation", "image_content_policy_violation"})
_ENCODER: Final = msgspec.json.Encoder()
_NULL: Final = msgspec.Raw(b"null")
_T = TypeVar("_T", list[Any], dict[str, Any])


class Responses:
    """The adapter of this API; answers are not stored at OpenAI unless ``store`` is given."""

    def __init__(self) -> None:
        self.sends_seed, self.api_version = False, None

    def form(self, model: Model, prompt: Prompt) -> Form:
        """Return what the requests of a prompt to a model share.

        Raises
        ------
        ConfigError
            If the API does not take a parameter.
        """
        params, dropped = choose_params(model, prompt, _UNTAKEN)
        body = {"model": model.name, **translate(params, model=model)}
        before = _ENCODER.encode(body)[:-1] + b',"input":'
        return Form(path=PATH, shared=(before, prompt.has_images), dropped=dropped)

    def encode(self, job: Job, form: Form) -> bytes:
        """Return the body of a job's request; messages of text alone are what the API takes."""
        before, has_images = form.shared
        messages = job.item.messages[job.prompt.name]
        if has_images:
            messages = _ENCODER.encode([_message(message) for message in msgspec.json.decode(messages)])
        return b"".join((before, messages, b"}"))

    def decode(self, response: HttpResponse) -> Answer | Failure:
        """Return what a response says; see :func:`decode`."""
        return decode(response)

    def headers(self, key: Secret | None) -> Mapping[str, str]:
        """Return the headers of every request: the key is a bearer token."""
        shared = {"content-type": "application/json", "accept": "application/json"}
        return shared if key is None else {**shared, "authorization": f"Bearer {key.reveal()}"}


def translate(params: Mapping[str, Any], *, model: Model) -> dict[str, Any]:
    """Return the parameters of a chat completion as this API wants them; its own names stand as they are.

    Raises
    ------
    ConfigError
        If two names of one parameter say two things.

    Examples
    --------
    >>> translate({"max_tokens": 9, "reasoning_effort": "low"}, model=Model(id="m", provider="openai"))
    {'store': False, 'max_output_tokens': 9, 'reasoning': {'effort': 'low'}}
    """
    given: dict[str, Any] = {"store": False, **params}
    limit = one_limit(given, ("max_output_tokens", *LIMITS), model=model)
    for name in LIMITS:
        given.pop(name, None)
    if limit is not None:
        given["max_output_tokens"] = limit
    if given.pop("logprobs", False):
        given["include"] = [*_checked(given, "include", list, model), _LOGPROBS]
    for name, (outer, inner) in _NESTED.items():
        if name in given:
            value = given.pop(name)
            more = _checked(given, outer, dict, model)
            given[outer] = {inner: _format(value) if name == "response_format" else value, **more}
    if "tools" in given:
        given["tools"] = [_flat(tool, strict=False) for tool in _checked(given, "tools", list, model)]
    if isinstance(given.get("tool_choice"), dict):
        given["tool_choice"] = _flat(given["tool_choice"])
    return given


def _checked(given: Mapping[str, Any], name: str, kind: type[_T], model: Model) -> _T:
    value = given.get(name, kind())
    if not isinstance(value, kind):
        said = "a list" if kind is list else "a mapping"
        raise ConfigError(f"is not {said}", field=f"models.{model.id}.params.{name}", value=value)
    return value


_NESTED: Final = {
    "reasoning_effort": ("reasoning", "effort"),
    "verbosity": ("text", "verbosity"),
    "response_format": ("text", "format"),
}


def _format(wanted: Any) -> Any:
    """Return a ``response_format`` with its schema beside its type, as this API has it."""
    if isinstance(wanted, dict) and isinstance(wanted.get("json_schema"), dict):
        return {"type": wanted["type"], **wanted["json_schema"]}
    return wanted


def _flat(tool: Any, **defaults: Any) -> Any:
    """Return a tool, or the choice of one, with its function beside its type; here strict is the default, there not."""
    if isinstance(tool, dict) and isinstance(tool.get("function"), dict):
        return {"type": tool["type"], **defaults, **tool["function"]}
    return tool


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return message
    return {"role": message["role"], "content": [_part(part, message["role"]) for part in content]}


def _part(part: dict[str, Any], role: str) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
    image = part["image_url"]
    return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail", "auto")}


class _Text(msgspec.Struct, gc=False):
    """Text of an item: of an answer, a refusal, a thought or its summary."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    logprobs: msgspec.Raw = _NULL


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    content: list[_Text] | None = None
    summary: list[_Text] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None
    input: str | None = None  # a custom tool's


class _Error(msgspec.Struct, gc=False):
    code: str | None = None
    message: str | None = None


class _Details(msgspec.Struct, gc=False):
    reason: str | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Response(msgspec.Struct, gc=False):
    status: str
    id: str | None = None
    model: str | None = None
    output: list[_Item] = []
    error: _Error | None = None
    incomplete_details: _Details | None = None
    usage: _Usage | None = None


class _Token(msgspec.Struct, gc=False):
    token: str
    logprob: float
    top_logprobs: list[TokenLogprob] | None = None


_NO_USAGE: Final = _Usage()
_NO_DETAILS: Final = _Details()
_DECODER: Final = msgspec.json.Decoder(_Response)
_TOKENS: Final = msgspec.json.Decoder(list[_Token] | None)
_ENDS: Final = {"max_output_tokens": "length", "max_messages": "length"}


def decode(response: HttpResponse) -> Answer | Failure:
    """Decode a response into an answer, or classify why it is none: an error may stand inside a 200."""
    if response.status != 200:
        return filtered(response) or classify(response.status, response.headers, response.body)
    try:
        found = _DECODER.decode(response.body)
    except MALFORMED as error:
        return malformed(response, error)
    if found.error is not None:
        return _error(found, found.error, response)
    if found.status not in {"completed", "incomplete"}:
        return Failure(kind="bad_response", message=f"the response is {found.status}", http_status=200)
    return _answer(found, response)


def _error(found: _Response, error: _Error, response: HttpResponse) -> Answer | Failure:
    if error.code in _POLICIES:
        return Answer(
            status="refused",
            output=error.message,
            http_status=200,
            stop_reason="content_filter",
            ttfb_s=response.ttfb_s,
            served_model=found.model,
            request_id=response.headers.get("x-request-id") or found.id,
        )
    failure = classify(_STATUS.get(error.code or "", 400), response.headers, response.body)
    return msgspec.structs.replace(failure, http_status=200)


def _answer(found: _Response, response: HttpResponse) -> Answer:
    usage = found.usage or _NO_USAGE
    inputs, outputs = usage.input_tokens_details or _NO_DETAILS, usage.output_tokens_details or _NO_DETAILS
    texts = [text for item in found.output if item.type == "message" for text in item.content or ()]
    refusal = "".join(text.refusal or "" for text in texts)
    calls = [item for item in found.output if item.type in {"function_call", "custom_tool_call"}]
    reason = _reason(found, refused=bool(refusal), called=bool(calls))
    said = "".join(text.text or "" for text in texts) if texts else None
    return Answer(
        status="refused" if reason in {"refusal", "content_filter"} else "ok",
        output=refusal or said,
        http_status=200,
        reasoning="\n".join(_thoughts(found)) or None,
        stop_reason=reason,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=inputs.cached_tokens,
        cache_write_tokens=inputs.cache_write_tokens,
        reasoning_tokens=outputs.reasoning_tokens,
        ttfb_s=response.ttfb_s,
        served_model=found.model,
        request_id=response.headers.get("x-request-id") or found.id,
        tool_calls_json=encode_tool_calls((call.call_id, call.name, call.arguments or call.input) for call in calls),
        logprobs_json=encode_logprobs(token for text in texts for token in _logprobs(text.logprobs)),
    )


def _reason(found: _Response, *, refused: bool, called: bool) -> str:
    if found.status == "incomplete":
        reason = (found.incomplete_details or _NO_DETAILS).reason or "incomplete"
        return _ENDS.get(reason, reason)
    if refused:
        return "refusal"
    return "tool_calls" if called else "stop"


def _thoughts(found: _Response) -> Iterator[str]:
    """Yield what the model thought, where the API shows it, or else the summaries of it."""
    for item in found.output:
        if item.type == "reasoning":
            yield from (text.text for text in item.content or item.summary or () if text.text)


def _logprobs(found: msgspec.Raw) -> Iterator[TokenLogprob]:
    if found is _NULL:
        return
    try:
        tokens = _TOKENS.decode(found) or []
    except MALFORMED:
        return
    for each in tokens:
        yield TokenLogprob(each.token, each.logprob, each.top_logprobs or [])
