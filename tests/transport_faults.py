"""The transports under test, and one exchange with whatever a test makes the server do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import httpx
import pytest

from execute_jobs import RawServer, Script, raw_server
from headgate.execute.transport import Request, Response, Target, Transport, TransportError
from headgate.execute.transports import TRANSPORTS, TransportName, open_transport
from headgate.execute.transports.httpx_client import HttpxTransport

Opener = Callable[[], Transport]

PATH = "/v1/chat/completions"
OWN = "own httpx client"
CONNECT_TIMEOUT_S = 1.0
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def opens(name: TransportName) -> Opener:
    return lambda: open_transport(name, connections=8, connect_timeout_s=CONNECT_TIMEOUT_S)


OPENERS: dict[str, Opener] = {
    **{name: opens(name) for name in TRANSPORTS},
    OWN: lambda: HttpxTransport(httpx.AsyncClient(), connect_timeout_s=CONNECT_TIMEOUT_S),
}
POOLS = {name: OPENERS[name] for name in TRANSPORTS}
"""Those whose connections are ours, not the user's."""


def a_request(url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b'{"model":"m"}') -> Request:
    fields = {"content-type": "application/json", "authorization": "Bearer sk-canary", **(headers or {})}
    return Request(Target(url, fields), body)


async def exchange(opener: Opener, url: str, *, timeout_s: float = 5.0) -> Response:
    transport = opener()
    try:
        return await transport.send(a_request(url), timeout_s=timeout_s)
    finally:
        await transport.aclose()


def send(opener: Opener, script: Script, *, timeout_s: float = 5.0) -> tuple[Response, RawServer]:
    async def main() -> tuple[Response, RawServer]:
        async with raw_server(script) as server:
            return await exchange(opener, server.url + PATH, timeout_s=timeout_s), server

    return asyncio.run(main())


def fail(opener: Opener, script: Script, *, timeout_s: float = 5.0) -> TransportError:
    with pytest.raises(TransportError) as caught:
        send(opener, script, timeout_s=timeout_s)
    return caught.value


def fail_url(opener: Opener, url: str, *, timeout_s: float = 5.0) -> TransportError:
    with pytest.raises(TransportError) as caught:
        asyncio.run(exchange(opener, url, timeout_s=timeout_s))
    return caught.value
