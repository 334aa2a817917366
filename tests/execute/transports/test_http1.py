"""Our own transport: no job ever gets another's answer, and nothing is left open."""

from __future__ import annotations

import asyncio
import base64
import gzip
import socket
import time
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from execute_jobs import RawServer, Script, http, raw_server, says
from headgate.execute.transport import Request, Response, Target, TransportError
from headgate.execute.transports import dialling
from headgate.execute.transports.http1 import Http1Transport
from transport_faults import a_request, fail, opens, send

opener = opens("http1")
GREETING = http(b"nobody asked")


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handle: Handler) -> AsyncGenerator[str]:
    """Serve each connection as a test likes; wait for all of them at the end."""

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        try:
            await handle(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    tasks = list[Any]()
    listening = await asyncio.start_server(handled, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    finally:
        listening.close()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)


async def ask_twice(script: Script, *, pause_s: float) -> tuple[list[bytes], RawServer]:
    """Return the bodies of two requests one after the other."""
    async with raw_server(script) as server:
        transport, bodies = opener(), list[bytes]()
        for _ in range(2):
            bodies.append((await transport.send(a_request(server.url), timeout_s=5)).body)
            await asyncio.sleep(pause_s)
        await transport.aclose()
        return bodies, server


@pytest.mark.parametrize("pause_s", [0, 0.02])
@pytest.mark.parametrize(
    "surplus",
    [
        pytest.param(GREETING, id="a second response"),
        pytest.param(GREETING[:20], id="a part of one"),
        pytest.param(b"H", id="its first byte"),
        pytest.param(b"garbage", id="no HTTP"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="an interim one"),
    ],
)
def test_what_comes_with_a_response_is_no_answer_to_the_next_request(surplus: bytes, pause_s: float):
    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        numbers.append(len(numbers) + 1)
        writer.write(http(b"answer %d" % numbers[-1]) + surplus)

    numbers: list[int] = []
    bodies, server = asyncio.run(ask_twice(script, pause_s=pause_s))
    assert bodies == [b"answer 1", b"answer 2"]
    assert server.connections == 2


def test_what_comes_on_an_idle_connection_is_no_answer_to_the_next_request():
    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(http(b"asked"))
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(GREETING)

    bodies, server = asyncio.run(ask_twice(script, pause_s=0.05))
    assert bodies == [b"asked"] * 2
    assert server.connections == 2


def test_without_surplus_the_connection_is_kept():
    bodies, server = asyncio.run(ask_twice(says(http(b"asked")), pause_s=0))
    assert bodies == [b"asked"] * 2
    assert server.connections == 1


@pytest.mark.parametrize("end", ["timeout", "cancelled"])
def test_a_response_that_comes_too_late_is_no_answer_to_the_next_request(end: str):
    async def main() -> None:
        async def late(request: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.15)
            writer.write(http(request[-1:]))

        async with raw_server(late) as server:
            transport = opener()
            given_up = transport.send(a_request(server.url, body=b"1"), timeout_s=0.1 if end == "timeout" else 5)
            first = asyncio.create_task(given_up)
            while end == "cancelled" and not server.requests:
                await asyncio.sleep(0.01)
            if end == "cancelled":
                first.cancel()
            with pytest.raises((TransportError, asyncio.CancelledError)):
                await first
            assert (await transport.send(a_request(server.url, body=b"2"), timeout_s=5)).body == b"2"
            await transport.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("end", ["timeout", "cancelled"])
def test_the_connection_of_a_request_that_is_given_up_is_closed_at_once(end: str):
    async def main() -> None:
        asked, ended = asyncio.Event(), asyncio.Event()

        async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            while await reader.read(1000):
                asked.set()
            ended.set()

        async with serving(silent) as url:
            transport = opener()
            sending = asyncio.create_task(transport.send(a_request(url), timeout_s=0.05 if end == "timeout" else 60))
            await asyncio.wait_for(asked.wait(), 5)
            if end == "cancelled":
                sending.cancel()
            await asyncio.wait_for(ended.wait(), 5)
            with pytest.raises((TransportError, asyncio.CancelledError)):
                await sending
            await transport.aclose()

    asyncio.run(main())


def test_many_at_a_time_get_their_own_answers_while_some_are_cancelled_and_some_are_late():
    async def main() -> None:
        async def echo(request: bytes, writer: asyncio.StreamWriter) -> None:
            body = request.partition(b"\r\n\r\n")[2]
            await asyncio.sleep(int(body) % 7 / 200)
            writer.write(http(body))

        async def ask(number: int) -> bytes | None:
            sent = transport.send(a_request(server.url, body=b"%d" % number), timeout_s=0.02 if number % 11 == 0 else 5)
            task = asyncio.create_task(sent)
            if number % 5 == 0:
                asyncio.get_running_loop().call_later(number % 7 / 200, task.cancel)  # as the answer comes
            try:
                return (await task).body
            except (TransportError, asyncio.CancelledError):
                return None

        async def work(numbers: range) -> list[tuple[int, bytes | None]]:
            return [(number, await ask(number)) for number in numbers]

        async with raw_server(echo) as server:
            transport = opener()
            answers = await asyncio.gather(*(work(range(at * 30, at * 30 + 30)) for at in range(16)))
            await transport.aclose()
        pairs = [pair for each in answers for pair in each]
        assert all(body in {None, b"%d" % number} for number, body in pairs)
        assert sum(body is not None for _, body in pairs) > 300

    asyncio.run(main())


def test_a_server_that_closes_as_it_accepts_is_found_at_once():
    async def main() -> None:
        async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        async with serving(close) as url:
            transport, started = opener(), time.monotonic()
            sends = (transport.send(a_request(url), timeout_s=20) for _ in range(20))
            outcomes = await asyncio.gather(*sends, return_exceptions=True)
            await transport.aclose()
        assert [getattr(outcome, "kind", None) for outcome in outcomes] == ["dropped"] * 20
        assert time.monotonic() - started < 10

    asyncio.run(main())


def test_an_answer_before_the_body_was_taken_is_delivered_and_the_connection_closed():
    async def main() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(http(b"too much", status="413 Content Too Large"))
            while await reader.read(1 << 20):
                pass

        connections = 0
        async with serving(refuse) as url:
            transport = opener()
            for _ in range(2):
                response = await transport.send(a_request(url, body=bytes(32 << 20)), timeout_s=20)
                assert (response.status, response.body) == (413, b"too much")
            await transport.aclose()
        assert connections == 2

    asyncio.run(main())


def test_a_change_of_protocol_is_dropped():
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert fail(opener, says(upgrade)).kind == "dropped"
    assert fail(opener, says(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")).kind == "dropped"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_response_without_a_body_keeps_its_connection(status: str):
    head = f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode()
    bodies, server = asyncio.run(ask_twice(says(head), pause_s=0))
    assert bodies == [b"", b""]
    assert server.connections == 1


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_other_methods(method: str):
    async def main() -> Response:
        answer = http(b"{}") if method == "GET" else http(b"{}")[:-2]
        async with raw_server(says(answer)) as server:
            transport = opener()
            target = Target(server.url + "/v1/models?limit=1", {}, method=method)
            response = await transport.send(Request(target, b""), timeout_s=5)
            await transport.aclose()
            assert server.requests[0].startswith(f"{method} /v1/models?limit=1 HTTP/1.1\r\n".encode())
            assert b"content-length" not in server.requests[0]
            return response

    response = asyncio.run(main())
    assert (response.status, response.headers["content-length"]) == (200, "2")
    assert response.body == (b"{}" if method == "GET" else b"")


def test_endless_headers_are_cut_off():
    async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-A: " + b"a" * 60_000 + b"\r\n")
            await writer.drain()

    error = fail(opener, endless)
    assert (error.kind, str(error)) == ("dropped", "the headers are larger than 256 KiB")


def test_trailers_do_not_count_as_headers():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Request-Id: r-1\r\n\r\n"
    response, _ = send(opener, says(head + b"2\r\n{}\r\n0\r\nX-Request-Id: forged\r\nContent-Encoding: gzip\r\n\r\n"))
    assert (response.headers["x-request-id"], response.body) == ("r-1", b"{}")
    assert "content-encoding" not in response.headers


def test_the_time_to_the_headers_is_told():
    async def slowly(_: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(http(b"{}")[:-2])
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(b"{}")

    ttfb_s = send(opener, slowly)[0].ttfb_s
    assert ttfb_s is not None
    assert 0.05 <= ttfb_s < 0.15


def test_a_timeout_is_never_early():
    async def silent(_: bytes, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async def main() -> None:
        async with raw_server(silent) as server:
            transport = opener()
            for timeout_s in (0.03, 0.055, 0.06, 0.065):  # the transport looks every 50 ms
                started = time.monotonic()
                with pytest.raises(TransportError):
                    await transport.send(a_request(server.url), timeout_s=timeout_s)
                assert time.monotonic() - started >= timeout_s
            await transport.aclose()

    asyncio.run(main())


def test_a_connection_that_was_idle_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("headgate.execute.transports.http1_connection._IDLE_S", 0.02)
    bodies, server = asyncio.run(ask_twice(says(http(b"{}")), pause_s=0.05))
    assert len(bodies) == server.connections == 2


def test_no_more_idle_connections_are_kept_than_asked_for():
    async def main() -> None:
        async def slowly(_: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.03)
            writer.write(http(b"{}"))

        async with raw_server(slowly) as server:
            transport = Http1Transport(connections=2)
            for _ in range(2):
                await asyncio.gather(*(transport.send(a_request(server.url), timeout_s=5) for _ in range(5)))
            await transport.aclose()
            assert server.connections == 5 + 3

    asyncio.run(main())


def test_a_name_is_looked_up_once_for_many_connections(monkeypatch: pytest.MonkeyPatch):
    lookups: list[str] = []
    look_up = dialling.look_up

    async def counted(host: str, port: int):
        lookups.append(host)
        await asyncio.sleep(0.02)
        return await look_up(host, port)

    monkeypatch.setattr(dialling, "look_up", counted)

    async def main() -> None:
        async with raw_server(says(http(b"{}"))) as server:
            transport = opener()
            url = server.url.replace("127.0.0.1", "localhost")
            sends = [asyncio.create_task(transport.send(a_request(url), timeout_s=5)) for _ in range(20)]
            await asyncio.sleep(0.01)
            sends[0].cancel()  # it does not take the others' lookup with it
            outcomes = await asyncio.gather(*sends, return_exceptions=True)
            await transport.aclose()
            assert [getattr(outcome, "status", None) for outcome in outcomes] == [None, *[200] * 19]

    asyncio.run(main())
    assert lookups == ["localhost"]


def test_closing_ends_what_is_still_connecting():
    async def main() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
            transport = Http1Transport(connections=8)
            sends = [asyncio.create_task(transport.send(a_request(url), timeout_s=60)) for _ in range(8)]
            await asyncio.sleep(0.05)
            await transport.aclose()
            outcomes = await asyncio.wait_for(asyncio.gather(*sends, return_exceptions=True), 2)
            assert [getattr(outcome, "kind", None) for outcome in outcomes] == ["dropped"] * 8
            with pytest.raises(TransportError, match="closed"):
                await transport.send(a_request(url), timeout_s=60)

    asyncio.run(main())


def test_a_login_in_the_url_is_sent_as_basic_authorization():
    async def main() -> bytes:
        async with raw_server(says(http(b"{}"))) as server:
            transport = opener()
            target = Target(server.url.replace("http://", "http://me%40home:p%3Aw@"), {})
            await transport.send(Request(target, b""), timeout_s=5)
            await transport.aclose()
            return server.requests[0]

    assert b"Authorization: Basic " + base64.b64encode(b"me@home:p:w") + b"\r\n" in asyncio.run(main())


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("deflate", zlib.compress(b"{}" * 99)),
        ("deflate", zlib.compress(b"{}" * 99, wbits=-15)),
        ("X-GZIP", gzip.compress(b"{}" * 90) + gzip.compress(b"{}" * 9)),
        ("identity", b"{}" * 99),
        ("gzip", b""),
    ],
)
def test_packed_bodies(coding: str, packed: bytes):
    response, server = send(opener, says(http(packed, headers={"Content-Encoding": coding})))
    assert response.body == (b"{}" * 99 if packed else b"")
    assert b"Accept-Encoding: identity\r\n" in server.requests[0]


def test_a_packed_body_that_ends_early_is_dropped():
    packed = gzip.compress(bytes(range(256)))[:-9]
    assert fail(opener, says(http(packed, headers={"Content-Encoding": "gzip"}))).kind == "dropped"


@pytest.mark.parametrize(
    "framing", [b"\nContent-Length: 2\n\n{}", b"\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n"]
)
def test_small_slips_of_servers_are_passed_over(framing: bytes):
    assert send(opener, says(b"HTTP/1.1 200 OK" + framing))[0].body == b"{}"


def test_an_open_end_of_which_the_length_is_not_told():
    response, server = send(opener, says(b"HTTP/1.0 200 OK\r\nX-A: b\r\n\r\n", b"{}", close=True))
    assert (response.body, response.headers["x-a"]) == (b"{}", "b")
    assert server.connections == 1


def test_such_a_body_is_not_whole_when_the_connection_breaks():
    async def breaks(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0.02)
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # a reset, not an end
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    assert fail(opener, breaks).kind == "dropped"
