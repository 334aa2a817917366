"""The compatible transport, on httpx: a user's own client, or one over pyreqwest's pool."""

from __future__ import annotations

import asyncio
import ssl
import time
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, Self

import httpx

from headgate.execute.transport import CONNECT_TIMEOUT_S, LOOPBACK, MAX_BODY, Request, Response, TransportError
from headgate.execute.transports.cancellation import KeptCancellation

_GRACE_S: Final = 0.1


class HttpxTransport:
    """Wraps an ``httpx.AsyncClient``.

    Parameters
    ----------
    client : httpx.AsyncClient
        The user's own: proxies, certificates, ``httpx.MockTransport``. It is closed with the transport, and its
        timeouts are not heeded: a model's ``timeout_s`` is.

    Examples
    --------
    A client certificate (mTLS) and a private authority are a matter of the client's TLS context:

    >>> import ssl
    >>> tls = ssl.create_default_context()  # cafile="company-ca.pem"
    >>> # tls.load_cert_chain("client.pem", "client.key")
    >>> transport = HttpxTransport(httpx.AsyncClient(verify=tls, proxy="http://proxy.invalid:3128"))
    """

    def __init__(self, client: httpx.AsyncClient, *, connect_timeout_s: float | None = CONNECT_TIMEOUT_S) -> None:
        self._client, self._connect_timeout_s = client, connect_timeout_s

    @classmethod
    def open(cls, *, connections: int, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> Self:
        """Make a client over pyreqwest's pool: httpx's own costs 13 ms of CPU per request at 512 connections.

        It speaks HTTP/2 where a server offers it: all requests share one connection then, and a server that takes 100
        at once lets the others wait.
        """
        from pyreqwest.compatibility.httpx import HttpxTransport as Pool

        from headgate.execute.transports.pyreqwest_pool import client_builder

        def pool(*, proxied: bool) -> httpx.AsyncBaseTransport:
            builder = client_builder(connections, connect_timeout_s=connect_timeout_s)
            builder = builder.http2(True).http2_adaptive_window(True)
            return Pool((builder if proxied else builder.no_proxy()).build())

        near = pool(proxied=False)
        # A jar that takes nothing: a gateway's sticky cookie would tie jobs to each other.
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        mounts = {f"all://{host}": near for host in LOOPBACK}
        client = httpx.AsyncClient(transport=pool(proxied=True), mounts=mounts, cookies=no_cookies)
        return cls(client, connect_timeout_s=None)  # pyreqwest takes the sum of httpx's bounds for the whole exchange

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Send one request; see :class:`~headgate.execute.transport.Transport`."""
        try:
            # httpx bounds each read, not the exchange. pyreqwest does, and must come first: a request that is
            # cancelled goes on unseen there.
            with KeptCancellation():
                async with asyncio.timeout(timeout_s + _GRACE_S):
                    bounds = httpx.Timeout(None, connect=self._connect_timeout_s, read=timeout_s)
                    return await self._exchange(request, bounds)
        except TransportError:
            raise
        except Exception as error:  # noqa: BLE001 - pyreqwest's body raises its own errors, a user's client anything
            raise _translate(error, timeout_s) from None  # its own message may hold the URL

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def _exchange(self, request: Request, bounds: httpx.Timeout) -> Response:
        started = time.perf_counter()
        async with self._client.stream(
            request.target.method,
            request.target.url,
            content=request.body,
            headers=request.target.headers,
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
    from pyreqwest.exceptions import PyreqwestError

    from headgate.execute.transports.pyreqwest_pool import translate, unreached

    below = error.__cause__ or error
    if isinstance(below, PyreqwestError):
        return translate(below, timeout_s)
    message = str(error) or type(error).__name__
    match error:
        case httpx.ConnectTimeout():
            return TransportError("connect", "no connection came about in time")
        case httpx.TimeoutException() | TimeoutError():
            return TransportError("timeout", f"no complete answer within {timeout_s:g} s")
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return TransportError("connect", "that is no URL")
        case ValueError():  # it may repeat a header with a key
            return TransportError("dropped", "a header that cannot be read or sent")
        case httpx.ConnectError() | httpx.ProxyError():
            return TransportError("tls", message) if isinstance(below, ssl.SSLError) else unreached(message)
        case _:
            return TransportError("dropped", f"{type(error).__name__}: {message}")
