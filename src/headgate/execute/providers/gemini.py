"""Google Gemini, ``generateContent``."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from headgate.execute.answer import Answer, Failure
from headgate.execute.providers.adapter import Form
from headgate.execute.providers.chat import (
    SYSTEM,
    Message,
    Part,
    read_image,
    read_messages,
    unknown_part,
)
from headgate.execute.providers.gemini_reply import decode
from headgate.execute.providers.params import (
    ParamReader,
    max_tokens,
    response_format,
    stop_sequences,
    tool_choice,
    tools,
)
from headgate.execute.secret import Secret
from headgate.execute.transport import Response
from headgate.plan import Job
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

API_VERSION: Final = "v1beta"
"""The default; it stands in the path."""

_UNTAKEN: Final = {
    **dict.fromkeys(("logit_bias", "parallel_tool_calls", "verbosity"), "Gemini's API has none"),
    "n": "one answer is read of each request; ask for more `seeds`",
}
_SAMPLING: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_OWN: Final = frozenset({"cachedContent", "generationConfig", "labels", "safetySettings", "serviceTier", "toolConfig"})
_EFFORTS: Final = ("minimal", "low", "medium", "high")
_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_ENCODER: Final = msgspec.json.Encoder()


class GenerateContent:
    """The adapter of this API.

    Parameters
    ----------
    api_version : str, optional
        As it stands in the path, such as ``v1``.
    """

    sends_seed = True

    def __init__(self, *, api_version: str | None = None) -> None:
        self.api_version = api_version or API_VERSION

    def form(self, model: Model, prompt: Prompt) -> Form:
        """Return what the requests of a prompt to a model share: the body, and the part that takes the seed."""
        reader = ParamReader(model, prompt, untaken=_UNTAKEN, own=_OWN)
        reader.take("seed")  # it gives way to the job's
        config = _config(reader)
        body: dict[str, Any] = {}
        if offered := tools(reader, _tool):
            functions = [tool for tool in offered if "name" in tool]
            others = [tool for tool in offered if "name" not in tool]
            body["tools"] = [*([{"functionDeclarations": functions}] if functions else []), *others]
        if (choice := tool_choice(reader)) is not None:
            body["toolConfig"] = {**_choice(choice), **reader.mapping("toolConfig")}
        return Form(path=self._path(model), shared=({**body, **reader.own()}, config), dropped=reader.dropped)

    def _path(self, model: Model) -> str:
        name = model.name if "/" in model.name else f"models/{model.name}"
        return f"/{quote(self.api_version)}/{quote(name, safe='/')}:generateContent"

    def encode(self, job: Job, form: Form) -> bytes:
        """Return the body of a job's request; system messages stand apart, before the others."""
        shared, config = form.shared
        system: list[dict[str, Any]] = []
        contents: list[dict[str, Any]] = []
        for message in read_messages(job):
            if message.role in SYSTEM:
                system += _parts(message, job)
            else:
                role = "model" if message.role == "assistant" else message.role
                contents.append({"role": role, "parts": _parts(message, job)})
        body = {**shared, "contents": contents, "generationConfig": {**config, "seed": job.seed}}
        if system:
            body["systemInstruction"] = {"parts": system}
        return _ENCODER.encode(body)

    def decode(self, response: Response) -> Answer | Failure:
        """Return what a response says; see :func:`decode`."""
        return decode(response)

    def headers(self, key: Secret | None) -> Mapping[str, str]:
        """Return the headers of every request; the key never stands in the URL."""
        shared = {"content-type": "application/json", "accept": "application/json"}
        return shared if key is None else {**shared, "x-goog-api-key": key.reveal()}


def _config(reader: ParamReader) -> dict[str, Any]:
    """Return ``generationConfig`` without the seed."""
    config: dict[str, Any] = reader.renamed(_SAMPLING)
    if (limit := max_tokens(reader)) is not None:
        config["maxOutputTokens"] = limit
    if (stop := stop_sequences(reader)) is not None:
        config["stopSequences"] = stop
    if (effort := reader.take("reasoning_effort")) is not None:
        config["thinkingConfig"] = _thinking(reader, effort)
    wanted = response_format(reader)
    if wanted is not None:
        config["responseMimeType"] = "application/json"
    if isinstance(wanted, Mapping):
        config["responseJsonSchema"] = wanted["schema"]
    return config | reader.mapping("generationConfig")


def _thinking(reader: ParamReader, effort: Any) -> dict[str, Any]:
    if effort == "none":
        return {"thinkingBudget": 0}
    if effort not in _EFFORTS:
        mend = f"use none or one of {', '.join(_EFFORTS)}, or generationConfig.thinkingConfig"
        raise reader.wrong("reasoning_effort", "is none of Gemini's", value=effort, mend=mend)
    return {"thinkingLevel": str(effort).upper()}


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    made = {name: function[name] for name in ("name", "description") if name in function}
    return {**made, **({"parametersJsonSchema": function["parameters"]} if "parameters" in function else {})}


def _choice(choice: Any) -> dict[str, Any]:
    if isinstance(choice, dict):
        return choice
    if isinstance(choice, tuple):
        return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [choice[1]]}}
    return {"functionCallingConfig": {"mode": _MODES[choice]}}


def _parts(message: Message, job: Job) -> list[dict[str, Any]]:
    return [_part(part, job) for part in message.parts]


def _part(part: Part, job: Job) -> dict[str, Any]:
    if part.type == "text":
        return {"text": part.text or ""}
    if part.type != "image_url" or part.url is None:
        raise unknown_part(job, part, takes="text and images")
    image = read_image(part.url)
    if image is not None:
        return {"inlineData": {"mimeType": image[0], "data": image[1]}}
    guessed, _ = mimetypes.guess_type(urlsplit(part.url).path)
    return {"fileData": {"fileUri": part.url, **({"mimeType": guessed} if guessed else {})}}
