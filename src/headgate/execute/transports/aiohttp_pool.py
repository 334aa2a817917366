"""The transport on aiohttp."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from headgate.execute.transport import CONNECT_TIMEOUT_S, MAX_BODY, Request, Response, Target, TransportError
from headgate.execute.transports.proxies import proxy_for


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is the same in every request to a target."""

    url: URL
    headers: CIMultiDict[str]
    proxy: str | None
    tls: ssl.SSLContext | bool


class AiohttpTransport:
    """A pool of keep-alive connections; proxies come from the environment, cookies and redirects are off.

    TLS trusts what OpenSSL trusts by default, and the files that ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name.

    Parameters
    ----------
    connections : int
        Size of the pool; a request beyond it waits.
    """

    def __init__(self, *, connections: int, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ttl_dns_cache=60),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._prepared = lru_cache(maxsize=256)(self._prepare)
        self._connect_timeout_s = connect_timeout_s
        self._timeout = lru_cache(maxsize=256)(self._make_timeout)

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Send one request; see :class:`~headgate.execute.transport.Transport`."""
        started = time.perf_counter()
        try:
            prepared = self._prepared(request.target)
            async with self._session.request(
                request.target.method,
                prepared.url,
                data=request.body,
                headers=prepared.headers,
                allow_redirects=False,
                timeout=self._timeout(timeout_s),
                proxy=prepared.proxy,
                ssl=prepared.tls,
            ) as response:
                ttfb_s = time.perf_counter() - started
                body = await _read(response)
                return Response(response.status, _as_dict(response.raw_headers), body, ttfb_s)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            raise _translate(error, timeout_s) from None  # its own message may hold the URL

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()

    def _prepare(self, target: Target) -> _Prepared:
        # aiohttp's own `trust_env` asks a thread twice per request, and lets ~/.netrc clash with our authorization.
        tls = self._tls if target.url.lower().startswith("https:") else True
        url = URL(
            target.url, encoded="%" in target.url
        )  # else %3A becomes a colon, and a signature of the path is wrong
        parts = urlsplit(target.url)
        return _Prepared(url, CIMultiDict(target.headers), proxy_for(parts.scheme, parts.hostname or ""), tls)

    def _make_timeout(self, timeout_s: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=timeout_s, sock_connect=self._connect_timeout_s)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


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


def _as_dict(headers: tuple[tuple[bytes, bytes], ...]) -> dict[str, str]:
    """Decode headers; Latin-1 reads any byte."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _translate(error: Exception, timeout_s: float) -> TransportError:
    message = str(error) or type(error).__name__
    match error:
        case aiohttp.ConnectionTimeoutError():
            return TransportError("connect", "no connection came about in time")
        case TimeoutError():
            return TransportError("timeout", f"no complete answer within {timeout_s:g} s")
        case aiohttp.ClientConnectorDNSError():
            return TransportError("dns", message)
        case aiohttp.ClientSSLError():
            return TransportError("tls", message)
        case ValueError() | aiohttp.NonHttpUrlClientError():  # it may repeat a login, or a header with a key
            return TransportError("connect", "that is no URL, or no header")
        case aiohttp.ClientConnectorError():  # a proxy that cannot be reached is one too
            return TransportError("connect", message)
        case aiohttp.ClientHttpProxyError():
            return TransportError("connect", f"the proxy refuses: status {error.status}")
        case _:
            return TransportError("dropped", f"{type(error).__name__}: {message}")
