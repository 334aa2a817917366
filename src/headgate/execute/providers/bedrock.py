"""Amazon Bedrock, ``Converse``: one form for the models of many makers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from headgate.execute.answer import Answer, Failure
from headgate.execute.providers.adapter import Form
from headgate.execute.providers.aws import read_region
from headgate.execute.providers.bedrock_reply import decode
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
from headgate.execute.providers.sigv4 import Credentials, sign
from headgate.execute.secret import Secret
from headgate.execute.transport import Response
from headgate.plan import Job
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

_SERVICE: Final = "bedrock"
_NONE: Final = "Converse has none"
_UNTAKEN: Final = {
    **dict.fromkeys(
        ("frequency_penalty", "logit_bias", "logprobs", "parallel_tool_calls", "presence_penalty", "top_logprobs"),
        _NONE,
    ),
    "n": "Converse gives one answer; ask for more `seeds`",
    "seed": f"{_NONE}; a model that takes one has it in `additionalModelRequestFields`",
    "top_k": f"{_NONE}; a model that takes it has it in `additionalModelRequestFields`",
    "verbosity": _NONE,
}
_SAMPLING: Final = {"temperature": "temperature", "top_p": "topP"}
_OWN: Final = frozenset(
    {
        "additionalModelRequestFields",
        "guardrailConfig",
        "inferenceConfig",
        "outputConfig",
        "performanceConfig",
        "requestMetadata",
        "serviceTier",
    }
)
_SIGNED: Final = {"content-type": "application/json"}
_HEADERS: Final = {**_SIGNED, "accept": "application/json"}
_ENCODER: Final = msgspec.json.Encoder()


class Converse:
    """The adapter of this API: requests carry a bearer token, or are signed."""

    sends_seed = False
    api_version: str | None = None

    def form(self, model: Model, prompt: Prompt) -> Form:
        """Return what the requests of a prompt to a model share."""
        reader = ParamReader(model, prompt, untaken=_UNTAKEN, own=_OWN)
        body: dict[str, Any] = {}
        inference: dict[str, Any] = reader.renamed(_SAMPLING)
        if (limit := max_tokens(reader)) is not None:
            inference["maxTokens"] = limit
        if (stop := stop_sequences(reader)) is not None:
            inference["stopSequences"] = stop
        if inference := inference | reader.mapping("inferenceConfig"):
            body["inferenceConfig"] = inference
        if config := _tool_config(reader):
            body["toolConfig"] = config
        if output := _output(reader):
            body["outputConfig"] = output
        path = f"/model/{quote(model.name, safe='')}/converse"
        return Form(path=path, shared={**body, **reader.own()}, dropped=reader.dropped)

    def encode(self, job: Job, form: Form) -> bytes:
        """Return the body of a job's request; system messages stand apart, before the others."""
        system: list[dict[str, Any]] = []
        messages: list[dict[str, Any]] = []
        for message in read_messages(job):
            if message.role in SYSTEM:
                system.append({"text": message.text})
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
        """Return the headers of every request, a bearer token among them."""
        if key is None or isinstance(key, Credentials):
            return _HEADERS
        return {**_HEADERS, "authorization": f"Bearer {key.reveal()}"}

    def sign(self, url: str, body: bytes, key: Secret | None) -> Mapping[str, str]:
        """Return the headers that sign a request; none where a bearer token goes with it."""
        if not isinstance(key, Credentials):
            return {}
        region, now = read_region(url) or "", datetime.now(UTC)
        return sign(url, body, _SIGNED, credentials=key, region=region, service=_SERVICE, now=now)


def _tool_config(reader: ParamReader) -> dict[str, Any]:
    """Return the tools and the choice among them."""
    made: dict[str, Any] = {}
    if offered := tools(reader, _tool):
        made["tools"] = offered
    match tool_choice(reader):
        case None:
            pass
        case "none":
            raise reader.wrong("tool_choice", "is no choice of Converse", value="none", mend="leave out the tools")
        case "auto":
            made["toolChoice"] = {"auto": {}}
        case "required":
            made["toolChoice"] = {"any": {}}
        case (_, name):
            made["toolChoice"] = {"tool": {"name": name}}
        case theirs:
            made["toolChoice"] = theirs
    return made


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: function[name] for name in ("name", "description", "strict") if name in function}
    return {"toolSpec": {**kept, "inputSchema": {"json": function.get("parameters") or {"type": "object"}}}}


def _output(reader: ParamReader) -> dict[str, Any]:
    """Return ``outputConfig``: the effort, and the schema of the answer, which goes as a text."""
    made = reader.mapping("outputConfig")
    if (effort := reader.take("reasoning_effort")) is not None:
        made["effort"] = effort
    if (described := json_schema(reader)) is not None:
        named = {name: described[name] for name in ("name", "description") if name in described}
        schema = _ENCODER.encode(described["schema"]).decode()
        made["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": {**named, "schema": schema}}}
    return made


def _content(message: Message, job: Job) -> list[dict[str, Any]]:
    return [_block(part, job) for part in message.parts]


def _block(part: Part, job: Job) -> dict[str, Any]:
    if part.type == "text":
        return {"text": part.text or ""}
    image = read_image(part.url) if part.type == "image_url" and part.url is not None else None
    if image is None:
        raise unknown_part(job, part, takes="text, and images as data URLs")
    kind = image[0].removeprefix("image/")
    return {"image": {"format": "jpeg" if kind == "jpg" else kind, "source": {"bytes": image[1]}}}
