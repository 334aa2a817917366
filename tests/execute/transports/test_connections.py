"""Connections: none, late, broken, kept, given back."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from execute_jobs import RawServer, http, raw_server, says
from headgate.execute.transport import TransportError
from transport_faults import CONNECT_TIMEOUT_S, Opener, a_request, exchange, fail, fail_url, send


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_reset_is_dropped(opener: Opener):
    async def reset(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    assert fail(opener, reset).kind == "dropped"


def test_nothing_listens(opener: Opener):
    assert fail_url(opener, f"http://127.0.0.1:{free_port()}/v1").kind == "connect"


def test_nothing_listens_and_then_something_does(opener: Opener):
    async def main() -> None:
        port = free_port()
        transport = opener()
        request = a_request(f"http://127.0.0.1:{port}/v1")
        with pytest.raises(TransportError):
            await transport.send(request, timeout_s=5)
        server = RawServer(says(http(b"{}")))
        listening = await asyncio.start_server(server.handle, "127.0.0.1", port)
        assert (await transport.send(request, timeout_s=5)).status == 200
        await transport.aclose()
        listening.close()

    asyncio.run(main())


def test_no_such_host(opener: Opener):
    error = fail_url(opener, "http://no-such-host.invalid/v1")
    assert error.kind == "dns", str(error)


@contextmanager
def full_backlog() -> Iterator[str]:
    """Listen, and never accept: the kernel drops who comes after the queue is full."""
    waiting: list[socket.socket] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(listener.getsockname())
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            for each in waiting:
                each.close()


def test_a_connection_that_does_not_come_about(opener: Opener):
    started = time.monotonic()
    with full_backlog() as url:
        error = fail_url(opener, url, timeout_s=20)
    assert error.kind == "connect"
    assert CONNECT_TIMEOUT_S - 0.1 < time.monotonic() - started < 10


def test_the_timeout_bounds_the_connecting_too(opener: Opener):
    with full_backlog() as url:
        assert fail_url(opener, url, timeout_s=0.3).kind == "timeout"


@pytest.mark.skipif(not socket.has_ipv6, reason="IPv6")
def test_ipv6(opener: Opener):
    async def main() -> None:
        server = RawServer(says(http(b"{}")))
        try:
            listening = await asyncio.start_server(server.handle, "::1", 0)
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
        response = await exchange(opener, f"http://[::1]:{listening.sockets[0].getsockname()[1]}/v1")
        assert response.status == 200
        listening.close()

    asyncio.run(main())


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/v1", "http://[::1/v1", "http://127.0.0.1:port/v1"])
def test_what_is_no_url_is_not_repeated(opener: Opener, url: str):
    error = fail_url(opener, url)
    assert error.kind == "connect"
    assert "127" not in str(error)


SECRET = "hunter2"


@pytest.mark.parametrize("url", ["http://u:{}@127.0.0.1:{}/v1?token={}", "http://u:{}@h:{}9999/v1?token={}"])
def test_no_error_shows_the_key_or_a_login(opener: Opener, url: str):
    error = fail_url(opener, url.format(SECRET, free_port(), SECRET))
    shown = "".join(traceback.format_exception(error))
    assert SECRET not in shown
    assert "sk-canary" not in shown


def test_a_server_that_drops_does_not_make_us_show_a_login(opener: Opener):
    async def main() -> list[str]:
        async def reset(_: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(http(b"{}"))
            await writer.drain()
            writer.close()

        async with raw_server(reset) as server:
            transport, shown = opener(), []
            for _ in range(20):
                try:
                    await transport.send(a_request(server.url + "/v1?token=" + SECRET), timeout_s=5)
                except TransportError as error:
                    shown += traceback.format_exception(error)
            await transport.aclose()
            return shown

    assert SECRET not in "".join(asyncio.run(main()))


def test_a_kept_connection_that_was_closed_while_idle_is_not_used(opener: Opener):
    async def main() -> None:
        async def once(_: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(http(b"{}"))
            await writer.drain()
            writer.close()

        async with raw_server(once) as server:
            transport = opener()
            for _ in range(5):
                assert (await transport.send(a_request(server.url), timeout_s=5)).status == 200
                await asyncio.sleep(0.05)  # the end of the connection arrives
            await transport.aclose()
            assert (len(server.requests), server.connections) == (5, 5)

    asyncio.run(main())


def test_a_kept_connection_that_breaks_under_a_request_is_dropped_and_the_next_works(opener: Opener):
    async def main() -> None:
        async def second_breaks(_: bytes, writer: asyncio.StreamWriter) -> None:
            if len(server.requests) == 2:
                writer.transport.abort()
            else:
                writer.write(http(b"{}"))

        async with raw_server(second_breaks) as server:
            transport = opener()
            request = a_request(server.url)
            assert (await transport.send(request, timeout_s=5)).status == 200
            with pytest.raises(TransportError) as caught:
                await transport.send(request, timeout_s=5)
            assert caught.value.kind == "dropped"
            assert (await transport.send(request, timeout_s=5)).status == 200
            await transport.aclose()
            assert len(server.requests) == 3  # the server had it: it is for the engine to send it again, not for us

    asyncio.run(main())


def test_connections_are_reused(opener: Opener):
    async def main() -> None:
        async with raw_server(says(http(b"{}"))) as server:
            transport = opener()
            for _ in range(20):
                await transport.send(a_request(server.url), timeout_s=5)
            await transport.aclose()
            assert (len(server.requests), server.connections) == (20, 1)

    asyncio.run(main())


def test_as_many_connections_are_kept_as_were_asked_for(pool: Opener):
    async def main() -> None:
        async def slowly(_: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.05)
            writer.write(http(b"{}"))

        async with raw_server(slowly) as server:
            transport = pool()
            for _ in range(3):
                await asyncio.gather(*(transport.send(a_request(server.url), timeout_s=5) for _ in range(8)))
            await transport.aclose()
            assert (len(server.requests), server.connections) == (24, 8)

    asyncio.run(main())


async def wait_forever(_: bytes, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


def test_the_timeout_holds_with_more_requests_than_connections(opener: Opener):
    async def main() -> None:
        async with raw_server(wait_forever) as server:
            transport = opener()
            started = time.monotonic()
            outcomes = await asyncio.gather(
                *(transport.send(a_request(server.url), timeout_s=0.3) for _ in range(20)), return_exceptions=True
            )
            await transport.aclose()
            assert time.monotonic() - started < 0.9
            assert [getattr(outcome, "kind", None) for outcome in outcomes] == ["timeout"] * 20

    asyncio.run(main())


def test_a_timeout_gives_its_connection_back(opener: Opener):
    async def main() -> None:
        async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
            if len(server.requests) <= 8:
                await asyncio.sleep(30)
            writer.write(http(b"{}"))

        async with raw_server(script) as server:
            transport = opener()
            late = (transport.send(a_request(server.url), timeout_s=0.2) for _ in range(8))  # as many as the pool holds
            outcomes = await asyncio.gather(*late, return_exceptions=True)
            assert [getattr(outcome, "kind", None) for outcome in outcomes] == ["timeout"] * 8
            assert (await transport.send(a_request(server.url), timeout_s=2)).status == 200
            await transport.aclose()

    asyncio.run(main())


def test_cancelled_sends_are_no_transport_errors_and_do_not_hold_up_others(opener: Opener):
    async def main() -> None:
        async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
            if len(server.requests) <= 8:
                await asyncio.sleep(30)
            writer.write(http(b"{}"))

        async with raw_server(script) as server:
            transport = opener()
            tasks = [asyncio.create_task(transport.send(a_request(server.url), timeout_s=60)) for _ in range(8)]
            while len(server.requests) < 8:
                await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
            assert (await transport.send(a_request(server.url), timeout_s=2)).status == 200
            await transport.aclose()

    asyncio.run(main())


def test_a_cancellation_is_not_lost_when_the_answer_comes_at_that_moment(opener: Opener):
    async def main() -> None:
        writers: list[asyncio.StreamWriter] = []

        async def hold(_: bytes, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)

        async with raw_server(hold) as server:
            transport = opener()
            for count in range(1, 21):
                task = asyncio.create_task(transport.send(a_request(server.url), timeout_s=60))
                while len(writers) < count:
                    await asyncio.sleep(0.001)
                writers[-1].write(http(b"{}"))
                time.sleep(0.02)  # noqa: ASYNC251 - the answer arrives while the loop is busy, and so does the end
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await transport.aclose()

    asyncio.run(main())


def test_closing_ends_what_is_in_flight(pool: Opener):
    async def main() -> None:
        async with raw_server(wait_forever) as server:
            transport = pool()
            task = asyncio.create_task(transport.send(a_request(server.url), timeout_s=60))
            while not server.requests:
                await asyncio.sleep(0.01)
            await transport.aclose()
            with pytest.raises(TransportError) as caught:
                await asyncio.wait_for(task, 5)
            assert caught.value.kind == "dropped"

    asyncio.run(main())


def test_a_transport_leaves_no_descriptors_behind(pool: Opener):
    def descriptors() -> int:
        gc.collect()
        return len(list(Path("/dev/fd").iterdir()))

    async def main() -> None:
        async with raw_server(says(http(b"{}"))) as server:
            transport = pool()
            await transport.send(a_request(server.url), timeout_s=5)  # the first one starts threads and the like
            await transport.aclose()
            await asyncio.sleep(0.1)
            before = descriptors()
            for _ in range(5):
                transport = pool()
                sends = (transport.send(a_request(server.url), timeout_s=5) for _ in range(8))
                await asyncio.gather(*sends)
                await transport.aclose()
            del transport
            deadline = time.monotonic() + 5
            while descriptors() > before + 4 and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
            assert descriptors() <= before + 4

    asyncio.run(main())


def test_netrc_does_not_meddle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opener: Opener):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    _, server = send(opener, says(http(b"{}")))
    assert b"authorization: bearer sk-canary" in server.requests[0].lower()
