"""What comes back: status, headers and body, whole or not at all."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable

import pyarrow as pa
import pytest

from execute_jobs import Script, http, raw_server, says
from headgate.execute.transport import MAX_BODY
from transport_faults import OPENERS, PATH, Opener, a_request, exchange, fail, send


def test_a_response_comes_whole(opener: Opener):
    response, server = send(opener, says(http(b'{"ok":1}', headers={"X-Request-ID": "r-1", "Retry-After": "3"})))
    assert (response.status, response.body) == (200, b'{"ok":1}')
    assert response.headers["x-request-id"] == "r-1"
    assert response.headers["retry-after"] == "3"
    assert all(name == name.lower() for name in response.headers)
    (sent,) = server.requests
    assert sent.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert sent.endswith(b'\r\n\r\n{"model":"m"}')
    assert b"authorization: bearer sk-canary" in sent.lower()


def test_an_error_status_is_a_response(opener: Opener):
    response, _ = send(opener, says(http(b"busy", status="429 Too Many Requests", headers={"retry-after-ms": "20"})))
    assert (response.status, response.body, response.headers["retry-after-ms"]) == (429, b"busy", "20")


def test_a_gzip_body_is_unpacked(opener: Opener):
    packed = gzip.compress(b'{"n":1}' * 50)
    response, _ = send(opener, says(http(packed, headers={"Content-Encoding": "gzip"})))
    assert response.body == b'{"n":1}' * 50


def test_a_chunked_body_comes_whole(opener: Opener):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    response, _ = send(opener, says(head, b"3\r\nabc\r\n", b"4\r\ndefg\r\n0\r\n\r\n"))
    assert response.body == b"abcdefg"


def test_a_body_in_small_pieces_comes_whole(opener: Opener):
    body = bytes(range(256)) * 800
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = [body[at : at + 999] for at in range(0, len(body), 999)]
    pieces = [b"%x\r\n%s\r\n" % (len(part), part) for part in parts]
    response, _ = send(opener, says(head, *pieces, b"0\r\n\r\n"))
    assert response.body == body


def test_100_kb_go_and_come_whole(opener: Opener):
    body = bytes(range(256)) * 400

    async def main() -> None:
        async with raw_server(says(http(body))) as server:
            transport = opener()
            response = await transport.send(a_request(server.url + PATH, body=body), timeout_s=5)
            await transport.aclose()
        assert response.body == body
        assert server.requests[0].endswith(b"\r\n\r\n" + body)

    asyncio.run(main())


def test_an_empty_body_is_a_response(opener: Opener):
    assert send(opener, says(http(b"")))[0].body == b""


def test_interim_responses_are_passed_over(opener: Opener):
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    response, _ = send(opener, says(early + http(b'{"ok":1}')))
    assert (response.status, response.body) == (200, b'{"ok":1}')


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "chunked"])
def test_a_body_larger_than_the_limit_is_cut_off(opener: Opener, packed: bool):
    async def chunks(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _chunk in range(70):
            writer.write(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    bomb = gzip.compress(bytes(MAX_BODY + 1), compresslevel=1)
    script = says(http(bomb, headers={"Content-Encoding": "gzip"})) if packed else chunks
    error = fail(opener, script, timeout_s=30)
    assert error.kind == "dropped"
    assert "larger than 64 MiB" in str(error)


def test_a_length_beyond_the_limit_is_not_waited_for(opener: Opener):
    async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        while True:
            writer.write(bytes(1 << 20))
            await writer.drain()

    assert "larger than 64 MiB" in str(fail(opener, endless, timeout_s=30))


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(says(close=True), id="before the response"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nConte", close=True), id="in the headers"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nabc", close=True), id="in the body"),
        pytest.param(
            says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", close=True), id="in a chunk"
        ),
        pytest.param(
            says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", close=True), id="between chunks"
        ),
        pytest.param(says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", close=True), id="no HTTP"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 7\r\n\r\nabcdefg", close=True), id="two lengths"),
        pytest.param(says(http(b"not gzip", headers={"Content-Encoding": "gzip"})), id="no gzip"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 2\r\n\r\n{}", close=True), id="a NUL"),
    ],
)
def test_a_broken_response_is_dropped(opener: Opener, script: Script):
    assert fail(opener, script).kind == "dropped"


def test_a_long_body_cut_short_is_dropped(opener: Opener):
    async def cut(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + bytes(400_000))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()

    assert fail(opener, cut).kind == "dropped"


def test_odd_bytes_in_a_header_can_be_stored(opener: Opener):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Odd: caf\xe9 \xff\xfe\r\nX-Request-Id: r-1\r\n\r\n{}"
    if opener is OPENERS["httpx"]:  # pyreqwest's adapter for httpx cannot read them
        assert fail(opener, says(head)).kind == "dropped"
        return
    response, _ = send(opener, says(head))
    assert response.headers["x-request-id"] == "r-1"
    pa.array(list(response.headers.values())).validate(full=True)


def test_repeated_headers_do_not_hide_the_others(opener: Opener):
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Request-Id: r-1\r\nContent-Length: 2\r\n\r\n{}"
    response, _ = send(opener, says(head))
    assert response.headers["x-request-id"] == "r-1"
    assert all(isinstance(value, str) for value in response.headers.values())


async def wait_forever(_: bytes, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def trickle(_: bytes, writer: asyncio.StreamWriter) -> None:
    """Send a byte every 20 ms, so that no single read waits long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _byte in range(1000):
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.02)


async def stop_after_100_kb(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + bytes(100_000))
    await writer.drain()
    await asyncio.sleep(30)


@pytest.mark.parametrize("script", [wait_forever, trickle, stop_after_100_kb])
def test_the_timeout_is_over_the_whole_exchange(
    opener: Opener, script: Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
):
    started = time.monotonic()
    error = fail(opener, script, timeout_s=0.3)
    assert error.kind == "timeout"
    assert "0.3 s" in str(error)
    assert 0.25 < time.monotonic() - started < 0.9


def test_a_slow_trickle_that_ends_in_time_comes_whole(opener: Opener):
    async def slowly(_: bytes, writer: asyncio.StreamWriter) -> None:
        for byte in http(b'{"ok":1}'):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.002)

    assert send(opener, slowly)[0].body == b'{"ok":1}'


def test_a_redirect_is_not_followed(opener: Opener):
    async def main() -> None:
        async with raw_server(says(http(b"{}"))) as elsewhere:
            moved = http(b"", status="307 Temporary Redirect", headers={"Location": elsewhere.url})
            async with raw_server(says(moved)) as server:
                response = await exchange(opener, server.url)
            assert response.status == 307
            assert elsewhere.requests == []

    asyncio.run(main())


def test_cookies_are_not_kept(pool: Opener):
    async def main() -> None:
        async with raw_server(says(http(b"{}", headers={"Set-Cookie": "sid=1; Path=/"}))) as server:
            transport = pool()
            for _ in range(2):
                await transport.send(a_request(server.url), timeout_s=5)
            await transport.aclose()
            assert len(server.requests) == 2
            assert not any(b"sid=1" in request for request in server.requests)

    asyncio.run(main())
