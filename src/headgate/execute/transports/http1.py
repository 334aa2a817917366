"""The fast transport: HTTP/1.1 of our own, over asyncio and httptools."""

from __future__ import annotations

import asyncio
from functools import cached_property, lru_cache, partial
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from headgate.execute.transport import CONNECT_TIMEOUT_S, Request, Response, Target, Transport, TransportError
from headgate.execute.transports.dialling import CLOSED, Dialler
from headgate.execute.transports.http1_connection import Connection, Idle
from headgate.execute.transports.http1_request import Origin, RequestHead
from headgate.execute.transports.proxies import proxy_for

_SWEEP_S: Final = 0.05
"""How often the transport looks for requests whose time is up: a timer for each would cost a third of a request."""

_CLOSING_TURNS: Final = 4
"""Turns of the event loop in which what was closed is lost, TLS included."""


class Http1Transport:
    """Keep-alive connections of HTTP/1.1; cookies and redirects are off.

    It does not bound the requests in flight: the engine's workers do. A request that is cancelled, or whose time is
    up, closes its connection. What goes through a proxy that the environment names, pyreqwest sends.

    Parameters
    ----------
    connections : int
        Idle connections that are kept, per host.
    """

    def __init__(self, *, connections: int, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        self._connections, self._connect_timeout_s = connections, connect_timeout_s
        self._dialler = Dialler(connect_timeout_s)
        self._opened: set[Connection] = set()
        self._idle: dict[Origin, Idle] = {}
        self._route = lru_cache(maxsize=256)(self._make_route)
        self._sweeper: asyncio.TimerHandle | None = None

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Send one request; see :class:`~headgate.execute.transport.Transport`."""
        route = self._route(request.target)
        if route is None:
            return await self._far.send(request, timeout_s=timeout_s)
        head, idle = route
        started = monotonic()
        connection = idle.take(started)
        if connection is None:
            make = partial(Connection, idle, self._opened)
            connection = await self._dialler.dial(head.origin, make, timeout_s=timeout_s)
        waiter = connection.ask(
            head.with_body(request.body), started=started, timeout_s=timeout_s, is_head_only=head.method == "HEAD"
        )
        if self._sweeper is None:
            self._sweep()
        try:
            return await waiter
        except asyncio.CancelledError:
            connection.leave(waiter)
            raise

    async def aclose(self) -> None:
        """Fail what is in flight, and close all connections."""
        self._dialler.close()
        for connection in list(self._opened):
            connection.fail(TransportError("dropped", CLOSED))
        for _ in range(_CLOSING_TURNS):
            if self._opened:
                await asyncio.sleep(0)  # the loop closes them in its next turn
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        far: Transport | None = self.__dict__.pop("_far", None)
        if far is not None:
            await far.aclose()

    def _make_route(self, target: Target) -> tuple[RequestHead, Idle] | None:
        """Return what is sent where, or None for what goes through a proxy."""
        try:
            head, parts = RequestHead(target), urlsplit(target.url)
            if proxy_for(parts.scheme, parts.hostname or "") is not None:
                return None
        except ValueError:  # it may repeat a login, or a header with a key
            raise TransportError("connect", "that is no URL, or no header") from None
        return head, self._idle.setdefault(head.origin, Idle(self._connections))

    def _sweep(self) -> None:
        """Time out what is late, and come back while anything is under way."""
        now = monotonic()
        for connection in [each for each in self._opened if each.is_late(now)]:
            connection.time_out()
        is_busy = any(each.is_busy for each in self._opened)
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep) if is_busy else None

    @cached_property
    def _far(self) -> Transport:
        from headgate.execute.transports.pyreqwest_pool import PyreqwestTransport

        return PyreqwestTransport(connections=self._connections, connect_timeout_s=self._connect_timeout_s)
