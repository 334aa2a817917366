"""Anthropic messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.providers.adapter import Form
from headgate.execute.providers.anthropic_reply import decode
from headgate.execute.providers.chat import (
    SYSTEM,
    Message,
    Part,
    read_image,
    read_messages,
    unknown_part,
)
from headgate.execute.providers.params import (
    ParamReader,
    json_schema,
    max_tokens,
    stop_sequences,
    tool_choice,
    tools,
)
from headgate.execute.secret import Secret
from headgate.execute.transport import Response
from headgate.plan import Job
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

VERSIONS: Final = ("2026-10-21", "2023-06-01")
"""Of the API, the newest first, which is the default."""

_PATH: Final = "/v1/messages"
_SAMPLING: Final = ("temperature", "top_p", "top_k")
_NONE: Final = "Anthropic's API has none"
_UNTAKEN: Final = {
    **dict.fromkeys(
        ("frequency_penalty", "logit_bias", "logprobs", "presence_penalty", "seed", "top_logprobs", "verbosity"), _NONE
    ),
    "n": "Anthropic's API gives one answer; ask for more `seeds`",
}
_OWN: Final = frozenset(
    {
        "cache_control",
        "container",
        "inference_geo",
        "metadata",
        "output_config",
        "service_tier",
        "speed",
        "stop_sequences",
        "thinking",
    }
)
_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any"}
_ENCODER: Final = msgspec.json.Encoder()


class Messages:
    """The adapter of this API.

    Parameters
    ----------
    api_version : str, optional
        One of :data:`VERSIONS`.
    """

    sends_seed = False

    def __init__(self, *, api_version: str | None = None) -> None:
        self.api_version = api_version or VERSIONS[0]

    def form(self, model: Model, prompt: Prompt) -> Form:
        """Return what the requests of a prompt to a model share.

        Raises
        ------
        ConfigError
            If the version is none, or the API does not take a parameter.
        """
        if self.api_version not in VERSIONS:
            field, mend = f"models.{model.id}.api_version", f"use one of {', '.join(VERSIONS)}"
            raise ConfigError("is no version of Anthropic's API", field=field, value=self.api_version, mend=mend)
        untaken = _UNTAKEN
        if self.api_version != VERSIONS[-1]:
            reason = f"version {self.api_version} of Anthropic's API has none; `api_version: '{VERSIONS[-1]}'` has"
            untaken = {**_UNTAKEN, **dict.fromkeys(_SAMPLING, reason)}
        reader = ParamReader(model, prompt, untaken=untaken, own=_OWN)
        body = {"model": model.name, "max_tokens": _limit(reader), **reader.renamed({name: name for name in _SAMPLING})}
        if (stop := stop_sequences(reader)) is not None:
            body["stop_sequences"] = stop
        body |= _tools(reader)
        if output := _output(reader):
            body["output_config"] = output
        return Form(path=_PATH, shared={**body, **reader.own()}, dropped=reader.dropped)

    def encode(self, job: Job, form: Form) -> bytes:
        """Return the body of a job's request; system messages stand apart, before the others."""
        system: list[dict[str, Any]] = []
        messages: list[dict[str, Any]] = []
        for message in read_messages(job):
            if message.role in SYSTEM:
                system += [_block(part, job) for part in message.parts]
            else:
                messages.append({"role": message.role, "content": _content(message, job)})
        body = {**form.shared, "messages": messages}
        if system:
            body["system"] = system
        return _ENCODER.encode(body)

    def decode(self, response: Response) -> Answer | Failure:
        """Return what a response says; see :func:`decode`."""
        return decode(response)

    def headers(self, key: Secret | None) -> Mapping[str, str]:
        """Return the headers of every request: of old the key had a header of its own, now it is a bearer token."""
        shared = {
            "content-type": "application/json",
            "accept": "application/json",
            "anthropic-version": self.api_version,
        }
        if key is None:
            return shared
        if self.api_version == VERSIONS[-1]:
            return {**shared, "x-api-key": key.reveal()}
        return {**shared, "authorization": f"Bearer {key.reveal()}"}


def _limit(reader: ParamReader) -> Any:
    limit = max_tokens(reader)
    if limit is None:
        raise reader.missing("max_tokens", "is missing", mend="Anthropic's API needs it: say how long an answer may be")
    return limit


def _tools(reader: ParamReader) -> dict[str, Any]:
    """Return the tools and the choice among them."""
    made: dict[str, Any] = {}
    if offered := tools(reader, _tool):
        made["tools"] = offered
    choice, parallel = tool_choice(reader), reader.take("parallel_tool_calls")
    if parallel is False and choice in {None, "auto"}:
        choice = "auto"
    if choice is not None:
        alone = {"disable_parallel_tool_use": True} if parallel is False else {}
        made["tool_choice"] = {**_choice(choice), **alone}
    return made


def _choice(choice: str | tuple[str, str] | dict[str, Any]) -> dict[str, Any]:
    if isinstance(choice, dict):
        return choice
    return {"type": "tool", "name": choice[1]} if isinstance(choice, tuple) else {"type": _CHOICES[choice]}


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: function[name] for name in ("name", "description", "strict") if name in function}
    return {**kept, "input_schema": function.get("parameters") or {"type": "object"}}


def _output(reader: ParamReader) -> dict[str, Any]:
    """Return ``output_config``: the effort, and the schema of the answer."""
    made = reader.mapping("output_config")
    effort = reader.take("reasoning_effort")
    if effort is not None:
        if effort not in _EFFORTS:
            mend = f"use one of {', '.join(_EFFORTS)}, or `thinking: {{type: disabled}}`"
            raise reader.wrong("reasoning_effort", "is none of Anthropic's", value=effort, mend=mend)
        made["effort"] = effort
    if (described := json_schema(reader)) is not None:
        made["format"] = {"type": "json_schema", "schema": described["schema"]}
    return made


def _content(message: Message, job: Job) -> str | list[dict[str, Any]] | None:
    if isinstance(message.content, list):
        return [_block(part, job) for part in message.content]
    return message.content


def _block(part: Part, job: Job) -> dict[str, Any]:
    if part.type == "text":
        return {"type": "text", "text": part.text or ""}
    if part.type != "image_url" or part.url is None:
        raise unknown_part(job, part, takes="text and images")
    image = read_image(part.url)
    if image is None:
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    return {"type": "image", "source": {"type": "base64", "media_type": image[0], "data": image[1]}}
