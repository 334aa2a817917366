"""How a connection comes about: the name, the address, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import cached_property
from time import monotonic
from typing import Any, Final

import aiohappyeyeballs

from headgate.execute.transport import TransportError
from headgate.execute.transports.http1_connection import Connection
from headgate.execute.transports.http1_request import Origin

_ADDRESSES_S: Final = 60.0
"""How long the addresses of a name are taken for true."""

_NEXT_ADDRESS_S: Final = 0.25
"""How long one address is tried before the next one is tried too (RFC 8305)."""

_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 60}
"""Seconds. A model thinks for minutes, and routers on the way forget a connection that is silent for so long."""

CLOSED: Final = "the transport was closed"

_Address = tuple[int, int, int, str, tuple[Any, ...]]


class Dialler:
    """Opens connections; however many to one name are opened at a time, it is looked up once.

    TLS trusts what OpenSSL trusts by default, and the files that ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name.

    Parameters
    ----------
    connect_timeout_s : float
        Longest wait for a connection, TLS included.
    """

    def __init__(self, connect_timeout_s: float) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._lookups: dict[tuple[str, int], tuple[float, asyncio.Task[list[_Address]]]] = {}
        self._waits: set[asyncio.Timeout] = set()
        self._is_closed = False

    async def dial(self, origin: Origin, make: Callable[[], Connection], *, timeout_s: float) -> Connection:
        """Open a connection.

        Parameters
        ----------
        timeout_s : float
            The time of the whole request.

        Raises
        ------
        TransportError
            If none came about.
        """
        if self._is_closed:
            raise TransportError("dropped", CLOSED)
        wait = asyncio.timeout(min(timeout_s, self._connect_timeout_s))
        try:
            async with wait:
                self._waits.add(wait)
                connection = await self._connect(origin, make)
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            if self._is_closed:
                raise TransportError("dropped", CLOSED) from None
            if wait.expired() and timeout_s <= self._connect_timeout_s:
                raise TransportError("timeout", f"no complete answer within {timeout_s:g} s") from None
            raise _translate(error) from None
        finally:
            self._waits.discard(wait)
        if self._is_closed or connection.is_closing:  # it was closed as soon as it stood
            connection.close()
            raise TransportError("dropped", CLOSED if self._is_closed else "the connection was closed")
        return connection

    def close(self) -> None:
        """Give up what is being opened, and open no more."""
        self._is_closed = True
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(0)

    async def _connect(self, origin: Origin, make: Callable[[], Connection]) -> Connection:
        addresses, make_it = await self._addresses(origin), asyncio.get_running_loop().create_connection
        tls, name = (self._tls, origin.host) if origin.is_tls else (None, None)
        try:
            if len(addresses) == 1:  # four fifths of the time that a connection takes are spared
                host, port = addresses[0][4][:2]
                transport, connection = await make_it(make, host, port, ssl=tls, server_hostname=name)
            else:
                connected = await aiohappyeyeballs.start_connection(
                    addresses, happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1
                )
                transport, connection = await make_it(make, sock=connected, ssl=tls, server_hostname=name)
        except OSError:
            self._lookups.pop((origin.host, origin.port), None)  # it may have moved
            raise
        _set_options(transport.get_extra_info("socket"))
        return connection

    async def _addresses(self, origin: Origin) -> list[_Address]:
        """Return the addresses of a host, each time beginning with another one, so that all of them get their share."""
        key = origin.host, origin.port
        asked_at, lookup = self._lookups.get(key, (0.0, None))
        now = monotonic()
        if lookup is None or now - asked_at > _ADDRESSES_S or (lookup.done() and lookup.exception()):
            lookup = asyncio.create_task(look_up(*key))
            lookup.add_done_callback(lambda task: task.cancelled() or task.exception())  # each asks for it, or none
            self._lookups[key] = now, lookup
        addresses = await asyncio.shield(lookup)  # it is the others' too
        addresses.append(addresses.pop(0))
        return addresses[:]

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context


async def look_up(host: str, port: int) -> list[_Address]:
    """Return the addresses of a name.

    Raises
    ------
    OSError
        If it has none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(found)


def _set_options(connected: socket.socket) -> None:
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)


def _translate(error: OSError | ValueError) -> TransportError:
    message = str(error) or type(error).__name__
    match error:
        case socket.gaierror():
            return TransportError("dns", message)
        case ssl.SSLError():  # a certificate that is refused is one too
            return TransportError("tls", message)
        case TimeoutError():
            return TransportError("connect", "no connection came about in time")
        case ValueError():
            return TransportError("connect", "that is no URL, or no header")
        case _:
            return TransportError("connect", message)
