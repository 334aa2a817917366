"""Responses in any pieces: the same as a simple reader finds in the whole."""

from __future__ import annotations

import asyncio
import http.client
import io
import itertools
from collections.abc import Iterator
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.execute.transport import Response
from headgate.execute.transports.http1_connection import Connection, Idle

TOKEN = st.from_regex(r"x-[a-zA-Z0-9-]{1,8}", fullmatch=True)
VALUE = st.from_regex(r"[!-~\xa1-\xff]([\t -~\xa1-\xff]{0,12}[!-~\xa1-\xff])?", fullmatch=True)
HEADERS = st.dictionaries(TOKEN, VALUE, max_size=4)
STATUSES = st.sampled_from([200, 201, 204, 304, 400, 404, 429, 500, 529, 599])


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, str]:
    """Draw a whole response, and how the end of its body is told."""
    status, framing = draw(STATUSES), draw(st.sampled_from(["length", "chunked", "close"]))
    body = b"" if status in {204, 304} else draw(st.binary(max_size=200))
    lines = [f"{name}: {value}" for name, value in draw(HEADERS).items()]
    if status in {204, 304}:
        framing = "none"
    elif framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(_chunks(body, draw(st.integers(1, 60)), draw(st.sampled_from(["", ";a=b"])))) + b"0\r\n"
        body += draw(st.sampled_from([b"\r\n", b"X-Trailer: t\r\n\r\n"]))
    head = "\r\n".join([f"HTTP/1.1 {status} {draw(st.sampled_from(['OK', '', 'What ever']))}", *lines, "", ""])
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hint\r\nx-z: y\r\n\r\n"]))
    return interim + head.encode("latin-1") + body, framing


def _chunks(body: bytes, size: int, extension: str) -> Iterator[bytes]:
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        yield b"%x%b\r\n%b\r\n" % (len(piece), extension.encode(), piece)


class Wire(asyncio.Transport):
    """The far end, which takes what is sent and tells whether it was closed."""

    def __init__(self) -> None:
        self.is_aborted, self.unsent = False, 0

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def get_write_buffer_size(self) -> int:
        return self.unsent


def read_in_pieces(whole: bytes, cuts: list[int], *, ends: bool) -> tuple[Response, Wire]:
    async def main() -> tuple[Response, Wire]:
        wire, connection = Wire(), Connection(Idle(1), set())
        connection.connection_made(wire)
        waiter = connection.ask(b"", started=0.0, timeout_s=5.0, is_head_only=False)
        bounds = [0, *sorted(cuts), len(whole)]
        for start, end in itertools.pairwise(bounds):
            assert not waiter.done() or start == end
            if start < end:
                connection.data_received(whole[start:end])
        if ends:
            assert not waiter.done()
            connection.eof_received()
        assert waiter.done()
        return waiter.result(), wire

    return asyncio.run(main())


class _Socket:
    def __init__(self, whole: bytes) -> None:
        self.whole = whole

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self.whole)


def read_simply(whole: bytes) -> tuple[int, dict[str, str], bytes]:
    while whole.startswith(b"HTTP/1.1 1"):  # http.client passes over 100 only
        whole = whole.partition(b"\r\n\r\n")[2]
    found = http.client.HTTPResponse(cast("Any", _Socket(whole)), method="POST")
    found.begin()
    return found.status, {name.lower(): value for name, value in found.getheaders()}, found.read()


@settings(max_examples=150, deadline=None)
@given(responses(), st.data())
def test_a_response_cut_anywhere_reads_like_the_whole(drawn: tuple[bytes, str], data: st.DataObject):
    whole, framing = drawn
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=12))
    response, wire = read_in_pieces(whole, cuts, ends=framing == "close")
    status, headers, body = read_simply(whole)
    assert (response.status, dict(response.headers), response.body) == (status, headers, body)
    assert wire.is_aborted == (framing == "close")


def test_what_comes_before_the_request_closes():
    wire, connection = Wire(), Connection(Idle(1), set())
    connection.connection_made(wire)
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert wire.is_aborted


def test_a_response_while_the_request_is_still_being_sent_closes():
    async def main() -> None:
        wire, idle = Wire(), Idle(1)
        connection = Connection(idle, set())
        connection.connection_made(wire)
        waiter = connection.ask(b"", started=0.0, timeout_s=5.0, is_head_only=False)
        wire.unsent = 1
        connection.data_received(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        assert (await waiter).status == 413
        assert wire.is_aborted
        assert idle.take(0.0) is None

    asyncio.run(main())
