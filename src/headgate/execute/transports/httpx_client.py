"""The compatible transport, on httpx: a user's own client, or one over pyreqwest's pool."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, Self

import httpx

from headgate.execute.transport import CONNECT_TIMEOUT_S, LOOPBACK, MAX_BODY, Request, Response, TransportError

_GRACE_S: Final = 0.1


class HttpxTransport:
    """Wraps an ``httpx.AsyncClient``.

    Parameters
    ----------
    client : httpx.AsyncClient
        The user's own: proxies, certificates, ``httpx.MockTransport``. It is closed with the transport.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @classmethod
    def open(cls, *, connections: int) -> Self:
        """Make a client over pyreqwest's pool: httpx's own costs 13 ms of CPU per request at 512 connections."""
        from pyreqwest.client import ClientBuilder
        from pyreqwest.compatibility.httpx import HttpxTransport as Pool

        def pool(*, proxied: bool) -> httpx.AsyncBaseTransport:
            builder = (
                ClientBuilder()
                .max_connections(connections)
                .pool_max_idle_per_host(connections)
                .connect_timeout(timedelta(seconds=CONNECT_TIMEOUT_S))
                .follow_redirects(False)
            )
            return Pool((builder if proxied else builder.no_proxy()).build())

        near = pool(proxied=False)
        # A jar that takes nothing: a gateway's sticky cookie would tie jobs to each other.
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        mounts = {f"all://{host}": near for host in LOOPBACK}
        return cls(httpx.AsyncClient(transport=pool(proxied=True), mounts=mounts, cookies=no_cookies))

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Send one request; see :class:`~headgate.execute.transport.Transport`."""
        try:
            # httpx bounds each read, not the exchange. pyreqwest does, and must come first: it never gives back the
            # connection of a request that was cancelled.
            async with asyncio.timeout(timeout_s + _GRACE_S):
                return await self._exchange(request, httpx.Timeout(None, read=timeout_s))
        except TransportError:
            raise
        except Exception as error:  # the body of a pyreqwest response raises its own errors, a user's client anything
            raise _translate(error, timeout_s) from error

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def _exchange(self, request: Request, bounds: httpx.Timeout) -> Response:
        started = time.perf_counter()
        async with self._client.stream(
            request.method,
            request.url,
            content=request.body,
            headers=request.headers,
            follow_redirects=False,
            timeout=bounds,
        ) as response:
            ttfb_s = time.perf_counter() - started
            body = await _read(response)
            return Response(response.status_code, dict(response.headers), body, ttfb_s)


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY:
            raise TransportError("dropped", f"the body is larger than {MAX_BODY >> 20} MiB")
    return bytes(body)


def _translate(error: Exception, timeout_s: float) -> TransportError:
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return TransportError("timeout", f"no complete answer within {timeout_s:g} s")
    causes = _causes(error)
    message = causes[-1] if causes else str(error) or type(error).__name__
    reached = bool(causes) and not any("(Connect)" in cause for cause in causes)
    unreached = (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol, httpx.InvalidURL)
    if reached or not isinstance(error, unreached):
        return TransportError("dropped", f"{type(error).__name__}: {message}")
    text = " ".join([message, *causes]).lower()
    if isinstance(error.__cause__, ssl.SSLError) or "certificate" in text or "tls" in text:
        return TransportError("tls", message)
    unknown = any(words in text for words in ("dns error", "name resolution", "not known", "no address associated"))
    return TransportError("dns" if unknown else "connect", message)


def _causes(error: Exception) -> list[str]:
    """Return what pyreqwest says lies behind an error, outermost first, without the line that holds the URL."""
    details: Any = getattr(error.__cause__ or error, "details", None)
    causes = details.get("causes") if isinstance(details, dict) else None
    messages = [str(cause["message"]) for cause in causes or ()]
    return [message for message in messages if " for url " not in message]
