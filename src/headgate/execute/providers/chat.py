"""Chat messages as the suite renders them: OpenAI's form, which other APIs are given in theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from headgate.errors import ConfigError
from headgate.plan import Job

SYSTEM: Final = frozenset({"system", "developer"})
"""Roles whose messages stand apart from the conversation where an API has a place for them."""

_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_ENCODER: Final = msgspec.json.Encoder()


class ImageUrl(msgspec.Struct, gc=False):
    """Where an image is: an http(s) URL, or the image itself as a data URL."""

    url: str


class Part(msgspec.Struct, gc=False):
    """One part of a message: text, or an image."""

    type: str
    text: str | None = None
    image_url: ImageUrl | str | None = None

    @property
    def url(self) -> str | None:
        """Of the image, where it is one."""
        return self.image_url.url if isinstance(self.image_url, ImageUrl) else self.image_url


class Message(msgspec.Struct, gc=False):
    """One message."""

    role: str
    content: str | list[Part] | None = None

    @property
    def parts(self) -> list[Part]:
        """What it says, part by part."""
        if isinstance(self.content, list):
            return self.content
        return [Part(type="text", text=self.content or "")]

    @property
    def text(self) -> str:
        """Its texts, joined."""
        return "".join(part.text or "" for part in self.parts)


_DECODER: Final = msgspec.json.Decoder(list[Message])


def read_messages(job: Job) -> list[Message]:
    """Return the messages of a job."""
    return _DECODER.decode(job.messages)


def read_image(url: str) -> tuple[str, str] | None:
    """Return the media type and the base64 text of a data URL; None for the URL of something elsewhere.

    Examples
    --------
    >>> read_image("data:image/png;base64,iVBO"), read_image("https://example.com/a.png")
    (('image/png', 'iVBO'), None)
    """
    found = _DATA_URL.fullmatch(url)
    return None if found is None else (found[1], found[2])


def unknown_part(job: Job, part: Part, *, takes: str) -> ConfigError:
    """Return the error of a part that an API does not take."""
    field = f"prompts.{job.prompt.name}"
    shown = "a part of type " + repr(part.type) if part.url is None else "an image at a URL"
    return ConfigError(
        f"gives item {job.item.item_id!r} {shown}", field=field, mend=f"model {job.model.id} takes {takes}"
    )


class ToolCall(msgspec.Struct, gc=False):
    """A call of a tool that an answer makes."""

    name: str | None
    arguments: msgspec.Raw | str
    """As JSON."""

    id: str | None = None


def encode_calls(calls: Sequence[ToolCall]) -> str | None:
    r"""Return the calls of an answer in OpenAI's form, as JSON; None where it makes none.

    Examples
    --------
    >>> encode_calls([ToolCall(name="add", arguments=msgspec.Raw(b'{"a": 1}'))])
    '[{"type":"function","function":{"name":"add","arguments":"{\\"a\\": 1}"}}]'
    """
    return _ENCODER.encode([_call(call) for call in calls]).decode() if calls else None


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = call.arguments if isinstance(call.arguments, str) else bytes(call.arguments).decode()
    named = {} if call.id is None else {"id": call.id}
    return {**named, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def joined(texts: Iterator[str | None]) -> str | None:
    """Return texts as one; None where there is none, which is not an empty one.

    Examples
    --------
    >>> joined(iter(["a", None, "b"])), joined(iter([None])), joined(iter([""]))
    ('ab', None, '')
    """
    found = [text for text in texts if text is not None]
    return "".join(found) if found else None


Logprob = tuple[str, float | None]
"""A token and its log probability."""


def encode_logprobs(chosen: Sequence[Logprob], tops: Sequence[Sequence[Logprob]]) -> str:
    """Return log probabilities in the form of a row: a JSON list, one entry for each token of the answer.

    Parameters
    ----------
    chosen : sequence of (token, log probability)
        What the answer is made of.
    tops : sequence of sequences
        For each of these the likeliest tokens, where the server tells them.

    Examples
    --------
    >>> encode_logprobs([("4", -0.1)], [[("4", -0.1), ("5", -2.5)]])
    '[{"token":"4","logprob":-0.1,"top":[{"token":"4","logprob":-0.1},{"token":"5","logprob":-2.5}]}]'
    >>> encode_logprobs([("4", -0.1)], [])
    '[{"token":"4","logprob":-0.1}]'
    """
    rows: list[dict[str, Any]] = [{"token": token, "logprob": logprob} for token, logprob in chosen]
    for row, top in zip(rows, tops, strict=False):
        if top:
            row["top"] = [{"token": token, "logprob": logprob} for token, logprob in top]
    return _ENCODER.encode(rows).decode()
