"""TLS: whom a transport trusts, client certificates, HTTP/2."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from execute_jobs import http, raw_server, says
from headgate.execute.transport import Response, TransportError
from headgate.execute.transports.httpx_client import HttpxTransport
from http2_server import http2_server
from tls_authority import Authority
from transport_faults import OPENERS, OWN, POOLS, Opener, a_request, exchange


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def ask(opener: Opener, tls: ssl.SSLContext) -> Response:
    async def main() -> Response:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side of a broken handshake
        async with raw_server(says(http(b'{"ok":1}')), tls=tls) as server:
            try:
                return await exchange(opener, server.url)
            except TransportError:
                assert server.requests == []  # nothing was sent to a stranger
                raise

    return asyncio.run(main())


def refused(opener: Opener, tls: ssl.SSLContext) -> TransportError:
    with pytest.raises(TransportError) as caught:
        ask(opener, tls)
    return caught.value


def test_an_authority_of_ones_own_is_trusted(opener: Opener, authority: Authority, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    assert ask(opener, authority.server("127.0.0.1")).body == b'{"ok":1}'


def test_a_folder_of_authorities_is_trusted(
    pool: Opener, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("only the openssl command knows under which name OpenSSL looks for a certificate in a folder")
    command = [openssl, "x509", "-hash", "-noout", "-in", str(authority.file)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / f"{name}.0").write_bytes(authority.file.read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert ask(pool, authority.server("127.0.0.1")).body == b'{"ok":1}'


def test_a_certificate_nobody_signed_is_refused(opener: Opener, authority: Authority):
    error = refused(opener, authority.server("127.0.0.1"))
    assert error.kind == "tls", str(error)


def test_a_certificate_of_another_host_is_refused(
    opener: Opener, authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    error = refused(opener, authority.server("models.test"))
    assert error.kind == "tls", str(error)


def test_a_server_that_speaks_no_tls_is_no_answer(opener: Opener):
    async def main() -> TransportError:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        listening = await asyncio.start_server(plain, "127.0.0.1", 0)
        with pytest.raises(TransportError) as caught:
            await exchange(opener, f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1")
        listening.close()
        return caught.value

    assert asyncio.run(main()).kind in {"tls", "connect"}


def test_a_client_certificate_goes_with_ones_own_client(authority: Authority):
    tls = ssl.create_default_context(cafile=str(authority.file))
    tls.load_cert_chain(authority.client_certificate())
    server = authority.server("127.0.0.1", demands_client=True)
    assert ask(lambda: HttpxTransport(httpx.AsyncClient(verify=tls)), server).status == 200


def test_without_the_client_certificate_there_is_no_answer(
    opener: Opener, authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    # In TLS 1.3 the server refuses after the handshake: for the client the connection then breaks.
    assert refused(opener, authority.server("127.0.0.1", demands_client=True)).kind in {"tls", "dropped"}


SPEAKS = {"http1": 1, "pyreqwest": 1, "aiohttp": 1, "httpx": 2, OWN: 2}
"""The HTTP version of a transport where the server offers both."""


@pytest.mark.parametrize("name", OPENERS)
def test_http2_where_it_is_offered(name: str, authority: Authority, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    async def main() -> None:
        async with http2_server(authority.server("127.0.0.1"), delay_s=0.1) as server:
            transport = HttpxTransport(httpx.AsyncClient(http2=True)) if name == OWN else POOLS[name]()
            first = await transport.send(a_request(server.url, body=b"0"), timeout_s=5)
            sends = (transport.send(a_request(server.url, body=b"%d" % n), timeout_s=5) for n in range(8))
            responses = [first, *await asyncio.gather(*sends)]
            await transport.aclose()
        assert [response.body for response in responses] == [b"0", *(b"%d" % n for n in range(8))]
        assert {response.status for response in responses} == {200}
        assert {response.headers["x-request-id"] for response in responses} == {"r-1"}
        assert server.authorizations == ["Bearer sk-canary"] * 9
        assert server.versions == [SPEAKS[name]] * 9
        assert server.most_at_once == 8
        if SPEAKS[name] == 2:
            assert server.connections == 1

    asyncio.run(main())


def test_more_requests_than_an_http2_connection_takes_wait(authority: Authority, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    async def main() -> None:
        async with http2_server(authority.server("127.0.0.1"), delay_s=0.02, streams=4) as server:
            transport = POOLS["httpx"]()
            await transport.send(a_request(server.url), timeout_s=5)
            sends = (transport.send(a_request(server.url), timeout_s=5) for _ in range(20))
            responses = await asyncio.gather(*sends)
            await transport.aclose()
        assert [response.status for response in responses] == [200] * 20
        assert server.most_at_once == 4

    asyncio.run(main())
