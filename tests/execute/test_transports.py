"""Both transports against the same real faults on loopback."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from execute_jobs import RawServer, Script, http, raw_server, says
from headgate.execute.transport import MAX_BODY, Request, Response, Target, Transport, TransportError
from headgate.execute.transports import TransportName, open_transport
from headgate.execute.transports.httpx_client import HttpxTransport

Opener = Callable[[], Transport]


def own_client() -> Transport:
    return HttpxTransport(httpx.AsyncClient())


OPENERS: dict[str, Opener] = {
    "pyreqwest": lambda: open_transport("pyreqwest", connections=8),
    "aiohttp": lambda: open_transport("aiohttp", connections=8),
    "httpx": lambda: open_transport("httpx", connections=8),
    "own httpx client": own_client,
}


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> Opener:
    return OPENERS[request.param]


def a_request(url: str) -> Request:
    headers = {"content-type": "application/json", "authorization": "Bearer sk-canary"}
    return Request(Target(url, headers), b'{"model":"m"}')


async def exchange(opener: Opener, url: str, *, timeout_s: float = 5.0) -> Response:
    transport = opener()
    try:
        return await transport.send(a_request(url), timeout_s=timeout_s)
    finally:
        await transport.aclose()


def send(opener: Opener, script: Script, *, timeout_s: float = 5.0) -> tuple[Response, RawServer]:
    async def main() -> tuple[Response, RawServer]:
        async with raw_server(script) as server:
            return await exchange(opener, server.url + "/v1/chat/completions", timeout_s=timeout_s), server

    return asyncio.run(main())


def fail(opener: Opener, script: Script, *, timeout_s: float = 5.0) -> TransportError:
    with pytest.raises(TransportError) as caught:
        send(opener, script, timeout_s=timeout_s)
    return caught.value


def fail_url(opener: Opener, url: str) -> TransportError:
    with pytest.raises(TransportError) as caught:
        asyncio.run(exchange(opener, url))
    return caught.value


def test_a_response_comes_whole(opener: Opener):
    response, server = send(opener, says(http(b'{"ok":1}', headers={"X-Request-ID": "r-1", "Retry-After": "3"})))
    assert (response.status, response.body) == (200, b'{"ok":1}')
    assert response.headers["x-request-id"] == "r-1"
    assert response.headers["retry-after"] == "3"
    assert all(name == name.lower() for name in response.headers)
    assert response.ttfb_s is None or 0 < response.ttfb_s < 5
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


def test_100_kb_come_whole(opener: Opener):
    body = bytes(range(256)) * 400
    response, _ = send(opener, says(http(body)))
    assert response.body == body


def test_an_empty_body_is_a_response(opener: Opener):
    assert send(opener, says(http(b"")))[0].body == b""


def test_a_body_larger_than_the_limit_is_cut_off(opener: Opener):
    packed = gzip.compress(bytes(MAX_BODY + 1), compresslevel=1)
    error = fail(opener, says(http(packed, headers={"Content-Encoding": "gzip"})), timeout_s=30)
    assert error.kind == "dropped"
    assert "larger than 64 MiB" in str(error)


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
        pytest.param(says(http(b"not gzip", headers={"Content-Encoding": "gzip"})), id="no gzip"),
    ],
)
def test_a_broken_connection_is_dropped(opener: Opener, script: Script):
    assert fail(opener, script).kind == "dropped"


def test_a_long_body_cut_short_is_dropped(opener: Opener):
    async def cut(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + bytes(400_000))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()

    assert fail(opener, cut).kind == "dropped"


def test_a_reset_is_dropped(opener: Opener):
    async def reset(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    assert fail(opener, reset).kind == "dropped"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nothing_listens(opener: Opener):
    assert fail_url(opener, f"http://127.0.0.1:{free_port()}/v1").kind == "connect"


def test_no_such_host(opener: Opener):
    error = fail_url(opener, "http://no-such-host.invalid/v1")
    assert error.kind == "dns", str(error)


def test_no_error_shows_the_key_or_a_login(opener: Opener):
    error = fail_url(opener, f"http://user:hunter2@127.0.0.1:{free_port()}/v1?token=hunter3")
    chain: BaseException | None = error
    assert "hunter" not in str(chain)
    assert "sk-canary" not in f"{chain!r}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("a certificate is made with the openssl command line, which is not here")
    folder: Path = tmp_path_factory.mktemp("tls")
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=127.0.0.1"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([openssl, *command.split(), *files, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_certificate_nobody_signed_is_refused(opener: Opener, certificate: ssl.SSLContext):
    async def main() -> tuple[TransportError, RawServer]:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side of the handshake
        async with raw_server(says(http(b"{}")), tls=certificate) as server:
            with pytest.raises(TransportError) as caught:
                await exchange(opener, server.url)
            return caught.value, server

    error, server = asyncio.run(main())
    assert error.kind == "tls", str(error)
    assert server.requests == []


async def wait_forever(_: bytes, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def trickle(_: bytes, writer: asyncio.StreamWriter) -> None:
    """Send a byte every 20 ms, so that no single read waits long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _byte in range(1000):
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("script", [wait_forever, trickle])
def test_the_timeout_is_over_the_whole_exchange(
    opener: Opener, script: Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
):
    started = time.monotonic()
    error = fail(opener, script, timeout_s=0.3)
    assert error.kind == "timeout"
    assert "0.3 s" in str(error)
    assert 0.25 < time.monotonic() - started < 0.9


def test_waiting_for_a_connection_counts_against_the_timeout():
    async def main(name: TransportName) -> None:
        async with raw_server(wait_forever) as server:
            transport = open_transport(name, connections=1)
            started = time.monotonic()
            outcomes = await asyncio.gather(
                *(transport.send(a_request(server.url), timeout_s=0.3) for _ in range(3)), return_exceptions=True
            )
            await transport.aclose()
            assert time.monotonic() - started < 0.9
            assert [getattr(outcome, "kind", None) for outcome in outcomes] == ["timeout"] * 3

    for name in ("aiohttp", "httpx"):
        asyncio.run(main(name))


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


def test_a_cancelled_send_is_no_transport_error(opener: Opener):
    async def main() -> None:
        async with raw_server(wait_forever) as server:
            transport = opener()
            task = asyncio.create_task(transport.send(a_request(server.url), timeout_s=5))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await transport.aclose()

    asyncio.run(main())


def test_a_redirect_is_not_followed(opener: Opener):
    async def main() -> None:
        async with raw_server(says(http(b"{}"))) as elsewhere:
            moved = http(b"", status="307 Temporary Redirect", headers={"Location": elsewhere.url})
            async with raw_server(says(moved)) as server:
                response = await exchange(opener, server.url)
            assert response.status == 307
            assert elsewhere.requests == []

    asyncio.run(main())


@pytest.mark.parametrize("name", ["aiohttp", "httpx"])
def test_cookies_are_not_kept(name: TransportName):
    async def main() -> None:
        async with raw_server(says(http(b"{}", headers={"Set-Cookie": "sid=1; Path=/"}))) as server:
            transport = open_transport(name, connections=2)
            for _ in range(2):
                await transport.send(a_request(server.url), timeout_s=5)
            await transport.aclose()
            assert len(server.requests) == 2
            assert not any(b"sid=1" in request for request in server.requests)

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


def test_the_pool_has_the_size_asked_for():
    async def main(name: TransportName) -> None:
        async def slowly(_: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.05)
            writer.write(http(b"{}"))

        async with raw_server(slowly) as server:
            transport = open_transport(name, connections=4)
            await asyncio.gather(*(transport.send(a_request(server.url), timeout_s=5) for _ in range(16)))
            await transport.aclose()
            assert (len(server.requests), server.connections) == (16, 4)

    for name in ("aiohttp", "httpx"):
        asyncio.run(main(name))


@pytest.mark.parametrize("name", ["aiohttp", "httpx"])
def test_a_proxy_of_the_environment_is_used_but_not_for_loopback(name: TransportName, monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        async with raw_server(says(http(b'{"via":"proxy"}'))) as proxy, raw_server(says(http(b"{}"))) as server:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            transport = open_transport(name, connections=4)
            near = await transport.send(a_request(server.url), timeout_s=5)
            far = await transport.send(a_request("http://models.invalid/v1"), timeout_s=5)
            await transport.aclose()
            assert (near.body, far.body) == (b"{}", b'{"via":"proxy"}')

    asyncio.run(main())


def test_netrc_does_not_meddle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opener: Opener):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    _, server = send(opener, says(http(b"{}")))
    assert b"authorization: bearer sk-canary" in server.requests[0].lower()


def test_a_mock_transport_works():
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer sk-canary"
        return httpx.Response(200, json={"url": str(request.url)})

    transport = HttpxTransport(httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    response = asyncio.run(exchange(lambda: transport, "http://mock/v1"))
    assert response.body == b'{"url":"http://mock/v1"}'


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (httpx.ConnectTimeout("slow"), "timeout"),
        (httpx.ReadError("reset"), "dropped"),
        (httpx.RemoteProtocolError("eof"), "dropped"),
        (httpx.ConnectError("refused"), "connect"),
        (httpx.ProxyError("403"), "connect"),
    ],
)
def test_what_a_users_client_raises_is_classified(raised: httpx.HTTPError, kind: str):
    def answer(_: httpx.Request) -> httpx.Response:
        raise raised

    transport = HttpxTransport(httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    assert fail_url(lambda: transport, "http://mock/v1").kind == kind
