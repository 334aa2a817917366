"""Chat messages as the suite renders them: OpenAI's form, which other APIs are given in theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from headgate.errors import ConfigError
from headgate.plan import Job

SYSTEM: Final = frozenset({"system", "developer"})
"""Roles whose messages stand apart from the conversation where an API has a place for them."""

_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)


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


def joined(texts: Iterator[str | None]) -> str | None:
    """Return texts as one; None where there is none, which is not an empty one.

    Examples
    --------
    >>> joined(iter(["a", None, "b"])), joined(iter([None])), joined(iter([""]))
    ('ab', None, '')
    """
    found = [text for text in texts if text is not None]
    return "".join(found) if found else None
