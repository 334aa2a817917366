"""Bodies that a server packed."""

from __future__ import annotations

import zlib
from typing import Final

from headgate.execute.transport import MAX_BODY, TransportError

_GZIP: Final = 16 + zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
_ZLIB_METHOD: Final = 8
"""The low half of the first byte of zlib's format."""


def unpack(body: bytes, coding: str) -> bytes:
    """Unpack ``gzip`` and ``deflate``; leave what is coded otherwise as it is.

    Raises
    ------
    TransportError
        If it is not packed as it says, ends early, or is larger than ``MAX_BODY`` when unpacked.

    Examples
    --------
    >>> import gzip
    >>> unpack(gzip.compress(b"{}"), "gzip")
    b'{}'
    """
    coding = coding.strip().lower()
    if not body or coding not in {"gzip", "x-gzip", "deflate"}:
        return body
    try:
        return _deflate(body) if coding == "deflate" else _gzip(body)
    except zlib.error:
        raise TransportError("dropped", f"the body is no {coding}, or ends early") from None


def _deflate(body: bytes) -> bytes:
    """Unpack it with or without zlib's wrapper: servers send either."""
    wrapped = body[0] & 0x0F == _ZLIB_METHOD and int.from_bytes(body[:2]) % 31 == 0
    return _member(body, zlib.MAX_WBITS if wrapped else _RAW_DEFLATE, room=MAX_BODY)[0]


def _gzip(body: bytes) -> bytes:
    """Unpack all members."""
    unpacked = bytearray()
    while body:
        member, body = _member(body, _GZIP, room=MAX_BODY - len(unpacked))
        unpacked += member
    return bytes(unpacked)


def _member(body: bytes, wbits: int, *, room: int) -> tuple[bytes, bytes]:
    """Return what is in one stream, and what comes after it."""
    stream = zlib.decompressobj(wbits)
    member = stream.decompress(body, room + 1)
    if len(member) > room:
        raise TransportError("dropped", f"the body is larger than {MAX_BODY >> 20} MiB")
    if not stream.eof:
        raise zlib.error
    return member, stream.unused_data
