"""Proxies that the environment names: used for the world, not for this machine."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from execute_jobs import http, raw_server, says
from headgate.execute.transport import TransportError
from tls_authority import Authority
from transport_faults import Opener, exchange, fail_url

LOGIN = "Basic " + base64.b64encode(b"user:hunter2").decode()


class Tunnel:
    """A proxy that takes CONNECT and leads every host to one server."""

    def __init__(self, target: str, *, status: str = "200 OK") -> None:
        self.port, self.status = urlsplit(target).port, status
        self.heads: list[bytes] = []
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
        if self.status.startswith("200"):
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except asyncio.CancelledError:  # the test's loop ends: what was not sent would keep the socket open
        writer.transport.abort()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def tunnel(target: str, *, status: str = "200 OK") -> AsyncIterator[Tunnel]:
    proxy = Tunnel(target, status=status)
    listening = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.url = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        listening.close()


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_a_proxy_is_used_for_other_hosts(opener: Opener, variable: str, monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        async with raw_server(says(http(b'{"via":"proxy"}'))) as proxy:
            monkeypatch.setenv(variable, proxy.url)
            response = await exchange(opener, "http://models.invalid/v1")
            assert response.body == b'{"via":"proxy"}'
            assert proxy.requests[0].startswith(b"POST http://models.invalid/v1 HTTP/1.1\r\n")

    asyncio.run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_proxy_is_not_used_for_this_machine(pool: Opener, host: str, monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        async with raw_server(says(http(b"{}"))) as proxy, raw_server(says(http(b'{"near":1}'))) as server:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.setenv("all_proxy", proxy.url)
            response = await exchange(pool, server.url.replace("127.0.0.1", host))
            assert response.body == b'{"near":1}'
            assert proxy.requests == []

    asyncio.run(main())


@pytest.mark.parametrize("exempt", ["models.invalid", ".invalid", "other.test,models.invalid", "*"])
def test_no_proxy_is_heeded(opener: Opener, exempt: str, monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        async with raw_server(says(http(b"{}"))) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.setenv("no_proxy", exempt)
            with pytest.raises(TransportError) as caught:
                await exchange(opener, "http://models.invalid/v1")
            assert caught.value.kind == "dns"  # it went straight to a host that is none
            assert proxy.requests == []

    asyncio.run(main())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_https_goes_through_a_tunnel(opener: Opener, authority: Authority, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    async def main() -> None:
        tls = authority.server("models.invalid")
        async with raw_server(says(http(b'{"ok":1}')), tls=tls) as server, tunnel(server.url) as proxy:
            monkeypatch.setenv("https_proxy", f"http://user:hunter2@{proxy.url}")
            response = await exchange(opener, "https://models.invalid/v1")
            assert response.body == b'{"ok":1}'
            (head,) = proxy.heads
            assert head.startswith(b"CONNECT models.invalid:443 HTTP/1.1\r\n")
            assert f"proxy-authorization: {LOGIN}".lower().encode() in head.lower()
            assert b"sk-canary" not in head
            assert b"proxy-authorization" not in server.requests[0].lower()

    asyncio.run(main())


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "503 Service Unavailable"])
def test_a_proxy_that_refuses(opener: Opener, status: str, monkeypatch: pytest.MonkeyPatch):
    async def main() -> TransportError:
        async with tunnel("http://127.0.0.1:9", status=status) as proxy:
            monkeypatch.setenv("https_proxy", f"http://user:hunter2@{proxy.url}")
            with pytest.raises(TransportError) as caught:
                await exchange(opener, "https://models.invalid/v1")
            return caught.value

    error = asyncio.run(main())
    assert error.kind == "connect"
    assert "hunter2" not in str(error)


def test_a_proxy_that_is_not_there(opener: Opener, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://user:hunter2@127.0.0.1:9")
    error = fail_url(opener, "http://models.invalid/v1")
    assert error.kind == "connect"
    assert "hunter2" not in str(error)
