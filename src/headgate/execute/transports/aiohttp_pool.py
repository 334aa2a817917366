"""The fast transport, on aiohttp."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from headgate.execute.transport import CONNECT_TIMEOUT_S, LOOPBACK, MAX_BODY, Request, Response, TransportError

_LOOPBACK: Final = frozenset(host.strip("[]") for host in LOOPBACK)


class AiohttpTransport:
    """A pool of keep-alive connections; proxies come from the environment, cookies and redirects are off."""

    def __init__(self, *, connections: int) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ttl_dns_cache=60),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # aiohttp's own `trust_env` asks a thread twice per request, and lets ~/.netrc clash with our authorization.
        self._proxy = lru_cache(maxsize=64)(_proxy)

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Send one request; see :class:`~headgate.execute.transport.Transport`."""
        started = time.perf_counter()
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        try:
            async with self._session.request(
                request.method,
                request.url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                timeout=timeout,
                proxy=self._proxy(request.url),
            ) as response:
                ttfb_s = time.perf_counter() - started
                body = await _read(response)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Response(response.status, headers, body, ttfb_s)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            raise _translate(error, timeout_s) from error

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    packed = "content-encoding" in response.headers  # then the length says nothing about what comes out
    if not packed and response.content_length is not None and response.content_length <= MAX_BODY:
        return await response.read()
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            raise TransportError("dropped", f"the body is larger than {MAX_BODY >> 20} MiB")
    return bytes(body)


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for a URL."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


def _translate(error: Exception, timeout_s: float) -> TransportError:
    message = str(error) or type(error).__name__
    match error:
        case TimeoutError():
            return TransportError("timeout", f"no complete answer within {timeout_s:g} s")
        case aiohttp.ClientConnectorDNSError():
            return TransportError("dns", message)
        case aiohttp.ClientSSLError():
            return TransportError("tls", message)
        case aiohttp.InvalidURL():
            return TransportError("connect", "that is no URL")  # it is not repeated: it may hold a login
        case aiohttp.ClientConnectorError():  # a proxy that cannot be reached is one too
            return TransportError("connect", message)
        case _:
            return TransportError("dropped", f"{type(error).__name__}: {message}")
