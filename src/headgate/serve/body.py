"""Bodies of requests: of the kind that is asked for, and no larger than allowed, packed or not."""

from __future__ import annotations

import zlib
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

_GZIP: Final = 16 + zlib.MAX_WBITS


async def read_body(request: Request, *, kinds: tuple[str, ...], most: int) -> bytes:
    """Return the body.

    Parameters
    ----------
    kinds : tuple of str
        Media types that are taken. A page in a browser cannot send these to another host unasked.
    most : int
        Bytes, both as sent and unpacked.

    Raises
    ------
    HTTPException
        415 for another kind or encoding, 413 for a larger body, 400 for a broken one.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in kinds:
        raise HTTPException(415, f"send {' or '.join(kinds)}")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise HTTPException(415, "send it as it is, or as gzip")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise _too_large(most)
    unpack = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
    sent, parts, size = 0, list[bytes](), 0
    async for chunk in request.stream():
        sent += len(chunk)
        part = chunk if unpack is None else _unpacked(unpack, chunk, most - size + 1)
        parts.append(part)
        size += len(part)
        if sent > most or size > most:
            raise _too_large(most)
    if unpack is not None and sent and not unpack.eof:
        raise HTTPException(400, "the gzip body ends early")
    return b"".join(parts)


def _unpacked(unpack: Any, chunk: bytes, most: int) -> bytes:
    try:
        part: bytes = unpack.decompress(chunk, most)
    except zlib.error:
        raise HTTPException(400, "the body is not gzip") from None
    return part


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {most:,} bytes", headers={"connection": "close"})
