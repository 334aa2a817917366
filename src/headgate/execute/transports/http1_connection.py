"""One connection of HTTP/1.1: a request at a time, and the response to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from headgate.execute.transport import MAX_BODY, Response, TransportError
from headgate.execute.transports.content_coding import unpack

MAX_HEAD: Final = 256 << 10
"""Most bytes of a response's headers, and of the framing of its body."""

_IDLE_S: Final = 90.0
"""Longest that a connection is kept idle: balancers forget them without a word."""

_FRAMED: Final = {b"content-length", b"transfer-encoding"}


class Idle:
    """The idle connections to one origin, of which the last is used first.

    Parameters
    ----------
    most : int
        How many are kept.
    """

    __slots__ = ("_connections", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._connections: dict[Connection, None] = {}  # a stack, from the middle of which one can be removed

    def take(self, now: float) -> Connection | None:
        """Return a connection that stands, or None."""
        while self._connections:
            connection, _ = self._connections.popitem()
            if connection.is_fresh(now) and not connection.is_closing:
                return connection
            connection.close()
        return None

    def put(self, connection: Connection) -> bool:
        """Keep a connection; return whether there was room."""
        if len(self._connections) >= self._most:
            return False
        self._connections[connection] = None
        return True

    def remove(self, connection: Connection) -> None:
        """Forget a connection, if it is there."""
        self._connections.pop(connection, None)


class Connection(asyncio.Protocol):
    """Sends a request and reads the response to it; then it is idle, or closed if anything about it is in doubt.

    What comes while nothing was asked, or after the end of a response, closes it: no job may get another's answer.

    Parameters
    ----------
    idle : Idle
        Where it goes when it may be used again.
    opened : set of Connection
        Where it stands from its opening until it is lost.
    """

    __slots__ = (
        "_body",
        "_fields",
        "_head",
        "_idle",
        "_idle_since",
        "_is_complete",
        "_is_head_only",
        "_keeps",
        "_opened",
        "_parser",
        "_received",
        "_started",
        "_status",
        "_timeout_s",
        "_transport",
        "_ttfb_s",
        "_waiter",
    )

    _waiter: asyncio.Future[Response] | None
    _head: dict[bytes, bytes] | None
    _fields: dict[bytes, bytes]
    _body: bytes | bytearray

    def __init__(self, idle: Idle, opened: set[Connection]) -> None:
        self._idle, self._opened = idle, opened
        self._waiter = None
        self._forget()
        self._parser = HttpResponseParser(self)
        # As lenient as other clients: a bare line feed, and a blank behind the size of a chunk.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True)

    def ask(self, message: bytes, *, started: float, timeout_s: float, is_head_only: bool) -> asyncio.Future[Response]:
        """Send a request; the future is its response, or a ``TransportError``.

        Parameters
        ----------
        started : float
            When its time began, by ``time.monotonic``.
        is_head_only : bool
            Whether the response has no body whatever its headers say.
        """
        self._started, self._timeout_s, self._is_head_only = started, timeout_s, is_head_only
        self._is_complete = self._keeps = False
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        return waiter

    def leave(self, waiter: asyncio.Future[Response]) -> None:
        """Close it, if the response to a request that was cancelled is still to come."""
        if self._waiter is waiter:
            self.fail(TransportError("dropped", "cancelled"))

    @property
    def is_busy(self) -> bool:
        """Whether a response is to come."""
        return self._waiter is not None

    @property
    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._transport.is_closing()

    def is_fresh(self, now: float) -> bool:
        """Whether it was not idle too long."""
        return now - self._idle_since < _IDLE_S

    def is_late(self, now: float) -> bool:
        """Whether a response should have come by now."""
        return self._waiter is not None and now - self._started >= self._timeout_s

    def time_out(self) -> None:
        """Fail the request that is under way, for its time is up."""
        self.fail(TransportError("timeout", f"no complete answer within {self._timeout_s:g} s"))

    def close(self) -> None:
        """Close it at once, without a farewell."""
        self._idle.remove(self)
        self._transport.abort()

    def fail(self, error: TransportError) -> None:
        """Close it, and fail the request that is under way."""
        waiter, self._waiter = self._waiter, None
        self.close()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    # What the event loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._opened.add(self)

    def data_received(self, data: bytes) -> None:
        """Read a piece of the response."""
        if self._waiter is None:
            self.close()  # nobody asked
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._is_complete:
                self.fail(TransportError("dropped", f"no HTTP/1.1: {error}"))
                return
            self._keeps = False  # there is more than the response
        if self._is_complete:
            self._finish(self._waiter)
        elif self._head is None and self._received > MAX_HEAD:
            self.fail(TransportError("dropped", f"the headers are larger than {MAX_HEAD >> 10} KiB"))
        elif self._received > MAX_BODY + MAX_HEAD:
            self.fail(TransportError("dropped", f"the body is larger than {MAX_BODY >> 20} MiB"))

    def eof_received(self) -> None:
        """Take the end for the end of a body of which nothing else says where it ends; the loop closes."""
        self._idle.remove(self)
        if self._waiter is not None and self._head is not None and _FRAMED.isdisjoint(self._head):
            self._keeps = False
            self._finish(self._waiter)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits."""
        self._opened.discard(self)
        self.fail(TransportError("dropped", f"the connection broke: {exc}" if exc else "the connection was closed"))

    # What the parser says.

    def on_message_begin(self) -> None:
        """Refuse a second response."""
        if self._is_complete:
            raise ValueError("a response that nobody asked for")
        self._fields = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; of a name that comes twice, the last counts."""
        self._fields[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Note when the headers had come; trailers are kept apart from them."""
        self._head, self._fields = self._fields, {}
        self._ttfb_s = monotonic() - self._started
        self._status = self._parser.get_status_code()
        self._is_complete = self._is_head_only and self._status >= 200

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        if not self._body:
            self._body = piece
            return
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += piece

    def on_message_complete(self) -> None:
        """Note that the response has come, unless it is an interim one."""
        if self._status == 101:
            raise ValueError("it wants to speak another protocol")
        if self._status < 200:
            self._head = None
        else:
            self._is_complete = True
            self._keeps = self._parser.should_keep_alive() and not self._is_head_only

    def _finish(self, waiter: asyncio.Future[Response]) -> None:
        self._waiter = None
        self._idle_since = monotonic()
        # What is still to be sent would be taken for the next request.
        keeps = self._keeps and not self._transport.get_write_buffer_size()
        if not (keeps and self._idle.put(self)):
            self._transport.abort()
        if not waiter.done():
            try:
                waiter.set_result(self._response())
            except TransportError as error:
                waiter.set_exception(error)
        self._forget()

    def _forget(self) -> None:
        """Let the response go, so that its memory can be used again."""
        self._status = self._received = 0
        self._head = None
        self._body = b""

    def _response(self) -> Response:
        assert self._head is not None
        body = bytes(self._body)
        if b"content-encoding" in self._head:
            body = unpack(body, self._head[b"content-encoding"].decode("latin-1"))
        if len(body) > MAX_BODY:
            raise TransportError("dropped", f"the body is larger than {MAX_BODY >> 20} MiB")
        return Response(self._status, Headers(self._head), body, self._ttfb_s)


class Headers(Mapping[str, str]):
    """Response headers, decoded when somebody asks; Latin-1 reads any byte."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[bytes, bytes]) -> None:
        self._fields = fields

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, as ``dict.get`` does."""
        value = self._fields.get(key.encode())
        return default if value is None else value.decode("latin-1")

    def __getitem__(self, key: str) -> str:
        return self._fields[key.encode()].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._fields)

    def __len__(self) -> int:
        return len(self._fields)
