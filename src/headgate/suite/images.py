"""Images in prompts: an address, a data URL, or a file below the suite's folder, which becomes a data URL."""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

from headgate.errors import ConfigError
from headgate.identity import digest_bytes

MAX_IMAGE: Final = 20 << 20
"""Most bytes of an image; providers take less, between 5 and 50 MB."""

_ADDRESS: Final = re.compile(r"^https?://\S+$", re.IGNORECASE)
_DATA: Final = re.compile(r"^data:(image/[a-z+.\-]+);base64,(.+)$", re.DOTALL)
_MEND: Final = "give a PNG, JPEG, GIF or WebP"
_KEPT: Final = 16


class Images:
    """Reads the images of a suite.

    Parameters
    ----------
    base : Path
        The suite's folder, below which the files lie.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._read = lru_cache(maxsize=_KEPT)(self._read_file)

    def url(self, text: str, found: dict[str, str]) -> str:
        """Return the URL of an image.

        Parameters
        ----------
        text : str
            An http(s) URL, which the provider fetches; a data URL; or the path of a file.
        found : dict of str to str
            Takes the digest of a file that was read, by its path.

        Raises
        ------
        ConfigError
            If it is none of these, the file cannot be read or lies elsewhere, or holds no image that models take.
        """
        text = text.strip()
        if _ADDRESS.match(text):
            return text
        if (data := _DATA.match(text)) is not None:
            return _data_url(text, data[1], data[2])
        url, found[text] = self._read(text)
        return url

    def _read_file(self, text: str) -> tuple[str, str]:
        path = PurePosixPath(text)
        if not text or path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]) or "\0" in text:
            raise ConfigError(
                "is no image: neither an http(s) URL, a data URL, nor a path below the suite's folder",
                value=text,
                mend="a link to a folder with images will do",
            )
        try:
            with (self._base / path).open("rb") as file:
                content = file.read(MAX_IMAGE + 1)
        except OSError as error:
            raise ConfigError(f"is an image that cannot be read: {error.strerror}", value=text) from error
        kind = _kind(content, text)
        return f"data:{kind};base64,{base64.b64encode(content).decode()}", digest_bytes(content)


def _data_url(text: str, said: str, data: str) -> str:
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ConfigError(f"is a data URL that is not base64: {error}", value=text[:40]) from error
    kind = _kind(content, text[:40])
    if kind != said.replace("image/jpg", "image/jpeg"):
        raise ConfigError(f"says that it is {said}, and is {kind}", value=text[:40])
    return text


def _kind(content: bytes, text: str) -> str:
    """Return the media type of an image by its first bytes, whatever its name is."""
    if len(content) > MAX_IMAGE:
        raise ConfigError(f"is larger than {MAX_IMAGE >> 20} MiB", value=text, mend="scale it down: models do too")
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    raise ConfigError("is no image that models take", value=text, mend=_MEND)
